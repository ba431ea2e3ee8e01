// Products with packed weights: every type, in every variant this machine can run, against double
// loops; and that no bit of an element depends on the other rows or on how the work is split.
#include "kernels/cpu/matmul.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "kernels/cpu/matmul_variants.h"
#include "kernels/quants/blocks.h"
#include "kernels/quants/quants.h"
#include "tests/support/catch.h"

using namespace kernels;       // NOLINT(google-build-using-namespace)
using namespace kernels::cpu;  // NOLINT(google-build-using-namespace)

#ifdef TEST_AVX_VNNI_EMULATED
namespace kernels::cpu {
extern const MatmulVariant kMatmulAvxVnniEmulated;
}
#endif

namespace {

constexpr float kGuard = -12345.5F;

template <typename Function>
void for_each_variant(const Function& function) {
    for (const MatmulVariant* const* v = matmul_variants(); *v != nullptr; v++) {
        INFO((*v)->name);
        function(**v);
    }
#ifdef TEST_AVX_VNNI_EMULATED
    if (kMatmulAvxVnniEmulated.supported()) {
        INFO(kMatmulAvxVnniEmulated.name);
        function(kMatmulAvxVnniEmulated);
    }
#endif
}

constexpr int kRandom = -1;

// Packed rows of random codes, or of bytes that are all `fill`, with scales that give weights of
// ordinary size. The allocation ends
// with the last row, so that a read past it is seen by the sanitizer; rows lie `gap` bytes apart,
// filled with bits that are NaN as a half and as a float, and begin at an odd address.
struct Weights {
    DType type;
    int64_t rows, cols, stride;
    std::vector<std::byte> memory;

    std::byte* data() { return memory.data() + 1; }
    TensorView view() {
        TensorView v(data(), type, {rows, cols});
        v.stride_bytes[0] = stride;
        return v;
    }
};

template <DType type>
Weights make_weights(int64_t rows, int64_t cols, int64_t gap, uint32_t seed, int fill) {
    using Block = BlockOf<type>;
    std::mt19937 random(seed);
    std::normal_distribution<float> normal(0, 0.02F);
    const int64_t bytes = row_bytes(type, cols);
    Weights w{type, rows, cols, bytes + gap, {}};
    w.memory.assign(static_cast<size_t>(1 + rows * w.stride - (rows > 0 ? gap : 0)),
                    std::byte{0xFF});
    for (int64_t m = 0; m < rows; m++) {
        for (int64_t b = 0; b < cols / Block::kElements; b++) {
            Block block;
            auto* raw = reinterpret_cast<unsigned char*>(&block);
            for (size_t i = 0; i < sizeof(Block); i++) {
                raw[i] = static_cast<unsigned char>(fill == kRandom ? random() : fill);
            }
            if constexpr (Block::kElements == 1) {
                const float value = normal(random);
                quantize(&value, block);
            }
            if constexpr (requires { block.d; }) {
                block.d = f32_to_f16(normal(random));
            }
            if constexpr (requires { block.m; }) {
                block.m = f32_to_f16(4 * normal(random));
            }
            if constexpr (requires { block.dmin; }) {
                block.dmin = f32_to_f16(4 * normal(random));
            }
            if constexpr (requires { block.e; }) {
                block.e = static_cast<uint8_t>(118 + random() % 10);
            }
            std::memcpy(w.data() + m * w.stride + b * static_cast<int64_t>(sizeof(Block)), &block,
                        sizeof(Block));
        }
    }
    return w;
}

// For each weight of a row: its value and the sum of the magnitudes it is made of (a minimum may
// cancel most of the rest; rounding errors are relative to the parts).
template <DType type>
void exact_row(const std::byte* src,
               int64_t cols,
               std::vector<double>& value,
               std::vector<double>& size) {
    using Block = BlockOf<type>;
    value.resize(static_cast<size_t>(cols));
    size.resize(static_cast<size_t>(cols));
    std::vector<float> floats(static_cast<size_t>(cols));
    dequantize_row(type, src, floats.data(), cols);
    for (int64_t k = 0; k < cols; k++) {
        const auto at = static_cast<size_t>(k);
        value[at] = floats[at];
        size[at] = std::abs(value[at]);
        if constexpr (Block::kElements > 1) {
            if constexpr (Block::kMinimum) {
                Block block;
                std::memcpy(&block,
                            src + k / Block::kElements * static_cast<int64_t>(sizeof(Block)),
                            sizeof(Block));
                IntegerBlock<Block::kElements> w;
                unpack(block, w);
                const auto i = static_cast<size_t>(k % Block::kElements);
                double scaled = w.scale[i / 32] * w.q[i], minimum = w.minimum[i / 32];
                if constexpr (Block::kSubScales) {
                    scaled *= w.sub_scale[i / 16];
                    minimum *= w.sub_minimum[i / 16];
                }
                size[at] = std::abs(scaled) + std::abs(minimum);
            }
        }
    }
}

// What a test needs of a type, behind function pointers: the tests themselves are compiled once,
// not once per type.
struct WeightType {
    DType type;
    int64_t block;
    Weights (*make)(int64_t rows, int64_t cols, int64_t gap, uint32_t seed, int fill);
    void (*exact_row)(const std::byte* src,
                      int64_t cols,
                      std::vector<double>& value,
                      std::vector<double>& size);

    Weights random(int64_t rows, int64_t cols, int64_t gap, uint32_t seed) const {
        return make(rows, cols, gap, seed, kRandom);
    }
};

std::vector<WeightType> weight_types() {
    std::vector<WeightType> types;
#define KERNELS_X(enumerator, text, id, elements, bytes, block)                        \
    if constexpr (DType::enumerator != DType::i32) {                                   \
        types.push_back({DType::enumerator, elements, make_weights<DType::enumerator>, \
                         exact_row<DType::enumerator>});                               \
    }
    KERNELS_DTYPES(KERNELS_X)
#undef KERNELS_X
    return types;
}

template <typename Function>
void for_each_weight_type(const Function& function) {
    for (const WeightType& type : weight_types()) {
        INFO(name(type.type));
        function(type);
    }
}

struct Aligned {
    explicit Aligned(int64_t bytes)
        : memory(static_cast<std::byte*>(
                     std::aligned_alloc(64, static_cast<size_t>(bytes + 63) / 64 * 64)),
                 std::free) {}
    std::unique_ptr<std::byte, decltype(&std::free)> memory;
};

// Activation rows in both forms.
struct Activations {
    std::vector<std::vector<float>> rows;
    std::vector<Aligned> memory;
    std::vector<const std::byte*> packed;
};

Activations pack(const MatmulVariant& variant, DType weight, std::vector<std::vector<float>> rows) {
    Activations x;
    x.rows = std::move(rows);
    const ActivationFormat format = activation_format(weight);
    for (const auto& row : x.rows) {
        const auto cols = static_cast<int64_t>(row.size());
        x.memory.emplace_back(std::max<int64_t>(64, activation_row_bytes(format, cols)));
        std::byte* dst = x.memory.back().memory.get();
        if (format == ActivationFormat::f32) {
            pack_activation(format, row.data(), cols, dst);
        } else {
            variant.pack_q8_32(row.data(), cols, dst);
        }
        x.packed.push_back(dst);
    }
    return x;
}

std::vector<std::vector<float>> random_rows(int64_t n, int64_t cols, uint32_t seed) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal(0, 1);
    std::vector<std::vector<float>> rows(static_cast<size_t>(n),
                                         std::vector<float>(static_cast<size_t>(cols)));
    for (auto& row : rows) {
        for (size_t k = 0; k < row.size(); k++) {
            row[k] = normal(random) * (k % 97 == 5 ? 30.0F : 1.0F);
        }
    }
    return rows;
}

std::vector<float> multiply(const MatmulVariant& variant,
                            Weights& w,
                            const Activations& x,
                            int64_t m_begin,
                            int64_t m_end,
                            int64_t first_row,
                            int64_t n_rows,
                            int64_t out_stride) {
    std::vector<float> out(static_cast<size_t>(std::max<int64_t>(0, n_rows * out_stride) + 3),
                           kGuard);
    const MatmulJob job = {out.data(), out_stride, w.data(), w.stride,
                           w.cols,     m_begin,    m_end,    x.packed.data() + first_row,
                           n_rows};
    matmul_rows_with(variant, job, w.type);
    for (size_t i = 0; i < out.size(); i++) {
        const auto at = static_cast<int64_t>(i);
        if (at >= n_rows * out_stride || at % out_stride >= m_end - m_begin) {
            REQUIRE(out[i] == kGuard);
        }
    }
    return out;
}

void check_values(const MatmulVariant& variant,
                  const WeightType& type,
                  Weights w,
                  std::vector<std::vector<float>> rows) {
    const int64_t cols = w.cols, m_count = w.rows, n_rows = std::ssize(rows);
    CAPTURE(cols, m_count, n_rows);
    const Activations x = pack(variant, type.type, std::move(rows));
    const int64_t stride = m_count + 3;
    const std::vector<float> out = multiply(variant, w, x, 0, m_count, 0, n_rows, stride);

    const bool floats = activation_format(type.type) == ActivationFormat::f32;
    // Rounding steps a part of the result goes through, each at most 2^-24 of the sum of
    // magnitudes: additions to its lane (twice as many with minima), 4 of the lanes with each
    // other, at most 4 of a term itself (dequantised weight, product of scales, weighted sum,
    // product).
    const double additions = floats ? std::ceil(static_cast<double>(cols) / 8)
                                    : 2 * std::ceil(static_cast<double>(cols) / 256);
    const double rounding = (additions + 8) * 0x1p-24 * 1.001;
    std::vector<double> value, size;
    for (int64_t m = 0; m < m_count; m++) {
        type.exact_row(w.data() + m * w.stride, cols, value, size);
        for (int64_t t = 0; t < n_rows; t++) {
            const std::vector<float>& exact = x.rows[static_cast<size_t>(t)];
            double want = 0, magnitude = 0, want_exact = 0, half_steps = 0;
            for (int64_t k = 0; k < cols; k++) {
                const auto at = static_cast<size_t>(k);
                double activation = exact[at];
                if (!floats) {
                    const PackedRow row = packed_row(x.packed[static_cast<size_t>(t)], cols);
                    activation = static_cast<double>(row.scale[k / 32]) * row.q[k];
                    // Half a step, and what float rounding of a code near 127 adds.
                    half_steps += std::abs(value[at]) * row.scale[k / 32] * (0.5 + 127 * 0x1p-22);
                }
                want += value[at] * activation;
                magnitude += size[at] * std::abs(activation);
                want_exact += value[at] * exact[at];
            }
            const double got = out[static_cast<size_t>(t * stride + m)];
            CAPTURE(t, m, got, want, want_exact, magnitude);
            REQUIRE(std::abs(got - want) <= rounding * magnitude);
            REQUIRE(std::abs(got - want_exact) <= rounding * magnitude + half_steps);
        }
    }
}

void check_values(const MatmulVariant& variant,
                  const WeightType& type,
                  int64_t cols,
                  int64_t m_count,
                  int64_t n_rows) {
    check_values(variant, type, type.random(m_count, cols, cols % 2 == 0 ? 6 : 0, 11),
                 random_rows(n_rows, cols, 12));
}

}  // namespace

TEST_CASE("products equal double loops over the dequantised operands") {
    for_each_variant([](const MatmulVariant& variant) {
        for_each_weight_type([&](const WeightType& type) {
            const int64_t block = type.block;
            check_values(variant, type, block, 3, 2);
            check_values(variant, type, 256, 33, 5);
            check_values(variant, type, 768, 21, 9);
            check_values(variant, type, 2048, 5, 3);
            check_values(variant, type, 16640, 3, 2);  // wider than activations are rearranged for
            if (block <= 32) {
                check_values(variant, type, 192, 18, 7);
                check_values(variant, type, 32, 17, 8);
                check_values(variant, type, 288, 40, 4);
            }
            if (block == 1) {
                check_values(variant, type, 7, 9, 5);
                check_values(variant, type, 63, 9, 5);
                check_values(variant, type, 65, 6, 6);
            }
        });
    });
}

// The largest sums there are: every code its type's largest or least, every activation 127 or -127.
TEST_CASE("sums of the largest products do not overflow") {
    for_each_variant([](const MatmulVariant& variant) {
        for_each_weight_type([&](const WeightType& type) {
            for (int fill : {0x00, 0x7F, 0x80, 0x88, 0xFF}) {
                CAPTURE(fill);
                for (int64_t n : {1, 2, 7, 8, 12}) {
                    std::vector<std::vector<float>> rows(static_cast<size_t>(n),
                                                         std::vector<float>(512, 1.0F));
                    for (size_t t = 0; t < rows.size(); t++) {
                        for (size_t k = 0; k < 512; k++) {
                            // All of one sign, or the signs of each 16 in turn.
                            rows[t][k] = t % 3 == 0                      ? 1.0F
                                         : t % 3 == 1 || k / 16 % 2 == 0 ? -1.0F
                                                                         : 1.0F;
                        }
                    }
                    check_values(variant, type, type.make(18, 512, 6, 61, fill), std::move(rows));
                }
            }
        });
    });
}

TEST_CASE("an element has the same bits whatever the rows beside it and the split of the weights") {
    constexpr int64_t kMost = 513;
    for_each_variant([](const MatmulVariant& variant) {
        for_each_weight_type([&](const WeightType& type) {
            const int64_t block = type.block;
            const int64_t cols = block == 1 ? 71 : block == 32 ? 352 : 512;
            const int64_t m_count = 35;
            Weights w = type.random(m_count, cols, 2, 21);
            const Activations x = pack(variant, type.type, random_rows(kMost, cols, 22));
            std::vector<float> alone;
            for (int64_t t = 0; t < kMost; t++) {
                const std::vector<float> row = multiply(variant, w, x, 0, m_count, t, 1, m_count);
                alone.insert(alone.end(), row.begin(), row.begin() + m_count);
            }
            const auto same = [&](int64_t begin, int64_t end, int64_t first, int64_t n) {
                CAPTURE(begin, end, first, n);
                const std::vector<float> out =
                    multiply(variant, w, x, begin, end, first, n, end - begin + 1);
                int64_t wrong = 0;
                for (int64_t t = 0; t < n; t++) {
                    for (int64_t m = begin; m < end; m++) {
                        const float got =
                            out[static_cast<size_t>(t * (end - begin + 1) + m - begin)];
                        const float want = alone[static_cast<size_t>((first + t) * m_count + m)];
                        wrong +=
                            std::bit_cast<uint32_t>(got) != std::bit_cast<uint32_t>(want) ? 1 : 0;
                    }
                }
                REQUIRE(wrong == 0);
            };
            for (int64_t n : {1, 2, 3, 4, 5, 6, 7, 8, 9, 31, 64, 513}) {
                same(0, m_count, kMost - n, n);
            }
            for (const auto& [begin, end] :
                 {std::pair{0, 1}, {1, 2}, {3, 10}, {5, 21}, {16, 32}, {34, 35}, {7, 35}}) {
                for (int64_t n : {1, 3, 8, 20}) {
                    same(begin, end, 13, n);
                }
            }
        });
    });
}

TEST_CASE("no rows and no weights are no work") {
    for_each_variant([](const MatmulVariant& variant) {
        for_each_weight_type([&](const WeightType& type) {
            Weights w = type.random(4, 256, 0, 1);
            const Activations x = pack(variant, type.type, random_rows(3, 256, 2));
            multiply(variant, w, x, 0, 4, 0, 0, 4);
            multiply(variant, w, x, 2, 2, 0, 3, 4);
            Weights empty = type.random(3, 0, 0, 1);
            const Activations nothing = pack(variant, type.type, random_rows(9, 0, 2));
            const std::vector<float> out = multiply(variant, empty, nothing, 0, 3, 0, 9, 3);
            CHECK(std::all_of(out.begin(), out.end() - 3, [](float v) { return v == 0; }));
        });
    });
}

TEST_CASE("values that are not finite reach the rows they are in and no other") {
    const float inf = std::numeric_limits<float>::infinity();
    for_each_variant([&](const MatmulVariant& variant) {
        for_each_weight_type([&](const WeightType& type) {
            Weights w = type.random(20, 256, 0, 31);
            std::vector<std::vector<float>> rows = random_rows(11, 256, 32);
            const Activations clean = pack(variant, type.type, rows);
            rows[2][100] = std::nanf("");
            rows[5][255] = inf;
            rows[9][0] = -inf;
            const Activations dirty = pack(variant, type.type, rows);
            const std::vector<float> a = multiply(variant, w, clean, 0, 20, 0, 11, 20);
            const std::vector<float> b = multiply(variant, w, dirty, 0, 20, 0, 11, 20);
            for (size_t i = 0; i < 220; i++) {
                CAPTURE(i);
                if (i / 20 == 2 || i / 20 == 5 || i / 20 == 9) {
                    REQUIRE_FALSE(std::isfinite(b[i]));
                } else {
                    REQUIRE(std::bit_cast<uint32_t>(a[i]) == std::bit_cast<uint32_t>(b[i]));
                }
            }
        });
    });
}

TEST_CASE("activations of any size round to the nearest code, the same in every variant") {
    std::vector<std::vector<float>> rows;
    for (float size : {1e-45F, 1e-42F, 1e-38F, 1e-33F, 1e-30F, 1.0F, 1e30F, 3e38F}) {
        std::vector<float> row = random_rows(1, 288, 41)[0];
        float largest = 0;
        for (float value : row) {
            largest = std::max(largest, std::abs(value));
        }
        for (float& value : row) {
            value = value / largest * size;
        }
        rows.push_back(row);
    }
    rows.emplace_back(288, 0.0F);
    rows.emplace_back(288, -0.0F);
    const Activations first = pack(kMatmulPortable, DType::q8_0, rows);
    const int64_t bytes = activation_row_bytes(ActivationFormat::q8_32, 288);
    CHECK(bytes % 64 == 0);
    for (size_t r = 0; r < rows.size(); r++) {
        CAPTURE(r);
        const PackedRow row = packed_row(first.packed[r], 288);
        for (size_t p = 0; p < 9; p++) {
            int sum[2] = {0, 0};
            for (size_t i = 0; i < 32; i++) {
                const size_t k = 32 * p + i;
                const double want = rows[r][k];
                const double got = static_cast<double>(row.scale[p]) * row.q[k];
                // Half a step; where the scale is denormal, 127 times its own rounding of 2^-150.
                REQUIRE(std::abs(got - want) <=
                        row.scale[p] * (0.5 + 127 * 0x1p-22) + 128 * 0x1p-150);
                REQUIRE(std::abs(static_cast<int>(row.q[k])) <= 127);
                sum[i / 16] += row.q[k];
            }
            CHECK(row.sum[2 * p] == sum[0]);
            CHECK(row.sum[2 * p + 1] == sum[1]);
            CHECK(row.weighted_sum[p] == row.scale[p] * static_cast<float>(sum[0] + sum[1]));
        }
        for (size_t p = 9; p < 16; p++) {
            CHECK(row.scale[p] == 0.0F);
            CHECK(row.weighted_sum[p] == 0.0F);
        }
    }
    for_each_variant([&](const MatmulVariant& variant) {
        const Activations other = pack(variant, DType::q8_0, rows);
        for (size_t r = 0; r < rows.size(); r++) {
            // 512 codes, 16 scales, 16 weighted sums, 32 sums; the rest of the row is padding.
            CHECK(std::memcmp(first.packed[r], other.packed[r], 512 + 64 + 64 + 64) == 0);
        }
    });
}

TEST_CASE("the public entry chooses the best variant and refuses what it cannot multiply") {
    const MatmulVariant& best = *matmul_variants()[0];
    CHECK(simd_name() == best.name);
    for_each_weight_type([&](const WeightType& type) {
        Weights w = type.random(10, 256, 4, 51);
        const Activations x = pack(best, type.type, random_rows(3, 256, 52));
        const std::vector<float> want = multiply(best, w, x, 2, 9, 0, 3, 8);
        std::vector<float> got(want.size(), kGuard);
        matmul_rows(got.data(), 8, w.view(), 2, 9, x.packed.data(), 3);
        CHECK(got == want);
        CHECK_THROWS_AS(matmul_rows(got.data(), 8, w.view(), 0, 11, x.packed.data(), 3),
                        std::logic_error);
        CHECK_THROWS_AS(matmul_rows(got.data(), 8, w.view()[0], 0, 1, x.packed.data(), 3),
                        std::logic_error);
    });
    std::vector<int32_t> ids(8);
    std::vector<float> out(8);
    const std::byte* none = nullptr;
    CHECK_THROWS_AS(
        matmul_rows(out.data(), 1, TensorView(ids.data(), DType::i32, {2, 4}), 0, 2, &none, 1),
        std::logic_error);
    CHECK_THROWS_AS(activation_format(DType::i32), std::logic_error);
    CHECK_THROWS_AS(pack_activation(ActivationFormat::q8_32, out.data(), 31, nullptr),
                    std::logic_error);
}
