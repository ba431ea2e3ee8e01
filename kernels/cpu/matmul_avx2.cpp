// Products with AVX2, FMA and F16C: eight weight rows in a tile.
#include <type_traits>

#include "kernels/cpu/x86_products.h"

namespace kernels::cpu {
namespace {

struct Avx2 {
    using Int = __m256i;
    using Float = __m256;
    static constexpr bool kVnni = false;
    static constexpr int kLanes = 8;
    static constexpr int kRows = 4;
    static constexpr int kFloatWeights = 3;
    static constexpr int kFloatRows = 4;

    // Measured on an EPYC (Zen 4): from about four rows on the tile is faster.
    static constexpr int kFewRows = 3;
    template <typename Block, int rows>
    static void few_rows(const MatmulJob& job, int64_t m, int64_t first_row) {
        along_row<Avx2, Block, rows>(job, m, first_row);
    }

    template <typename Block>
    static void many_rows(const MatmulJob& job) {
        all_tiles<Avx2, Block>(job);
    }

    template <bool is_signed>
    static __m256i dot(__m256i codes, __m256i x) {
        return _mm256_madd_epi16(pair_products<is_signed>(codes, x), _mm256_set1_epi16(1));
    }

    // sums[t] += codes[i] . x[t][4 i .. 4 i + 3] for each lane, i below `words`.
    template <bool is_signed, int largest, int rows>
    static void add_dots(Int* sums, const int32_t* codes, const int8_t* const* x, int words) {
        // So many sums of two products fit into 16 bits.
        constexpr int kFit = is_signed ? 1 : 32767 / (2 * 127 * largest);
        constexpr int kSteps = kFit >= 8 ? 8 : kFit >= 4 ? 4 : kFit >= 2 ? 2 : 1;
        for (int i = 0; i < words; i += kSteps) {
            Int pairs[rows];
            for (int s = 0; s < kSteps && i + s < words; s++) {
                const Int w = load_int(codes + kLanes * (i + s));
                for (int t = 0; t < rows; t++) {
                    int32_t four;
                    std::memcpy(&four, x[t] + 4 * (i + s), 4);
                    const Int products = pair_products<is_signed>(w, _mm256_set1_epi32(four));
                    pairs[t] = s == 0 ? products : _mm256_add_epi16(pairs[t], products);
                }
            }
            for (int t = 0; t < rows; t++) {
                sums[t] = add(sums[t], _mm256_madd_epi16(pairs[t], _mm256_set1_epi16(1)));
            }
        }
    }

    static Int broadcast(int value) { return _mm256_set1_epi32(value); }
    static Int load_int(const int32_t* src) {
        return _mm256_load_si256(reinterpret_cast<const __m256i*>(src));
    }
    static Int add(Int a, Int b) { return _mm256_add_epi32(a, b); }
    static Int multiply(Int a, Int b) { return _mm256_mullo_epi32(a, b); }

    static Float zero() { return _mm256_setzero_ps(); }
    static Float broadcast(float value) { return _mm256_set1_ps(value); }
    static Float load(const float* src) { return _mm256_load_ps(src); }
    static Float load_unaligned(const float* src) { return _mm256_loadu_ps(src); }
    static void store(float* dst, Float v) { _mm256_store_ps(dst, v); }
    static Float to_float(Int v) { return _mm256_cvtepi32_ps(v); }
    static Float add(Float a, Float b) { return _mm256_add_ps(a, b); }
    static Float multiply(Float a, Float b) { return _mm256_mul_ps(a, b); }
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

bool supported() {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __builtin_cpu_supports("f16c");
}

}  // namespace

const MatmulVariant kMatmulAvx2 = {"AVX2", supported, pack_with_avx2, product_of<Avx2>};

}  // namespace kernels::cpu
