// bench: speed of single operations. Not run by ctest.
//
//   bench ops [TYPE...] [--variant NAME] [--size M K]
//   bench attention [TYPE...] [--depth N]
//
// Single-threaded. For each weight type and each variant of the products: GB/s of weights read for
// one, two and eight activation rows (decoding alone and together) and GFLOP/s for 32, 64 (an
// expert's share of a prompt) and 512; medians of several runs, each over enough weights not to
// stay in the caches. All but the last take the weights in pieces of 64 rows, as a thread gets
// them.
//
// attention: one token, and 64 of one sequence, behind N cached ones in the model's shape, for each
// type of K row: microseconds a token and layer, GB/s of K rows read for one.
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

#include "kernels/backend.h"
#include "kernels/cpu/matmul.h"
#include "kernels/cpu/matmul_variants.h"
#include "kernels/k_row.h"
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
    int64_t depth = 4096;
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
        const auto run = [&](int64_t copy, int64_t rows, int64_t piece) {
            for (int64_t m = 0; m < M; m += piece) {
                const kernels::cpu::MatmulJob job = {out.data() + m,
                                                     M,
                                                     weights.get() + copy * one,
                                                     one / M,
                                                     K,
                                                     m,
                                                     std::min(m + piece, M),
                                                     x.data(),
                                                     rows};
                kernels::cpu::matmul_rows_with(**v, job, type);
            }
        };
        const auto decode = [&](int64_t rows) {
            const double seconds = median_seconds(5, [&] {
                for (int64_t c = 0; c < copies; c++) {
                    run(c, rows, 64);
                }
            });
            return static_cast<double>(one * copies) / seconds * 1e-9;
        };
        const double together[] = {decode(1), decode(2), decode(8)};
        int64_t copy = 0;
        const auto prompt = [&](int64_t rows, int64_t piece) {
            const double seconds = median_seconds(3, [&] { run(copy++ % copies, rows, piece); });
            return 2e-9 * static_cast<double>(M * K * rows) / seconds;
        };
        const double many[] = {prompt(32, 64), prompt(64, 64), prompt(kRows, M)};
        std::printf(
            "%-8s %-14s %6.1f, %6.1f, %6.1f GB/s (1, 2, 8 rows) %7.1f, %7.1f, %7.1f GFLOP/s (32, "
            "64, "
            "512 rows)\n",
            name.c_str(), (*v)->name, together[0], together[1], together[2], many[0], many[1],
            many[2]);
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

void bench_attention(const Options& options, const kernels::KType& type) {
    if (!options.types.empty() &&
        std::find(options.types.begin(), options.types.end(), name(type)) == options.types.end()) {
        return;
    }
    constexpr int64_t kHeads = 20, kNope = 192, kRotary = 64, kLatent = 512, kValue = 256;
    constexpr int64_t kMany = 64, kPage = kernels::kPageTokens;
    const auto backend = kernels::make_cpu_backend({1, 1});
    // Layers beside each other, each read in turn: far more than a cache holds.
    const int64_t row = kernels::k_row_bytes(type, kLatent, kRotary);
    const int64_t pages = (options.depth + kMany + kPage - 1) / kPage;
    const int64_t layers = std::max<int64_t>(2, (int64_t{64} << 20) / (pages * kPage * row));
    const kernels::Buffer memory =
        backend->allocate(pages * layers * kPage * row, kernels::MemoryUse::kv_cache);
    std::mt19937 random(1);
    std::normal_distribution<float> normal(0, 1);
    std::vector<float> numbers(kLatent + kRotary);
    for (int64_t r = 0; r < kPage; r++) {
        std::generate(numbers.begin(), numbers.end(), [&] { return normal(random); });
        kernels::pack_k_row(type, numbers.data(), kLatent, kRotary, memory.data() + r * row);
    }
    std::vector<std::byte*> addresses;
    std::vector<int32_t> table;
    for (int64_t p = 0; p < pages; p++) {
        addresses.push_back(memory.data() + p * layers * kPage * row);
        table.push_back(static_cast<int32_t>(p));
        for (int64_t l = p == 0 ? 1 : 0; l < layers; l++) {
            std::memcpy(addresses.back() + l * kPage * row, memory.data(),
                        static_cast<size_t>(kPage * row));
        }
    }
    const auto floats = [&](int64_t count) {
        std::vector<float> values(static_cast<size_t>(count));
        std::generate(values.begin(), values.end(), [&] { return normal(random); });
        return values;
    };
    std::vector<float> q = floats(kMany * kHeads * (kNope + kRotary));
    std::vector<float> heads(static_cast<size_t>(kMany * kHeads * kValue));
    const Memory k_b = random_weights<DType::q8_0>(kHeads * kLatent * kNope);
    const Memory v_b = random_weights<DType::q8_0>(kHeads * kValue * kLatent);
    const auto microseconds = [&](int64_t n) {
        const kernels::SequenceSpan span{0, n, options.depth, table};
        int64_t layer = 0;
        const auto once = [&] {
            kernels::KPages view{
                addresses.data(), layer++ % layers * kPage * row, row, type.dtype, kLatent, kRotary,
                type.int8_latent};
            backend->mla_attend(
                kernels::TensorView(heads.data(), DType::f32, {n, kHeads, kValue}),
                kernels::TensorView(q.data(), DType::f32, {n, kHeads, kNope + kRotary}),
                kernels::TensorView(k_b.get(), DType::q8_0, {kHeads, kLatent, kNope}),
                kernels::TensorView(v_b.get(), DType::q8_0, {kHeads, kValue, kLatent}), view,
                {{&span, 1}, n}, 0.0625F);
        };
        once();
        const int times = n == 1 ? 20 : 3;
        const double seconds = median_seconds(5, [&] {
            for (int i = 0; i < times; i++) {
                once();
            }
        });
        return seconds / static_cast<double>(times * n) * 1e6;
    };
    const double one = microseconds(1), many = microseconds(kMany);
    std::printf("attention %-9s @ %lld %8.1f us (1 token, %.1f GB/s) %8.1f us (of 64)\n",
                name(type).c_str(), static_cast<long long>(options.depth), one,
                static_cast<double>(options.depth * row) / one * 1e-3, many);
    std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
    Options options;
    int i = 1;
    const std::string_view what = argc < 2 ? "" : argv[i++];
    if (what != "ops" && what != "attention") {
        std::fprintf(stderr,
                     "usage: bench ops [TYPE...] [--variant NAME] [--size M K]\n"
                     "       bench attention [TYPE...] [--depth N]\n");
        return 2;
    }
    for (; i < argc; i++) {
        const std::string_view argument = argv[i];
        if (argument == "--variant" && i + 1 < argc) {
            options.variant = argv[++i];
        } else if (argument == "--depth" && i + 1 < argc) {
            options.depth = std::max(1L, std::strtol(argv[++i], nullptr, 10));
        } else if (argument == "--size" && i + 2 < argc) {
            options.M = std::max(1L, std::strtol(argv[++i], nullptr, 10));
            options.K = std::max(256L, std::strtol(argv[++i], nullptr, 10) / 256 * 256);
        } else {
            options.types.emplace_back(argument);
        }
    }
    if (what == "attention") {
        for (const char* type : {"f16", "bf16", "q8_0", "q8_latent"}) {
            bench_attention(options, *kernels::k_type(type));
        }
        return 0;
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
