// FakeBackend: memory of a device of a given size and nothing else; every operation of a model is
// refused. For the tests of whoever manages memory.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <string>

#include "kernels/backend.h"
#include "kernels/check.h"

namespace tests {

class FakeBackend : public kernels::Backend {
public:
    explicit FakeBackend(int64_t total_bytes) : total_bytes_(total_bytes) {}

    kernels::Buffer allocate(int64_t bytes, kernels::MemoryUse use) override {
        allocations++;
        const int64_t free = total_bytes_ - held();
        if (bytes > free) {
            throw kernels::DeviceError("fake device: " + std::to_string(bytes) +
                                       " bytes asked for, " + std::to_string(free) + " free");
        }
        void* data = std::calloc(1, static_cast<size_t>(std::max<int64_t>(bytes, 1)));
        return kernels::Buffer(data, static_cast<size_t>(bytes), use, account_,
                               [](void* memory, size_t) { std::free(memory); });
    }
    kernels::TensorView adopt_weight(const kernels::TensorView& host) override { return host; }
    void upload(const kernels::TensorView&, const void*) override { refuse(); }
    void download(void*, const kernels::TensorView&) override { refuse(); }
    void copy(std::byte* to,
              const std::byte* from,
              int64_t pitch,
              int64_t bytes,
              int64_t count) override {
        for (int64_t i = 0; i < count; i++) {
            std::copy_n(from + i * pitch, bytes, to + i * pitch);
        }
    }
    kernels::DeviceMemory memory() const override {
        kernels::DeviceMemory m;
        m.name = "fake";
        m.total_bytes = total_bytes_;
        m.free_bytes = total_bytes_ - held();
        m.weights_bytes = account_->bytes(kernels::MemoryUse::weights);
        m.kv_bytes = account_->bytes(kernels::MemoryUse::kv_cache);
        m.compute_bytes = account_->bytes(kernels::MemoryUse::compute);
        return m;
    }
    std::string description() const override { return "fake"; }

    void embed(const kernels::TensorView&,
               const kernels::TensorView&,
               std::span<const int32_t>) override {
        refuse();
    }
    void norm_matmul(std::span<const kernels::Product>,
                     const kernels::TensorView&,
                     const kernels::TensorView&,
                     float,
                     std::span<const int32_t>) override {
        refuse();
    }
    void mla_query_and_store(const kernels::TensorView&,
                             const kernels::TensorView&,
                             const kernels::TensorView&,
                             const kernels::TensorView&,
                             const kernels::TensorView&,
                             const kernels::TensorView&,
                             const kernels::KPages&,
                             const kernels::PagedBatch&,
                             const kernels::Rope&,
                             float) override {
        refuse();
    }
    void mla_attend(const kernels::TensorView&,
                    const kernels::TensorView&,
                    const kernels::TensorView&,
                    const kernels::TensorView&,
                    const kernels::KPages&,
                    const kernels::PagedBatch&,
                    float) override {
        refuse();
    }
    void matmul_add(const kernels::TensorView&,
                    const kernels::TensorView&,
                    const kernels::TensorView&) override {
        refuse();
    }
    void dense_ffn(const kernels::TensorView&,
                   const kernels::TensorView&,
                   const kernels::Glu&,
                   float) override {
        refuse();
    }
    void moe_ffn(const kernels::TensorView&,
                 const kernels::TensorView&,
                 const kernels::TensorView&,
                 const kernels::TensorView&,
                 const kernels::MoeRouting&,
                 const kernels::Glu&,
                 const kernels::Glu&,
                 float) override {
        refuse();
    }

    int allocations = 0;

private:
    int64_t held() const {
        return account_->bytes(kernels::MemoryUse::weights) +
               account_->bytes(kernels::MemoryUse::kv_cache) +
               account_->bytes(kernels::MemoryUse::compute);
    }
    [[noreturn]] static void refuse() {
        throw std::logic_error("the fake backend computes nothing");
    }

    int64_t total_bytes_;
    std::shared_ptr<kernels::MemoryAccount> account_ = std::make_shared<kernels::MemoryAccount>();
};

}  // namespace tests
