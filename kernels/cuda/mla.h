// Attention of query tokens over paged K rows, absorbed form: what a launch does, and how a
// sequence is cut.
#pragma once

#include "kernels/cuda/rows.h"

namespace kernels::cuda {

// Consecutive query tokens of one sequence that a block works on together.
struct QueryGroup {
    int32_t first_row = 0;  // of the pass
    int32_t n_tokens = 0;
    int32_t position = 0;      // of the first; token i sees positions up to position + i
    int32_t table = 0;         // into BatchTables::pages
    int32_t split_tokens = 0;  // cached tokens a split takes, a multiple of 32: split_tokens_at()
};

struct Attend {
    KRows rows;
    BatchTables batch;
    const QueryGroup* groups = nullptr;
    int32_t n_groups = 0;
    int32_t n_splits = 0;      // the most that a group of the launch has
    int32_t group_tokens = 0;  // the most query tokens of a group
    int32_t n_heads = 0;
    Rows q;            // [T, H, N+R]: its last R numbers; row t * H + h
    int32_t head = 0;  // N+R
    float scale = 1;   // of the scores, before the softmax
    // The tokens that absorbed, mixed, part and weight hold: a long chunk goes in waves, so that
    // they stay small.
    int32_t first_token = 0;
    int32_t n_tokens = 0;
    Rows absorbed;  // [n_tokens, H, L]: k_b times the part of the query without rotary position
    // Of splits, [n_tokens * H, n_splits]: normalised sums in f16 [.., L] and, base 2, (maximum,
    // sum of exponentials).
    uint16_t* part = nullptr;
    float2* weight = nullptr;
    float* mixed = nullptr;  // [n_tokens, H, L]
};

// The tensor-core kernel: L 512, R 64, rows of f16, bf16, q8_0, q4_0 or q8_latent; rows of queries
// at multiples of 8 bytes.
bool has_mla_decode(const KRows& rows);
// Query tokens in a group for this many heads: as many as fill the 40 columns of a block.
int32_t mla_group_tokens(int32_t n_heads);
// Fills part and weight, and for groups of a single split mixed.
void launch_mla_decode(const Attend& work, simt::Stream stream);
void launch_mla_latent(const Attend& work, simt::Stream stream);  // the same of q8_latent rows
// part, weight -> mixed; launches nothing where all groups have a single split.
void launch_mla_merge(const Attend& work, simt::Stream stream);

// Any L up to 1024, any R and row type, in plain floats: small models and f32 caches. Fills mixed;
// needs no groups.
void launch_mla_any(const Attend& work, simt::Stream stream);

}  // namespace kernels::cuda
