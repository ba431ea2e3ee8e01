// Products along a row, for few activation rows: the order of matmul_variants.h, 256 weights at a
// time. Reads each weight once, in order. What differs between AVX2 (Avx2Row, here) and AVX-512
// (WideRow, x86_wide_rows.h) is a Way:
//
//   Input<Block>   an activation row as add() wants it, made of a PackedRow by take()
//   Group          256 unpacked weights, by load<Block>(src, group)
//   add<Block>     what eight parts of a row and a group add to the lanes
//   fits<Block>    whether an Input can hold a row of so many columns
//
// The integer of each part is exact, so its sums are taken as comes cheapest. AVX2: as long as they
// fit in 16 bits, sums of two products are added crosswise, which leaves eight vectors of one part
// each as one vector of eight parts.
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
    // words 0 .. 7 in each half: the sums of those of both halves
    const auto halves = [](__m256i pair) {
        const __m256i beside = _mm256_permute4x64_epi64(pair, 0xD8);
        const __m256i order = _mm256_broadcastsi128_si256(
            _mm_setr_epi8(0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15));
        return _mm256_madd_epi16(_mm256_shuffle_epi8(beside, order), _mm256_set1_epi16(1));
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

// The most columns of an ApartRow.
constexpr int64_t kMostApart = 16384;

// Activations for formats that keep weights i and 16 + i together (Codes::kApart): of each two
// parts the first halves, then the second ones. Done once, it spares every weight row the
// shuffling; so do the magnitudes, of which signed codes need one operand.
struct ApartRow {
    PackedRow packed;
    alignas(32) int8_t q[kMostApart];
    alignas(32) int8_t magnitude[kMostApart];
};

KERNELS_INLINE void store_32(int8_t* dst, __m256i v) {
    _mm256_store_si256(reinterpret_cast<__m256i*>(dst), v);
}

// The integer of each of eight parts, from part `part` of x on.
template <typename Block>
KERNELS_INLINE __m256i apart_dots(const Group& w, const ApartRow& x, int64_t part) {
    using Format = Codes<Block>;
    const __m256i one = _mm256_set1_epi16(1);
    __m256i dots[4];
    for (int k = 0; k < 4; k++) {
        const int8_t* q = x.q + 32 * part + 64 * k;
        if constexpr (Format::kOffset == 128) {
            // The sums of two of these are as large as fit. No code is -128, so all signs turn.
            const int8_t* magnitude = x.magnitude + 32 * part + 64 * k;
            const auto pairs = [&](int i) {
                const __m256i codes = _mm256_sign_epi8(w.codes[2 * k + i], load_32(q + 32 * i));
                return _mm256_madd_epi16(_mm256_maddubs_epi16(load_32(magnitude + 32 * i), codes),
                                         one);
            };
            dots[k] = _mm256_add_epi32(pairs(0), pairs(1));
        } else {
            const __m256i first = _mm256_maddubs_epi16(w.codes[2 * k], load_32(q));
            const __m256i second = _mm256_maddubs_epi16(w.codes[2 * k + 1], load_32(q + 32));
            dots[k] = _mm256_madd_epi16(_mm256_add_epi16(first, second), one);
        }
    }
    // Parts 0 2 4 6 1 3 5 7.
    const __m256i total =
        crosswise_64(crosswise_32(dots[0], dots[1]), crosswise_32(dots[2], dots[3]));
    return _mm256_permutevar8x32_epi32(total, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
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

// As apart_dots, of activations as they are packed.
template <typename Block>
KERNELS_INLINE __m256i packed_dots(const Group& w, const PackedRow& x, int64_t part) {
    constexpr bool kIsSigned = Codes<Block>::kOffset == 128;  // sums of two are as large as fit
    constexpr int kFit = 32767 / (2 * 127 * Codes<Block>::kLargest);
    const int8_t* q = x.q + 32 * part;
    __m256i dots[8];
    if constexpr (Block::kSubScales) {
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
        return sums_of_8(dots);
    } else {
        for (int j = 0; j < 8; j++) {
            dots[j] = pair_products<Block>(w.codes[j], load_32(q + 32 * j));
            if constexpr (kIsSigned) {
                dots[j] = _mm256_madd_epi16(dots[j], _mm256_set1_epi16(1));
            }
        }
        if constexpr (kIsSigned) {
            return sums_of_8(dots);
        } else {
            return sums_of_16<(kFit >= 8)>(dots);
        }
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

    template <typename Block>
    using Input = std::conditional_t<Codes<Block>::kApart, ApartRow, PackedRow>;

    template <typename Block>
    static bool fits(int64_t cols) {
        return !Codes<Block>::kApart || cols <= kMostApart;
    }

    static void take(PackedRow& to, const PackedRow& row, int64_t /*cols*/) { to = row; }
    static void take(ApartRow& to, const PackedRow& row, int64_t cols) {
        to.packed = row;
        for (int64_t i = 0; i < (cols + 255) / 256 * 256; i += 64) {
            const __m256i a = load_32(row.q + i), b = load_32(row.q + i + 32);
            const __m256i first = _mm256_permute2x128_si256(a, b, 0x20);
            const __m256i second = _mm256_permute2x128_si256(a, b, 0x31);
            store_32(to.q + i, first);
            store_32(to.q + i + 32, second);
            store_32(to.magnitude + i, _mm256_abs_epi8(first));
            store_32(to.magnitude + i + 32, _mm256_abs_epi8(second));
        }
    }

    template <typename Block>
    KERNELS_INLINE static void load(const std::byte* src, Group& group) {
        load_group<Block>(src, group);
    }

    template <typename Block>
    KERNELS_INLINE static __m256 add(__m256 lanes,
                                     const Group& w,
                                     const Input<Block>& input,
                                     int64_t part) {
        constexpr int kOffset = Codes<Block>::kOffset;
        const PackedRow& x = packed(input);
        const __m256i sums = load_32(x.sum + 2 * part);
        __m256i dots;
        if constexpr (Codes<Block>::kApart) {
            dots = apart_dots<Block>(w, input, part);
        } else {
            dots = packed_dots<Block>(w, x, part);
        }
        if constexpr (kOffset != 0 && kOffset != 128) {
            __m256i factors = _mm256_set1_epi16(kOffset);
            if constexpr (Block::kSubScales) {
                factors = _mm256_mullo_epi16(_mm256_cvtepi8_epi16(w.sub_scale), factors);
            }
            dots = _mm256_sub_epi32(dots, _mm256_madd_epi16(factors, sums));
        }
        return add_parts<Block>(lanes, w, dots, sums, x, part);
    }

    static const PackedRow& packed(const PackedRow& row) { return row; }
    static const PackedRow& packed(const ApartRow& row) { return row.packed; }
};

// Weight row m against `rows` activation rows.
template <typename Way, typename Block, int rows>
void along_row(const MatmulJob& job,
               int64_t m,
               int64_t first_row,
               const typename Way::template Input<Block>* x) {
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
        job.out[(first_row + t) * job.out_stride + m - job.m_begin] = sum_of_lanes(lanes[t]);
    }
}

// All weight rows against `rows` activation rows.
template <typename Way, typename Block, int rows>
void along_rows(const MatmulJob& job, int64_t first_row) {
    typename Way::template Input<Block> x[rows];
    for (int t = 0; t < rows; t++) {
        Way::take(x[t], packed_row(job.x[first_row + t], job.cols), job.cols);
    }
    for (int64_t m = job.m_begin; m < job.m_end; m++) {
        along_row<Way, Block, rows>(job, m, first_row, x);
    }
}

#undef KERNELS_INLINE

}  // namespace
}  // namespace kernels::cpu
