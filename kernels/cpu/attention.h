// What the files of CPU attention share: the arguments of one call, and K pages as rows of floats.
#pragma once

#include "kernels/cpu/cpu_backend.h"

namespace kernels::cpu {

// From this many tokens of one sequence in a pass on, keys and values are expanded per head; below,
// attention is done on the cached rows themselves. The two round differently, so this must lie
// above the usual pass of 512 tokens: a prompt in chunks of 512 or less gives the same bits however
// it is cut.
//
// Measured on Zen 4 (AVX-512), processor time of one core for one layer of GLM-4.7-Flash's shape,
// f16 rows, q8_0 k_b and v_b by the portable products; "absorbed" in chunks of at most 512:
//     chunk   cached    absorbed   expanded
//       512     8192      2.66 s     2.27 s    too little to give up the same bits for
//      1024     8192      6.34 s     4.63 s
//      2048     2048      5.43 s     2.43 s
// Expanding does 0.88 of the multiplications at 512 tokens, 0.68 at 1,024, 0.58 at 2,048.
// With a matrix unit (attention_tiles.h) the cached rows are always used: absorbed attention
// does 2.1 times the multiplications, at four times the speed.
inline constexpr int64_t kExpandFromTokens = 1024;

// Where the K row of a position of a sequence lies.
static inline std::byte* k_row(const KPages& pages, const SequenceSpan& span, int64_t position) {
    const int32_t page = span.page_table[static_cast<size_t>(position / kPageTokens)];
    return pages.pages[page] + pages.layer_offset_bytes + position % kPageTokens * pages.row_bytes;
}

// Tokens whose absorbed queries and mixed latents are held at a time, those that read the cached
// rows together (queries, sums and weights of so many stay in the second-level cache), and parts
// per thread between two merges, which bounds the memory of unmerged sums at any length; in float
// rows (attention_tiles.h has the others) more parts of fewer tokens.
inline constexpr int64_t kAbsorbTokens = 256;
inline constexpr int64_t kGroupTokens = 4;
inline constexpr int64_t kTiledGroupTokens = 8;
inline constexpr int64_t kPartsPerThread = 8;
inline constexpr int64_t kPartTokensPerThread = kPartsPerThread * kTiledGroupTokens;

struct CpuBackend::Attention {
    const TensorView& heads;  // [T, H, V]
    const TensorView& q;      // [T, H, N+R]
    const TensorView& k_b;    // [H, L, N]
    const TensorView& v_b;    // [H, V, L]
    const KPages& pages;
    float scale;

    int64_t n_heads() const { return q.size[1]; }
    int64_t nope() const { return k_b.size[2]; }
    int64_t value() const { return v_b.size[1]; }
    int64_t latent() const { return pages.latent; }
    int64_t rotary() const { return pages.rotary; }
    int64_t row() const {
        return padded(latent() + rotary());
    }  // floats from one K row to the next in a tile

    int64_t mix() const { return padded(latent()); }
    // Floats of a part's sums for one token and head: mixed latents [mix], then the largest score
    // and the sum of the weights.
    int64_t part_row() const { return mix() + kLanes; }

    const float* query(int64_t token, int64_t head) const {
        return reinterpret_cast<const float*>(q.data + token * q.stride_bytes[0] +
                                              head * q.stride_bytes[1]);
    }
    float* result(int64_t token, int64_t head) const {
        return reinterpret_cast<float*>(heads.data + token * heads.stride_bytes[0] +
                                        head * heads.stride_bytes[1]);
    }

    // tile[r] = row r of page `page` of the sequence, as floats, for r < count; the padding of each
    // row is zero.
    void read_page(const RowKernels& rows,
                   const SequenceSpan& span,
                   int64_t page,
                   int64_t count,
                   float* tile) const;
    // Scores of the page that begins at `position` of the sequence; `next` are the rows that will
    // probably follow, or null. The caller has filled in all but where the rows lie. Returns how to
    // mix the rows as they lie; if there is no way, the tile has them as floats.
    RowMixFunction score_page(const RowKernels& kernels,
                              RowScores& s,
                              const SequenceSpan& span,
                              int64_t position,
                              const std::byte* next) const;
};

// Neighbouring tokens of a sequence that read the cached rows together.
struct CpuBackend::Group {
    const SequenceSpan* span = nullptr;
    int64_t first = 0;  // token of the span
    int64_t count = 0;
    int64_t local = 0;  // row of the absorbed queries
    int64_t splits = 0;
    int64_t parts_before = 0;  // of the groups before this one
};

}  // namespace kernels::cpu
