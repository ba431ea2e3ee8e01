// MXFP4: 32 weights in 17 bytes, w = 2^(e - 127) F[q], F the 16 values of FP4 (E2M1).
//
//   byte 0   e       biased power of two (E8M0)
//        1   qs[16]  byte i: low nibble weight i, high nibble weight 16 + i
//
// The table holds 2 F, so the scale is half of 2^(e - 127). For e = 255, which the MX standard
// calls NaN, this goes on with powers of two as ggml does.
//
// Source: OCP Microscaling Formats (MX) 1.0; ggml, src/ggml-common.h block_mxfp4, kvalues_mxfp4,
// src/ggml-impl.h ggml_e8m0_to_fp32_half, src/ggml-quants.c dequantize_row_mxfp4.
#pragma once

#include <bit>
#include <cstdint>

#include "kernels/quants/integer_block.h"

namespace kernels {

inline constexpr int8_t kFp4Values[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

struct BlockMXFP4 {
    static constexpr int kElements = 32;
    static constexpr bool kSubScales = false;
    static constexpr bool kMinimum = false;
    uint8_t e;
    uint8_t qs[16];
};
static_assert(sizeof(BlockMXFP4) == 17);

// 2^(e - 128); the first two are denormal.
constexpr float e8m0_half(uint8_t e) {
    return std::bit_cast<float>(e < 2 ? 0x00200000U << e : static_cast<uint32_t>(e - 1) << 23);
}

inline void unpack(const BlockMXFP4& block, IntegerBlock<32>& w) {
    w.scale[0] = e8m0_half(block.e);
    for (int i = 0; i < 16; i++) {
        w.q[i] = kFp4Values[block.qs[i] & 15];
        w.q[16 + i] = kFp4Values[block.qs[i] >> 4];
    }
}

}  // namespace kernels
