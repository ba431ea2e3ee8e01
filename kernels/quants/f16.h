// F16: IEEE half precision.
#pragma once

#include <cstdint>

#include "kernels/float16.h"

namespace kernels {

struct BlockF16 {
    static constexpr int kElements = 1;
    uint16_t bits;
};
static_assert(sizeof(BlockF16) == 2);

inline void dequantize(const BlockF16& block, float* dst) {
    *dst = f16_to_f32(block.bits);
}

inline void quantize(const float* src, BlockF16& block) {
    block.bits = f32_to_f16(*src);
}

}  // namespace kernels
