// Absorbed attention of some neighbouring tokens over one split of positions, in products of tiles:
// of a matrix unit, or of integers (attention_codes_avx2.cpp). The steps around it (absorbing,
// merging, v_b) are those of attention.cpp. The order of every sum is a function of the position in
// the split and the index in the row alone, so a token has the same bits whatever is computed
// beside it.
//
// With the matrix unit everything is a product of 16-bit floats with sums in float: an operand is a
// sum of bf16 numbers, each the rest of the ones before it. An f16 row is high + low exactly. A
// q8_latent row is high + middle + low to 23 bits at least in the scores, which an exponential
// follows, and high + low to 17 bits where it is mixed. A query is high + middle + low, a weight of
// a position high + low to 17 bits. Products of two parts are left out where both are not the
// first, but for the two seconds of the scores: 2^-25 of a score, 2^-17 of a weight, which is at
// most 1. The scores of q8_0 rows are products of integers (attention_tiles_q8.cpp).
//
// Included by a file compiled for a wider instruction set: plain structs only (matmul_variants.h).
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/dtype.h"

namespace kernels::cpu {

static inline constexpr int64_t kTiledSplitRows = 256;

// Columns are the heads of the group's tokens: column t * heads + h.
struct TiledSplit {
    DType type;  // of the K rows, unless they are q8_latent (kernels/k_type.h):
    bool int8_latent;
    int64_t rotary_at, scales_at;  // then their parts begin there
    const std::byte* const* rows;  // K rows of each page of the split, of this layer
    const std::byte* const* next;  // of the split that probably comes next, or null
    int64_t next_pages;
    int64_t row_bytes;
    int64_t latent, rotary;
    int64_t count;  // rows that the group's last token sees, 1 .. split's length
    int64_t seen;   // token t sees rows below seen + t; may be less than 1
    int64_t columns, heads;
    float scale;
    const std::byte* queries;  // packed
    float* part;               // [columns, part_row]: mixed latents, then at `stats` the largest
    int64_t part_row, stats;   // score * scale and the sum of the weights
    std::byte* work;           // work_bytes, 64-byte aligned
};

struct AttentionTiles {
    bool (*takes)(DType type, bool int8_latent, int64_t latent);
    int64_t (*query_bytes)(int64_t columns, int64_t latent, int64_t row);
    int64_t (*work_bytes)(int64_t columns, int64_t row);
    // queries: [columns] of `row` floats, `latent` of them latent, `stride` apart.
    void (*pack_queries)(std::byte* dst,
                         const float* queries,
                         int64_t stride,
                         int64_t columns,
                         int64_t latent,
                         int64_t row);
    // False, and nothing written that counts, if a row that not every token sees holds a NaN or an
    // infinity: zero times that would reach tokens before it. The caller then takes the tokens one
    // by one, which gives the same bits where the rows are sound.
    bool (*attend)(const TiledSplit& split);
    // Reads ahead over neighbouring splits; and never are keys and values worth expanding.
    bool matrix_unit;
    const AttentionTiles* others;  // for rows that these do not take, or null
};

// The machine's, or null: asked once.
const AttentionTiles* attention_tiles();

// Null where the processor or the system does not offer AMX with bf16 and int8.
const AttentionTiles* attention_tiles_amx();
// Part of it: those for q8_0 rows.
extern const AttentionTiles kQ8AttentionTiles;
// For q8_0 and q8_latent rows, with AVX2; in builds for x86-64 only.
extern const AttentionTiles kCodeAttentionAvx2;

}  // namespace kernels::cpu
