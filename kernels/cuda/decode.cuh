// Packed weights on the device: 32 neighbouring weights of a row as eight words of four signed
// bytes each, with the scales and minimums of their halves. One struct per element type; the block
// structs and their layouts are those of kernels/quants. Row starts are as aligned as whole blocks
// from a 16-byte boundary are: 16 bytes for Q4_K and Q5_K, two for most types, one for MXFP4.
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

// N words that may lie between two: loaded, then put together.
template <int N>
struct Halves {
    uint32_t w[N + 1];
    unsigned shift;

    // Without a read beyond the last word that holds one of the bytes.
    __device__ __forceinline__ void load(const void* from) {
        shift = static_cast<unsigned>(reinterpret_cast<uintptr_t>(from) & 2) * 8;
        const auto* at =
            reinterpret_cast<const uint32_t*>(static_cast<const uint8_t*>(from) - shift / 8);
        SIMT_UNROLL
        for (int i = 0; i < N; i++) {
            w[i] = at[i];
        }
        w[N] = shift != 0 ? at[N] : 0;
    }
    __device__ __forceinline__ void finish(uint32_t (&out)[N]) const {
        SIMT_UNROLL
        for (int i = 0; i < N; i++) {
            out[i] = __funnelshift_r(w[i], w[i + 1], shift);
        }
    }
};

// Words of four bytes. Align: what is known of the address; see Halves for two.
template <int Align, int N>
__device__ __forceinline__ void words(const void* from, uint32_t (&out)[N]) {
    static_assert(Align == 2 || Align == 4 || Align == 8 || Align == 16);
    if constexpr (Align == 16 && N % 4 == 0) {
        SIMT_UNROLL
        for (int i = 0; i < N / 4; i++) {
            const uint4 v = static_cast<const uint4*>(from)[i];
            out[4 * i] = v.x, out[4 * i + 1] = v.y, out[4 * i + 2] = v.z, out[4 * i + 3] = v.w;
        }
    } else if constexpr (Align >= 8 && N % 2 == 0) {
        SIMT_UNROLL
        for (int i = 0; i < N / 2; i++) {
            const uint2 v = static_cast<const uint2*>(from)[i];
            out[2 * i] = v.x, out[2 * i + 1] = v.y;
        }
    } else if constexpr (Align >= 4) {
        SIMT_UNROLL
        for (int i = 0; i < N; i++) {
            out[i] = static_cast<const uint32_t*>(from)[i];
        }
    } else {
        Halves<N> halves;
        halves.load(from);
        halves.finish(out);
    }
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

// Four words whose low nibbles are weights 0..15 and high nibbles 16..31.
__device__ __forceinline__ void split_nibbles(Group& g, const uint32_t (&w)[4]) {
    SIMT_UNROLL
    for (int i = 0; i < 4; i++) {
        g.q[i] = w[i] & 0x0F0F0F0FU;
        g.q[4 + i] = w[i] >> 4 & 0x0F0F0F0FU;
    }
}
template <int Align>
__device__ __forceinline__ void split_nibbles(Group& g, const uint8_t* qs) {
    uint32_t w[4];
    words<Align>(qs, w);
    split_nibbles(g, w);
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
    struct Raw {
        Halves<8> q;
        uint16_t d;
    };
    static __device__ __forceinline__ void load(const BlockQ8_0& b, int, Raw& r) {
        r.d = b.d;
        r.q.load(b.qs);
    }
    static __device__ __forceinline__ void finish(const Raw& r, int, Group& g) {
        same_scale(g, half_bits(r.d));
        r.q.finish(g.q);
    }
};

template <>
struct Decoder<DType::q4_0> {
    static constexpr bool kMinimum = false;
    static __device__ void read(const BlockQ4_0& b, int, Group& g) {
        same_scale(g, half_bits(b.d));
        split_nibbles<2>(g, b.qs);
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
        split_nibbles<4>(g, b.qs);
    }
};

template <>
struct Decoder<DType::q5_0> {
    static constexpr bool kMinimum = false;
    struct Raw {
        Halves<4> q;
        Halves<1> high;
        uint16_t d;
    };
    static __device__ __forceinline__ void load(const BlockQ5_0& b, int, Raw& r) {
        r.d = b.d;
        r.high.load(b.qh);
        r.q.load(b.qs);
    }
    static __device__ __forceinline__ void finish(const Raw& r, int, Group& g) {
        same_scale(g, half_bits(r.d));
        uint32_t high[1], w[4];
        r.high.finish(high);
        r.q.finish(w);
        split_nibbles(g, w);
        SIMT_UNROLL
        for (int i = 0; i < 8; i++) {
            g.q[i] = minus_in_bytes(g.q[i] | fifth_bits(high[0], i), 0x10101010U);
        }
    }
};

template <>
struct Decoder<DType::q5_1> {
    static constexpr bool kMinimum = true;
    static __device__ void read(const BlockQ5_1& b, int, Group& g) {
        same_scale(g, half_bits(b.d));
        g.minimum[0] = g.minimum[1] = half_bits(b.m);
        split_nibbles<4>(g, b.qs);
        uint32_t high[1];
        words<4>(b.qh, high);
        SIMT_UNROLL
        for (int i = 0; i < 8; i++) {
            g.q[i] |= fifth_bits(high[0], i);
        }
    }
};

template <>
struct Decoder<DType::iq4_nl> {
    static constexpr bool kMinimum = false;
    static __device__ void read(const BlockIQ4_NL& b, int, Group& g) {
        same_scale(g, half_bits(b.d));
        uint32_t w[4];
        words<2>(b.qs, w);
        SIMT_UNROLL
        for (int i = 0; i < 4; i++) {
            g.q[i] = looked_up<kIq4Values>(w[i], 0);
            g.q[4 + i] = looked_up<kIq4Values>(w[i], 4);
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
        uint32_t w[4];
        words<4>(b.qs + 16 * j, w);
        SIMT_UNROLL
        for (int i = 0; i < 4; i++) {
            g.q[i] = looked_up<kIq4Values>(w[i], 0);
            g.q[4 + i] = looked_up<kIq4Values>(w[i], 4);
        }
    }
};

// The first 16 bytes of a Q4_K or Q5_K block: d, dmin, 6-bit scales and minimums (their packing:
// kernels/quants/scale_min_6bit.h), those of part j.
__device__ __forceinline__ void scale_and_minimum(const uint32_t (&head)[4], int j, Group& g) {
    const unsigned shift = static_cast<unsigned>(j % 4) * 8;
    const uint32_t first = head[1] >> shift, second = head[2] >> shift, third = head[3] >> shift;
    const uint32_t scale = j < 4 ? first & 63 : (third & 15) | (first >> 6 & 3) << 4;
    const uint32_t minimum = j < 4 ? second & 63 : (third >> 4 & 15) | (second >> 6 & 3) << 4;
    same_scale(g, half_bits(static_cast<uint16_t>(head[0] & 0xFFFF)) * static_cast<float>(scale));
    g.minimum[0] = g.minimum[1] =
        -(half_bits(static_cast<uint16_t>(head[0] >> 16)) * static_cast<float>(minimum));
}

template <>
struct Decoder<DType::q4_k> {
    static constexpr bool kMinimum = true;
    struct Raw {
        uint32_t head[4], q[8];
    };
    static __device__ __forceinline__ void load(const BlockQ4_K& b, int j, Raw& r) {
        words<16>(&b, r.head);
        words<16>(b.qs + j / 2 * 32, r.q);
    }
    static __device__ __forceinline__ void finish(const Raw& r, int j, Group& g) {
        scale_and_minimum(r.head, j, g);
        SIMT_UNROLL
        for (int i = 0; i < 8; i++) {
            g.q[i] = r.q[i] >> (j % 2 * 4) & 0x0F0F0F0FU;
        }
    }
};

template <>
struct Decoder<DType::q5_k> {
    static constexpr bool kMinimum = true;
    struct Raw {
        uint32_t head[4], q[8], high[8];
    };
    static __device__ __forceinline__ void load(const BlockQ5_K& b, int j, Raw& r) {
        words<16>(&b, r.head);
        words<16>(b.qs + j / 2 * 32, r.q);
        words<16>(b.qh, r.high);
    }
    static __device__ __forceinline__ void finish(const Raw& r, int j, Group& g) {
        scale_and_minimum(r.head, j, g);
        SIMT_UNROLL
        for (int i = 0; i < 8; i++) {
            const uint32_t low = r.q[i] >> (j % 2 * 4) & 0x0F0F0F0FU;
            g.q[i] = low | (r.high[i] >> j & 0x01010101U) << 4;
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
        words<4>(b.qs + j / 4 * 32, g.q);
        SIMT_UNROLL
        for (int i = 0; i < 8; i++) {
            g.q[i] = g.q[i] >> (j % 4 * 2) & 0x03030303U;
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
        uint32_t mask[8];
        words<2>(b.qs + j / 4 * 32, g.q);
        words<2>(b.hmask, mask);
        SIMT_UNROLL
        for (int i = 0; i < 8; i++) {
            const uint32_t low = g.q[i] >> (j % 4 * 2) & 0x03030303U;
            const uint32_t high = (mask[i] >> j & 0x01010101U) << 2;
            g.q[i] = minus_in_bytes(low | high, 0x04040404U);
        }
    }
};

template <>
struct Decoder<DType::q6_k> {
    static constexpr bool kMinimum = false;
    struct Raw {
        Halves<8> low, upper;
        uint16_t d;
        int8_t scale[2];
    };
    static __device__ __forceinline__ void load(const BlockQ6_K& b, int j, Raw& r) {
        r.d = b.d;
        r.scale[0] = b.scales[2 * j];
        r.scale[1] = b.scales[2 * j + 1];
        r.low.load(b.ql + 64 * (j / 4) + j % 2 * 32);
        r.upper.load(b.qh + 32 * (j / 4));
    }
    static __device__ __forceinline__ void finish(const Raw& r, int j, Group& g) {
        const float d = half_bits(r.d);
        g.scale[0] = d * static_cast<float>(r.scale[0]);
        g.scale[1] = d * static_cast<float>(r.scale[1]);
        const int k = j % 4;
        uint32_t upper[8];
        r.low.finish(g.q);
        r.upper.finish(upper);
        SIMT_UNROLL
        for (int i = 0; i < 8; i++) {
            const uint32_t low = g.q[i] >> (k / 2 * 4) & 0x0F0F0F0FU;
            const uint32_t high = (upper[i] >> (2 * k) & 0x03030303U) << 4;
            g.q[i] = minus_in_bytes(low | high, 0x20202020U);
        }
    }
};

// A group in two steps, loads first: what is done between them goes on while they are on their way.
// Types that are rare in files are read in one.
template <DType type>
struct Coming {
    static constexpr bool kTwoSteps = requires { typename Decoder<type>::Raw; };
    template <typename D>
    struct RawOf {
        using Raw = Group;
    };
    template <typename D>
    requires requires { typename D::Raw; }
    struct RawOf<D> {
        using Raw = typename D::Raw;
    };
    typename RawOf<Decoder<type>>::Raw raw;

    __device__ __forceinline__ void load(const BlockOf<type>& block, int part) {
        if constexpr (kTwoSteps) {
            Decoder<type>::load(block, part, raw);
        } else {
            Decoder<type>::read(block, part, raw);
        }
    }
    __device__ __forceinline__ void finish(int part, Group& g) const {
        if constexpr (kTwoSteps) {
            Decoder<type>::finish(raw, part, g);
        } else {
            g = raw;
        }
    }
};

template <DType type>
__device__ __forceinline__ void read_group(const BlockOf<type>& block, int part, Group& g) {
    Coming<type> coming;
    coming.load(block, part);
    coming.finish(part, g);
}

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
