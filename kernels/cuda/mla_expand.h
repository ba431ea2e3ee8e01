// Attention of a long span of query tokens, expanded form: keys and values of all heads are made
// from a piece of the cached rows, ordinary attention runs over them, and its sums go on with the
// next piece. What the launches do; mla.h has the absorbed form, for few tokens.
//
//   expand_weights   k_b, v_b                 -> weights      once a layer
//   unpack_rows      a piece's K rows         -> latents
//   project          latents . weights        -> keys_values
//   prefill          q, keys_values, latents  -> out, state
#pragma once

#include "kernels/cuda/mla.h"

namespace kernels::cuda {

// Sizes of the model these kernels are for.
inline constexpr int kExpandLatent = 512;  // L
inline constexpr int kExpandRotary = 64;   // R
inline constexpr int kExpandNope = 192;    // N
inline constexpr int kExpandValue = 256;   // V
inline constexpr int kExpandRow = kExpandNope + kExpandValue;

// A weight [H, M, C].
struct HeadWeight {
    const std::byte* data = nullptr;
    DType type = DType::f32;
    int64_t row_bytes = 0;
    int64_t head_bytes = 0;
};

struct Expand {
    KRows rows;
    std::byte* const* pages = nullptr;  // of the sequence, on the device
    HeadWeight k_b;                     // [H, L, N]
    HeadWeight v_b;                     // [H, V, L]
    int32_t n_heads = 0;

    Rows q;                 // [T, H, N+R]: row t * H + h
    Rows out;               // [T, H, V]; between pieces, sums that are not divided yet
    int32_t first_row = 0;  // of the span, in q and out
    int32_t n_tokens = 0;   // of the span
    int32_t position = 0;   // of its first token
    float scale = 1;

    // The piece: cached positions [first, first + count), count <= piece_tokens.
    int32_t first = 0;
    int32_t count = 0;
    int32_t piece_tokens = 0;

    uint16_t* weights = nullptr;      // f16 [H, N+V, L]: k_b transposed, then v_b
    uint16_t* latents = nullptr;      // f16 [piece_tokens, L+R]
    uint16_t* keys_values = nullptr;  // f16 [H, piece_tokens, N+V]
    float2* state = nullptr;          // [n_tokens, H]: maximum of the scores, base 2, and sum
};

// Rows of any type but f32, which is for comparisons and takes the plain kernel.
bool has_mla_prefill(const KRows& rows, int64_t nope, int64_t value);
void launch_expand_weights(const Expand& work, simt::Stream stream);
void launch_unpack_rows(const Expand& work, simt::Stream stream);
void launch_project(const Expand& work, simt::Stream stream);
void launch_prefill(const Expand& work, simt::Stream stream);

}  // namespace kernels::cuda
