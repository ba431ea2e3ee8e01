// TensorView: where an array is, its element type and shape. Owns nothing; copying it copies a pointer.
// Sizes are listed outermost first; rows (the last dimension) are dense, outer dimensions have strides in bytes, so a
// view can be one half of a fused tensor. The memory belongs to a Buffer of a Backend, or to a mapped model file.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>

#include "kernels/dtype.h"

namespace kernels {

struct TensorView {
    static constexpr int kMaxRank = 4;

    std::byte* data = nullptr;  // backend memory; read-only if it comes from a mapped file
    DType dtype = DType::f32;
    int rank = 0;
    std::array<int64_t, kMaxRank> size{};          // elements, outermost first; [0, rank) are in use
    std::array<int64_t, kMaxRank> stride_bytes{};  // of dimension i < rank - 1; the last is dense and not used

    TensorView() = default;
    // A dense array of this shape at `data`.
    TensorView(void* data, DType dtype, std::initializer_list<int64_t> size);

    bool empty() const { return data == nullptr; }
    int64_t rows() const;                                      // product of all sizes but the last
    int64_t cols() const { return size[rank - 1]; }            // length of a row, in elements
    int64_t elements() const { return rows() * cols(); }
    int64_t bytes() const;                                     // of the elements, gaps not counted
    bool dense() const;                                        // rows follow each other without gaps

    TensorView slice(int dimension, int64_t begin, int64_t end) const;  // dimension < rank - 1, or whole blocks of the last
    TensorView operator[](int64_t index) const;                // drops the outermost dimension
    TensorView first(int64_t count) const { return slice(0, 0, count); }
    TensorView reshaped(std::initializer_list<int64_t> size) const;     // requires dense()

    float* f32() const;       // requires DType::f32
    int32_t* i32() const;     // requires DType::i32
    std::string describe() const;  // "Q4_K [64, 1536, 2048]"
};

}  // namespace kernels
