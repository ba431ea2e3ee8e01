// CudaBackend: the operations of kernels/backend.h as launches on one device. Weights are copied to
// the device when they are adopted, or stay with the CPU backend beside it (keep_on_host), which
// then computes routed experts while the device computes the shared one. Working memory is laid out
// once, by reserve_work(); without that it grows at the first pass of a size. The launches of a
// pass of few tokens are kept, a graph for each shape, and launched at once when the shape comes
// again. The engine's thread, except for memory().
#pragma once

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "kernels/backend.h"
#include "kernels/card_memory.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/mla_expand.h"

namespace kernels::cuda {

class CudaBackend final : public Backend {
public:
    CudaBackend(std::unique_ptr<Device> device, const CudaOptions& options);

    Buffer allocate(int64_t bytes, MemoryUse use) override;
    TensorView adopt_weight(const TensorView& host) override;
    bool copies_weights() const override { return true; }
    TensorView keep_on_host(const TensorView& host) override;
    void reserve_weights(int64_t bytes) override;
    int64_t work_bytes(const WorkShape& shape) const override { return card_work_bytes(shape); }
    void reserve_work(const WorkShape& shape) override;
    int64_t same_bits_below() const override { return kTilesFrom; }
    int64_t allocation_granule() const override { return kCardGranuleBytes; }
    void upload(const TensorView& device, const void* host) override;
    void download(void* host, const TensorView& device) override;
    void copy(
        std::byte* to, const std::byte* from, int64_t pitch, int64_t bytes, int64_t count) override;
    DeviceMemory memory() const override;
    Buffer allocate_host(int64_t bytes) override;
    void pass(const PassInputs& inputs, const std::function<void()>& operations) override;
    int64_t launches() const override { return device_->launches(); }
    std::vector<LaunchTime> profile(bool on) override;
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
    using Slot = CardSlot;
    struct Groups {
        const QueryGroup* list = nullptr;  // on the device
        int32_t tokens = 0;                // the most of a group
        int32_t splits = 0;                // likewise
        std::vector<int32_t> sizes;        // tokens of each
    };
    template <typename T>
    T* scratch(Slot slot, int64_t count);
    const float* floats(const TensorView& vector,
                        Slot slot);  // a vector of any type as floats on the device
    template <typename T>
    const T* send(Slot slot, const std::vector<T>& values);
    // The tables of this batch, sent where they are not those of the last call.
    BatchTables tables(const PagedBatch& batch, const KPages& pages);
    // The rotation of each of its tokens.
    const float* turns(const BatchTables& batch, int32_t n_tokens, int32_t rotary, float freq_base);
    // Its query tokens as blocks of attention take them, likewise.
    Groups groups(const PagedBatch& batch, int64_t n_heads);
    // mla_attend of one long span, whose pages begin at `table`.
    void expand(const SequenceSpan& span,
                int64_t seen,
                int64_t table,
                const Attend& work,
                const TensorView& heads,
                const TensorView& k_b,
                const TensorView& v_b);
    // A pass of few tokens: what it works on goes to the device in one copy.
    void send_step(const PassInputs& inputs);
    // Products with the same input, in launches of one type each.
    void run(Products form, std::span<const TensorView> weights, std::span<const Rows> outs);
    // Two that do not read each other's results: in one launch where few rows and one type allow
    // it.
    void run_both(Products first,
                  std::span<const TensorView> first_weights,
                  std::span<const Rows> first_outs,
                  Products second,
                  std::span<const TensorView> second_weights,
                  std::span<const Rows> second_outs);

    // A router's product and the choice of experts: of few tokens in one launch.
    void run_router(const Products& form,
                    const TensorView& router,
                    const Rows& logits,
                    const Route& route);

    // Device memory that is not in the account yet; throws DeviceError where there is no room.
    void* take(int64_t bytes);
    // moe_ffn where the routed experts are kept on the host.
    void moe_ffn_on_host(const TensorView& x,
                         const TensorView& norm,
                         const TensorView& router,
                         const TensorView& bias,
                         const MoeRouting& routing,
                         const Glu& experts,
                         const Glu& shared,
                         float eps);
    // What stands in device memory, for the CPU: read back once and kept.
    TensorView on_host(const TensorView& device);
    // Where shared(norm(x)) [T, D] is made: its last product, whose inputs are what the first two
    // make.
    struct SharedExpert {
        Products down;
        Rows result;
    };
    SharedExpert shared_expert(const Products& form, const Glu& shared, int64_t count, int64_t dim);

    std::unique_ptr<Device> device_;
    int64_t limit_bytes_ = 0;
    std::shared_ptr<MemoryAccount> account_;
    int32_t processors_;
    std::unique_ptr<Backend> cpu_;  // for what is kept on the host
    std::set<const std::byte*> on_host_;
    std::map<const std::byte*, std::vector<std::byte>> read_back_;
    std::vector<float> host_x_;
    // Weights lie one behind the other in one allocation: a thousand single ones would each be
    // rounded up.
    struct Arena {
        std::byte* data = nullptr;
        int64_t bytes = 0;
        int64_t used = 0;
        ~Arena();
    };
    Arena arena_;
    std::map<std::pair<const std::byte*, int64_t>, Buffer> adopted_;
    Buffer work_;  // of reserve_work()
    struct Piece {
        std::byte* data = nullptr;
        int64_t bytes = 0;
        Buffer grown;  // beyond what was reserved
    };
    std::array<Piece, kCardSlots> pieces_;
    std::vector<TokenPlace> places_;  // what is on the device
    std::vector<std::byte*> page_list_;
    std::vector<QueryGroup> group_list_;
    struct Turned {  // what Slot::turns holds for the tokens on the device; nothing: 0
        int32_t rotary = 0;
        float freq_base = 0;
    };
    Turned turned_;

    // The pass now running, where its inputs are on the device already; ids is null elsewhere.
    struct Step {
        const int32_t* ids = nullptr;
        const int32_t* rows = nullptr;
        const std::byte* table = nullptr;  // null: the table itself is on the device
        BatchTables tables;
        Groups groups;
    };
    Step step_;
    Buffer step_mirror_;  // of Slot::step, in the host's memory
    int64_t n_heads_ = 0;
    bool experts_on_host_ = false;
    bool profiling_ = false;

    // All that two passes must have in common for one's launches to be the other's.
    struct PassShape {
        const void* owner = nullptr;
        int64_t row_bytes = 0;
        int32_t tokens = 0, rows = 0, groups = 0, group_tokens = 0, splits = 0;
        KType type = DType::f16;
        auto key() const {
            return std::tuple(owner, row_bytes, tokens, rows, groups, group_tokens, splits,
                              type.dtype, type.int8_latent);
        }
        bool operator<(const PassShape& other) const { return key() < other.key(); }
    };
    struct KeptPass {
        bool seen = false;
        std::unique_ptr<Device::Recording> launches;
    };
    std::unique_ptr<Device::Recording> recorded(const std::function<void()>& operations);
    std::map<PassShape, KeptPass> kept_;
    bool records_ = true;
};

template <typename T>
T* CudaBackend::scratch(Slot slot, int64_t count) {
    Piece& piece = pieces_[static_cast<size_t>(slot)];
    const int64_t bytes = std::max<int64_t>(count, 1) * static_cast<int64_t>(sizeof(T));
    if (piece.bytes < bytes) {
        kept_.clear();  // they know the old place
        piece.grown.reset();
        piece.grown = allocate(round_up(bytes, kCardAlignment), MemoryUse::compute);
        piece.data = piece.grown.data();
        piece.bytes = static_cast<int64_t>(piece.grown.size_bytes());
    }
    return reinterpret_cast<T*>(piece.data);
}

template <typename T>
const T* CudaBackend::send(Slot slot, const std::vector<T>& values) {
    T* to = scratch<T>(slot, static_cast<int64_t>(values.size()));
    if (!values.empty()) {
        device_->copy_in(to, values.data(), static_cast<int64_t>(values.size() * sizeof(T)));
    }
    return to;
}

}  // namespace kernels::cuda
