// CudaBackend: the operations of kernels/backend.h as launches on one device. Weights are copied to
// the device when they are adopted; working memory grows at the first pass of a size and stays. The
// engine's thread, except for memory().
#pragma once

#include <map>
#include <utility>

#include "kernels/backend.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/mla.h"

namespace kernels::cuda {

class CudaBackend final : public Backend {
public:
    explicit CudaBackend(std::unique_ptr<Device> device);

    Buffer allocate(int64_t bytes, MemoryUse use) override;
    TensorView adopt_weight(const TensorView& host) override;
    void upload(const TensorView& device, const void* host) override;
    void download(void* host, const TensorView& device) override;
    DeviceMemory memory() const override;
    std::string description() const override;

    void embed(const TensorView& out,
               const TensorView& table,
               std::span<const int32_t> ids) override;
    void norm_matmul(std::span<const Product> products,
                     const TensorView& x,
                     const TensorView& norm,
                     float eps,
                     std::span<const int32_t> rows) override;
    void mla_query_and_store(const TensorView& q,
                             const TensorView& q_latent,
                             const TensorView& q_norm,
                             const TensorView& q_b,
                             const TensorView& kv,
                             const TensorView& kv_norm,
                             const KPages& pages,
                             const PagedBatch& batch,
                             const Rope& rope,
                             float eps) override;
    void mla_attend(const TensorView& heads,
                    const TensorView& q,
                    const TensorView& k_b,
                    const TensorView& v_b,
                    const KPages& pages,
                    const PagedBatch& batch,
                    float scale) override;
    void matmul_add(const TensorView& x, const TensorView& in, const TensorView& weight) override;
    void dense_ffn(const TensorView& x, const TensorView& norm, const Glu& glu, float eps) override;
    void moe_ffn(const TensorView& x,
                 const TensorView& norm,
                 const TensorView& router,
                 const TensorView& bias,
                 const MoeRouting& routing,
                 const Glu& experts,
                 const Glu& shared,
                 float eps) override;

private:
    // Working memory, one piece a purpose.
    enum class Slot : uint8_t {
        ids,
        places,
        pages,
        groups,
        norm,
        norm_2,
        bias,
        absorbed,
        part,
        weight,
        mixed,
        gate,
        up,
        down,
        logits,
        chosen,
        weights,
        items,
        n_items,
        pairs,
        shared_gate,
        shared_up,
        shared_down,
        count
    };
    template <typename T>
    T* scratch(Slot slot, int64_t count);
    const float* floats(const TensorView& vector,
                        Slot slot);  // a vector of any type as floats on the device
    template <typename T>
    const T* send(Slot slot, const std::vector<T>& values);
    // The tables of this batch, sent where they are not those of the last call.
    BatchTables tables(const PagedBatch& batch, const KPages& pages);
    // Products with the same input, in launches of one type each.
    void run(Products form, std::span<const TensorView> weights, std::span<const Rows> outs);

    std::unique_ptr<Device> device_;
    std::shared_ptr<MemoryAccount> account_;
    std::map<std::pair<const std::byte*, int64_t>, Buffer> adopted_;
    std::array<Buffer, static_cast<size_t>(Slot::count)> blocks_;
    std::vector<TokenPlace> places_;  // what is on the device
    std::vector<std::byte*> page_list_;
};

}  // namespace kernels::cuda
