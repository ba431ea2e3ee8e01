// F32: plain floats.
#pragma once

namespace kernels {

struct BlockF32 {
    static constexpr int kElements = 1;
    float value;
};
static_assert(sizeof(BlockF32) == 4);

inline void dequantize(const BlockF32& block, float* dst) {
    *dst = block.value;
}

inline void quantize(const float* src, BlockF32& block) {
    block.value = *src;
}

}  // namespace kernels
