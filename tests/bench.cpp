// bench: speed of single operations. Not run by ctest.
//
//   bench ops [TYPE...] [--variant NAME] [--size M K]
//
// Single-threaded. For each weight type and each variant of the products: GB/s of weights read for
// one activation row (decoding) and GFLOP/s for 512 (prompts); medians of several runs, each over
// enough weights not to stay in the caches.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/cpu/matmul.h"
#include "kernels/cpu/matmul_variants.h"
#include "kernels/quants/blocks.h"

using kernels::DType;

namespace {

// Processor time, so that a loaded machine is measured fairly; caches and memory are still shared.
double median_seconds(int runs, const std::function<void()>& body) {
    std::vector<double> seconds;
    for (int i = 0; i < runs; i++) {
        const std::clock_t begin = std::clock();
        body();
        seconds.push_back(static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC);
    }
    std::nth_element(seconds.begin(), seconds.begin() + runs / 2, seconds.end());
    return seconds[static_cast<size_t>(runs / 2)];
}

struct Free {
    void operator()(void* memory) const { std::free(memory); }
};
using Memory = std::unique_ptr<std::byte, Free>;

Memory allocate(int64_t bytes) {
    return Memory(
        static_cast<std::byte*>(std::aligned_alloc(64, static_cast<size_t>(bytes + 63) / 64 * 64)));
}

// Random codes; speed does not depend on the values, but denormal or infinite scales would be odd.
template <DType type>
Memory random_weights(int64_t elements) {
    using Block = kernels::BlockOf<type>;
    const int64_t blocks = elements / Block::kElements;
    Memory memory = allocate(blocks * static_cast<int64_t>(sizeof(Block)));
    std::mt19937_64 random(1);
    for (int64_t b = 0; b < blocks; b++) {
        Block block;
        unsigned char bytes[(sizeof(Block) + 7) / 8 * 8];
        for (size_t i = 0; i < sizeof(bytes); i += 8) {
            const uint64_t word = random();
            std::memcpy(bytes + i, &word, 8);
        }
        std::memcpy(&block, bytes, sizeof(Block));
        if constexpr (Block::kElements == 1) {
            const float value = 0.01F * static_cast<float>(b % 13 - 6);
            quantize(&value, block);
        }
        if constexpr (requires { block.d; }) {
            block.d = 0x2000;
        }
        if constexpr (requires { block.m; }) {
            block.m = 0x2000;
        }
        if constexpr (requires { block.dmin; }) {
            block.dmin = 0x2000;
        }
        if constexpr (requires { block.e; }) {
            block.e = 120;
        }
        std::memcpy(memory.get() + b * static_cast<int64_t>(sizeof(Block)), &block, sizeof(Block));
    }
    return memory;
}

struct Options {
    std::vector<std::string> types;
    std::string variant;
    int64_t M = 2048;
    int64_t K = 2048;
};

template <DType type>
void bench_type(const Options& options) {
    const std::string name(kernels::name(type));
    if (!options.types.empty() &&
        std::find(options.types.begin(), options.types.end(), name) == options.types.end()) {
        return;
    }
    constexpr int64_t kRows = 512;
    const int64_t M = options.M, K = options.K;
    // One row reads enough different weights (64 MB) that few are still in a cache.
    const int64_t one = kernels::row_bytes(type, K) * M;
    const int64_t copies = std::max<int64_t>(1, (int64_t{64} << 20) / one);
    const Memory first = random_weights<type>(M * K);
    const Memory weights = allocate(one * copies);
    for (int64_t c = 0; c < copies; c++) {
        std::memcpy(weights.get() + c * one, first.get(), static_cast<size_t>(one));
    }
    const auto format = kernels::cpu::activation_format(type);
    const int64_t row_bytes = kernels::cpu::activation_row_bytes(format, K);
    const Memory activations = allocate(row_bytes * kRows);
    std::vector<float> row(static_cast<size_t>(K));
    std::vector<const std::byte*> x;
    for (int64_t t = 0; t < kRows; t++) {
        for (int64_t k = 0; k < K; k++) {
            row[static_cast<size_t>(k)] = static_cast<float>((k * 7 + t * 13) % 41 - 20);
        }
        std::byte* dst = activations.get() + t * row_bytes;
        kernels::cpu::pack_activation(format, row.data(), K, dst);
        x.push_back(dst);
    }
    std::vector<float> out(static_cast<size_t>(kRows * M));
    for (auto v = kernels::cpu::matmul_variants(); *v != nullptr; v++) {
        if (!options.variant.empty() && options.variant != (*v)->name) {
            continue;
        }
        const auto run = [&](int64_t copy, int64_t rows) {
            const kernels::cpu::MatmulJob job = {
                out.data(), M, weights.get() + copy * one, one / M, K, 0, M, x.data(), rows};
            kernels::cpu::matmul_rows_with(**v, job, type);
        };
        const double decode = median_seconds(5, [&] {
            for (int64_t c = 0; c < copies; c++) {
                run(c, 1);
            }
        });
        int64_t copy = 0;
        const double prompt = median_seconds(3, [&] { run(copy++ % copies, kRows); });
        const double bytes = static_cast<double>(one * copies);
        std::printf(
            "%-8s %-14s %8.1f GB/s (1 row) %8.1f GFLOP/s (1 row) %8.1f GFLOP/s (512 rows)\n",
            name.c_str(), (*v)->name, bytes / decode * 1e-9,
            2e-9 * static_cast<double>(M * K * copies) / decode,
            2e-9 * static_cast<double>(M * K * kRows) / prompt);
        std::fflush(stdout);
    }
}

void bench_pack(const Options& options) {
    const int64_t K = options.K;
    const std::vector<float> row(static_cast<size_t>(K), 0.5F);
    const Memory dst =
        allocate(kernels::cpu::activation_row_bytes(kernels::cpu::ActivationFormat::q8_32, K));
    for (auto v = kernels::cpu::matmul_variants(); *v != nullptr; v++) {
        constexpr int kTimes = 1000;
        const double seconds = median_seconds(9, [&] {
            for (int i = 0; i < kTimes; i++) {
                (*v)->pack_q8_32(row.data(), K, dst.get());
            }
        });
        std::printf("pack     %-14s %8.1f ns a row of %lld\n", (*v)->name, seconds / kTimes * 1e9,
                    static_cast<long long>(K));
    }
}

}  // namespace

int main(int argc, char** argv) {
    Options options;
    int i = 1;
    if (argc < 2 || std::string_view(argv[i++]) != "ops") {
        std::fprintf(stderr, "usage: bench ops [TYPE...] [--variant NAME] [--size M K]\n");
        return 2;
    }
    for (; i < argc; i++) {
        const std::string_view argument = argv[i];
        if (argument == "--variant" && i + 1 < argc) {
            options.variant = argv[++i];
        } else if (argument == "--size" && i + 2 < argc) {
            options.M = std::max(1L, std::strtol(argv[++i], nullptr, 10));
            options.K = std::max(256L, std::strtol(argv[++i], nullptr, 10) / 256 * 256);
        } else {
            options.types.emplace_back(argument);
        }
    }
    bench_pack(options);
#define KERNELS_X(enumerator, ...)                   \
    if constexpr (DType::enumerator != DType::i32) { \
        bench_type<DType::enumerator>(options);      \
    }
    KERNELS_DTYPES(KERNELS_X)
#undef KERNELS_X
    return 0;
}
