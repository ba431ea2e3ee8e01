// MLA decode: split-KV attention of a few query tokens over paged K rows of 512 + 64 numbers, on
// tensor cores.
//
// S^T = K Q^T with K rows as the M operand (16 tokens) and (token, head) pairs as the N operand, in
// steps of 8 columns: one query of 20 heads takes 24 columns, two take 40 without waste. O^T = V^T
// P^T reads V by transposed ldmatrix out of the same tile in shared memory, its first 512 columns.
//
//   block      256 threads, tiles of 32 cached tokens
//   scores     8 warps = 2 groups of 16 tokens x 4 slices of the row: 128 latent numbers and 16
//   rotary ones each; the
//              slices' sums meet in shared memory
//   values     each warp owns 64 of the 512 numbers for all columns
//   rows       f16 and bf16: copied to the tile asynchronously, two tiles in turn. Block types: the
//   tile's bytes, which lie
//              together in the page, are copied as they are and widened to f16 in shared memory
//
// FLOP per byte of f16 cache at one query of 20 heads: 38, below the ridge of every card (3090:
// 76), so the goal is bandwidth. Idea of the split and the merge: FlashDecoding; of reading V from
// the K tile: FlashMLA (csrc/sm90/decode).
#pragma once

#include "kernels/cuda/mla_columns.cuh"

namespace kernels::cuda::mla {

constexpr int kPitch = kRow + 8;  // 16 bytes more a row: ldmatrix without bank conflicts
constexpr int kSteps = 9;         // of 16 numbers a slice: 8 latent, 1 rotary

// How the rows of a cache come in, and what they are to the tensor cores.
enum class Form { f16, bf16, q8_0, q4_0 };

template <Form form>
struct RowForm {
    static constexpr bool kCopied = form == Form::f16 || form == Form::bf16;
    static constexpr int kBytes = form == Form::q8_0   ? kRow / 32 * 34
                                  : form == Form::q4_0 ? kRow / 32 * 18
                                                       : kRow * 2;
    using Number = std::conditional_t<form == Form::bf16, __nv_bfloat16, __half>;
};

template <Form form, int Columns>
struct Shared {
    using Number = typename RowForm<form>::Number;
    static constexpr int kTiles = RowForm<form>::kCopied ? 2 : 1;
    static constexpr int kRaw = RowForm<form>::kCopied ? 16 : RowForm<form>::kBytes * kTile;
    alignas(16) Number tile[kTiles][kTile][kPitch];
    alignas(16) unsigned char raw[kRaw];  // packed rows: the next tile's bytes
    float scores[kSlices][Columns][kScorePitch];
    alignas(16) Number p[Columns][kWeightPitch];
    float rescale[Columns];
};

template <Form form, int Columns>
__device__ __forceinline__ void issue(
    const Attend& w, const QueryGroup& g, int first, int end, int turn, Shared<form, Columns>& s) {
    const std::byte* page = w.batch.pages[g.table + first / 64] + w.rows.layer_offset_bytes;
    const std::byte* from = page + first % 64 * static_cast<int64_t>(RowForm<form>::kBytes);
    if constexpr (RowForm<form>::kCopied) {
        constexpr int kChunks = kRow * 2 / 16;
        for (int i = threadIdx.x; i < kTile * kChunks; i += kThreads) {
            const int r = i / kChunks, c = i % kChunks;
            const bool there =
                first + r < end;  // rows past the end become zeros: 0 * NaN would reach the sums
            simt::cp_async16(&s.tile[turn][r][c * 8], from + r * RowForm<form>::kBytes + c * 16,
                             there ? 16 : 0);
        }
    } else {
        for (int i = threadIdx.x * 16; i < RowForm<form>::kBytes * kTile; i += kThreads * 16) {
            simt::cp_async16(s.raw + i, from + i);
        }
    }
    simt::cp_async_commit();
}

// Four signed bytes, times a scale, as halves.
__device__ __forceinline__ void widen_codes(uint32_t codes, float scale, uint32_t* to) {
    SIMT_UNROLL
    for (int k = 0; k < 2; k++) {
        const uint32_t q = codes >> (16 * k);
        to[k] = pack(__half{}, scale * static_cast<float>(static_cast<int8_t>(q & 255)),
                     scale * static_cast<float>(static_cast<int8_t>(q >> 8 & 255)));
    }
}

// Packed rows: the bytes of the tile as numbers, 32 of a row a thread.
template <Form form, int Columns>
__device__ __forceinline__ void widen(Shared<form, Columns>& s, int first, int end) {
    constexpr int kParts = kRow / 32;
    for (int i = threadIdx.x; i < kTile * kParts; i += kThreads) {
        const int r = i / kParts, b = i % kParts;
        auto* to = reinterpret_cast<uint32_t*>(&s.tile[0][r][b * 32]);
        if (first + r >= end) {
            for (int k = 0; k < 16; k++) {
                to[k] = 0;
            }
        } else {
            constexpr DType type = form == Form::q8_0 ? DType::q8_0 : DType::q4_0;
            Group group;
            read_group<type>(reinterpret_cast<const BlockOf<type>*>(s.raw)[i], 0, group);
            for (int k = 0; k < 8; k++) {
                widen_codes(group.q[k], group.scale[0], to + 2 * k);
            }
        }
    }
}

// grid (splits, groups)
template <Form form, int Columns>
__global__ void __launch_bounds__(kThreads, 1) mla_decode_kernel(Attend w) {
    using Number = typename RowForm<form>::Number;
    using Memory = Shared<form, Columns>;
    constexpr int kN = Columns / 8;
    simt::let_next_start();
    simt::wait_for_before();
    SIMT_DYNAMIC_SHARED(bytes);
    Memory& s = *reinterpret_cast<Memory*>(bytes);

    const int t = threadIdx.x, lane = t & 31, warp = t >> 5, g = lane >> 2, q4 = lane & 3;
    const Part part = part_of(w);
    const QueryGroup& group = part.group;
    const int begin = part.begin, end = part.end;
    if (begin >= end) {
        leave_nothing(w, part);
        return;
    }
    issue<form, Columns>(w, group, begin, end, 0, s);

    // Queries in registers, as the B operand: this warp's slice, scaled for exp2. No branch, so
    // that the loads go out together.
    const int tokens16 = warp & 1, slice = warp >> 1;
    uint32_t queries[kSteps][kN][2];
    const float scale = w.scale * 1.4426950408889634F;
    SIMT_UNROLL
    for (int n = 0; n < kN; n++) {
        const int32_t c = real_column(part, n * 8 + g);
        const float* latent =
            w.absorbed.row(static_cast<int32_t>(part.first_column) + c) + slice * 128 + 2 * q4;
        const float* rotary =
            w.q.row(group.first_row * w.n_heads + c) + w.head - kRotary + slice * 16 + 2 * q4;
        SIMT_UNROLL
        for (int step = 0; step < kSteps; step++) {
            const float* from = step < 8 ? latent + step * 16 : rotary;
            SIMT_UNROLL
            for (int r = 0; r < 2; r++) {
                const float2 both = *reinterpret_cast<const float2*>(from + 8 * r);
                queries[step][n][r] = pack(Number{}, both.x * scale, both.y * scale);
            }
        }
    }

    Softmax<Number, Columns> softmax;
    softmax.begin();
    float out[4][kN][4] = {};  // 64 rows of O^T in tiles of 16, all columns

    for (int first = begin, turn = 0; first < end; first += kTile, turn ^= 1) {
        simt::cp_async_wait<0>();
        __syncthreads();  // the tile is there for all, and all have done with the one before
        if constexpr (!RowForm<form>::kCopied) {
            widen<form, Columns>(s, first, end);
            __syncthreads();
        }
        const int now = RowForm<form>::kCopied ? turn : 0;
        if (first + kTile < end) {
            issue<form, Columns>(w, group, first + kTile, end, turn ^ 1, s);
        }
        {
            float score[kN][4] = {};
            const Number* rows = &s.tile[now][tokens16 * 16 + (lane & 15)][8 * (lane >> 4)];
            SIMT_UNROLL
            for (int step = 0; step < kSteps; step++) {
                const int k = step < 8 ? slice * 128 + step * 16 : kLatent + slice * 16;
                uint32_t a[4];
                simt::ldmatrix(a, rows + k);
                SIMT_UNROLL
                for (int n = 0; n < kN; n++) {
                    simt::Mma<Number>::run(score[n], a, queries[step][n]);
                }
            }
            SIMT_UNROLL
            for (int n = 0; n < kN; n++) {
                SIMT_UNROLL
                for (int r = 0; r < 4; r++) {
                    s.scores[slice][n * 8 + 2 * q4 + (r & 1)][tokens16 * 16 + g + 8 * (r >> 1)] =
                        score[n][r];
                }
            }
        }
        __syncthreads();
        softmax.tile(w, part, first, s.scores, s.p, s.rescale);
        const RowRange some = seen_by_some(part, first);
        for (int r = some.begin + warp; r < some.end; r += kThreads / 32) {
            for (int k = lane; k < kLatent; k += 32) {
                Number& v = s.tile[now][r][k];
                v = is_number(v) ? v : Number{};
            }
        }
        __syncthreads();
        rescale_columns(out, s.rescale);
        SIMT_UNROLL
        for (int step = 0; step < kTile / 16; step++) {
            uint32_t p[kN][2];
            SIMT_UNROLL
            for (int n = 0; n < kN; n++) {
                SIMT_UNROLL
                for (int r = 0; r < 2; r++) {
                    p[n][r] = *reinterpret_cast<const uint32_t*>(
                        &s.p[n * 8 + g][step * 16 + 2 * q4 + 8 * r]);
                }
            }
            SIMT_UNROLL
            for (int m = 0; m < 4; m++) {
                // V^T by a transposed load: matrices (tokens 0-7 | numbers 0-7), (0-7 | 8-15),
                // (8-15 | 0-7), (8-15 | 8-15)
                uint32_t a[4];
                const int token = step * 16 + (lane & 7) + 8 * (lane >> 4);
                simt::ldmatrix<true>(a,
                                     &s.tile[now][token][warp * 64 + m * 16 + 8 * (lane >> 3 & 1)]);
                SIMT_UNROLL
                for (int n = 0; n < kN; n++) {
                    simt::Mma<Number>::run(out[m][n], a, p[n]);
                }
            }
        }
    }

    __syncthreads();  // all have read the last rescale
    float(&inverse)[Columns] = s.rescale;
    softmax.end(w, part, inverse);
    __syncthreads();
    SIMT_UNROLL
    for (int n = 0; n < kN; n++) {
        SIMT_UNROLL
        for (int side = 0; side < 2; side++) {
            const int c = n * 8 + 2 * q4 + side;
            if (c >= part.n_columns) {
                continue;
            }
            const float factor = inverse[c];
            const int at = warp * 64 + g;
            if (part.whole) {
                float* to = w.mixed + (part.first_column + c) * kLatent + at;
                SIMT_UNROLL
                for (int m = 0; m < 4; m++) {
                    to[m * 16] = out[m][n][side] * factor;
                    to[m * 16 + 8] = out[m][n][2 + side] * factor;
                }
            } else {
                uint16_t* to =
                    w.part + ((part.first_column + c) * w.n_splits + part.split) * kLatent + at;
                SIMT_UNROLL
                for (int m = 0; m < 4; m++) {
                    to[m * 16] = __half_as_ushort(__float2half(out[m][n][side] * factor));
                    to[m * 16 + 8] = __half_as_ushort(__float2half(out[m][n][2 + side] * factor));
                }
            }
        }
    }
}

constexpr int kMergeWarps = 8;

// grid (T * H): the splits of a row, weighted by their share of the exponentials; warp w takes
// splits w, w + 8, ... and the warps' sums are added in order. A row without weights is there
// whole.
static __global__ void __launch_bounds__(kMergeWarps * 32) mla_merge_kernel(Attend w) {
    simt::let_next_start();
    simt::wait_for_before();
    SIMT_SHARED(float, sums, [kMergeWarps][kLatent]);
    SIMT_SHARED(float, totals, [kMergeWarps]);
    const int t = threadIdx.x, lane = t & 31, warp = t >> 5;
    const int64_t row = blockIdx.x;
    const float2* weight = w.weight + row * w.n_splits;
    float largest = -INFINITY;
    int live = 0;  // splits past these are empty and left nothing in `part`
    for (int i = lane; i < w.n_splits; i += 32) {
        const float2 one = weight[i];
        largest = fmaxf(largest, one.x);
        live = one.y == 0 ? live : i + 1;
    }
    SIMT_UNROLL
    for (int o = 16; o > 0; o >>= 1) {
        largest = fmaxf(largest, __shfl_xor_sync(kAll, largest, o));
        live = max(live, __shfl_xor_sync(kAll, live, o));
    }
    if (live == 0) {
        return;
    }
    float mine[16] = {}, total = 0;
    const uint16_t* part = w.part + row * w.n_splits * kLatent + lane * 8;
    SIMT_UNROLL_BY(4)  // their loads together: with many splits latency is all there is
    for (int i = warp; i < live; i += kMergeWarps) {
        const float2 one = weight[i];
        const float share = one.y * exp2f(one.x - largest);
        total += share;
        SIMT_UNROLL
        for (int side = 0; side < 2; side++) {
            const uint4 eight =
                *reinterpret_cast<const uint4*>(part + i * kLatent + side * (kLatent / 2));
            const uint32_t words[4] = {eight.x, eight.y, eight.z, eight.w};
            SIMT_UNROLL
            for (int k = 0; k < 4; k++) {
                mine[side * 8 + 2 * k] += share * half_bits(static_cast<uint16_t>(words[k]));
                mine[side * 8 + 2 * k + 1] +=
                    share * half_bits(static_cast<uint16_t>(words[k] >> 16));
            }
        }
    }
    SIMT_UNROLL
    for (int side = 0; side < 2; side++) {
        SIMT_UNROLL
        for (int k = 0; k < 2; k++) {
            const float* four = mine + side * 8 + 4 * k;
            *reinterpret_cast<float4*>(&sums[warp][side * (kLatent / 2) + lane * 8 + 4 * k]) =
                make_float4(four[0], four[1], four[2], four[3]);
        }
    }
    if (lane == 0) {
        totals[warp] = total;
    }
    __syncthreads();
    float all = 0;
    SIMT_UNROLL
    for (int i = 0; i < kMergeWarps; i++) {
        all += totals[i];
    }
    SIMT_UNROLL
    for (int k = t; k < kLatent; k += kMergeWarps * 32) {
        float sum = 0;
        SIMT_UNROLL
        for (int i = 0; i < kMergeWarps; i++) {
            sum += sums[i][k];
        }
        w.mixed[row * kLatent + k] = sum / all;
    }
}

}  // namespace kernels::cuda::mla
