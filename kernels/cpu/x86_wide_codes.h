// 256 weights of a row at a time, as x86_codes.h has them, in four vectors of 64: what the AVX-512
// products along a row read. Vector k holds parts 2k and 2k + 1 in their own order, so that 64
// activations meet them as they lie in memory.
//
// Included by files compiled for AVX-512: everything is in an anonymous namespace (see
// matmul_variants.h).
#pragma once

#include "kernels/cpu/x86_codes.h"

namespace kernels::cpu {
namespace {

struct WideGroup {
    __m512i codes[4];     // 64 unsigned bytes each
    __m256 scale;         // one per part
    __m256 minimum;       // one per part
    __m128i sub_scale;    // 16 int8
    __m128i sub_minimum;  // 16 int8
};

inline __m512i bytes_of(int value) {
    return _mm512_set1_epi8(static_cast<char>(value));
}

// `low` in the low half, `high` in the high one; as 64-bit shift counts.
inline __m512i halves(int64_t low, int64_t high) {
    return _mm512_setr_epi64(low, low, low, low, high, high, high, high);
}

inline __m512i twice_32(const void* src) {
    return _mm512_broadcast_i64x4(load_32(src));
}

inline __m512i join(__m256i low, __m256i high) {
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

// a & mask | b
inline __m512i and_or(__m512i a, __m512i mask, __m512i b) {
    return _mm512_ternarylogic_epi64(a, mask, b, 0xEA);
}

// Two runs of 16 bytes -> for each its 16 low nibbles, then its 16 high ones.
inline __m512i nibbles_of_two(const std::byte* first, const std::byte* second) {
    const __m512i bytes = join(_mm256_broadcastsi128_si256(load_16(first)),
                               _mm256_broadcastsi128_si256(load_16(second)));
    const __m512i shifted = _mm512_srlv_epi64(bytes, _mm512_setr_epi64(0, 0, 4, 4, 0, 0, 4, 4));
    return _mm512_and_si512(shifted, bytes_of(15));
}

inline __m512i look_up_wide(const int8_t* table, int offset, __m512i codes) {
    const __m128i values = _mm_add_epi8(load_16(table), _mm_set1_epi8(static_cast<char>(offset)));
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(values), codes);
}

// The half at byte `at` of eight blocks `size` apart.
template <int size>
__m256 gather_halves(const std::byte* src, int at) {
    const __m256i where =
        _mm256_setr_epi32(0, size, 2 * size, 3 * size, 4 * size, 5 * size, 6 * size, 7 * size);
    const __m256i words = _mm256_i32gather_epi32(reinterpret_cast<const int*>(src + at), where, 1);
    return _mm256_cvtph_ps(_mm256_cvtepi32_epi16(words));
}

// WideCodes<Block>::load(src, group): as Codes<Block>, of eight blocks of 32 or one of 256.
template <typename Block>
struct WideCodes;

// Blocks of 32 that begin with a half: `codes_of` gives the 64 codes of two neighbours.
template <typename Block, typename Format>
struct WideCodes32 {
    static void load(const std::byte* src, WideGroup& group) {
        constexpr size_t kSize = sizeof(Block);
        for (size_t k = 0; k < 4; k++) {
            group.codes[k] = Format::codes_of(src + 2 * k * kSize, src + (2 * k + 1) * kSize);
        }
        group.scale = gather_halves<static_cast<int>(kSize)>(src, 0);
        if constexpr (Block::kMinimum) {
            group.minimum = gather_halves<static_cast<int>(kSize)>(src, 2);
        }
    }
};

template <>
struct WideCodes<BlockQ8_0> : WideCodes32<BlockQ8_0, WideCodes<BlockQ8_0>> {
    static __m512i codes_of(const std::byte* a, const std::byte* b) {
        return _mm512_xor_si512(join(load_32(a + 2), load_32(b + 2)), bytes_of(0x80));
    }
};

template <>
struct WideCodes<BlockQ4_0> : WideCodes32<BlockQ4_0, WideCodes<BlockQ4_0>> {
    static __m512i codes_of(const std::byte* a, const std::byte* b) {
        return nibbles_of_two(a + 2, b + 2);
    }
};

template <>
struct WideCodes<BlockQ4_1> : WideCodes32<BlockQ4_1, WideCodes<BlockQ4_1>> {
    static __m512i codes_of(const std::byte* a, const std::byte* b) {
        return nibbles_of_two(a + 4, b + 4);
    }
};

// The fifth bits of two blocks, one bit a code, onto their nibbles.
inline __m512i with_fifth_bits(__m512i nibbles, const std::byte* a, const std::byte* b) {
    const auto bits =
        static_cast<__mmask64>(load_word(a) | static_cast<uint64_t>(load_word(b)) << 32);
    return _mm512_mask_add_epi8(nibbles, bits, nibbles, bytes_of(16));
}

template <>
struct WideCodes<BlockQ5_0> : WideCodes32<BlockQ5_0, WideCodes<BlockQ5_0>> {
    static __m512i codes_of(const std::byte* a, const std::byte* b) {
        return with_fifth_bits(nibbles_of_two(a + 6, b + 6), a + 2, b + 2);
    }
};

template <>
struct WideCodes<BlockQ5_1> : WideCodes32<BlockQ5_1, WideCodes<BlockQ5_1>> {
    static __m512i codes_of(const std::byte* a, const std::byte* b) {
        return with_fifth_bits(nibbles_of_two(a + 8, b + 8), a + 4, b + 4);
    }
};

template <>
struct WideCodes<BlockIQ4_NL> : WideCodes32<BlockIQ4_NL, WideCodes<BlockIQ4_NL>> {
    static __m512i codes_of(const std::byte* a, const std::byte* b) {
        return look_up_wide(kIq4Values, Codes<BlockIQ4_NL>::kOffset, nibbles_of_two(a + 2, b + 2));
    }
};

template <>
struct WideCodes<BlockMXFP4> {
    static void load(const std::byte* src, WideGroup& group) {
        for (size_t k = 0; k < 4; k++) {
            group.codes[k] = look_up_wide(kFp4Values, Codes<BlockMXFP4>::kOffset,
                                          nibbles_of_two(src + 34 * k + 1, src + 34 * k + 18));
        }
        const __m256i where = _mm256_setr_epi32(0, 17, 34, 51, 68, 85, 102, 119);
        const __m256i power =
            _mm256_and_si256(_mm256_i32gather_epi32(reinterpret_cast<const int*>(src), where, 1),
                             _mm256_set1_epi32(255));
        group.scale = Codes<BlockMXFP4>::power_of(power);
    }
};

// scale_min_6bit.h: d and dmin, then twelve bytes of eight pairs.
inline void load_scales_6bit_wide(const std::byte* src, WideGroup& group) {
    const __m128i all = load_16(src);
    const __m128i low = _mm_shuffle_epi8(
        all, _mm_setr_epi8(4, 5, 6, 7, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15));
    const __m128i high = _mm_shuffle_epi8(
        all, _mm_setr_epi8(-1, -1, -1, -1, 4, 5, 6, 7, -1, -1, -1, -1, 8, 9, 10, 11));
    const __m128i low_bits =
        _mm_and_si128(_mm_srlv_epi32(low, _mm_setr_epi32(0, 0, 0, 4)),
                      _mm_setr_epi32(0x3F3F3F3F, 0x0F0F0F0F, 0x3F3F3F3F, 0x0F0F0F0F));
    const __m128i bytes =
        _mm_ternarylogic_epi32(_mm_srli_epi16(high, 2), _mm_set1_epi8(0x30), low_bits, 0xEA);
    const __m512 factors = _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes));
    // d for the scales, -dmin for the minima
    const __m128 two = _mm_cvtph_ps(_mm_xor_si128(all, _mm_setr_epi32(INT32_MIN, 0, 0, 0)));
    const __m512 d =
        _mm512_permutexvar_ps(_mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1),
                              _mm512_castps128_ps512(two));
    const __m512 products = _mm512_mul_ps(d, factors);
    group.scale = _mm512_castps512_ps256(products);
    group.minimum = _mm512_extractf32x8_ps(products, 1);
}

template <>
struct WideCodes<BlockQ4_K> {
    static void load(const std::byte* src, WideGroup& group) {
        load_scales_6bit_wide(src, group);
        for (int c = 0; c < 4; c++) {
            const __m512i bytes = _mm512_srlv_epi64(twice_32(src + 16 + 32 * c), halves(0, 4));
            group.codes[c] = _mm512_and_si512(bytes, bytes_of(15));
        }
    }
};

template <>
struct WideCodes<BlockQ5_K> {
    static void load(const std::byte* src, WideGroup& group) {
        load_scales_6bit_wide(src, group);
        const __m512i high = twice_32(src + 16);
        for (int c = 0; c < 4; c++) {
            const __m512i bytes = _mm512_srlv_epi64(twice_32(src + 48 + 32 * c), halves(0, 4));
            // bit 2c, or 2c + 1, to bit 4
            const __m512i fifth =
                _mm512_rorv_epi64(high, halves((2 * c + 60) % 64, (2 * c + 61) % 64));
            group.codes[c] = and_or(fifth, bytes_of(16), _mm512_and_si512(bytes, bytes_of(15)));
        }
    }
};

template <>
struct WideCodes<BlockIQ4_XS> {
    static void load(const std::byte* src, WideGroup& group) {
        group.scale = Codes<BlockIQ4_XS>::scales(reinterpret_cast<const uint8_t*>(src));
        for (int k = 0; k < 4; k++) {
            group.codes[k] = look_up_wide(kIq4Values, Codes<BlockIQ4_XS>::kOffset,
                                          nibbles_of_two(src + 8 + 32 * k, src + 24 + 32 * k));
        }
    }
};

template <>
struct WideCodes<BlockQ6_K> {
    static void load(const std::byte* src, WideGroup& group) {
        group.scale = _mm256_set1_ps(load_half(src + 208));
        group.sub_scale = load_16(src + 192);
        for (int half = 0; half < 2; half++) {
            const __m512i low = _mm512_loadu_si512(src + 64 * half);
            const __m512i high = twice_32(src + 128 + 32 * half);
            const __m512i first = _mm512_rorv_epi64(high, halves(60, 62));
            const __m512i second = _mm512_srlv_epi64(high, halves(0, 2));
            group.codes[2 * half] =
                and_or(first, bytes_of(0x30), _mm512_and_si512(low, bytes_of(15)));
            group.codes[2 * half + 1] = and_or(
                second, bytes_of(0x30), _mm512_and_si512(_mm512_srli_epi16(low, 4), bytes_of(15)));
        }
    }
};

template <>
struct WideCodes<BlockQ3_K> {
    static void load(const std::byte* src, WideGroup& group) {
        group.scale = _mm256_set1_ps(load_half(src + 108));
        group.sub_scale = Codes<BlockQ3_K>::sub_scales(reinterpret_cast<const uint8_t*>(src));
        const __m512i third = twice_32(src);
        for (int k = 0; k < 4; k++) {
            const __m512i low = _mm512_srlv_epi64(twice_32(src + 32 + 32 * (k / 2)),
                                                  k % 2 == 0 ? halves(0, 2) : halves(4, 6));
            // bit 2k, or 2k + 1, to bit 2
            const __m512i bit =
                _mm512_rorv_epi64(third, halves((2 * k + 62) % 64, (2 * k + 63) % 64));
            group.codes[k] = and_or(bit, bytes_of(4), _mm512_and_si512(low, bytes_of(3)));
        }
    }
};

template <>
struct WideCodes<BlockQ2_K> {
    static void load(const std::byte* src, WideGroup& group) {
        group.scale = _mm256_set1_ps(load_half(src + 80));
        group.minimum = _mm256_set1_ps(-load_half(src + 82));
        const __m128i pairs = load_16(src);
        group.sub_scale = _mm_and_si128(pairs, _mm_set1_epi8(15));
        group.sub_minimum = _mm_and_si128(_mm_srli_epi16(pairs, 4), _mm_set1_epi8(15));
        for (int k = 0; k < 4; k++) {
            const __m512i low = _mm512_srlv_epi64(twice_32(src + 16 + 32 * (k / 2)),
                                                  k % 2 == 0 ? halves(0, 2) : halves(4, 6));
            group.codes[k] = _mm512_and_si512(low, bytes_of(3));
        }
    }
};

}  // namespace
}  // namespace kernels::cpu
