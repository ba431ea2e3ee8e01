// Block formats against golden blocks of an independent implementation, and the 16-bit floats over
// their whole range.
#include "kernels/quants/quants.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "kernels/float16.h"
#include "tests/support/catch.h"

using kernels::DType;

namespace {

constexpr DType kAllTypes[] = {
#define KERNELS_X(name, ...) DType::name,
    KERNELS_DTYPES(KERNELS_X)
#undef KERNELS_X
};

std::vector<char> read_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::vector<float> round_trip(DType type, const std::vector<float>& values) {
    const auto n = static_cast<int64_t>(values.size());
    std::vector<char> packed(static_cast<size_t>(kernels::row_bytes(type, n)) + 8, '\x5A');
    kernels::quantize_row(type, values.data(), packed.data(), n);
    for (size_t i = packed.size() - 8; i < packed.size(); i++) {
        REQUIRE(packed[i] == '\x5A');
    }
    std::vector<float> back(values.size() + 1, 77.0F);
    kernels::dequantize_row(type, packed.data(), back.data(), n);
    REQUIRE(back.back() == 77.0F);
    back.pop_back();
    return back;
}

// The value of a half by its definition, in double.
double half_value(uint16_t bits) {
    const int exponent = bits >> 10 & 31;
    const int mantissa = bits & 1023;
    const double sign = (bits & 0x8000) != 0 ? -1 : 1;
    if (exponent == 31) {
        return mantissa == 0 ? sign * std::numeric_limits<double>::infinity()
                             : std::numeric_limits<double>::quiet_NaN();
    }
    return exponent == 0 ? sign * std::ldexp(mantissa, -24)
                         : sign * std::ldexp(1024 + mantissa, exponent - 25);
}

}  // namespace

TEST_CASE("dequantisation equals the golden values bit for bit, for every weight type") {
    for (DType type : kAllTypes) {
        if (type == DType::i32) {
            continue;
        }
        const auto& info = kernels::info(type);
        INFO(info.name);
        const std::vector<char> file =
            read_file(TESTS_DIR "/golden/quants/" + std::string(info.name) + ".bin");
        const int64_t one = info.block_bytes + 4 * info.block_elements;
        const auto size = static_cast<int64_t>(file.size());
        REQUIRE(size > 0);
        REQUIRE(size % one == 0);
        const int64_t blocks = size / one;
        const int64_t n = blocks * info.block_elements;
        // One byte off, as a file may have it.
        std::vector<char> packed(static_cast<size_t>(blocks * info.block_bytes) + 1);
        std::memcpy(packed.data() + 1, file.data(), packed.size() - 1);
        std::vector<float> got(static_cast<size_t>(n) + 1, 77.0F);
        kernels::dequantize_row(type, packed.data() + 1, got.data(), n);
        CHECK(got.back() == 77.0F);
        std::vector<uint32_t> want(static_cast<size_t>(n));
        std::memcpy(want.data(), file.data() + packed.size() - 1, want.size() * 4);
        for (size_t i = 0; i < want.size(); i++) {
            CAPTURE(i);
            REQUIRE(std::bit_cast<uint32_t>(got[i]) == want[i]);
        }
    }
}

TEST_CASE("MXFP4 goes on with powers of two where the standard has NaN, as ggml does") {
    unsigned char block[17] = {255, 0x10};  // weight 0: code 0, weight 16: code 1, a half
    float values[32];
    kernels::dequantize_row(DType::mxfp4, block, values, 32);
    CHECK(values[0] == 0.0F);
    CHECK(values[16] == 0x1p127F);
}

TEST_CASE("rows that are not whole blocks, and types without arithmetic, are refused") {
    std::vector<char> packed(512);
    std::vector<float> values(512);
    CHECK_THROWS_AS(kernels::dequantize_row(DType::i32, packed.data(), values.data(), 1),
                    std::logic_error);
    CHECK_THROWS_AS(kernels::dequantize_row(DType::q4_k, packed.data(), values.data(), 255),
                    std::logic_error);
    CHECK_THROWS_AS(kernels::dequantize_row(DType::q8_0, packed.data(), values.data(), -32),
                    std::logic_error);
    CHECK_THROWS_AS(kernels::quantize_row(DType::q4_0, values.data(), packed.data(), 31),
                    std::logic_error);
    for (DType type : kAllTypes) {
        INFO(kernels::name(type));
        const bool can = type == DType::f32 || type == DType::f16 || type == DType::bf16 ||
                         type == DType::q8_0 || type == DType::q4_0;
        if (can) {
            CHECK_NOTHROW(kernels::quantize_row(type, values.data(), packed.data(), 32));
        } else {
            CHECK_THROWS_AS(kernels::quantize_row(type, values.data(), packed.data(), 256),
                            std::logic_error);
        }
    }
}

TEST_CASE("every half converts to its value and back to its bits") {
    for (uint32_t bits = 0; bits < 0x10000; bits++) {
        const auto half = static_cast<uint16_t>(bits);
        const double want = half_value(half);
        const float got = kernels::f16_to_f32(half);
        CAPTURE(bits);
        if (std::isnan(want)) {
            REQUIRE(std::isnan(got));
            REQUIRE(std::isnan(half_value(kernels::f32_to_f16(got))));
        } else {
            REQUIRE(static_cast<double>(got) == want);
            REQUIRE(std::signbit(got) == ((bits & 0x8000) != 0));
            REQUIRE(kernels::f32_to_f16(got) == half);
        }
    }
}

TEST_CASE("floats round to the nearest half, ties to the even one") {
    for (uint16_t half = 0; half < 0x7C00; half++) {
        // The neighbour of the largest half, for rounding, is 65536.
        const double low = half_value(half);
        const double high =
            half + 1 == 0x7C00 ? 65536.0 : half_value(static_cast<uint16_t>(half + 1));
        const auto middle = static_cast<float>((low + high) / 2);
        const uint16_t even = (half & 1) == 0 ? half : static_cast<uint16_t>(half + 1);
        CAPTURE(half);
        REQUIRE(kernels::f32_to_f16(middle) == even);
        REQUIRE(kernels::f32_to_f16(-middle) == (even | 0x8000));
        REQUIRE(kernels::f32_to_f16(std::nextafter(middle, 0.0F)) == half);
        REQUIRE(kernels::f32_to_f16(std::nextafter(middle, 1e6F)) == half + 1);
    }
    const float inf = std::numeric_limits<float>::infinity();
    CHECK(kernels::f32_to_f16(inf) == 0x7C00);
    CHECK(kernels::f32_to_f16(-inf) == 0xFC00);
    CHECK(kernels::f32_to_f16(std::numeric_limits<float>::max()) == 0x7C00);
    CHECK(kernels::f32_to_f16(std::numeric_limits<float>::denorm_min()) == 0);
    for (uint32_t payload : {0x7F800001U, 0x7FC00000U, 0xFFFFFFFFU, 0x7F802000U}) {
        CHECK(std::isnan(half_value(kernels::f32_to_f16(std::bit_cast<float>(payload)))));
    }
}

TEST_CASE("floats round to the nearest bfloat16, ties to the even one") {
    for (uint32_t upper = 0; upper < 0x7F80; upper++) {
        const uint32_t even = (upper & 1) == 0 ? upper : upper + 1;
        CAPTURE(upper);
        REQUIRE(kernels::bf16_to_f32(static_cast<uint16_t>(upper)) ==
                std::bit_cast<float>(upper << 16));
        REQUIRE(kernels::f32_to_bf16(std::bit_cast<float>(upper << 16)) == upper);
        REQUIRE(kernels::f32_to_bf16(std::bit_cast<float>(upper << 16 | 0x8000U)) == even);
        REQUIRE(kernels::f32_to_bf16(std::bit_cast<float>(upper << 16 | 0x7FFFU)) == upper);
        REQUIRE(kernels::f32_to_bf16(std::bit_cast<float>(upper << 16 | 0x8001U)) == upper + 1);
        REQUIRE(kernels::f32_to_bf16(std::bit_cast<float>(upper << 16 | 0x80008000U)) ==
                (even | 0x8000U));
    }
    for (uint32_t payload : {0x7F800001U, 0x7FC00000U, 0xFFFFFFFFU, 0xFF800001U}) {
        CHECK(
            std::isnan(kernels::bf16_to_f32(kernels::f32_to_bf16(std::bit_cast<float>(payload)))));
    }
    CHECK(kernels::f32_to_bf16(std::numeric_limits<float>::infinity()) == 0x7F80);
}

TEST_CASE("quantised rows are as close as their codes allow") {
    std::mt19937 random(5);
    for (float size : {1e-3F, 1.0F, 3e4F}) {
        std::normal_distribution<float> normal(0, size);
        std::vector<float> values(32 * 40);
        for (float& value : values) {
            value = normal(random);
        }
        const std::vector<float> q8 = round_trip(DType::q8_0, values);
        const std::vector<float> q4 = round_trip(DType::q4_0, values);
        for (size_t block = 0; block < values.size(); block += 32) {
            float largest = 0;
            for (size_t i = block; i < block + 32; i++) {
                largest = std::max(largest, std::abs(values[i]));
            }
            // Half a step. The step is largest / 127 (or / 8) but for the rounding to half: 2^-11
            // of it, and 2^-25 where it is denormal; 127 (8) times that can be lost at the end of
            // the range.
            const float d8 = largest / 127, d4 = largest / 8;
            for (size_t i = block; i < block + 32; i++) {
                CAPTURE(size, i);
                REQUIRE(std::abs(q8[i] - values[i]) <=
                        d8 * 0.501F + 127 * std::max(d8 * 0x1p-11F, 0x1p-25F));
                // One side of the range ends a whole step early.
                REQUIRE(std::abs(q4[i] - values[i]) <=
                        d4 * 1.001F + 8 * std::max(d4 * 0x1p-11F, 0x1p-25F));
            }
        }
    }
}

TEST_CASE("rounding to float types is exact where it can be, and keeps NaN") {
    const float inf = std::numeric_limits<float>::infinity();
    const std::vector<float> values = {0.0F,     -0.0F,    1.0F, -2.5F, 0x1p-14F,
                                       0x1p-24F, 65504.0F, inf,  -inf};
    for (DType type : {DType::f32, DType::f16, DType::bf16}) {
        INFO(kernels::name(type));
        const std::vector<float> back = round_trip(type, values);
        for (size_t i = 0; i < values.size(); i++) {
            CAPTURE(i);
            if (type != DType::bf16 || values[i] != 65504.0F) {
                CHECK(std::bit_cast<uint32_t>(back[i]) == std::bit_cast<uint32_t>(values[i]));
            }
        }
        CHECK(std::isnan(round_trip(type, {std::nanf("")})[0]));
    }
}

TEST_CASE("zeros, huge, tiny and non-finite rows quantise without surprises") {
    const float inf = std::numeric_limits<float>::infinity();
    for (DType type : {DType::q8_0, DType::q4_0}) {
        INFO(kernels::name(type));
        for (float value : round_trip(type, std::vector<float>(32, 0.0F))) {
            CHECK(value == 0.0F);
        }
        for (float value : round_trip(type, std::vector<float>(32, -0.0F))) {
            CHECK(value == 0.0F);
        }
        for (float value : round_trip(type, std::vector<float>(32, 1e-40F))) {
            CHECK(value == 0.0F);
        }
        for (float value : round_trip(type, std::vector<float>(32, -3e38F))) {
            CHECK(std::isfinite(value));
            CHECK(value <= -8 * 65504.0F);
        }
        std::vector<float> row(64, 1.0F);
        row[7] = inf;
        row[50] = std::nanf("");
        for (float value : round_trip(type, row)) {
            CHECK(std::isnan(value));
        }
        row[7] = 1.0F;
        const std::vector<float> back = round_trip(type, row);
        CHECK(std::isfinite(back[0]));
        CHECK(std::isnan(back[32]));
        CHECK(round_trip(type, {}).empty());
    }
}
