// The twelve bytes of scales that Q4_K and Q5_K share: a 6-bit scale and a 6-bit minimum per 32
// weights.
//
//   byte j     (0..3)   low 6 bits: scale j;    upper 2: upper bits of scale 4 + j
//   byte 4 + j          low 6 bits: minimum j;  upper 2: upper bits of minimum 4 + j
//   byte 8 + j          low nibble: low bits of scale 4 + j;  high nibble: low bits of minimum 4 +
//   j
//
// Source: ggml, src/ggml-quants.c get_scale_min_k4.
#pragma once

#include <cstdint>

namespace kernels {

struct ScaleMin {
    int scale;
    int minimum;
};

inline ScaleMin scale_min_6bit(const uint8_t* bytes, int part) {
    if (part < 4) {
        return {bytes[part] & 63, bytes[4 + part] & 63};
    }
    return {(bytes[4 + part] & 15) | bytes[part - 4] >> 6 << 4,
            bytes[4 + part] >> 4 | bytes[part] >> 6 << 4};
}

}  // namespace kernels
