#include "kernels/machine_speed.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <vector>

#include "kernels/backend.h"
#include "kernels/cpu/matmul.h"
#include "kernels/cpu/system.h"
#include "kernels/cpu/thread_pool.h"
#include "kernels/quants/quants.h"

namespace kernels {
namespace {

using cpu::ThreadPool;

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

// The best of several passes: others' work on the machine only ever slows one down.
double read_speed(ThreadPool& pool) {
    const int64_t bytes =
        std::min<int64_t>(int64_t{1} << 30, cpu::system_memory().free_bytes / 4) / 4096 * 4096;
    std::vector<uint64_t> memory(static_cast<size_t>(bytes / 8), 1);
    std::atomic<uint64_t> all{0};
    double best = 0;
    for (int pass = 0; pass < 5; pass++) {
        const auto start = Clock::now();
        pool.parallel_for(bytes / 4096, 256, [&](int64_t begin, int64_t end, int) {
            const uint64_t* at = memory.data() + begin * 512;
            const uint64_t* last = memory.data() + end * 512;
            uint64_t sums[8] = {};
            for (; at < last; at += 8) {
                for (int i = 0; i < 8; i++) {
                    sums[i] += at[i];
                }
            }
            for (const uint64_t sum : sums) {
                all += sum;
            }
        });
        best = std::max(best, static_cast<double>(bytes) / seconds_since(start));
    }
    return all == 0 ? 0 : best;  // the sum is used, so the reading is not left out
}

double multiply_speed(ThreadPool& pool) {
    constexpr int64_t kRows = 128, kCols = 2048, kTokens = 512;
    const auto threads = static_cast<int64_t>(pool.threads());
    const std::vector<float> floats(kCols, 0.5F);
    std::vector<std::byte> weight(
        static_cast<size_t>(kRows * row_bytes(DType::q8_0, kCols) * threads));
    for (int64_t r = 0; r < kRows * threads; r++) {
        quantize_row(DType::q8_0, floats.data(), weight.data() + r * row_bytes(DType::q8_0, kCols),
                     kCols);
    }
    const cpu::ActivationFormat format = cpu::activation_format(DType::q8_0);
    const int64_t size = cpu::activation_row_bytes(format, kCols);
    std::vector<std::byte> memory(static_cast<size_t>(size + 64));
    std::byte* packed = memory.data() + (64 - reinterpret_cast<uintptr_t>(memory.data()) % 64) % 64;
    cpu::pack_activation(format, floats.data(), kCols, packed);
    const std::vector<const std::byte*> rows(kTokens, packed);
    std::vector<float> out(static_cast<size_t>(kRows * kTokens * threads));
    double best = 0;
    for (int pass = 0; pass < 6; pass++) {
        const auto start = Clock::now();
        pool.parallel_for(threads, 1, [&](int64_t begin, int64_t end, int) {
            for (int64_t i = begin; i < end; i++) {
                const TensorView own(weight.data() + i * kRows * row_bytes(DType::q8_0, kCols),
                                     DType::q8_0, {kRows, kCols});
                cpu::matmul_rows(out.data() + i * kRows * kTokens, kRows, own, 0, kRows,
                                 rows.data(), kTokens);
            }
        });
        best = std::max(
            best, static_cast<double>(kRows * kCols * kTokens * threads) / seconds_since(start));
    }
    return best;
}

}  // namespace

MachineSpeed measure_machine(int threads) {
    ThreadPool pool(threads > 0 ? threads : cpu::physical_cores());
    return {read_speed(pool), multiply_speed(pool)};
}

}  // namespace kernels
