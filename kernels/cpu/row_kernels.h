// Arithmetic on rows of floats in 16 lanes: what attention, norms and activations spend their time
// in. One source (row_kernels.inl) is compiled for AVX-512, for AVX2 and for any processor;
// row_kernels() is the best one here. Every sum has one order, a property of the row alone (16
// lanes, then lane i + 8, i + 4, i + 2, i + 1), whatever block of rows is computed together. Rows
// said to be "padded" are readable up to the next multiple of 16.
#pragma once

#include <cstdint>

namespace kernels::cpu {

inline constexpr int64_t kLanes = 16;
static inline constexpr int64_t padded(int64_t n) {  // static: see row_kernels.inl
    return (n + kLanes - 1) / kLanes * kLanes;
}

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

    // acc[i] += sum over j, in order, of p[i, j] * v[j]; cols is a multiple of 16.
    void (*mix)(float* acc,
                int64_t acc_stride,
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
};

const RowKernels& row_kernels();
// All that this machine can run, best first, for tests.
const RowKernels* row_kernels_variant(int index);

extern const RowKernels kRowKernelsAvx512, kRowKernelsAvx2, kRowKernelsPortable;

}  // namespace kernels::cpu
