// What the decode kernels share: (token, head) pairs as columns of a tile's scores, their running
// softmax, and what a split leaves behind. 256 threads, tiles of 32 cached tokens.
#pragma once

#include <type_traits>

#include "kernels/cuda/decode.cuh"
#include "kernels/cuda/mla.h"
#include "kernels/simt/warp_matrix.h"

namespace kernels::cuda::mla {

constexpr int kThreads = 256;
constexpr int kTile = 32;
constexpr int kLatent = 512;
constexpr int kRotary = 64;
constexpr int kRow = kLatent + kRotary;
constexpr int kSlices = 4;               // of the row: 128 latent numbers, 16 rotary ones each
constexpr int kScorePitch = kTile + 4;   // of scores
constexpr int kWeightPitch = kTile + 8;  // of P
constexpr unsigned kAll = 0xFFFFFFFFU;

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

__device__ __forceinline__ uint32_t bits_of(__half2 v) {
    uint32_t bits;
    memcpy(&bits, &v, 4);
    return bits;
}
__device__ __forceinline__ __half2 half2_of(uint32_t bits) {
    __half2 v;
    memcpy(&v, &bits, 4);
    return v;
}

// Neither NaN nor infinite.
__device__ __forceinline__ bool is_number(__half v) {
    return (__half_as_ushort(v) & 0x7C00) != 0x7C00;
}
__device__ __forceinline__ bool is_number(__nv_bfloat16 v) {
    return (__bfloat16_as_ushort(v) & 0x7F80) != 0x7F80;
}

// What a block does of a launch.
struct Part {
    QueryGroup group;
    int split;
    int begin, end;        // cached tokens
    bool whole;            // the group's only split: nothing to merge
    int n_columns;         // that are somebody's
    int64_t first_column;  // of part, weight, absorbed and mixed
};
__device__ __forceinline__ Part part_of(const Attend& w) {
    Part p;
    p.group = w.groups[blockIdx.y];
    p.split = blockIdx.x;
    const int seen = p.group.position + p.group.n_tokens;  // by the last query of the group
    p.begin = p.split * p.group.split_tokens;
    p.end = min(seen, p.begin + p.group.split_tokens);
    p.whole = seen <= p.group.split_tokens;
    p.n_columns = p.group.n_tokens * w.n_heads;
    p.first_column = static_cast<int64_t>(p.group.first_row - w.first_token) * w.n_heads;
    return p;
}

__device__ __forceinline__ void leave_nothing(const Attend& w, const Part& p) {
    for (int c = threadIdx.x; c < p.n_columns; c += kThreads) {
        w.weight[(p.first_column + c) * w.n_splits + p.split] = make_float2(-INFINITY, 0);
    }
}

// The rows of the tile from `first` on that a query of the group does not see though others do: the
// first of them, and how many. Its weights there are 0, and 0 times what is no number is none:
// before they meet, such numbers are taken out. Whoever sees the row has them by its scores.
struct RowRange {
    int begin, end;
};
__device__ __forceinline__ RowRange seen_by_some(const Part& p, int first) {
    return {max(0, p.group.position + 1 - first), min(kTile, p.end - first)};
}

// Both columns of a fragment's pairs by their own factors.
template <int N>
__device__ __forceinline__ void rescale_columns(float (&out)[4][N][4], const float* rescale) {
    const int q4 = threadIdx.x & 3;
    SIMT_UNROLL
    for (int n = 0; n < N; n++) {
        const float left = rescale[n * 8 + 2 * q4], right = rescale[n * 8 + 2 * q4 + 1];
        SIMT_UNROLL
        for (int m = 0; m < 4; m++) {
            out[m][n][0] *= left;
            out[m][n][1] *= right;
            out[m][n][2] *= left;
            out[m][n][3] *= right;
        }
    }
}

// Column c of a block is query token c / heads of the group, head c % heads. Columns past the last
// take another's query; their scores are masked.
__device__ __forceinline__ int32_t real_column(const Part& p, int c) {
    return c < p.n_columns ? c : 0;
}

// The running softmax: eight threads a column, four tokens each.
template <class Number, int Columns>
struct Softmax {
    static constexpr int kRounds = (Columns + 31) / 32;  // columns of a thread
    float largest[kRounds], sum[kRounds];

    __device__ __forceinline__ void begin() {
        SIMT_UNROLL
        for (int r = 0; r < kRounds; r++) {
            largest[r] = -INFINITY;
            sum[r] = 0;
        }
    }

    // scores [slices][columns][tokens], to be added -> p, and what the sums so far are to be
    // multiplied by.
    __device__ __forceinline__ void tile(const Attend& w,
                                         const Part& part,
                                         int first,
                                         const float (&scores)[kSlices][Columns][kScorePitch],
                                         Number (&p)[Columns][kWeightPitch],
                                         float (&rescale)[Columns]) {
        const int t = threadIdx.x, warp = t >> 5;
        SIMT_UNROLL
        for (int round = 0; round < kRounds; round++) {
            // Whole warps: Columns is a multiple of 8, a warp has 4.
            if (round * 32 + warp * 4 >= Columns) {
                continue;
            }
            const int c = round * 32 + t / 8;
            const int limit =
                c < part.n_columns ? part.group.position + c / w.n_heads + 1 : 0;  // tokens it sees
            float v[4], tile_largest = -INFINITY;
            SIMT_UNROLL
            for (int i = 0; i < 4; i++) {
                const int token = t % 8 + 8 * i;
                float x = 0;
                SIMT_UNROLL
                for (int k = 0; k < kSlices; k++) {
                    x += scores[k][c][token];
                }
                v[i] = simt::bound(first + token < limit) ? x : -INFINITY;
                tile_largest = fmaxf(tile_largest, v[i]);
            }
            SIMT_UNROLL
            for (int o = 4; o > 0; o >>= 1) {
                tile_largest = fmaxf(tile_largest, __shfl_xor_sync(kAll, tile_largest, o));
            }
            const float before = largest[round];
            const float after = fmaxf(before, tile_largest);
            const float base = after == -INFINITY ? 0 : after;  // nothing seen yet: all weights 0
            float tile_sum = 0;
            SIMT_UNROLL
            for (int i = 0; i < 4; i++) {
                const float weight = exp2f(v[i] - base);
                tile_sum += weight;
                const uint32_t both = pack(Number{}, weight, weight);
                memcpy(&p[c][t % 8 + 8 * i], &both, 2);
            }
            SIMT_UNROLL
            for (int o = 4; o > 0; o >>= 1) {
                tile_sum += __shfl_xor_sync(kAll, tile_sum, o);
            }
            const float factor = exp2f(before - base);
            largest[round] = after;
            sum[round] = sum[round] * factor + tile_sum;
            if (t % 8 == 0) {
                rescale[c] = factor;
            }
        }
    }

    // The weights of this split, and what its sums are to be multiplied by; a column that saw
    // nothing gives zeros with weight 0.
    __device__ __forceinline__ void end(const Attend& w,
                                        const Part& part,
                                        float (&inverse)[Columns]) const {
        SIMT_UNROLL
        for (int round = 0; round < kRounds; round++) {
            const int c = round * 32 + static_cast<int>(threadIdx.x) / 8;
            if (c < Columns && threadIdx.x % 8 == 0) {
                inverse[c] = sum[round] > 0 ? 1.0F / sum[round] : 0.0F;
                if (c < part.n_columns) {
                    w.weight[(part.first_column + c) * w.n_splits + part.split] =
                        part.whole ? make_float2(-INFINITY, 0)
                                   : make_float2(largest[round], sum[round]);
                }
            }
        }
    }
};

}  // namespace kernels::cuda::mla
