// attention_tiles.h with the bf16 products of AMX (Sapphire Rapids and later).
//
//   scores: C [16 positions, 16 columns] = A [16 K rows, 32 numbers] . B [16 pairs, 16 columns]
//
//   mixing: C [16 columns, 16 latents] = A [16 columns, 32 positions] . B [16 pairs, 16 latents]
//
// So K rows need no transposition: for the scores they are taken as they lie, for the mixing two
// neighbouring rows are interleaved. Both forms are made from the cached row when they are needed
// and stay in the nearest cache: keeping them for the other heads' sake would cost more than
// making them. Queries and weights of the positions are transposed, which is little.
#include "kernels/cpu/amx.h"
#include "kernels/cpu/attention_tiles.h"

namespace kernels::cpu {
namespace {

constexpr int64_t kDepth = 32;  // numbers that one product sums over
constexpr int64_t kTile = 1024;
constexpr int64_t kMaxParts = 3;    // of a K row
constexpr int64_t kQueryTiles = 3;  // the parts of a query: its 24 bits
constexpr int64_t kPage = 64;
constexpr int64_t kMaxRows = kTiledSplitRows;
constexpr int64_t kCodesPerScale = 128;  // of a q8_latent row; attention_parts.cpp checks it

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

// Numbers [at, at + 32) of a K row; those from `end` on are zero.
struct F16Rows {
    static constexpr int kScoreParts = 2, kMixParts = 2;
    static constexpr bool kExact = true;  // two parts are the number
    static void load(const TiledSplit& s, const std::byte* row, int64_t at, __m512& a, __m512& b) {
        const int64_t end = s.latent + s.rotary;
        const std::byte* src = row + 2 * at;
        if (at + kDepth <= end) {
            a = _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(src)));
            b = _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(src + 32)));
            return;
        }
        const auto there = static_cast<__mmask32>((uint64_t{1} << (end - at)) - 1);
        const __m512i both = _mm512_maskz_loadu_epi16(there, src);
        a = _mm512_cvtph_ps(_mm512_castsi512_si256(both));
        b = _mm512_cvtph_ps(_mm512_extracti64x4_epi64(both, 1));
    }
};

struct Bf16Rows {
    static constexpr int kScoreParts = 1, kMixParts = 1;
    static constexpr bool kExact = true;
    static void load(const TiledSplit& s, const std::byte* row, int64_t at, __m512& a, __m512& b) {
        const int64_t end = s.latent + s.rotary;
        const int64_t n = end - at < kDepth ? end - at : kDepth;
        const auto there = static_cast<__mmask32>((uint64_t{1} << n) - 1);
        const __m512i both = _mm512_maskz_loadu_epi16(there, row + 2 * at);
        a = _mm512_castsi512_ps(
            _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm512_castsi512_si256(both)), 16));
        b = _mm512_castsi512_ps(
            _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(both, 1)), 16));
    }
};

// 16 numbers from their codes.
inline __m512 from_codes(const std::byte* codes, __m512 scale) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(codes));
    return _mm512_mul_ps(scale, _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes)));
}

struct Q8Rows {
    static constexpr int kScoreParts = 3, kMixParts = 2;
    static constexpr bool kExact = false;
    static void load(const TiledSplit&, const std::byte* row, int64_t at, __m512& a, __m512& b) {
        constexpr int64_t kBlockBytes = 34;  // f16 scale, 32 codes
        const std::byte* src = row + at / 32 * kBlockBytes;
        uint16_t bits;
        __builtin_memcpy(&bits, src, 2);
        const __m512 scale = _mm512_broadcastss_ps(_mm_cvtph_ps(_mm_cvtsi32_si128(bits)));
        a = from_codes(src + 2, scale);
        b = from_codes(src + 2 + kSide, scale);
    }
};

// The latent in codes, the rotary part as f16; 32 numbers are never of both.
struct LatentRows {
    static constexpr int kScoreParts = 3, kMixParts = 2;
    static constexpr bool kExact = false;
    static void load(const TiledSplit& s, const std::byte* row, int64_t at, __m512& a, __m512& b) {
        if (at < s.latent) {
            float scale;
            __builtin_memcpy(&scale, row + s.scales_at + at / kCodesPerScale * 4, 4);
            a = from_codes(row + at, _mm512_set1_ps(scale));
            b = from_codes(row + at + kSide, _mm512_set1_ps(scale));
            return;
        }
        TiledSplit rotary = s;
        rotary.latent = 0;
        F16Rows::load(rotary, row + s.rotary_at, at - s.latent, a, b);
    }
};

struct Work {
    std::byte* rows;     // [k tile][part]: 16 K rows; or [latent tile 2][chunk 4][part]
    float* scores;       // [128, columns in tiles]
    std::byte* weights;  // [column tile][chunk][high, low]
};

inline int64_t rows_bytes(int64_t row) {
    const int64_t scores = tiles(row, kDepth) * kMaxParts * kTile;
    const int64_t mixing = 2 * (kMaxRows / kDepth) * kMaxParts * kTile;
    return scores > mixing ? scores : mixing;
}

inline Work work_of(const TiledSplit& s) {
    const int64_t wide = tiles(s.columns, kSide) * kSide;
    std::byte* at = s.work;
    Work w{};
    w.rows = at;
    at += rows_bytes(s.latent + s.rotary);
    w.scores = reinterpret_cast<float*>(at);
    at += kMaxRows * wide * 4;
    w.weights = at;
    return w;
}

inline const std::byte* k_row(const TiledSplit& s, int64_t r) {
    return s.rows[r / kPage] + r % kPage * s.row_bytes;
}

// Lines [begin, end) of the rows that come next, on their way while this split is worked on.
inline void prefetch_next(const TiledSplit& s, int64_t begin, int64_t end) {
    if (s.next == nullptr) {
        return;
    }
    const int64_t lines = kPage * s.row_bytes / 64;
    for (int64_t i = begin; i < end && i < lines * s.next_pages; i++) {
        _mm_prefetch(reinterpret_cast<const char*>(s.next[i / lines] + i % lines * 64),
                     _MM_HINT_T1);
    }
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

// 16 rows from r on as A: [k tile][part][16][32].
template <typename Rows>
inline void rows_as_left(const TiledSplit& s, int64_t r, std::byte* dst) {
    const int64_t row = s.latent + s.rotary, depth = tiles(row, kDepth);
    for (int64_t i = 0; i < kSide; i++) {
        std::byte* out = dst + i * 64;
        if (r + i >= s.count) {
            for (int64_t k = 0; k < Rows::kScoreParts * depth; k++, out += kTile) {
                _mm512_store_si512(out, _mm512_setzero_si512());
            }
            continue;
        }
        const std::byte* src = k_row(s, r + i);
        for (int64_t k = 0; k < depth; k++) {
            __m512 numbers[2], a[kMaxParts], b[kMaxParts];
            Rows::load(s, src, k * kDepth, numbers[0], numbers[1]);
            split<Rows::kScoreParts, true>(numbers[0], a);
            split<Rows::kScoreParts, true>(numbers[1], b);
            for (int part = 0; part < Rows::kScoreParts; part++, out += kTile) {
                _mm512_store_si512(out, joined(a[part], b[part]));
            }
        }
    }
}

// Latents [32 l, 32 l + 32) of all rows as B: [latent tile 2][chunk][part][16 pairs][16][2].
template <typename Rows>
inline void rows_as_right(const TiledSplit& s, int64_t l, int64_t chunks, std::byte* dst) {
    for (int64_t j = 0; j < chunks * kSide; j++) {
        __m512 a[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()}, b[2] = {a[0], a[0]};
        if (2 * j < s.count) {
            Rows::load(s, k_row(s, 2 * j), l * kDepth, a[0], a[1]);
        }
        if (2 * j + 1 < s.count) {
            Rows::load(s, k_row(s, 2 * j + 1), l * kDepth, b[0], b[1]);
        }
        std::byte* out = dst + j / kSide * Rows::kMixParts * kTile + j % kSide * 64;
        for (int t = 0; t < 2; t++, out += chunks * Rows::kMixParts * kTile) {
            __m512 even[kMaxParts], odd[kMaxParts];
            split<Rows::kMixParts, Rows::kExact>(a[t], even);
            split<Rows::kMixParts, Rows::kExact>(b[t], odd);
            for (int part = 0; part < Rows::kMixParts; part++) {
                _mm512_store_si512(out + part * kTile, paired(even[part], odd[part]));
            }
        }
    }
}

// Scores of 16 rows with one or two tiles of columns.
template <typename Rows, bool two>
inline void score_tiles(const std::byte* rows,
                        const std::byte* queries,
                        int64_t depth,
                        float* out,
                        int64_t out_stride) {
    const int64_t next = depth * kQueryTiles * kTile;
    _tile_zero(0);
    _tile_zero(1);
    for (int64_t k = 0; k < depth;
         k++, rows += Rows::kScoreParts * kTile, queries += kQueryTiles * kTile) {
        _tile_loadd(4, rows, 64);
        _tile_loadd(2, queries, 64);
        _tile_dpbf16ps(0, 4, 2);
        if constexpr (two) {
            _tile_loadd(3, queries + next, 64);
            _tile_dpbf16ps(1, 4, 3);
        }
        if constexpr (Rows::kScoreParts > 1) {
            _tile_loadd(5, rows + kTile, 64);
            _tile_dpbf16ps(0, 5, 2);
            if constexpr (two) {
                _tile_dpbf16ps(1, 5, 3);
            }
        }
        if constexpr (Rows::kScoreParts > 2) {
            _tile_loadd(5, rows + 2 * kTile, 64);
            _tile_dpbf16ps(0, 5, 2);
            if constexpr (two) {
                _tile_dpbf16ps(1, 5, 3);
            }
            _tile_loadd(5, rows + kTile, 64);
        }
        _tile_loadd(6, queries + kTile, 64);
        _tile_dpbf16ps(0, 4, 6);
        if constexpr (two) {
            _tile_loadd(7, queries + next + kTile, 64);
            _tile_dpbf16ps(1, 4, 7);
        }
        if constexpr (Rows::kScoreParts > 1) {
            _tile_dpbf16ps(0, 5, 6);
            if constexpr (two) {
                _tile_dpbf16ps(1, 5, 7);
            }
        }
        _tile_loadd(2, queries + 2 * kTile, 64);
        _tile_dpbf16ps(0, 4, 2);
        if constexpr (two) {
            _tile_loadd(3, queries + next + 2 * kTile, 64);
            _tile_dpbf16ps(1, 4, 3);
        }
    }
    _tile_stored(0, out, out_stride * 4);
    if constexpr (two) {
        _tile_stored(1, out + kSide, out_stride * 4);
    }
}

// Weights of 16 columns from their scores; false if a score is not finite.
inline bool weigh(const TiledSplit& s, const Work& w, int64_t tile, int64_t chunks) {
    const int64_t stride = tiles(s.columns, kSide) * kSide;
    const float* scores = w.scores + tile * kSide;
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
        __m512i high[kSide], low[kSide];
        for (int64_t j = 0; j < kSide; j++) {
            const int64_t r = c * kDepth + 2 * j;
            const __m512 a = weight(r), b = weight(r + 1);
            sum = _mm512_add_ps(_mm512_add_ps(sum, a), b);
            const __m512 high_a = rounded(a), high_b = rounded(b);
            high[j] = paired(high_a, high_b);
            low[j] = paired(rounded(_mm512_sub_ps(a, high_a)), rounded(_mm512_sub_ps(b, high_b)));
        }
        transpose(high);
        transpose(low);
        std::byte* dst = w.weights + (tile * chunks + c) * 2 * kTile;
        for (int64_t j = 0; j < kSide; j++) {
            _mm512_store_si512(dst + j * 64, high[j]);
            _mm512_store_si512(dst + kTile + j * 64, low[j]);
        }
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

// 32 latents (16 without `wide`) of one or two tiles of columns.
template <typename Rows, bool two, bool wide>
inline void mix_tiles(const std::byte* weights,
                      const std::byte* rows,
                      int64_t chunks,
                      float* out,
                      int64_t out_stride) {
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

template <typename Rows>
bool attend_rows(const TiledSplit& s) {
    const Work w = work_of(s);
    const int64_t depth = tiles(s.latent + s.rotary, kDepth), across = tiles(s.columns, kSide);
    const int64_t stride = across * kSide, chunks = tiles(s.count, kDepth);
    const int64_t query_tile = depth * kQueryTiles * kTile;
    configure(kSide, kSide);
    for (int64_t r = 0; r < chunks * kDepth; r += kSide) {
        float* scores = w.scores + r * stride;
        rows_as_left<Rows>(s, r, w.rows);
        finish_writing();
        int64_t c = 0;
        for (; c + 2 <= across; c += 2) {
            score_tiles<Rows, true>(w.rows, s.queries + c * query_tile, depth, scores + c * kSide,
                                    stride);
        }
        if (c < across) {
            score_tiles<Rows, false>(w.rows, s.queries + c * query_tile, depth, scores + c * kSide,
                                     stride);
        }
    }
    finish_writing();
    bool sound = true;
    for (int64_t c = 0; c < across; c++) {
        sound = weigh(s, w, c, chunks) && sound;
    }
    if (!sound && s.columns > s.heads) {
        _tile_release();
        return false;
    }

    const int64_t latent_tiles = tiles(s.latent, kSide);
    const int64_t mixes = tiles(latent_tiles, 2);
    const int64_t lines = s.next_pages * kPage * s.row_bytes / 64 / mixes + 1;
    const auto rows_of = [&](int64_t c) {
        return c < across ? (s.columns - c * kSide < kSide ? s.columns - c * kSide : kSide) : kSide;
    };
    int64_t configured = kSide;  // rows of the second tile of columns
    for (int64_t l = 0; l < mixes; l++) {
        rows_as_right<Rows>(s, l, chunks, w.rows);
        finish_writing();
        prefetch_next(s, l * lines, (l + 1) * lines);
        const bool wide = 2 * l + 1 < latent_tiles;
        for (int64_t c = 0; c < across; c += 2) {
            const bool two = c + 1 < across;
            const int64_t last = two ? rows_of(c + 1) : rows_of(c);
            if (last != configured) {
                configure(two ? kSide : last, last);
                configured = last;
            }
            const std::byte* weights = w.weights + c * chunks * 2 * kTile;
            float* out = s.part + c * kSide * s.part_row + l * kDepth;
            if (two && wide) {
                mix_tiles<Rows, true, true>(weights, w.rows, chunks, out, s.part_row);
            } else if (two) {
                mix_tiles<Rows, true, false>(weights, w.rows, chunks, out, s.part_row);
            } else if (wide) {
                mix_tiles<Rows, false, true>(weights, w.rows, chunks, out, s.part_row);
            } else {
                mix_tiles<Rows, false, false>(weights, w.rows, chunks, out, s.part_row);
            }
        }
    }
    _tile_release();
    return true;
}

bool takes(DType type, bool int8_latent, int64_t latent) {
    if (int8_latent) {
        return latent % kDepth == 0;
    }
    return type == DType::f16 || type == DType::bf16 || type == DType::q8_0;
}

int64_t query_bytes(int64_t columns, int64_t row) {
    return tiles(columns, kSide) * tiles(row, kDepth) * kQueryTiles * kTile;
}

int64_t work_bytes(int64_t columns, int64_t row) {
    const int64_t across = tiles(columns, kSide);
    return rows_bytes(row) + kMaxRows * across * kSide * 4 +
           across * (kMaxRows / kDepth) * 2 * kTile;
}

// [column tile][k tile][part][16 pairs][16 columns][2]
void pack_queries(
    std::byte* dst, const float* queries, int64_t stride, int64_t columns, int64_t row) {
    const int64_t depth = tiles(row, kDepth);
    for (int64_t first = 0; first < columns; first += kSide) {
        for (int64_t k = 0; k < depth; k++, dst += kQueryTiles * kTile) {
            __m512i high[kSide], middle[kSide], low[kSide];
            const int64_t at = k * kDepth;
            const int64_t n = row - at < kDepth ? row - at : kDepth;
            const auto there = static_cast<uint32_t>((uint64_t{1} << n) - 1);
            for (int64_t i = 0; i < kSide; i++) {
                __m512 a = _mm512_setzero_ps(), b = a;
                if (first + i < columns) {
                    const float* src = queries + (first + i) * stride + at;
                    a = _mm512_maskz_loadu_ps(static_cast<__mmask16>(there), src);
                    b = _mm512_maskz_loadu_ps(static_cast<__mmask16>(there >> 16), src + kSide);
                }
                const __m512 high_a = rounded(a), high_b = rounded(b);
                const __m512 rest_a = _mm512_sub_ps(a, high_a), rest_b = _mm512_sub_ps(b, high_b);
                const __m512 middle_a = rounded(rest_a), middle_b = rounded(rest_b);
                high[i] = joined(high_a, high_b);
                middle[i] = joined(middle_a, middle_b);
                low[i] = joined(_mm512_sub_ps(rest_a, middle_a), _mm512_sub_ps(rest_b, middle_b));
            }
            transpose(high);
            transpose(middle);
            transpose(low);
            for (int64_t i = 0; i < kSide; i++) {
                _mm512_store_si512(dst + i * 64, high[i]);
                _mm512_store_si512(dst + kTile + i * 64, middle[i]);
                _mm512_store_si512(dst + 2 * kTile + i * 64, low[i]);
            }
        }
    }
}

bool attend(const TiledSplit& split) {
    if (split.int8_latent) {
        return attend_rows<LatentRows>(split);
    }
    switch (split.type) {
        case DType::f16:
            return attend_rows<F16Rows>(split);
        case DType::bf16:
            return attend_rows<Bf16Rows>(split);
        default:
            return attend_rows<Q8Rows>(split);
    }
}

bool supported() {
    constexpr unsigned kAmxBf16 = 1U << 22;
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
           tiles_granted(kAmxBf16);
}

constexpr AttentionTiles kTiles = {takes, query_bytes, work_bytes, pack_queries, attend};

}  // namespace

const AttentionTiles* attention_tiles_amx() {
    return supported() ? &kTiles : nullptr;
}

}  // namespace kernels::cpu
