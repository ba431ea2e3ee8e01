// Products of activation rows with packed weights: what one launch does. Plain data, shared by
// kernels and host code.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/card_memory.h"
#include "kernels/dtype.h"
#include "kernels/simt/simt.h"

namespace kernels::cuda {

// Rows of an array that lie in two steps: row r begins at r / inner * outer_stride + r % inner *
// inner_stride floats.
struct Rows {
    float* data = nullptr;
    int64_t outer_stride = 0;
    int64_t inner_stride = 0;
    int32_t inner = 1;

    __host__ __device__ float* row(int32_t r) const {
        return inner == 1 ? data + r * outer_stride
                          : data + r / inner * outer_stride + r % inner * inner_stride;
    }
};

// One weight [E, M, C] and where its results go.
struct ProductPart {
    const std::byte* weight = nullptr;
    const std::byte* end = nullptr;  // no byte from here on is read
    int64_t row_bytes = 0;
    int64_t expert_bytes = 0;
    int32_t rows = 0;  // M
    Rows out;
};

// Slots of one expert, in the order of Products::pairs: up to kTileTokens, or kTileSlots where the
// products go in tiles.
struct WorkItem {
    int32_t expert = 0;
    int32_t begin = 0;
    int32_t count = 0;
};

enum class InputForm : int32_t {
    plain,   // x
    normed,  // x / sqrt(mean(x^2) + eps) * norm
    gated,   // silu(x) * up
};

enum class SlotForm : int32_t {
    tokens,  // slot s: row list[s] (or s) of x to row s of out; one weight
    heads,   // every token by the weight of each head: row t * n_heads + h of x and out, expert h
    routed,  // items on the device; slot p of a pair (token, place): row pairs[p] / pairs_a_row of
             // x to row pairs[p] of out
};

inline constexpr int kProductThreads = 256;
inline constexpr int kMaxParts = 4;

// All parts have one element type and read the same rows. The sum of a result's products is made in
// an order that depends on the number of columns and on whether it goes in tiles.
struct Products {
    ProductPart parts[kMaxParts];
    int32_t n_parts = 0;
    int32_t cols = 0;  // C
    bool add = false;  // out += instead of out =

    InputForm input = InputForm::plain;
    Rows x;
    Rows up;                      // gated
    const float* norm = nullptr;  // [C], normed
    float eps = 0;

    SlotForm slots = SlotForm::tokens;
    int32_t n_slots = 0;  // tokens, or pairs
    int32_t n_heads = 1;
    const int32_t* list = nullptr;
    const WorkItem* items = nullptr;
    const int32_t* n_items = nullptr;  // on the device
    const int32_t* pairs = nullptr;
    int32_t pairs_a_row = 1;

    // Not null: weights in blocks go in tiles (tiles.h), through this room for packed_rows() rows
    // of packed_pitch(cols) bf16 numbers.
    uint16_t* packed = nullptr;
    int32_t n_pairs = 0;               // routed
    // The most slots of an item; in tiles, whatever form slots have, kTileSlots or kSmallTileSlots.
    int32_t item_slots = kTileTokens;

    __host__ __device__ int32_t packed_rows() const {
        return slots == SlotForm::tokens  ? n_slots
               : slots == SlotForm::heads ? n_slots * n_heads
                                          : n_pairs / pairs_a_row;
    }
};

// Launches the products with weights of `type`.
void launch_products(DType type, const Products& products, simt::Stream stream);

// Two products that do not read each other's results, in one launch where that can be.
void launch_products(DType type,
                     const Products& first,
                     const Products& second,
                     simt::Stream stream);

}  // namespace kernels::cuda
