// Products with AVX2 and AVX-VNNI, the byte dot products of processors that have no AVX-512
// (Intel's from Alder Lake on).
//
// For processors without them the tests compile this file once more as kMatmulAvxVnniEmulated, the
// instruction made of others.
#include <cpuid.h>

#include "kernels/cpu/avx2.h"

namespace kernels::cpu {
namespace {

// sum + four products of unsigned codes and signed x, in each lane.
inline __m256i dot_of_four(__m256i sum, __m256i codes, __m256i x) {
#ifdef KERNELS_EMULATE_AVX_VNNI
    const auto words = [](__m256i bytes, int of) {
        return _mm256_srai_epi16(of == 0 ? _mm256_slli_epi16(bytes, 8) : bytes, 8);
    };
    const __m256i even = _mm256_and_si256(codes, _mm256_set1_epi16(255));
    const __m256i odd = _mm256_srli_epi16(codes, 8);
    return _mm256_add_epi32(sum, _mm256_add_epi32(_mm256_madd_epi16(even, words(x, 0)),
                                                  _mm256_madd_epi16(odd, words(x, 1))));
#else
    return _mm256_dpbusd_avx_epi32(sum, codes, x);
#endif
}

struct AvxVnniTile : Avx2Tile {
    static constexpr bool kVnni = true;
    static constexpr int kFewRows = 3;  // not measured

    // sums[t] += codes[i] . x[t][first + 4 i .. 4 i + 3] for each lane, i below `words`; with
    // `factors` times those.
    template <bool is_signed, int largest, int rows, int words, bool factors>
    [[gnu::always_inline]] static void add_dots(Int* sums,
                                                const int32_t (*codes)[kLanes],
                                                const int32_t* factor,
                                                const int8_t* const* x,
                                                int64_t first) {
        static_assert(!is_signed);
        Int dots[rows];
        for (int t = 0; t < rows; t++) {
            dots[t] = factors ? zero_int() : sums[t];
        }
#pragma GCC unroll 8
        for (int i = 0; i < words; i++) {
            const Int w = load_int(codes[i]);
            for (int t = 0; t < rows; t++) {
                int32_t word;
                std::memcpy(&word, x[t] + first + 4 * i, 4);
                const __m256i four = _mm256_set1_epi32(word);
                dots[t] = {dot_of_four(dots[t].low, w.low, four),
                           dot_of_four(dots[t].high, w.high, four)};
            }
        }
        for (int t = 0; t < rows; t++) {
            if constexpr (factors) {
                const Int each = load_int(factor);
                dots[t] = add(sums[t], {_mm256_mullo_epi32(dots[t].low, each.low),
                                        _mm256_mullo_epi32(dots[t].high, each.high)});
            }
            sums[t] = dots[t];
        }
    }
};

[[maybe_unused]] bool avx_vnni_supported() {
    unsigned a = 0, b = 0, c = 0, d = 0;  // leaf 7, subleaf 1: bit 4 of eax
    return avx2_supported() && __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a >> 4 & 1) != 0;
}

}  // namespace

#ifdef KERNELS_EMULATE_AVX_VNNI
extern const MatmulVariant kMatmulAvxVnniEmulated;
const MatmulVariant kMatmulAvxVnniEmulated = {"AVX-VNNI, emulated", avx2_supported, pack_with_avx2,
                                              product_of<Avx2<AvxVnniTile>>};
#else
const MatmulVariant kMatmulAvxVnni = {"AVX-VNNI", avx_vnni_supported, pack_with_avx2,
                                      product_of<Avx2<AvxVnniTile>>};
#endif

}  // namespace kernels::cpu
