// AVX-512 with VNNI byte dot products, as x86_products.h wants it: 16 weight rows in a tile. Shared
// by the variants that build on it.
//
// Included by files compiled for AVX-512: everything is in an anonymous namespace (see
// matmul_variants.h).
#pragma once

#include <type_traits>

#include <cpuid.h>

#include "kernels/cpu/x86_wide_rows.h"

namespace kernels::cpu {
namespace {

struct Avx512 {
    using Int = __m512i;
    using Float = __m512;
    static constexpr bool kVnni = true;
    static constexpr int kLanes = 16;
    static constexpr int kRows = 8;
    static constexpr int kFloatWeights = 4;
    static constexpr int kFloatRows = 6;

    using Row = WideRow;
    template <typename Block>
    static constexpr int few_rows() {
        return 4;
    }

    template <typename Block>
    static void many_rows(const MatmulJob& job) {
        all_tiles<Avx512, Block>(job);
    }

    // sums[t] += codes[i] . x[t][first + 4 i .. 4 i + 3] for each lane, i below `words`; with
    // `factors` times those.
    template <bool is_signed, int largest, int rows, int words, bool factors>
    static void add_dots(Int* sums,
                         const int32_t (*codes)[kLanes],
                         const int32_t* factor,
                         const int8_t* const* x,
                         int64_t first) {
        Int dots[rows];
        for (int t = 0; t < rows; t++) {
            dots[t] = factors ? zero_int() : sums[t];
        }
        for (int i = 0; i < words; i++) {
            const Int w = load_int(codes[i]);
            for (int t = 0; t < rows; t++) {
                int32_t four;
                std::memcpy(&four, x[t] + first + 4 * i, 4);
                dots[t] = _mm512_dpbusd_epi32(dots[t], w, _mm512_set1_epi32(four));
            }
        }
        for (int t = 0; t < rows; t++) {
            if constexpr (factors) {
                dots[t] = _mm512_add_epi32(sums[t], _mm512_mullo_epi32(dots[t], load_int(factor)));
            }
            sums[t] = dots[t];
        }
    }

    static Int zero_int() { return _mm512_setzero_si512(); }
    static Int broadcast_16(int value) { return _mm512_set1_epi16(static_cast<int16_t>(value)); }
    static Int broadcast_word(const std::byte* src) {
        int32_t word;
        std::memcpy(&word, src, 4);
        return _mm512_set1_epi32(word);
    }
    static Float broadcast_float(const std::byte* src) {
        float value;
        std::memcpy(&value, src, 4);
        return _mm512_set1_ps(value);
    }
    static Int load_int(const int32_t* src) { return _mm512_load_si512(src); }
    static Int pair_sums(Int a, Int b) { return _mm512_madd_epi16(a, b); }

    static Float zero() { return _mm512_setzero_ps(); }
    static Float load(const float* src) { return _mm512_load_ps(src); }
    static Float load_unaligned(const float* src) { return _mm512_loadu_ps(src); }
    static void store(float* dst, Float v) { _mm512_store_ps(dst, v); }
    static Float to_float(Int v) { return _mm512_cvtepi32_ps(v); }
    static Float add(Float a, Float b) { return _mm512_add_ps(a, b); }
    static Float multiply(Float a, Float b) { return _mm512_mul_ps(a, b); }
    static Float multiply_add(Float a, Float b, Float c) { return _mm512_fmadd_ps(a, b, c); }
    static float sum(Float v) {
        return sum_of_lanes(_mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1)));
    }

    template <typename Block>
    static Float load_weights(const std::byte* src) {
        if constexpr (sizeof(Block) == 4) {
            return _mm512_loadu_ps(src);
        } else if constexpr (std::is_same_v<Block, BlockF16>) {
            return _mm512_cvtph_ps(load_32(src));
        } else {
            return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(load_32(src)), 16));
        }
    }
};

inline bool avx512_supported() {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("fma");
}

}  // namespace
}  // namespace kernels::cpu
