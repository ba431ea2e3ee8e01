#include "kernels/tensor.h"

#include "kernels/check.h"

namespace kernels {

TensorView::TensorView(void* memory, DType type, std::initializer_list<int64_t> sizes)
    : data(static_cast<std::byte*>(memory)), dtype(type), rank(static_cast<int>(sizes.size())) {
    ENSURE(rank >= 1 && rank <= kMaxRank, "rank ", rank);
    int i = 0;
    for (int64_t n : sizes) {
        ENSURE(n >= 0, "size ", n);
        size[i++] = n;
    }
    int64_t stride = row_bytes(dtype, size[rank - 1]);
    for (int d = rank - 2; d >= 0; d--) {
        stride_bytes[d] = stride;
        stride *= size[d];
    }
}

int64_t TensorView::rows() const {
    int64_t n = 1;
    for (int d = 0; d + 1 < rank; d++) {
        n *= size[d];
    }
    return n;
}

int64_t TensorView::bytes() const {
    return rows() * row_bytes(dtype, cols());
}

bool TensorView::dense() const {
    int64_t stride = row_bytes(dtype, cols());
    for (int d = rank - 2; d >= 0; d--) {
        if (size[d] > 1 && stride_bytes[d] != stride) {
            return false;
        }
        stride *= size[d];
    }
    return true;
}

TensorView TensorView::slice(int dimension, int64_t begin, int64_t end) const {
    ENSURE(dimension >= 0 && dimension < rank && 0 <= begin && begin <= end && end <= size[dimension],
           describe(), " slice ", dimension, " ", begin, "..", end);
    TensorView view = *this;
    const int64_t offset =
        dimension == rank - 1 ? row_bytes(dtype, begin) : begin * stride_bytes[dimension];
    view.data += offset;
    view.size[dimension] = end - begin;
    return view;
}

TensorView TensorView::operator[](int64_t index) const {
    ENSURE(rank >= 2 && index >= 0 && index < size[0], describe(), " [", index, "]");
    TensorView view = *this;
    view.data += index * stride_bytes[0];
    view.rank = rank - 1;
    for (int d = 0; d + 1 < rank; d++) {
        view.size[d] = size[d + 1];
        view.stride_bytes[d] = stride_bytes[d + 1];
    }
    return view;
}

TensorView TensorView::reshaped(std::initializer_list<int64_t> sizes) const {
    TensorView view(data, dtype, sizes);
    ENSURE(dense() && view.elements() == elements(), describe(), " as ", view.describe());
    return view;
}

float* TensorView::f32() const {
    ENSURE(dtype == DType::f32, describe());
    return reinterpret_cast<float*>(data);
}

int32_t* TensorView::i32() const {
    ENSURE(dtype == DType::i32, describe());
    return reinterpret_cast<int32_t*>(data);
}

std::string TensorView::describe() const {
    std::string text(name(dtype));
    for (int d = 0; d < rank; d++) {
        text += (d == 0 ? " [" : ", ") + std::to_string(size[d]);
    }
    return text + "]";
}

}  // namespace kernels
