// The choice of experts from a token's scores, and the order of few pairs: for kernels that route.
#pragma once

#include "kernels/cuda/rows.h"

namespace kernels::cuda {

// The experts of a token, by one warp: the one with the largest score + bias first; equal ones by
// their number; NaN last. scores: room for 2 E numbers.
__device__ __forceinline__ void choose(const Route& r, int token, float* scores) {
    float* score = scores;               // [E]
    float* rank = scores + r.n_experts;  // [E]; of one taken: NaN
    const int lane = threadIdx.x & 31;
    for (int e = lane; e < r.n_experts; e += 32) {
        const float s =
            1.0F / (1.0F + expf(-__ldcg(r.logits + static_cast<int64_t>(token) * r.n_experts + e)));
        const float v = r.bias != nullptr ? s + r.bias[e] : s;
        score[e] = s;
        rank[e] = v != v ? -INFINITY : v;
    }
    float total = 0;
    int32_t* chosen = r.chosen + token * r.n_used;
    float* weights = r.weights + token * r.n_used;
    for (int k = 0; k < r.n_used; k++) {
        int best = r.n_experts;
        float value = -INFINITY;
        for (int e = lane; e < r.n_experts; e += 32) {
            if (rank[e] == rank[e] && (best == r.n_experts || rank[e] > value)) {
                best = e;
                value = rank[e];
            }
        }
        SIMT_UNROLL
        for (int o = 16; o > 0; o >>= 1) {
            const int other = __shfl_xor_sync(0xFFFFFFFFU, best, o);
            const float theirs = __shfl_xor_sync(0xFFFFFFFFU, value, o);
            const bool better = theirs > value || (theirs == value && other < best);
            if (other < r.n_experts && (best == r.n_experts || better)) {
                best = other;
                value = theirs;
            }
        }
        if (lane == best % 32) {
            rank[best] = NAN;
            chosen[k] = best;
            weights[k] = score[best];
        }
        __syncwarp();
        total += score[best];
    }
    const float divisor =
        r.normalize ? fmaxf(total, 0x1p-14F) : 1.0F;  // the floor: the smallest normal half
    for (int k = lane; k < r.n_used; k += 32) {
        weights[k] = weights[k] / divisor * r.scale;
    }
}

// All of few_pairs(), by a block of at least a warp a token: the first warp orders the pairs, one a
// lane. scores: room for 2 E numbers a token.
__device__ __forceinline__ void route_few(const Route& r, float* scores) {
    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
    if (warp < r.n_tokens) {
        choose(r, warp, scores + warp * 2 * r.n_experts);
    }
    __syncthreads();
    if (warp != 0) {
        return;
    }
    const int n_pairs = r.n_tokens * r.n_used;
    const int mine = lane < n_pairs ? r.chosen[lane] : r.n_experts;
    int place = 0, among = 0, count = 0;  // in the order of experts; of the same expert
    for (int i = 0; i < n_pairs; i++) {
        const int other = __shfl_sync(0xFFFFFFFFU, mine, i);
        place += other < mine || (other == mine && i < lane);
        among += other == mine && i < lane;
        count += other == mine;
    }
    const bool begins = lane < n_pairs && among % r.item_slots == 0;
    int item = 0;
    for (int i = 0; i < n_pairs; i++) {
        const bool before = __shfl_sync(0xFFFFFFFFU, place, i) < place;
        item += __shfl_sync(0xFFFFFFFFU, static_cast<int>(begins), i) != 0 && before;
    }
    if (lane < n_pairs) {
        r.pairs[place] = lane;
    }
    if (begins) {
        r.items[item] = {mine, place, min(r.item_slots, count - among)};
    }
    const unsigned all = __ballot_sync(0xFFFFFFFFU, begins);
    if (lane == 0) {
        *r.n_items = __popc(all);
    }
}

}  // namespace kernels::cuda
