// Q4_0: 32 weights in 18 bytes, w = d (q - 8), q 4 bit.
//
//   byte 0   d       half
//        2   qs[16]  byte i: low nibble weight i, high nibble weight 16 + i
//
// Source: ggml, src/ggml-common.h block_q4_0; src/ggml-quants.c dequantize_row_q4_0.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "kernels/float16.h"
#include "kernels/quants/integer_block.h"

namespace kernels {

struct BlockQ4_0 {
    static constexpr int kElements = 32;
    static constexpr bool kSubScales = false;
    static constexpr bool kMinimum = false;
    uint16_t d;
    uint8_t qs[16];
};
static_assert(sizeof(BlockQ4_0) == 18);

inline void unpack(const BlockQ4_0& block, IntegerBlock<32>& w) {
    w.scale[0] = f16_to_f32(block.d);
    for (int i = 0; i < 16; i++) {
        w.q[i] = static_cast<int8_t>((block.qs[i] & 15) - 8);
        w.q[16 + i] = static_cast<int8_t>((block.qs[i] >> 4) - 8);
    }
}

// The value of largest magnitude gets code 0 (that is -8), so the range reaches 7/8 of it on the
// other side; ggml's choice. Rounding, saturation and values that are not finite as in Q8_0.
inline void quantize(const float* src, BlockQ4_0& block) {
    float extreme = 0;
    bool finite = true;
    for (int i = 0; i < 32; i++) {
        extreme = std::abs(src[i]) > std::abs(extreme) ? src[i] : extreme;
        finite = finite && std::isfinite(src[i]);
    }
    block.d = finite ? f32_to_f16(std::clamp(extreme / -8.0F, -65504.0F, 65504.0F)) : 0x7E00U;
    const float d = f16_to_f32(block.d);
    const auto code = [&](float value) {
        const float steps = finite && d != 0 ? std::clamp(value / d, -8.0F, 7.0F) : 0.0F;
        return static_cast<int>(std::nearbyintf(steps)) + 8;
    };
    for (int i = 0; i < 16; i++) {
        block.qs[i] = static_cast<uint8_t>(code(src[i]) | code(src[16 + i]) << 4);
    }
}

}  // namespace kernels
