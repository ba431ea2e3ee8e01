// What the backend tests share: the backends of this machine, arrays in their memory with guards
// behind them, random weights of any packed type, and a paged K cache that is poisoned wherever
// nothing may be read.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "kernels/backend.h"
#include "kernels/quants/quants.h"
#include "tests/support/catch.h"
#include "tests/support/check_close.h"
#include "tests/support/sanitized.h"

namespace tests {

using kernels::Backend;
using kernels::DType;
using kernels::TensorView;
using Floats = std::vector<float>;
using Doubles = std::vector<double>;

inline bool emulated(const Backend& backend) {
    return backend.memory().name.starts_with("emulated");
}

// Of a card that is the CPU's execution layer the tests are its own: those of the CPU are
// elsewhere.
inline std::vector<std::unique_ptr<Backend>> backends() {
    std::vector<std::unique_ptr<Backend>> list;
    auto cuda = kernels::make_cuda_backend();
    if (cuda == nullptr || !emulated(*cuda)) {
        for (int threads = 1; threads <= 3; threads += kSanitized ? 2 : 1) {
            list.push_back(kernels::make_cpu_backend({threads, threads}));
        }
    }
    if (cuda != nullptr) {
        list.push_back(std::move(cuda));
    }
    return list;
}

// `tokens`, or where that takes long a number that is past the card's largest tile all the same:
// its kernels run on the CPU, perhaps with a sanitizer's eye on each access.
inline int64_t many(const Backend& backend, int64_t tokens) {
    return emulated(backend) ? std::min<int64_t>(tokens, kSanitized ? 40 : 140) : tokens;
}

class Random {
public:
    explicit Random(uint32_t seed) : engine_(seed) {}
    float normal(float deviation = 1) { return deviation * normal_(engine_); }
    int64_t below(int64_t n) { return static_cast<int64_t>(engine_() % static_cast<uint64_t>(n)); }
    Floats normals(int64_t n, float deviation = 1) {
        Floats values(static_cast<size_t>(n));
        for (float& v : values) {
            v = normal(deviation);
        }
        return values;
    }
    template <typename T>
    void shuffle(std::vector<T>& values) {
        for (size_t i = values.size(); i > 1; i--) {
            std::swap(values[i - 1], values[static_cast<size_t>(below(static_cast<int64_t>(i)))]);
        }
    }

private:
    std::mt19937 engine_;
    std::normal_distribution<float> normal_;
};

// An array in backend memory with guard bytes behind it.
class Array {
public:
    static constexpr int64_t kGuardBytes = 256;

    Array(Backend& backend,
          DType type,
          std::initializer_list<int64_t> size,
          const void* values = nullptr)
        : backend_(&backend) {
        const TensorView shape(nullptr, type, size);
        buffer_ = backend.allocate(shape.bytes() + kGuardBytes, kernels::MemoryUse::compute);
        view = TensorView(buffer_.data(), type, size);
        if (values != nullptr) {
            backend.upload(view, values);
        }
        const std::vector<uint8_t> guard(kGuardBytes, 0xA5);
        backend.upload(guard_view(), guard.data());
    }
    Array(Backend& backend, std::initializer_list<int64_t> size, const Floats& values)
        : Array(backend, DType::f32, size, values.data()) {
        REQUIRE(static_cast<int64_t>(values.size()) == view.elements());
    }

    Floats floats() const {
        Floats values(static_cast<size_t>(view.elements()));
        backend_->download(values.data(), view);
        return values;
    }
    bool guard_whole() const {
        std::vector<uint8_t> guard(kGuardBytes);
        backend_->download(guard.data(), guard_view());
        for (uint8_t byte : guard) {
            if (byte != 0xA5) {
                return false;
            }
        }
        return true;
    }

    TensorView view;

private:
    TensorView guard_view() const {
        return TensorView(buffer_.data() + view.bytes(), DType::f32, {kGuardBytes / 4});
    }
    Backend* backend_;
    kernels::Buffer buffer_;
};

// Random weights of a type, and the floats that they stand for.
struct Weight {
    Array array;
    Floats values;
    const TensorView& view() const { return array.view; }
};

inline std::pair<std::vector<std::byte>, Floats> packed(DType type,
                                                        const Floats& values,
                                                        int64_t cols) {
    const int64_t rows = cols == 0 ? 0 : static_cast<int64_t>(values.size()) / cols;
    const int64_t size = kernels::row_bytes(type, cols);
    std::vector<std::byte> bytes(static_cast<size_t>(rows * size));
    Floats back(values.size());
    for (int64_t r = 0; r < rows; r++) {
        kernels::quantize_row(type, values.data() + r * cols, bytes.data() + r * size, cols);
        kernels::dequantize_row(type, bytes.data() + r * size, back.data() + r * cols, cols);
    }
    return {std::move(bytes), std::move(back)};
}

inline Weight random_weight(Backend& backend,
                            Random& random,
                            DType type,
                            std::initializer_list<int64_t> size) {
    const TensorView shape(nullptr, type, size);
    const int64_t cols = shape.cols();
    const auto [bytes, values] = packed(
        type, random.normals(shape.elements(), 1.0F / std::sqrt(static_cast<float>(cols))), cols);
    return {Array(backend, type, size, bytes.data()), values};
}

// --- plain loops in double precision

inline Doubles to_doubles(const Floats& values) {
    return Doubles(values.begin(), values.end());
}

inline Floats to_floats(const Doubles& values) {
    return Floats(values.begin(), values.end());
}

// out[t, m] = sum over c of x[t, c] * w[m, c]
inline Doubles product(const Doubles& x, const float* w, int64_t rows, int64_t cols) {
    const int64_t tokens = static_cast<int64_t>(x.size()) / cols;
    Doubles out(static_cast<size_t>(tokens * rows));
    for (int64_t t = 0; t < tokens; t++) {
        for (int64_t m = 0; m < rows; m++) {
            double sum = 0;
            for (int64_t c = 0; c < cols; c++) {
                sum += x[static_cast<size_t>(t * cols + c)] * w[m * cols + c];
            }
            out[static_cast<size_t>(t * rows + m)] = sum;
        }
    }
    return out;
}

inline Doubles rmsnorm(const Doubles& x, const Floats& weight, double eps) {
    const size_t n = weight.size();
    Doubles out(x.size());
    for (size_t t = 0; t < x.size(); t += n) {
        double squares = 0;
        for (size_t i = 0; i < n; i++) {
            squares += x[t + i] * x[t + i];
        }
        const double factor = 1 / std::sqrt(squares / static_cast<double>(n) + eps);
        for (size_t i = 0; i < n; i++) {
            out[t + i] = x[t + i] * factor * weight[i];
        }
    }
    return out;
}

inline Doubles glu(const Doubles& x,
                   const float* gate,
                   const float* up,
                   const float* down,
                   int64_t dim,
                   int64_t width) {
    Doubles g = product(x, gate, width, dim);
    const Doubles u = product(x, up, width, dim);
    for (size_t i = 0; i < g.size(); i++) {
        g[i] = g[i] / (1 + std::exp(-g[i])) * u[i];
    }
    return product(g, down, dim, width);
}

// Products whose sums are of order 1 (rows of deviation 1, weights of deviation 1 / sqrt(cols)):
//   float types:  rounding of the activations and of each sum, well below 1e-5 for up to some
//   thousands of terms block types:  activations are rounded to steps of 1/127 of the largest in
//   their block. A row times a random norm
//                 reaches 6 deviations: an error of 6 / 127 / sqrt(12) = 0.014 deviations per
//                 element and so per sum; among tens of thousands of sums, six of those. Over all
//                 of them it shows as a cosine of 1 - 1e-4.
// `scale`: products in a row. Behind a GLU the errors of gate, up and down add up to some 0.023:
// scale 2.
inline Tolerance product_tolerance(DType weight, double scale = 1) {
    const bool exact = weight == DType::f32 || weight == DType::f16 || weight == DType::bf16;
    return exact ? Tolerance{2e-5 * scale, 2e-5, 0.999999} : Tolerance{0.085 * scale, 0, 0.9995};
}

inline bool same_bits(std::span<const float> a, std::span<const float> b);

// Rows that a call made among `tokens` and another made alone: the same bits, or, of so many tokens
// that the backend may take another form, as close as two forms are.
inline bool rows_agree(const kernels::Backend& backend,
                       int64_t tokens,
                       std::span<const float> a,
                       std::span<const float> b) {
    if (tokens < backend.same_bits_below()) {
        return same_bits(a, b);
    }
    double error = 0, size = 0;
    for (size_t i = 0; i < a.size(); i++) {
        error += (double(a[i]) - b[i]) * (double(a[i]) - b[i]);
        size += double(b[i]) * b[i];
    }
    return a.size() == b.size() && error <= 5e-4 * size;
}

inline bool same_bits(std::span<const float> a, std::span<const float> b) {
    return std::ranges::equal(std::as_bytes(a), std::as_bytes(b));
}

inline constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

}  // namespace tests
