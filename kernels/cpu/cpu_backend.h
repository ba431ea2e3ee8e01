// CpuBackend: the operations of backend.h on the processor's cores. The reference for every other
// backend, and fast enough to be pleasant. Weights stay where the model file is mapped; products
// are in matmul.h, arithmetic on rows in row_kernels.h. Passes are worked on in blocks of
// kBlockTokens tokens, which bounds the working memory. Engine thread only, but memory().
#pragma once

#include <memory>
#include <set>
#include <span>
#include <string>
#include <utility>

#include "kernels/backend.h"
#include "kernels/cpu/attention_tiles.h"
#include "kernels/cpu/matmul.h"
#include "kernels/cpu/row_kernels.h"
#include "kernels/cpu/scratch.h"
#include "kernels/cpu/thread_pool.h"

namespace kernels::cpu {

inline constexpr int64_t kBlockTokens = 512;

// Positions that one thread attends to at a time, in float rows (attention_tiles.h has its own).
// Sums over the positions are made per split, then over the splits in order: a function of the
// position alone.
inline constexpr int64_t kSplitTokens = 4 * kPageTokens;

class CpuBackend final : public Backend {
public:
    // Without tiles attention is done in float rows, as on a machine that has none.
    explicit CpuBackend(const CpuOptions& options, const AttentionTiles* tiles = attention_tiles());
    // What attention takes rows of this type with, or null. For tests.
    const AttentionTiles* tiles_for(const KPages& rows) const;

    Buffer allocate(int64_t bytes, MemoryUse use) override;
    TensorView adopt_weight(const TensorView& host) override;
    int64_t work_bytes(const WorkShape& shape) const override;
    void reserve_work(const WorkShape& shape) override;
    void upload(const TensorView& device, const void* host) override;
    void download(void* host, const TensorView& device) override;
    void copy(
        std::byte* to, const std::byte* from, int64_t pitch, int64_t bytes, int64_t count) override;
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
    // Rows packed for products, as matmul_rows wants them: one pointer per row, for each format
    // that was asked for.
    struct PackedRows {
        const std::byte* const* of[kActivationFormats] = {};
        const std::byte* const* operator[](ActivationFormat format) const {
            return of[static_cast<int>(format)];
        }
    };
    // One feed-forward network and the rows it is applied to: rows [first, first + count) of hidden
    // and result.
    struct GluJob {
        TensorView gate, up, down;
        int64_t first = 0, count = 0;
    };
    struct Attention;  // one call of mla_attend
    struct Group;      // some neighbouring tokens of it
    struct Part;       // of a group's positions
    struct Queries;    // of all groups

    void parallel(int64_t count, int64_t grain, RangeBody body);
    // As parallel, but each thread takes `piece` at a time until none is left, however many there
    // are: for few pieces that take long.
    void one_by_one(int64_t count, int64_t piece, RangeBody body);
    // Sets the number of threads for a pass of this many tokens.
    void use_threads_for(int64_t tokens);
    const float* vector(const TensorView& v,
                        Slot slot);  // its floats, converted if they are not F32
    PackedRows norm_and_pack(const TensorView& x,
                             int64_t first,
                             int64_t count,
                             std::span<const int32_t> rows,
                             const float* norm,
                             float eps,
                             unsigned formats);
    void multiply(std::span<const Product> products,
                  int64_t first,
                  int64_t count,
                  const PackedRows& packed);
    // result[row] = down(silu(gate x) * up x), for the rows of each job; inputs[format][row] are
    // its packed inputs.
    void run_glu(std::span<const GluJob> jobs,
                 const PackedRows& inputs,
                 int64_t n_rows,
                 float* result,
                 int64_t dim);
    template <typename Cost, typename Body>
    void share_out(std::span<const GluJob> jobs, const Cost& cost, const Body& body);
    void route(const TensorView& router,
               const float* bias,
               const MoeRouting& routing,
               const PackedRows& packed,
               int64_t count,
               int32_t* chosen,
               float* weights);
    void attend_absorbed(const Attention& a, std::span<const SequenceSpan> spans);
    int64_t group_tokens(const Attention& a) const;
    int64_t split_tokens(const Attention& a) const;
    void attend_groups(const Attention& a,
                       std::span<const Group> groups,
                       int64_t first_row,
                       int64_t n);
    void attend_parts(const Attention& a,
                      std::span<const Group> groups,
                      const float* queries,
                      float* mixed);
    void attend_part(const Attention& a,
                     const Queries& q,
                     const Part& part,
                     const std::byte* packed,
                     std::byte* work,
                     float* sums) const;
    void attend_split(const Attention& a,
                      const Part& where,
                      const float* queries,
                      std::byte* work,
                      float* part) const;
    void attend_expanded(const Attention& a, const SequenceSpan& span);

    const RowKernels& rows_;
    const AttentionTiles* tiles_;
    std::shared_ptr<MemoryAccount> account_;
    int64_t limit_bytes_ = 0;
    int threads_ = 1;        // for few tokens
    int threads_batch_ = 1;  // for many
    int active_ = 1;
    std::unique_ptr<ThreadPool> pool_;
    Scratch scratch_;
    std::set<std::pair<const std::byte*, int64_t>>
        adopted_;  // where counted weights lie, and their bytes
};

}  // namespace kernels::cpu
