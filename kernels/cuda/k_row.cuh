// K rows on the device: rounding to each cache type, and single elements of a row. A unit is what
// one thread stores: an element of a float type, a block of a block type; of a q8_latent row the
// codes of a scale, or a rotary number. Rounding is that of kernels/quants (q8_0.h, q4_0.h) and
// k_row.cpp.
#pragma once

#include "kernels/cuda/decode.cuh"
#include "kernels/cuda/rows.h"
#include "kernels/k_type.h"

namespace kernels::cuda {

__host__ __device__ inline int k_row_units(const KRows& rows) {
    const int n = rows.latent + rows.rotary;
    return rows.dtype == DType::q8_0 || rows.dtype == DType::q4_0 ? n / 32 : n;
}

__device__ __forceinline__ bool finite(float v) {
    return fabsf(v) <= 3.4028234e38F;
}

__device__ inline void store_q8_0(const float* src, BlockQ8_0& block) {
    float largest = 0;
    bool all_finite = true;
    for (int i = 0; i < 32; i++) {
        largest = fmaxf(largest, fabsf(src[i]));
        all_finite = all_finite && finite(src[i]);
    }
    block.d =
        all_finite ? __half_as_ushort(__float2half(fminf(largest / 127.0F, 65504.0F))) : 0x7E00U;
    const float d = half_bits(block.d);
    for (int i = 0; i < 32; i++) {
        const float code = all_finite && d > 0 ? fminf(fmaxf(src[i] / d, -127.0F), 127.0F) : 0.0F;
        block.qs[i] = static_cast<int8_t>(__float2int_rn(code));
    }
}

__device__ inline void store_q4_0(const float* src, BlockQ4_0& block) {
    float extreme = 0;
    bool all_finite = true;
    for (int i = 0; i < 32; i++) {
        extreme = fabsf(src[i]) > fabsf(extreme) ? src[i] : extreme;
        all_finite = all_finite && finite(src[i]);
    }
    block.d =
        all_finite
            ? __half_as_ushort(__float2half(fminf(fmaxf(extreme / -8.0F, -65504.0F), 65504.0F)))
            : 0x7E00U;
    const float d = half_bits(block.d);
    int codes[32];
    for (int i = 0; i < 32; i++) {
        const float steps = all_finite && d != 0 ? fminf(fmaxf(src[i] / d, -8.0F), 7.0F) : 0.0F;
        codes[i] = __float2int_rn(steps) + 8;
    }
    for (int i = 0; i < 16; i++) {
        block.qs[i] = static_cast<uint8_t>(codes[i] | codes[16 + i] << 4);
    }
}

// A q8_latent row from its floats, by all threads of a block: a warp takes the codes of a scale, 32
// at a time.
__device__ inline void store_latent_row(const KRows& rows, std::byte* to, const float* row) {
    constexpr int kCodes = static_cast<int>(kCodesPerScale);
    const int lane = threadIdx.x & 31, warps = static_cast<int>(blockDim.x) / 32;
    for (int group = static_cast<int>(threadIdx.x) / 32; group * kCodes < rows.latent;
         group += warps) {
        const int begin = group * kCodes, end = min(rows.latent, begin + kCodes);
        float largest = 0;
        for (int k = begin + lane; k < end; k += 32) {
            const float a = fabsf(row[k]);
            largest = a > largest || a != a ? a : largest;  // keeps NaN
        }
        SIMT_UNROLL
        for (int o = 16; o > 0; o >>= 1) {
            const float a = __shfl_xor_sync(0xFFFFFFFFU, largest, o);
            largest = a > largest || a != a ? a : largest;
        }
        const bool all_finite = finite(largest);
        const float scale = all_finite ? largest / 127.0F : NAN;
        for (int k = begin + lane; k < end; k += 32) {
            const float code =
                all_finite && scale > 0 ? fminf(fmaxf(row[k] / scale, -127.0F), 127.0F) : 0.0F;
            reinterpret_cast<int8_t*>(to)[k] = static_cast<int8_t>(__float2int_rn(code));
        }
        if (lane == 0) {
            reinterpret_cast<float*>(to + rows.scales_at)[group] = scale;
        }
    }
    for (int k = static_cast<int>(threadIdx.x); k < rows.rotary;
         k += static_cast<int>(blockDim.x)) {
        reinterpret_cast<uint16_t*>(to + rows.rotary_at)[k] =
            __half_as_ushort(__float2half(row[rows.latent + k]));
    }
}

// Unit i of the row at `to`, from the floats of the whole row.
__device__ inline void store_k_unit(const KRows& rows, std::byte* to, int i, const float* row) {
    switch (rows.dtype) {
        case DType::f32:
            reinterpret_cast<float*>(to)[i] = row[i];
            break;
        case DType::f16:
            reinterpret_cast<uint16_t*>(to)[i] = __half_as_ushort(__float2half(row[i]));
            break;
        case DType::bf16:
            reinterpret_cast<__nv_bfloat16*>(to)[i] = __float2bfloat16(row[i]);
            break;
        case DType::q8_0:
            store_q8_0(row + 32 * i, reinterpret_cast<BlockQ8_0*>(to)[i]);
            break;
        default:
            store_q4_0(row + 32 * i, reinterpret_cast<BlockQ4_0*>(to)[i]);
            break;
    }
}

// Number i of a row.
__device__ inline float k_element(const KRows& rows, const std::byte* row, int i) {
    if (rows.int8_latent) {
        if (i >= rows.latent) {
            return half_bits(
                reinterpret_cast<const uint16_t*>(row + rows.rotary_at)[i - rows.latent]);
        }
        const int group = i / static_cast<int>(kCodesPerScale);
        return reinterpret_cast<const float*>(row + rows.scales_at)[group] *
               static_cast<float>(reinterpret_cast<const int8_t*>(row)[i]);
    }
    switch (rows.dtype) {
        case DType::f32:
            return element<DType::f32>(row, i);
        case DType::f16:
            return element<DType::f16>(row, i);
        case DType::bf16:
            return element<DType::bf16>(row, i);
        case DType::q8_0: {
            const BlockQ8_0& b = reinterpret_cast<const BlockQ8_0*>(row)[i / 32];
            return half_bits(b.d) * static_cast<float>(b.qs[i % 32]);
        }
        default: {
            const BlockQ4_0& b = reinterpret_cast<const BlockQ4_0*>(row)[i / 32];
            return half_bits(b.d) *
                   static_cast<float>((b.qs[i % 16] >> (i % 32 / 16 * 4) & 15) - 8);
        }
    }
}

}  // namespace kernels::cuda
