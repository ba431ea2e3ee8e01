// The variants behind matmul.h: one table of functions for each instruction set. Private to matmul
// and its tests, which run every variant that the machine has.
//
// The order of operations, the same in every variant but for fused multiply-add. Quantised types:
//
//   block b of 32 weights: an exact integer I = sum q[i] x[i], or with factors per 16 weights
//                          sub[0] sum q[i] x[i] + sub[1] sum q[16 + i] x[16 + i]
//   lane[b % 8] += float(I) * (scale[b] * x.scale[b])
//   lane[b % 8] += minimum[b] * x.weighted_sum[b]           with a minimum
//   lane[b % 8] += float(M) * (minimum[b] * x.scale[b])     with a minimum and factors per 16:
//                          M = sub_minimum[0] x.sum[0] + sub_minimum[1] x.sum[1]
//   result = ((l0 + l4) + (l2 + l6)) + ((l1 + l5) + (l3 + l7))
//
// b ascends; blocks past the end of the row do nothing. As I is exact, a variant may sum within a
// block as it likes: along the row for few activation rows, down several weight rows at once for
// many.
//
// Float types: lane[k % W] += w[k] * x[k], k ascending, W = 8 or 16 of the variant; zeros pad the
// end. The lanes are added in halves: l[i] + l[i + W/2] first.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/dtype.h"

// This header is included by files compiled for wider instruction sets than the rest of the
// program. Such files must not give out inline functions: the linker may keep their copy for
// everyone. So here and there: plain structs, and functions inside anonymous namespaces only.

namespace kernels::cpu {

// A q8_32 activation row of P = cols rounded up to 256, zeros at the end:
//
//   int8   q[P]                 codes, -127 .. 127
//   float  scale[P / 32]        value = scale * code; NaN where a value is not finite
//   float  weighted_sum[P / 32] scale * sum of the 32 codes
//   int16  sum[P / 16]          sum of 16 codes
struct PackedRow {
    const int8_t* q;
    const float* scale;
    const float* weighted_sum;
    const int16_t* sum;
};

struct MatmulJob {
    float* out;
    int64_t out_stride;
    const std::byte* weight;  // row 0
    int64_t weight_stride_bytes;
    int64_t cols;
    int64_t m_begin;
    int64_t m_end;
    const std::byte* const* x;
    int64_t n_rows;
};

using MatmulFunction = void (*)(const MatmulJob& job);

struct MatmulVariant {
    const char* name;
    bool (*supported)();
    void (*pack_q8_32)(const float* src, int64_t cols, std::byte* dst);
    MatmulFunction (*product)(DType weight);  // null for i32
};

extern const MatmulVariant kMatmulPortable;
// In builds for x86-64 only.
extern const MatmulVariant kMatmulAvx2, kMatmulAvxVnni, kMatmulAvx512, kMatmulAmx;

// The variants of this build that the machine can run, best first; ends with null.
const MatmulVariant* const* matmul_variants();

void matmul_rows_with(const MatmulVariant& variant, const MatmulJob& job, DType weight);

namespace {

[[maybe_unused]] PackedRow packed_row(const std::byte* row, int64_t cols) {
    const int64_t padded = (cols + 255) / 256 * 256;
    const std::byte* scale = row + padded;
    const std::byte* weighted_sum = scale + padded / 8;
    const std::byte* sum = weighted_sum + padded / 8;
    return {reinterpret_cast<const int8_t*>(row), reinterpret_cast<const float*>(scale),
            reinterpret_cast<const float*>(weighted_sum), reinterpret_cast<const int16_t*>(sum)};
}

}  // namespace

}  // namespace kernels::cpu
