// A group of 256 weights of eight rows at once, unpacked and transposed: vectors that hold the same
// four neighbours of each row, one row a lane, as a tile (x86_tiles.h) wants them. The packed bytes
// are transposed and then taken apart, as packed ones are half as many or fewer; so are the scales.
//
// TileCodes<Block>::load<signed_codes>(src, to) gives part j of 32, word i of four codes by
//
//   to.codes(j, i, codes)    q + Codes<Block>::kOffset, or q itself where that is 128 and codes are
//                            wanted signed
//   to.scale(j, scale)       to.minimum(j, minimum)
//   to.factors(j, s, t)      sub-scales of both halves as int32
//   to.least_factors(j, s, t)  sub-minima of both halves as int32
//
// Included by files compiled for wider instruction sets: everything is in an anonymous namespace
// (see matmul_variants.h). AVX2 is enough for all of it.
#pragma once

#include "kernels/cpu/x86_codes.h"

namespace kernels::cpu {
namespace {

// Where the group begins in each of the eight rows.
struct EightRows {
    const std::byte* first;
    int64_t stride;

    const std::byte* at(int row, size_t byte) const { return first + row * stride + byte; }
};

// words[i] = bytes [at + 4 i, at + 4 i + 4) of each row.
inline void words_of_8(EightRows src, size_t at, __m256i* words) {
    __m256i v[4];
    for (int l = 0; l < 4; l++) {
        v[l] = two_16(src.at(l, at), src.at(4 + l, at));
    }
    const __m256i a = _mm256_unpacklo_epi32(v[0], v[1]), b = _mm256_unpackhi_epi32(v[0], v[1]);
    const __m256i c = _mm256_unpacklo_epi32(v[2], v[3]), d = _mm256_unpackhi_epi32(v[2], v[3]);
    words[0] = _mm256_unpacklo_epi64(a, c);
    words[1] = _mm256_unpackhi_epi64(a, c);
    words[2] = _mm256_unpacklo_epi64(b, d);
    words[3] = _mm256_unpackhi_epi64(b, d);
}

inline __m256i word_of_8(EightRows src, size_t at) {
    const auto word = [&](int l) { return static_cast<int>(load_word(src.at(l, at))); };
    return _mm256_setr_epi32(word(0), word(1), word(2), word(3), word(4), word(5), word(6),
                             word(7));
}

inline __m256 half_of_8(EightRows src, size_t at) {
    const auto half = [&](int l) {
        int16_t bits;
        std::memcpy(&bits, src.at(l, at), 2);
        return bits;
    };
    return _mm256_cvtph_ps(
        _mm_setr_epi16(half(0), half(1), half(2), half(3), half(4), half(5), half(6), half(7)));
}

// Bits [shift, shift + count) of each lane.
inline __m256i bits_of(__m256i words, int shift, int count) {
    return _mm256_and_si256(_mm256_srli_epi32(words, shift), _mm256_set1_epi32((1 << count) - 1));
}

// Byte `byte` of each lane, signed.
inline __m256i signed_byte(__m256i words, int byte) {
    return _mm256_srai_epi32(_mm256_slli_epi32(words, 24 - 8 * byte), 24);
}

// Bit `bit` of each byte, at bit `to`.
inline __m256i bit_at(__m256i bytes, int bit, int to) {
    const __m256i moved =
        bit < to ? _mm256_slli_epi16(bytes, to - bit) : _mm256_srli_epi16(bytes, bit - to);
    return _mm256_and_si256(moved, _mm256_set1_epi8(static_cast<char>(1 << to)));
}

// Bits [4 i, 4 i + 4) of each lane, one in each byte, as 16 or 0.
inline __m256i fifth_bits_of(__m256i words, int i) {
    const auto byte = static_cast<int64_t>(i / 2);
    const int64_t two = byte * 0x01010101 | (byte * 0x01010101 + 0x04040404) << 32;
    const int64_t other = two + 0x0808080808080808;
    const __m256i spread = _mm256_shuffle_epi8(words, _mm256_setr_epi64x(two, other, two, other));
    const __m256i bit = _mm256_set1_epi32(i % 2 == 0 ? 0x08040201 : static_cast<int>(0x80402010U));
    const __m256i set = _mm256_cmpeq_epi8(_mm256_and_si256(spread, bit), bit);
    return _mm256_and_si256(set, _mm256_set1_epi8(16));
}

template <typename Block>
struct TileCodes;

// Blocks of 32 with 16 bytes of nibbles at byte `at`: `code` makes codes of the nibbles of word i.
template <typename Block, size_t at, typename To, typename Code>
[[gnu::always_inline]] inline void nibble_blocks(EightRows src, To& to, const Code& code) {
    for (int j = 0; j < 8; j++) {
        const size_t block = static_cast<size_t>(j) * sizeof(Block);
        __m256i w[4];
        words_of_8(src, block + at, w);
        for (int i = 0; i < 4; i++) {
            to.codes(j, i, code(j, i, low_nibbles(w[i])));
            to.codes(j, 4 + i, code(j, 4 + i, high_nibbles(w[i])));
        }
    }
}

// The first words of 16 bits at byte `at` of each row; 16 bytes of each are read.
inline __m128i first_words(EightRows src, size_t at) {
    const auto two = [&](int l) {
        return _mm_unpacklo_epi16(load_16(src.at(l, at)), load_16(src.at(l + 1, at)));
    };
    return _mm_unpacklo_epi64(_mm_unpacklo_epi32(two(0), two(2)),
                              _mm_unpacklo_epi32(two(4), two(6)));
}

template <typename Block, typename To>
void half_scales(EightRows src, To& to) {
    for (int j = 0; j < 8; j++) {
        const size_t block = static_cast<size_t>(j) * sizeof(Block);
        to.scale(j, _mm256_cvtph_ps(first_words(src, block)));
        if constexpr (Block::kMinimum) {
            to.minimum(j, _mm256_cvtph_ps(first_words(src, block + 2)));
        }
    }
}

template <>
struct TileCodes<BlockQ8_0> {
    template <bool signed_codes, typename To>
    static void load(EightRows src, To& to) {
        half_scales<BlockQ8_0>(src, to);
        const __m256i flip = _mm256_set1_epi8(static_cast<char>(signed_codes ? 0 : 0x80));
        for (int j = 0; j < 8; j++) {
            for (int half = 0; half < 2; half++) {
                __m256i w[4];
                words_of_8(src, static_cast<size_t>(34 * j + 2 + 16 * half), w);
                for (int i = 0; i < 4; i++) {
                    to.codes(j, 4 * half + i, _mm256_xor_si256(w[i], flip));
                }
            }
        }
    }
};

template <typename Block, size_t at>
struct PlainNibbles {
    template <bool, typename To>
    static void load(EightRows src, To& to) {
        half_scales<Block>(src, to);
        nibble_blocks<Block, at>(src, to, [](int, int, __m256i nibbles) { return nibbles; });
    }
};

template <>
struct TileCodes<BlockQ4_0> : PlainNibbles<BlockQ4_0, 2> {};
template <>
struct TileCodes<BlockQ4_1> : PlainNibbles<BlockQ4_1, 4> {};

template <typename Block, size_t at>
struct FiveBits {
    template <bool, typename To>
    static void load(EightRows src, To& to) {
        half_scales<Block>(src, to);
        __m256i high;
        nibble_blocks<Block, at>(src, to, [&](int j, int i, __m256i nibbles) {
            if (i == 0) {
                high = word_of_8(src, static_cast<size_t>(j) * sizeof(Block) + at - 4);
            }
            return _mm256_or_si256(nibbles, fifth_bits_of(high, i));
        });
    }
};

template <>
struct TileCodes<BlockQ5_0> : FiveBits<BlockQ5_0, 6> {};
template <>
struct TileCodes<BlockQ5_1> : FiveBits<BlockQ5_1, 8> {};

template <>
struct TileCodes<BlockIQ4_NL> {
    template <bool signed_codes, typename To>
    static void load(EightRows src, To& to) {
        half_scales<BlockIQ4_NL>(src, to);
        nibble_blocks<BlockIQ4_NL, 2>(src, to, [](int, int, __m256i nibbles) {
            return look_up(kIq4Values, signed_codes ? 0 : 128, nibbles);
        });
    }
};

template <>
struct TileCodes<BlockMXFP4> {
    template <bool, typename To>
    static void load(EightRows src, To& to) {
        for (int j = 0; j < 8; j++) {
            const __m128i words = first_words(src, static_cast<size_t>(17 * j));
            const __m256i power =
                _mm256_and_si256(_mm256_cvtepu16_epi32(words), _mm256_set1_epi32(255));
            to.scale(j, Codes<BlockMXFP4>::power_of(power));
        }
        nibble_blocks<BlockMXFP4, 1>(src, to, [](int, int, __m256i nibbles) {
            return look_up(kFp4Values, Codes<BlockMXFP4>::kOffset, nibbles);
        });
    }
};

// Words of d and dmin, then those of scale_min_6bit.h.
template <typename To>
void scales_6bit_of_8(EightRows src, To& to) {
    __m256i w[4];
    words_of_8(src, 0, w);
    const auto halves = [](__m256i words) {
        const __m256i packed = _mm256_packus_epi32(words, words);
        return _mm256_cvtph_ps(_mm256_castsi256_si128(_mm256_permute4x64_epi64(packed, 0x08)));
    };
    const __m256 d = halves(_mm256_and_si256(w[0], _mm256_set1_epi32(0xFFFF)));
    const __m256 dmin = _mm256_xor_ps(halves(_mm256_srli_epi32(w[0], 16)), _mm256_set1_ps(-0.0F));
#pragma GCC unroll 8
    for (int j = 0; j < 4; j++) {
        const auto upper = [&](__m256i words, __m256i low) {
            return _mm256_or_si256(low, _mm256_slli_epi32(bits_of(words, 8 * j + 6, 2), 4));
        };
        to.scale(j, _mm256_mul_ps(d, _mm256_cvtepi32_ps(bits_of(w[1], 8 * j, 6))));
        to.minimum(j, _mm256_mul_ps(dmin, _mm256_cvtepi32_ps(bits_of(w[2], 8 * j, 6))));
        const __m256i scale = upper(w[1], bits_of(w[3], 8 * j, 4));
        const __m256i minimum = upper(w[2], bits_of(w[3], 8 * j + 4, 4));
        to.scale(4 + j, _mm256_mul_ps(d, _mm256_cvtepi32_ps(scale)));
        to.minimum(4 + j, _mm256_mul_ps(dmin, _mm256_cvtepi32_ps(minimum)));
    }
}

template <>
struct TileCodes<BlockQ4_K> {
    template <bool, typename To>
    static void load(EightRows src, To& to) {
        scales_6bit_of_8(src, to);
#pragma GCC unroll 8
        for (int k = 0; k < 8; k++) {
            __m256i w[4];
            words_of_8(src, static_cast<size_t>(16 + 16 * k), w);
            for (int i = 0; i < 4; i++) {
                to.codes(k / 2 * 2, k % 2 * 4 + i, low_nibbles(w[i]));
                to.codes(k / 2 * 2 + 1, k % 2 * 4 + i, high_nibbles(w[i]));
            }
        }
    }
};

template <>
struct TileCodes<BlockQ5_K> {
    template <bool, typename To>
    static void load(EightRows src, To& to) {
        scales_6bit_of_8(src, to);
#pragma GCC unroll 8
        for (int half = 0; half < 2; half++) {
            __m256i high[4];
            words_of_8(src, static_cast<size_t>(16 + 16 * half), high);
#pragma GCC unroll 8
            for (int c = 0; c < 4; c++) {
                __m256i w[4];
                words_of_8(src, static_cast<size_t>(48 + 32 * c + 16 * half), w);
                for (int i = 0; i < 4; i++) {
                    to.codes(2 * c, 4 * half + i,
                             _mm256_or_si256(low_nibbles(w[i]), bit_at(high[i], 2 * c, 4)));
                    to.codes(2 * c + 1, 4 * half + i,
                             _mm256_or_si256(high_nibbles(w[i]), bit_at(high[i], 2 * c + 1, 4)));
                }
            }
        }
    }
};

template <>
struct TileCodes<BlockIQ4_XS> {
    template <bool signed_codes, typename To>
    static void load(EightRows src, To& to) {
        const __m256 d = half_of_8(src, 0);
        const __m256i high = word_of_8(src, 0), low = word_of_8(src, 4);
        for (int j = 0; j < 8; j++) {
            const __m256i scale = _mm256_or_si256(
                bits_of(low, 4 * j, 4), _mm256_slli_epi32(bits_of(high, 16 + 2 * j, 2), 4));
            to.scale(j, _mm256_mul_ps(
                            d, _mm256_cvtepi32_ps(_mm256_sub_epi32(scale, _mm256_set1_epi32(32)))));
            __m256i w[4];
            words_of_8(src, static_cast<size_t>(8 + 16 * j), w);
            for (int i = 0; i < 4; i++) {
                constexpr int kOffset = signed_codes ? 0 : 128;
                to.codes(j, i, look_up(kIq4Values, kOffset, low_nibbles(w[i])));
                to.codes(j, 4 + i, look_up(kIq4Values, kOffset, high_nibbles(w[i])));
            }
        }
    }
};

template <>
struct TileCodes<BlockQ6_K> {
    template <bool, typename To>
    static void load(EightRows src, To& to) {
        const __m256 d = half_of_8(src, 208);
        __m256i scales[4];
        words_of_8(src, 192, scales);
#pragma GCC unroll 8
        for (int j = 0; j < 8; j++) {
            to.scale(j, d);
            to.factors(j, signed_byte(scales[j / 2], j % 2 * 2),
                       signed_byte(scales[j / 2], j % 2 * 2 + 1));
        }
        const auto join = [](__m256i low, __m256i two_bits) {
            return _mm256_or_si256(low, _mm256_slli_epi16(two_bits, 4));
        };
#pragma GCC unroll 8
        for (int k = 0; k < 4; k++) {
            const int part = k / 2 * 4, word = k % 2 * 4;
            const auto at = static_cast<size_t>(k / 2 * 64 + k % 2 * 16);
            __m256i first[4], second[4], high[4];
            words_of_8(src, at, first);
            words_of_8(src, at + 32, second);
            words_of_8(src, 128 + static_cast<size_t>(16 * k), high);
            for (int i = 0; i < 4; i++) {
                to.codes(part, word + i, join(low_nibbles(first[i]), bit_pairs<0>(high[i])));
                to.codes(part + 1, word + i, join(low_nibbles(second[i]), bit_pairs<2>(high[i])));
                to.codes(part + 2, word + i, join(high_nibbles(first[i]), bit_pairs<4>(high[i])));
                to.codes(part + 3, word + i, join(high_nibbles(second[i]), bit_pairs<6>(high[i])));
            }
        }
    }
};

template <>
struct TileCodes<BlockQ3_K> {
    template <bool, typename To>
    static void load(EightRows src, To& to) {
        const __m256 d = half_of_8(src, 108);
        const __m256i a = word_of_8(src, 96), b = word_of_8(src, 100), c = word_of_8(src, 104);
        const __m256i offset = _mm256_set1_epi8(32);
        const auto scales = [&](__m256i low, __m256i high) {
            return _mm256_sub_epi8(_mm256_or_si256(low, _mm256_slli_epi16(high, 4)), offset);
        };
        const __m256i words[4] = {
            scales(low_nibbles(a), bit_pairs<0>(c)), scales(low_nibbles(b), bit_pairs<2>(c)),
            scales(high_nibbles(a), bit_pairs<4>(c)), scales(high_nibbles(b), bit_pairs<6>(c))};
#pragma GCC unroll 8
        for (int j = 0; j < 8; j++) {
            to.scale(j, d);
            to.factors(j, signed_byte(words[j / 2], j % 2 * 2),
                       signed_byte(words[j / 2], j % 2 * 2 + 1));
        }
#pragma GCC unroll 8
        for (int k = 0; k < 4; k++) {
            const int part = k / 2 * 4, word = k % 2 * 4;
            __m256i low[4], third[4];
            words_of_8(src, static_cast<size_t>(32 + 16 * k), low);
            words_of_8(src, static_cast<size_t>(k % 2 * 16), third);
            for (int i = 0; i < 4; i++) {
                const auto join = [&](int p, __m256i two_bits) {
                    to.codes(part + p, word + i,
                             _mm256_or_si256(two_bits, bit_at(third[i], part + p, 2)));
                };
                join(0, bit_pairs<0>(low[i]));
                join(1, bit_pairs<2>(low[i]));
                join(2, bit_pairs<4>(low[i]));
                join(3, bit_pairs<6>(low[i]));
            }
        }
    }
};

template <>
struct TileCodes<BlockQ2_K> {
    template <bool, typename To>
    static void load(EightRows src, To& to) {
        const __m256 d = half_of_8(src, 80);
        const __m256 dmin = _mm256_xor_ps(half_of_8(src, 82), _mm256_set1_ps(-0.0F));
        __m256i pairs[4];
        words_of_8(src, 0, pairs);
#pragma GCC unroll 8
        for (int j = 0; j < 8; j++) {
            to.scale(j, d);
            to.minimum(j, dmin);
            const int at = j % 2 * 16;
            to.factors(j, bits_of(pairs[j / 2], at, 4), bits_of(pairs[j / 2], at + 8, 4));
            to.least_factors(j, bits_of(pairs[j / 2], at + 4, 4),
                             bits_of(pairs[j / 2], at + 12, 4));
        }
#pragma GCC unroll 8
        for (int k = 0; k < 4; k++) {
            const int part = k / 2 * 4, word = k % 2 * 4;
            __m256i low[4];
            words_of_8(src, static_cast<size_t>(16 + 16 * k), low);
            for (int i = 0; i < 4; i++) {
                to.codes(part, word + i, bit_pairs<0>(low[i]));
                to.codes(part + 1, word + i, bit_pairs<2>(low[i]));
                to.codes(part + 2, word + i, bit_pairs<4>(low[i]));
                to.codes(part + 3, word + i, bit_pairs<6>(low[i]));
            }
        }
    }
};

}  // namespace
}  // namespace kernels::cpu
