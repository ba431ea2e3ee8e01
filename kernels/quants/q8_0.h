// Q8_0: 32 weights in 34 bytes, w = d q, q int8.
//
//   byte 0   d       half
//        2   qs[32]  one int8 per weight
//
// Source: ggml, src/ggml-common.h block_q8_0; src/ggml-quants.c dequantize_row_q8_0.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "kernels/float16.h"
#include "kernels/quants/integer_block.h"

namespace kernels {

struct BlockQ8_0 {
    static constexpr int kElements = 32;
    static constexpr bool kSubScales = false;
    static constexpr bool kMinimum = false;
    uint16_t d;
    int8_t qs[32];
};
static_assert(sizeof(BlockQ8_0) == 34);

inline void unpack(const BlockQ8_0& block, IntegerBlock<32>& w) {
    w.scale[0] = f16_to_f32(block.d);
    std::memcpy(w.q, block.qs, 32);
}

// The scale maps the largest magnitude to 127 and is rounded to half before the codes are chosen,
// so that they are the nearest ones for the scale that is kept. Values beyond 127 * 65504 saturate;
// a block with an infinity or a NaN becomes NaN as a whole.
inline void quantize(const float* src, BlockQ8_0& block) {
    float largest = 0;
    bool finite = true;
    for (int i = 0; i < 32; i++) {
        largest = std::max(largest, std::abs(src[i]));
        finite = finite && std::isfinite(src[i]);
    }
    block.d = finite ? f32_to_f16(std::min(largest / 127.0F, 65504.0F)) : 0x7E00U;
    const float d = f16_to_f32(block.d);
    for (int i = 0; i < 32; i++) {
        const float code = d > 0 ? std::clamp(src[i] / d, -127.0F, 127.0F) : 0.0F;
        block.qs[i] = static_cast<int8_t>(std::nearbyintf(code));
    }
}

}  // namespace kernels
