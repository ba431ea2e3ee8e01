// Products along a row (x86_rows.h) with AVX-512: four vectors of two parts each are added up
// crosswise, which is a third of the work of eight vectors of one part.
//
// Included by files compiled for AVX-512: everything is in an anonymous namespace (see
// matmul_variants.h).
#pragma once

#include "kernels/cpu/x86_products.h"
#include "kernels/cpu/x86_wide_codes.h"

namespace kernels::cpu {
namespace {

// v[k] holds eight numbers of part 2k and eight of part 2k + 1: the sums of the eight parts.
inline __m256i sums_of_parts(const __m512i* v) {
    const __m512i a =
        _mm512_add_epi32(_mm512_unpacklo_epi32(v[0], v[1]), _mm512_unpackhi_epi32(v[0], v[1]));
    const __m512i b =
        _mm512_add_epi32(_mm512_unpacklo_epi32(v[2], v[3]), _mm512_unpackhi_epi32(v[2], v[3]));
    // words 0..3 of each quarter: a fourth or half of parts 0 2 4 6 (quarters 0 and 1), 1 3 5 7 (2
    // and 3)
    const __m512i c = _mm512_add_epi32(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
    const __m512i low = _mm512_permutexvar_epi32(
        _mm512_setr_epi32(0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15), c);
    return _mm256_add_epi32(_mm512_castsi512_si256(low), _mm512_extracti64x4_epi64(low, 1));
}

// Factors per 16 weights, twice in each word.
inline __m512i doubled(__m128i factors) {
    const __m512i words = _mm512_cvtepi8_epi32(factors);
    return _mm512_mask_blend_epi16(0xAAAAAAAA, words, _mm512_slli_epi32(words, 16));
}

struct WideRowGroup : WideGroup {
    __m512i factors;  // doubled() sub-scales, if the format has them
};

// The integer of each of eight parts.
template <typename Block>
__m256i wide_dots(const WideRowGroup& w, const int8_t* q, __m256i sums) {
    __m512i dots[4];
    for (int k = 0; k < 4; k++) {
        const __m512i x = _mm512_loadu_si512(q + 64 * k);
        if constexpr (Block::kSubScales) {
            const int f = 4 * k;
            const __m512i each = _mm512_permutexvar_epi32(
                _mm512_setr_epi32(f, f, f, f, f + 1, f + 1, f + 1, f + 1, f + 2, f + 2, f + 2,
                                  f + 2, f + 3, f + 3, f + 3, f + 3),
                w.factors);
            dots[k] = _mm512_madd_epi16(_mm512_maddubs_epi16(w.codes[k], x), each);
        } else {
            dots[k] = _mm512_dpbusd_epi32(_mm512_setzero_si512(), w.codes[k], x);
        }
    }
    __m256i total = sums_of_parts(dots);
    constexpr int kOffset = Codes<Block>::kOffset;
    if constexpr (kOffset != 0) {
        const __m256i offset = _mm256_set1_epi16(kOffset);
        if constexpr (Block::kSubScales) {
            const __m256i all = _mm256_mullo_epi16(_mm256_cvtepi8_epi16(w.sub_scale), offset);
            total = _mm256_sub_epi32(total, _mm256_madd_epi16(all, sums));
        } else {
            total = _mm256_sub_epi32(total, _mm256_madd_epi16(sums, offset));
        }
    }
    return total;
}

struct WideRow {
    using Group = WideRowGroup;

    static constexpr int64_t kMostColumns = INT64_MAX;

    template <typename Block, int n>
    class Rows {
    public:
        explicit Rows(const MatmulJob& job) {
            for (int t = 0; t < n; t++) {
                rows_[t] = packed_row(job.x[t], job.cols);
            }
        }
        const PackedRow& operator[](int t) const { return rows_[t]; }

    private:
        PackedRow rows_[n];
    };

    template <typename Block>
    static void load(const std::byte* src, Group& group) {
        WideCodes<Block>::load(src, group);
        if constexpr (Block::kSubScales) {
            group.factors = doubled(group.sub_scale);
        }
    }

    template <typename Block>
    static __m256 add(__m256 lanes, const Group& w, const PackedRow& x, int64_t part) {
        const __m256i sums = load_32(x.sum + 2 * part);
        const __m256i dots = wide_dots<Block>(w, x.q + 32 * part, sums);
        return add_parts<Block>(lanes, w, dots, sums, x, part);
    }
};

}  // namespace
}  // namespace kernels::cpu
