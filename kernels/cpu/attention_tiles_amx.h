// What the files of attention with the matrix unit share: numbers as sums of bf16, the weights of
// the positions, and their products with the latents (attention_tiles_amx.cpp draws the tiles).
// Included by files compiled for AVX-512 and AMX: everything is in an anonymous namespace (see
// matmul_variants.h).
#pragma once

#include "kernels/cpu/amx.h"
#include "kernels/cpu/attention_tiles.h"

namespace kernels::cpu {
namespace {

constexpr int64_t kDepth = 32;  // numbers that one product sums over
constexpr int64_t kTile = 1024;
constexpr int64_t kMaxParts = 3;  // of a K row
constexpr int64_t kPage = 64;
constexpr int64_t kMaxRows = kTiledSplitRows;
constexpr int64_t kMixSteps = 2;  // steps of the scores take as long as one of the mixing

inline int64_t tiles(int64_t n, int64_t side) {
    return (n + side - 1) / side;
}

// Tiles 4 and 5 are A. With `first` and `second` rows in them, so have the sums 0, 1 and 2, 3.
inline void configure(int64_t first, int64_t second) {
    alignas(64) TileConfig config;
    for (const int tile : {0, 1, 4}) {
        config.set(tile, static_cast<int>(first), 64);
    }
    for (const int tile : {2, 3, 5}) {
        config.set(tile, static_cast<int>(second), 64);
    }
    for (const int tile : {6, 7}) {
        config.set(tile, kSide, 64);
    }
    load_config(config);
}

inline __m512i high_mask() {
    return _mm512_set1_epi32(static_cast<int>(0xFFFF0000U));
}

// The upper 16 bits, rounded to nearest: what is left has either sign and does not add up. Of a NaN
// anything; but then what is left is one.
inline __m512 rounded(__m512 x) {
    const __m512i bits = _mm512_castps_si512(x);
    return _mm512_castsi512_ps(
        _mm512_and_si512(_mm512_add_epi32(bits, _mm512_set1_epi32(0x8000)), high_mask()));
}

// Upper halves of a and b beside each other: a in the lower 16 bits.
inline __m512i paired(__m512 a, __m512 b) {
    const __m512i low = _mm512_srli_epi32(_mm512_castps_si512(a), 16);
    // low | (b & mask)
    return _mm512_ternarylogic_epi32(low, _mm512_castps_si512(b), high_mask(), 0xF8);
}

// Upper halves of the 16 numbers of a, then of b.
inline __m512i joined(__m512 a, __m512 b) {
    alignas(64) static constexpr uint16_t kOdd[32] = {1,  3,  5,  7,  9,  11, 13, 15, 17, 19, 21,
                                                      23, 25, 27, 29, 31, 33, 35, 37, 39, 41, 43,
                                                      45, 47, 49, 51, 53, 55, 57, 59, 61, 63};
    return _mm512_permutex2var_epi16(_mm512_castps_si512(a), _mm512_load_si512(kOdd),
                                     _mm512_castps_si512(b));
}

// 16 numbers from their codes.
inline __m512 from_codes(const std::byte* codes) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(codes));
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes));
}

// e^x for x <= 0, to about 1 ulp; NaN stays NaN.
inline __m512 exponential(__m512 x) {
    const __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504F)), 0);
    __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375F), x);
    r = _mm512_fnmadd_ps(n, _mm512_set1_ps(-2.12194440e-4F), r);
    __m512 p =
        _mm512_fmadd_ps(r, _mm512_set1_ps(1.9875691500e-4F), _mm512_set1_ps(1.3981999507e-3F));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(8.3334519073e-3F));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(4.1665795894e-2F));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.6666665459e-1F));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(5.0000001201e-1F));
    p = _mm512_add_ps(_mm512_fmadd_ps(p, _mm512_mul_ps(r, r), r), _mm512_set1_ps(1.0F));
    return _mm512_scalef_ps(p, n);
}

// x as bf16 numbers, each the rest of the ones before it, rounded; of `exact` numbers the last is
// all that is left.
template <int parts, bool exact>
inline void split(__m512 x, __m512* part) {
    for (int i = 0; i + 1 < parts; i++) {
        part[i] = rounded(x);
        x = _mm512_sub_ps(x, part[i]);
    }
    part[parts - 1] = exact ? x : rounded(x);
}

// Row r, or null past the last.
inline const std::byte* k_row(const TiledSplit& s, int64_t r) {
    return r < s.count ? s.rows[r / kPage] + r % kPage * s.row_bytes : nullptr;
}

// The rows that come next, on their way while this split is worked on.
class Ahead {
public:
    Ahead(const TiledSplit& s, int64_t steps)
        : split_(s),
          lines_(kPage * s.row_bytes / 64),
          per_step_(s.next == nullptr ? 0 : (s.next_pages * lines_ + steps - 1) / steps) {}
    void step() {
        for (int64_t i = 0; i < per_step_ && page_ < split_.next_pages; i++) {
            _mm_prefetch(reinterpret_cast<const char*>(split_.next[page_] + line_ * 64),
                         _MM_HINT_T1);
            if (++line_ == lines_) {
                line_ = 0;
                page_++;
            }
        }
    }

private:
    const TiledSplit& split_;
    int64_t lines_, per_step_;
    int64_t page_ = 0, line_ = 0;
};

// A kind of row has
//   right(split, row, next, at, parts)  numbers [at, at + 32) of two rows, interleaved:
//                                       parts[tile][part], a tile for 16 numbers; either row may be
//                                       null, for zeros
// Latents [32 l, 32 l + 32) of 32 rows as B: [latent tile 2][chunk][part][16 pairs][16][2].
template <typename Rows>
inline void rows_as_right(
    const TiledSplit& s, int64_t l, int64_t chunk, int64_t chunks, std::byte* dst) {
    std::byte* out = dst + chunk * Rows::kMixParts * kTile;
    for (int64_t j = 0; j < kSide; j++, out += 64) {
        const int64_t r = chunk * kDepth + 2 * j;
        __m512i parts[2][kMaxParts];
        Rows::right(s, k_row(s, r), k_row(s, r + 1), l * kDepth, parts);
        for (int64_t t = 0; t < 2; t++) {
            for (int part = 0; part < Rows::kMixParts; part++) {
                _mm512_store_si512(out + (t * chunks * Rows::kMixParts + part) * kTile,
                                   parts[t][part]);
            }
        }
    }
}

// Weights of 16 columns from their scores; false if a score is not finite.
//   keep(chunk, weights)   32 positions, of 16 columns each
template <typename Keep>
inline bool weigh(
    const TiledSplit& s, const float* scores, int64_t tile, int64_t chunks, const Keep& keep) {
    const int64_t stride = tiles(s.columns, kSide) * kSide;
    scores += tile * kSide;
    alignas(64) int32_t sees[kSide];
    for (int64_t i = 0; i < kSide; i++) {
        const int64_t column = tile * kSide + i;
        const int64_t seen = column < s.columns ? s.seen + column / s.heads : 0;
        sees[i] = static_cast<int32_t>(seen < 0 ? 0 : seen < s.count ? seen : s.count);
    }
    const __m512i seen = _mm512_load_si512(sees);
    const auto is_seen = [&](int64_t r) {
        return _mm512_cmplt_epi32_mask(_mm512_set1_epi32(static_cast<int>(r)), seen);
    };
    const __mmask16 there = static_cast<__mmask16>(
        s.columns - tile * kSide < kSide ? (1U << (s.columns - tile * kSide)) - 1 : 0xFFFFU);

    __m512 largest = _mm512_set1_ps(-__builtin_inff());
    __mmask16 broken = 0;
    for (int64_t r = 0; r < s.count; r++) {
        const __m512 v = _mm512_load_ps(scores + r * stride);
        broken |= _mm512_fpclass_ps_mask(v, 0x99);  // NaN, infinities
        const __mmask16 visible = is_seen(r);
        largest = _mm512_mask_max_ps(largest, visible, largest, v);
    }
    const __m512 scale = _mm512_set1_ps(s.scale);
    largest = _mm512_mul_ps(largest, scale);

    __m512 sum = _mm512_setzero_ps();
    const auto weight = [&](int64_t r) {
        const __m512 v = _mm512_load_ps(scores + r * stride);
        const __mmask16 visible = is_seen(r);
        return _mm512_maskz_mov_ps(visible, exponential(_mm512_fmsub_ps(v, scale, largest)));
    };
    for (int64_t c = 0; c < chunks; c++) {
        __m512 weights[kDepth];
        for (int64_t j = 0; j < kDepth; j += 2) {
            const __m512 a = weight(c * kDepth + j), b = weight(c * kDepth + j + 1);
            sum = _mm512_add_ps(_mm512_add_ps(sum, a), b);
            weights[j] = a;
            weights[j + 1] = b;
        }
        keep(c, weights);
    }
    alignas(64) float maxima[kSide], sums[kSide];
    _mm512_store_ps(maxima, largest);
    _mm512_store_ps(sums, sum);
    for (int64_t i = 0; i < kSide && tile * kSide + i < s.columns; i++) {
        float* stats = s.part + (tile * kSide + i) * s.part_row + s.stats;
        stats[0] = maxima[i];
        stats[1] = sums[i];
    }
    return (broken & there) == 0;
}

// 32 latents (16 without `wide`) of one or two tiles of columns; beside(c) is done beside chunk c.
template <typename Rows, bool two, bool wide, typename Beside>
inline void mix_tiles(const std::byte* weights,
                      const std::byte* rows,
                      int64_t chunks,
                      float* out,
                      int64_t out_stride,
                      const Beside& beside) {
    const int64_t next = chunks * 2 * kTile, next_rows = chunks * Rows::kMixParts * kTile;
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    const auto products = [&] {
        _tile_dpbf16ps(0, 4, 6);
        if constexpr (wide) {
            _tile_dpbf16ps(1, 4, 7);
        }
        if constexpr (two) {
            _tile_dpbf16ps(2, 5, 6);
            if constexpr (wide) {
                _tile_dpbf16ps(3, 5, 7);
            }
        }
    };
    for (int64_t c = 0; c < chunks; c++, weights += 2 * kTile, rows += Rows::kMixParts * kTile) {
        _tile_loadd(4, weights, 64);
        if constexpr (two) {
            _tile_loadd(5, weights + next, 64);
        }
        for (int part = Rows::kMixParts - 1; part >= 0; part--) {
            _tile_loadd(6, rows + part * kTile, 64);
            if constexpr (wide) {
                _tile_loadd(7, rows + next_rows + part * kTile, 64);
            }
            products();
        }
        _tile_loadd(4, weights + kTile, 64);
        if constexpr (two) {
            _tile_loadd(5, weights + next + kTile, 64);
        }
        products();
        beside(c);
    }
    const auto stride = static_cast<size_t>(out_stride) * 4;
    _tile_stored(0, out, stride);
    if constexpr (wide) {
        _tile_stored(1, out + kSide, stride);
    }
    if constexpr (two) {
        _tile_stored(2, out + kSide * out_stride, stride);
        if constexpr (wide) {
            _tile_stored(3, out + kSide * out_stride + kSide, stride);
        }
    }
}

// Mixed latents of all columns.
//   weights.of(l, c)           of tile c of columns for latents [32 l, 32 l + 32):
//                              [tile][chunk][high, low]
//   weights.make(l, c, chunk)  has them made
template <typename Rows, typename Weights>
inline void mix_all(const TiledSplit& s,
                    int64_t chunks,
                    std::byte* const* rows_of,
                    Ahead& ahead,
                    Weights& weights) {
    const int64_t across = tiles(s.columns, kSide), latent_tiles = tiles(s.latent, kSide);
    const int64_t mixes = tiles(latent_tiles, 2);
    const auto columns_of = [&](int64_t c) {
        return s.columns - c * kSide < kSide ? s.columns - c * kSide : kSide;
    };
    for (int64_t chunk = 0; chunk < chunks; chunk++) {
        rows_as_right<Rows>(s, 0, chunk, chunks, rows_of[0]);
        for (int64_t c = 0; c < across; c++) {
            weights.make(0, c, chunk);
        }
    }
    // With many columns the rows are read again and again: two sets would not stay in the nearest
    // cache.
    const bool many = across > 2;
    int64_t configured = 0;  // rows of the second tile of columns
    for (int64_t l = 0; l < mixes; l++) {
        const std::byte* rows = rows_of[many ? 0 : l % 2];
        std::byte* next = rows_of[(l + 1) % 2];
        for (int64_t chunk = 0; many && l > 0 && chunk < chunks; chunk++) {
            rows_as_right<Rows>(s, l, chunk, chunks, rows_of[0]);
        }
        const bool wide = 2 * l + 1 < latent_tiles;
        for (int64_t c = 0; c < across; c += 2) {
            const bool two = c + 1 < across;
            const int64_t last = columns_of(two ? c + 1 : c);
            finish_writing();
            if (last != configured) {
                configure(two ? kSide : last, last);
                configured = last;
            }
            float* out = s.part + c * kSide * s.part_row + l * kDepth;
            const auto beside = [&](int64_t chunk) {
                if (c == 0) {
                    for (int64_t i = 0; i < kMixSteps; i++) {
                        ahead.step();
                    }
                }
                if (l + 1 == mixes) {
                    return;
                }
                if (!many) {
                    rows_as_right<Rows>(s, l + 1, chunk, chunks, next);
                }
                weights.make(l + 1, c, chunk);
                if (two) {
                    weights.make(l + 1, c + 1, chunk);
                }
            };
            const std::byte* own = weights.of(l, c);
            if (two && wide) {
                mix_tiles<Rows, true, true>(own, rows, chunks, out, s.part_row, beside);
            } else if (two) {
                mix_tiles<Rows, true, false>(own, rows, chunks, out, s.part_row, beside);
            } else if (wide) {
                mix_tiles<Rows, false, true>(own, rows, chunks, out, s.part_row, beside);
            } else {
                mix_tiles<Rows, false, false>(own, rows, chunks, out, s.part_row, beside);
            }
        }
    }
}

}  // namespace
}  // namespace kernels::cpu
