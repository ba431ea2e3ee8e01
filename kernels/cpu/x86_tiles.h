// Products of many activation rows on AVX2 and AVX-512, written once over what differs (`Simd`:
// avx2.h, avx512.h), in the order of matmul_variants.h.
//
// A tile is kLanes weight rows, unpacked and transposed: a vector holds four neighbours of each of
// them and meets four activations of one row, broadcast. No sums across a vector, and the unpacking
// is shared by all activation rows.
//
// Everything is in an anonymous namespace, and no inline function of another header is called.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include <immintrin.h>

#include "kernels/cpu/matmul_variants.h"
#include "kernels/cpu/x86_codes.h"
#include "kernels/cpu/x86_tile_codes.h"

namespace kernels::cpu {
namespace {

constexpr int kTileParts = 32;  // 1024 weights of each row in a tile: 16 KiB of codes
constexpr int kTileRows = 64;   // activation rows that share one unpacking of a tile
constexpr int kPacedRows = 16;  // up to so many the next tile's weights are waited for

// Codes up to 255 overflow the 16-bit pair sums of AVX2, which takes them signed instead.
template <typename Simd, typename Block>
constexpr bool kSigned = !Simd::kVnni && Codes<Block>::kOffset == 128;

template <typename Simd, typename Block>
constexpr int kCorrection = kSigned<Simd, Block> ? 0 : Codes<Block>::kOffset;

template <typename Simd>
struct Tile {
    static constexpr int kLanes = Simd::kLanes;
    alignas(64) int32_t codes[kTileParts][8][kLanes];  // four codes of each weight row
    alignas(64) float scale[kTileParts][kLanes];
    alignas(64) float minimum[kTileParts][kLanes];
    // Of both halves of a part; where products are sums of two in 16 bits, twice in each lane.
    alignas(64) int32_t sub_scale[kTileParts][2][kLanes];
    // What both sums of 16 activations are multiplied with, beside each other: sub-minima, or
    // sub-scales times -kOffset.
    alignas(64) int32_t sum_factors[kTileParts][kLanes];
};

// Where TileCodes leaves a group of eight weight rows: parts from `part`, lanes from `lane`.
template <typename Simd, typename Block>
struct TileGroup {
    Tile<Simd>& tile;
    int part;
    int lane;

    static void store(int32_t* dst, __m256i v) {
        _mm256_store_si256(reinterpret_cast<__m256i*>(dst), v);
    }
    // low in the lower 16 bits of each lane, high in the upper ones.
    static __m256i beside(__m256i low, __m256i high) {
        return _mm256_blend_epi16(low, _mm256_slli_epi32(high, 16), 0xAA);
    }

    void codes(int j, int i, __m256i v) { store(&tile.codes[part + j][i][lane], v); }
    void scale(int j, __m256 v) { _mm256_store_ps(&tile.scale[part + j][lane], v); }
    void minimum(int j, __m256 v) { _mm256_store_ps(&tile.minimum[part + j][lane], v); }
    void factors(int j, __m256i first, __m256i second) {
        store(&tile.sub_scale[part + j][0][lane], Simd::kVnni ? first : beside(first, first));
        store(&tile.sub_scale[part + j][1][lane], Simd::kVnni ? second : beside(second, second));
        if constexpr (kCorrection<Simd, Block> != 0) {
            const __m256i offset = _mm256_set1_epi16(-kCorrection<Simd, Block>);
            store(&tile.sum_factors[part + j][lane],
                  _mm256_mullo_epi16(beside(first, second), offset));
        }
    }
    void least_factors(int j, __m256i first, __m256i second) {
        store(&tile.sum_factors[part + j][lane], beside(first, second));
    }
};

// Weight rows [m, m + kLanes) from part `begin` on, `parts` parts (at most a tile's). Lanes past
// the last row repeat it.
template <typename Simd, typename Block>
void fill_tile(Tile<Simd>& tile, const MatmulJob& job, int64_t m, int64_t begin, int parts) {
    constexpr int64_t kGroupBytes = 256 / Block::kElements * static_cast<int64_t>(sizeof(Block));
    for (int lane = 0; lane < Simd::kLanes; lane += 8) {
        const int64_t row = m + lane < job.m_end ? m + lane : job.m_end - 1;
        const int64_t last = job.m_end - 1 - row;
        EightRows src{job.weight + row * job.weight_stride_bytes + begin / 8 * kGroupBytes,
                      job.weight_stride_bytes};
        for (int part = 0; part < parts; part += 8, src.first += kGroupBytes) {
            TileGroup<Simd, Block> group{tile, part, lane};
            if (part + 8 <= parts && last >= 7) {
                TileCodes<Block>::template load<kSigned<Simd, Block>>(src, group);
                continue;
            }
            std::byte rest[8][kGroupBytes] = {};
            const auto present = static_cast<size_t>(part + 8 <= parts ? 8 : parts - part);
            for (int l = 0; l < 8; l++) {
                std::memcpy(rest[l], src.at(l < last ? l : static_cast<int>(last), 0),
                            Block::kElements == 32 ? present * sizeof(Block) : kGroupBytes);
            }
            TileCodes<Block>::template load<kSigned<Simd, Block>>({rest[0], kGroupBytes}, group);
        }
    }
}

// The weights of the tile after the one at (m, begin), on their way while that one is multiplied:
// with few activation rows they are needed soon, and from 8 or 16 places at once.
struct NextTile {
    const char* at;
    int64_t stride, lines, rows, done = 0;

    template <typename Simd, typename Block>
    static NextTile after(const MatmulJob& job, int64_t m, int64_t begin, int parts) {
        constexpr int64_t kBlockParts = Block::kElements / 32;
        constexpr auto kBytes = static_cast<int64_t>(sizeof(Block));
        const int64_t all_parts = job.cols / 32;
        begin += parts;
        if (begin >= all_parts) {
            begin = 0;
            m += Simd::kLanes;
        }
        const int64_t rows = job.m_end - m < Simd::kLanes ? job.m_end - m : Simd::kLanes;
        const int64_t next = all_parts - begin < kTileParts ? all_parts - begin : kTileParts;
        return {reinterpret_cast<const char*>(job.weight + m * job.weight_stride_bytes +
                                              begin / kBlockParts * kBytes),
                job.weight_stride_bytes, next / kBlockParts * kBytes / 64 + 1, rows > 0 ? rows : 0};
    }
    // Asks for the rows up to this share of them.
    void ask(int64_t part, int64_t parts) {
        for (; done < rows * part / parts; done++, at += stride) {
            for (int64_t line = 0; line < lines; line++) {
                _mm_prefetch(at + 64 * line, _MM_HINT_T1);
            }
        }
    }
};

// The integers of a part, `at` of the row, for `rows` activation rows.
template <typename Simd, typename Block, int rows>
[[gnu::always_inline]] inline void part_dots(typename Simd::Int* dots,
                                             const Tile<Simd>& tile,
                                             int p,
                                             const std::byte* const* x,
                                             int64_t at,
                                             int64_t sums_at) {
    constexpr int kOffset = kCorrection<Simd, Block>;
    constexpr bool kIsSigned = kSigned<Simd, Block>;
    constexpr int kLargest = Codes<Block>::kLargest;
    const int8_t* q[rows];
    for (int t = 0; t < rows; t++) {
        q[t] = reinterpret_cast<const int8_t*>(x[t] + at);
        if constexpr (kOffset == 0) {
            dots[t] = Simd::zero_int();
        } else {
            const auto sums = Simd::broadcast_word(x[t] + sums_at);
            if constexpr (Block::kSubScales) {
                dots[t] = Simd::pair_sums(sums, Simd::load_int(tile.sum_factors[p]));
            } else {
                dots[t] = Simd::pair_sums(sums, Simd::broadcast_16(-kOffset));
            }
        }
    }
    if constexpr (Block::kSubScales) {
        for (int half = 0; half < 2; half++) {
            Simd::template add_dots<kIsSigned, kLargest, rows, 4, true>(
                dots, tile.codes[p] + 4 * half, tile.sub_scale[p][half], q, 16 * half);
        }
    } else {
        Simd::template add_dots<kIsSigned, kLargest, rows, 8, false>(dots, tile.codes[p], nullptr,
                                                                     q, 0);
    }
}

// lanes[t][b % 8] of `rows` activation rows, over parts [p, p_end) of a tile.
template <typename Simd, typename Block, int rows>
[[gnu::noinline]] void add_tile(float (*lanes)[8][Simd::kLanes],
                                const Tile<Simd>& tile,
                                const MatmulJob& job,
                                int64_t first_row,
                                int64_t begin,
                                int p,
                                int p_end) {
    using Int = typename Simd::Int;
    using Float = typename Simd::Float;
    // One pointer for each row, as there are not registers for more.
    const std::byte* x[rows];
    for (int t = 0; t < rows; t++) {
        x[t] = job.x[first_row + t];
    }
    const PackedRow row = packed_row(x[0], job.cols);
    int64_t scale_at = reinterpret_cast<const std::byte*>(row.scale + begin + p) - x[0];
    const int64_t weighted_sum_after = reinterpret_cast<const std::byte*>(row.weighted_sum) -
                                       reinterpret_cast<const std::byte*>(row.scale);
    const int64_t sum_after =
        reinterpret_cast<const std::byte*>(row.sum) - reinterpret_cast<const std::byte*>(row.scale);
    for (; p < p_end; p++, scale_at += 4) {
        Int dots[rows];
        part_dots<Simd, Block, rows>(dots, tile, p, x, 32 * (begin + p), scale_at + sum_after);
        const Float scale = Simd::load(tile.scale[p]);
        for (int t = 0; t < rows; t++) {
            const Float x_scale = Simd::broadcast_float(x[t] + scale_at);
            Float sum = Simd::load(lanes[t][p % 8]);
            sum = Simd::multiply_add(Simd::to_float(dots[t]), Simd::multiply(scale, x_scale), sum);
            if constexpr (Block::kMinimum && Block::kSubScales) {
                const Int least = Simd::pair_sums(Simd::broadcast_word(x[t] + scale_at + sum_after),
                                                  Simd::load_int(tile.sum_factors[p]));
                const Float minimum = Simd::multiply(Simd::load(tile.minimum[p]), x_scale);
                sum = Simd::multiply_add(Simd::to_float(least), minimum, sum);
            } else if constexpr (Block::kMinimum) {
                const Float x_sum = Simd::broadcast_float(x[t] + scale_at + weighted_sum_after);
                sum = Simd::multiply_add(Simd::load(tile.minimum[p]), x_sum, sum);
            }
            Simd::store(lanes[t][p % 8], sum);
        }
    }
}

template <typename Simd, typename Block>
void add_rows(float (*lanes)[8][Simd::kLanes],
              const Tile<Simd>& tile,
              const MatmulJob& job,
              int64_t first_row,
              int rows,
              int64_t begin,
              int p,
              int p_end) {
    constexpr int kStep = Simd::kRows;
    if (rows >= kStep) {
        add_tile<Simd, Block, kStep>(lanes, tile, job, first_row, begin, p, p_end);
        return;
    }
    int t = 0;
    if (rows >= kStep / 2) {
        add_tile<Simd, Block, kStep / 2>(lanes, tile, job, first_row, begin, p, p_end);
        t = kStep / 2;
    }
    for (; t < rows; t++) {
        add_tile<Simd, Block, 1>(lanes + t, tile, job, first_row + t, begin, p, p_end);
    }
}

template <typename Simd, typename Block>
void tiles(const MatmulJob& job, int64_t first_row, int rows) {
    constexpr int kStep = Simd::kRows;
    alignas(64) float lanes[kTileRows][8][Simd::kLanes];
    Tile<Simd> tile;
    const int64_t all_parts = job.cols / 32;
    // With few rows the next tile is asked for all along, in the groups of 256 weights. (8 rows,
    // two Zen 3 cores: Q4_K 5 %, Q6_K 9 % faster; MXFP4 would be 6 % slower.)
    const int paced = Block::kElements == 256 && rows <= kPacedRows ? rows : kStep;
    for (int64_t m = job.m_begin; m < job.m_end; m += Simd::kLanes) {
        std::memset(lanes, 0, static_cast<size_t>(rows) * sizeof(lanes[0]));
        for (int64_t begin = 0; begin < all_parts; begin += kTileParts) {
            const auto parts =
                static_cast<int>(all_parts - begin < kTileParts ? all_parts - begin : kTileParts);
            fill_tile<Simd, Block>(tile, job, m, begin, parts);
            NextTile next = NextTile::after<Simd, Block>(job, m, begin, parts);
            for (int p = 0; p < parts; p += 4) {
                const int p_end = p + 4 < parts ? p + 4 : parts;
                next.ask(p_end, parts);
                for (int t = 0; t < paced; t += kStep) {
                    add_rows<Simd, Block>(lanes + t, tile, job, first_row + t, rows - t, begin, p,
                                          p_end);
                }
            }
            for (int t = paced; t < rows; t += kStep) {
                add_rows<Simd, Block>(lanes + t, tile, job, first_row + t, rows - t, begin, 0,
                                      parts);
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

}  // namespace
}  // namespace kernels::cpu
