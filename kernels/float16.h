// Half precision (IEEE binary16) and bfloat16, as raw bits, to and from float. Exact, including
// denormals, infinities and NaN (payloads are kept, what remains is never an infinity); to 16 bits
// rounds to nearest, ties to even. No branches on values, so that loops over rows vectorise.
#pragma once

#include <bit>
#include <cstdint>

namespace kernels {

constexpr float f16_to_f32(uint16_t half) {
    const uint32_t sign = (half & 0x8000U) << 16;
    const uint32_t magnitude = half & 0x7FFFU;
    // The exponent bias grows from 15 to 127; infinity and NaN keep an exponent of all ones.
    const uint32_t rebias = magnitude >= 0x7C00U ? (255U - 31U) << 23 : (127U - 15U) << 23;
    const uint32_t normal = (magnitude << 13) + rebias;
    // A denormal m is m * 2^-24: placed below 0.5, whose last bit is 2^-24, the subtraction
    // normalises it.
    const float denormal = std::bit_cast<float>(0x3F000000U | magnitude) - 0.5F;
    const uint32_t bits = magnitude < 0x0400U ? std::bit_cast<uint32_t>(denormal) : normal;
    return std::bit_cast<float>(bits | sign);
}

constexpr uint16_t f32_to_f16(float value) {
    const uint32_t bits = std::bit_cast<uint32_t>(value);
    const uint32_t sign = bits >> 16 & 0x8000U;
    const uint32_t magnitude = bits & 0x7FFFFFFFU;
    // Normal result: half of the last kept bit, and one more where that bit is odd, carry into what
    // is kept.
    const uint32_t normal =
        (magnitude + 0x0FFFU + (magnitude >> 13 & 1U) - ((127U - 15U) << 23)) >> 13;
    // Denormal result: the addition to 0.5 rounds at 2^-24 for us.
    const float small = std::bit_cast<float>(magnitude < 0x38800000U ? magnitude : 0U);
    const uint32_t denormal = std::bit_cast<uint32_t>(small + 0.5F) - 0x3F000000U;
    uint32_t half = magnitude < 0x38800000U ? denormal : normal;
    half = magnitude >= 0x477FF000U ? 0x7C00U : half;  // from 65520 on
    half = magnitude > 0x7F800000U ? 0x7E00U | (magnitude >> 13 & 0x3FFU) : half;
    return static_cast<uint16_t>(half | sign);
}

constexpr float bf16_to_f32(uint16_t upper) {
    return std::bit_cast<float>(static_cast<uint32_t>(upper) << 16);
}

constexpr uint16_t f32_to_bf16(float value) {
    const uint32_t bits = std::bit_cast<uint32_t>(value);
    const uint32_t rounded = (bits + 0x7FFFU + (bits >> 16 & 1U)) >> 16;
    const bool nan = (bits & 0x7FFFFFFFU) > 0x7F800000U;
    return static_cast<uint16_t>(nan ? bits >> 16 | 0x40U : rounded);
}

}  // namespace kernels
