// Kernels on rows: embedding, rotary positions with the write of K rows, routing, and the sum of
// experts.
#pragma once

#include "kernels/cuda/products.h"

namespace kernels::cuda {

// Where a token of the pass stands.
struct TokenPlace {
    int32_t position = 0;
    int32_t table = 0;  // where its sequence's page addresses begin in BatchTables::pages
};

// How the tokens of a pass lie in pages, on the device. One set serves all layers of a pass.
struct BatchTables {
    const TokenPlace* places = nullptr;  // [T]
    std::byte* const* pages =
        nullptr;  // addresses of the pages of all sequences, one after the other
};

struct KRows {
    int64_t layer_offset_bytes = 0;
    int64_t row_bytes = 0;
    DType dtype = DType::f16;
    int32_t latent = 0;
    int32_t rotary = 0;
    // Rows are KType::q8_latent(), with these parts (k_type.h: LatentRow); dtype is not used.
    bool int8_latent = false;
    int32_t rotary_at = 0;
    int32_t scales_at = 0;
};

// out [n, C] dense = rows ids[] of the table
void launch_embed(float* out,
                  DType type,
                  const std::byte* table,
                  int64_t row_bytes,
                  const int32_t* ids,
                  int32_t n,
                  int32_t cols,
                  simt::Stream stream);

// turns [T, R]: cosine and sine of each pair of a token's rotary numbers. Once for all layers: in
// double precision they take a while.
void launch_turns(float* turns,
                  const TokenPlace* places,
                  int32_t n_tokens,
                  int32_t rotary,
                  float freq_base,
                  simt::Stream stream);

struct RotateAndStore {
    BatchTables batch;
    KRows rows;
    Rows q;  // [T, H, N+R]: row t * H + h
    int32_t n_tokens = 0;
    int32_t n_heads = 0;
    int32_t head = 0;             // N+R
    Rows kv;                      // [T, L+R]
    const float* norm = nullptr;  // [L]
    float eps = 0;
    const float* turns = nullptr;  // launch_turns()
};
void launch_rotate_and_store(const RotateAndStore& work, simt::Stream stream);

struct Route {
    const float* logits = nullptr;  // [T, E]
    const float* bias = nullptr;    // [E] or null
    int32_t n_tokens = 0;
    int32_t n_experts = 0;
    int32_t n_used = 0;
    bool normalize = true;
    float scale = 1;
    int32_t* chosen = nullptr;  // [T, K], best first
    float* weights = nullptr;   // [T, K]
    int32_t item_slots = kTileTokens;
    WorkItem* items = nullptr;  // of at most item_slots pairs of one expert
    int32_t* n_items = nullptr;
    int32_t* pairs = nullptr;  // [T * K], ordered by expert
};
void launch_route(const Route& route, simt::Stream stream);

// One block routes them, which so may be the last one of the router's product.
inline bool few_pairs(const Route& r) {
    return r.n_tokens <= 8 && r.n_tokens * r.n_used <= 32 &&
           int64_t{r.n_tokens} * r.n_experts * 2 * static_cast<int64_t>(sizeof(float)) <= 32 * 1024;
}

// The router's product, to route.logits, with the choice of few_pairs() behind it in one launch.
// false: not of these weights, and nothing was launched. *ticket: 0, for this alone.
bool launch_router(
    DType type, const Products& router, const Route& route, unsigned* ticket, simt::Stream stream);

// x[t] += sum over k, in order, of weights[t, k] * routed[t * K + k], then + shared[t] (or null)
void launch_combine(const Rows& x,
                    const float* routed,
                    const float* weights,
                    const float* shared,
                    int32_t n_tokens,
                    int32_t n_used,
                    int32_t cols,
                    simt::Stream stream);

}  // namespace kernels::cuda
