// Attention over K rows of any size and type in plain floats: one block a query token and head. For
// models whose rows are not 512 + 64, and for f32 caches, which exist for comparisons; nothing here
// is fast.
#include "kernels/check.h"
#include "kernels/cuda/k_row.cuh"
#include "kernels/cuda/mla.h"

namespace kernels::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kTile = 32;
constexpr int kMost = 1024 / kThreads;  // numbers of the latent a thread sums up
constexpr unsigned kAll = 0xFFFFFFFFU;

__global__ void __launch_bounds__(kThreads) mla_any_kernel(Attend w) {
    SIMT_DYNAMIC_SHARED(bytes);
    SIMT_SHARED(float, scores, [kTile]);
    auto* query = reinterpret_cast<float*>(bytes);  // [L+R]
    const int t = threadIdx.x, lane = t & 31, warp = t >> 5;
    const int latent = w.rows.latent, rotary = w.rows.rotary, n = latent + rotary;
    const int32_t row = blockIdx.x, token = row / w.n_heads;
    const TokenPlace place = w.batch.places[w.first_token + token];
    const float* turned = w.q.row(w.first_token * w.n_heads + row) + w.head - rotary;
    for (int i = t; i < n; i += kThreads) {
        query[i] = i < latent ? w.absorbed.row(row)[i] : turned[i - latent];
    }
    float out[kMost] = {}, largest = -INFINITY, sum = 0;
    for (int first = 0; first <= place.position; first += kTile) {
        const std::byte* page = w.batch.pages[place.table + first / 64] +
                                w.rows.layer_offset_bytes + first % 64 * w.rows.row_bytes;
        const int count = min(kTile, place.position + 1 - first);
        __syncthreads();  // the query is there; the scores of the tile before are used
        for (int r = warp; r < kTile; r += kThreads / 32) {
            float dot = 0;
            if (r < count) {
                for (int i = lane; i < n; i += 32) {
                    dot += query[i] * k_element(w.rows, page + r * w.rows.row_bytes, i);
                }
            }
            SIMT_UNROLL
            for (int o = 16; o > 0; o >>= 1) {
                dot += __shfl_xor_sync(kAll, dot, o);
            }
            if (lane == 0) {
                scores[r] = dot * w.scale;
            }
        }
        __syncthreads();
        float after = largest;
        for (int r = 0; r < count; r++) {
            after = fmaxf(after, scores[r]);
        }
        const float base = after == -INFINITY ? 0 : after, factor = expf(largest - base);
        largest = after;
        sum *= factor;
        for (int k = 0; k < kMost; k++) {
            out[k] *= factor;
        }
        for (int r = 0; r < count; r++) {
            const float p = expf(scores[r] - base);
            sum += p;
            for (int k = 0; k < kMost; k++) {
                const int i = k * kThreads + t;
                if (i < latent) {
                    out[k] += p * k_element(w.rows, page + r * w.rows.row_bytes, i);
                }
            }
        }
    }
    for (int k = 0; k < kMost; k++) {
        const int i = k * kThreads + t;
        if (i < latent) {
            w.mixed[static_cast<int64_t>(row) * latent + i] = out[k] / sum;
        }
    }
}

}  // namespace

void launch_mla_any(const Attend& w, simt::Stream stream) {
    ENSURE(w.rows.latent <= kMost * kThreads, "K rows of ", w.rows.latent, " latent numbers");
    if (w.n_tokens == 0) {
        return;
    }
    const size_t shared = static_cast<size_t>(w.rows.latent + w.rows.rotary) * sizeof(float);
    simt::launch({static_cast<unsigned>(w.n_tokens * w.n_heads), kThreads, shared, stream},
                 mla_any_kernel, w);
}

}  // namespace kernels::cuda
