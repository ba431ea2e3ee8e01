// AVX2, as x86_products.h wants it: 16 weight rows in a tile, as two vectors of eight. Shared by
// the variants that build on it.
//
// Included by files compiled for AVX2 and more: everything is in an anonymous namespace (see
// matmul_variants.h).
#pragma once

#include <type_traits>

#include "kernels/cpu/x86_products.h"

namespace kernels::cpu {
namespace {

// A tile of 16 weight rows: each broadcast of activations serves two products, which halves the
// loads that a tile of eight is limited by.
struct Avx2Tile {
    struct Int {
        __m256i low, high;
    };
    struct Float {
        __m256 low, high;
    };
    static constexpr bool kVnni = false;
    static constexpr int kLanes = 16;
    static constexpr int kRows = 4;
    // Up to so many rows are faster along the row, those of kSignsTurn up to three. (Both cores of
    // two Zen 3 from memory, the row's time to the tile's: four rows 1.2 to 1.6, seven 1.0 to 1.3.)
    static constexpr int kFewRows = 7;

    // sums[t] += codes[i] . x[t][first + 4 i .. 4 i + 3] for each lane, i below `words`; with
    // `factors` times those, which are twice in each lane.
    template <bool is_signed, int largest, int rows, int words, bool factors>
    [[gnu::always_inline]] static void add_dots(Int* sums,
                                                const int32_t (*codes)[kLanes],
                                                const int32_t* factor,
                                                const int8_t* const* x,
                                                int64_t first) {
        // So many sums of two products fit into 16 bits.
        constexpr int kFit = is_signed ? 1 : 32767 / (2 * 127 * largest);
        constexpr int kSteps = kFit >= 8 ? 8 : kFit >= 4 ? 4 : kFit >= 2 ? 2 : 1;
        constexpr int kTaken = kSteps < words ? kSteps : words;
        const Int each = factors ? load_int(factor) : broadcast_16(1);
        const auto product = [&](const Int& w, int t, int i) {
            int32_t word;
            std::memcpy(&word, x[t] + first + 4 * i, 4);
            const __m256i four = _mm256_set1_epi32(word);
            return Int{pair_products<is_signed>(w.low, four),
                       pair_products<is_signed>(w.high, four)};
        };
        // Row by row where sums are taken up often, so that they stay in registers; else all rows
        // for each vector of codes.
        if constexpr (kTaken <= 2) {
#pragma GCC unroll 8
            for (int i = 0; i < words; i += kTaken) {
                const Int w = load_int(codes[i]), more = load_int(codes[i + kTaken - 1]);
                for (int t = 0; t < rows; t++) {
                    Int pairs = product(w, t, i);
                    if constexpr (kTaken == 2) {
                        pairs = add_16(pairs, product(more, t, i + 1));
                    }
                    sums[t] = add(sums[t], pair_sums(pairs, each));
                    keep(sums[t]);
                }
            }
        } else {
#pragma GCC unroll 8
            for (int i = 0; i < words; i += kTaken) {
                Int pairs[rows];
                for (int s = 0; s < kTaken; s++) {
                    const Int w = load_int(codes[i + s]);
                    for (int t = 0; t < rows; t++) {
                        const Int products = product(w, t, i + s);
                        pairs[t] = s == 0 ? products : add_16(pairs[t], products);
                        keep(pairs[t]);
                    }
                }
                for (int t = 0; t < rows; t++) {
                    sums[t] = add(sums[t], pair_sums(pairs[t], each));
                }
            }
        }
    }

    // Codes as they are in the tile: unsigned, or signed where such sums would not fit.
    template <bool is_signed>
    static __m256i pair_products(__m256i codes, __m256i x) {
        if constexpr (is_signed) {
            return _mm256_maddubs_epi16(_mm256_abs_epi8(codes), _mm256_sign_epi8(x, codes));
        } else {
            return _mm256_maddubs_epi16(codes, x);
        }
    }

    // In a register from here on. gcc moves additions to where their sum is used, after all the
    // products, for which there are not registers enough.
    static void keep(Int& v) {
        asm("" : "+x"(v.low), "+x"(v.high));
    }

    static Int both(__m256i v) {
        return {v, v};
    }
    static Float both(__m256 v) {
        return {v, v};
    }
    static Int zero_int() {
        return both(_mm256_setzero_si256());
    }
    static Int broadcast_16(int value) {
        return both(_mm256_set1_epi16(static_cast<int16_t>(value)));
    }
    static Int broadcast_word(const std::byte* src) {
        int32_t word;
        std::memcpy(&word, src, 4);
        return both(_mm256_set1_epi32(word));
    }
    static Float broadcast_float(const std::byte* src) {
        float value;
        std::memcpy(&value, src, 4);
        return both(_mm256_set1_ps(value));
    }
    static Int load_int(const int32_t* src) {
        return {_mm256_load_si256(reinterpret_cast<const __m256i*>(src)),
                _mm256_load_si256(reinterpret_cast<const __m256i*>(src + 8))};
    }
    static Int add(Int a, Int b) {
        return {_mm256_add_epi32(a.low, b.low), _mm256_add_epi32(a.high, b.high)};
    }
    static Int add_16(Int a, Int b) {
        return {_mm256_add_epi16(a.low, b.low), _mm256_add_epi16(a.high, b.high)};
    }
    static Int pair_sums(Int a, Int b) {
        return {_mm256_madd_epi16(a.low, b.low), _mm256_madd_epi16(a.high, b.high)};
    }
    static Float to_float(Int v) {
        return {_mm256_cvtepi32_ps(v.low), _mm256_cvtepi32_ps(v.high)};
    }
    static Float load(const float* src) {
        return {_mm256_load_ps(src), _mm256_load_ps(src + 8)};
    }
    static void store(float* dst, Float v) {
        _mm256_store_ps(dst, v.low);
        _mm256_store_ps(dst + 8, v.high);
    }
    static Float add(Float a, Float b) {
        return {_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)};
    }
    static Float multiply(Float a, Float b) {
        return {_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)};
    }
    static Float multiply_add(Float a, Float b, Float c) {
        return {_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
    }
};

// With the tile of this or of a wider instruction set.
template <typename Tile>
struct Avx2 {
    using Float = __m256;
    static constexpr bool kVnni = false;
    static constexpr int kLanes = 8;
    static constexpr int kFloatWeights = 3;
    static constexpr int kFloatRows = 4;

    using Row = Avx2Row;
    template <typename Block>
    static constexpr int few_rows() {
        return kSignsTurn<Block> ? 3 : Tile::kFewRows;
    }

    template <typename Block>
    static void many_rows(const MatmulJob& job) {
        all_tiles<Tile, Block>(job);
    }

    static Float zero() { return _mm256_setzero_ps(); }
    static Float load_unaligned(const float* src) { return _mm256_loadu_ps(src); }
    static Float multiply_add(Float a, Float b, Float c) { return _mm256_fmadd_ps(a, b, c); }
    static float sum(Float v) { return sum_of_lanes(v); }

    template <typename Block>
    static Float load_weights(const std::byte* src) {
        if constexpr (sizeof(Block) == 4) {
            return _mm256_loadu_ps(reinterpret_cast<const float*>(src));
        } else if constexpr (std::is_same_v<Block, BlockF16>) {
            return _mm256_cvtph_ps(load_16(src));
        } else {
            return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(load_16(src)), 16));
        }
    }
};

inline bool avx2_supported() {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __builtin_cpu_supports("f16c");
}

}  // namespace
}  // namespace kernels::cpu
