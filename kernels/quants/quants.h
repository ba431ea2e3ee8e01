// Rows of packed weights to floats and back, for every type of dtype.h. One header per block format beside this file
// gives its layout and source.
#pragma once

#include <cstdint>

#include "kernels/dtype.h"

namespace kernels {

// dst[0, n) = the n values of a packed row. Exact: equal bit for bit to ggml's dequantisation. n: whole blocks.
// i32 is not a weight type and is refused (ENSURE).
void dequantize_row(DType type, const void* src, float* dst, int64_t n);

// Packs n floats. For the types a K cache or an activation may have: f32, f16, bf16 (round to nearest even), q8_0, q4_0.
// NaN stays NaN in the float types. Other types are refused (ENSURE).
void quantize_row(DType type, const float* src, void* dst, int64_t n);

}  // namespace kernels
