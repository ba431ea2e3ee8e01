// KType: how a row of the K cache is packed. Arithmetic on sizes only; the rows themselves are in
// k_row.h and, on a card, in cuda/k_row.cuh.
//
//   an element type   L latent numbers, then R rotary ones, as one packed row of that type
//   q8_latent         the latent in 8 bits, the rotary part in f16, since positions do not bear
//   rounding:
//
//                     | int8 x L | f16 x R | float x ceil(L / 128) |      each part begins at a
//                     multiple of 16 bytes
//                       codes      rotary    scale of each 128 codes      512 + 64: 512 + 128 + 16
//                       = 656 bytes
//
// Sources: FlashMLA keeps rows of 656 bytes with the rotary part apart (docs, fp8 cache); exllamav3
// (cache/mla.py) too.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "kernels/dtype.h"

namespace kernels {

inline constexpr int64_t kCodesPerScale = 128;  // of a q8_latent row

struct KType {
    DType dtype = DType::f16;  // of a q8_latent row i32, which is no row's: nothing takes it for one
    bool int8_latent = false;

    constexpr KType() = default;
    constexpr KType(DType type) : dtype(type) {}  // NOLINT: an element type is a way to pack a row
    static constexpr KType q8_latent() {
        KType type(DType::i32);
        type.int8_latent = true;
        return type;
    }
    friend constexpr bool operator==(const KType& a, const KType& b) {
        return a.int8_latent == b.int8_latent && (a.int8_latent || a.dtype == b.dtype);
    }
};

// Where the parts of a q8_latent row lie.
struct LatentRow {
    int64_t rotary_at = 0;
    int64_t scales_at = 0;
    int64_t bytes = 0;
    constexpr LatentRow(int64_t latent, int64_t rotary) {
        constexpr int64_t kPart = 16;
        const auto up = [](int64_t n) { return (n + kPart - 1) / kPart * kPart; };
        rotary_at = up(latent);
        scales_at = rotary_at + up(2 * rotary);
        bytes = scales_at + up((latent + kCodesPerScale - 1) / kCodesPerScale * 4);
    }
};

// Can a row of these numbers be packed so? A block type wants whole blocks.
inline bool holds(const KType& type, int64_t latent, int64_t rotary) {
    return type.int8_latent || (latent + rotary) % info(type.dtype).block_elements == 0;
}

inline int64_t k_row_bytes(const KType& type, int64_t latent, int64_t rotary) {
    return type.int8_latent ? LatentRow(latent, rotary).bytes
                            : row_bytes(type.dtype, latent + rotary);
}

// As -ctk spells it: "f16", "q8_latent".
std::string name(const KType& type);
// f16, bf16, f32, q8_0, q4_0 and q8_latent; nothing for other words.
std::optional<KType> k_type(std::string_view name);

}  // namespace kernels
