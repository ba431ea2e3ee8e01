#include "kernels/buffer.h"

namespace kernels {

Buffer::Buffer(void* data, size_t bytes, MemoryUse use, std::shared_ptr<MemoryAccount> account, Free free)
    : data_(static_cast<std::byte*>(data)), bytes_(bytes), use_(use), account_(std::move(account)), free_(free) {
    account_->add(use_, static_cast<int64_t>(bytes_));
}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
    if (this != &other) {
        reset();
        data_ = std::exchange(other.data_, nullptr);
        bytes_ = std::exchange(other.bytes_, 0);
        use_ = other.use_;
        account_ = std::move(other.account_);
        free_ = other.free_;
    }
    return *this;
}

void Buffer::reset() {
    if (data_ != nullptr) {
        free_(data_, bytes_);
        account_->add(use_, -static_cast<int64_t>(bytes_));
        data_ = nullptr;
        bytes_ = 0;
    }
}

}  // namespace kernels
