#include "kernels/quants/quants.h"

#include <cstddef>
#include <cstring>

#include "kernels/check.h"
#include "kernels/quants/blocks.h"

namespace kernels {
namespace {

// Blocks are copied out of the row: rows of a mapped file have whatever alignment the file gives
// them.
template <typename Block>
void dequantize_blocks(const std::byte* src, float* dst, int64_t n) {
    for (int64_t i = 0; i < n; i += Block::kElements) {
        Block block;
        std::memcpy(&block, src + i / Block::kElements * sizeof(Block), sizeof(Block));
        dequantize(block, dst + i);
    }
}

template <typename Block>
void quantize_blocks(const float* src, std::byte* dst, int64_t n) {
    for (int64_t i = 0; i < n; i += Block::kElements) {
        Block block;
        quantize(src + i, block);
        std::memcpy(dst + i / Block::kElements * sizeof(Block), &block, sizeof(Block));
    }
}

template <typename Block>
constexpr bool kCanQuantize = requires(Block block) {
    quantize(static_cast<const float*>(nullptr), block);
};

}  // namespace

void dequantize_row(DType type, const void* src, float* dst, int64_t n) {
    ENSURE(type != DType::i32, "I32 is not a weight type");
    ENSURE(n >= 0 && n % info(type).block_elements == 0, name(type), " row of ", n);
    switch (type) {
#define KERNELS_X(enumerator, ...)                                                                 \
    case DType::enumerator:                                                                        \
        if constexpr (DType::enumerator != DType::i32) {                                           \
            dequantize_blocks<BlockOf<DType::enumerator>>(static_cast<const std::byte*>(src), dst, \
                                                          n);                                      \
        }                                                                                          \
        break;
        KERNELS_DTYPES(KERNELS_X)
#undef KERNELS_X
    }
}

void quantize_row(DType type, const float* src, void* dst, int64_t n) {
    ENSURE(n >= 0 && n % info(type).block_elements == 0, name(type), " row of ", n);
    bool done = false;
    switch (type) {
#define KERNELS_X(enumerator, ...)                                                             \
    case DType::enumerator:                                                                    \
        if constexpr (kCanQuantize<BlockOf<DType::enumerator>>) {                              \
            quantize_blocks<BlockOf<DType::enumerator>>(src, static_cast<std::byte*>(dst), n); \
            done = true;                                                                       \
        }                                                                                      \
        break;
        KERNELS_DTYPES(KERNELS_X)
#undef KERNELS_X
    }
    ENSURE(done, "no rounding of floats to ", name(type));
}

}  // namespace kernels
