#include "kernels/k_row.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "kernels/quants/quants.h"

namespace kernels {
namespace {

constexpr KType kKTypes[] = {DType::f16,  DType::bf16, DType::f32,
                             DType::q8_0, DType::q4_0, KType::q8_latent()};

}  // namespace

std::string name(const KType& type) {
    if (type.int8_latent) {
        return "q8_latent";
    }
    std::string text(name(type.dtype));
    std::ranges::transform(text, text.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return text;
}

std::optional<KType> k_type(std::string_view text) {
    for (const KType& type : kKTypes) {
        if (name(type) == text) {
            return type;
        }
    }
    return std::nullopt;
}

void pack_k_row(
    const KType& type, const float* row, int64_t latent, int64_t rotary, std::byte* to) {
    if (!type.int8_latent) {
        quantize_row(type.dtype, row, to, latent + rotary);
        return;
    }
    const LatentRow at(latent, rotary);
    auto* codes = reinterpret_cast<int8_t*>(to);
    for (int64_t begin = 0, group = 0; begin < latent; begin += kCodesPerScale, group++) {
        const int64_t end = std::min(latent, begin + kCodesPerScale);
        float largest = 0;
        bool finite = true;
        for (int64_t i = begin; i < end; i++) {
            largest = std::max(largest, std::fabs(row[i]));
            finite = finite && std::isfinite(row[i]);
        }
        const float scale = finite ? largest / 127.0F : std::numeric_limits<float>::quiet_NaN();
        for (int64_t i = begin; i < end; i++) {
            codes[i] = finite && scale > 0 ? static_cast<int8_t>(std::nearbyint(
                                                 std::clamp(row[i] / scale, -127.0F, 127.0F)))
                                           : int8_t{0};
        }
        std::memcpy(to + at.scales_at + group * 4, &scale, sizeof scale);
    }
    quantize_row(DType::f16, row + latent, to + at.rotary_at, rotary);
}

void unpack_k_row(
    const KType& type, const std::byte* from, int64_t latent, int64_t rotary, float* row) {
    if (!type.int8_latent) {
        dequantize_row(type.dtype, from, row, latent + rotary);
        return;
    }
    const LatentRow at(latent, rotary);
    const auto* codes = reinterpret_cast<const int8_t*>(from);
    for (int64_t begin = 0, group = 0; begin < latent; begin += kCodesPerScale, group++) {
        float scale;
        std::memcpy(&scale, from + at.scales_at + group * 4, sizeof scale);
        const int64_t end = std::min(latent, begin + kCodesPerScale);
        for (int64_t i = begin; i < end; i++) {
            row[i] = scale * static_cast<float>(codes[i]);
        }
    }
    dequantize_row(DType::f16, from + at.rotary_at, row + latent, rotary);
}

}  // namespace kernels
