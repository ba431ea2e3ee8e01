// Arithmetic on rows of floats in 16 lanes: what attention, norms and activations spend their time
// in. One source (row_kernels.inl) is compiled for AVX-512, for AVX2 and for any processor;
// row_kernels() is the best one here. Every sum has one order, a property of the row and the
// instruction set alone, whatever block of rows is computed together: 16 lanes, then lane i + 8,
// i + 4, i + 2, i + 1; in `dot` and scores with AVX2 8 lanes, then those of each half as before,
// then the halves. Rows said to be "padded" are readable up to the next multiple of 16.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kernels::cpu {

inline constexpr int64_t kLanes = 16;
static inline constexpr int64_t padded(int64_t n) {  // static: see row_kernels.inl
    return (n + kLanes - 1) / kLanes * kLanes;
}

// K rows as they lie in a page, asked for their scores.
struct RowScores {
    float* scores;  // [n, count], score_stride apart
    int64_t score_stride;
    const float* queries;   // [n >= 1] of `dim` floats
    float* tile;            // [count] room for the rows as floats
    int64_t stride;         // of both
    int64_t n, dim;         // dim a multiple of 32
    const std::byte* rows;  // [count], row_bytes apart
    const std::byte* next;  // rows that will probably be asked for then, or null
    int64_t row_bytes, count;
    int64_t latent, rotary_at, scales_at;  // of q8_latent (k_type.h); latent a multiple of 128
};

// K rows as they lie in a page, mixed as `mix` does the rows as floats, with the same bits.
struct RowMix {
    float* acc;  // [n], acc_stride apart
    int64_t acc_stride;
    const float* factor;  // [n], or null as in `mix`
    const float* p;       // [n, count], p_stride apart
    int64_t p_stride, n;
    const std::byte* rows;  // [count], row_bytes apart
    int64_t row_bytes, count;
    int64_t cols;  // the first of each row's numbers, a multiple of 16
};

using RowMixFunction = void (*)(const RowMix& m);

struct RowKernels {
    // out[i, j] = a[i] . b[j]; dim is a multiple of 16.
    void (*dot)(float* out,
                int64_t out_stride,
                const float* a,
                int64_t a_stride,
                int64_t n_a,
                const float* b,
                int64_t b_stride,
                int64_t n_b,
                int64_t dim);

    // acc[i] = acc[i] * factor[i] + sum over j, in order, of p[i, j] * v[j]; without factors the
    // sum alone. cols is a multiple of 16.
    void (*mix)(float* acc,
                int64_t acc_stride,
                const float* factor,
                const float* p,
                int64_t p_stride,
                int64_t n_rows,
                const float* v,
                int64_t v_stride,
                int64_t n_v,
                int64_t cols);

    // One step of a running softmax: s[j] = exp(s[j] * scale - m) with m the new maximum; max and
    // sum are brought up to date. Returns what earlier sums have to be multiplied with. s is
    // padded, and written up to there.
    float (*softmax_step)(float* s, int64_t n, float scale, float* max, float* sum);

    // Softmax sums over two sets of positions become one: (acc, max, sum) and (part, part_max,
    // part_sum).
    void (*merge)(float* acc,
                  float* max,
                  float* sum,
                  const float* part,
                  float part_max,
                  float part_sum,
                  int64_t n);

    void (*multiply)(float* dst, const float* src, float factor, int64_t n);  // dst = src * factor
    void (*multiply_add)(float* dst,
                         const float* src,
                         float factor,
                         int64_t n);                       // dst += src * factor
    void (*add)(float* dst, const float* src, int64_t n);  // dst += src
    void (*norm)(
        float* dst, const float* src, const float* weight, float eps, int64_t n);  // RMS norm
    void (*swiglu)(float* gate, const float* up, int64_t n);  // gate = silu(gate) * up

    // dst[0, n) = values of an F16 or a Q8_0 row, as dequantize_row, but fast. May be null.
    void (*widen_f16)(float* dst, const void* src, int64_t n);
    void (*widen_q8_0)(float* dst, const void* src, int64_t n);

    // scores = queries . rows, as `dot` of the rows as floats, which are written to `tile`; where
    // the type has a mix below, the tile is left as it is. All may be null, a mix alone too.
    void (*score_f16)(const RowScores& s);
    void (*score_bf16)(const RowScores& s);
    void (*score_q8_0)(const RowScores& s);
    void (*score_q8_latent)(const RowScores& s);
    RowMixFunction mix_f16, mix_bf16;
};

const RowKernels& row_kernels();
// All that this machine can run, best first, for tests.
const RowKernels* row_kernels_variant(int index);

extern const RowKernels kRowKernelsAvx512, kRowKernelsAvx2, kRowKernelsPortable;

}  // namespace kernels::cpu
