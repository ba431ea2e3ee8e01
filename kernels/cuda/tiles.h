// Products of many activation rows with packed weights, on tensor cores: activations are rounded to
// bf16 once, weights are widened to bf16 tile by tile in shared memory, sums are in f32.
#pragma once

#include "kernels/cuda/products.h"

namespace kernels::cuda {

// Whether weights of this type have a tile form: those in blocks. Floats keep their exact one.
bool has_tiles(DType type);

// The size of tiles for shares of about so many slots.
inline int32_t tile_slots(int64_t slots) {
    return slots <= kSmallTileSlots * 3 / 4 ? kSmallTileSlots : kTileSlots;
}

// Columns of a rounded row: whole steps of the kernel, zeros behind the last.
inline constexpr int kTileColumns = 64;
__host__ __device__ constexpr int32_t packed_pitch(int32_t cols) {
    return (cols + kTileColumns - 1) / kTileColumns * kTileColumns;
}

// Rounds the rows that the products read (as InputForm says) to Products::packed.
void launch_pack(const Products& products, simt::Stream stream);

// The products of what stands in Products::packed, in tiles of item_slots slots.
void launch_tiles(DType type, const Products& products, simt::Stream stream);

}  // namespace kernels::cuda
