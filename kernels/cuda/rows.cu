#include "kernels/check.h"
#include "kernels/cuda/decode.cuh"
#include "kernels/cuda/k_row.cuh"
#include "kernels/cuda/route.cuh"

namespace kernels::cuda {
namespace {

constexpr int kThreads = 256;
constexpr unsigned kAll = 0xFFFFFFFFU;

// grid (ids, 32-groups in tiles): there may be more ids than a grid is tall
template <DType type>
__global__ void __launch_bounds__(kThreads) embed_kernel(
    float* out, const std::byte* table, int64_t row_bytes, const int32_t* ids, int32_t cols) {
    simt::let_next_start();
    simt::wait_for_before();
    const std::byte* row = table + ids[blockIdx.x] * row_bytes;
    float* to = out + static_cast<int64_t>(blockIdx.x) * cols;
    const int32_t i = static_cast<int32_t>(blockIdx.y * kThreads + threadIdx.x);
    if constexpr (kIsFloat<type>) {
        if (i < cols) {
            to[i] = element<type>(row, i);
        }
    } else {
        using Block = BlockOf<type>;
        constexpr int kParts = Block::kElements / 32;
        if (i < cols / 32) {
            Group g;
            read_group<type>(reinterpret_cast<const Block*>(row)[i / kParts], i % kParts, g);
            for (int k = 0; k < 32; k++) {
                const auto q =
                    static_cast<float>(static_cast<int8_t>(g.q[k / 4] >> (k % 4 * 8) & 255));
                to[i * 32 + k] = g.scale[k / 16] * q;
                if constexpr (Decoder<type>::kMinimum) {
                    to[i * 32 + k] += g.minimum[k / 16];
                }
            }
        }
    }
}

// A thread a pair of a token.
__global__ void __launch_bounds__(kThreads) turns_kernel(
    float* turns, const TokenPlace* places, int32_t n_tokens, int32_t rotary, float freq_base) {
    simt::let_next_start();
    simt::wait_for_before();
    const int32_t i = static_cast<int32_t>(blockIdx.x * kThreads + threadIdx.x), pairs = rotary / 2;
    if (i < n_tokens * pairs) {
        // In double precision: at position 200,000 a float would leave five bits behind the point.
        const double angle = places[i / pairs].position *
                             pow(static_cast<double>(freq_base), -2.0 * (i % pairs) / rotary);
        turns[2 * i] = static_cast<float>(cos(angle));
        turns[2 * i + 1] = static_cast<float>(sin(angle));
    }
}

// One block a token: the rotary part of every head, then the K row.
__global__ void __launch_bounds__(kThreads) rotate_and_store_kernel(RotateAndStore w) {
    simt::let_next_start();
    simt::wait_for_before();
    SIMT_DYNAMIC_SHARED(bytes);
    SIMT_SHARED(float, part, [kThreads / 32]);
    const int t = threadIdx.x, token = blockIdx.x, rotary = w.rows.rotary, latent = w.rows.latent;
    auto* row = reinterpret_cast<float*>(bytes);  // [L+R]
    const float* turn = w.turns + static_cast<int64_t>(token) * rotary;
    const TokenPlace place = w.batch.places[token];
    const float* kv = w.kv.row(token);
    float sum = 0;
    for (int c = t; c < latent; c += kThreads) {
        sum += kv[c] * kv[c];
    }
    SIMT_UNROLL
    for (int o = 16; o > 0; o >>= 1) {
        sum += __shfl_xor_sync(kAll, sum, o);
    }
    if (t % 32 == 0) {
        part[t / 32] = sum;
    }
    __syncthreads();
    sum = 0;
    for (int i = 0; i < kThreads / 32; i++) {
        sum += part[i];
    }
    const float factor = 1.0F / sqrtf(sum / static_cast<float>(latent) + w.eps);
    for (int i = t; i < w.n_heads * (rotary / 2); i += kThreads) {
        const int h = i / (rotary / 2), k = i % (rotary / 2);
        float* pair = w.q.row(token * w.n_heads + h) + w.head - rotary + 2 * k;
        const float a = pair[0], b = pair[1], c = turn[2 * k], s = turn[2 * k + 1];
        pair[0] = a * c - b * s;
        pair[1] = b * c + a * s;
    }
    for (int c = t; c < latent; c += kThreads) {
        row[c] = kv[c] * factor * w.norm[c];
    }
    for (int k = t; k < rotary / 2; k += kThreads) {
        const float a = kv[latent + 2 * k], b = kv[latent + 2 * k + 1], c = turn[2 * k],
                    s = turn[2 * k + 1];
        row[latent + 2 * k] = a * c - b * s;
        row[latent + 2 * k + 1] = b * c + a * s;
    }
    __syncthreads();
    std::byte* to = w.batch.pages[place.table + place.position / 64] + w.rows.layer_offset_bytes +
                    place.position % 64 * w.rows.row_bytes;
    if (w.rows.int8_latent) {
        store_latent_row(w.rows, to, row);
        return;
    }
    const int units = k_row_units(w.rows);
    for (int i = t; i < units; i += kThreads) {
        store_k_unit(w.rows, to, i, row);
    }
}

// A warp a token.
__global__ void __launch_bounds__(32) choose_kernel(Route r) {
    simt::let_next_start();
    simt::wait_for_before();
    SIMT_DYNAMIC_SHARED(bytes);
    choose(r, blockIdx.x, reinterpret_cast<float*>(bytes));
}

// Up to 32 pairs: everything in one block, a warp a token.
__global__ void __launch_bounds__(kThreads) route_few_kernel(Route r) {
    simt::let_next_start();
    simt::wait_for_before();
    SIMT_DYNAMIC_SHARED(bytes);
    route_few(r, reinterpret_cast<float*>(bytes));
}

// A block an expert: where its pairs begin among those of all, its pairs in their order, and its
// items. Each warp looks at a part of the pairs.
__global__ void __launch_bounds__(kThreads) group_kernel(Route r) {
    simt::let_next_start();
    simt::wait_for_before();
    constexpr int kWarps = kThreads / 32;
    SIMT_DYNAMIC_SHARED(bytes);
    SIMT_SHARED(int32_t, found, [kWarps]);
    SIMT_SHARED(int32_t, begins, [2]);                 // pairs, items
    auto* counts = reinterpret_cast<int32_t*>(bytes);  // [E]
    const int t = threadIdx.x, lane = t & 31, warp = t >> 5, expert = blockIdx.x;
    const int n_pairs = r.n_tokens * r.n_used;
    const int part = (n_pairs + kThreads - 1) / kThreads * 32;
    const int first = warp * part, last = min(first + part, n_pairs);
    for (int e = t; e < r.n_experts; e += kThreads) {
        counts[e] = 0;
    }
    __syncthreads();
    int n = 0;
    for (int i = first; i < last; i += 32) {
        const int chosen = i + lane < last ? r.chosen[i + lane] : -1;
        if (chosen >= 0) {
            atomicAdd(&counts[chosen], 1);
        }
        n += __popc(__ballot_sync(kAll, chosen == expert));
    }
    if (lane == 0) {
        found[warp] = n;
    }
    __syncthreads();
    if (warp == 0) {
        int pairs = 0, items = 0, all = 0;
        for (int e = lane; e < r.n_experts; e += 32) {
            const int of_e = (counts[e] + r.item_slots - 1) / r.item_slots;
            all += of_e;
            if (e < expert) {
                pairs += counts[e];
                items += of_e;
            }
        }
        SIMT_UNROLL
        for (int o = 16; o > 0; o >>= 1) {
            pairs += __shfl_xor_sync(kAll, pairs, o);
            items += __shfl_xor_sync(kAll, items, o);
            all += __shfl_xor_sync(kAll, all, o);
        }
        if (lane == 0) {
            begins[0] = pairs;
            begins[1] = items;
            if (expert == 0) {
                *r.n_items = all;
            }
        }
    }
    __syncthreads();
    int at = begins[0];
    for (int w = 0; w < warp; w++) {
        at += found[w];
    }
    for (int i = first; i < last; i += 32) {
        const bool mine = i + lane < last && r.chosen[i + lane] == expert;
        const unsigned all = __ballot_sync(kAll, mine);
        if (mine) {
            r.pairs[at + __popc(all & ((1U << lane) - 1))] = i + lane;
        }
        at += __popc(all);
    }
    const int count = counts[expert];
    for (int i = t; i * r.item_slots < count; i += kThreads) {
        const int begin = i * r.item_slots;
        r.items[begins[1] + i] = {expert, begins[0] + begin, min(r.item_slots, count - begin)};
    }
}

// grid (tokens, columns in tiles)
__global__ void __launch_bounds__(kThreads) combine_kernel(Rows x,
                                                           const float* routed,
                                                           const float* weights,
                                                           const float* shared,
                                                           int32_t n_used,
                                                           int32_t cols) {
    simt::let_next_start();
    simt::wait_for_before();
    const int32_t c = static_cast<int32_t>(blockIdx.y * kThreads + threadIdx.x), t = blockIdx.x;
    if (c >= cols) {
        return;
    }
    float sum = 0;
    for (int32_t k = 0; k < n_used; k++) {
        const int64_t pair = static_cast<int64_t>(t) * n_used + k;
        sum += weights[pair] * routed[pair * cols + c];
    }
    if (shared != nullptr) {
        sum += shared[static_cast<int64_t>(t) * cols + c];
    }
    x.row(t)[c] += sum;
}

unsigned tiles(int64_t n, int64_t tile) {
    return static_cast<unsigned>((n + tile - 1) / tile);
}

template <DType type>
void embed_rows(float* out,
                const std::byte* table,
                int64_t row_bytes,
                const int32_t* ids,
                int32_t n,
                int32_t cols,
                simt::Stream stream) {
    if constexpr (type != DType::i32) {  // ids are no weights
        const int64_t units = kIsFloat<type> ? cols : cols / 32;
        simt::launch(
            {dim3(static_cast<unsigned>(n), tiles(units, kThreads)), kThreads, 0, stream, true},
            embed_kernel<type>, out, table, row_bytes, ids, cols);
    }
}

}  // namespace

void launch_embed(float* out,
                  DType type,
                  const std::byte* table,
                  int64_t row_bytes,
                  const int32_t* ids,
                  int32_t n,
                  int32_t cols,
                  simt::Stream stream) {
    if (n == 0 || cols == 0) {
        return;
    }
    switch (type) {
#define KERNELS_X(enumerator, ...)                                                  \
    case DType::enumerator:                                                         \
        embed_rows<DType::enumerator>(out, table, row_bytes, ids, n, cols, stream); \
        break;
        KERNELS_DTYPES(KERNELS_X)
#undef KERNELS_X
    }
}

void launch_turns(float* turns,
                  const TokenPlace* places,
                  int32_t n_tokens,
                  int32_t rotary,
                  float freq_base,
                  simt::Stream stream) {
    if (n_tokens > 0) {
        const int64_t pairs = static_cast<int64_t>(n_tokens) * rotary / 2;
        simt::launch({tiles(pairs, kThreads), kThreads, 0, stream, true}, turns_kernel, turns,
                     places, n_tokens, rotary, freq_base);
    }
}

void launch_rotate_and_store(const RotateAndStore& w, simt::Stream stream) {
    if (w.n_tokens == 0) {
        return;
    }
    const size_t shared = static_cast<size_t>(w.rows.rotary + w.rows.latent) * sizeof(float);
    simt::launch({static_cast<unsigned>(w.n_tokens), kThreads, shared, stream, true},
                 rotate_and_store_kernel, w);
}

void launch_route(const Route& r, simt::Stream stream) {
    if (r.n_tokens == 0) {
        return;
    }
    const auto experts = static_cast<size_t>(r.n_experts);
    const auto tokens = static_cast<unsigned>(r.n_tokens);
    const size_t scores = 2 * experts * sizeof(float);
    if (few_pairs(r)) {
        simt::launch({1, tokens * 32, tokens * scores, stream, true}, route_few_kernel, r);
        return;
    }
    simt::launch({tokens, 32, scores, stream, true}, choose_kernel, r);
    simt::launch(
        {static_cast<unsigned>(r.n_experts), kThreads, experts * sizeof(int32_t), stream, true},
        group_kernel, r);
}

void launch_combine(const Rows& x,
                    const float* routed,
                    const float* weights,
                    const float* shared,
                    int32_t n_tokens,
                    int32_t n_used,
                    int32_t cols,
                    simt::Stream stream) {
    if (n_tokens == 0) {
        return;
    }
    simt::launch(
        {dim3(static_cast<unsigned>(n_tokens), tiles(cols, kThreads)), kThreads, 0, stream, true},
        combine_kernel, x, routed, weights, shared, n_used, cols);
}

}  // namespace kernels::cuda
