// IQ4_XS: 256 weights in 136 bytes, w = d (s - 32) T[q], T of IQ4_NL, one 6-bit s per 32 weights.
//
//   byte 0   d            half
//        2   scales_h     16 bits: bits 2j, 2j+1 are the upper two bits of s[j]
//        4   scales_l[4]  nibble j (low nibble first): lower four bits of s[j]
//        8   qs[128]      16 bytes per 32 weights; byte i: low nibble weight i, high nibble 16 + i
//
// Source: ggml, src/ggml-common.h block_iq4_xs; src/ggml-quants.c dequantize_row_iq4_xs.
#pragma once

#include <cstdint>

#include "kernels/float16.h"
#include "kernels/quants/integer_block.h"
#include "kernels/quants/iq4_nl.h"

namespace kernels {

struct BlockIQ4_XS {
    static constexpr int kElements = 256;
    static constexpr bool kSubScales = false;
    static constexpr bool kMinimum = false;
    uint16_t d;
    uint16_t scales_h;
    uint8_t scales_l[4];
    uint8_t qs[128];
};
static_assert(sizeof(BlockIQ4_XS) == 136);

inline void unpack(const BlockIQ4_XS& block, IntegerBlock<256>& w) {
    const float d = f16_to_f32(block.d);
    for (int j = 0; j < 8; j++) {
        const int low = block.scales_l[j / 2] >> (j % 2 * 4) & 15;
        const int high = block.scales_h >> (2 * j) & 3;
        w.scale[j] = d * static_cast<float>((low | high << 4) - 32);
        for (int i = 0; i < 16; i++) {
            const uint8_t pair = block.qs[16 * j + i];
            w.q[32 * j + i] = kIq4Values[pair & 15];
            w.q[32 * j + 16 + i] = kIq4Values[pair >> 4];
        }
    }
}

}  // namespace kernels
