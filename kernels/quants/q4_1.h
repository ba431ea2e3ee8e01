// Q4_1: 32 weights in 20 bytes, w = d q + m, q 4 bit.
//
//   byte 0   d, m    halves
//        4   qs[16]  byte i: low nibble weight i, high nibble weight 16 + i
//
// Source: ggml, src/ggml-common.h block_q4_1; src/ggml-quants.c dequantize_row_q4_1.
#pragma once

#include <cstdint>

#include "kernels/float16.h"
#include "kernels/quants/integer_block.h"

namespace kernels {

struct BlockQ4_1 {
    static constexpr int kElements = 32;
    static constexpr bool kSubScales = false;
    static constexpr bool kMinimum = true;
    uint16_t d;
    uint16_t m;
    uint8_t qs[16];
};
static_assert(sizeof(BlockQ4_1) == 20);

inline void unpack(const BlockQ4_1& block, IntegerBlock<32>& w) {
    w.scale[0] = f16_to_f32(block.d);
    w.minimum[0] = f16_to_f32(block.m);
    for (int i = 0; i < 16; i++) {
        w.q[i] = static_cast<int8_t>(block.qs[i] & 15);
        w.q[16 + i] = static_cast<int8_t>(block.qs[i] >> 4);
    }
}

}  // namespace kernels
