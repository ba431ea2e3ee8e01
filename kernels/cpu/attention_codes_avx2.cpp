// attention_tiles.h for rows of 8-bit codes with products of 16-bit integers: vpmaddwd does 16 at
// once where a fused operation on floats does 8, codes need no scale until their block ends, and
// integer sums are exact. With q of a query, p the weights of the positions, d a block's scales and
// c its codes,
//
//   score   = sum over blocks of  s d (sum of Q c)     Q = q / s,    s = largest |q| / 32767
//   latent  = t (sum of P c)                           P = p d / t,  t = largest d / 65535
//
// where Q and P are rounded: s is of the numbers that share a scale, t of the positions that the
// token sees (the largest p is 1). A score is off by 2^-17 of what its largest number contributes,
// a latent by 2^-17 of its largest, for each number: a sixtieth of what 8 bits left of the rows.
// P, which is not negative as no scale is (kernels/k_row.h), is stored less 32768; that is put back
// with the sum of all codes.
//
//   |sum of Q c| <= 128 x 128 x 32767 < 2^30        |sum of P c| <= 256 x 128 x 65535 < 2^31
//
// Both are the product C [columns, 16] += a [columns, 2] b [2, 16], of pairs that lie beside each
// other in 32 bits: of b, two numbers each of 16 positions or two positions of 16 latents.
//
// Zen 3, one core, 20 heads, a page from memory: 25 us instead of 34 with floats; f16 rows take 31.
#include <cstring>

#include <immintrin.h>

#include "kernels/cpu/attention_tiles.h"
#include "kernels/cpu/register_blocks.h"
#include "kernels/cpu/row_kernels.h"

namespace kernels::cpu {
namespace {

constexpr int64_t kPageRows = 64;
constexpr int64_t kMaxRows = kTiledSplitRows;
constexpr int64_t kSide = 16;   // positions or latents of a product
constexpr int64_t kBlock = 32;  // codes that are taken from a row at a time
constexpr int kColumns = 5;     // of a product, at most: 10 of 16 registers are sums
constexpr float kLargestQ = 32767, kLargestP = 65535, kOffset = 32768;
constexpr int kOffsetBits = 15;

// Rows of blocks, each an f16 scale and 32 codes, of all numbers.
struct Q8Rows {
    static constexpr int64_t kCodes = 32;  // that share a scale
    static constexpr int64_t kModelNumbers = 576;
    static constexpr int64_t kBlockBytes = 34;
    static int64_t numbers(int64_t /*latent*/, int64_t row) { return row; }
    static int64_t codes_at(int64_t block) { return block * kBlockBytes + 2; }
    static void find_scales(const TiledSplit& /*split*/,
                            const std::byte* const* rows,
                            int64_t b,
                            float* scales) {
        alignas(32) uint16_t halves[kSide];
#pragma GCC unroll 16
        for (int64_t i = 0; i < kSide; i++) {
            std::memcpy(halves + i, rows[i] + b * kBlockBytes, 2);
        }
        for (int64_t i = 0; i < kSide; i += 8) {
            _mm256_store_ps(
                scales + i,
                _mm256_cvtph_ps(_mm_load_si128(reinterpret_cast<const __m128i*>(halves + i))));
        }
    }
};

// q8_latent rows (kernels/k_type.h): codes of the latent, then rotary numbers, which stay floats,
// then scales.
struct LatentRows {
    static constexpr int64_t kCodes = 128;
    static constexpr int64_t kModelNumbers = 512;
    static int64_t numbers(int64_t latent, int64_t /*row*/) { return latent; }
    static int64_t codes_at(int64_t block) { return block * kBlock; }
    static void find_scales(const TiledSplit& s,
                            const std::byte* const* rows,
                            int64_t b,
                            float* scales) {
        for (int64_t i = 0; i < kSide; i++) {
            std::memcpy(scales + i, rows[i] + s.scales_at + b * 4, 4);
        }
    }
};

int64_t aligned(int64_t bytes) {
    return (bytes + 63) / 64 * 64;
}

struct Work {
    const std::byte** rows;  // [256]; behind the last one it again
    float* scales;           // [of the row][256]; zero behind the last row
    float* scores;           // [columns][256], then the weights
    int16_t* codes;          // of b
    float* rotary;           // [16][row - numbers that are codes]
    int32_t* code_sums;      // [16][32]: of the rows up to the 16th, the 32nd, ... of a block
    float* relative;         // [256] scales of a block divided by the largest
    int16_t* weights;        // [kColumns][256]
};

// Returns the bytes it takes; `row` numbers of a row, padded.
int64_t work_of(std::byte* begin, int64_t columns, int64_t row, Work* w) {
    std::byte* at = begin;
    const auto take = [&at](auto*& array, int64_t n) {
        array = reinterpret_cast<decltype(+array)>(at);
        at += aligned(n * static_cast<int64_t>(sizeof *array));
    };
    const int64_t transposed = row * kSide, interleaved = kMaxRows * kBlock;
    take(w->rows, kMaxRows);
    take(w->scales, row / kBlock * kMaxRows);
    take(w->scores, columns * kMaxRows);
    take(w->codes, transposed > interleaved ? transposed : interleaved);
    take(w->rotary, kSide * row);
    take(w->code_sums, kMaxRows / kSide * kBlock);
    take(w->relative, kMaxRows);
    take(w->weights, kColumns * kMaxRows);
    return at - begin;
}

struct PackedQueries {
    int64_t words, blocks, floats;  // of a column
    int16_t* numbers;               // [columns][words]
    float* factors;                 // [columns][blocks]
    float* rotary;                  // [columns][floats]
};

template <typename Rows>
PackedQueries packed_queries(std::byte* packed, int64_t columns, int64_t latent, int64_t row) {
    PackedQueries q{};
    q.words = Rows::numbers(latent, row);
    q.blocks = q.words / Rows::kCodes;
    q.floats = row - q.words;
    q.numbers = reinterpret_cast<int16_t*>(packed);
    q.factors = reinterpret_cast<float*>(packed + aligned(columns * q.words * 2));
    q.rotary = q.factors + aligned(columns * q.blocks * 4) / 4;
    return q;
}

inline __m256i load(const void* src) {
    return _mm256_loadu_si256(static_cast<const __m256i*>(src));
}
inline void store(void* dst, __m256i v) {
    _mm256_store_si256(static_cast<__m256i*>(dst), v);
}
inline void store_words(int16_t* dst, __m128i bytes) {
    store(dst, _mm256_cvtepi8_epi16(bytes));
}

// 16 numbers, rounded.
inline __m256i to_words(__m256 low, __m256 high) {
    const __m256i words = _mm256_packs_epi32(_mm256_cvtps_epi32(low), _mm256_cvtps_epi32(high));
    return _mm256_permute4x64_epi64(words, 0xD8);
}

// The largest magnitude; NaN where a number is not finite.
inline float largest_of(const float* src, int64_t n) {
    const __m256i magnitude = _mm256_set1_epi32(0x7FFFFFFF);
    __m256i most = _mm256_setzero_si256();
    for (int64_t i = 0; i < n; i += 8) {
        most = _mm256_max_epi32(most, _mm256_and_si256(load(src + i), magnitude));
    }
    __m128i m = _mm_max_epi32(_mm256_castsi256_si128(most), _mm256_extracti128_si256(most, 1));
    m = _mm_max_epi32(m, _mm_unpackhi_epi64(m, m));
    m = _mm_max_epi32(m, _mm_shuffle_epi32(m, 1));
    const float largest = _mm_cvtss_f32(_mm_castsi128_ps(m));
    return largest < __builtin_inff() ? largest : __builtin_nanf("");
}

// What makes the largest `range`; zero where none can.
inline float inverse(float largest, float range) {
    return largest > 0 ? range / largest : 0;
}

// sums += a [2] b [2, 16]. In so many words: of intrinsics gcc 12 makes a copy of each sum, or
// keeps sums in memory.
inline void multiply_add(__m256i (&sums)[2], const int16_t* a, __m256i b0, __m256i b1) {
    __m256i low = sums[0], high = sums[1], x, product;
    asm("vpbroadcastd %[a], %[x]\n\t"
        "vpmaddwd %[b0], %[x], %[product]\n\t"
        "vpmaddwd %[b1], %[x], %[x]\n\t"
        "vpaddd %[product], %[low], %[low]\n\t"
        "vpaddd %[x], %[high], %[high]"
        : [low] "+x"(low), [high] "+x"(high), [x] "=&x"(x), [product] "=&x"(product)
        : [a] "m"(*reinterpret_cast<const int16_t(*)[2]>(a)), [b0] "x"(b0), [b1] "x"(b1));
    sums[0] = low;
    sums[1] = high;
}

// sums[i] += over `steps` pairs of a[i] [2] b [2, 16], steps a multiple of 4.
template <int A, typename Stride>
inline void multiply(
    const int16_t* a, Stride stride, const int16_t* b, int64_t steps, __m256i (&sums)[A][2]) {
    for (int64_t k = 0; k < steps; k += 4) {
#pragma GCC unroll 4
        for (int u = 0; u < 4; u++, a += 2, b += 2 * kSide) {
            const __m256i b0 = load(b), b1 = load(b + kSide);
#pragma GCC unroll 8
            for (int i = 0; i < A; i++) {
                multiply_add(sums[i], a + i * stride, b0, b1);
            }
        }
    }
}

// The 32 codes at `offset` of each of 16 rows: dst[pair of codes][row][2].
inline void transpose(const std::byte* const* rows, int64_t offset, int16_t* dst) {
    for (int half = 0; half < 2; half++, rows += 8, dst += kSide) {
        // Pairs of codes, in both halves of a register: 8 rows of 8 become 8 of 8 rows.
        __m256i a[8], b[8], c[8];
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++) {
            a[i] = load(rows[i] + offset);
        }
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) {
            b[i] = _mm256_unpacklo_epi16(a[2 * i], a[2 * i + 1]);
            b[4 + i] = _mm256_unpackhi_epi16(a[2 * i], a[2 * i + 1]);
        }
#pragma GCC unroll 4
        for (int i = 0; i < 8; i += 2) {
            c[i] = _mm256_unpacklo_epi32(b[i], b[i + 1]);
            c[i + 1] = _mm256_unpackhi_epi32(b[i], b[i + 1]);
        }
#pragma GCC unroll 8
        for (int k = 0; k < 8; k++) {
            const int i = k / 4 * 4 + k / 2 % 2;
            const __m256i pairs = k % 2 == 0 ? _mm256_unpacklo_epi64(c[i], c[i + 2])
                                             : _mm256_unpackhi_epi64(c[i], c[i + 2]);
            store_words(dst + k * 2 * kSide, _mm256_castsi256_si128(pairs));
            store_words(dst + (k + 8) * 2 * kSide, _mm256_extracti128_si256(pairs, 1));
        }
    }
}

// The 32 codes at `offset` of each of n rows, n a multiple of 16:
// dst[16 latents][pair of rows][latent][2], and what they come to after each 16 rows.
inline void interleave(
    const std::byte* const* rows, int64_t n, int64_t offset, int16_t* dst, int32_t* sums) {
    const __m256i ones = _mm256_set1_epi16(1);
    __m256i total[4] = {};
    int16_t* second = dst + n * kSide;
    for (int64_t j = 0; j < n; j += 2, dst += 2 * kSide, second += 2 * kSide) {
        const __m256i a = load(rows[j] + offset), b = load(rows[j + 1] + offset);
        const __m256i low = _mm256_unpacklo_epi8(a, b), high = _mm256_unpackhi_epi8(a, b);
        const __m256i words[4] = {_mm256_cvtepi8_epi16(_mm256_castsi256_si128(low)),
                                  _mm256_cvtepi8_epi16(_mm256_castsi256_si128(high)),
                                  _mm256_cvtepi8_epi16(_mm256_extracti128_si256(low, 1)),
                                  _mm256_cvtepi8_epi16(_mm256_extracti128_si256(high, 1))};
        store(dst, words[0]);
        store(dst + kSide, words[1]);
        store(second, words[2]);
        store(second + kSide, words[3]);
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) {
            total[i] = _mm256_add_epi32(total[i], _mm256_madd_epi16(words[i], ones));
        }
        if (j % kSide == kSide - 2) {
            for (const __m256i& v : total) {
                store(sums, v);
                sums += 8;
            }
        }
    }
}

// Scores of 16 rows from r on with all columns.
template <typename Rows, typename Words>
inline void score_rows(
    const TiledSplit& s, const Work& w, const PackedQueries& queries, Words words, int64_t r) {
    const std::byte* const* rows = w.rows + r;
    for (int64_t b = 0; b < queries.blocks; b++) {
        float* scales = w.scales + b * kMaxRows + r;
        Rows::find_scales(s, rows, b, scales);
        for (int64_t i = s.count - r; i < kSide; i++) {
            scales[i] = 0;
        }
    }
    for (int64_t b = 0; b < words / kBlock; b++) {
        transpose(rows, Rows::codes_at(b), w.codes + b * kBlock * kSide);
    }
    if (queries.floats > 0) {
        for (int64_t i = 0; i < kSide; i++) {
            float* rotary = w.rotary + i * queries.floats;
            kRowKernelsAvx2.widen_f16(rotary, rows[i] + s.rotary_at, s.rotary);
            for (int64_t d = s.rotary; d < queries.floats; d++) {
                rotary[d] = 0;
            }
        }
        kRowKernelsAvx2.dot(w.scores + r, kMaxRows, queries.rotary, queries.floats, s.columns,
                            w.rotary, queries.floats, kSide, queries.floats);
    }
    // The rows behind these are asked for meanwhile, two lines at a time: all at once, they would
    // hold up the queries. Behind the last ones, those of the split that probably comes next.
    const std::byte* ahead = r + kSide < s.count ? rows[kSide]
                             : s.next != nullptr ? s.next[0]
                                                 : nullptr;
    const std::byte* const ahead_end = ahead == nullptr ? nullptr : ahead + kSide * s.row_bytes;
    in_blocks<kColumns>(s.columns, [&](int64_t column, auto count) {
        constexpr int n = decltype(count)::value;
        const int16_t* numbers = queries.numbers + column * words;
        const float* factors = queries.factors + column * queries.blocks;
        float* scores = w.scores + column * kMaxRows + r;
        for (int64_t b = 0; b < queries.blocks; b++) {
            for (int64_t i = 0; i < Rows::kCodes / 16 && ahead < ahead_end; i++, ahead += 64) {
                _mm_prefetch(reinterpret_cast<const char*>(ahead), _MM_HINT_T0);
            }
            __m256i sums[n][2] = {};
            multiply(numbers + b * Rows::kCodes, words, w.codes + b * Rows::kCodes * kSide,
                     Rows::kCodes / 2, sums);
            const float* scale = w.scales + b * kMaxRows + r;
#pragma GCC unroll 8
            for (int i = 0; i < n; i++) {
                const __m256 factor = _mm256_broadcast_ss(factors + i * queries.blocks + b);
#pragma GCC unroll 2
                for (int h = 0; h < 2; h++) {
                    float* score = scores + i * kMaxRows + 8 * h;
                    const __m256 both = _mm256_mul_ps(factor, _mm256_load_ps(scale + 8 * h));
                    const __m256 sum = _mm256_cvtepi32_ps(sums[i][h]);
                    const __m256 before =
                        b == 0 && queries.floats == 0 ? _mm256_setzero_ps() : _mm256_load_ps(score);
                    _mm256_store_ps(score, _mm256_fmadd_ps(sum, both, before));
                }
            }
        }
    });
}

// Mixed latents of a block, of a token that sees `seen` of the `rows` rows in w.codes.
inline void mix_token(const TiledSplit& s,
                      const Work& w,
                      int64_t token,
                      int64_t seen,
                      int64_t rows,
                      int64_t block,
                      const float* scales) {
    const int64_t n = padded(seen);  // weights behind `seen` are zero
    std::memcpy(w.relative, scales, static_cast<size_t>(seen) * 4);
    std::memset(w.relative + seen, 0, static_cast<size_t>(n - seen) * 4);
    const float largest = largest_of(w.relative, n);
    const __m256 range = _mm256_set1_ps(inverse(largest, kLargestP));
    for (int64_t j = 0; j < n; j += 8) {
        _mm256_store_ps(w.relative + j, _mm256_mul_ps(range, _mm256_load_ps(w.relative + j)));
    }
    const __m256 factor = _mm256_set1_ps(largest / kLargestP), offset = _mm256_set1_ps(-kOffset);
    in_blocks<kColumns>(s.heads, [&](int64_t head, auto count) {
        constexpr int m = decltype(count)::value;
        const int64_t column = token * s.heads + head;
        for (int i = 0; i < m; i++) {
            const float* weight = w.scores + (column + i) * kMaxRows;
            const auto words = [&](int64_t j) {
                return _mm256_fmadd_ps(_mm256_load_ps(weight + j), _mm256_load_ps(w.relative + j),
                                       offset);
            };
            for (int64_t j = 0; j < n; j += kSide) {
                store(w.weights + i * kMaxRows + j, to_words(words(j), words(j + 8)));
            }
        }
        for (int64_t half = 0; half < 2 && block * kBlock + half * kSide < s.latent; half++) {
            const int32_t* code_sums = w.code_sums + (n / kSide - 1) * kBlock + half * kSide;
            const __m256i low = _mm256_slli_epi32(load(code_sums), kOffsetBits);
            const __m256i high = _mm256_slli_epi32(load(code_sums + 8), kOffsetBits);
            __m256i sums[m][2];
#pragma GCC unroll 8
            for (int i = 0; i < m; i++) {
                sums[i][0] = low;
                sums[i][1] = high;
            }
            multiply(w.weights, Fixed<kMaxRows>(), w.codes + half * rows * kSide, n / 2, sums);
#pragma GCC unroll 8
            for (int i = 0; i < m; i++) {
                float* mixed = s.part + (column + i) * s.part_row + block * kBlock + half * kSide;
                _mm256_storeu_ps(mixed, _mm256_mul_ps(_mm256_cvtepi32_ps(sums[i][0]), factor));
                _mm256_storeu_ps(mixed + 8, _mm256_mul_ps(_mm256_cvtepi32_ps(sums[i][1]), factor));
            }
        }
    });
}

bool takes_q8(DType type, bool int8_latent, int64_t /*latent*/) {
    return !int8_latent && type == DType::q8_0;
}
bool takes_latent(DType /*type*/, bool int8_latent, int64_t latent) {
    return int8_latent && latent % LatentRows::kCodes == 0;
}

template <typename Rows>
int64_t query_bytes(int64_t columns, int64_t latent, int64_t row) {
    const int64_t words = Rows::numbers(latent, row);
    return aligned(columns * words * 2) + aligned(columns * (words / Rows::kCodes) * 4) +
           aligned(columns * (row - words) * 4);
}

int64_t work_bytes(int64_t columns, int64_t row) {
    Work w;
    return work_of(nullptr, columns, row, &w);
}

template <typename Rows>
void pack_queries(std::byte* dst,
                  const float* queries,
                  int64_t stride,
                  int64_t columns,
                  int64_t latent,
                  int64_t row) {
    PackedQueries q = packed_queries<Rows>(dst, columns, latent, row);
    for (int64_t c = 0; c < columns; c++, queries += stride) {
        for (int64_t d = 0; d < q.words; d += Rows::kCodes) {
            const float largest = largest_of(queries + d, Rows::kCodes);
            *q.factors++ = largest / kLargestQ;
            const __m256 range = _mm256_set1_ps(inverse(largest, kLargestQ));
            const auto words = [&](int64_t i) {
                return _mm256_mul_ps(range, _mm256_loadu_ps(queries + d + i));
            };
            for (int64_t i = 0; i < Rows::kCodes; i += kSide, q.numbers += kSide) {
                store(q.numbers, to_words(words(i), words(i + 8)));
            }
        }
        std::memcpy(q.rotary, queries + q.words, static_cast<size_t>(q.floats) * 4);
        q.rotary += q.floats;
    }
}

template <typename Rows>
bool attend(const TiledSplit& s) {
    const int64_t row = padded(s.latent + s.rotary), rows = padded(s.count);
    Work w;
    work_of(s.work, s.columns, row, &w);
    for (int64_t r = 0; r < rows; r++) {
        const int64_t there = r < s.count ? r : s.count - 1;
        w.rows[r] = s.rows[there / kPageRows] + there % kPageRows * s.row_bytes;
    }
    const auto queries =
        packed_queries<Rows>(const_cast<std::byte*>(s.queries), s.columns, s.latent, row);
    for (int64_t r = 0; r < rows; r += kSide) {
        if (queries.words == Rows::kModelNumbers) {
            score_rows<Rows>(s, w, queries, Fixed<Rows::kModelNumbers>(), r);
        } else {
            score_rows<Rows>(s, w, queries, queries.words, r);
        }
    }
    const auto for_tokens = [&](const auto& f) {
        for (int64_t token = 0; token < s.columns / s.heads; token++) {
            const int64_t seen = s.seen + token < s.count ? s.seen + token : s.count;
            if (seen > 0) {
                f(token, seen);
            }
        }
    };
    for_tokens([&](int64_t token, int64_t seen) {
        for (int64_t column = token * s.heads; column < (token + 1) * s.heads; column++) {
            float* stats = s.part + column * s.part_row + s.stats;
            stats[0] = -__builtin_inff();
            stats[1] = 0;
            kRowKernelsAvx2.softmax_step(w.scores + column * kMaxRows, seen, s.scale, stats,
                                         stats + 1);
        }
    });
    for (int64_t block = 0; block * kBlock < s.latent; block++) {
        interleave(w.rows, rows, Rows::codes_at(block), w.codes, w.code_sums);
        const float* scales = w.scales + block * kBlock / Rows::kCodes * kMaxRows;
        for_tokens([&](int64_t token, int64_t seen) {
            mix_token(s, w, token, seen, rows, block, scales);
        });
    }
    return true;
}

constexpr AttentionTiles kLatent = {takes_latent,
                                    query_bytes<LatentRows>,
                                    work_bytes,
                                    pack_queries<LatentRows>,
                                    attend<LatentRows>,
                                    false,
                                    nullptr};

}  // namespace

const AttentionTiles kCodeAttentionAvx2 = {
    takes_q8, query_bytes<Q8Rows>, work_bytes, pack_queries<Q8Rows>, attend<Q8Rows>, false,
    &kLatent};

}  // namespace kernels::cpu
