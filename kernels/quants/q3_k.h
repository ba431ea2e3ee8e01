// Q3_K: 256 weights in 110 bytes, w = d (s - 32) (q - 4), q 3 bit, one 6-bit s per 16 weights.
//
//   byte 0    hmask[32]   bit j of byte i: third bit of weight 32 j + i
//       32    qs[64]      low two bits, 32 bytes per half of 128 weights: bits 2k, 2k+1 of byte i
//                         belong to weight 32 k + i
//       96    scales[12]  bytes 0..7: low nibble low bits of s[j], high nibble those of s[8 + j];
//                         byte 8 + i: bits 2k, 2k+1 are the upper bits of s[4 k + i]
//      108    d           half
//
// Source: ggml, src/ggml-common.h block_q3_K; src/ggml-quants.c dequantize_row_q3_K.
#pragma once

#include <cstdint>

#include "kernels/float16.h"
#include "kernels/quants/integer_block.h"

namespace kernels {

struct BlockQ3_K {
    static constexpr int kElements = 256;
    static constexpr bool kSubScales = true;
    static constexpr bool kMinimum = false;
    uint8_t hmask[32];
    uint8_t qs[64];
    uint8_t scales[12];
    uint16_t d;
};
static_assert(sizeof(BlockQ3_K) == 110);

inline void unpack(const BlockQ3_K& block, IntegerBlock<256>& w) {
    for (int s = 0; s < 16; s++) {
        const int low = block.scales[s % 8] >> (s / 8 * 4) & 15;
        const int high = block.scales[8 + s % 4] >> (s / 4 * 2) & 3;
        w.sub_scale[s] = static_cast<int8_t>((low | high << 4) - 32);
    }
    for (int j = 0; j < 8; j++) {
        w.scale[j] = f16_to_f32(block.d);
        for (int i = 0; i < 32; i++) {
            const int low = block.qs[j / 4 * 32 + i] >> (j % 4 * 2) & 3;
            w.q[32 * j + i] = static_cast<int8_t>((low | (block.hmask[i] >> j & 1) << 2) - 4);
        }
    }
}

}  // namespace kernels
