// The AVX2 and AVX-512 products, written once over what differs: `Simd` has the vector types and
// the byte dot product (matmul_avx2.cpp, matmul_avx512.cpp). Two ways with the same bits, by the
// order that matmul_variants.h fixes:
//
//   along a row   up to Simd::kFewRows activation rows: 32 weights of one row against 32
//   activations, the activations, the
//                 sums of eight such parts brought into one vector. Reads each weight once, in
//                 order.
//   a tile        more rows: kLanes weight rows are unpacked and transposed, so that a vector holds
//                 four neighbours of each of them, and meets four activations of one row,
//                 broadcast. No sums across a vector, and the unpacking is shared by all activation
//                 rows.
//
// Everything is in an anonymous namespace, and no inline function of another header is called.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include <immintrin.h>

#include "kernels/cpu/matmul_variants.h"
#include "kernels/cpu/pack_activation.h"
#include "kernels/cpu/x86_codes.h"

namespace kernels::cpu {
namespace {

constexpr int kTileGroups = 4;  // 1024 weights of each row in a tile: 16 KiB for AVX-512
constexpr int kTileRows = 64;   // activation rows that share one unpacking of a tile

inline float sum_of_lanes(__m256 v) {
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}

// The sums of eight vectors of eight.
inline __m256i sums_of_8(const __m256i* v) {
    const __m256i a =
        _mm256_hadd_epi32(_mm256_hadd_epi32(v[0], v[1]), _mm256_hadd_epi32(v[2], v[3]));
    const __m256i b =
        _mm256_hadd_epi32(_mm256_hadd_epi32(v[4], v[5]), _mm256_hadd_epi32(v[6], v[7]));
    return _mm256_add_epi32(_mm256_permute2x128_si256(a, b, 0x20),
                            _mm256_permute2x128_si256(a, b, 0x31));
}

// Codes up to 255 overflow the 16-bit pair sums of AVX2, which takes them signed instead.
template <typename Simd, typename Block>
constexpr bool kSigned = !Simd::kVnni && Codes<Block>::kOffset == 128;

template <typename Simd, typename Block>
constexpr int kCorrection = kSigned<Simd, Block> ? 0 : Codes<Block>::kOffset;

// Unsigned codes times int8, as sums of two neighbours.
template <bool is_signed>
__m256i pair_products(__m256i codes, __m256i x) {
    if constexpr (is_signed) {
        const __m256i q = _mm256_xor_si256(codes, _mm256_set1_epi8(static_cast<char>(0x80)));
        return _mm256_maddubs_epi16(_mm256_abs_epi8(q), _mm256_sign_epi8(x, q));
    } else {
        return _mm256_maddubs_epi16(codes, x);
    }
}

// --- along a row

// The integer of each of eight parts.
template <typename Simd, typename Block>
__m256i group_dots(const Group& w, const int8_t* q, __m256i sums) {
    __m256i dots[8];
    if constexpr (Block::kSubScales) {
        // Factors of even parts in the low half, of odd parts in the high half; part j takes word j
        // of each.
        const __m128i order = _mm_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15);
        const __m256i factors = _mm256_cvtepi8_epi16(_mm_shuffle_epi8(w.sub_scale, order));
        for (int j = 0; j < 8; j++) {
            const __m256i pairs = pair_products<false>(w.codes[j], load_32(q + 32 * j));
            const auto word = static_cast<int16_t>(2 * j | (2 * j + 1) << 8);
            dots[j] =
                _mm256_madd_epi16(pairs, _mm256_shuffle_epi8(factors, _mm256_set1_epi16(word)));
        }
    } else {
        for (int j = 0; j < 8; j++) {
            dots[j] = Simd::template dot<kSigned<Simd, Block>>(w.codes[j], load_32(q + 32 * j));
        }
    }
    __m256i total = sums_of_8(dots);
    if constexpr (kCorrection<Simd, Block> != 0) {
        const __m256i offset = _mm256_set1_epi16(kCorrection<Simd, Block>);
        if constexpr (Block::kSubScales) {
            const __m256i factors = _mm256_cvtepi8_epi16(w.sub_scale);
            const __m256i excess = _mm256_madd_epi16(_mm256_mullo_epi16(factors, offset), sums);
            total = _mm256_sub_epi32(total, excess);
        } else {
            total = _mm256_sub_epi32(total, _mm256_madd_epi16(sums, offset));
        }
    }
    return total;
}

template <typename Simd, typename Block>
__m256 add_group(__m256 lanes, const Group& w, const PackedRow& x, int64_t part) {
    const __m256i sums = load_32(x.sum + 2 * part);
    const __m256 x_scale = _mm256_loadu_ps(x.scale + part);
    const __m256i dots = group_dots<Simd, Block>(w, x.q + 32 * part, sums);
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

template <typename Simd, typename Block, int rows>
void along_row(const MatmulJob& job, int64_t m, int64_t first_row) {
    constexpr int64_t kGroupBytes = 256 / Block::kElements * static_cast<int64_t>(sizeof(Block));
    const std::byte* src = job.weight + m * job.weight_stride_bytes;
    PackedRow x[rows];
    __m256 lanes[rows];
    for (int t = 0; t < rows; t++) {
        x[t] = packed_row(job.x[first_row + t], job.cols);
        lanes[t] = _mm256_setzero_ps();
    }
    const int64_t parts = job.cols / 32;
    int64_t part = 0;
    Group w;
    for (; part + 8 <= parts; part += 8, src += kGroupBytes) {
        load_group<Block>(src, w);
        for (int t = 0; t < rows; t++) {
            lanes[t] = add_group<Simd, Block>(lanes[t], w, x[t], part);
        }
    }
    if constexpr (Block::kElements == 32) {
        if (part < parts) {
            // Fewer than eight blocks: zeros take the place of the others, and their lanes stay.
            std::byte rest[kGroupBytes] = {};
            std::memcpy(rest, src, static_cast<size_t>(parts - part) * sizeof(Block));
            load_group<Block>(rest, w);
            const __m256i count = _mm256_set1_epi32(static_cast<int>(parts - part));
            const __m256 present = _mm256_castsi256_ps(
                _mm256_cmpgt_epi32(count, _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)));
            for (int t = 0; t < rows; t++) {
                const __m256 more = add_group<Simd, Block>(lanes[t], w, x[t], part);
                lanes[t] = _mm256_blendv_ps(lanes[t], more, present);
            }
        }
    }
    for (int t = 0; t < rows; t++) {
        job.out[(first_row + t) * job.out_stride + m - job.m_begin] = sum_of_lanes(lanes[t]);
    }
}

// --- a tile

template <typename Simd>
struct Tile {
    static constexpr int kLanes = Simd::kLanes;
    alignas(64) int32_t codes[kTileGroups][64][kLanes];  // four codes of each weight row
    alignas(64) float scale[kTileGroups][8][kLanes];
    alignas(64) float minimum[kTileGroups][8][kLanes];
    alignas(64) int32_t sub_scale[kTileGroups][16][kLanes];
    alignas(64) int32_t sub_minimum[kTileGroups][16][kLanes];
};

// dst[i * stride + l] = word i of v[l], 8 x 8 words.
inline void store_transposed(const __m256i* v, void* dst, int64_t stride) {
    __m256i a[8], b[8];
    for (int i = 0; i < 8; i += 2) {
        a[i] = _mm256_unpacklo_epi32(v[i], v[i + 1]);
        a[i + 1] = _mm256_unpackhi_epi32(v[i], v[i + 1]);
    }
    for (int i = 0; i < 8; i += 4) {
        b[i] = _mm256_unpacklo_epi64(a[i], a[i + 2]);
        b[i + 1] = _mm256_unpackhi_epi64(a[i], a[i + 2]);
        b[i + 2] = _mm256_unpacklo_epi64(a[i + 1], a[i + 3]);
        b[i + 3] = _mm256_unpackhi_epi64(a[i + 1], a[i + 3]);
    }
    auto* out = static_cast<int32_t*>(dst);
    for (int i = 0; i < 4; i++) {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i * stride),
                            _mm256_permute2x128_si256(b[i], b[4 + i], 0x20));
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + (4 + i) * stride),
                            _mm256_permute2x128_si256(b[i], b[4 + i], 0x31));
    }
}

// Group g of the tile from eight weight rows, into lanes [lane, lane + 8).
template <typename Simd, typename Block>
void fill_group(Tile<Simd>& tile, int g, int lane, const Group* w) {
    constexpr int64_t kStride = Simd::kLanes;
    __m256i v[8];
    for (int j = 0; j < 8; j++) {
        for (int l = 0; l < 8; l++) {
            v[l] = w[l].codes[j];
        }
        store_transposed(v, &tile.codes[g][8 * j][lane], kStride);
    }
    for (int l = 0; l < 8; l++) {
        v[l] = _mm256_castps_si256(w[l].scale);
    }
    store_transposed(v, &tile.scale[g][0][lane], kStride);
    if constexpr (Block::kMinimum) {
        for (int l = 0; l < 8; l++) {
            v[l] = _mm256_castps_si256(w[l].minimum);
        }
        store_transposed(v, &tile.minimum[g][0][lane], kStride);
    }
    if constexpr (Block::kSubScales) {
        for (int half = 0; half < 2; half++) {
            for (int l = 0; l < 8; l++) {
                const __m128i bytes = w[l].sub_scale;
                v[l] = _mm256_cvtepi8_epi32(half == 0 ? bytes : _mm_srli_si128(bytes, 8));
            }
            store_transposed(v, &tile.sub_scale[g][8 * half][lane], kStride);
            if constexpr (Block::kMinimum) {
                for (int l = 0; l < 8; l++) {
                    const __m128i bytes = w[l].sub_minimum;
                    v[l] = _mm256_cvtepi8_epi32(half == 0 ? bytes : _mm_srli_si128(bytes, 8));
                }
                store_transposed(v, &tile.sub_minimum[g][8 * half][lane], kStride);
            }
        }
    }
}

// Weight rows [m, m + kLanes) from part `begin` on, `parts` parts (at most a tile's). Lanes past
// the last row repeat it.
template <typename Simd, typename Block>
void fill_tile(Tile<Simd>& tile, const MatmulJob& job, int64_t m, int64_t begin, int parts) {
    constexpr int kGroupBlocks = 256 / Block::kElements;
    constexpr int64_t kGroupBytes = kGroupBlocks * static_cast<int64_t>(sizeof(Block));
    for (int lane = 0; lane < Simd::kLanes; lane += 8) {
        const std::byte* src[8];
        for (int l = 0; l < 8; l++) {
            const int64_t row = m + lane + l < job.m_end ? m + lane + l : job.m_end - 1;
            src[l] = job.weight + row * job.weight_stride_bytes + begin / 8 * kGroupBytes;
        }
        Group w[8];
        for (int g = 0; 8 * g < parts; g++) {
            for (int l = 0; l < 8; l++) {
                if (8 * g + 8 <= parts) {
                    load_group<Block>(src[l] + g * kGroupBytes, w[l]);
                } else {
                    std::byte rest[kGroupBytes] = {};
                    std::memcpy(rest, src[l] + g * kGroupBytes,
                                static_cast<size_t>(parts - 8 * g) * sizeof(Block));
                    load_group<Block>(rest, w[l]);
                }
            }
            fill_group<Simd, Block>(tile, g, lane, w);
        }
    }
}

// The weights of the tile after the one at (m, begin), on their way while that one is multiplied:
// with few activation rows they are needed soon, and from 8 or 16 places at once.
template <typename Simd, typename Block>
class NextTile {
public:
    NextTile(const MatmulJob& job, int64_t m, int64_t begin) {
        constexpr int64_t kParts = 8 * kTileGroups;
        const int64_t all_parts = job.cols / 32;
        begin += kParts;
        if (begin >= all_parts) {
            begin = 0;
            m += Simd::kLanes;
        }
        const int64_t parts = all_parts - begin < kParts ? all_parts - begin : kParts;
        const int64_t rows = job.m_end - m < Simd::kLanes ? job.m_end - m : Simd::kLanes;
        constexpr int64_t kBlockParts = Block::kElements / 32;
        constexpr auto kBytes = static_cast<int64_t>(sizeof(Block));
        at_ = job.weight + m * job.weight_stride_bytes + begin / kBlockParts * kBytes;
        stride_ = job.weight_stride_bytes;
        lines_ = parts / kBlockParts * kBytes / 64 + 1;
        rows_ = rows > 0 ? rows : 0;
        per_step_ = (rows_ * lines_ + kParts - 1) / kParts;
    }
    void step() {
        for (int64_t i = 0; i < per_step_ && rows_ > 0; i++) {
            _mm_prefetch(reinterpret_cast<const char*>(at_ + 64 * line_), _MM_HINT_T1);
            if (++line_ == lines_) {
                line_ = 0;
                at_ += stride_;
                rows_--;
            }
        }
    }

private:
    const std::byte* at_;
    int64_t stride_, lines_, rows_, per_step_, line_ = 0;
};

// lanes[t][b % 8] of `rows` activation rows, over the parts of a tile.
template <typename Simd, typename Block, int rows>
void add_tile(float (*lanes)[8][Simd::kLanes],
              const Tile<Simd>& tile,
              const MatmulJob& job,
              int64_t first_row,
              int64_t begin,
              int parts,
              NextTile<Simd, Block>& next) {
    using Int = typename Simd::Int;
    using Float = typename Simd::Float;
    PackedRow x[rows];
    for (int t = 0; t < rows; t++) {
        x[t] = packed_row(job.x[first_row + t], job.cols);
    }
    for (int p = 0; p < parts; p++) {
        const int g = p / 8, j = p % 8;
        const int64_t at = begin + p;
        next.step();
        Int dots[rows];
        const auto half_dots = [&](int half, int words, Int* sums) {
            constexpr int kOffset = kCorrection<Simd, Block>;
            for (int t = 0; t < rows; t++) {
                int sum = 0;
                if constexpr (kOffset != 0) {
                    sum = x[t].sum[2 * at + half] + (words == 8 ? x[t].sum[2 * at + 1] : 0);
                }
                sums[t] = Simd::broadcast(-kOffset * sum);
            }
            const int8_t* q[rows];
            for (int t = 0; t < rows; t++) {
                q[t] = x[t].q + 32 * at + 16 * half;
            }
            Simd::template add_dots<kSigned<Simd, Block>, Codes<Block>::kLargest, rows>(
                sums, tile.codes[g][8 * j + 4 * half], q, words);
        };
        if constexpr (Block::kSubScales) {
            Int high[rows];
            half_dots(0, 4, dots);
            half_dots(1, 4, high);
            const Int low_factor = Simd::load_int(tile.sub_scale[g][2 * j]);
            const Int high_factor = Simd::load_int(tile.sub_scale[g][2 * j + 1]);
            for (int t = 0; t < rows; t++) {
                dots[t] = Simd::add(Simd::multiply(dots[t], low_factor),
                                    Simd::multiply(high[t], high_factor));
            }
        } else {
            half_dots(0, 8, dots);
        }
        const Float scale = Simd::load(tile.scale[g][j]);
        for (int t = 0; t < rows; t++) {
            const Float x_scale = Simd::broadcast(x[t].scale[at]);
            Float sum = Simd::load(lanes[t][j]);
            sum = Simd::multiply_add(Simd::to_float(dots[t]), Simd::multiply(scale, x_scale), sum);
            if constexpr (Block::kMinimum && Block::kSubScales) {
                const Int least =
                    Simd::add(Simd::multiply(Simd::load_int(tile.sub_minimum[g][2 * j]),
                                             Simd::broadcast(int{x[t].sum[2 * at]})),
                              Simd::multiply(Simd::load_int(tile.sub_minimum[g][2 * j + 1]),
                                             Simd::broadcast(int{x[t].sum[2 * at + 1]})));
                const Float minimum = Simd::multiply(Simd::load(tile.minimum[g][j]), x_scale);
                sum = Simd::multiply_add(Simd::to_float(least), minimum, sum);
            } else if constexpr (Block::kMinimum) {
                sum = Simd::multiply_add(Simd::load(tile.minimum[g][j]),
                                         Simd::broadcast(x[t].weighted_sum[at]), sum);
            }
            Simd::store(lanes[t][j], sum);
        }
    }
}

template <typename Simd, typename Block>
void tiles(const MatmulJob& job, int64_t first_row, int rows) {
    constexpr int kStep = Simd::kRows;
    constexpr int kParts = 8 * kTileGroups;
    alignas(64) float lanes[kTileRows][8][Simd::kLanes];
    Tile<Simd> tile;
    const int64_t all_parts = job.cols / 32;
    for (int64_t m = job.m_begin; m < job.m_end; m += Simd::kLanes) {
        std::memset(lanes, 0, static_cast<size_t>(rows) * sizeof(lanes[0]));
        for (int64_t begin = 0; begin < all_parts; begin += kParts) {
            const auto parts =
                static_cast<int>(all_parts - begin < kParts ? all_parts - begin : kParts);
            fill_tile<Simd, Block>(tile, job, m, begin, parts);
            NextTile<Simd, Block> next(job, m, begin);
            int t = 0;
            for (; t + kStep <= rows; t += kStep) {
                add_tile<Simd, Block, kStep>(lanes + t, tile, job, first_row + t, begin, parts,
                                             next);
            }
            if (t + kStep / 2 <= rows) {
                add_tile<Simd, Block, kStep / 2>(lanes + t, tile, job, first_row + t, begin, parts,
                                                 next);
                t += kStep / 2;
            }
            for (; t < rows; t++) {
                add_tile<Simd, Block, 1>(lanes + t, tile, job, first_row + t, begin, parts, next);
            }
        }
        const int64_t left = job.m_end - m;
        const auto count = static_cast<size_t>(left < Simd::kLanes ? left : Simd::kLanes);
        for (int t = 0; t < rows; t++) {
            const auto lane = [&](int j) { return Simd::load(lanes[t][j]); };
            const auto even = Simd::add(Simd::add(lane(0), lane(4)), Simd::add(lane(2), lane(6)));
            const auto odd = Simd::add(Simd::add(lane(1), lane(5)), Simd::add(lane(3), lane(7)));
            alignas(64) float result[Simd::kLanes];
            Simd::store(result, Simd::add(even, odd));
            std::memcpy(job.out + (first_row + t) * job.out_stride + m - job.m_begin, result,
                        count * sizeof(float));
        }
    }
}

template <typename Simd, typename Block>
void all_tiles(const MatmulJob& job) {
    for (int64_t t = 0; t < job.n_rows; t += kTileRows) {
        const int64_t rows = job.n_rows - t < kTileRows ? job.n_rows - t : kTileRows;
        tiles<Simd, Block>(job, t, static_cast<int>(rows));
    }
}

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
    } else if (job.n_rows <= Simd::kFewRows) {
        for (int64_t t = 0; t < job.n_rows; t += 4) {
            for (int64_t m = job.m_begin; m < job.m_end; m++) {
                switch (job.n_rows - t) {
                    case 1:
                        Simd::template few_rows<Block, 1>(job, m, t);
                        break;
                    case 2:
                        Simd::template few_rows<Block, 2>(job, m, t);
                        break;
                    case 3:
                        Simd::template few_rows<Block, 3>(job, m, t);
                        break;
                    default:
                        Simd::template few_rows<Block, 4>(job, m, t);
                        break;
                }
            }
        }
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
