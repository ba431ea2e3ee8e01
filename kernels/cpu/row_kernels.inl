// The body of row_kernels.h, included once per instruction set by row_kernels_<name>.cpp, which
// defines KERNELS_ROWS_A and KERNELS_ROWS_B (the block of rows that `dot` keeps in registers), and
// KERNELS_F16C where it has the instructions. No function here may have external linkage: a shared
// copy compiled for AVX-512 could be the one that an older processor gets. These files are compiled
// with contraction on: acc + a * b is one fused operation where there is one.
#include <cstdint>
#include <cstring>

#include "kernels/cpu/row_kernels.h"

namespace kernels::cpu {
namespace {

using V = float __attribute__((vector_size(64)));
using U = uint32_t __attribute__((vector_size(64)));
using V8 = float __attribute__((vector_size(32)));
using V4 = float __attribute__((vector_size(16)));
using LooseV = float __attribute__((vector_size(64), aligned(4), may_alias));

inline V load(const float* p) {
    return *reinterpret_cast<const LooseV*>(p);
}
inline void store(float* p, V v) {
    *reinterpret_cast<LooseV*>(p) = v;
}
inline V all(float x) {
    return V{} + x;
}

// The first n < 16 lanes; the others are zero, or stay as they are in memory.
inline V load_part(const float* p, int64_t n) {
    V v{};
    std::memcpy(&v, p, static_cast<size_t>(n) * sizeof(float));
    return v;
}
inline void store_part(float* p, V v, int64_t n) {
    std::memcpy(p, &v, static_cast<size_t>(n) * sizeof(float));
}

inline float lane_sum(V v) {
    const V8 a = __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7) +
                 __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
    const V4 b =
        __builtin_shufflevector(a, a, 0, 1, 2, 3) + __builtin_shufflevector(a, a, 4, 5, 6, 7);
    return (b[0] + b[2]) + (b[1] + b[3]);
}

inline float lane_max(V v) {
    float m = v[0];
    for (int i = 1; i < 16; i++) {
        m = m > v[i] ? m : v[i];
    }
    return m;
}

// e^x to about 1 ulp (polynomial of Cephes' expf); 0 below -87, the largest power above 88; NaN
// stays NaN.
inline V exp16(V x) {
    const V lowest = all(-87.0F), highest = all(88.0F);
    const V clamped = x < lowest ? lowest : (x > highest ? highest : x);
    const V magic =
        all(12582912.0F);  // 1.5 * 2^23: adding it rounds to an integer, kept in the low bits
    const V shifted = clamped * 1.44269504F + magic;
    const V n = shifted - magic;
    V r = clamped - n * 0.693359375F;
    r = r - n * -2.12194440e-4F;
    V p = r * 1.9875691500e-4F + 1.3981999507e-3F;
    p = p * r + 8.3334519073e-3F;
    p = p * r + 4.1665795894e-2F;
    p = p * r + 1.6666665459e-1F;
    p = p * r + 5.0000001201e-1F;
    p = p * (r * r) + r + 1.0F;
    const U power = (reinterpret_cast<U>(shifted) - reinterpret_cast<U>(magic) + 127U) << 23;
    const V result = p * reinterpret_cast<V>(power);
    return x < lowest ? V{} : result;
}

inline float exp1(float x) {
    return exp16(all(x))[0];
}

template <int A, int B>
inline void dot_block(float* out,
                      int64_t out_stride,
                      const float* a,
                      int64_t a_stride,
                      const float* b,
                      int64_t b_stride,
                      int64_t dim) {
    V acc[A][B] = {};
    for (int64_t d = 0; d < dim; d += kLanes) {
        V y[B];
#pragma GCC unroll 8
        for (int j = 0; j < B; j++) {
            y[j] = load(b + j * b_stride + d);
        }
#pragma GCC unroll 8
        for (int i = 0; i < A; i++) {
            const V x = load(a + i * a_stride + d);
#pragma GCC unroll 8
            for (int j = 0; j < B; j++) {
                acc[i][j] += x * y[j];
            }
        }
    }
    for (int i = 0; i < A; i++) {
        for (int j = 0; j < B; j++) {
            out[i * out_stride + j] = lane_sum(acc[i][j]);
        }
    }
}

template <int A>
inline void dot_rows(float* out,
                     int64_t out_stride,
                     const float* a,
                     int64_t a_stride,
                     const float* b,
                     int64_t b_stride,
                     int64_t n_b,
                     int64_t dim) {
    int64_t j = 0;
    for (; j + KERNELS_ROWS_B <= n_b; j += KERNELS_ROWS_B) {
        dot_block<A, KERNELS_ROWS_B>(out + j, out_stride, a, a_stride, b + j * b_stride, b_stride,
                                     dim);
    }
    for (; j < n_b; j++) {
        dot_block<A, 1>(out + j, out_stride, a, a_stride, b + j * b_stride, b_stride, dim);
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
    int64_t i = 0;
    for (; i + KERNELS_ROWS_A <= n_a; i += KERNELS_ROWS_A) {
        dot_rows<KERNELS_ROWS_A>(out + i * out_stride, out_stride, a + i * a_stride, a_stride, b,
                                 b_stride, n_b, dim);
    }
    for (; i < n_a; i++) {
        dot_rows<1>(out + i * out_stride, out_stride, a + i * a_stride, a_stride, b, b_stride, n_b,
                    dim);
    }
}

template <int A, int C>
inline void mix_block(float* acc,
                      int64_t acc_stride,
                      const float* p,
                      int64_t p_stride,
                      const float* v,
                      int64_t v_stride,
                      int64_t n_v) {
    V sum[A][C];
#pragma GCC unroll 8
    for (int i = 0; i < A; i++) {
#pragma GCC unroll 8
        for (int c = 0; c < C; c++) {
            sum[i][c] = load(acc + i * acc_stride + c * kLanes);
        }
    }
    for (int64_t j = 0; j < n_v; j++) {
        V x[C];
#pragma GCC unroll 8
        for (int c = 0; c < C; c++) {
            x[c] = load(v + j * v_stride + c * kLanes);
        }
#pragma GCC unroll 8
        for (int i = 0; i < A; i++) {
            const V w = all(p[i * p_stride + j]);
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
            store(acc + i * acc_stride + c * kLanes, sum[i][c]);
        }
    }
}

template <int A>
inline void mix_rows(float* acc,
                     int64_t acc_stride,
                     const float* p,
                     int64_t p_stride,
                     const float* v,
                     int64_t v_stride,
                     int64_t n_v,
                     int64_t cols) {
    constexpr int kC = KERNELS_ROWS_B;
    int64_t c = 0;
    for (; c + kC * kLanes <= cols; c += kC * kLanes) {
        mix_block<A, kC>(acc + c, acc_stride, p, p_stride, v + c, v_stride, n_v);
    }
    for (; c < cols; c += kLanes) {
        mix_block<A, 1>(acc + c, acc_stride, p, p_stride, v + c, v_stride, n_v);
    }
}

void mix(float* acc,
         int64_t acc_stride,
         const float* p,
         int64_t p_stride,
         int64_t n_rows,
         const float* v,
         int64_t v_stride,
         int64_t n_v,
         int64_t cols) {
    int64_t i = 0;
    for (; i + KERNELS_ROWS_A <= n_rows; i += KERNELS_ROWS_A) {
        mix_rows<KERNELS_ROWS_A>(acc + i * acc_stride, acc_stride, p + i * p_stride, p_stride, v,
                                 v_stride, n_v, cols);
    }
    for (; i < n_rows; i++) {
        mix_rows<1>(acc + i * acc_stride, acc_stride, p + i * p_stride, p_stride, v, v_stride, n_v,
                    cols);
    }
}

float softmax_step(float* s, int64_t n, float scale, float* max, float* sum) {
    const int64_t end = padded(n);
    for (int64_t j = n; j < end; j++) {
        s[j] = -__builtin_inff();
    }
    V largest = all(*max);
    for (int64_t j = 0; j < end; j += kLanes) {
        // scale > 0 keeps the padding at -inf
        const V x = load(s + j) * scale;
        store(s + j, x);
        largest = x > largest ? x : largest;
    }
    const float m = lane_max(largest);
    V total{};
    for (int64_t j = 0; j < end; j += kLanes) {
        const V e = exp16(load(s + j) - m);
        store(s + j, e);
        total += e;
    }
    const float factor = exp1(*max - m);
    *sum = *sum * factor + lane_sum(total);
    *max = m;
    return factor;
}

// dst[i] = f(i, x...) for whole vectors, then for the rest of the row through a copy: the same
// arithmetic for each.
template <typename Function>
inline void each(float* dst, int64_t n, const Function& f) {
    int64_t i = 0;
    for (; i + kLanes <= n; i += kLanes) {
        store(dst + i, f([i](const float* p) { return load(p + i); }));
    }
    if (i < n) {
        store_part(dst + i, f([i, n](const float* p) { return load_part(p + i, n - i); }), n - i);
    }
}

void merge(float* acc,
           float* max,
           float* sum,
           const float* part,
           float part_max,
           float part_sum,
           int64_t n) {
    const float m = part_max > *max ? part_max : *max;
    const float a = exp1(*max - m), b = exp1(part_max - m);
    each(acc, n, [=](auto at) { return at(acc) * a + at(part) * b; });
    *sum = *sum * a + part_sum * b;
    *max = m;
}

void multiply(float* dst, const float* src, float factor, int64_t n) {
    each(dst, n, [=](auto at) { return at(src) * factor; });
}

void multiply_add(float* dst, const float* src, float factor, int64_t n) {
    each(dst, n, [=](auto at) { return at(dst) + at(src) * factor; });
}

void add(float* dst, const float* src, int64_t n) {
    each(dst, n, [=](auto at) { return at(dst) + at(src); });
}

void norm(float* dst, const float* src, const float* weight, float eps, int64_t n) {
    V squares{};
    int64_t i = 0;
    for (; i + kLanes <= n; i += kLanes) {
        const V x = load(src + i);
        squares += x * x;
    }
    if (i < n) {
        const V x = load_part(src + i, n - i);
        squares += x * x;
    }
    const float factor = 1.0F / __builtin_sqrtf(lane_sum(squares) / static_cast<float>(n) + eps);
    each(dst, n, [=](auto at) { return at(src) * factor * at(weight); });
}

void swiglu(float* gate, const float* up, int64_t n) {
    each(gate, n, [=](auto at) {
        const V x = at(gate);
        return x / (1.0F + exp16(-x)) * at(up);
    });
}

#ifdef KERNELS_F16C
void widen_f16(float* dst, const void* src, int64_t n) {
    const auto* half = static_cast<const uint16_t*>(src);
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
        _mm256_storeu_ps(
            dst + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(half + i))));
    }
    for (; i < n; i++) {
        dst[i] = _cvtsh_ss(half[i]);
    }
}

// A block is 34 bytes: an F16 scale, then 32 signed bytes.
void widen_q8_0(float* dst, const void* src, int64_t n) {
    const auto* block = static_cast<const unsigned char*>(src);
    for (int64_t i = 0; i < n; i += 32, block += 34) {
        uint16_t half;
        std::memcpy(&half, block, sizeof half);
        const __m256 scale = _mm256_set1_ps(_cvtsh_ss(half));
        for (int64_t j = 0; j < 32; j += 8) {
            const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(block + 2 + j));
            _mm256_storeu_ps(dst + i + j,
                             _mm256_mul_ps(scale, _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes))));
        }
    }
}
#endif

}  // namespace

const RowKernels KERNELS_ROWS_NAME = {
    dot,       mix,        softmax_step, merge, multiply, multiply_add, add, norm, swiglu,
#ifdef KERNELS_F16C
    widen_f16, widen_q8_0,
#else
    nullptr, nullptr,
#endif
};

}  // namespace kernels::cpu
