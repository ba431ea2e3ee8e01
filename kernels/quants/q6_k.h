// Q6_K: 256 weights in 210 bytes, w = d s (q - 32), q 6 bit, one int8 s per 16 weights.
//
//   byte 0     ql[128]     low nibbles, 64 bytes per half of 128 weights: in a half, byte i holds
//                          weights i (low nibble) and 64 + i (high nibble)
//        128   qh[64]      upper two bits, 32 bytes per half: bits 2k, 2k+1 of byte i belong to
//                          weight 32 k + i
//        192   scales[16]
//        208   d           half
//
// Source: ggml, src/ggml-common.h block_q6_K; src/ggml-quants.c dequantize_row_q6_K.
#pragma once

#include <cstdint>

#include "kernels/float16.h"
#include "kernels/quants/integer_block.h"

namespace kernels {

struct BlockQ6_K {
    static constexpr int kElements = 256;
    static constexpr bool kSubScales = true;
    static constexpr bool kMinimum = false;
    uint8_t ql[128];
    uint8_t qh[64];
    int8_t scales[16];
    uint16_t d;
};
static_assert(sizeof(BlockQ6_K) == 210);

inline void unpack(const BlockQ6_K& block, IntegerBlock<256>& w) {
    const float d = f16_to_f32(block.d);
    for (int j = 0; j < 8; j++) {
        const int half = j / 4, k = j % 4;
        w.scale[j] = d;
        w.sub_scale[2 * j] = block.scales[2 * j];
        w.sub_scale[2 * j + 1] = block.scales[2 * j + 1];
        for (int i = 0; i < 32; i++) {
            const int low = block.ql[64 * half + k % 2 * 32 + i] >> (k / 2 * 4) & 15;
            const int high = block.qh[32 * half + i] >> (2 * k) & 3;
            w.q[32 * j + i] = static_cast<int8_t>((low | high << 4) - 32);
        }
    }
}

}  // namespace kernels
