// Products along a row with AVX-512, for few activation rows: the order of matmul_variants.h, 256
// weights at a time. The integer of each part is exact, so its sums are taken as comes cheapest:
// four vectors of two parts each are added up crosswise, which is a third of the work of eight
// vectors of one part.
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

// The integer of each of eight parts; `factors` are doubled() sub-scales, if the format has them.
template <typename Block>
__m256i wide_dots(const WideGroup& w, __m512i factors, const int8_t* q, __m256i sums) {
    __m512i dots[4];
    for (int k = 0; k < 4; k++) {
        const __m512i x = _mm512_loadu_si512(q + 64 * k);
        if constexpr (Block::kSubScales) {
            const int f = 4 * k;
            const __m512i each = _mm512_permutexvar_epi32(
                _mm512_setr_epi32(f, f, f, f, f + 1, f + 1, f + 1, f + 1, f + 2, f + 2, f + 2,
                                  f + 2, f + 3, f + 3, f + 3, f + 3),
                factors);
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

template <typename Block>
__m256 add_wide_group(
    __m256 lanes, const WideGroup& w, __m512i factors, const PackedRow& x, int64_t part) {
    const __m256i sums = load_32(x.sum + 2 * part);
    const __m256 x_scale = _mm256_loadu_ps(x.scale + part);
    const __m256i dots = wide_dots<Block>(w, factors, x.q + 32 * part, sums);
    lanes = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dots), _mm256_mul_ps(w.scale, x_scale), lanes);
    if constexpr (Block::kMinimum && Block::kSubScales) {
        const __m256i least = _mm256_madd_epi16(_mm256_cvtepi8_epi16(w.sub_minimum), sums);
        lanes =
            _mm256_fmadd_ps(_mm256_cvtepi32_ps(least), _mm256_mul_ps(w.minimum, x_scale), lanes);
    } else if constexpr (Block::kMinimum) {
        lanes = _mm256_fmadd_ps(w.minimum, _mm256_loadu_ps(x.weighted_sum + part), lanes);
    }
    return lanes;
}

template <typename Block, int rows>
void along_wide_row(const MatmulJob& job, int64_t m, int64_t first_row) {
    constexpr int64_t kGroupBytes = 256 / Block::kElements * static_cast<int64_t>(sizeof(Block));
    const std::byte* src = job.weight + m * job.weight_stride_bytes;
    PackedRow x[rows];
    __m256 lanes[rows];
    for (int t = 0; t < rows; t++) {
        x[t] = packed_row(job.x[first_row + t], job.cols);
        lanes[t] = _mm256_setzero_ps();
    }
    const int64_t parts = job.cols / 32;
    const auto factors_of = [](const WideGroup& w) {
        if constexpr (Block::kSubScales) {
            return doubled(w.sub_scale);
        } else {
            return _mm512_setzero_si512();
        }
    };
    int64_t part = 0;
    WideGroup w;
    for (; part + 8 <= parts; part += 8, src += kGroupBytes) {
        for (int64_t line = 0; line < kGroupBytes; line += 64) {
            _mm_prefetch(reinterpret_cast<const char*>(src) + kAhead + line, _MM_HINT_T0);
        }
        WideCodes<Block>::load(src, w);
        const __m512i factors = factors_of(w);
        for (int t = 0; t < rows; t++) {
            lanes[t] = add_wide_group<Block>(lanes[t], w, factors, x[t], part);
        }
    }
    if constexpr (Block::kElements == 32) {
        if (part < parts) {
            // Fewer than eight blocks: zeros take the place of the others, and their lanes stay.
            std::byte rest[kGroupBytes] = {};
            std::memcpy(rest, src, static_cast<size_t>(parts - part) * sizeof(Block));
            WideCodes<Block>::load(rest, w);
            const auto present = static_cast<__mmask8>((1U << (parts - part)) - 1);
            for (int t = 0; t < rows; t++) {
                lanes[t] = _mm256_mask_mov_ps(
                    lanes[t], present,
                    add_wide_group<Block>(lanes[t], w, factors_of(w), x[t], part));
            }
        }
    }
    for (int t = 0; t < rows; t++) {
        job.out[(first_row + t) * job.out_stride + m - job.m_begin] = sum_of_lanes(lanes[t]);
    }
}

}  // namespace
}  // namespace kernels::cpu
