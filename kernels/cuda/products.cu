// Matrix times a few vectors, for every element type: a block stages up to four rows of activations
// in shared memory (normed, or gated, and for block types rounded to int8 in groups of 32), then
// each warp makes four rows of the result.
//
// FLOP per weight byte at one token and Q4_K: 3.5; the bandwidth of the weights is the limit up to
// 32 tokens.
#include <algorithm>

#include "kernels/check.h"
#include "kernels/cuda/decode.cuh"
#include "kernels/cuda/products.h"

namespace kernels::cuda {
namespace {

constexpr int kWarps = kProductThreads / 32;
constexpr int kBlockRows = kWarps * kRowsPerWarp;
constexpr unsigned kAll = 0xFFFFFFFFU;
constexpr size_t kStagedBytes = simt::kSharedBytes - 1024;  // the rest is for the norm's sums

// Staged rows. Block types:  words [Tokens][8][G] of int8 codes, then scales [Tokens][G]; G groups
// of 32. Word i of group g lies at i * G + g, so that the lanes of a warp, a group each, read
// neighbouring words. Float types: floats [Tokens][C].
template <DType type>
__host__ __device__ constexpr size_t staged_bytes(int cols, int tokens) {
    return static_cast<size_t>(tokens) * (kIsFloat<type> ? cols * 4 : cols + cols / 32 * 4);
}

__device__ __forceinline__ float warp_sum(float v) {
    SIMT_UNROLL
    for (int o = 16; o > 0; o >>= 1) {
        v += __shfl_xor_sync(kAll, v, o);
    }
    return v;
}

struct Slot {
    int32_t source;
    int32_t target;
};

__device__ __forceinline__ Slot slot_of(const Products& p,
                                        int32_t first,
                                        int32_t i,
                                        int32_t expert) {
    if (p.slots == SlotForm::tokens) {
        const int32_t s = first + i;
        return {p.list != nullptr ? p.list[s] : s, s};
    }
    if (p.slots == SlotForm::heads) {
        const int32_t r = (first + i) * p.n_heads + expert;
        return {r, r};
    }
    const int32_t pair = p.pairs[first + i];
    return {pair / p.pairs_a_row, pair};
}

// Which slots this block works on: `count` from `first`, all of one expert. 0 where there is
// nothing to do.
struct Share {
    int32_t expert = 0, first = 0, count = 0;
};

template <int Tokens>
__device__ __forceinline__ Share share_of(const Products& p, int32_t y) {
    Share s;
    if (p.slots == SlotForm::routed) {
        if (y < *p.n_items) {
            s = {p.items[y].expert, p.items[y].begin, p.items[y].count};
        }
        return s;
    }
    const int32_t tiles = (p.n_slots + Tokens - 1) / Tokens;
    s.expert = y / tiles;
    s.first = y % tiles * Tokens;
    s.count = min(Tokens, p.n_slots - s.first);
    return s;
}

// The activation at column c of a slot's row, before rounding.
__device__ __forceinline__ float activation(
    const Products& p, const float* x, const float* up, float factor, int c) {
    if (p.input == InputForm::normed) {
        return x[c] * factor * p.norm[c];
    }
    if (p.input == InputForm::gated) {
        return x[c] / (1.0F + expf(-x[c])) * up[c];
    }
    return x[c];
}

template <DType type, int Tokens>
__device__ __forceinline__ void stage(const Products& p,
                                      const Share& share,
                                      unsigned char* staged) {
    SIMT_SHARED(float, squares, [Tokens][kWarps]);
    const int t = threadIdx.x, lane = t & 31, warp = t >> 5;
    float factor[Tokens] = {};
    if (p.input == InputForm::normed) {
        SIMT_UNROLL
        for (int i = 0; i < Tokens; i++) {
            float sum = 0;
            if (i < share.count) {
                const float* x = p.x.row(slot_of(p, share.first, i, share.expert).source);
                for (int c = t; c < p.cols; c += kProductThreads) {
                    sum += x[c] * x[c];
                }
            }
            sum = warp_sum(sum);
            if (lane == 0) {
                squares[i][warp] = sum;
            }
        }
        __syncthreads();
        SIMT_UNROLL
        for (int i = 0; i < Tokens; i++) {
            float sum = 0;
            SIMT_UNROLL
            for (int w = 0; w < kWarps; w++) {
                sum += squares[i][w];
            }
            factor[i] = 1.0F / sqrtf(sum / static_cast<float>(p.cols) + p.eps);
        }
    }
    SIMT_UNROLL
    for (int i = 0; i < Tokens; i++) {
        if (i >= share.count) {
            break;
        }
        const int32_t row = slot_of(p, share.first, i, share.expert).source;
        const float* x = p.x.row(row);
        const float* up = p.input == InputForm::gated ? p.up.row(row) : nullptr;
        if constexpr (kIsFloat<type>) {
            float* out = reinterpret_cast<float*>(staged) + i * p.cols;
            for (int c = t; c < p.cols; c += kProductThreads) {
                out[c] = activation(p, x, up, factor[i], c);
            }
        } else {
            // Eight lanes a group of 32, four numbers a lane.
            const int groups = p.cols / 32;
            auto* words = reinterpret_cast<uint32_t*>(staged) + static_cast<size_t>(i) * 8 * groups;
            auto* scales = reinterpret_cast<float*>(staged + static_cast<size_t>(Tokens) * p.cols) +
                           i * groups;
            const int part = t & 7;
            for (int first = 0; first < groups; first += kProductThreads / 8) {
                const int g = first + t / 8;
                float v[4] = {}, largest = 0;
                if (g < groups) {
                    SIMT_UNROLL
                    for (int k = 0; k < 4; k++) {
                        v[k] = activation(p, x, up, factor[i], g * 32 + part * 4 + k);
                        const float a = fabsf(v[k]);
                        largest = a > largest || a != a ? a : largest;  // keeps NaN
                    }
                }
                SIMT_UNROLL
                for (int o = 4; o > 0; o >>= 1) {
                    const float a = __shfl_xor_sync(kAll, largest, o);
                    largest = a > largest || a != a ? a : largest;
                }
                if (g < groups) {
                    const float d = largest / 127.0F;
                    const bool usable = d > 0 && d <= 3.0e38F;
                    uint32_t word = 0;
                    SIMT_UNROLL
                    for (int k = 0; k < 4; k++) {
                        const int q = usable ? __float2int_rn(v[k] / d) : 0;
                        word |= static_cast<uint32_t>(q & 255) << (8 * k);
                    }
                    words[part * groups + g] = word;
                    if (part == 0) {
                        scales[g] = d;  // infinite or NaN: so is every result
                    }
                }
            }
        }
    }
    __syncthreads();
}

// One row of the weight times the staged rows: this lane's part of the sums.
template <DType type, int Tokens>
__device__ __forceinline__ void row_sums(const std::byte* weight,
                                         const unsigned char* staged,
                                         int cols,
                                         int count,
                                         float (&sum)[Tokens]) {
    const int lane = threadIdx.x & 31;
    if constexpr (kIsFloat<type>) {
        const auto* x = reinterpret_cast<const float*>(staged);
        for (int c = lane; c < cols; c += 32) {
            const float w = element<type>(weight, c);
            SIMT_UNROLL
            for (int i = 0; i < Tokens; i++) {
                if (i < count) {
                    sum[i] += w * x[i * cols + c];
                }
            }
        }
    } else {
        using Block = BlockOf<type>;
        constexpr int kParts = Block::kElements / 32;
        const int groups = cols / 32;
        const auto* blocks = reinterpret_cast<const Block*>(weight);
        for (int g = lane; g < groups; g += 32) {
            Group w;
            Decoder<type>::read(blocks[g / kParts], g % kParts, w);
            SIMT_UNROLL
            for (int i = 0; i < Tokens; i++) {
                if (i >= count) {
                    break;
                }
                const auto* words = reinterpret_cast<const uint32_t*>(staged) +
                                    static_cast<size_t>(i) * 8 * groups + g;
                const float d = reinterpret_cast<const float*>(
                    staged + static_cast<size_t>(Tokens) * cols)[i * groups + g];
                int dot[2] = {}, total[2] = {};
                SIMT_UNROLL
                for (int k = 0; k < 8; k++) {
                    const int x = static_cast<int>(words[k * groups]);
                    dot[k / 4] = __dp4a(static_cast<int>(w.q[k]), x, dot[k / 4]);
                    if constexpr (Decoder<type>::kMinimum) {
                        total[k / 4] = __dp4a(0x01010101, x, total[k / 4]);
                    }
                }
                float part = w.scale[0] * static_cast<float>(dot[0]) +
                             w.scale[1] * static_cast<float>(dot[1]);
                if constexpr (Decoder<type>::kMinimum) {
                    part += w.minimum[0] * static_cast<float>(total[0]) +
                            w.minimum[1] * static_cast<float>(total[1]);
                }
                sum[i] += d * part;
            }
        }
    }
}

// grid (row tiles over all parts, shares of slots)
template <DType type, int Tokens>
__global__ void __launch_bounds__(kProductThreads) products_kernel(Products p, int32_t all_rows) {
    SIMT_DYNAMIC_SHARED(staged);
    const Share share = share_of<Tokens>(p, blockIdx.y);
    if (share.count == 0) {
        return;
    }
    stage<type, Tokens>(p, share, staged);
    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
    for (int k = 0; k < kRowsPerWarp; k++) {
        int32_t row = blockIdx.x * kBlockRows + warp * kRowsPerWarp + k;
        if (row >= all_rows) {
            return;
        }
        int part = 0;
        while (row >= p.parts[part].rows) {
            row -= p.parts[part].rows;
            part++;
        }
        const ProductPart& w = p.parts[part];
        float sum[Tokens] = {};
        row_sums<type, Tokens>(w.weight + share.expert * w.expert_bytes + row * w.row_bytes, staged,
                               p.cols, share.count, sum);
        SIMT_UNROLL
        for (int i = 0; i < Tokens; i++) {
            if (i >= share.count) {
                break;
            }
            sum[i] = warp_sum(sum[i]);
            if (lane == 0) {
                float* out = w.out.row(slot_of(p, share.first, i, share.expert).target) + row;
                *out = p.add ? *out + sum[i] : sum[i];
            }
        }
    }
}

template <DType type, int Tokens>
void launch(const Products& p, simt::Stream stream) {
    int32_t rows = 0;
    for (int i = 0; i < p.n_parts; i++) {
        rows += p.parts[i].rows;
    }
    const int32_t tiles = (p.n_slots + Tokens - 1) / Tokens;
    int32_t shares = tiles;
    if (p.slots == SlotForm::heads) {
        shares = tiles * p.n_heads;
    } else if (p.slots == SlotForm::routed) {
        shares = p.n_slots;  // most_items()
    }
    const dim3 grid(static_cast<unsigned>((rows + kBlockRows - 1) / kBlockRows),
                    static_cast<unsigned>(shares));
    simt::launch({grid, kProductThreads, staged_bytes<type>(p.cols, Tokens), stream},
                 products_kernel<type, Tokens>, p, rows);
}

}  // namespace

void launch_products(DType type, const Products& p, simt::Stream stream) {
    if (p.n_slots == 0 || p.cols == 0) {
        return;
    }
    switch (type) {
#define KERNELS_X(enumerator, ...)                                                                \
    case DType::enumerator:                                                                       \
        if constexpr (DType::enumerator != DType::i32) {                                          \
            const bool one = p.slots != SlotForm::routed && p.n_slots == 1;                       \
            if (one || staged_bytes<DType::enumerator>(p.cols, kTileTokens) > kStagedBytes) {     \
                ENSURE(p.slots != SlotForm::routed, "rows of ", p.cols, " numbers are too wide"); \
                launch<DType::enumerator, 1>(p, stream);                                          \
            } else {                                                                              \
                launch<DType::enumerator, kTileTokens>(p, stream);                                \
            }                                                                                     \
        }                                                                                         \
        break;
        KERNELS_DTYPES(KERNELS_X)
#undef KERNELS_X
    }
}

}  // namespace kernels::cuda
