// Q2_K: 256 weights in 84 bytes, w = d s q - dmin m, q 2 bit; s and m 4 bit, a pair per 16.
//
//   byte 0    scales[16]  low nibble s, high nibble m
//       16    qs[64]      32 bytes per half of 128 weights: bits 2k, 2k+1 of byte i belong to
//                         weight 32 k + i
//       80    d, dmin     halves
//
// Source: ggml, src/ggml-common.h block_q2_K; src/ggml-quants.c dequantize_row_q2_K.
#pragma once

#include <cstdint>

#include "kernels/float16.h"
#include "kernels/quants/integer_block.h"

namespace kernels {

struct BlockQ2_K {
    static constexpr int kElements = 256;
    static constexpr bool kSubScales = true;
    static constexpr bool kMinimum = true;
    uint8_t scales[16];
    uint8_t qs[64];
    uint16_t d;
    uint16_t dmin;
};
static_assert(sizeof(BlockQ2_K) == 84);

inline void unpack(const BlockQ2_K& block, IntegerBlock<256>& w) {
    for (int s = 0; s < 16; s++) {
        w.sub_scale[s] = static_cast<int8_t>(block.scales[s] & 15);
        w.sub_minimum[s] = static_cast<int8_t>(block.scales[s] >> 4);
    }
    for (int j = 0; j < 8; j++) {
        w.scale[j] = f16_to_f32(block.d);
        w.minimum[j] = -f16_to_f32(block.dmin);
        for (int i = 0; i < 32; i++) {
            w.q[32 * j + i] = static_cast<int8_t>(block.qs[j / 4 * 32 + i] >> (j % 4 * 2) & 3);
        }
    }
}

}  // namespace kernels
