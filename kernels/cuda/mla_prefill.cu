// Attention of a span of query tokens over the keys and values of a piece (mla_expand.h), with
// causal masks computed where a tile crosses the diagonal.
//
//   block   128 query tokens of one head, 256 threads: a warp has 16 of them for itself, with their
//           queries (256 numbers) and sums (256 numbers) in registers
//   tiles   32 cached tokens, keys [192 of keys_values | 64 of latents] and values [256], two tiles
//           in turn: one barrier a tile
//
// FLOP per byte read of keys and values: 128. Idea of the running softmax and of queries on the M
// side: FlashAttention-2 (arXiv 2307.08691).
#include "kernels/cuda/mla_expand.h"
#include "kernels/simt/warp_matrix.h"

namespace kernels::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kQueries = 128;  // of a block
constexpr int kTile = 32;
constexpr int kHead = 256;
constexpr int kPitch = kHead + 8;  // 16 bytes more a row: ldmatrix without bank conflicts
constexpr int kLatentRow = kExpandLatent + kExpandRotary;
constexpr unsigned kAll = 0xFFFFFFFFU;
static_assert(kExpandNope + kExpandRotary == kHead && kExpandValue == kHead);

struct Tiles {
    alignas(16) __half keys[2][kTile][kPitch];
    alignas(16) __half values[2][kTile][kPitch];
};

__device__ __forceinline__ uint32_t two_halves(float a, float b) {
    const __half2 both = __floats2half2_rn(a, b);
    uint32_t bits;
    memcpy(&bits, &both, 4);
    return bits;
}

// Where a thread copies from: the same 16 bytes of every row. A warp copies whole rows.
struct Source {
    const uint16_t* key;
    const uint16_t* value;
    int32_t key_pitch;
};

// Rows from `first` of the piece; past its end the last one again: nobody sees positions there.
__device__ __forceinline__ void issue(
    const Source& from, int first, int count, int turn, Tiles& s) {
    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
    SIMT_UNROLL
    for (int r = warp; r < kTile; r += kThreads / 32) {
        const int row = min(first + r, count - 1);
        simt::cp_async16(&s.keys[turn][r][lane * 8], from.key + row * from.key_pitch);
        simt::cp_async16(&s.values[turn][r][lane * 8], from.value + row * kExpandRow);
    }
    simt::cp_async_commit();
}

// grid (query tiles, heads)
__global__ void __launch_bounds__(kThreads, 1) prefill_kernel(Expand w) {
    SIMT_DYNAMIC_SHARED(bytes);
    Tiles& s = *reinterpret_cast<Tiles*>(bytes);
    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, g = lane >> 2, q4 = lane & 3;
    const int head = blockIdx.y;
    // The tiles that see most begin first.
    const int first_query = static_cast<int>(gridDim.x - 1 - blockIdx.x) * kQueries;
    const int last = w.position + min(first_query + kQueries, w.n_tokens) - 1;  // position
    const int n_keys = min(w.count, last + 1 - w.first);
    if (n_keys <= 0) {
        return;  // an earlier piece was this block's last
    }
    const uint16_t* expanded =
        w.keys_values + static_cast<int64_t>(head) * w.piece_tokens * kExpandRow + lane * 8;
    const bool nope = lane * 8 < kExpandNope;
    const Source source{nope ? expanded : w.latents + kExpandLatent + (lane * 8 - kExpandNope),
                        expanded + kExpandNope, nope ? kExpandRow : kLatentRow};
    issue(source, 0, w.count, 0, s);

    const int mine = first_query + warp * 16;    // query of row 0 of the warp
    const int at = w.position + mine - w.first;  // and its place among the piece's keys
    // Queries, scaled for exp2, as the A operand. Rows past the last token repeat it.
    uint32_t queries[kHead / 16][4];
    int32_t rows[2];
    SIMT_UNROLL
    for (int half = 0; half < 2; half++) {
        rows[half] = (w.first_row + min(mine + g + 8 * half, w.n_tokens - 1)) * w.n_heads + head;
        const float* q = w.q.row(rows[half]) + 2 * q4;
        const float scale = w.scale * 1.4426950408889634F;
        SIMT_UNROLL
        for (int step = 0; step < kHead / 16; step++) {
            SIMT_UNROLL
            for (int k = 0; k < 2; k++) {
                const float2 both = *reinterpret_cast<const float2*>(q + step * 16 + 8 * k);
                queries[step][half + 2 * k] = two_halves(both.x * scale, both.y * scale);
            }
        }
    }
    float out[kHead / 8][4];
    float largest[2] = {-INFINITY, -INFINITY}, sum[2] = {};  // sum: of this thread's columns
    SIMT_UNROLL
    for (int half = 0; half < 2; half++) {
        const float* before = w.out.row(rows[half]) + 2 * q4;
        if (w.first > 0) {
            const float2 state =
                w.state[(rows[half] - static_cast<int64_t>(w.first_row) * w.n_heads)];
            largest[half] = state.x;
            sum[half] = q4 == 0 ? state.y : 0.0F;
        }
        SIMT_UNROLL
        for (int n = 0; n < kHead / 8; n++) {
            const float2 both =
                w.first > 0 ? *reinterpret_cast<const float2*>(before + n * 8) : make_float2(0, 0);
            out[n][2 * half] = both.x;
            out[n][2 * half + 1] = both.y;
        }
    }

    for (int first = 0, turn = 0; first < n_keys; first += kTile, turn ^= 1) {
        simt::cp_async_wait<0>();
        __syncthreads();  // the tile is there for all, and all have done with the one before
        if (first + kTile < n_keys) {
            issue(source, first + kTile, w.count, turn ^ 1, s);
        }
        if (first > at + 15) {
            continue;  // no row of this warp sees it
        }
        float score[kTile / 8][4] = {};
        SIMT_UNROLL
        for (int step = 0; step < kHead / 16; step++) {
            SIMT_UNROLL
            for (int n = 0; n < kTile / 16; n++) {
                uint32_t k[4];
                simt::ldmatrix(k, &s.keys[turn][n * 16 + (lane & 7) + 8 * (lane >> 4)]
                                         [step * 16 + 8 * (lane >> 3 & 1)]);
                const uint32_t low[2] = {k[0], k[1]}, high[2] = {k[2], k[3]};
                simt::mma_f16(score[2 * n], queries[step], low);
                simt::mma_f16(score[2 * n + 1], queries[step], high);
            }
        }
        if (first + kTile - 1 > at) {
            SIMT_UNROLL
            for (int n = 0; n < kTile / 8; n++) {
                SIMT_UNROLL
                for (int i = 0; i < 4; i++) {
                    if (!simt::bound(first + n * 8 + 2 * q4 + (i & 1) <= at + g + 8 * (i >> 1))) {
                        score[n][i] = -INFINITY;
                    }
                }
            }
        }
        float factor[2];
        SIMT_UNROLL
        for (int half = 0; half < 2; half++) {
            float most = largest[half];
            SIMT_UNROLL
            for (int n = 0; n < kTile / 8; n++) {
                most = fmaxf(most, fmaxf(score[n][2 * half], score[n][2 * half + 1]));
            }
            most = fmaxf(most, __shfl_xor_sync(kAll, most, 1));
            most = fmaxf(most, __shfl_xor_sync(kAll, most, 2));
            const float base = most == -INFINITY ? 0 : most;  // nothing seen yet: all weights 0
            factor[half] = exp2f(largest[half] - base);
            largest[half] = most;
            float added = 0;
            SIMT_UNROLL
            for (int n = 0; n < kTile / 8; n++) {
                SIMT_UNROLL
                for (int i = 2 * half; i < 2 * half + 2; i++) {
                    score[n][i] = exp2f(score[n][i] - base);
                    added += score[n][i];
                }
            }
            sum[half] = sum[half] * factor[half] + added;
        }
        if (__any_sync(kAll, static_cast<int>(factor[0] != 1 || factor[1] != 1))) {
            SIMT_UNROLL
            for (int n = 0; n < kHead / 8; n++) {
                out[n][0] *= factor[0];
                out[n][1] *= factor[0];
                out[n][2] *= factor[1];
                out[n][3] *= factor[1];
            }
        }
        SIMT_UNROLL
        for (int step = 0; step < kTile / 16; step++) {
            const uint32_t p[4] = {two_halves(score[2 * step][0], score[2 * step][1]),
                                   two_halves(score[2 * step][2], score[2 * step][3]),
                                   two_halves(score[2 * step + 1][0], score[2 * step + 1][1]),
                                   two_halves(score[2 * step + 1][2], score[2 * step + 1][3])};
            SIMT_UNROLL
            for (int n = 0; n < kHead / 16; n++) {
                uint32_t v[4];
                simt::ldmatrix<true>(
                    v, &s.values[turn][step * 16 + (lane & 15)][n * 16 + 8 * (lane >> 4)]);
                const uint32_t low[2] = {v[0], v[1]}, high[2] = {v[2], v[3]};
                simt::mma_f16(out[2 * n], p, low);
                simt::mma_f16(out[2 * n + 1], p, high);
            }
        }
    }

    const bool done = w.first + w.count > last;
    SIMT_UNROLL
    for (int half = 0; half < 2; half++) {
        float all = sum[half];
        all += __shfl_xor_sync(kAll, all, 1);
        all += __shfl_xor_sync(kAll, all, 2);
        if (mine + g + 8 * half >= w.n_tokens) {
            continue;
        }
        const float factor = done ? 1.0F / all : 1.0F;
        float* to = w.out.row(rows[half]) + 2 * q4;
        SIMT_UNROLL
        for (int n = 0; n < kHead / 8; n++) {
            *reinterpret_cast<float2*>(to + n * 8) =
                make_float2(out[n][2 * half] * factor, out[n][2 * half + 1] * factor);
        }
        if (!done && q4 == 0) {
            w.state[(rows[half] - static_cast<int64_t>(w.first_row) * w.n_heads)] =
                make_float2(largest[half], all);
        }
    }
}

}  // namespace

void launch_prefill(const Expand& w, simt::Stream stream) {
    static_assert(sizeof(Tiles) <= simt::kSharedBytes);
    simt::launch({dim3(static_cast<unsigned>((w.n_tokens + kQueries - 1) / kQueries),
                       static_cast<unsigned>(w.n_heads)),
                  kThreads, sizeof(Tiles), stream},
                 prefill_kernel, w);
}

}  // namespace kernels::cuda
