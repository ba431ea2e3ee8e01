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

#include "kernels/cuda/decode.cuh"
#include "kernels/cuda/mla.h"
#include "kernels/simt/warp_matrix.h"

namespace kernels::cuda::mla {

constexpr int kThreads = 256;
constexpr int kTile = 32;
constexpr int kLatent = 512;
constexpr int kRotary = 64;
constexpr int kRow = kLatent + kRotary;
constexpr int kPitch = kRow + 8;  // 16 bytes more a row: ldmatrix without bank conflicts
constexpr int kSlices = 4;
constexpr int kSteps = 9;                // of 16 numbers a slice: 8 latent, 1 rotary
constexpr int kWeightPitch = kTile + 8;  // of P
constexpr unsigned kAll = 0xFFFFFFFFU;

// How the rows of a cache come in, and what they are to the tensor cores.
enum class Form { f16, bf16, q8_0, q4_0, q8_latent };

template <Form form>
struct RowForm {
    static constexpr bool kCopied = form == Form::f16 || form == Form::bf16;
    static constexpr int kBytes = form == Form::q8_0   ? kRow / 32 * 34
                                  : form == Form::q4_0 ? kRow / 32 * 18
                                  : form == Form::q8_latent
                                      ? kLatent + 2 * kRotary + 4 * kLatent / 128
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
    float scores[kSlices][Columns][kTile + 4];
    alignas(16) Number p[Columns][kWeightPitch];
    float rescale[Columns];
};

__device__ __forceinline__ uint32_t pack(__half, float a, float b) {
    const __half2 both = __floats2half2_rn(a, b);
    uint32_t bits;
    memcpy(&bits, &both, 4);
    return bits;
}
__device__ __forceinline__ uint32_t pack(__nv_bfloat16, float a, float b) {
    const __nv_bfloat162 both = __floats2bfloat162_rn(a, b);
    uint32_t bits;
    memcpy(&bits, &both, 4);
    return bits;
}

// Column c of a block: query token c / heads of the group, head c % heads; columns past the last
// repeat nothing.
struct Column {
    bool real;
    int32_t token;
    int32_t head;
};
__device__ __forceinline__ Column column_of(const Attend& w, const QueryGroup& g, int c) {
    const int32_t token = c / w.n_heads;
    return {token < g.n_tokens, token, c - token * w.n_heads};
}

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
        } else if constexpr (form == Form::q8_latent) {
            const unsigned char* row = s.raw + r * RowForm<form>::kBytes;
            if (b * 32 < kLatent) {
                const auto* codes = reinterpret_cast<const uint32_t*>(row + b * 32);
                const auto* scales = reinterpret_cast<const float*>(row + kLatent + 2 * kRotary);
                const float scale = scales[b * 32 / 128];
                for (int k = 0; k < 8; k++) {
                    widen_codes(codes[k], scale, to + 2 * k);
                }
            } else {
                const auto* rotary =
                    reinterpret_cast<const uint32_t*>(row + kLatent + 2 * (b * 32 - kLatent));
                for (int k = 0; k < 16; k++) {
                    to[k] = rotary[k];
                }
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
    SIMT_DYNAMIC_SHARED(bytes);
    Memory& s = *reinterpret_cast<Memory*>(bytes);

    const int t = threadIdx.x, lane = t & 31, warp = t >> 5, g = lane >> 2, q4 = lane & 3;
    const QueryGroup group = w.groups[blockIdx.y];
    const int split = blockIdx.x;
    const int seen = group.position + group.n_tokens;  // by the last query of the group
    const int begin = split * group.split_tokens, end = min(seen, begin + group.split_tokens);
    const bool whole = seen <= group.split_tokens;  // nothing to merge
    const int n_columns = group.n_tokens * w.n_heads;
    const int64_t first_column = static_cast<int64_t>(group.first_row - w.first_token) * w.n_heads;
    if (begin >= end) {
        for (int c = t; c < n_columns; c += kThreads) {
            w.weight[(first_column + c) * w.n_splits + split] = make_float2(-INFINITY, 0);
        }
        return;
    }
    issue<form, Columns>(w, group, begin, end, 0, s);

    // Queries in registers, as the B operand: this warp's slice, scaled for exp2. Columns past the
    // last take another's: their scores are masked. No branch, so that the loads go out together.
    const int tokens16 = warp & 1, slice = warp >> 1;
    uint32_t queries[kSteps][kN][2];
    const float scale = w.scale * 1.4426950408889634F;
    SIMT_UNROLL
    for (int n = 0; n < kN; n++) {
        const Column c = column_of(w, group, n * 8 + g);
        const int32_t row = group.first_row * w.n_heads + (c.real ? n * 8 + g : 0);
        const float* latent =
            w.absorbed.row(row - w.first_token * w.n_heads) + slice * 128 + 2 * q4;
        const float* rotary = w.q.row(row) + w.head - kRotary + slice * 16 + 2 * q4;
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

    constexpr int kRounds = (Columns + 31) / 32;  // columns a thread keeps a maximum and a sum of
    float largest[kRounds], sum[kRounds];
    SIMT_UNROLL
    for (int r = 0; r < kRounds; r++) {
        largest[r] = -INFINITY;
        sum[r] = 0;
    }
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
            float part[kN][4] = {};
            const Number* rows = &s.tile[now][tokens16 * 16 + (lane & 15)][8 * (lane >> 4)];
            SIMT_UNROLL
            for (int step = 0; step < kSteps; step++) {
                const int k = step < 8 ? slice * 128 + step * 16 : kLatent + slice * 16;
                uint32_t a[4];
                simt::ldmatrix(a, rows + k);
                SIMT_UNROLL
                for (int n = 0; n < kN; n++) {
                    simt::Mma<Number>::run(part[n], a, queries[step][n]);
                }
            }
            SIMT_UNROLL
            for (int n = 0; n < kN; n++) {
                SIMT_UNROLL
                for (int r = 0; r < 4; r++) {
                    s.scores[slice][n * 8 + 2 * q4 + (r & 1)][tokens16 * 16 + g + 8 * (r >> 1)] =
                        part[n][r];
                }
            }
        }
        __syncthreads();
        // Running softmax: eight threads a column, four tokens each.
        SIMT_UNROLL
        for (int round = 0; round < kRounds; round++) {
            const int c = round * 32 + t / 8;
            if (round * 32 + warp * 4 <
                Columns) {  // whole warps: Columns is a multiple of 8, a warp has 4
                const Column column = column_of(w, group, c);
                const int limit = group.position + column.token + 1;
                float v[4], tile_largest = -INFINITY;
                SIMT_UNROLL
                for (int i = 0; i < 4; i++) {
                    const int token = t % 8 + 8 * i;
                    float x = 0;
                    SIMT_UNROLL
                    for (int k = 0; k < kSlices; k++) {
                        x += s.scores[k][c][token];
                    }
                    v[i] = column.real && first + token < limit ? x : -INFINITY;
                    tile_largest = fmaxf(tile_largest, v[i]);
                }
                SIMT_UNROLL
                for (int o = 4; o > 0; o >>= 1) {
                    tile_largest = fmaxf(tile_largest, __shfl_xor_sync(kAll, tile_largest, o));
                }
                const float before = largest[round];
                const float after = fmaxf(before, tile_largest);
                const float base =
                    after == -INFINITY ? 0 : after;  // nothing seen yet: all weights are 0
                float tile_sum = 0;
                SIMT_UNROLL
                for (int i = 0; i < 4; i++) {
                    const float p = exp2f(v[i] - base);
                    tile_sum += p;
                    const uint32_t both = pack(Number{}, p, p);
                    memcpy(&s.p[c][t % 8 + 8 * i], &both, 2);
                }
                SIMT_UNROLL
                for (int o = 4; o > 0; o >>= 1) {
                    tile_sum += __shfl_xor_sync(kAll, tile_sum, o);
                }
                const float factor = exp2f(before - base);
                largest[round] = after;
                sum[round] = sum[round] * factor + tile_sum;
                if (t % 8 == 0) {
                    s.rescale[c] = factor;
                }
            }
        }
        __syncthreads();
        SIMT_UNROLL
        for (int n = 0; n < kN; n++) {
            const float left = s.rescale[n * 8 + 2 * q4], right = s.rescale[n * 8 + 2 * q4 + 1];
            SIMT_UNROLL
            for (int m = 0; m < 4; m++) {
                out[m][n][0] *= left;
                out[m][n][1] *= right;
                out[m][n][2] *= left;
                out[m][n][3] *= right;
            }
        }
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

    // The sums over the weights; a column that saw nothing gives zeros with weight 0.
    SIMT_UNROLL
    for (int round = 0; round < kRounds; round++) {
        const int c = round * 32 + t / 8;
        if (c < Columns && t % 8 == 0) {
            s.scores[0][c][0] = sum[round] > 0 ? 1.0F / sum[round] : 0.0F;
            if (c < n_columns) {
                w.weight[(first_column + c) * w.n_splits + split] =
                    whole ? make_float2(-INFINITY, 0) : make_float2(largest[round], sum[round]);
            }
        }
    }
    __syncthreads();
    SIMT_UNROLL
    for (int n = 0; n < kN; n++) {
        SIMT_UNROLL
        for (int side = 0; side < 2; side++) {
            const int c = n * 8 + 2 * q4 + side;
            if (c >= n_columns) {
                continue;
            }
            const float factor = s.scores[0][c][0];
            const int at = warp * 64 + g;
            if (whole) {
                float* to = w.mixed + (first_column + c) * kLatent + at;
                SIMT_UNROLL
                for (int m = 0; m < 4; m++) {
                    to[m * 16] = out[m][n][side] * factor;
                    to[m * 16 + 8] = out[m][n][2 + side] * factor;
                }
            } else {
                uint16_t* to = w.part + ((first_column + c) * w.n_splits + split) * kLatent + at;
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
