// Random weights of any packed type, also of those that nothing here rounds floats to, and the
// floats that they stand for; and how far results are from doubles.
#pragma once

#include <cmath>

#include "kernels/float16.h"
#include "kernels/quants/blocks.h"
#include "kernels/quants/quants.h"
#include "tests/kernels/backend_support.h"

namespace tests {

// Random blocks of a type: any bits where they are codes, scales of a sensible size. The weights
// are around 1 / 16.
template <DType type>
void random_blocks(std::vector<uint8_t>& bytes, Random& random) {
    using Block = kernels::BlockOf<type>;
    for (size_t at = 0; at < bytes.size(); at += sizeof(Block)) {
        Block block;
        auto* raw = reinterpret_cast<uint8_t*>(&block);
        for (size_t i = 0; i < sizeof(Block); i++) {
            raw[i] = static_cast<uint8_t>(random.below(256));
        }
        const float size = std::abs(random.normal(0.02F)) + 0.01F;
        if constexpr (type == DType::i32) {
            continue;
        } else if constexpr (Block::kElements == 1) {
            const float value = random.normal(0.1F);
            quantize(&value, block);
        } else if constexpr (requires { block.d; }) {
            block.d = kernels::f32_to_f16(size / (Block::kElements == 256 ? 16 : 1));
        }
        if constexpr (requires { block.m; }) {
            block.m = kernels::f32_to_f16(-8 * size);
        }
        if constexpr (requires { block.dmin; }) {
            block.dmin = kernels::f32_to_f16(size / 8);
        }
        if constexpr (requires { block.e; }) {
            block.e = static_cast<uint8_t>(121 + random.below(3));
        }
        std::memcpy(bytes.data() + at, &block, sizeof(Block));
    }
}

inline std::vector<uint8_t> random_weights(DType type, int64_t rows, int64_t cols, Random& random) {
    std::vector<uint8_t> bytes(static_cast<size_t>(rows * kernels::row_bytes(type, cols)));
    switch (type) {
#define KERNELS_X(name, ...)                       \
    case DType::name:                              \
        random_blocks<DType::name>(bytes, random); \
        break;
        KERNELS_DTYPES(KERNELS_X)
#undef KERNELS_X
    }
    return bytes;
}

inline Floats dequantized(DType type,
                          const std::vector<uint8_t>& bytes,
                          int64_t rows,
                          int64_t cols) {
    Floats values(static_cast<size_t>(rows * cols));
    for (int64_t r = 0; r < rows; r++) {
        kernels::dequantize_row(type, bytes.data() + r * kernels::row_bytes(type, cols),
                                values.data() + r * cols, cols);
    }
    return values;
}

inline double nmse(const Floats& got, const Doubles& want) {
    double error = 0, size = 0;
    for (size_t i = 0; i < want.size(); i++) {
        error += (got[i] - want[i]) * (got[i] - want[i]);
        size += want[i] * want[i];
    }
    return error / size;
}

}  // namespace tests
