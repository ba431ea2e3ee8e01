// Q5_0: 32 weights in 22 bytes, w = d (q - 16), q 5 bit.
//
//   byte 0   d       half
//        2   qh[4]   little-endian word: bit i is the fifth bit of weight i
//        6   qs[16]  byte i: low nibble weight i, high nibble weight 16 + i
//
// Source: ggml, src/ggml-common.h block_q5_0; src/ggml-quants.c dequantize_row_q5_0.
#pragma once

#include <cstdint>

#include "kernels/float16.h"
#include "kernels/quants/integer_block.h"

namespace kernels {

struct BlockQ5_0 {
    static constexpr int kElements = 32;
    static constexpr bool kSubScales = false;
    static constexpr bool kMinimum = false;
    uint16_t d;
    uint8_t qh[4];
    uint8_t qs[16];
};
static_assert(sizeof(BlockQ5_0) == 22);

inline void unpack(const BlockQ5_0& block, IntegerBlock<32>& w) {
    w.scale[0] = f16_to_f32(block.d);
    for (int i = 0; i < 32; i++) {
        const int low = block.qs[i % 16] >> (i / 16 * 4) & 15;
        const int high = block.qh[i / 8] >> (i % 8) & 1;
        w.q[i] = static_cast<int8_t>((low | high << 4) - 16);
    }
}

}  // namespace kernels
