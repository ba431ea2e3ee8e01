// Products along a row with AVX2, for few activation rows: the order of matmul_variants.h, 256
// weights at a time. Reads each weight once, in order. The integer of each part is exact, so its
// sums are taken as comes cheapest: as long as they fit in 16 bits, sums of two products are added
// crosswise, which leaves eight vectors of one part each as one vector of eight parts.
//
// Everything is in an anonymous namespace, and no inline function of another header is called.
#pragma once

#include "kernels/cpu/matmul_variants.h"
#include "kernels/cpu/x86_codes.h"

namespace kernels::cpu {
namespace {

// Weights are asked for this far ahead. The processor's own look-ahead stops at the end of a page,
// and a block is worked on too long for the next lines to be found in time: without it Q4_K was
// read from memory at 7.5 GB/s a core, with 1024 at 10.7, 2048 at 12.1, 8192 at 8.2 (Sapphire
// Rapids, other work running; a plain read reaches 15). The last lines of a tensor ask past its
// end, which is harmless.
constexpr int64_t kAhead = 2048;

inline float sum_of_lanes(__m256 v) {
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}

#define KERNELS_INLINE [[gnu::always_inline]] inline

// Numbers of a and b in turn, each the sum of one of the first half and one of the second.
KERNELS_INLINE __m256i crosswise_16(__m256i a, __m256i b) {
    return _mm256_add_epi16(_mm256_unpacklo_epi16(a, b), _mm256_unpackhi_epi16(a, b));
}
KERNELS_INLINE __m256i crosswise_32(__m256i a, __m256i b) {
    return _mm256_add_epi32(_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
}
KERNELS_INLINE __m256i crosswise_64(__m256i a, __m256i b) {
    return _mm256_add_epi32(_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
}

// The sums of eight vectors of eight.
KERNELS_INLINE __m256i sums_of_8(const __m256i* v) {
    const __m256i a = crosswise_64(crosswise_32(v[0], v[1]), crosswise_32(v[2], v[3]));
    const __m256i b = crosswise_64(crosswise_32(v[4], v[5]), crosswise_32(v[6], v[7]));
    return _mm256_add_epi32(_mm256_permute2x128_si256(a, b, 0x20),
                            _mm256_permute2x128_si256(a, b, 0x31));
}

// The sums of eight vectors of 16, four of which (or eight with `all`) fit in 16 bits.
template <bool all>
KERNELS_INLINE __m256i sums_of_16(const __m256i* v) {
    const auto halves = [](__m256i pair) {
        return _mm256_add_epi32(_mm256_cvtepi16_epi32(_mm256_castsi256_si128(pair)),
                                _mm256_cvtepi16_epi32(_mm256_extracti128_si256(pair, 1)));
    };
    const auto four = [&](const __m256i* p) {
        const __m256i a = crosswise_16(p[0], p[1]), b = crosswise_16(p[2], p[3]);
        return _mm256_add_epi16(_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
    };
    // words of each half: parts 0 1 2 3 0 1 2 3, and 4 5 6 7 4 5 6 7
    const __m256i a = four(v), b = four(v + 4);
    const __m256i low = _mm256_unpacklo_epi64(a, b), high = _mm256_unpackhi_epi64(a, b);
    if constexpr (all) {
        return halves(_mm256_add_epi16(low, high));
    } else {
        return _mm256_add_epi32(halves(low), halves(high));
    }
}

// Sums of two products, of codes as they are in a group.
template <typename Block>
KERNELS_INLINE __m256i pair_products(__m256i codes, __m256i x) {
    if constexpr (Codes<Block>::kOffset == 128) {
        return _mm256_maddubs_epi16(_mm256_abs_epi8(codes), _mm256_sign_epi8(x, codes));
    } else {
        return _mm256_maddubs_epi16(codes, x);
    }
}

// The integer of each of eight parts.
template <typename Block>
KERNELS_INLINE __m256i group_dots(const Group& w, const int8_t* q, __m256i sums) {
    using Format = Codes<Block>;
    constexpr bool kIsSigned = Format::kOffset == 128;  // sums of two of these are as large as fit
    constexpr int kFit = 32767 / (2 * 127 * Format::kLargest);
    const __m256i one = _mm256_set1_epi16(1);
    __m256i dots[8];
    __m256i total;
    if constexpr (Format::kApart) {
        // In each half of a vector is one part: there is half as much to add crosswise.
        for (int k = 0; k < 4; k++) {
            const int8_t *a = q + 32 * k, *b = a + 128;
            const __m256i first =
                _mm256_blend_epi32(load_32(a), _mm256_broadcastsi128_si256(load_16(b)), 0xF0);
            const __m256i second =
                _mm256_blend_epi32(_mm256_broadcastsi128_si256(load_16(a + 16)), load_32(b), 0xF0);
            const __m256i low = pair_products<Block>(w.codes[2 * k], first);
            const __m256i high = pair_products<Block>(w.codes[2 * k + 1], second);
            if constexpr (kIsSigned) {
                dots[k] =
                    _mm256_add_epi32(_mm256_madd_epi16(low, one), _mm256_madd_epi16(high, one));
            } else {
                dots[k] = _mm256_madd_epi16(_mm256_add_epi16(low, high), one);
            }
        }
        total = crosswise_64(crosswise_32(dots[0], dots[1]), crosswise_32(dots[2], dots[3]));
    } else if constexpr (Block::kSubScales) {
        // Factors of even parts in the low half, of odd parts in the high half; part j takes word j
        // of each.
        const __m128i order = _mm_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15);
        const __m256i factors = _mm256_cvtepi8_epi16(_mm_shuffle_epi8(w.sub_scale, order));
        for (int j = 0; j < 8; j++) {
            const __m256i pairs = pair_products<Block>(w.codes[j], load_32(q + 32 * j));
            const auto word = static_cast<int16_t>(2 * j | (2 * j + 1) << 8);
            dots[j] =
                _mm256_madd_epi16(pairs, _mm256_shuffle_epi8(factors, _mm256_set1_epi16(word)));
        }
        total = sums_of_8(dots);
    } else {
        for (int j = 0; j < 8; j++) {
            dots[j] = pair_products<Block>(w.codes[j], load_32(q + 32 * j));
            if constexpr (kIsSigned) {
                dots[j] = _mm256_madd_epi16(dots[j], one);
            }
        }
        if constexpr (kIsSigned) {
            total = sums_of_8(dots);
        } else {
            total = sums_of_16<(kFit >= 8)>(dots);
        }
    }
    if constexpr (Format::kOffset != 0 && !kIsSigned) {
        const __m256i offset = _mm256_set1_epi16(Format::kOffset);
        if constexpr (Block::kSubScales) {
            const __m256i factors = _mm256_cvtepi8_epi16(w.sub_scale);
            const __m256i excess = _mm256_madd_epi16(_mm256_mullo_epi16(factors, offset), sums);
            total = _mm256_sub_epi32(total, excess);
        } else {
            total = _mm256_sub_epi32(total, _mm256_madd_epi16(sums, offset));
        }
    }
    return total;
}

template <typename Block>
KERNELS_INLINE __m256 add_group(__m256 lanes, const Group& w, const PackedRow& x, int64_t part) {
    const __m256i sums = load_32(x.sum + 2 * part);
    const __m256 x_scale = _mm256_loadu_ps(x.scale + part);
    const __m256i dots = group_dots<Block>(w, x.q + 32 * part, sums);
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
void along_row(const MatmulJob& job, int64_t m, int64_t first_row) {
    constexpr int64_t kGroupBytes = 256 / Block::kElements * static_cast<int64_t>(sizeof(Block));
    const std::byte* src = job.weight + m * job.weight_stride_bytes;
    PackedRow x[rows];
    __m256 lanes[rows];
    for (int t = 0; t < rows; t++) {
        x[t] = packed_row(job.x[first_row + t], job.cols);
        lanes[t] = _mm256_setzero_ps();
    }
    const int64_t parts = job.cols / 32;
    int64_t part = 0;
    Group w;
    for (; part + 8 <= parts; part += 8, src += kGroupBytes) {
        for (int64_t line = 0; line < kGroupBytes; line += 64) {
            _mm_prefetch(reinterpret_cast<const char*>(src) + kAhead + line, _MM_HINT_T0);
        }
        load_group<Block>(src, w);
        for (int t = 0; t < rows; t++) {
            lanes[t] = add_group<Block>(lanes[t], w, x[t], part);
        }
    }
    if constexpr (Block::kElements == 32) {
        if (part < parts) {
            // Fewer than eight blocks: zeros take the place of the others, and their lanes stay.
            std::byte rest[kGroupBytes] = {};
            std::memcpy(rest, src, static_cast<size_t>(parts - part) * sizeof(Block));
            load_group<Block>(rest, w);
            const __m256i count = _mm256_set1_epi32(static_cast<int>(parts - part));
            const __m256 present = _mm256_castsi256_ps(
                _mm256_cmpgt_epi32(count, _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)));
            for (int t = 0; t < rows; t++) {
                const __m256 more = add_group<Block>(lanes[t], w, x[t], part);
                lanes[t] = _mm256_blendv_ps(lanes[t], more, present);
            }
        }
    }
    for (int t = 0; t < rows; t++) {
        job.out[(first_row + t) * job.out_stride + m - job.m_begin] = sum_of_lanes(lanes[t]);
    }
}

#undef KERNELS_INLINE

}  // namespace
}  // namespace kernels::cpu
