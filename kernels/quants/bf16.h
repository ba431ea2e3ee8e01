// BF16: the upper half of a float.
#pragma once

#include <cstdint>

#include "kernels/float16.h"

namespace kernels {

struct BlockBF16 {
    static constexpr int kElements = 1;
    uint16_t bits;
};
static_assert(sizeof(BlockBF16) == 2);

inline void dequantize(const BlockBF16& block, float* dst) {
    *dst = bf16_to_f32(block.bits);
}

inline void quantize(const float* src, BlockBF16& block) {
    block.bits = f32_to_bf16(*src);
}

}  // namespace kernels
