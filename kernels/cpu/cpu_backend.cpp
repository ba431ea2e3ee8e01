#include "kernels/cpu/cpu_backend.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include <sys/mman.h>

#include "kernels/check.h"
#include "kernels/cpu/row_shares.h"
#include "kernels/cpu/system.h"
#include "kernels/operation_shapes.h"
#include "kernels/quants/quants.h"

namespace kernels::cpu {
namespace {

// From here on a pass counts as one of many tokens (CpuOptions::threads_batch).
constexpr int64_t kManyTokens = 32;

// Multiplications that are worth the hand-over to another thread.
constexpr int64_t kWorthwhile = 32768;

unsigned bit(ActivationFormat format) {
    return 1U << static_cast<int>(format);
}

std::string mebibytes(int64_t bytes) {
    return std::to_string(bytes / (1024 * 1024)) + " MiB";
}

}  // namespace

const AttentionTiles* attention_tiles() {
#if defined(KERNELS_X86_64)
    static const AttentionTiles* const amx = attention_tiles_amx();
    return amx != nullptr                       ? amx
           : &row_kernels() == &kRowKernelsAvx2 ? &kCodeAttentionAvx2
                                                : nullptr;
#else
    return nullptr;
#endif
}

CpuBackend::CpuBackend(const CpuOptions& options, const AttentionTiles* tiles)
    : rows_(row_kernels()),
      tiles_(tiles),
      account_(std::make_shared<MemoryAccount>()),
      scratch_([this](int64_t bytes) { return allocate(bytes, MemoryUse::compute); }) {
    ENSURE(options.threads >= 0 && options.threads_batch >= 0, options.threads, ", ",
           options.threads_batch);
    limit_bytes_ = options.limit_bytes;
    threads_ = options.threads > 0 ? options.threads : physical_cores();
    threads_batch_ = options.threads_batch > 0 ? options.threads_batch : threads_;
    pool_ = std::make_unique<ThreadPool>(std::max(threads_, threads_batch_));
    threads_ = std::min(threads_, pool_->threads());
    threads_batch_ = std::min(threads_batch_, pool_->threads());
}

Buffer CpuBackend::allocate(int64_t bytes, MemoryUse use) {
    ENSURE(bytes >= 0, bytes);
    if (bytes == 0) {
        return {};
    }
    // The kernel promises more memory than there is and kills whoever takes it at its word; so ask
    // first.
    SystemMemory memory = system_memory();
    if (limit_bytes_ > 0) {
        int64_t held = 0;
        for (const MemoryUse kind : {MemoryUse::weights, MemoryUse::kv_cache, MemoryUse::compute}) {
            held += account_->bytes(kind);
        }
        memory.total_bytes = limit_bytes_;
        memory.free_bytes = std::max<int64_t>(limit_bytes_ - held, 0);
        memory.swap_bytes = 0;
    }
    void* data = MAP_FAILED;
    if (memory.total_bytes == 0 || bytes <= memory.free_bytes + memory.swap_bytes) {
        data = mmap(nullptr, static_cast<size_t>(bytes), PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    }
    if (data == MAP_FAILED) {
        throw DeviceError(describe("not enough memory: ", mebibytes(bytes), " asked for, ",
                                   mebibytes(memory.free_bytes), " of ",
                                   mebibytes(memory.total_bytes), " free"));
    }
    return Buffer(data, static_cast<size_t>(bytes), use, account_,
                  [](void* memory_to_free, size_t size) { munmap(memory_to_free, size); });
}

TensorView CpuBackend::adopt_weight(const TensorView& host) {
    ENSURE(!host.empty());
    if (adopted_.emplace(host.data, host.bytes()).second) {
        account_->add(MemoryUse::weights, host.bytes());
    }
    return host;
}

void CpuBackend::upload(const TensorView& device, const void* host) {
    ENSURE(device.dense(), device.describe());
    if (device.bytes() > 0) {
        std::memcpy(device.data, host, static_cast<size_t>(device.bytes()));
    }
}

void CpuBackend::copy(
    std::byte* to, const std::byte* from, int64_t pitch, int64_t bytes, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        std::memcpy(to + i * pitch, from + i * pitch, static_cast<size_t>(bytes));
    }
}

void CpuBackend::download(void* host, const TensorView& device) {
    ENSURE(device.dense(), device.describe());
    if (device.bytes() > 0) {
        std::memcpy(host, device.data, static_cast<size_t>(device.bytes()));
    }
}

DeviceMemory CpuBackend::memory() const {
    const SystemMemory system = system_memory();
    DeviceMemory memory;
    memory.name = "CPU";
    memory.total_bytes = system.total_bytes;
    memory.free_bytes = system.free_bytes;
    memory.weights_bytes = account_->bytes(MemoryUse::weights);
    memory.kv_bytes = account_->bytes(MemoryUse::kv_cache);
    memory.compute_bytes = account_->bytes(MemoryUse::compute);
    return memory;
}

std::string CpuBackend::description() const {
    return describe(
        "CPU, ", threads_, threads_ == 1 ? " thread" : " threads",
        threads_batch_ == threads_ ? "" : describe(" (", threads_batch_, " for many tokens)"), ", ",
        simd_name());
}

void CpuBackend::use_threads_for(int64_t tokens) {
    active_ = tokens >= kManyTokens ? threads_batch_ : threads_;
}

void CpuBackend::parallel(int64_t count, int64_t grain, RangeBody body) {
    pool_->parallel_for(count, grain, body, active_);
}

void CpuBackend::one_by_one(int64_t count, int64_t piece, RangeBody body) {
    std::atomic<int64_t> next{0};
    parallel(active_, 1, [&](int64_t, int64_t, int worker) {
        for (int64_t i; (i = next.fetch_add(piece, std::memory_order_relaxed)) < count;) {
            body(i, std::min(i + piece, count), worker);
        }
    });
}

const float* CpuBackend::vector(const TensorView& v, Slot slot) {
    ENSURE(v.rank == 1, v.describe());
    if (v.dtype == DType::f32) {
        return v.f32();
    }
    auto* floats = scratch_.get<float>(slot, v.size[0]);
    dequantize_row(v.dtype, v.data, floats, v.size[0]);
    return floats;
}

void CpuBackend::embed(const TensorView& out,
                       const TensorView& table,
                       std::span<const int32_t> ids) {
    const auto count = static_cast<int64_t>(ids.size());
    check_embed(out, table, ids);
    use_threads_for(count);
    parallel(count, 8, [&](int64_t begin, int64_t end, int) {
        for (int64_t t = begin; t < end; t++) {
            dequantize_row(table.dtype, table.data + ids[t] * table.stride_bytes[0],
                           reinterpret_cast<float*>(out.data + t * out.stride_bytes[0]),
                           table.size[1]);
        }
    });
}

CpuBackend::PackedRows CpuBackend::norm_and_pack(const TensorView& x,
                                                 int64_t first,
                                                 int64_t count,
                                                 std::span<const int32_t> rows,
                                                 const float* norm,
                                                 float eps,
                                                 unsigned formats) {
    const int64_t cols = x.cols();
    const int64_t stride = padded(cols);
    auto* normed = scratch_.get<float>(Slot::worker, stride * active_);
    auto** pointers = scratch_.get<const std::byte*>(Slot::pointers, kActivationFormats * count);
    PackedRows packed;
    std::byte* base[kActivationFormats] = {};
    int64_t row_size[kActivationFormats] = {};
    for (int f = 0; f < kActivationFormats; f++) {
        if ((formats >> f & 1) == 0) {
            continue;
        }
        row_size[f] = (activation_row_bytes(static_cast<ActivationFormat>(f), cols) + 63) / 64 * 64;
        base[f] = scratch_.bytes(static_cast<Slot>(static_cast<int>(Slot::packed_f32) + f),
                                 row_size[f] * count);
        packed.of[f] = pointers + f * count;
        for (int64_t t = 0; t < count; t++) {
            pointers[f * count + t] = base[f] + t * row_size[f];
        }
    }
    parallel(
        count, std::max<int64_t>(1, kWorthwhile / cols),
        [&](int64_t begin, int64_t end, int worker) {
            float* h = normed + worker * stride;
            for (int64_t t = begin; t < end; t++) {
                const int64_t row = rows.empty() ? first + t : rows[static_cast<size_t>(first + t)];
                const auto* src = reinterpret_cast<const float*>(x.data + row * x.stride_bytes[0]);
                if (norm != nullptr) {
                    rows_.norm(h, src, norm, eps, cols);
                    src = h;
                }
                for (int f = 0; f < kActivationFormats; f++) {
                    if (base[f] != nullptr) {
                        pack_activation(static_cast<ActivationFormat>(f), src, cols,
                                        base[f] + t * row_size[f]);
                    }
                }
            }
        });
    return packed;
}

// Products of the same rows, as one piece of work: rows of all the weights are shared out together.
void CpuBackend::multiply(std::span<const Product> products,
                          int64_t first,
                          int64_t count,
                          const PackedRows& packed) {
    const auto cost = [](const Product& p) { return RowCost{p.weight.size[0], 1}; };
    const int64_t total = total_cost(products, cost).all;
    if (total == 0 || count == 0) {
        return;
    }
    // The rows are prepared once for each piece: many rows want larger ones.
    const int64_t least =
        count < kManyTokens ? 16 : std::clamp<int64_t>(total / (4 * active_), 16, 128);
    const int64_t grain = std::max(least, kWorthwhile / (products[0].weight.size[1] * count));
    parallel(total, grain, [&](int64_t begin, int64_t end, int) {
        for_rows_of_share(
            products, begin, end, cost, [&](const Product& p, int64_t m0, int64_t m1) {
                auto* out =
                    reinterpret_cast<float*>(p.out.data + first * p.out.stride_bytes[0]) + m0;
                matmul_rows(out, p.out.stride_bytes[0] / static_cast<int64_t>(sizeof(float)),
                            p.weight, m0, m1, packed[activation_format(p.weight.dtype)], count);
            });
    });
}

void CpuBackend::norm_matmul(std::span<const Product> products,
                             const TensorView& x,
                             const TensorView& norm,
                             float eps,
                             std::span<const int32_t> rows) {
    check_norm_matmul(products, x, norm, rows);
    const int64_t count = rows.empty() ? x.size[0] : static_cast<int64_t>(rows.size());
    unsigned formats = 0;
    for (const Product& p : products) {
        formats |= bit(activation_format(p.weight.dtype));
    }
    use_threads_for(count);
    const float* weight = vector(norm, Slot::vector);
    for (int64_t first = 0; first < count; first += kBlockTokens) {
        const int64_t n = std::min(kBlockTokens, count - first);
        multiply(products, first, n, norm_and_pack(x, first, n, rows, weight, eps, formats));
    }
}

void CpuBackend::matmul_add(const TensorView& x, const TensorView& in, const TensorView& weight) {
    check_matmul_add(x, in, weight);
    const int64_t count = x.size[0], dim = x.size[1];
    use_threads_for(count);
    const ActivationFormat format = activation_format(weight.dtype);
    for (int64_t first = 0; first < count; first += kBlockTokens) {
        const int64_t n = std::min(kBlockTokens, count - first);
        const PackedRows packed = norm_and_pack(in, first, n, {}, nullptr, 0, bit(format));
        auto* result = scratch_.get<float>(Slot::result, n * dim);
        const int64_t least =
            n < kManyTokens ? 16 : std::clamp<int64_t>(dim / (4 * active_), 16, 128);
        parallel(
            dim, std::max(least, kWorthwhile / (in.size[1] * n)),
            [&](int64_t begin, int64_t end, int) {
                matmul_rows(result + begin, dim, weight, begin, end, packed[format], n);
                for (int64_t t = 0; t < n; t++) {
                    rows_.add(
                        reinterpret_cast<float*>(x.data + (first + t) * x.stride_bytes[0]) + begin,
                        result + t * dim + begin, end - begin);
                }
            });
    }
}

}  // namespace kernels::cpu

namespace kernels {

std::unique_ptr<Backend> make_cpu_backend(const CpuOptions& options) {
    return std::make_unique<cpu::CpuBackend>(options);
}

}  // namespace kernels
