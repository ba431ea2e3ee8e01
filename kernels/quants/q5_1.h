// Q5_1: 32 weights in 24 bytes, w = d q + m, q 5 bit.
//
//   byte 0   d, m    halves
//        4   qh[4]   little-endian word: bit i is the fifth bit of weight i
//        8   qs[16]  byte i: low nibble weight i, high nibble weight 16 + i
//
// Source: ggml, src/ggml-common.h block_q5_1; src/ggml-quants.c dequantize_row_q5_1.
#pragma once

#include <cstdint>

#include "kernels/float16.h"
#include "kernels/quants/integer_block.h"

namespace kernels {

struct BlockQ5_1 {
    static constexpr int kElements = 32;
    static constexpr bool kSubScales = false;
    static constexpr bool kMinimum = true;
    uint16_t d;
    uint16_t m;
    uint8_t qh[4];
    uint8_t qs[16];
};
static_assert(sizeof(BlockQ5_1) == 24);

inline void unpack(const BlockQ5_1& block, IntegerBlock<32>& w) {
    w.scale[0] = f16_to_f32(block.d);
    w.minimum[0] = f16_to_f32(block.m);
    for (int i = 0; i < 32; i++) {
        const int low = block.qs[i % 16] >> (i / 16 * 4) & 15;
        const int high = block.qh[i / 8] >> (i % 8) & 1;
        w.q[i] = static_cast<int8_t>(low | high << 4);
    }
}

}  // namespace kernels
