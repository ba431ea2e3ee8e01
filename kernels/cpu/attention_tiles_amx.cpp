// attention_tiles.h with the bf16 products of AMX (Sapphire Rapids and later).
//
//   scores: C [16 positions, 16 columns] = A [16 K rows, 32 numbers] . B [16 pairs, 16 columns]
//
//   mixing: C [16 columns, 16 latents] = A [16 columns, 32 positions] . B [16 pairs, 16 latents]
//
// So K rows need no transposition: for the scores they are taken as they lie, for the mixing two
// neighbouring rows are interleaved. Both forms are made from the cached row when they are needed
// and stay in the nearest cache: keeping them for the other heads' sake would cost more than
// making them. They are made while the matrix unit works on those before. Queries and weights of
// the positions are transposed, which is little.
//
// In the scores the high, middle and low parts of all queries are columns beside each other, each
// with a sum of its own: 20 heads fill 60 of 64 columns, where apart they would fill 60 of 96.
#include "kernels/cpu/attention_tiles_amx.h"

namespace kernels::cpu {
namespace {

constexpr int64_t kQueryParts = 3;  // its 24 bits
constexpr int64_t kSamePlace = 4096;
constexpr int64_t kCodesPerScale = 128;  // of a q8_latent row; attention_parts.cpp checks it

// Numbers [at, at + 32) of a row of 16 bits each; those from its end on are zero.
inline __m512i load_words(const TiledSplit& s, const std::byte* row, int64_t at) {
    const int64_t left = s.latent + s.rotary - at;
    if (left >= kDepth) {
        return _mm512_loadu_si512(row + 2 * at);
    }
    return _mm512_maskz_loadu_epi16(static_cast<__mmask32>((uint64_t{1} << left) - 1),
                                    row + 2 * at);
}

// So ordered, words 0 to 15 and 16 to 31 of two vectors are what unpacking them interleaves.
inline __m512i for_unpacking(__m512i words) {
    return _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7), words);
}

// 32 f16 numbers as high + low, bf16 both: the first 8 bits of each, and the last 3. Widening and
// rounding floats would take twice as long. A low part that should be zero is 2^-112 at most.
inline void split_f16(__m512i x, __m512i* parts) {
    // The last 3 bits as a bf16 number, of exponent 0; the number's own is added.
    alignas(64) static constexpr uint16_t kLow[32] = {
        0,      0x3300, 0x3380, 0x33C0, 0x3400, 0x3420, 0x3440, 0x3460, 0,      0x3300, 0x3380,
        0x33C0, 0x3400, 0x3420, 0x3440, 0x3460, 0,      0x3300, 0x3380, 0x33C0, 0x3400, 0x3420,
        0x3440, 0x3460, 0,      0x3300, 0x3380, 0x33C0, 0x3400, 0x3420, 0x3440, 0x3460};
    const auto every = [](int word) { return _mm512_set1_epi16(static_cast<int16_t>(word)); };
    const __m512i shifted = _mm512_srai_epi16(x, 3);
    parts[0] = _mm512_add_epi16(_mm512_and_si512(shifted, every(0x8FFF)), every(112 << 7));
    parts[1] = _mm512_add_epi16(_mm512_permutexvar_epi16(x, _mm512_load_si512(kLow)),
                                _mm512_and_si512(shifted, every(0x8F80)));
    // Exponents of no bits or all: zeros, and the ones that are spelled differently.
    const __mmask32 odd =
        _mm512_testn_epi16_mask(_mm512_add_epi16(x, every(0x0400)), every(0x7800));
    if (__builtin_expect(odd == 0, 1)) {
        return;
    }
    if (odd == _mm512_testn_epi16_mask(x, every(0x7FFF))) {
        parts[0] = _mm512_maskz_mov_epi16(~odd, parts[0]);
        parts[1] = _mm512_maskz_mov_epi16(~odd, parts[1]);
        return;
    }
    __m512 a[2], b[2];
    split<2, true>(_mm512_cvtph_ps(_mm512_castsi512_si256(x)), a);
    split<2, true>(_mm512_cvtph_ps(_mm512_extracti64x4_epi64(x, 1)), b);
    parts[0] = joined(a[0], b[0]);
    parts[1] = joined(a[1], b[1]);
}

// A kind of row has right(), see attention_tiles_amx.h, and
//   left(split, row, at, parts)   numbers [at, at + 32) as kScoreParts vectors of bf16
struct F16Rows {
    static constexpr int kScoreParts = 2, kMixParts = 2;
    static void left(const TiledSplit& s, const std::byte* row, int64_t at, __m512i* parts) {
        split_f16(load_words(s, row, at), parts);
    }
    static void right(const TiledSplit& s,
                      const std::byte* row,
                      const std::byte* next,
                      int64_t at,
                      __m512i (*parts)[kMaxParts]) {
        const auto of = [&](const std::byte* src, __m512i* words) {
            words[0] = words[1] = _mm512_setzero_si512();
            if (src != nullptr) {
                split_f16(for_unpacking(load_words(s, src, at)), words);
            }
        };
        __m512i a[2], b[2];
        of(row, a);
        of(next, b);
        for (int i = 0; i < 2; i++) {
            parts[0][i] = _mm512_unpacklo_epi16(a[i], b[i]);
            parts[1][i] = _mm512_unpackhi_epi16(a[i], b[i]);
        }
    }
};

struct Bf16Rows {
    static constexpr int kScoreParts = 1, kMixParts = 1;
    static void left(const TiledSplit& s, const std::byte* row, int64_t at, __m512i* parts) {
        parts[0] = load_words(s, row, at);
    }
    static void right(const TiledSplit& s,
                      const std::byte* row,
                      const std::byte* next,
                      int64_t at,
                      __m512i (*parts)[kMaxParts]) {
        const auto of = [&](const std::byte* src) {
            return src == nullptr ? _mm512_setzero_si512() : for_unpacking(load_words(s, src, at));
        };
        const __m512i a = of(row), b = of(next);
        parts[0][0] = _mm512_unpacklo_epi16(a, b);
        parts[1][0] = _mm512_unpackhi_epi16(a, b);
    }
};

// The latent in codes, the rotary part as f16; 32 numbers are never of both. As floats, split.
struct LatentRows {
    static constexpr int kScoreParts = 3, kMixParts = 2;
    static void load(const TiledSplit& s, const std::byte* row, int64_t at, __m512* numbers) {
        if (at < s.latent) {
            float scale;
            __builtin_memcpy(&scale, row + s.scales_at + at / kCodesPerScale * 4, 4);
            for (int i = 0; i < 2; i++) {
                numbers[i] = _mm512_mul_ps(_mm512_set1_ps(scale), from_codes(row + at + i * kSide));
            }
            return;
        }
        TiledSplit rotary = s;
        rotary.latent = 0;
        const __m512i words = load_words(rotary, row + s.rotary_at, at - s.latent);
        numbers[0] = _mm512_cvtph_ps(_mm512_castsi512_si256(words));
        numbers[1] = _mm512_cvtph_ps(_mm512_extracti64x4_epi64(words, 1));
    }
    static void left(const TiledSplit& s, const std::byte* row, int64_t at, __m512i* parts) {
        __m512 numbers[2], a[kScoreParts], b[kScoreParts];
        load(s, row, at, numbers);
        split<kScoreParts, true>(numbers[0], a);
        split<kScoreParts, true>(numbers[1], b);
        for (int i = 0; i < kScoreParts; i++) {
            parts[i] = joined(a[i], b[i]);
        }
    }
    static void right(const TiledSplit& s,
                      const std::byte* row,
                      const std::byte* next,
                      int64_t at,
                      __m512i (*parts)[kMaxParts]) {
        __m512 a[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()}, b[2] = {a[0], a[0]};
        if (row != nullptr) {
            load(s, row, at, a);
        }
        if (next != nullptr) {
            load(s, next, at, b);
        }
        for (int t = 0; t < 2; t++) {
            __m512 even[kMixParts], odd[kMixParts];
            split<kMixParts, false>(a[t], even);
            split<kMixParts, false>(b[t], odd);
            for (int i = 0; i < kMixParts; i++) {
                parts[t][i] = paired(even[i], odd[i]);
            }
        }
    }
};

// Columns of the scores: parts of the queries beside each other. The second part of a row meets all
// but the lowest parts, the third the highest alone; where that ends within a tile, they have a
// copy of the tile, behind all others, with zeros from there on.
//   queries [tile][k tile][16 pairs][16 columns][2]
struct Columns {
    int64_t columns, depth;
    int64_t all;  // tiles

    Columns(int64_t n, int64_t row)
        : columns(n), depth(tiles(row, kDepth)), all(tiles(kQueryParts * n, kSide)) {}
    int64_t tile_bytes() const { return depth * kTile; }
    int64_t bytes() const { return (all + kMaxParts - 1) * tile_bytes(); }
    // That part `part` of a row meets.
    int64_t limit(int64_t part) const { return (kQueryParts - part) * columns; }
    // Tile `tile` as that part meets it, or null.
    const std::byte* tile_of(const std::byte* queries, int64_t tile, int64_t part) const {
        const int64_t left = limit(part) - tile * kSide;
        if (left <= 0) {
            return nullptr;
        }
        return queries + (left < kSide && part > 0 ? all + part - 1 : tile) * tile_bytes();
    }
    int64_t sums_stride() const { return (all + 1) * kSide; }
};

struct Work {
    std::byte* rows[2];  // [k tile][part]: 16 K rows; or [latent tile 2][chunk][part]
    float* sums;         // [16, sums_stride]
    float* scores;       // [256, columns in tiles]
    std::byte* weights;  // [column tile][chunk][high, low]
};

inline int64_t rows_bytes(int64_t row) {
    const int64_t scores = tiles(row, kDepth) * kMaxParts * kTile;
    const int64_t mixing = 2 * (kMaxRows / kDepth) * kMaxParts * kTile;
    // What is written for one step and read for another should not look alike to the processor,
    // which compares the last 12 bits of addresses.
    return tiles(scores > mixing ? scores : mixing, kSamePlace) * kSamePlace;
}

inline Work work_of(const TiledSplit& s) {
    const int64_t wide = tiles(s.columns, kSide) * kSide, row = s.latent + s.rotary;
    std::byte* at = s.work;
    Work w{};
    for (std::byte*& rows : w.rows) {
        rows = at;
        at += rows_bytes(row);
    }
    w.sums = reinterpret_cast<float*>(at);
    at += kSide * Columns(s.columns, row).sums_stride() * 4;
    w.scores = reinterpret_cast<float*>(at);
    at += kMaxRows * wide * 4;
    w.weights = at;
    return w;
}

// 16 rows from r on as A, numbers [32 k, 32 k + 32): [part][16][32].
template <typename Rows>
inline void rows_as_left(const TiledSplit& s, int64_t r, int64_t k, std::byte* dst) {
    std::byte* out = dst;
    for (int64_t i = 0; i < kSide; i++, out += 64) {
        __m512i parts[Rows::kScoreParts] = {};
        if (const std::byte* row = k_row(s, r + i)) {
            Rows::left(s, row, k * kDepth, parts);
        }
        for (int part = 0; part < Rows::kScoreParts; part++) {
            _mm512_store_si512(out + part * kTile, parts[part]);
        }
    }
}

// The intrinsics paste their operands into tile names, so these must be literal numbers.
#define KERNELS_SCORE_TILE(j)                               \
    if (j < n) {                                            \
        _tile_loadd(6, of[0][j] + at, 64);                  \
        _tile_dpbf16ps(j, 4, 6);                            \
        if (Rows::kScoreParts > 1 && of[1][j] != nullptr) { \
            if (of[1][j] != of[0][j]) {                     \
                _tile_loadd(6, of[1][j] + at, 64);          \
            }                                               \
            _tile_dpbf16ps(j, 5, 6);                        \
        }                                                   \
        if (Rows::kScoreParts > 2 && of[2][j] != nullptr) { \
            if (of[2][j] != of[1][j]) {                     \
                _tile_loadd(6, of[2][j] + at, 64);          \
            }                                               \
            _tile_dpbf16ps(j, 7, 6);                        \
        }                                                   \
    }

// Sums of 16 rows with up to four tiles of columns from `tile` on. Step k finds its rows at
// rows_of(k); beside(k) is done beside it.
template <typename Rows, typename RowsOf, typename Beside>
inline void score_tiles(const Columns& columns,
                        const RowsOf& rows_of,
                        const std::byte* queries,
                        int64_t tile,
                        float* sums,
                        const Beside& beside) {
    const int64_t n = columns.all - tile < 4 ? columns.all - tile : 4;
    const std::byte* of[kMaxParts][4] = {};
    for (int64_t part = 0; part < Rows::kScoreParts; part++) {
        for (int64_t j = 0; j < n; j++) {
            of[part][j] = columns.tile_of(queries, tile + j, part);
        }
    }
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    int64_t at = 0;
    for (int64_t k = 0; k < columns.depth; k++, at += kTile) {
        const std::byte* rows = rows_of(k);
        _tile_loadd(4, rows, 64);
        if constexpr (Rows::kScoreParts > 1) {
            _tile_loadd(5, rows + kTile, 64);
        }
        if constexpr (Rows::kScoreParts > 2) {
            _tile_loadd(7, rows + 2 * kTile, 64);
        }
        KERNELS_SCORE_TILE(0)
        KERNELS_SCORE_TILE(1)
        KERNELS_SCORE_TILE(2)
        KERNELS_SCORE_TILE(3)
        beside(k);
    }
    const int64_t sums_stride = columns.sums_stride() * 4;
    float* out = sums + tile * kSide;
    _tile_stored(0, out, sums_stride);
    if (n > 1) {
        _tile_stored(1, out + kSide, sums_stride);
    }
    if (n > 2) {
        _tile_stored(2, out + 2 * kSide, sums_stride);
    }
    if (n > 3) {
        _tile_stored(3, out + 3 * kSide, sums_stride);
    }
}
#undef KERNELS_SCORE_TILE

// The parts of each column together.
inline void add_parts(const Columns& columns, const float* sums, float* scores, int64_t stride) {
    for (int64_t r = 0; r < kSide; r++, sums += columns.sums_stride(), scores += stride) {
        for (int64_t c = 0; c < columns.columns; c += kSide) {
            const __m512 high = _mm512_loadu_ps(sums + c);
            const __m512 middle = _mm512_loadu_ps(sums + columns.columns + c);
            const __m512 low = _mm512_loadu_ps(sums + 2 * columns.columns + c);
            _mm512_store_ps(scores + c, _mm512_add_ps(high, _mm512_add_ps(middle, low)));
        }
    }
}

// Weights of the positions as high + low.
struct SplitWeights {
    std::byte* weights;  // [column tile][chunk][high, low]
    int64_t chunks;

    std::byte* of(int64_t /*l*/, int64_t c) const { return weights + c * chunks * 2 * kTile; }
    void make(int64_t /*l*/, int64_t /*c*/, int64_t /*chunk*/) const {}
    void keep(int64_t c, int64_t chunk, const __m512* of_positions) const {
        __m512i high[kSide], low[kSide];
        for (int64_t j = 0; j < kSide; j++) {
            const __m512 a = of_positions[2 * j], b = of_positions[2 * j + 1];
            const __m512 high_a = rounded(a), high_b = rounded(b);
            high[j] = paired(high_a, high_b);
            low[j] = paired(rounded(_mm512_sub_ps(a, high_a)), rounded(_mm512_sub_ps(b, high_b)));
        }
        transpose(high);
        transpose(low);
        std::byte* dst = of(0, c) + chunk * 2 * kTile;
        for (int64_t j = 0; j < kSide; j++) {
            _mm512_store_si512(dst + j * 64, high[j]);
            _mm512_store_si512(dst + kTile + j * 64, low[j]);
        }
    }
};

template <typename Rows>
bool attend_rows(const TiledSplit& s) {
    const Work w = work_of(s);
    const Columns columns(s.columns, s.latent + s.rotary);
    const int64_t depth = columns.depth, across = tiles(s.columns, kSide);
    const int64_t stride = across * kSide, chunks = tiles(s.count, kDepth);
    const int64_t mixes = tiles(s.latent, kDepth);
    Ahead ahead(s, 2 * chunks * depth + mixes * chunks * kMixSteps);
    configure(kSide, kSide);
    const int64_t last = chunks * kDepth;
    constexpr int64_t kStep = Rows::kScoreParts * kTile;
    if (columns.all <= 4) {
        // A step's rows are used once: they are made two steps ahead and stay in the nearest cache.
        const auto place = [&](int64_t step) { return w.rows[0] + step % 4 * kStep; };
        const auto make = [&](int64_t step) {
            if (step < last / kSide * depth) {
                rows_as_left<Rows>(s, step / depth * kSide, step % depth, place(step));
            }
        };
        make(0);
        make(1);
        for (int64_t r = 0; r < last; r += kSide) {
            const int64_t first = r / kSide * depth;
            finish_writing();
            score_tiles<Rows>(
                columns, [&](int64_t k) { return place(first + k); }, s.queries, 0, w.sums,
                [&](int64_t k) {
                    ahead.step();
                    make(first + k + 2);
                    finish_writing();
                });
            finish_writing();
            add_parts(columns, w.sums, w.scores + r * stride, stride);
        }
    } else {
        for (int64_t r = 0; r < last; r += kSide) {
            const auto place = [&](int64_t k) { return w.rows[0] + k * kStep; };
            for (int64_t k = 0; k < depth; k++) {
                ahead.step();
                rows_as_left<Rows>(s, r, k, place(k));
            }
            finish_writing();
            for (int64_t tile = 0; tile < columns.all; tile += 4) {
                score_tiles<Rows>(columns, place, s.queries, tile, w.sums, [](int64_t) {});
            }
            finish_writing();
            add_parts(columns, w.sums, w.scores + r * stride, stride);
        }
    }
    const SplitWeights weights{w.weights, chunks};
    bool sound = true;
    for (int64_t c = 0; c < across; c++) {
        const auto keep = [&](int64_t chunk, const __m512* of_positions) {
            weights.keep(c, chunk, of_positions);
        };
        sound = weigh(s, w.scores, c, chunks, keep) && sound;
    }
    if (sound || s.columns == s.heads) {
        mix_all<Rows>(s, chunks, w.rows, ahead, weights);
    }
    _tile_release();
    return sound || s.columns == s.heads;
}

bool takes(DType type, bool int8_latent, int64_t latent) {
    if (int8_latent) {
        return latent % kDepth == 0;
    }
    return type == DType::f16 || type == DType::bf16;
}

int64_t query_bytes(int64_t columns, int64_t /*latent*/, int64_t row) {
    return Columns(columns, row).bytes();
}

int64_t work_bytes(int64_t columns, int64_t row) {
    const int64_t across = tiles(columns, kSide);
    return 2 * rows_bytes(row) + kSide * Columns(columns, row).sums_stride() * 4 +
           kMaxRows * across * kSide * 4 + across * (kMaxRows / kDepth) * 2 * kTile;
}

// See Columns.
void pack_queries(std::byte* dst,
                  const float* queries,
                  int64_t stride,
                  int64_t n,
                  int64_t /*latent*/,
                  int64_t row) {
    const Columns columns(n, row);
    for (int64_t k = 0; k < columns.depth; k++, dst += kTile) {
        const int64_t at = k * kDepth;
        const int64_t left = row - at < kDepth ? row - at : kDepth;
        const auto there = static_cast<uint32_t>((uint64_t{1} << left) - 1);
        const auto line = [&](int64_t tile, int64_t i) {
            return dst + tile * columns.tile_bytes() + i * 64;
        };
        for (int64_t i = 0; i < kSide; i++) {  // what is no query's is zero
            _mm512_store_si512(line(columns.all - 1, i), _mm512_setzero_si512());
        }
        for (int64_t first = 0; first < n; first += kSide) {
            __m512i pairs[kQueryParts][kSide];
            for (int64_t i = 0; i < kSide; i++) {
                __m512 a[kQueryParts], b[kQueryParts];
                const float* src = queries + (first + i < n ? first + i : 0) * stride + at;
                split<kQueryParts, true>(_mm512_maskz_loadu_ps(static_cast<__mmask16>(there), src),
                                         a);
                split<kQueryParts, true>(
                    _mm512_maskz_loadu_ps(static_cast<__mmask16>(there >> 16), src + kSide), b);
                for (int part = 0; part < kQueryParts; part++) {
                    pairs[part][i] = joined(a[part], b[part]);
                }
            }
            const uint32_t own = n - first < kSide ? (1U << (n - first)) - 1 : 0xFFFFU;
            for (int64_t part = 0; part < kQueryParts; part++) {
                transpose(pairs[part]);
                // They begin within a tile and may end in the next.
                const int64_t tile = (part * n + first) / kSide,
                              column = (part * n + first) % kSide;
                const auto here = static_cast<__mmask16>(own & 0xFFFFU >> column);
                const auto behind = static_cast<__mmask16>(own & ~(0xFFFFU >> column));
                for (int64_t i = 0; i < kSide; i++) {
                    _mm512_mask_storeu_epi32(line(tile, i) + column * 4, here, pairs[part][i]);
                    if (behind != 0) {
                        _mm512_mask_storeu_epi32(line(tile + 1, i) - (kSide - column) * 4, behind,
                                                 pairs[part][i]);
                    }
                }
            }
        }
        for (int64_t part = 1; part < kMaxParts; part++) {
            const int64_t limit = columns.limit(part);
            const auto own = static_cast<__mmask16>((1U << limit % kSide) - 1);
            for (int64_t i = 0; own != 0 && i < kSide; i++) {
                _mm512_store_si512(line(columns.all + part - 1, i),
                                   _mm512_maskz_load_epi32(own, line(limit / kSide, i)));
            }
        }
    }
}

bool attend(const TiledSplit& split) {
    if (split.int8_latent) {
        return attend_rows<LatentRows>(split);
    }
    return split.type == DType::f16 ? attend_rows<F16Rows>(split) : attend_rows<Bf16Rows>(split);
}

bool supported() {
    constexpr unsigned kAmxBf16 = 1U << 22, kAmxInt8 = 1U << 25;
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
           tiles_granted(kAmxBf16 | kAmxInt8);
}

constexpr AttentionTiles kTiles = {takes,  query_bytes, work_bytes,        pack_queries,
                                   attend, true,        &kQ8AttentionTiles};

}  // namespace

const AttentionTiles* attention_tiles_amx() {
    return supported() ? &kTiles : nullptr;
}

}  // namespace kernels::cpu
