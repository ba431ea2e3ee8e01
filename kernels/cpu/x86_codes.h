// 256 weights of a row at a time, unpacked to bytes in registers: the formats of kernels/quants for
// the AVX2 and AVX-512 products. Codes are unsigned here as far as they may be, q + kOffset, as the
// byte products of these processors want one unsigned operand; the layouts are drawn in
// kernels/quants/<type>.h.
//
// Included by files compiled for wider instruction sets: everything is in an anonymous namespace,
// and no inline function of another header is called (see matmul_variants.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include <immintrin.h>

#include "kernels/quants/blocks.h"

namespace kernels::cpu {
namespace {

// Eight parts of 32 weights. Fields a format does not have are not set.
struct Group {
    __m256i codes[8];     // 2 j + h: the 16 codes of half h of part j, then those of part 4 + j
    __m256 scale;         // one per part
    __m256 minimum;       // one per part
    __m128i sub_scale;    // 16 int8
    __m128i sub_minimum;  // 16 int8
};

inline __m256i load_32(const void* src) {
    return _mm256_loadu_si256(static_cast<const __m256i*>(src));
}

inline __m128i load_16(const void* src) {
    return _mm_loadu_si128(static_cast<const __m128i*>(src));
}

inline uint32_t load_word(const void* src) {
    uint32_t word;
    std::memcpy(&word, src, 4);
    return word;
}

inline float load_half(const void* src) {
    uint16_t half;
    std::memcpy(&half, src, 2);
    return _cvtsh_ss(half);
}

inline __m256i low_nibbles(__m256i bytes) {
    return _mm256_and_si256(bytes, _mm256_set1_epi8(15));
}

inline __m256i high_nibbles(__m256i bytes) {
    return low_nibbles(_mm256_srli_epi16(bytes, 4));
}

// 16 bytes and 16 other ones.
inline __m256i two_16(const void* first, const void* second) {
    return _mm256_inserti128_si256(_mm256_castsi128_si256(load_16(first)), load_16(second), 1);
}

// Bits `shift` and `shift + 1` of each byte.
template <int shift>
__m256i bit_pairs(__m256i bytes) {
    return _mm256_and_si256(_mm256_srli_epi16(bytes, shift), _mm256_set1_epi8(3));
}

// `value` in the bytes that have bit `bit` set, those of the upper half bit 4 + `bit`, else 0.
inline __m256i where_bit(__m256i bytes, int bit, int value) {
    const __m256i mask = _mm256_set_m128i(_mm_set1_epi8(static_cast<char>(16 << bit)),
                                          _mm_set1_epi8(static_cast<char>(1 << bit)));
    const __m256i set = _mm256_cmpeq_epi8(_mm256_and_si256(bytes, mask), mask);
    return _mm256_and_si256(set, _mm256_set1_epi8(static_cast<char>(value)));
}

// Of each half's words, bits [8 byte, 8 byte + 16) in a byte each: 16 where it is set.
inline __m256i fifth_bits(__m256i words, int byte) {
    const int64_t low = byte * 0x0101010101010101, high = low + 0x0101010101010101;
    const __m256i spread = _mm256_shuffle_epi8(words, _mm256_setr_epi64x(low, high, low, high));
    const __m256i bit = _mm256_set1_epi64x(static_cast<int64_t>(0x8040201008040201U));
    const __m256i set = _mm256_cmpeq_epi8(_mm256_and_si256(spread, bit), bit);
    return _mm256_and_si256(set, _mm256_set1_epi8(16));
}

inline __m256i look_up(const int8_t* table, int offset, __m256i codes) {
    const __m128i values = _mm_add_epi8(load_16(table), _mm_set1_epi8(static_cast<char>(offset)));
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(values), codes);
}

// The half at byte `at` of eight blocks `size` apart; 16 bytes of each are read.
template <size_t size>
__m256 halves_of_8(const std::byte* src, size_t at) {
    static_assert(size >= 17);
    const auto two = [&](size_t i) {
        return _mm_unpacklo_epi16(load_16(src + i * size + at), load_16(src + (i + 1) * size + at));
    };
    return _mm256_cvtph_ps(
        _mm_unpacklo_epi64(_mm_unpacklo_epi32(two(0), two(2)), _mm_unpacklo_epi32(two(4), two(6))));
}

// Codes<Block>: kOffset, kLargest (the largest unsigned code), and load() of 256 weights, or
// scale() and minimum() of eight blocks of 32 with codes() of two.
//
// Codes are q + kOffset; those of kOffset 128 are q itself in a group, as their products are too
// large for unsigned ones (see x86_rows.h).
template <typename Block>
struct Codes;

template <typename Block>
struct Codes32 {
    static __m256 scale(const std::byte* src) { return halves_of_8<sizeof(Block)>(src, 0); }
    static __m256 minimum(const std::byte* src) { return halves_of_8<sizeof(Block)>(src, 2); }
};

// With 16 bytes of nibbles from byte `at` on.
template <typename Block, size_t at>
struct Nibbles32 : Codes32<Block> {
    static void codes(const std::byte* first, const std::byte* second, __m256i* codes) {
        const __m256i bytes = two_16(first + at, second + at);
        codes[0] = low_nibbles(bytes);
        codes[1] = high_nibbles(bytes);
    }
};

// And their fifth bits in the four bytes before.
template <typename Block, size_t at>
struct FiveBits32 : Nibbles32<Block, at> {
    static void codes(const std::byte* first, const std::byte* second, __m256i* codes) {
        Nibbles32<Block, at>::codes(first, second, codes);
        const __m256i words = _mm256_blend_epi32(
            _mm256_set1_epi32(static_cast<int>(load_word(first + at - 4))),
            _mm256_set1_epi32(static_cast<int>(load_word(second + at - 4))), 0xF0);
        for (int i = 0; i < 2; i++) {
            codes[i] = _mm256_or_si256(codes[i], fifth_bits(words, 2 * i));
        }
    }
};

template <>
struct Codes<BlockQ8_0> : Codes32<BlockQ8_0> {
    static constexpr int kOffset = 128, kLargest = 255;
    static void codes(const std::byte* first, const std::byte* second, __m256i* codes) {
        codes[0] = two_16(first + 2, second + 2);
        codes[1] = two_16(first + 18, second + 18);
    }
};

template <>
struct Codes<BlockQ4_0> : Nibbles32<BlockQ4_0, 2> {
    static constexpr int kOffset = 8, kLargest = 15;
};

template <>
struct Codes<BlockQ4_1> : Nibbles32<BlockQ4_1, 4> {
    static constexpr int kOffset = 0, kLargest = 15;
};

template <>
struct Codes<BlockQ5_0> : FiveBits32<BlockQ5_0, 6> {
    static constexpr int kOffset = 16, kLargest = 31;
};

template <>
struct Codes<BlockQ5_1> : FiveBits32<BlockQ5_1, 8> {
    static constexpr int kOffset = 0, kLargest = 31;
};

template <>
struct Codes<BlockIQ4_NL> : Nibbles32<BlockIQ4_NL, 2> {
    static constexpr int kOffset = 128, kLargest = 255;
    static void codes(const std::byte* first, const std::byte* second, __m256i* codes) {
        Nibbles32::codes(first, second, codes);
        codes[0] = look_up(kIq4Values, 0, codes[0]);
        codes[1] = look_up(kIq4Values, 0, codes[1]);
    }
};

template <>
struct Codes<BlockMXFP4> : Nibbles32<BlockMXFP4, 1> {
    static constexpr int kOffset = 12, kLargest = 24;
    static void codes(const std::byte* first, const std::byte* second, __m256i* codes) {
        Nibbles32::codes(first, second, codes);
        codes[0] = look_up(kFp4Values, kOffset, codes[0]);
        codes[1] = look_up(kFp4Values, kOffset, codes[1]);
    }
    static __m256 scale(const std::byte* src) {
        const auto two = [&](int i) {
            return _mm_unpacklo_epi8(load_16(src + 17 * i), load_16(src + 17 * i + 17));
        };
        const __m128i all = _mm_unpacklo_epi32(_mm_unpacklo_epi16(two(0), two(2)),
                                               _mm_unpacklo_epi16(two(4), two(6)));
        return power_of(_mm256_cvtepu8_epi32(all));
    }
    static __m256 power_of(__m256i power) {
        const __m256i one = _mm256_set1_epi32(1);
        const __m256i normal = _mm256_slli_epi32(_mm256_sub_epi32(power, one), 23);
        const __m256i denormal = _mm256_sllv_epi32(_mm256_set1_epi32(0x00200000), power);
        return _mm256_castsi256_ps(
            _mm256_blendv_epi8(denormal, normal, _mm256_cmpgt_epi32(power, one)));
    }
};

template <typename Block>
[[gnu::always_inline]] inline void load_group(const std::byte* src, Group& group) {
    using Format = Codes<Block>;
    if constexpr (Block::kElements == 32) {
        constexpr auto kBytes = static_cast<int64_t>(sizeof(Block));
        for (int j = 0; j < 4; j++) {
            Format::codes(src + j * kBytes, src + (4 + j) * kBytes, &group.codes[2 * j]);
        }
        group.scale = Format::scale(src);
        if constexpr (Block::kMinimum) {
            group.minimum = Format::minimum(src);
        }
    } else {
        Format::load(reinterpret_cast<const uint8_t*>(src), group);
    }
}

inline __m256 floats_of_bytes(__m128i bytes) {
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes));
}

// scale_min_6bit.h: d and dmin, then twelve bytes of eight pairs.
inline void load_scales_6bit(const uint8_t* src, Group& group) {
    const __m128i all = load_16(src);
    const __m128i words = _mm_shuffle_epi32(all, _MM_SHUFFLE(2, 2, 1, 1));
    const __m128i first =
        _mm_and_si128(_mm_srlv_epi32(words, _mm_setr_epi32(0, 2, 0, 2)),
                      _mm_setr_epi32(0x3F3F3F3F, 0x30303030, 0x3F3F3F3F, 0x30303030));
    const __m128i last = _mm_shuffle_epi32(all, _MM_SHUFFLE(3, 3, 3, 3));
    const __m128i second = _mm_and_si128(_mm_srlv_epi32(last, _mm_setr_epi32(0, 0, 0, 4)),
                                         _mm_setr_epi32(0, 0x0F0F0F0F, 0, 0x0F0F0F0F));
    const __m128i bytes = _mm_or_si128(first, second);  // eight scales, eight minima
    const __m128 d = _mm_cvtph_ps(_mm_xor_si128(all, _mm_setr_epi32(INT32_MIN, 0, 0, 0)));
    group.scale = _mm256_mul_ps(_mm256_broadcastss_ps(d), floats_of_bytes(bytes));
    group.minimum = _mm256_mul_ps(_mm256_broadcastss_ps(_mm_movehdup_ps(d)),
                                  floats_of_bytes(_mm_srli_si128(bytes, 8)));
}

template <>
struct Codes<BlockQ4_K> {
    static constexpr int kOffset = 0, kLargest = 15;
    static void load(const uint8_t* src, Group& group) {
        load_scales_6bit(src, group);
        for (int c = 0; c < 2; c++) {
            for (int h = 0; h < 2; h++) {
                const uint8_t* nibbles = src + 16 + 32 * c + 16 * h;
                const __m256i bytes = two_16(nibbles, nibbles + 64);
                group.codes[4 * c + h] = low_nibbles(bytes);
                group.codes[4 * c + 2 + h] = high_nibbles(bytes);
            }
        }
    }
};

template <>
struct Codes<BlockQ5_K> {
    static constexpr int kOffset = 0, kLargest = 31;
    static void load(const uint8_t* src, Group& group) {
        load_scales_6bit(src, group);
        for (int h = 0; h < 2; h++) {
            const __m256i high = _mm256_broadcastsi128_si256(load_16(src + 16 + 16 * h));
            for (int c = 0; c < 2; c++) {
                const uint8_t* nibbles = src + 48 + 32 * c + 16 * h;
                const __m256i bytes = two_16(nibbles, nibbles + 64);
                group.codes[4 * c + h] =
                    _mm256_or_si256(low_nibbles(bytes), where_bit(high, 2 * c, 16));
                group.codes[4 * c + 2 + h] =
                    _mm256_or_si256(high_nibbles(bytes), where_bit(high, 2 * c + 1, 16));
            }
        }
    }
};

template <>
struct Codes<BlockIQ4_XS> {
    static constexpr int kOffset = 128, kLargest = 255;
    static __m256 scales(const uint8_t* src) {
        const __m256i low =
            _mm256_srlv_epi32(_mm256_set1_epi32(static_cast<int>(load_word(src + 4))),
                              _mm256_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28));
        const __m256i high = _mm256_srlv_epi32(_mm256_set1_epi32(static_cast<int>(load_word(src))),
                                               _mm256_setr_epi32(16, 18, 20, 22, 24, 26, 28, 30));
        const __m256i scale =
            _mm256_or_si256(_mm256_and_si256(low, _mm256_set1_epi32(15)),
                            _mm256_slli_epi32(_mm256_and_si256(high, _mm256_set1_epi32(3)), 4));
        return _mm256_mul_ps(_mm256_set1_ps(load_half(src)),
                             _mm256_cvtepi32_ps(_mm256_sub_epi32(scale, _mm256_set1_epi32(32))));
    }
    static void load(const uint8_t* src, Group& group) {
        group.scale = scales(src);
        for (int j = 0; j < 4; j++) {
            const uint8_t* nibbles = src + 8 + 16 * j;
            const __m256i bytes = two_16(nibbles, nibbles + 64);
            group.codes[2 * j] = look_up(kIq4Values, 0, low_nibbles(bytes));
            group.codes[2 * j + 1] = look_up(kIq4Values, 0, high_nibbles(bytes));
        }
    }
};

template <>
struct Codes<BlockQ6_K> {
    static constexpr int kOffset = 32, kLargest = 63;
    static void load(const uint8_t* src, Group& group) {
        group.scale = _mm256_set1_ps(load_half(src + 208));
        group.sub_scale = load_16(src + 192);
        for (int h = 0; h < 2; h++) {
            const uint8_t* nibbles = src + 16 * h;
            const __m256i first = two_16(nibbles, nibbles + 64);
            const __m256i second = two_16(nibbles + 32, nibbles + 96);
            const __m256i high = two_16(nibbles + 128, nibbles + 160);
            const auto join = [](__m256i low, __m256i two_bits) {
                return _mm256_or_si256(low, _mm256_slli_epi16(two_bits, 4));
            };
            group.codes[h] = join(low_nibbles(first), bit_pairs<0>(high));
            group.codes[2 + h] = join(low_nibbles(second), bit_pairs<2>(high));
            group.codes[4 + h] = join(high_nibbles(first), bit_pairs<4>(high));
            group.codes[6 + h] = join(high_nibbles(second), bit_pairs<6>(high));
        }
    }
};

template <>
struct Codes<BlockQ3_K> {
    static constexpr int kOffset = 4, kLargest = 7;
    static __m128i sub_scales(const uint8_t* src) {
        const uint32_t a = load_word(src + 96), b = load_word(src + 100), c = load_word(src + 104);
        const auto word = [](uint32_t low, uint32_t high) {
            return static_cast<int>((low & 0x0F0F0F0FU) | (high & 0x03030303U) << 4);
        };
        return _mm_sub_epi8(
            _mm_setr_epi32(word(a, c), word(b, c >> 2), word(a >> 4, c >> 4), word(b >> 4, c >> 6)),
            _mm_set1_epi8(32));
    }
    static void load(const uint8_t* src, Group& group) {
        group.scale = _mm256_set1_ps(load_half(src + 108));
        group.sub_scale = sub_scales(src);
        for (int h = 0; h < 2; h++) {
            const __m256i third = _mm256_broadcastsi128_si256(load_16(src + 16 * h));
            const __m256i low = two_16(src + 32 + 16 * h, src + 64 + 16 * h);
            const auto join = [&](int part, __m256i two_bits) {
                group.codes[2 * part + h] = _mm256_or_si256(two_bits, where_bit(third, part, 4));
            };
            join(0, bit_pairs<0>(low));
            join(1, bit_pairs<2>(low));
            join(2, bit_pairs<4>(low));
            join(3, bit_pairs<6>(low));
        }
    }
};

template <>
struct Codes<BlockQ2_K> {
    static constexpr int kOffset = 0, kLargest = 3;
    static void load(const uint8_t* src, Group& group) {
        group.scale = _mm256_set1_ps(load_half(src + 80));
        group.minimum = _mm256_set1_ps(-load_half(src + 82));
        const __m128i pairs = load_16(src);
        group.sub_scale = _mm_and_si128(pairs, _mm_set1_epi8(15));
        group.sub_minimum = _mm_and_si128(_mm_srli_epi16(pairs, 4), _mm_set1_epi8(15));
        for (int h = 0; h < 2; h++) {
            const __m256i low = two_16(src + 16 + 16 * h, src + 48 + 16 * h);
            group.codes[h] = bit_pairs<0>(low);
            group.codes[2 + h] = bit_pairs<2>(low);
            group.codes[4 + h] = bit_pairs<4>(low);
            group.codes[6 + h] = bit_pairs<6>(low);
        }
    }
};

}  // namespace
}  // namespace kernels::cpu
