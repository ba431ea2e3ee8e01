// Rounding of an activation row to the q8_32 format of matmul_variants.h: the definition, which the
// x86 variants follow with vectors and fall back to for parts with extreme values. In an anonymous
// namespace because they include it (see matmul_variants.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/cpu/matmul_variants.h"

namespace kernels::cpu {
namespace {

// One part of 32. Codes are the nearest integers to value * (127 / largest magnitude).
inline void pack_part(
    const float* src, int8_t* q, float& scale, float& weighted_sum, int16_t* sum) {
    uint32_t bits[32];
    std::memcpy(bits, src, sizeof(bits));
    uint32_t largest_bits = 0;  // of magnitudes, which order like their bits; NaN above infinity
    for (uint32_t value : bits) {
        const uint32_t magnitude = value & 0x7FFFFFFFU;
        largest_bits = magnitude > largest_bits ? magnitude : largest_bits;
    }
    float largest;
    std::memcpy(&largest, &largest_bits, 4);
    int32_t codes[32];
    if (largest_bits >= 0x7F800000U || largest == 0.0F) {
        std::memset(codes, 0, sizeof(codes));
        scale = largest == 0.0F ? 0.0F : __builtin_nanf("");
    } else if (largest < 0x1p-100F) {
        // 127 / largest may overflow here, so this rare case takes doubles.
        const double inverse = 127.0 / static_cast<double>(largest);
        for (int i = 0; i < 32; i++) {
            codes[i] =
                static_cast<int32_t>(__builtin_nearbyint(static_cast<double>(src[i]) * inverse));
        }
        scale = largest / 127.0F;
    } else {
        // Adding 1.5 * 2^23 leaves the nearest integer, ties to even, in the low bits.
        const float inverse = 127.0F / largest;
        float shifted[32];
        for (int i = 0; i < 32; i++) {
            shifted[i] = src[i] * inverse + 12582912.0F;
        }
        std::memcpy(codes, shifted, sizeof(codes));
        for (int32_t& code : codes) {
            code -= 0x4B400000;
        }
        scale = largest / 127.0F;
    }
    int32_t low = 0, high = 0;
    for (int i = 0; i < 16; i++) {
        q[i] = static_cast<int8_t>(codes[i]);
        q[16 + i] = static_cast<int8_t>(codes[16 + i]);
        low += codes[i];
        high += codes[16 + i];
    }
    sum[0] = static_cast<int16_t>(low);
    sum[1] = static_cast<int16_t>(high);
    weighted_sum = scale * static_cast<float>(low + high);
}

// Zeros from part `parts` of the row to its end.
inline void pad_row(const PackedRow& row, int64_t parts) {
    const auto rest = static_cast<size_t>((parts + 7) / 8 * 8 - parts);
    std::memset(const_cast<int8_t*>(row.q) + 32 * parts, 0, 32 * rest);
    std::memset(const_cast<float*>(row.scale) + parts, 0, 4 * rest);
    std::memset(const_cast<float*>(row.weighted_sum) + parts, 0, 4 * rest);
    std::memset(const_cast<int16_t*>(row.sum) + 2 * parts, 0, 4 * rest);
}

[[maybe_unused]] void pack_q8_32(const float* src, int64_t cols, std::byte* dst) {
    const PackedRow row = packed_row(dst, cols);
    const int64_t parts = cols / 32;
    for (int64_t p = 0; p < parts; p++) {
        pack_part(src + 32 * p, const_cast<int8_t*>(row.q) + 32 * p,
                  const_cast<float*>(row.scale)[p], const_cast<float*>(row.weighted_sum)[p],
                  const_cast<int16_t*>(row.sum) + 2 * p);
    }
    pad_row(row, parts);
}

}  // namespace
}  // namespace kernels::cpu
