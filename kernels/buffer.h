// Buffer: memory of a backend, owned and move-only; freed, and taken off the backend's account, when it dies.
// Account: how many bytes a backend holds for each use. Written by whoever allocates, read from any thread at any
// moment: this is what the memory gauge shows.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

namespace kernels {

enum class MemoryUse : uint8_t { weights, kv_cache, compute };
inline constexpr int kMemoryUses = 3;

class MemoryAccount {
public:
    void add(MemoryUse use, int64_t bytes) { bytes_[static_cast<int>(use)].fetch_add(bytes, std::memory_order_relaxed); }
    int64_t bytes(MemoryUse use) const { return bytes_[static_cast<int>(use)].load(std::memory_order_relaxed); }

private:
    std::array<std::atomic<int64_t>, kMemoryUses> bytes_{};
};

class Buffer {
public:
    using Free = void (*)(void* data, size_t bytes);

    Buffer() = default;
    // Takes `data`; `free` gives it back. `account` must outlive the buffer (it is shared for that).
    Buffer(void* data, size_t bytes, MemoryUse use, std::shared_ptr<MemoryAccount> account, Free free);
    Buffer(Buffer&& other) noexcept { *this = std::move(other); }
    Buffer& operator=(Buffer&& other) noexcept;
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    ~Buffer() { reset(); }

    std::byte* data() const { return data_; }
    size_t size_bytes() const { return bytes_; }
    explicit operator bool() const { return data_ != nullptr; }
    void reset();

private:
    std::byte* data_ = nullptr;
    size_t bytes_ = 0;
    MemoryUse use_ = MemoryUse::compute;
    std::shared_ptr<MemoryAccount> account_;
    Free free_ = nullptr;
};

}  // namespace kernels
