// The body of row_kernels.h, included once per instruction set by row_kernels_<name>.cpp, which
// defines KERNELS_REGISTER_BYTES, KERNELS_DOT_A and _B and KERNELS_MIX_A and _C (the registers of
// sums that `dot` and `mix` keep), and KERNELS_F16C where it has the instructions. No function here
// may have external linkage: a shared copy compiled for AVX-512 could be the one that an older
// processor gets. These files are compiled with contraction on: acc + a * b is one fused operation
// where there is one.
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/cpu/register_blocks.h"
#include "kernels/cpu/row_kernels.h"

namespace kernels::cpu {
namespace {

constexpr int kRegisterLanes = KERNELS_REGISTER_BYTES / 4, kRegisters = 16 / kRegisterLanes;

using R = float __attribute__((vector_size(KERNELS_REGISTER_BYTES)));
using RU = uint32_t __attribute__((vector_size(KERNELS_REGISTER_BYTES)));
using LooseR = float __attribute__((vector_size(KERNELS_REGISTER_BYTES), aligned(4), may_alias));
using V8 = float __attribute__((vector_size(32)));
using V4 = float __attribute__((vector_size(16)));

// 16 lanes, in registers of the processor's own width: gcc 12 keeps vectors wider than that in
// memory, and compares them lane by lane.
struct V {
    R r[kRegisters];
};

template <typename Function>
inline V each_register(const Function& f) {
    V v;
#pragma GCC unroll 4
    for (int i = 0; i < kRegisters; i++) {
        v.r[i] = f(i);
    }
    return v;
}

inline V load(const float* p) {
    return each_register(
        [p](int i) { return R(*reinterpret_cast<const LooseR*>(p + i * kRegisterLanes)); });
}
inline void store(float* p, V v) {
#pragma GCC unroll 4
    for (int i = 0; i < kRegisters; i++) {
        *reinterpret_cast<LooseR*>(p + i * kRegisterLanes) = v.r[i];
    }
}
inline V all(float x) {
    return each_register([x](int) { return x - R{}; });  // adding zero would make -0 to 0
}

inline V operator+(V a, V b) {
    return each_register([&](int i) { return a.r[i] + b.r[i]; });
}
inline V operator-(V a, V b) {
    return each_register([&](int i) { return a.r[i] - b.r[i]; });
}
inline V operator*(V a, V b) {
    return each_register([&](int i) { return a.r[i] * b.r[i]; });
}
inline V operator/(V a, V b) {
    return each_register([&](int i) { return a.r[i] / b.r[i]; });
}
inline V operator-(V a) {
    return each_register([&](int i) { return -a.r[i]; });
}
inline V operator-(V a, float b) {
    return a - all(b);
}
inline V operator+(float a, V b) {
    return all(a) + b;
}
inline V operator*(V a, float b) {
    return a * all(b);
}
inline V operator*(float a, V b) {
    return all(a) * b;
}
inline V& operator+=(V& a, V b) {
    return a = a + b;
}
// a where it is larger, else b.
inline V larger(V a, V b) {
    return each_register([&](int i) { return a.r[i] > b.r[i] ? a.r[i] : b.r[i]; });
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

// Lanes taken together until four are left: i and i + 8, then i and i + 4.
template <typename Function>
inline V4 four_lanes(V v, const Function& f) {
    const R(&r)[kRegisters] = v.r;
#if KERNELS_REGISTER_BYTES == 16
    return f(f(r[0], r[2]), f(r[1], r[3]));
#else
#    if KERNELS_REGISTER_BYTES == 64
    const V8 a = f(__builtin_shufflevector(r[0], r[0], 0, 1, 2, 3, 4, 5, 6, 7),
                   __builtin_shufflevector(r[0], r[0], 8, 9, 10, 11, 12, 13, 14, 15));
#    else
    const V8 a = f(r[0], r[1]);
#    endif
    return f(__builtin_shufflevector(a, a, 0, 1, 2, 3), __builtin_shufflevector(a, a, 4, 5, 6, 7));
#endif
}

inline float lane_sum(V v) {
    const V4 four = four_lanes(v, [](auto a, auto b) { return a + b; });
    return (four[0] + four[2]) + (four[1] + four[3]);
}

inline float lane_max(V v) {
    const auto larger_of = [](auto a, auto b) { return a > b ? a : b; };
    const V4 four = four_lanes(v, larger_of);
    return larger_of(larger_of(four[0], four[2]), larger_of(four[1], four[3]));
}

// e^x to about 1 ulp (polynomial of Cephes' expf); 0 below -87, the largest power above 88; NaN
// stays NaN.
inline R exp_register(R x) {
    const R lowest = -87.0F - R{}, highest = 88.0F - R{};
    const R clamped = x < lowest ? lowest : (x > highest ? highest : x);
    const R magic =
        12582912.0F - R{};  // 1.5 * 2^23: adding it rounds to an integer, kept in the low bits
    const R shifted = clamped * 1.44269504F + magic;
    const R n = shifted - magic;
    R r = clamped - n * 0.693359375F;
    r = r - n * -2.12194440e-4F;
    R p = r * 1.9875691500e-4F + 1.3981999507e-3F;
    p = p * r + 8.3334519073e-3F;
    p = p * r + 4.1665795894e-2F;
    p = p * r + 1.6666665459e-1F;
    p = p * r + 5.0000001201e-1F;
    p = p * (r * r) + r + 1.0F;
    const RU power = (reinterpret_cast<RU>(shifted) - reinterpret_cast<RU>(magic) + 127U) << 23;
    const R result = p * reinterpret_cast<R>(power);
    return x < lowest ? R{} : result;
}

inline V exp16(V x) {
    return each_register([&](int i) { return exp_register(x.r[i]); });
}

inline float exp1(float x) {
    return exp_register(x - R{})[0];
}

#include "kernels/cpu/row_products.inl"

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
        largest = larger(x, largest);
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
    dot,
    mix,
    softmax_step,
    merge,
    multiply,
    multiply_add,
    add,
    norm,
    swiglu,
#ifdef KERNELS_F16C
    widen_f16,
    widen_q8_0,
#    if KERNELS_REGISTER_BYTES == 32
    score_as_they_lie<F16Rows>,
    score_as_they_lie<Bf16Rows>,
    nullptr,  // attention_codes_avx2.cpp
    nullptr,
    mix_as_they_lie<F16Rows>,
    mix_as_they_lie<Bf16Rows>,
#    else
    score<F16Rows>,
    score<Bf16Rows>,
    score<Q8Rows>,
    score<LatentRows>,
    nullptr,
    nullptr,
#    endif
#else
    nullptr, nullptr, nullptr,      nullptr, nullptr,  nullptr,      nullptr, nullptr,
#endif
};

}  // namespace kernels::cpu
