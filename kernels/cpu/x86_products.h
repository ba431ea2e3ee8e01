// The AVX2 and AVX-512 products, written once over what differs: `Simd` has the vector types and
// operations (avx2.h, avx512.h). Two ways with the same bits, by the order that
// matmul_variants.h fixes:
//
//   along a row   up to Simd::few_rows<Block>() activation rows (x86_rows.h): 32 weights of
//                 one row against 32 activations, the sums of eight such parts brought into one
//                 vector. Reads each weight once, in order.
//   a tile        more rows (x86_tiles.h): weight rows are unpacked and transposed, and that is
//                 shared by all activation rows. No sums across a vector.
//
// Everything is in an anonymous namespace, and no inline function of another header is called.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include <immintrin.h>

#include "kernels/cpu/matmul_variants.h"
#include "kernels/cpu/pack_activation.h"
#include "kernels/cpu/x86_rows.h"
#include "kernels/cpu/x86_tiles.h"

namespace kernels::cpu {
namespace {

// --- float weights

// `rows` activation rows against `weights` weight rows, along the row: each loaded vector serves
// several products.
template <typename Simd, typename Block, int weights, int rows>
void float_tile(const MatmulJob& job, int64_t m, int64_t first_row) {
    using Float = typename Simd::Float;
    constexpr int kWidth = Simd::kLanes;
    const std::byte* w[weights];
    const float* x[rows];
    Float lanes[weights][rows];
    for (int i = 0; i < weights; i++) {
        w[i] = job.weight + (m + i) * job.weight_stride_bytes;
        for (int t = 0; t < rows; t++) {
            lanes[i][t] = Simd::zero();
        }
    }
    for (int t = 0; t < rows; t++) {
        x[t] = reinterpret_cast<const float*>(job.x[first_row + t]);
    }
    int64_t k = 0;
    for (; k + kWidth <= job.cols; k += kWidth) {
        Float a[rows];
        for (int t = 0; t < rows; t++) {
            a[t] = Simd::load_unaligned(x[t] + k);
        }
        for (int i = 0; i < weights; i++) {
            const Float b =
                Simd::template load_weights<Block>(w[i] + k * static_cast<int64_t>(sizeof(Block)));
            for (int t = 0; t < rows; t++) {
                lanes[i][t] = Simd::multiply_add(b, a[t], lanes[i][t]);
            }
        }
    }
    if (k < job.cols) {
        const auto left = static_cast<size_t>(job.cols - k);
        for (int i = 0; i < weights; i++) {
            std::byte b[kWidth * sizeof(Block)] = {};
            std::memcpy(b, w[i] + k * static_cast<int64_t>(sizeof(Block)), left * sizeof(Block));
            for (int t = 0; t < rows; t++) {
                float a[kWidth] = {};
                std::memcpy(a, x[t] + k, left * sizeof(float));
                lanes[i][t] = Simd::multiply_add(Simd::template load_weights<Block>(b),
                                                 Simd::load_unaligned(a), lanes[i][t]);
            }
        }
    }
    for (int i = 0; i < weights; i++) {
        for (int t = 0; t < rows; t++) {
            job.out[(first_row + t) * job.out_stride + m + i - job.m_begin] =
                Simd::sum(lanes[i][t]);
        }
    }
}

template <typename Simd, typename Block, int weights>
void float_rows(const MatmulJob& job, int64_t m) {
    constexpr int kStep = Simd::kFloatRows;
    int64_t t = 0;
    for (; t + kStep <= job.n_rows; t += kStep) {
        float_tile<Simd, Block, weights, kStep>(job, m, t);
    }
    for (; t < job.n_rows; t++) {
        float_tile<Simd, Block, weights, 1>(job, m, t);
    }
}

// --- activations

// pack_q8_32 of pack_activation.h with the same results; parts with extreme values go there.
[[maybe_unused]] void pack_with_avx2(const float* src, int64_t cols, std::byte* dst) {
    const PackedRow row = packed_row(dst, cols);
    auto* q = const_cast<int8_t*>(row.q);
    auto* scale = const_cast<float*>(row.scale);
    auto* weighted_sum = const_cast<float*>(row.weighted_sum);
    auto* sum = const_cast<int16_t*>(row.sum);
    const int64_t parts = cols / 32;
    for (int64_t p = 0; p < parts; p++) {
        const float* part = src + 32 * p;
        __m256 v[4];
        __m256i most = _mm256_setzero_si256();
        for (int i = 0; i < 4; i++) {
            v[i] = _mm256_loadu_ps(part + 8 * i);
            const __m256i magnitude =
                _mm256_and_si256(_mm256_castps_si256(v[i]), _mm256_set1_epi32(0x7FFFFFFF));
            most = _mm256_max_epu32(most, magnitude);
        }
        __m128i four =
            _mm_max_epu32(_mm256_castsi256_si128(most), _mm256_extracti128_si256(most, 1));
        four = _mm_max_epu32(four, _mm_shuffle_epi32(four, 0x4E));
        four = _mm_max_epu32(four, _mm_shuffle_epi32(four, 0xB1));
        const float largest = _mm_cvtss_f32(_mm_castsi128_ps(four));
        if (!(largest >= 0x1p-100F && largest <= 0x1.fffffep127F)) {
            pack_part(part, q + 32 * p, scale[p], weighted_sum[p], sum + 2 * p);
            continue;
        }
        const __m256 inverse = _mm256_set1_ps(127.0F / largest);
        __m256i codes[4];
        for (int i = 0; i < 4; i++) {
            codes[i] = _mm256_cvtps_epi32(_mm256_mul_ps(v[i], inverse));
        }
        // The packing works within halves: words come out as 0 2 4 6 1 3 5 7.
        const __m256i mixed = _mm256_packs_epi16(_mm256_packs_epi32(codes[0], codes[1]),
                                                 _mm256_packs_epi32(codes[2], codes[3]));
        const __m256i bytes =
            _mm256_permutevar8x32_epi32(mixed, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(q + 32 * p), bytes);
        const __m256i pairs = _mm256_maddubs_epi16(_mm256_set1_epi8(1), bytes);
        __m256i sums = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
        sums = _mm256_hadd_epi32(sums, sums);
        sums = _mm256_hadd_epi32(sums, sums);
        const int low = _mm_cvtsi128_si32(_mm256_castsi256_si128(sums));
        const int high = _mm_cvtsi128_si32(_mm256_extracti128_si256(sums, 1));
        sum[2 * p] = static_cast<int16_t>(low);
        sum[2 * p + 1] = static_cast<int16_t>(high);
        scale[p] = largest / 127.0F;
        weighted_sum[p] = scale[p] * static_cast<float>(low + high);
    }
    pad_row(row, parts);
}

// --- the functions of a variant

// As many activation rows as there are, found from `rows` on.
template <typename Simd, typename Block, int rows = 1>
void few_rows(const MatmulJob& job) {
    if constexpr (rows < Simd::template few_rows<Block>()) {
        if (job.n_rows > rows) {
            few_rows<Simd, Block, rows + 1>(job);
            return;
        }
    }
    along_rows<typename Simd::Row, Block, rows>(job);
}

template <typename Simd, typename Block>
void product(const MatmulJob& job) {
    if constexpr (Block::kElements == 1) {
        int64_t m = job.m_begin;
        for (; m + Simd::kFloatWeights <= job.m_end; m += Simd::kFloatWeights) {
            float_rows<Simd, Block, Simd::kFloatWeights>(job, m);
        }
        for (; m < job.m_end; m++) {
            float_rows<Simd, Block, 1>(job, m);
        }
    } else if (job.n_rows <= Simd::template few_rows<Block>() &&
               job.cols <= Simd::Row::kMostColumns) {
        few_rows<Simd, Block>(job);
    } else {
        Simd::template many_rows<Block>(job);
    }
}

template <typename Simd>
MatmulFunction product_of(DType type) {
    switch (type) {
#define KERNELS_X(enumerator, ...)                            \
    case DType::enumerator:                                   \
        if constexpr (DType::enumerator != DType::i32) {      \
            return product<Simd, BlockOf<DType::enumerator>>; \
        }                                                     \
        break;
        KERNELS_DTYPES(KERNELS_X)
#undef KERNELS_X
    }
    return nullptr;
}

}  // namespace
}  // namespace kernels::cpu
