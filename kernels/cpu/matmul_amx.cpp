// Products of many activation rows with the matrix unit of Sapphire Rapids and later (AMX int8);
// few rows as AVX-512 does them, with the same bits, by the order of matmul_variants.h.
//
//   C [16 weight rows, 16 activation rows] int32  =  A [16 weight rows, 32 codes]  .  B [8, 16
//   activation rows, 4 codes]
//
// one part of 32 at a time, as each has its scales: C is exact, is stored, and 16 vectors take it
// up. The weights are the side that need not be transposed, so unpacking them costs little more
// than for one activation row; the activations are transposed once for all weight rows of the call.
// Formats with factors per 16 weights take parts of 16.
//
// Up to 8 activation rows (several sequences decoding together) leave half of C empty, so two
// neighbouring parts share it: A is [16 weight rows, 64 codes], and B has the first part of row r
// in column 2 r and the second, below it, in column 2 r + 1, zeros elsewhere. The weights of so few
// rows come from memory as fast as they are used: those of the next 16 rows are asked for
// meanwhile.
#include <type_traits>

#include "kernels/cpu/amx.h"
#include "kernels/cpu/avx512.h"

namespace kernels::cpu {
namespace {

constexpr int kMaxParts = 320;     // of a row: up to 10,240 columns
constexpr int kBlockParts = 1024;  // parts of all activation rows that are transposed at a time

// 16 weight rows.
struct Weights {
    alignas(64) uint8_t codes[kMaxParts / 2][kSide][64];  // signed, two parts beside each other
    alignas(64) float scale[kSide][kMaxParts];
    alignas(64) float minimum[kSide][kMaxParts];
    alignas(64) float sub_scale[kSide][2 * kMaxParts];
    alignas(64) float sub_minimum[kSide][2 * kMaxParts];
};

// A part of 16 activation rows.
struct ActivationPart {
    alignas(64) int32_t codes[8][kSide];  // four neighbours of each row
    alignas(64) float scale[kSide];
    alignas(64) float weighted_sum[kSide];
    alignas(64) float sum[2][kSide];  // of 16 codes
};

// Parts 2 p and 2 p + 1 of up to 8 activation rows: those of row r in columns 2 r and 2 r + 1.
struct ActivationPair {
    alignas(64) int32_t codes[2][16][kSide];  // with factors per 16: the first halves, the second
    alignas(64) float scale[kSide];
    alignas(64) float weighted_sum[kSide];
    alignas(64) float sum[2][kSide];  // of 16 codes
};

struct PairBuffers {
    Weights weights;
    ActivationPair x[kMaxParts / 2];
    alignas(64) float lanes[4][kSide][kSide];      // [b % 8 / 2][weight row][column]
    alignas(64) int32_t dots[2][2][kSide][kSide];  // [pair][half of each part]
};

struct Buffers {
    Weights weights;
    ActivationPart x[kBlockParts];                 // [block][part]
    alignas(64) float lanes[8][kSide][kSide];      // [b % 8][weight row][activation row]
    alignas(64) int32_t dots[2][2][kSide][kSide];  // [part][half of it]
};

// Tiles 0 to 3 are C, 4 and 5 A, 6 and 7 B; `codes` is the length of a part.
inline void configure(int codes) {
    alignas(64) TileConfig config;
    for (int i = 0; i < 4; i++) {
        config.set(i, kSide, 64);
    }
    for (int i = 4; i < 6; i++) {
        config.set(i, kSide, codes);
    }
    for (int i = 6; i < 8; i++) {
        config.set(i, codes / 4, 64);
    }
    load_config(config);
}

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

// Part `part` of `rows` rows (at most 16), as far as products with Blocks want it; absent ones
// become zeros.
template <typename Block>
inline void transpose_part(ActivationPart& dst, const PackedRow* x, int rows, int64_t part) {
    __m256i low[8], high[8];
    const auto row = [&](int r) {
        return r < rows ? load_32(x[r].q + 32 * part) : _mm256_setzero_si256();
    };
    for (int i = 0; i < 8; i++) {
        low[i] = row(i);
        high[i] = row(8 + i);
    }
    store_transposed(low, &dst.codes[0][0], kSide);
    store_transposed(high, &dst.codes[0][8], kSide);
    const __m512 zero = _mm512_setzero_ps();
    _mm512_store_ps(dst.scale, zero);
    _mm512_store_ps(dst.weighted_sum, zero);
    _mm512_store_ps(dst.sum[0], zero);
    _mm512_store_ps(dst.sum[1], zero);
    for (int r = 0; r < rows; r++) {
        dst.scale[r] = x[r].scale[part];
        if constexpr (Block::kMinimum && !Block::kSubScales) {
            dst.weighted_sum[r] = x[r].weighted_sum[part];
        } else if constexpr (Block::kMinimum) {
            dst.sum[0][r] = static_cast<float>(x[r].sum[2 * part]);
            dst.sum[1][r] = static_cast<float>(x[r].sum[2 * part + 1]);
        }
    }
}

// Weight rows [m, m + kSide) on their way while the ones before are multiplied, in about `steps`
// steps.
struct Ahead {
    const char* at = nullptr;
    int64_t lines = 0, per_step = 0;

    Ahead(const MatmulJob& job, int64_t m, int steps) {
        if (m < job.m_end) {
            const int64_t rows = job.m_end - m < kSide ? job.m_end - m : kSide;
            at = reinterpret_cast<const char*>(job.weight + m * job.weight_stride_bytes);
            lines = rows * job.weight_stride_bytes / 64 + 1;
            per_step = (lines + steps - 1) / steps;
        }
    }
    void step() {
        const int64_t n = lines < per_step ? lines : per_step;
        for (int64_t i = 0; i < n; i++, at += 64) {
            _mm_prefetch(at, _MM_HINT_T1);
        }
        lines -= n;
    }
};

// Weight rows [m, m + kSide). Rows past the last repeat it. For `pairs` of parts the factors per 16
// weights are in the order first halves, second halves.
template <typename Block, bool pairs>
void unpack(Weights& w, const MatmulJob& job, int64_t m, int parts, Ahead& ahead) {
    constexpr int64_t kGroupBlocks = 256 / Block::kElements;
    constexpr int64_t kGroupBytes = kGroupBlocks * static_cast<int64_t>(sizeof(Block));
    constexpr int kOffset = Codes<Block>::kOffset;
    const __m512i offset = bytes_of(kOffset);
    const auto factors = [](__m128i bytes) {
        if constexpr (pairs) {
            bytes = _mm_shuffle_epi8(
                bytes, _mm_setr_epi8(0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15));
        }
        return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes));
    };
    const bool first = m == job.m_begin;  // later ones have been asked for
    for (int r = 0; r < kSide; r++) {
        ahead.step();
        const int64_t row = m + r < job.m_end ? m + r : job.m_end - 1;
        const std::byte* src = job.weight + row * job.weight_stride_bytes;
        for (int g = 0; 8 * g < parts; g++, src += kGroupBytes) {
            WideGroup group;
            if (8 * g + 8 <= parts) {
                for (int64_t line = 0; first && line < kGroupBytes; line += 64) {
                    _mm_prefetch(reinterpret_cast<const char*>(src) + kAhead + line, _MM_HINT_T0);
                }
                WideCodes<Block>::load(src, group);
            } else {
                std::byte rest[kGroupBytes] = {};
                std::memcpy(rest, src, static_cast<size_t>(parts - 8 * g) * sizeof(Block));
                WideCodes<Block>::load(rest, group);
            }
            for (int k = 0; k < 4; k++) {
                _mm512_store_si512(w.codes[4 * g + k][r], _mm512_sub_epi8(group.codes[k], offset));
            }
            _mm256_store_ps(&w.scale[r][8 * g], group.scale);
            if constexpr (Block::kMinimum) {
                _mm256_store_ps(&w.minimum[r][8 * g], group.minimum);
            }
            if constexpr (Block::kSubScales) {
                _mm512_store_ps(&w.sub_scale[r][16 * g], factors(group.sub_scale));
                if constexpr (Block::kMinimum) {
                    _mm512_store_ps(&w.sub_minimum[r][16 * g], factors(group.sub_minimum));
                }
            }
        }
    }
}

// The intrinsics paste their operands into tile names, so these must be literal numbers.
#define KERNELS_DOT_PART(c, a, b)    \
    _tile_zero(c);                   \
    _tile_loadd(a, weights, 64);     \
    _tile_loadd(b, activations, 64); \
    _tile_dpbssd(c, a, b);           \
    _tile_stored(c, dots, 64)

// dots [16 weight rows, 16 activation rows], by tile C `c`.
template <int c>
void dot_part(int32_t (*dots)[kSide], const uint8_t* weights, const int32_t* activations) {
    if constexpr (c == 0) {
        KERNELS_DOT_PART(0, 4, 6);
    } else if constexpr (c == 1) {
        KERNELS_DOT_PART(1, 5, 7);
    } else if constexpr (c == 2) {
        KERNELS_DOT_PART(2, 4, 6);
    } else {
        KERNELS_DOT_PART(3, 5, 7);
    }
}
#undef KERNELS_DOT_PART

// The dots of part p into slot `slot`.
template <typename Block, int slot>
void dot_part_of(Buffers& buffers, const ActivationPart& x, int p) {
    const uint8_t* weights = &buffers.weights.codes[p / 2][0][p % 2 * 32];
    dot_part<2 * slot>(buffers.dots[slot][0], weights, x.codes[0]);
    if constexpr (Block::kSubScales) {
        dot_part<2 * slot + 1>(buffers.dots[slot][1], weights + 16, x.codes[4]);
    }
}

// lanes[m] += what part p, whose dots are in slot `slot`, gives for weight row m.
template <typename Block, int slot>
void take_part(__m512* lanes, const Buffers& buffers, const ActivationPart& x, int p) {
    const Weights& w = buffers.weights;
    const __m512 x_scale = _mm512_load_ps(x.scale);
    const auto dots = [&](int half, int m) {
        return _mm512_cvtepi32_ps(_mm512_load_si512(buffers.dots[slot][half][m]));
    };
#pragma GCC unroll 16
    for (int m = 0; m < kSide; m++) {
        __m512 integer;
        if constexpr (Block::kSubScales) {
            // Below 2^24, so exact in floats as well.
            integer = _mm512_mul_ps(dots(0, m), _mm512_set1_ps(w.sub_scale[m][2 * p]));
            integer =
                _mm512_fmadd_ps(dots(1, m), _mm512_set1_ps(w.sub_scale[m][2 * p + 1]), integer);
        } else {
            integer = dots(0, m);
        }
        const __m512 scale = _mm512_mul_ps(_mm512_set1_ps(w.scale[m][p]), x_scale);
        lanes[m] = _mm512_fmadd_ps(integer, scale, lanes[m]);
        if constexpr (Block::kMinimum && Block::kSubScales) {
            __m512 least =
                _mm512_mul_ps(_mm512_load_ps(x.sum[0]), _mm512_set1_ps(w.sub_minimum[m][2 * p]));
            least = _mm512_fmadd_ps(_mm512_load_ps(x.sum[1]),
                                    _mm512_set1_ps(w.sub_minimum[m][2 * p + 1]), least);
            const __m512 minimum = _mm512_mul_ps(_mm512_set1_ps(w.minimum[m][p]), x_scale);
            lanes[m] = _mm512_fmadd_ps(least, minimum, lanes[m]);
        } else if constexpr (Block::kMinimum) {
            lanes[m] = _mm512_fmadd_ps(_mm512_set1_ps(w.minimum[m][p]),
                                       _mm512_load_ps(x.weighted_sum), lanes[m]);
        }
    }
}

// lanes = 16 activation rows against the unpacked weights. The dots of a part are asked for before
// the part before it is taken up, so that the two, each of about 50 cycles, go on side by side.
template <typename Block>
void fill_lanes(Buffers& buffers, const ActivationPart* x, int parts, Ahead& ahead) {
    for (int j = 0; j < 8; j++) {
        __m512 lanes[kSide];
        for (int m = 0; m < kSide; m++) {
            lanes[m] = _mm512_setzero_ps();
        }
        if (j < parts) {
            dot_part_of<Block, 0>(buffers, x[j], j);
        }
        for (int p = j; p < parts; p += 16) {
            if (p + 8 < parts) {
                dot_part_of<Block, 1>(buffers, x[p + 8], p + 8);
            }
            ahead.step();
            take_part<Block, 0>(lanes, buffers, x[p], p);
            if (p + 16 < parts) {
                dot_part_of<Block, 0>(buffers, x[p + 16], p + 16);
            }
            if (p + 8 < parts) {
                ahead.step();
                take_part<Block, 1>(lanes, buffers, x[p + 8], p + 8);
            }
        }
        for (int m = 0; m < kSide; m++) {
            _mm512_store_ps(buffers.lanes[j][m], lanes[m]);
        }
    }
}

template <typename Block>
void amx_tiles(const MatmulJob& job, int64_t first_row, int rows, Buffers& buffers) {
    const int64_t all_parts = job.cols / 32;
    const int blocks = (rows + kSide - 1) / kSide;
    for (int b = 0; b < blocks; b++) {
        const int there = rows - b * kSide < kSide ? rows - b * kSide : kSide;
        PackedRow x[kSide];
        for (int r = 0; r < there; r++) {
            x[r] = packed_row(job.x[first_row + b * kSide + r], job.cols);
        }
        for (int64_t p = 0; p < all_parts; p++) {
            transpose_part<Block>(buffers.x[b * all_parts + p], x, there, p);
        }
    }
    const auto parts = static_cast<int>(all_parts);
    for (int64_t m = job.m_begin; m < job.m_end; m += kSide) {
        Ahead ahead(job, m + kSide, kSide + parts);
        unpack<Block, false>(buffers.weights, job, m, parts, ahead);
        finish_writing();
        const int64_t count = job.m_end - m < kSide ? job.m_end - m : kSide;
        const auto there = static_cast<__mmask16>((1U << count) - 1);
        for (int b = 0; b < blocks; b++) {
            fill_lanes<Block>(buffers, buffers.x + b * parts, parts, ahead);
            __m512i result[kSide];
            for (int i = 0; i < kSide; i++) {
                const auto lane = [&](int j) { return _mm512_load_ps(buffers.lanes[j][i]); };
                const __m512 even =
                    _mm512_add_ps(_mm512_add_ps(lane(0), lane(4)), _mm512_add_ps(lane(2), lane(6)));
                const __m512 odd =
                    _mm512_add_ps(_mm512_add_ps(lane(1), lane(5)), _mm512_add_ps(lane(3), lane(7)));
                result[i] = _mm512_castps_si512(_mm512_add_ps(even, odd));
            }
            transpose(result);
            float* out = job.out + (first_row + b * kSide) * job.out_stride + m - job.m_begin;
            for (int t = 0; t < kSide && b * kSide + t < rows; t++, out += job.out_stride) {
                _mm512_mask_storeu_epi32(out, there, result[t]);
            }
        }
    }
}

template <typename Block>
__attribute__((noinline)) void many_rows_amx(const MatmulJob& job) {
    Buffers buffers;  // about 1 MB
    configure(Block::kSubScales ? 16 : 32);
    const int64_t all_parts = job.cols / 32;
    const int64_t step = all_parts > 0 ? kBlockParts / all_parts * kSide : job.n_rows;
    for (int64_t t = 0; t < job.n_rows; t += step) {
        amx_tiles<Block>(job, t, static_cast<int>(job.n_rows - t < step ? job.n_rows - t : step),
                         buffers);
    }
    _tile_release();
}

// --- up to 8 activation rows

// Parts 2 p and 2 p + 1 of `rows` rows; absent ones become zeros, as does what a row of an odd
// number of parts lacks.
template <typename Block>
inline void transpose_pair(ActivationPair& dst, const PackedRow* x, int rows, int64_t p) {
    alignas(64) int32_t words[2][8][8];
    for (int h = 0; h < 2; h++) {
        __m256i v[8];
        for (int r = 0; r < 8; r++) {
            v[r] = r < rows ? load_32(x[r].q + 64 * p + 32 * h) : _mm256_setzero_si256();
        }
        store_transposed(v, words[h], 8);
    }
    for (int i = 0; i < 16; i++) {
        const __m512i spread = _mm512_cvtepu32_epi64(load_32(words[i / 8][i % 8]));
        const __m512i row = i < 8 ? spread : _mm512_slli_epi64(spread, 32);
        if constexpr (Block::kSubScales) {
            const bool second = i % 8 >= 4;
            _mm512_store_si512(dst.codes[0][i], second ? _mm512_setzero_si512() : row);
            _mm512_store_si512(dst.codes[1][i], second ? row : _mm512_setzero_si512());
        } else {
            _mm512_store_si512(dst.codes[0][i], row);
        }
    }
    const __m512 zero = _mm512_setzero_ps();
    _mm512_store_ps(dst.scale, zero);
    _mm512_store_ps(dst.weighted_sum, zero);
    _mm512_store_ps(dst.sum[0], zero);
    _mm512_store_ps(dst.sum[1], zero);
    for (int r = 0; r < rows; r++) {
        std::memcpy(dst.scale + 2 * r, x[r].scale + 2 * p, 2 * sizeof(float));
        if constexpr (Block::kMinimum && !Block::kSubScales) {
            std::memcpy(dst.weighted_sum + 2 * r, x[r].weighted_sum + 2 * p, 2 * sizeof(float));
        } else if constexpr (Block::kMinimum) {
            for (int i = 0; i < 2; i++) {
                dst.sum[i][2 * r] = static_cast<float>(x[r].sum[4 * p + i]);
                dst.sum[i][2 * r + 1] = static_cast<float>(x[r].sum[4 * p + 2 + i]);
            }
        }
    }
}

// The dots of pair p into slot `slot`.
template <typename Block, int slot>
void dot_pair(PairBuffers& buffers, const ActivationPair& x, int p) {
    const uint8_t* weights = buffers.weights.codes[p][0];
    dot_part<2 * slot>(buffers.dots[slot][0], weights, x.codes[0][0]);
    if constexpr (Block::kSubScales) {
        dot_part<2 * slot + 1>(buffers.dots[slot][1], weights, x.codes[1][0]);
    }
}

// Two neighbouring floats, again and again.
inline __m512 two_of(const float* src) {
    double both;
    std::memcpy(&both, src, sizeof(both));
    return _mm512_castpd_ps(_mm512_set1_pd(both));
}

// lanes[m] += what the parts of pair p give for weight row m: take_part, two parts at a time.
template <typename Block, int slot>
void take_pair(__m512* lanes, const PairBuffers& buffers, const ActivationPair& x, int p) {
    const Weights& w = buffers.weights;
    const __m512 x_scale = _mm512_load_ps(x.scale);
    const auto dots = [&](int half, int m) {
        return _mm512_cvtepi32_ps(_mm512_load_si512(buffers.dots[slot][half][m]));
    };
#pragma GCC unroll 16
    for (int m = 0; m < kSide; m++) {
        __m512 integer;
        if constexpr (Block::kSubScales) {
            integer = _mm512_mul_ps(dots(0, m), two_of(&w.sub_scale[m][4 * p]));
            integer = _mm512_fmadd_ps(dots(1, m), two_of(&w.sub_scale[m][4 * p + 2]), integer);
        } else {
            integer = dots(0, m);
        }
        const __m512 scale = _mm512_mul_ps(two_of(&w.scale[m][2 * p]), x_scale);
        lanes[m] = _mm512_fmadd_ps(integer, scale, lanes[m]);
        if constexpr (Block::kMinimum && Block::kSubScales) {
            __m512 least =
                _mm512_mul_ps(_mm512_load_ps(x.sum[0]), two_of(&w.sub_minimum[m][4 * p]));
            least = _mm512_fmadd_ps(_mm512_load_ps(x.sum[1]), two_of(&w.sub_minimum[m][4 * p + 2]),
                                    least);
            const __m512 minimum = _mm512_mul_ps(two_of(&w.minimum[m][2 * p]), x_scale);
            lanes[m] = _mm512_fmadd_ps(least, minimum, lanes[m]);
        } else if constexpr (Block::kMinimum) {
            lanes[m] = _mm512_fmadd_ps(two_of(&w.minimum[m][2 * p]), _mm512_load_ps(x.weighted_sum),
                                       lanes[m]);
        }
    }
}

// lanes = the activation rows against the unpacked weights, as fill_lanes.
template <typename Block>
void fill_pair_lanes(PairBuffers& buffers, int pairs, Ahead& ahead) {
    const ActivationPair* x = buffers.x;
    for (int j = 0; j < 4; j++) {
        __m512 lanes[kSide];
        for (int m = 0; m < kSide; m++) {
            lanes[m] = _mm512_setzero_ps();
        }
        if (j < pairs) {
            dot_pair<Block, 0>(buffers, x[j], j);
        }
        for (int p = j; p < pairs; p += 8) {
            if (p + 4 < pairs) {
                dot_pair<Block, 1>(buffers, x[p + 4], p + 4);
            }
            ahead.step();
            take_pair<Block, 0>(lanes, buffers, x[p], p);
            if (p + 8 < pairs) {
                dot_pair<Block, 0>(buffers, x[p + 8], p + 8);
            }
            if (p + 4 < pairs) {
                ahead.step();
                take_pair<Block, 1>(lanes, buffers, x[p + 4], p + 4);
            }
        }
        for (int m = 0; m < kSide; m++) {
            _mm512_store_ps(buffers.lanes[j][m], lanes[m]);
        }
    }
}

template <typename Block>
__attribute__((noinline)) void up_to_8_rows_amx(const MatmulJob& job) {
    PairBuffers buffers;  // about 0.7 MB
    configure(64);
    const auto parts = static_cast<int>(job.cols / 32), rows = static_cast<int>(job.n_rows);
    const int pairs = (parts + 1) / 2;
    PackedRow x[8];
    for (int r = 0; r < rows; r++) {
        x[r] = packed_row(job.x[r], job.cols);
    }
    for (int p = 0; p < pairs; p++) {
        transpose_pair<Block>(buffers.x[p], x, rows, p);
    }
    for (int64_t m = job.m_begin; m < job.m_end; m += kSide) {
        Ahead ahead(job, m + kSide, kSide + pairs);
        unpack<Block, true>(buffers.weights, job, m, parts, ahead);
        finish_writing();
        const int64_t count = job.m_end - m < kSide ? job.m_end - m : kSide;
        const auto there = static_cast<__mmask16>((1U << count) - 1);
        fill_pair_lanes<Block>(buffers, pairs, ahead);
        __m512i result[kSide];
        for (int i = 0; i < kSide; i++) {
            // columns of even parts: (l0 + l4) + (l2 + l6); of odd ones: (l1 + l5) + (l3 + l7)
            const auto lane = [&](int j) { return _mm512_load_ps(buffers.lanes[j][i]); };
            const __m512 both =
                _mm512_add_ps(_mm512_add_ps(lane(0), lane(2)), _mm512_add_ps(lane(1), lane(3)));
            result[i] = _mm512_castps_si512(_mm512_add_ps(both, _mm512_permute_ps(both, 0xB1)));
        }
        transpose(result);
        float* out = job.out + m - job.m_begin;
        for (int t = 0; t < rows; t++, out += job.out_stride) {
            _mm512_mask_storeu_epi32(out, there, result[2 * t]);
        }
    }
    _tile_release();
}

struct Amx : Avx512 {
    template <typename Block>
    static constexpr int few_rows() {
        return 2;
    }
    template <typename Block>
    static void many_rows(const MatmulJob& job) {
        if (job.cols / 32 <= kMaxParts && job.n_rows <= 8) {
            up_to_8_rows_amx<Block>(job);
        } else if (job.cols / 32 <= kMaxParts) {
            many_rows_amx<Block>(job);
        } else {
            Avx512::many_rows<Block>(job);
        }
    }
};

bool supported() {
    constexpr unsigned kAmxInt8 = 1U << 25;
    return avx512_supported() && tiles_granted(kAmxInt8);
}

}  // namespace

const MatmulVariant kMatmulAmx = {"AMX int8", supported, pack_with_avx2, product_of<Amx>};

}  // namespace kernels::cpu
