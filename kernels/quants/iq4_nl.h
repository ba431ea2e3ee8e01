// IQ4_NL: 32 weights in 18 bytes, w = d T[q], T a fixed table of 16 values, q 4 bit.
//
//   byte 0   d       half
//        2   qs[16]  byte i: low nibble weight i, high nibble weight 16 + i
//
// Source: ggml, src/ggml-common.h block_iq4_nl, kvalues_iq4nl; src/ggml-quants.c
// dequantize_row_iq4_nl.
#pragma once

#include <cstdint>

#include "kernels/float16.h"
#include "kernels/quants/integer_block.h"

namespace kernels {

inline constexpr int8_t kIq4Values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                          1,    13,   25,  38,  53,  69,  89,  113};

struct BlockIQ4_NL {
    static constexpr int kElements = 32;
    static constexpr bool kSubScales = false;
    static constexpr bool kMinimum = false;
    uint16_t d;
    uint8_t qs[16];
};
static_assert(sizeof(BlockIQ4_NL) == 18);

inline void unpack(const BlockIQ4_NL& block, IntegerBlock<32>& w) {
    w.scale[0] = f16_to_f32(block.d);
    for (int i = 0; i < 16; i++) {
        w.q[i] = kIq4Values[block.qs[i] & 15];
        w.q[16 + i] = kIq4Values[block.qs[i] >> 4];
    }
}

}  // namespace kernels
