// Rows of the K cache as floats and back, in host memory: the reference for every backend. Any
// thread.
#pragma once

#include <cstddef>

#include "kernels/k_type.h"

namespace kernels {

// row [L + R] -> to, k_row_bytes() of it. Where one of the numbers that share a scale is not
// finite, they all come back as NaN. Scales of q8_0 and q8_latent rows are never negative.
void pack_k_row(const KType& type, const float* row, int64_t latent, int64_t rotary, std::byte* to);
void unpack_k_row(
    const KType& type, const std::byte* from, int64_t latent, int64_t rotary, float* row);

}  // namespace kernels
