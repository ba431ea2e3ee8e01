// The element types a tensor can have. The list below is the one place where a type is registered: it feeds the table
// of sizes, the names, the dispatch of dequantisation and products, the typed tests and the benchmark rows.
// Names and ids are those of GGUF; the layout of each block type is in kernels/quants/<type>.h, and
// kernels/quants/blocks.h ties the structs to the enumerators.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace kernels {

// X(enumerator, GGUF name, ggml type id, weights per block, bytes per block, block struct)
#define KERNELS_DTYPES(X)                          \
    X(f32, "F32", 0, 1, 4, BlockF32)               \
    X(f16, "F16", 1, 1, 2, BlockF16)               \
    X(q4_0, "Q4_0", 2, 32, 18, BlockQ4_0)          \
    X(q4_1, "Q4_1", 3, 32, 20, BlockQ4_1)          \
    X(q5_0, "Q5_0", 6, 32, 22, BlockQ5_0)          \
    X(q5_1, "Q5_1", 7, 32, 24, BlockQ5_1)          \
    X(q8_0, "Q8_0", 8, 32, 34, BlockQ8_0)          \
    X(q2_k, "Q2_K", 10, 256, 84, BlockQ2_K)        \
    X(q3_k, "Q3_K", 11, 256, 110, BlockQ3_K)       \
    X(q4_k, "Q4_K", 12, 256, 144, BlockQ4_K)       \
    X(q5_k, "Q5_K", 13, 256, 176, BlockQ5_K)       \
    X(q6_k, "Q6_K", 14, 256, 210, BlockQ6_K)       \
    X(iq4_nl, "IQ4_NL", 20, 32, 18, BlockIQ4_NL)   \
    X(iq4_xs, "IQ4_XS", 23, 256, 136, BlockIQ4_XS) \
    X(i32, "I32", 26, 1, 4, BlockI32)              \
    X(bf16, "BF16", 30, 1, 2, BlockBF16)           \
    X(mxfp4, "MXFP4", 39, 32, 17, BlockMXFP4)

enum class DType : uint8_t {
#define KERNELS_X(name, ...) name,
    KERNELS_DTYPES(KERNELS_X)
#undef KERNELS_X
};

struct DTypeInfo {
    DType type;
    std::string_view name;   // as GGUF tools print it: "Q4_K"
    uint32_t ggml_id;        // number in a GGUF tensor entry
    int64_t block_elements;  // weights per block; 1 for plain types
    int64_t block_bytes;
};

const DTypeInfo& info(DType type);
std::string_view name(DType type);

// The type with this GGUF number; nothing for types Keyhole does not compute with.
std::optional<DType> dtype_from_ggml(uint32_t ggml_id);

// Bytes of a row of `elements` values. Requires elements to be a multiple of the type's block.
int64_t row_bytes(DType type, int64_t elements);

}  // namespace kernels
