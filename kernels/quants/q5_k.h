// Q5_K: 256 weights in 176 bytes, w = d s q - dmin m, q 5 bit; s and m 6 bit, a pair per 32.
//
//   byte 0   d, dmin     halves
//        4   scales[12]  see scale_min_6bit.h
//       16   qh[32]      bit j of byte i: fifth bit of weight 32 j + i
//       48   qs[128]     32 bytes per 64 weights: low nibbles the first 32, high the others
//
// Source: ggml, src/ggml-common.h block_q5_K; src/ggml-quants.c dequantize_row_q5_K.
#pragma once

#include <cstdint>

#include "kernels/float16.h"
#include "kernels/quants/integer_block.h"
#include "kernels/quants/scale_min_6bit.h"

namespace kernels {

struct BlockQ5_K {
    static constexpr int kElements = 256;
    static constexpr bool kSubScales = false;
    static constexpr bool kMinimum = true;
    uint16_t d;
    uint16_t dmin;
    uint8_t scales[12];
    uint8_t qh[32];
    uint8_t qs[128];
};
static_assert(sizeof(BlockQ5_K) == 176);

inline void unpack(const BlockQ5_K& block, IntegerBlock<256>& w) {
    const float d = f16_to_f32(block.d);
    const float dmin = f16_to_f32(block.dmin);
    for (int j = 0; j < 8; j++) {
        const ScaleMin s = scale_min_6bit(block.scales, j);
        w.scale[j] = d * static_cast<float>(s.scale);
        w.minimum[j] = -(dmin * static_cast<float>(s.minimum));
        for (int i = 0; i < 32; i++) {
            const int low = block.qs[j / 2 * 32 + i] >> (j % 2 * 4) & 15;
            w.q[32 * j + i] = static_cast<int8_t>(low | (block.qh[i] >> j & 1) << 4);
        }
    }
}

}  // namespace kernels
