// Packed weights on the device: 32 neighbouring weights of a row as eight words of four signed
// bytes each, with the scales and minimums of their halves. One struct per element type; the block
// structs and their layouts are those of kernels/quants. Row starts are as aligned as the GGUF file
// makes them: two bytes for most types, one for MXFP4.
#pragma once

#include "kernels/quants/blocks.h"
#include "kernels/simt/simt.h"

namespace kernels::cuda {

// w[i] = scale[i / 16] * q[i] + minimum[i / 16]
struct Group {
    uint32_t q[8];
    float scale[2];
    float minimum[2];
};

__device__ __forceinline__ float half_bits(uint16_t bits) {
    return __half2float(__ushort_as_half(bits));
}

// Four bytes from an address aligned to two.
__device__ __forceinline__ uint32_t word(const uint8_t* p) {
    const auto* h = reinterpret_cast<const uint16_t*>(p);
    return h[0] | static_cast<uint32_t>(h[1]) << 16;
}

__device__ __forceinline__ void same_scale(Group& g, float scale) {
    g.scale[0] = g.scale[1] = scale;
}

__host__ __device__ constexpr uint64_t eight_bytes(const int8_t* values) {
    uint64_t packed = 0;
    for (int i = 0; i < 8; i++) {
        packed |= static_cast<uint64_t>(static_cast<uint8_t>(values[i])) << (8 * i);
    }
    return packed;
}

// Four table values by the nibbles of the low (shift 0) or high (shift 4) halves of four bytes.
template <const int8_t (&table)[16]>
__device__ __forceinline__ uint32_t looked_up(uint32_t bytes, int shift) {
    constexpr uint64_t kLow = eight_bytes(table), kHigh = eight_bytes(table + 8);
    uint32_t out = 0;
    SIMT_UNROLL
    for (int i = 0; i < 4; i++) {
        const unsigned n = bytes >> (8 * i + shift) & 15;
        const uint64_t half = n < 8 ? kLow : kHigh;
        out |= static_cast<uint32_t>(half >> (8 * (n & 7)) & 255) << (8 * i);
    }
    return out;
}

// a - b in each signed byte, where no byte overflows.
__device__ __forceinline__ uint32_t minus_in_bytes(uint32_t a, uint32_t b) {
    return ((a | 0x80808080U) - b) ^ 0x80808080U;
}

// Words of 16 bytes whose low nibbles are weights 0..15 and high nibbles 16..31.
__device__ __forceinline__ void split_nibbles(Group& g, const uint8_t* qs) {
    SIMT_UNROLL
    for (int i = 0; i < 4; i++) {
        const uint32_t w = word(qs + 4 * i);
        g.q[i] = w & 0x0F0F0F0FU;
        g.q[4 + i] = w >> 4 & 0x0F0F0F0FU;
    }
}

// Bits 4 i .. 4 i + 3 of `bits`, as bit 4 of four bytes.
__device__ __forceinline__ uint32_t fifth_bits(uint32_t bits, int i) {
    const uint32_t b = bits >> (4 * i);
    return (b & 1) << 4 | (b & 2) << 11 | (b & 4) << 18 | (b & 8) << 25;
}

template <DType type>
struct Decoder;

template <>
struct Decoder<DType::q8_0> {
    static constexpr bool kMinimum = false;
    static __device__ void read(const BlockQ8_0& b, int, Group& g) {
        same_scale(g, half_bits(b.d));
        SIMT_UNROLL
        for (int i = 0; i < 8; i++) {
            g.q[i] = word(reinterpret_cast<const uint8_t*>(b.qs) + 4 * i);
        }
    }
};

template <>
struct Decoder<DType::q4_0> {
    static constexpr bool kMinimum = false;
    static __device__ void read(const BlockQ4_0& b, int, Group& g) {
        same_scale(g, half_bits(b.d));
        split_nibbles(g, b.qs);
        SIMT_UNROLL
        for (int i = 0; i < 8; i++) {
            g.q[i] = minus_in_bytes(g.q[i], 0x08080808U);
        }
    }
};

template <>
struct Decoder<DType::q4_1> {
    static constexpr bool kMinimum = true;
    static __device__ void read(const BlockQ4_1& b, int, Group& g) {
        same_scale(g, half_bits(b.d));
        g.minimum[0] = g.minimum[1] = half_bits(b.m);
        split_nibbles(g, b.qs);
    }
};

template <>
struct Decoder<DType::q5_0> {
    static constexpr bool kMinimum = false;
    static __device__ void read(const BlockQ5_0& b, int, Group& g) {
        same_scale(g, half_bits(b.d));
        split_nibbles(g, b.qs);
        const uint32_t high = word(b.qh);
        SIMT_UNROLL
        for (int i = 0; i < 8; i++) {
            g.q[i] = minus_in_bytes(g.q[i] | fifth_bits(high, i), 0x10101010U);
        }
    }
};

template <>
struct Decoder<DType::q5_1> {
    static constexpr bool kMinimum = true;
    static __device__ void read(const BlockQ5_1& b, int, Group& g) {
        same_scale(g, half_bits(b.d));
        g.minimum[0] = g.minimum[1] = half_bits(b.m);
        split_nibbles(g, b.qs);
        const uint32_t high = word(b.qh);
        SIMT_UNROLL
        for (int i = 0; i < 8; i++) {
            g.q[i] |= fifth_bits(high, i);
        }
    }
};

template <>
struct Decoder<DType::iq4_nl> {
    static constexpr bool kMinimum = false;
    static __device__ void read(const BlockIQ4_NL& b, int, Group& g) {
        same_scale(g, half_bits(b.d));
        SIMT_UNROLL
        for (int i = 0; i < 4; i++) {
            const uint32_t w = word(b.qs + 4 * i);
            g.q[i] = looked_up<kIq4Values>(w, 0);
            g.q[4 + i] = looked_up<kIq4Values>(w, 4);
        }
    }
};

template <>
struct Decoder<DType::mxfp4> {
    static constexpr bool kMinimum = false;
    static __device__ void read(const BlockMXFP4& b, int, Group& g) {
        const uint32_t e = b.e;
        same_scale(g, __uint_as_float(e < 2 ? 0x00200000U << e : (e - 1) << 23));
        SIMT_UNROLL
        for (int i = 0; i < 4; i++) {
            const uint8_t* q = b.qs + 4 * i;  // the block is 17 bytes: no alignment at all
            const uint32_t w = q[0] | q[1] << 8 | q[2] << 16 | static_cast<uint32_t>(q[3]) << 24;
            g.q[i] = looked_up<kFp4Values>(w, 0);
            g.q[4 + i] = looked_up<kFp4Values>(w, 4);
        }
    }
};

template <>
struct Decoder<DType::iq4_xs> {
    static constexpr bool kMinimum = false;
    static __device__ void read(const BlockIQ4_XS& b, int j, Group& g) {
        const int low = b.scales_l[j / 2] >> (j % 2 * 4) & 15;
        const int high = b.scales_h >> (2 * j) & 3;
        same_scale(g, half_bits(b.d) * static_cast<float>((low | high << 4) - 32));
        SIMT_UNROLL
        for (int i = 0; i < 4; i++) {
            const uint32_t w = word(b.qs + 16 * j + 4 * i);
            g.q[i] = looked_up<kIq4Values>(w, 0);
            g.q[4 + i] = looked_up<kIq4Values>(w, 4);
        }
    }
};

// The 6-bit scale and minimum of part j: kernels/quants/scale_min_6bit.h.
__device__ __forceinline__ void scale_and_minimum(
    const uint8_t* s, int j, float d, float dmin, Group& g) {
    const int scale = j < 4 ? s[j] & 63 : (s[4 + j] & 15) | s[j - 4] >> 6 << 4;
    const int minimum = j < 4 ? s[4 + j] & 63 : s[4 + j] >> 4 | s[j] >> 6 << 4;
    same_scale(g, d * static_cast<float>(scale));
    g.minimum[0] = g.minimum[1] = -(dmin * static_cast<float>(minimum));
}

template <>
struct Decoder<DType::q4_k> {
    static constexpr bool kMinimum = true;
    static __device__ void read(const BlockQ4_K& b, int j, Group& g) {
        scale_and_minimum(b.scales, j, half_bits(b.d), half_bits(b.dmin), g);
        SIMT_UNROLL
        for (int i = 0; i < 8; i++) {
            g.q[i] = word(b.qs + j / 2 * 32 + 4 * i) >> (j % 2 * 4) & 0x0F0F0F0FU;
        }
    }
};

template <>
struct Decoder<DType::q5_k> {
    static constexpr bool kMinimum = true;
    static __device__ void read(const BlockQ5_K& b, int j, Group& g) {
        scale_and_minimum(b.scales, j, half_bits(b.d), half_bits(b.dmin), g);
        SIMT_UNROLL
        for (int i = 0; i < 8; i++) {
            const uint32_t low = word(b.qs + j / 2 * 32 + 4 * i) >> (j % 2 * 4) & 0x0F0F0F0FU;
            g.q[i] = low | (word(b.qh + 4 * i) >> j & 0x01010101U) << 4;
        }
    }
};

template <>
struct Decoder<DType::q2_k> {
    static constexpr bool kMinimum = true;
    static __device__ void read(const BlockQ2_K& b, int j, Group& g) {
        const float d = half_bits(b.d), dmin = half_bits(b.dmin);
        SIMT_UNROLL
        for (int s = 0; s < 2; s++) {
            g.scale[s] = d * static_cast<float>(b.scales[2 * j + s] & 15);
            g.minimum[s] = -dmin * static_cast<float>(b.scales[2 * j + s] >> 4);
        }
        SIMT_UNROLL
        for (int i = 0; i < 8; i++) {
            g.q[i] = word(b.qs + j / 4 * 32 + 4 * i) >> (j % 4 * 2) & 0x03030303U;
        }
    }
};

template <>
struct Decoder<DType::q3_k> {
    static constexpr bool kMinimum = false;
    static __device__ void read(const BlockQ3_K& b, int j, Group& g) {
        const float d = half_bits(b.d);
        SIMT_UNROLL
        for (int h = 0; h < 2; h++) {
            const int s = 2 * j + h;
            const int low = b.scales[s % 8] >> (s / 8 * 4) & 15;
            const int high = b.scales[8 + s % 4] >> (s / 4 * 2) & 3;
            g.scale[h] = d * static_cast<float>((low | high << 4) - 32);
        }
        SIMT_UNROLL
        for (int i = 0; i < 8; i++) {
            const uint32_t low = word(b.qs + j / 4 * 32 + 4 * i) >> (j % 4 * 2) & 0x03030303U;
            const uint32_t high = (word(b.hmask + 4 * i) >> j & 0x01010101U) << 2;
            g.q[i] = minus_in_bytes(low | high, 0x04040404U);
        }
    }
};

template <>
struct Decoder<DType::q6_k> {
    static constexpr bool kMinimum = false;
    static __device__ void read(const BlockQ6_K& b, int j, Group& g) {
        const float d = half_bits(b.d);
        g.scale[0] = d * static_cast<float>(b.scales[2 * j]);
        g.scale[1] = d * static_cast<float>(b.scales[2 * j + 1]);
        const int half = j / 4, k = j % 4;
        SIMT_UNROLL
        for (int i = 0; i < 8; i++) {
            const uint32_t low =
                word(b.ql + 64 * half + k % 2 * 32 + 4 * i) >> (k / 2 * 4) & 0x0F0F0F0FU;
            const uint32_t high = (word(b.qh + 32 * half + 4 * i) >> (2 * k) & 0x03030303U) << 4;
            g.q[i] = minus_in_bytes(low | high, 0x20202020U);
        }
    }
};

// Float weights: element i of a row.
template <DType type>
inline constexpr bool kIsFloat = type == DType::f32 || type == DType::f16 || type == DType::bf16;

template <DType type>
__device__ __forceinline__ float element(const std::byte* row, int64_t i) {
    if constexpr (type == DType::f32) {
        return reinterpret_cast<const float*>(row)[i];
    } else if constexpr (type == DType::f16) {
        return half_bits(reinterpret_cast<const uint16_t*>(row)[i]);
    } else {
        return __uint_as_float(static_cast<uint32_t>(reinterpret_cast<const uint16_t*>(row)[i])
                               << 16);
    }
}

}  // namespace kernels::cuda
