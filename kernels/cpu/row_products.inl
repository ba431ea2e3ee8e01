// The part of row_kernels.inl that attention spends its time in: sums of products of rows, in
// blocks that stay in the registers.
//
// A block of A x B sums takes A + B loads for A * B fused operations; those are two a cycle at
// best, four or five cycles each, so 8 sums at least have to go on side by side. What a block reads
// again lies in the first-level cache: `dot` takes some rows of b through all of a, `mix` some
// columns of v through all rows of p. The other operand comes from the second level, which is asked
// for no more than 16 bytes a cycle then.

// What a block is made of: a register, but where 16 lanes are worth more than registers.
#if KERNELS_REGISTER_BYTES == 16
using D = V;
#else
using D = R;
#endif
constexpr int kDotLanes = sizeof(D) / 4;
constexpr int64_t kStationaryBytes = 16 * 1024;  // of b, half of the smallest first-level cache

inline D load_block(const float* p) {
    D v;
    std::memcpy(&v, p, sizeof v);
    return v;
}
inline void store_block(float* p, D v) {
    std::memcpy(p, &v, sizeof v);
}

// The distance of the model's rows, 512 + 64 numbers, and of a page's scores.
using RowFloats = Fixed<576>;
using PageScores = Fixed<64>;

#if KERNELS_REGISTER_BYTES == 32
// In each half of a register (0 + 2) + (1 + 3), then the halves: what summing four registers at
// once comes to.
inline float block_sum(D v) {
    const V4 low = __builtin_shufflevector(v, v, 0, 1, 2, 3),
             high = __builtin_shufflevector(v, v, 4, 5, 6, 7);
    return ((low[0] + low[2]) + (low[1] + low[3])) + ((high[0] + high[2]) + (high[1] + high[3]));
}

inline V4 block_sums(D a, D b, D c, D d) {
    const D ab = __builtin_shufflevector(a, b, 0, 8, 1, 9, 4, 12, 5, 13) +
                 __builtin_shufflevector(a, b, 2, 10, 3, 11, 6, 14, 7, 15);
    const D cd = __builtin_shufflevector(c, d, 0, 8, 1, 9, 4, 12, 5, 13) +
                 __builtin_shufflevector(c, d, 2, 10, 3, 11, 6, 14, 7, 15);
    const D sums = __builtin_shufflevector(ab, cd, 0, 1, 8, 9, 4, 5, 12, 13) +
                   __builtin_shufflevector(ab, cd, 2, 3, 10, 11, 6, 7, 14, 15);
    return __builtin_shufflevector(sums, sums, 0, 1, 2, 3) +
           __builtin_shufflevector(sums, sums, 4, 5, 6, 7);
}
#else
inline float block_sum(D v) {
    V lanes;
    std::memcpy(&lanes, &v, sizeof v);
    return lane_sum(lanes);
}
#endif

template <int A, int B>
inline void store_sums(float* out, int64_t out_stride, const D (&acc)[A][B]) {
#if KERNELS_REGISTER_BYTES == 32
    if constexpr (A == 4) {
#    pragma GCC unroll 8
        for (int j = 0; j < B; j++) {
            const V4 sums = block_sums(acc[0][j], acc[1][j], acc[2][j], acc[3][j]);
#    pragma GCC unroll 4
            for (int i = 0; i < 4; i++) {
                out[i * out_stride + j] = sums[i];
            }
        }
        return;
    }
#endif
#pragma GCC unroll 8
    for (int i = 0; i < A; i++) {
#pragma GCC unroll 8
        for (int j = 0; j < B; j++) {
            out[i * out_stride + j] = block_sum(acc[i][j]);
        }
    }
}

// acc += products of kDotLanes numbers of each row, of b as registers.
template <int A, int B, typename Stride>
inline void dot_step(D (&acc)[A][B], const float* a, Stride a_stride, const D (&y)[B]) {
#pragma GCC unroll 8
    for (int i = 0; i < A; i++) {
        const D x = load_block(a + i * a_stride);
#pragma GCC unroll 8
        for (int j = 0; j < B; j++) {
            acc[i][j] += x * y[j];
        }
    }
}

template <int A, int B, typename Stride>
inline void dot_steps(
    D (&acc)[A][B], const float* a, Stride a_stride, const float* b, Stride b_stride, int64_t dim) {
    for (int64_t d = 0; d < dim; d += kDotLanes) {
        D y[B];
#pragma GCC unroll 8
        for (int j = 0; j < B; j++) {
            y[j] = load_block(b + j * b_stride + d);
        }
        dot_step(acc, a + d, a_stride, y);
    }
}

template <int A, int B, typename Stride>
inline void dot_block(float* out,
                      int64_t out_stride,
                      const float* a,
                      Stride a_stride,
                      const float* b,
                      Stride b_stride,
                      int64_t dim) {
    D acc[A][B] = {};
    dot_steps(acc, a, a_stride, b, b_stride, dim);
    store_sums(out, out_stride, acc);
}

constexpr int64_t stationary_rows(int64_t row_bytes) {
    const int64_t rows = kStationaryBytes / row_bytes / KERNELS_DOT_B * KERNELS_DOT_B;
    return rows < KERNELS_DOT_B ? KERNELS_DOT_B : rows;
}

template <typename Stride>
inline void dot_rows(float* out,
                     int64_t out_stride,
                     const float* a,
                     Stride a_stride,
                     int64_t n_a,
                     const float* b,
                     Stride b_stride,
                     int64_t n_b,
                     int64_t dim) {
    const int64_t most = stationary_rows(4 * dim);
    for (int64_t first = 0; first < n_b; first += most) {
        const int64_t rows = n_b - first < most ? n_b - first : most;
        in_blocks<KERNELS_DOT_A>(n_a, [&](int64_t i, auto n_i) {
            in_blocks<KERNELS_DOT_B>(rows, [&](int64_t j, auto n_j) {
                dot_block<n_i.value, n_j.value>(out + i * out_stride + first + j, out_stride,
                                                a + i * a_stride, a_stride,
                                                b + (first + j) * b_stride, b_stride, dim);
            });
        });
    }
}

void dot(float* out,
         int64_t out_stride,
         const float* a,
         int64_t a_stride,
         int64_t n_a,
         const float* b,
         int64_t b_stride,
         int64_t n_b,
         int64_t dim) {
    if (a_stride == RowFloats() && b_stride == RowFloats()) {
        dot_rows(out, out_stride, a, RowFloats(), n_a, b, RowFloats(), n_b, dim);
    } else {
        dot_rows(out, out_stride, a, a_stride, n_a, b, b_stride, n_b, dim);
    }
}

// Rows of floats: register c of row j, from a column on.
template <typename Stride>
struct FloatRows {
    const float* rows;
    Stride stride;
    FloatRows from(int64_t column) const { return {rows + column, stride}; }
    D read(int64_t j, int c) const { return load_block(rows + j * stride + c * kDotLanes); }
};

template <int A, int C, typename PStride, typename Values>
inline void mix_block(float* acc,
                      int64_t acc_stride,
                      const float* factor,
                      const float* p,
                      PStride p_stride,
                      const Values& v,
                      int64_t n_v) {
    D sum[A][C] = {};
    if (factor != nullptr) {
#pragma GCC unroll 8
        for (int i = 0; i < A; i++) {
#pragma GCC unroll 8
            for (int c = 0; c < C; c++) {
                sum[i][c] = load_block(acc + i * acc_stride + c * kDotLanes) * factor[i];
            }
        }
    }
#pragma GCC unroll 2
    for (int64_t j = 0; j < n_v; j++) {
        D x[C];
#pragma GCC unroll 8
        for (int c = 0; c < C; c++) {
            x[c] = v.read(j, c);
        }
#pragma GCC unroll 8
        for (int i = 0; i < A; i++) {
            const float w = p[i * p_stride + j];
#pragma GCC unroll 8
            for (int c = 0; c < C; c++) {
                sum[i][c] += w * x[c];
            }
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < A; i++) {
#pragma GCC unroll 8
        for (int c = 0; c < C; c++) {
            store_block(acc + i * acc_stride + c * kDotLanes, sum[i][c]);
        }
    }
}

template <typename PStride, typename Values>
inline void mix_rows(float* acc,
                     int64_t acc_stride,
                     const float* factor,
                     const float* p,
                     PStride p_stride,
                     int64_t n_rows,
                     const Values& v,
                     int64_t n_v,
                     int64_t cols) {
    in_blocks<KERNELS_MIX_C>(cols / kDotLanes, [&](int64_t c, auto n_c) {
        in_blocks<KERNELS_MIX_A>(n_rows, [&](int64_t i, auto n_i) {
            mix_block<n_i.value, n_c.value>(acc + i * acc_stride + c * kDotLanes, acc_stride,
                                            factor == nullptr ? nullptr : factor + i,
                                            p + i * p_stride, p_stride, v.from(c * kDotLanes), n_v);
        });
    });
}

void mix(float* acc,
         int64_t acc_stride,
         const float* factor,
         const float* p,
         int64_t p_stride,
         int64_t n_rows,
         const float* v,
         int64_t v_stride,
         int64_t n_v,
         int64_t cols) {
    if (p_stride == PageScores() && v_stride == RowFloats()) {
        mix_rows(acc, acc_stride, factor, p, PageScores(), n_rows,
                 FloatRows<RowFloats>{v, RowFloats()}, n_v, cols);
    } else {
        mix_rows(acc, acc_stride, factor, p, p_stride, n_rows, FloatRows<int64_t>{v, v_stride}, n_v,
                 cols);
    }
}

#ifdef KERNELS_F16C
// How rows of each type become floats, a register at a time. begin(d) comes before the numbers
// [d, d + 32) of each row.

#    if KERNELS_REGISTER_BYTES == 64
inline D from_f16(const std::byte* p) {
    return reinterpret_cast<D>(
        _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))));
}
inline D from_bf16(const std::byte* p) {
    return reinterpret_cast<D>(_mm512_slli_epi32(
        _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))), 16));
}
inline D from_codes(const std::byte* p) {
    return reinterpret_cast<D>(_mm512_cvtepi32_ps(
        _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))));
}
#    else
inline D from_f16(const std::byte* p) {
    return reinterpret_cast<D>(
        _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
}
inline D from_bf16(const std::byte* p) {
    return reinterpret_cast<D>(_mm256_slli_epi32(
        _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))), 16));
}
inline D from_codes(const std::byte* p) {
    return reinterpret_cast<D>(_mm256_cvtepi32_ps(
        _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)))));
}
#    endif

struct F16Rows {
    static constexpr int64_t kBlockBytes = 64, kBytes = 1152;  // of 32 numbers, of the model's row
    static void begin(const std::byte* /*row*/, float& /*scale*/) {}
    static D read(const std::byte* row, int64_t i, float /*scale*/) {
        return from_f16(row + 2 * i);
    }
};

struct Bf16Rows {
    static constexpr int64_t kBlockBytes = 64, kBytes = 1152;
    static void begin(const std::byte* /*row*/, float& /*scale*/) {}
    static D read(const std::byte* row, int64_t i, float /*scale*/) {
        return from_bf16(row + 2 * i);
    }
};

struct Q8Rows {  // f16 scale, 32 codes
    static constexpr int64_t kBlockBytes = 34, kBytes = 612;
    static void begin(const std::byte* block, float& scale) {
        uint16_t half;
        std::memcpy(&half, block, sizeof half);
        scale = _cvtsh_ss(half);
    }
    static D read(const std::byte* block, int64_t i, float scale) {
        return from_codes(block + 2 + i) * scale;
    }
};

struct CodeRows {  // codes alone; the scale, of four blocks, is the caller's
    static constexpr int64_t kBlockBytes = 32;
    static void begin(const std::byte* /*row*/, float& /*scale*/) {}
    static D read(const std::byte* row, int64_t i, float scale) {
        return from_codes(row + i) * scale;
    }
};

// What will be read next, asked for a line at a time between products: all at once, the requests
// would hold up the queries.
struct Ahead {
    const std::byte *at, *end;
    // Of the rows behind those from `first` on, as many again, or of the next page's first.
    static Ahead of(const RowScores& s, int64_t first, int64_t most, int64_t row_bytes) {
        const int64_t then = first + most;
        if (then < s.count) {
            const std::byte* rows = s.rows + then * row_bytes;
            return {rows, rows + (s.count - then < most ? s.count - then : most) * row_bytes};
        }
        return {s.next, s.next == nullptr ? nullptr : s.next + most * row_bytes};
    }
    void step() {
        if (at < end) {
            _mm_prefetch(reinterpret_cast<const char*>(at), _MM_HINT_T1);
            at += 64;
        }
    }
};

// to[d] = number d of a row, for d in [0, n).
template <typename Rows>
inline void widen(float* to, const std::byte* row, float scale, int64_t n) {
    for (int64_t d = 0; d < n; d += 32, row += Rows::kBlockBytes) {
        Rows::begin(row, scale);
#    pragma GCC unroll 4
        for (int64_t i = 0; i < 32; i += kDotLanes) {
            store_block(to + d + i, Rows::read(row, i, scale));
        }
    }
}

struct LatentRows {  // q8_latent: two parts, and scales behind them
    static constexpr int64_t kBytes = 656;
};
constexpr int64_t kScaleCodes =
    128;  // kCodesPerScale of k_type.h, whose functions are not for here

template <typename Rows>
inline void widen_row(const RowScores& s, float* to, const std::byte* row) {
    if constexpr (__is_same(Rows, LatentRows)) {
        for (int64_t d = 0; d < s.latent; d += kScaleCodes) {
            float scale;
            std::memcpy(&scale, row + s.scales_at + d / kScaleCodes * 4, 4);
            widen<CodeRows>(to + d, row + d, scale, kScaleCodes);
        }
        widen<F16Rows>(to + s.latent, row + s.rotary_at, 0, s.dim - s.latent);
    } else {
        widen<Rows>(to, row, 0, s.dim);
    }
}

template <typename Rows, typename Stride, typename Bytes>
inline void score_rows(const RowScores& s, Stride stride, Bytes row_bytes) {
    const int64_t most = stationary_rows(4 * s.dim);
    for (int64_t first = 0; first < s.count; first += most) {
        const int64_t rows = s.count - first < most ? s.count - first : most;
        float* tile = s.tile + first * stride;
        for (int64_t j = 0; j < rows; j++) {
            widen_row<Rows>(s, tile + j * stride, s.rows + (first + j) * row_bytes);
        }
        Ahead ahead = Ahead::of(s, first, most, row_bytes);
        in_blocks<KERNELS_DOT_A>(s.n, [&](int64_t i, auto n_i) {
            in_blocks<KERNELS_DOT_B>(rows, [&](int64_t j, auto n_j) {
                D acc[n_i.value][n_j.value] = {};
                for (int64_t d = 0; d < s.dim; d += 32) {
                    ahead.step();
                    dot_steps(acc, s.queries + i * stride + d, stride, tile + j * stride + d,
                              stride, 32);
                }
                store_sums(s.scores + i * s.score_stride + first + j, s.score_stride, acc);
            });
        });
    }
}

template <typename Rows>
void score(const RowScores& s) {
    if (s.stride == RowFloats() && s.row_bytes == Rows::kBytes) {
        score_rows<Rows>(s, RowFloats(), Fixed<Rows::kBytes>());
    } else {
        score_rows<Rows>(s, s.stride, s.row_bytes);
    }
}

#    if KERNELS_REGISTER_BYTES == 32
// Rows whose numbers become floats where they are used, in every block anew: beside the fused
// operations that is free where it takes no multiplication, and neither the rows as floats nor
// their way through the second-level cache are needed. (Zen 3, a page of F16 rows from memory,
// scores and mixed latents of 20 heads: 31 us instead of 38, 28 and 33 at best; the operations
// alone take 27.)
template <typename Rows, typename Stride, typename Bytes>
inline void score_rows_as_they_lie(const RowScores& s, Stride stride, Bytes row_bytes) {
    const int64_t most = stationary_rows(row_bytes);
    for (int64_t first = 0; first < s.count; first += most) {
        const int64_t rows = s.count - first < most ? s.count - first : most;
        Ahead ahead = Ahead::of(s, first, most, row_bytes);
        in_blocks<KERNELS_DOT_A>(s.n, [&](int64_t i, auto n_i) {
            in_blocks<KERNELS_DOT_B>(rows, [&](int64_t j, auto n_j) {
                const std::byte* row = s.rows + (first + j) * row_bytes;
                D acc[n_i.value][n_j.value] = {};
                const float* query = s.queries + i * stride;
                for (int64_t d = 0; d < s.dim; d += 32, row += Rows::kBlockBytes, query += 32) {
                    ahead.step();
#        pragma GCC unroll 4
                    for (int64_t u = 0; u < 32; u += kDotLanes) {
                        D y[n_j.value];
#        pragma GCC unroll 8
                        for (int k = 0; k < n_j.value; k++) {
                            y[k] = Rows::read(row + k * row_bytes, u, 0);
                        }
                        dot_step(acc, query + u, stride, y);
                    }
                }
                store_sums(s.scores + i * s.score_stride + first + j, s.score_stride, acc);
            });
        });
    }
}

template <typename Rows>
void score_as_they_lie(const RowScores& s) {
    if (s.stride == RowFloats() && s.row_bytes == Rows::kBytes) {
        score_rows_as_they_lie<Rows>(s, RowFloats(), Fixed<Rows::kBytes>());
    } else {
        score_rows_as_they_lie<Rows>(s, s.stride, s.row_bytes);
    }
}

template <typename Rows, typename Bytes>
struct PackedRows {
    const std::byte* rows;
    Bytes row_bytes;
    PackedRows from(int64_t column) const {
        return {rows + column * (Rows::kBlockBytes / 32), row_bytes};
    }
    D read(int64_t j, int c) const { return Rows::read(rows + j * row_bytes, c * kDotLanes, 0); }
};

template <typename Rows>
void mix_as_they_lie(const RowMix& m) {
    if (m.p_stride == PageScores() && m.row_bytes == Rows::kBytes) {
        mix_rows(m.acc, m.acc_stride, m.factor, m.p, PageScores(), m.n,
                 PackedRows<Rows, Fixed<Rows::kBytes>>{m.rows, {}}, m.count, m.cols);
    } else {
        mix_rows(m.acc, m.acc_stride, m.factor, m.p, m.p_stride, m.n,
                 PackedRows<Rows, int64_t>{m.rows, m.row_bytes}, m.count, m.cols);
    }
}
#    endif
#endif
