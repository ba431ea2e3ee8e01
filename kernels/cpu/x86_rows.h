// Products along a row, for few activation rows: the order of matmul_variants.h, 256 weights at a
// time. Reads each weight once, in order. What differs between AVX2 (Avx2Row, here) and AVX-512
// (WideRow, x86_wide_rows.h) is a Way:
//
//   Rows<Block, n>  n activation rows as add() wants them, made of those of a job; at most
//                   kMostColumns long
//   Group           256 unpacked weights, by load<Block>(src, group)
//   add<Block>      what eight parts of an activation row and a group add to the lanes
//
// The integer of each part is exact, so its sums are taken as comes cheapest. AVX2: a vector holds
// halves of parts j and 4 + j, one in each half, so both halves of a part add up in place, and four
// vectors to one of eight parts without anything crossing the middle; in 16 bits as long as sums
// fit. Shuffles and what waits for them limit a row that is bound by arithmetic: a vector for each
// part took twenty of them, this takes six, and Q4_K 0.83 of the time.
//
// Everything is in an anonymous namespace, and no inline function of another header is called.
#pragma once

#include <type_traits>

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

// In each half the sums of a's two quarters, then of b's; the numbers of each quarter add up one by
// one.
KERNELS_INLINE __m256i quarters_16(__m256i a, __m256i b) {
    return _mm256_add_epi16(_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
}
KERNELS_INLINE __m256i quarters_32(__m256i a, __m256i b) {
    return _mm256_add_epi32(_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
}

// Words of 32 bits at even and at odd places, of a and then b in each half.
struct EvenOdd {
    __m256i even, odd;
};
KERNELS_INLINE EvenOdd even_odd(__m256i a, __m256i b) {
    const __m256 x = _mm256_castsi256_ps(a), y = _mm256_castsi256_ps(b);
    return {_mm256_castps_si256(_mm256_shuffle_ps(x, y, 0x88)),
            _mm256_castps_si256(_mm256_shuffle_ps(x, y, 0xDD))};
}

// The sums of each half of four vectors of 32-bit numbers: lower halves, then upper ones.
KERNELS_INLINE __m256i half_sums_32(const __m256i* v) {
    const EvenOdd w = even_odd(quarters_32(v[0], v[1]), quarters_32(v[2], v[3]));
    return _mm256_add_epi32(w.even, w.odd);
}

// As half_sums_32, of 16-bit numbers. Sums of two of them fit in 16 bits, with `four` of four.
template <bool four>
KERNELS_INLINE __m256i half_sums_16(const __m256i* v) {
    const __m256i one = _mm256_set1_epi16(1);
    const __m256i a = quarters_16(v[0], v[1]), b = quarters_16(v[2], v[3]);
    if constexpr (four) {
        const EvenOdd w = even_odd(a, b);
        return _mm256_madd_epi16(_mm256_add_epi16(w.even, w.odd), one);
    } else {
        const EvenOdd w = even_odd(_mm256_madd_epi16(a, one), _mm256_madd_epi16(b, one));
        return _mm256_add_epi32(w.even, w.odd);
    }
}

// Activations in the order of a Group's codes, and their magnitudes where kSignsTurn.
struct HalvesRow {
    PackedRow packed;
    const int8_t* q;
    const int8_t* magnitude;
};

KERNELS_INLINE void store_32(int8_t* dst, __m256i v) {
    _mm256_store_si256(reinterpret_cast<__m256i*>(dst), v);
}

template <typename Block>
constexpr bool kSignedCodes = Codes<Block>::kOffset == 128;

// Signed codes that are never -128: the sign of an activation can go to the code.
template <typename Block>
constexpr bool kSignsTurn =
    std::is_same_v<Block, BlockIQ4_NL> || std::is_same_v<Block, BlockIQ4_XS>;

// Sums of two products: vector i of a group's codes and of x, from activation `at` on.
template <typename Block>
KERNELS_INLINE __m256i pair_products(__m256i codes, const HalvesRow& x, int64_t at) {
    const __m256i q = load_32(x.q + at);
    if constexpr (kSignsTurn<Block>) {
        return _mm256_maddubs_epi16(load_32(x.magnitude + at), _mm256_sign_epi8(codes, q));
    } else if constexpr (kSignedCodes<Block>) {
        return _mm256_maddubs_epi16(_mm256_abs_epi8(codes), _mm256_sign_epi8(q, codes));
    } else {
        return _mm256_maddubs_epi16(codes, q);
    }
}

// The integer of each of eight parts, from part `part` of x on.
template <typename Block>
KERNELS_INLINE __m256i dots_of_8(const Group& w, const HalvesRow& x, int64_t part) {
    constexpr int kFit = 32767 / (2 * 127 * Codes<Block>::kLargest);  // sums of two products
    // Sub-scales as words, of parts 0 .. 3 and 4 .. 7: word 2 j + h is that of vector 2 j + h.
    __m256i factors;
    if constexpr (Block::kSubScales) {
        factors = _mm256_cvtepi8_epi16(w.sub_scale);
    }
    __m256i dots[4];
    for (int j = 0; j < 4; j++) {
        const auto pairs = [&](int h) {
            return pair_products<Block>(w.codes[2 * j + h], x, 32 * part + 64 * j + 32 * h);
        };
        if constexpr (Block::kSubScales) {
            const auto sums = [&](int h) {
                const int at = 2 * (2 * j + h);
                const auto word = static_cast<int16_t>(at | (at + 1) << 8);
                return _mm256_madd_epi16(pairs(h),
                                         _mm256_shuffle_epi8(factors, _mm256_set1_epi16(word)));
            };
            dots[j] = _mm256_add_epi32(sums(0), sums(1));
        } else if constexpr (kSignedCodes<Block>) {
            // Sums of two products are as large as fit.
            const __m256i one = _mm256_set1_epi16(1);
            dots[j] = _mm256_add_epi32(_mm256_madd_epi16(pairs(0), one),
                                       _mm256_madd_epi16(pairs(1), one));
        } else {
            static_assert(kFit >= 4);
            dots[j] = _mm256_add_epi16(pairs(0), pairs(1));
        }
    }
    if constexpr (Block::kSubScales || kSignedCodes<Block>) {
        return half_sums_32(dots);
    } else {
        return half_sums_16<(kFit >= 8)>(dots);
    }
}

// lanes + what the integers of eight parts stand for; w a Group of either Way.
template <typename Block, typename Group>
KERNELS_INLINE __m256 add_parts(
    __m256 lanes, const Group& w, __m256i dots, __m256i sums, const PackedRow& x, int64_t part) {
    const __m256 x_scale = _mm256_loadu_ps(x.scale + part);
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

struct Avx2Row {
    using Group = cpu::Group;

    static constexpr int64_t kMostColumns = 16384;

    template <typename Block, int n>
    class Rows {
    public:
        explicit Rows(const MatmulJob& job) {
            const int64_t cols = (job.cols + 255) / 256 * 256;
            // A line more than the columns: rows a multiple of 4 KB apart would share few places of
            // the first-level cache.
            int8_t* next = room_;
            for (int t = 0; t < n; t++) {
                const PackedRow packed = packed_row(job.x[t], job.cols);
                int8_t* q = next;
                next += cols + 64;
                for (int64_t i = 0; i < cols; i += i % 256 == 96 ? 160 : 32) {
                    const __m256i a = load_32(packed.q + i), b = load_32(packed.q + 128 + i);
                    int8_t* two = q + i + i % 256;
                    store_32(two, _mm256_permute2x128_si256(a, b, 0x20));
                    store_32(two + 32, _mm256_permute2x128_si256(a, b, 0x31));
                }
                rows_[t] = {packed, q, next};
                if constexpr (kSignsTurn<Block>) {
                    for (int64_t i = 0; i < cols; i += 32) {
                        store_32(next + i, _mm256_abs_epi8(load_32(q + i)));
                    }
                    next += cols + 64;
                }
            }
        }
        const HalvesRow& operator[](int t) const { return rows_[t]; }

    private:
        static constexpr int kCopies = kSignsTurn<Block> ? 2 : 1;
        HalvesRow rows_[n];
        alignas(64) int8_t room_[n * kCopies * (kMostColumns + 64)];
    };

    template <typename Block>
    KERNELS_INLINE static void load(const std::byte* src, Group& group) {
        load_group<Block>(src, group);
    }

    template <typename Block>
    KERNELS_INLINE static __m256 add(__m256 lanes,
                                     const Group& w,
                                     const HalvesRow& row,
                                     int64_t part) {
        constexpr int kOffset = Codes<Block>::kOffset;
        const PackedRow& x = row.packed;
        const __m256i sums = load_32(x.sum + 2 * part);
        __m256i dots = dots_of_8<Block>(w, row, part);
        if constexpr (kOffset != 0 && kOffset != 128) {
            __m256i factors = _mm256_set1_epi16(kOffset);
            if constexpr (Block::kSubScales) {
                factors = _mm256_mullo_epi16(_mm256_cvtepi8_epi16(w.sub_scale), factors);
            }
            dots = _mm256_sub_epi32(dots, _mm256_madd_epi16(factors, sums));
        }
        return add_parts<Block>(lanes, w, dots, sums, x, part);
    }
};

// Weight row m against all activation rows.
template <typename Way, typename Block, int rows>
void along_row(const MatmulJob& job, int64_t m, const typename Way::template Rows<Block, rows>& x) {
    constexpr int64_t kGroupBytes = 256 / Block::kElements * static_cast<int64_t>(sizeof(Block));
    const std::byte* src = job.weight + m * job.weight_stride_bytes;
    __m256 lanes[rows];
    for (int t = 0; t < rows; t++) {
        lanes[t] = _mm256_setzero_ps();
    }
    const int64_t parts = job.cols / 32;
    int64_t part = 0;
    typename Way::Group w;
    for (; part + 8 <= parts; part += 8, src += kGroupBytes) {
        for (int64_t line = 0; line < kGroupBytes; line += 64) {
            _mm_prefetch(reinterpret_cast<const char*>(src) + kAhead + line, _MM_HINT_T0);
        }
        Way::template load<Block>(src, w);
        for (int t = 0; t < rows; t++) {
            lanes[t] = Way::template add<Block>(lanes[t], w, x[t], part);
        }
    }
    if constexpr (Block::kElements == 32) {
        if (part < parts) {
            // Fewer than eight blocks: of the next rows, or zeros, in the place of the others,
            // whose lanes stay as they are.
            std::byte rest[kGroupBytes];
            const std::byte* end = job.weight + (job.m_end - 1) * job.weight_stride_bytes +
                                   parts * static_cast<int64_t>(sizeof(Block));
            if (end - src < kGroupBytes) {
                std::memset(rest, 0, sizeof(rest));
                std::memcpy(rest, src, static_cast<size_t>(parts - part) * sizeof(Block));
                src = rest;
            }
            Way::template load<Block>(src, w);
            const __m256i count = _mm256_set1_epi32(static_cast<int>(parts - part));
            const __m256 present = _mm256_castsi256_ps(
                _mm256_cmpgt_epi32(count, _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)));
            for (int t = 0; t < rows; t++) {
                const __m256 more = Way::template add<Block>(lanes[t], w, x[t], part);
                lanes[t] = _mm256_blendv_ps(lanes[t], more, present);
            }
        }
    }
    for (int t = 0; t < rows; t++) {
        job.out[t * job.out_stride + m - job.m_begin] = sum_of_lanes(lanes[t]);
    }
}

// All weight rows against all activation rows, `rows` of them.
template <typename Way, typename Block, int rows>
void along_rows(const MatmulJob& job) {
    const typename Way::template Rows<Block, rows> x(job);
    for (int64_t m = job.m_begin; m < job.m_end; m++) {
        along_row<Way, Block, rows>(job, m, x);
    }
}

#undef KERNELS_INLINE

}  // namespace
}  // namespace kernels::cpu
