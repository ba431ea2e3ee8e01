#include "kernels/cuda/cuda_backend.h"

#include "kernels/check.h"

namespace kernels::cuda {
namespace {

std::string mebibytes(int64_t bytes) {
    return std::to_string(bytes / (1024 * 1024)) + " MiB";
}

}  // namespace

CudaBackend::Arena::~Arena() {
    if (data != nullptr) {
        Device::free(data, static_cast<size_t>(bytes));
    }
}

CudaBackend::CudaBackend(std::unique_ptr<Device> device, const CudaOptions& options)
    : device_(std::move(device)),
      limit_bytes_(options.limit_bytes),
      account_(std::make_shared<MemoryAccount>()),
      processors_(simt::multiprocessors()),
      cpu_(make_cpu_backend(options.cpu)) {}

void* CudaBackend::take(int64_t bytes) {
    Device::Figures figures = device_->memory_figures();
    if (limit_bytes_ > 0) {
        // As if the card were smaller: what this program holds of it, and what a driver takes.
        int64_t held = arena_.bytes + kCardOverheadBytes - arena_.used;
        for (const MemoryUse use : {MemoryUse::weights, MemoryUse::kv_cache, MemoryUse::compute}) {
            held += account_->bytes(use);
        }
        figures.total_bytes = std::min(figures.total_bytes, limit_bytes_);
        figures.free_bytes = std::clamp<int64_t>(figures.total_bytes - held, 0, figures.free_bytes);
    }
    void* memory = bytes <= figures.free_bytes ? device_->allocate(bytes) : nullptr;
    if (memory == nullptr) {
        throw DeviceError(describe("not enough memory: ", mebibytes(bytes), " asked for, ",
                                   mebibytes(figures.free_bytes), " of ",
                                   mebibytes(figures.total_bytes), " free on ", device_->name()));
    }
    return memory;
}

Buffer CudaBackend::allocate(int64_t bytes, MemoryUse use) {
    ENSURE(bytes >= 0, bytes);
    if (bytes == 0) {
        return {};
    }
    const int64_t rounded = round_up(bytes, kCardAlignment);
    if (use == MemoryUse::weights && arena_.bytes - arena_.used >= rounded) {
        std::byte* place = arena_.data + arena_.used;
        arena_.used += rounded;
        device_->zero(place, rounded);
        return Buffer(place, static_cast<size_t>(rounded), use, account_, [](void*, size_t) {});
    }
    void* memory = take(bytes);
    device_->zero(memory, bytes);
    return Buffer(memory, static_cast<size_t>(bytes), use, account_, &Device::free);
}

void CudaBackend::reserve_weights(int64_t bytes) {
    ENSURE(arena_.data == nullptr && bytes >= 0, bytes, " bytes of weights, twice");
    if (bytes > 0) {
        arena_.data = static_cast<std::byte*>(take(bytes));
        arena_.bytes = bytes;
    }
}

void CudaBackend::reserve_work(const WorkShape& shape) {
    work_ = allocate(card_work_bytes(shape), MemoryUse::compute);
    const auto bytes = card_slot_bytes(shape);
    std::byte* at = work_.data();
    for (size_t i = 0; i < kCardSlots; i++) {
        pieces_[i] = {at, bytes[i], {}};
        at += bytes[i];
    }
    places_.clear();
    page_list_.clear();
    group_list_.clear();
    kept_.clear();
    n_heads_ = shape.n_heads;
    step_mirror_ = allocate_host(bytes[static_cast<size_t>(Slot::step)]);
}

Buffer CudaBackend::allocate_host(int64_t bytes) {
    // In no account of the device.
    return Buffer(device_->allocate_host(bytes), static_cast<size_t>(bytes), MemoryUse::compute,
                  std::make_shared<MemoryAccount>(), &Device::free_host);
}

std::vector<LaunchTime> CudaBackend::profile(bool on) {
    profiling_ = on;  // single launches, each of which can be timed
    return device_->profile(on);
}

TensorView CudaBackend::adopt_weight(const TensorView& host) {
    ENSURE(!host.empty() && host.dense(), host.describe());
    Buffer& copy = adopted_[{host.data, host.bytes()}];
    if (!copy && host.bytes() > 0) {
        kept_.clear();
        copy = allocate(host.bytes(), MemoryUse::weights);
        device_->copy_in(copy.data(), host.data, host.bytes());
    }
    TensorView device = host;
    device.data = copy.data();
    return device;
}

TensorView CudaBackend::keep_on_host(const TensorView& host) {
    const TensorView kept = cpu_->adopt_weight(host);
    on_host_.insert(kept.data);
    experts_on_host_ = experts_on_host_ || kept.rank == 3;
    return kept;
}

TensorView CudaBackend::on_host(const TensorView& device) {
    if (device.empty()) {
        return device;
    }
    std::vector<std::byte>& copy = read_back_[device.data];
    if (copy.empty()) {
        copy.resize(static_cast<size_t>(device.bytes()));
        download(copy.data(), device);
    }
    TensorView host = device;
    host.data = copy.data();
    return host;
}

void CudaBackend::upload(const TensorView& device, const void* host) {
    ENSURE(device.dense(), device.describe());
    if (device.bytes() > 0) {
        device_->copy_in(device.data, host, device.bytes());
    }
}

void CudaBackend::download(void* host, const TensorView& device) {
    ENSURE(device.dense(), device.describe());
    if (device.bytes() > 0) {
        device_->copy_out(host, device.data, device.bytes());
    }
}

void CudaBackend::copy(
    std::byte* to, const std::byte* from, int64_t pitch, int64_t bytes, int64_t count) {
    device_->copy(to, from, pitch, bytes, count);
}

DeviceMemory CudaBackend::memory() const {
    const Device::Figures figures = device_->memory_figures();
    DeviceMemory memory;
    memory.name = device_->name();
    memory.total_bytes = figures.total_bytes;
    memory.free_bytes = figures.free_bytes;
    memory.weights_bytes = account_->bytes(MemoryUse::weights);
    memory.kv_bytes = account_->bytes(MemoryUse::kv_cache);
    memory.compute_bytes = account_->bytes(MemoryUse::compute);
    return memory;
}

std::string CudaBackend::description() const {
    return "CUDA, " + device_->name();
}

}  // namespace kernels::cuda

namespace kernels {

std::unique_ptr<Backend> make_cuda_backend(const CudaOptions& options) {
    std::unique_ptr<cuda::Device> opened = cuda::Device::open(options.device);
    return opened == nullptr ? nullptr
                             : std::make_unique<cuda::CudaBackend>(std::move(opened), options);
}

}  // namespace kernels
