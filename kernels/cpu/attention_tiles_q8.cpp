// attention_tiles.h for q8_0 rows. Their codes go to the matrix unit as they lie in the cache, the
// queries as three digits of 8 bits: of the 32 numbers that a block of codes meets,
//
//   q = s (d0 + d1 / 254 + d2 / 254^2)    s a power of two
//
// to 2^-23 of the largest. A block's products are exact integers; scale and s follow in floats:
//
//   C [16 positions, 16 columns] int32 = A [16 K rows, 32 codes] . B [8, 16 columns, 4 digits]
//
// with the three digits of 16 columns in three tiles, or beside each other in fewer if the columns
// are. Mixing is as for other rows, but that codes are bf16 as they are and their scales go to the
// weights: a product less, and the rows need no splitting.
#include "kernels/cpu/attention_tiles_amx.h"

namespace kernels::cpu {
namespace {

constexpr int64_t kBlockBytes = 34;  // f16 scale, 32 codes
constexpr int64_t kDigits = 3;
constexpr float kDigitStep = 254;
constexpr int64_t kDotsStride = 4 * kSide;

// What a tile of columns multiplies a block of codes with.
struct QueryBlock {
    int8_t digits[8][kDigits * kSide][4];  // [.][digit * columns of the tile + column]
    float factor[kSide];                   // of the first digit
};
static_assert(sizeof(QueryBlock) % 64 == 0);

struct CodeRows {
    static constexpr int kMixParts = 1;
    static void right(const TiledSplit& /*split*/,
                      const std::byte* row,
                      const std::byte* next,
                      int64_t at,
                      __m512i (*parts)[kMaxParts]) {
        const int64_t codes = at / kDepth * kBlockBytes + 2;
        for (int64_t t = 0; t < 2; t++) {
            const auto of = [&](const std::byte* src) {
                return src == nullptr ? _mm512_setzero_ps() : from_codes(src + codes + t * kSide);
            };
            parts[t][0] = paired(of(row), of(next));
        }
    }
};

// Weights of the positions, then times the scales of the block of 32 latents: high + low.
struct ScaledWeights {
    float* weights;       // [columns in tiles][256]
    const float* scales;  // [block][256]
    std::byte* scaled[2];
    int64_t columns, chunks;

    const std::byte* of(int64_t l, int64_t c) const {
        return scaled[l % 2] + c * chunks * 2 * kTile;
    }
    void make(int64_t l, int64_t c, int64_t chunk) const {
        const float* scale = scales + l * kMaxRows + chunk * kDepth;
        const __m512 scale_a = _mm512_load_ps(scale), scale_b = _mm512_load_ps(scale + kSide);
        const float* src = weights + c * kSide * kMaxRows + chunk * kDepth;
        std::byte* dst = scaled[l % 2] + (c * chunks + chunk) * 2 * kTile;
        const int64_t n = columns - c * kSide < kSide ? columns - c * kSide : kSide;
        for (int64_t i = 0; i < n; i++, src += kMaxRows, dst += 64) {
            const __m512 a = _mm512_mul_ps(_mm512_load_ps(src), scale_a);
            const __m512 b = _mm512_mul_ps(_mm512_load_ps(src + kSide), scale_b);
            const __m512 high_a = rounded(a), high_b = rounded(b);
            _mm512_store_si512(dst, joined(high_a, high_b));
            _mm512_store_si512(dst + kTile, joined(rounded(_mm512_sub_ps(a, high_a)),
                                                   rounded(_mm512_sub_ps(b, high_b))));
        }
    }
    void keep(int64_t c, int64_t chunk, const __m512* of_positions) const {
        for (int64_t half = 0; half < 2; half++) {
            __m512i v[kSide];
            for (int64_t j = 0; j < kSide; j++) {
                v[j] = _mm512_castps_si512(of_positions[half * kSide + j]);
            }
            transpose(v);
            float* dst = weights + c * kSide * kMaxRows + chunk * kDepth + half * kSide;
            for (int64_t j = 0; j < kSide; j++, dst += kMaxRows) {
                _mm512_store_si512(dst, v[j]);
            }
        }
    }
};

struct Work {
    std::byte* rows[2];  // [latent tile 2][chunk]
    float* scales;       // [block][256]
    int32_t* dots;       // [2][16][kDotsStride]
    float* scores;       // [256, columns in tiles]
    ScaledWeights weights;
};

// Bytes of it all are work_bytes() below.
Work work_of(const TiledSplit& s, int64_t chunks) {
    const int64_t across = tiles(s.columns, kSide), depth = tiles(s.latent + s.rotary, kDepth);
    constexpr int64_t kChunks = kMaxRows / kDepth;
    std::byte* at = s.work;
    const auto take = [&](int64_t bytes) {
        std::byte* begin = at;
        at += bytes;
        return begin;
    };
    Work w{};
    for (std::byte*& rows : w.rows) {
        rows = take(2 * kChunks * kTile);
    }
    w.scales = reinterpret_cast<float*>(take(depth * kMaxRows * 4));
    w.dots = reinterpret_cast<int32_t*>(take(2 * kSide * kDotsStride * 4));
    w.scores = reinterpret_cast<float*>(take(kMaxRows * across * kSide * 4));
    w.weights.weights = reinterpret_cast<float*>(take(across * kSide * kMaxRows * 4));
    w.weights.scales = w.scales;
    for (std::byte*& scaled : w.weights.scaled) {
        scaled = take(across * kChunks * 2 * kTile);
    }
    w.weights.columns = s.columns;
    w.weights.chunks = chunks;
    return w;
}

void configure_for_codes() {
    alignas(64) TileConfig config;
    for (int i = 0; i < 3; i++) {
        config.set(i, kSide, 64);
    }
    config.set(4, kSide, 32);
    for (int i = 5; i < 8; i++) {
        config.set(i, 8, 64);
    }
    load_config(config);
}

// Scales of 16 rows from r on; zero for rows past the last.
inline void find_scales(const TiledSplit& s, int64_t r, int64_t depth, float* scales) {
    const int64_t there = s.count - r;
    if (there <= 0) {
        for (int64_t b = 0; b < depth; b++) {
            _mm512_store_ps(scales + b * kMaxRows + r, _mm512_setzero_ps());
        }
        return;
    }
    const auto mask = static_cast<__mmask16>(there < kSide ? (1U << there) - 1 : 0xFFFFU);
    const __m512i where =
        _mm512_mullo_epi32(_mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
                           _mm512_set1_epi32(static_cast<int>(s.row_bytes)));
    const std::byte* row = k_row(s, r);
    for (int64_t b = 0; b < depth; b++) {
        const __m512i words = _mm512_mask_i32gather_epi32(_mm512_setzero_si512(), mask, where,
                                                          row + b * kBlockBytes, 1);
        _mm512_store_ps(scales + b * kMaxRows + r, _mm512_cvtph_ps(_mm512_cvtepi32_epi16(words)));
    }
}

// Codes of 16 rows against a block of queries, in `n` tiles.
template <int n>
inline void multiply_block(const std::byte* codes,
                           int64_t row_bytes,
                           const QueryBlock& query,
                           int32_t* dots) {
    constexpr int kStride = sizeof(query.digits[0]);
    const auto* digits = reinterpret_cast<const std::byte*>(query.digits);
    _tile_loadd(4, codes, row_bytes);
    _tile_zero(0);
    _tile_loadd(5, digits, kStride);
    _tile_dpbssd(0, 4, 5);
    _tile_stored(0, dots, kDotsStride * 4);
    if constexpr (n > 1) {
        _tile_zero(1);
        _tile_loadd(6, digits + 64, kStride);
        _tile_dpbssd(1, 4, 6);
        _tile_stored(1, dots + kSide, kDotsStride * 4);
    }
    if constexpr (n > 2) {
        _tile_zero(2);
        _tile_loadd(7, digits + 128, kStride);
        _tile_dpbssd(2, 4, 7);
        _tile_stored(2, dots + 2 * kSide, kDotsStride * 4);
    }
}

// Scores of 16 rows from r on with one tile of `columns` columns. A block's products are asked for
// before the ones before it are taken up, so that both go on side by side.
template <int n, typename Beside>
inline void score_tile(const TiledSplit& s,
                       const Work& w,
                       int64_t r,
                       const QueryBlock* queries,
                       int64_t columns,
                       int64_t depth,
                       float* scores,
                       int64_t stride,
                       const Beside& beside) {
    const std::byte* codes = k_row(s, r) + 2;
    const __m512 step = _mm512_set1_ps(1 / kDigitStep);
    __m512 sums[kSide];
    for (auto& sum : sums) {
        sum = _mm512_setzero_ps();
    }
    multiply_block<n>(codes, s.row_bytes, queries[0], w.dots);
    for (int64_t b = 0; b < depth; b++) {
        if (b + 1 < depth) {
            multiply_block<n>(codes + (b + 1) * kBlockBytes, s.row_bytes, queries[b + 1],
                              w.dots + (b + 1) % 2 * kSide * kDotsStride);
        }
        beside();
        const int32_t* dots = w.dots + b % 2 * kSide * kDotsStride;
        const __m512 factor = _mm512_load_ps(queries[b].factor);
        const float* scale = w.scales + b * kMaxRows + r;
#pragma GCC unroll 16
        for (int i = 0; i < kSide; i++, dots += kDotsStride) {
            const auto digit = [&](int64_t d) {
                return _mm512_cvtepi32_ps(_mm512_loadu_si512(dots + d * columns));
            };
            __m512 number = _mm512_fmadd_ps(digit(2), step, digit(1));
            number = _mm512_fmadd_ps(number, step, digit(0));
            sums[i] =
                _mm512_fmadd_ps(number, _mm512_mul_ps(_mm512_set1_ps(scale[i]), factor), sums[i]);
        }
    }
    for (int i = 0; i < kSide; i++) {
        _mm512_store_ps(scores + i * stride, sums[i]);
    }
}

bool takes(DType type, bool int8_latent, int64_t /*latent*/) {
    return !int8_latent && type == DType::q8_0;
}

int64_t query_bytes(int64_t columns, int64_t /*latent*/, int64_t row) {
    return tiles(columns, kSide) * tiles(row, kDepth) * static_cast<int64_t>(sizeof(QueryBlock));
}

int64_t work_bytes(int64_t columns, int64_t row) {
    constexpr int64_t kChunks = kMaxRows / kDepth;
    const int64_t across = tiles(columns, kSide);
    return 4 * kChunks * kTile + tiles(row, kDepth) * kMaxRows * 4 + 2 * kSide * kDotsStride * 4 +
           2 * across * kSide * kMaxRows * 4 + across * kChunks * 4 * kTile;
}

// The digits of 32 numbers and the factor of the first; NaN where one is not finite.
float find_digits(const float* src, int8_t (*digits)[32]) {
    const __m512 numbers[2] = {_mm512_loadu_ps(src), _mm512_loadu_ps(src + kSide)};
    const __m512i magnitude = _mm512_set1_epi32(0x7FFFFFFF);
    const uint32_t largest = _mm512_reduce_max_epu32(
        _mm512_max_epu32(_mm512_and_si512(_mm512_castps_si512(numbers[0]), magnitude),
                         _mm512_and_si512(_mm512_castps_si512(numbers[1]), magnitude)));
    constexpr uint32_t kInfinity = 0x7F800000, kMantissa = 0x007FFFFF;
    if (largest >= kInfinity || largest == 0) {
        __builtin_memset(digits, 0, kDigits * 32);
        return largest == 0 ? 0.0F : __builtin_nanf("");
    }
    // The largest is 63.5 to 127 times 2^exponent, or less where that would be denormal.
    constexpr uint32_t kSmallest127 = 0x7E0000;  // of the mantissa: 127 / 64
    int exponent = static_cast<int>(largest >> 23) - 127 - 6;
    exponent += (largest & kMantissa) > kSmallest127 ? 1 : 0;
    exponent = exponent < -126 ? -126 : exponent;
    const auto power = [](int e) {
        const uint32_t bits = static_cast<uint32_t>(e + 127) << 23;
        float value;
        __builtin_memcpy(&value, &bits, 4);
        return value;
    };
    for (int half = 0; half < 2; half++) {
        __m512 rest = _mm512_mul_ps(numbers[half], _mm512_set1_ps(power(-exponent)));
        for (int64_t d = 0; d < kDigits; d++) {
            const __m512 digit = _mm512_roundscale_ps(rest, 0);
            rest = _mm512_mul_ps(_mm512_sub_ps(rest, digit), _mm512_set1_ps(kDigitStep));
            _mm_storeu_si128(reinterpret_cast<__m128i*>(digits[d] + half * kSide),
                             _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(digit)));
        }
    }
    return power(exponent);
}

void pack_queries(std::byte* dst,
                  const float* queries,
                  int64_t stride,
                  int64_t columns,
                  int64_t /*latent*/,
                  int64_t row) {
    const int64_t depth = tiles(row, kDepth);
    auto* block = reinterpret_cast<QueryBlock*>(dst);
    for (int64_t first = 0; first < columns; first += kSide) {
        const int64_t n = columns - first < kSide ? columns - first : kSide;
        for (int64_t b = 0; b < depth; b++, block++) {
            __builtin_memset(block, 0, sizeof(QueryBlock));
            for (int64_t i = 0; i < n; i++) {
                int8_t digits[kDigits][32];
                block->factor[i] = find_digits(queries + (first + i) * stride + b * 32, digits);
                for (int64_t d = 0; d < kDigits; d++) {
                    for (int64_t four = 0; four < 8; four++) {
                        __builtin_memcpy(block->digits[four][d * n + i], digits[d] + 4 * four, 4);
                    }
                }
            }
        }
    }
}

bool attend(const TiledSplit& s) {
    const int64_t depth = tiles(s.latent + s.rotary, kDepth), across = tiles(s.columns, kSide);
    const int64_t stride = across * kSide, chunks = tiles(s.count, kDepth);
    const Work w = work_of(s, chunks);
    Ahead ahead(s, 2 * chunks * depth + tiles(s.latent, kDepth) * chunks * kMixSteps);
    configure_for_codes();
    for (int64_t r = 0; r < chunks * kDepth; r += kSide) {
        find_scales(s, r, depth, w.scales);
        if (r >= s.count) {  // a half of the last chunk that nobody sees
            __builtin_memset(w.scores + r * stride, 0, static_cast<size_t>(kSide * stride) * 4);
            continue;
        }
        finish_writing();
        for (int64_t c = 0; c < across; c++) {
            const auto* queries = reinterpret_cast<const QueryBlock*>(s.queries) + c * depth;
            const int64_t n = s.columns - c * kSide < kSide ? s.columns - c * kSide : kSide;
            float* scores = w.scores + r * stride + c * kSide;
            const auto beside = [&] {
                if (c == 0) {
                    ahead.step();
                }
            };
            switch (tiles(kDigits * n, kSide)) {
                case 1:
                    score_tile<1>(s, w, r, queries, n, depth, scores, stride, beside);
                    break;
                case 2:
                    score_tile<2>(s, w, r, queries, n, depth, scores, stride, beside);
                    break;
                default:
                    score_tile<3>(s, w, r, queries, n, depth, scores, stride, beside);
                    break;
            }
        }
    }
    bool sound = true;
    for (int64_t c = 0; c < across; c++) {
        const auto keep = [&](int64_t chunk, const __m512* of_positions) {
            w.weights.keep(c, chunk, of_positions);
        };
        sound = weigh(s, w.scores, c, chunks, keep) && sound;
    }
    if (sound || s.columns == s.heads) {
        mix_all<CodeRows>(s, chunks, w.rows, ahead, w.weights);
    }
    _tile_release();
    return sound || s.columns == s.heads;
}

}  // namespace

const AttentionTiles kQ8AttentionTiles = {takes,  query_bytes, work_bytes, pack_queries,
                                          attend, true,        nullptr};

}  // namespace kernels::cpu
