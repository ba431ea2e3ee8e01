// Reads the oracle's .vec files (little-endian):
//   char magic[8] "GLMVEC01" | u32 n, u32 0 | n x { char name[40]; u32 type, n_dims, dims[4]; u64
//   offset, bytes }
// type 0 is float32, 1 is int32; everything else is data.
#pragma once

#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace tests {

class GoldenVectors {
public:
    struct Array {
        bool integers = false;
        std::vector<int64_t> shape;
        std::vector<float> f32;
        std::vector<int32_t> i32;

        std::span<const float> row(int64_t index) const {
            const int64_t n = static_cast<int64_t>(f32.size()) / shape[0];
            return std::span(f32).subspan(static_cast<size_t>(index * n), static_cast<size_t>(n));
        }
    };

    explicit GoldenVectors(const std::string& path) {
        std::ifstream in(path, std::ios::binary);
        const std::string bytes{std::istreambuf_iterator<char>(in), {}};
        const auto u32 = [&](size_t at) { return read<uint32_t>(bytes, at); };
        if (bytes.size() < 16 || bytes.compare(0, 8, "GLMVEC01") != 0) {
            throw std::runtime_error("not a .vec file: " + path);
        }
        for (size_t i = 0; i < u32(8); i++) {
            const size_t entry = 16 + 80 * i;
            Array array;
            array.integers = u32(entry + 40) == 1;
            for (size_t d = 0; d < u32(entry + 44); d++) {
                array.shape.push_back(u32(entry + 48 + 4 * d));
            }
            const auto offset = read<uint64_t>(bytes, entry + 64),
                       size = read<uint64_t>(bytes, entry + 72);
            if (offset > bytes.size() || size > bytes.size() - offset) {
                throw std::runtime_error("truncated: " + path);
            }
            array.f32.resize(array.integers ? 0 : size / 4);
            array.i32.resize(array.integers ? size / 4 : 0);
            std::memcpy(array.integers ? static_cast<void*>(array.i32.data()) : array.f32.data(),
                        bytes.data() + offset, size);
            arrays_[std::string(bytes.c_str() + entry)] = std::move(array);
        }
    }

    const Array& operator[](const std::string& name) const { return arrays_.at(name); }

private:
    template <typename T>
    static T read(const std::string& bytes, size_t at) {
        T value;
        if (at + sizeof value > bytes.size()) {
            throw std::runtime_error("truncated .vec file");
        }
        std::memcpy(&value, bytes.data() + at, sizeof value);
        return value;
    }

    std::map<std::string, Array> arrays_;
};

}  // namespace tests
