// Products of F32 activations with packed weights, with variants for AVX2, AVX-VNNI, AVX-512 and
// AMX chosen at run time and a portable one. Batch-invariant: an output element is computed in the
// same order of operations whatever the number of rows, the split of M and the thread count are.
// (Variants differ from each other in rounding.) Nothing here allocates or starts threads; callers
// split the work over the pool.
//
// F32, F16 and BF16 weights multiply with the activations as they are. All other types multiply
// with activations rounded to 8 bits, one scale per 32: an error of at most half of 1/127 of the
// largest activation among the 32.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "kernels/tensor.h"

namespace kernels::cpu {

// Which variant the products use on this machine: "AMX int8", "AVX-512 VNNI", "AVX-VNNI", "AVX2" or
// "portable".
std::string_view simd_name();

// What a weight type multiplies with. Activations are packed once per row and shared by all
// products that read them.
enum class ActivationFormat : uint8_t {
    f32,   // as they are: F32, F16 and BF16 weights
    q8_32  // int8 with an F32 scale per 32 values, and their sums
};
inline constexpr int kActivationFormats = 2;
ActivationFormat activation_format(DType weight);

// A multiple of 64. Any cols >= 0; q8_32 rounds up to its own padding.
int64_t activation_row_bytes(ActivationFormat format, int64_t cols);
// Packs one row of `cols` floats into activation_row_bytes() bytes at dst, 64-byte aligned. q8_32
// needs a multiple of 32. Where one of 32 values is not finite, products with those 32 give NaN.
void pack_activation(ActivationFormat format, const float* src, int64_t cols, std::byte* dst);

// out[t * out_stride + m - m_begin] = weight row m . activation row t,
// m in [m_begin, m_end), t in [0, n_rows).
//   weight  [M, cols], any dtype but i32; rows may be strided
//   x[t]    activation rows packed for activation_format(weight.dtype): pointers, so callers may
//   gather
void matmul_rows(float* out,
                 int64_t out_stride,
                 const TensorView& weight,
                 int64_t m_begin,
                 int64_t m_end,
                 const std::byte* const* x,
                 int64_t n_rows);

}  // namespace kernels::cpu
