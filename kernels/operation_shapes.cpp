#include "kernels/operation_shapes.h"

#include "kernels/check.h"
#include "kernels/k_row.h"

namespace kernels {
namespace {

void check_normed(const TensorView& x, const TensorView& norm) {
    x.f32();
    ENSURE(x.rank == 2 && norm.rank == 1 && norm.size[0] == x.size[1], x.describe(), ", norm ",
           norm.describe());
}

void check_glu(const Glu& glu, int rank, int64_t dim) {
    const bool ranks = glu.gate.rank == rank && glu.up.rank == rank && glu.down.rank == rank;
    ENSURE(ranks && glu.gate.size == glu.up.size && glu.gate.cols() == dim &&
               glu.down.cols() == glu.gate.size[rank - 2] && glu.down.size[rank - 2] == dim &&
               (rank == 2 || glu.down.size[0] == glu.gate.size[0]),
           "gate ", glu.gate.describe(), ", up ", glu.up.describe(), ", down ", glu.down.describe(),
           " for rows of ", dim);
}

}  // namespace

void check_embed(const TensorView& out, const TensorView& table, std::span<const int32_t> ids) {
    out.f32();
    const auto count = static_cast<int64_t>(ids.size());
    ENSURE(table.rank == 2 && out.rank == 2 && out.size[0] == count && out.size[1] == table.size[1],
           out.describe(), " from ", table.describe(), " and ", count, " ids");
    for (const int32_t id : ids) {
        ENSURE(id >= 0 && id < table.size[0], "id ", id, " of ", table.size[0]);
    }
}

void check_norm_matmul(std::span<const Product> products,
                       const TensorView& x,
                       const TensorView& norm,
                       std::span<const int32_t> rows) {
    check_normed(x, norm);
    const int64_t count = rows.empty() ? x.size[0] : static_cast<int64_t>(rows.size());
    for (const Product& p : products) {
        ENSURE(p.weight.rank == 2 && p.weight.size[1] == x.size[1] && p.out.rank == 2 &&
                   p.out.size[0] == count && p.out.size[1] == p.weight.size[0] &&
                   p.out.dtype == DType::f32,
               p.out.describe(), " = ", x.describe(), " . ", p.weight.describe());
    }
    for (const int32_t row : rows) {
        ENSURE(row >= 0 && row < x.size[0], "row ", row, " of ", x.size[0]);
    }
}

void check_matmul_add(const TensorView& x, const TensorView& in, const TensorView& weight) {
    x.f32();
    in.f32();
    ENSURE(x.rank == 2 && in.rank == 2 && weight.rank == 2 && x.size[0] == in.size[0] &&
               weight.size[0] == x.size[1] && weight.size[1] == in.size[1],
           x.describe(), " += ", in.describe(), " . ", weight.describe());
}

void check_batch(const PagedBatch& batch, int64_t tokens, const KPages& pages) {
    ENSURE(pages.pages != nullptr && pages.latent > 0 && pages.rotary >= 0 &&
               pages.rotary % 2 == 0 && pages.layer_offset_bytes >= 0,
           "K rows of ", pages.latent, " + ", pages.rotary);
    ENSURE(pages.row_bytes >= k_row_bytes(pages.type(), pages.latent, pages.rotary), "K row of ",
           pages.row_bytes, " bytes for ", pages.latent, " + ", pages.rotary, " ",
           name(pages.type()));
    ENSURE(batch.n_tokens == tokens, batch.n_tokens, " tokens in the batch, ", tokens, " rows");
    int64_t row = 0;
    for (const SequenceSpan& span : batch.spans) {
        ENSURE(span.first_row == row && span.n_tokens >= 0 && span.start >= 0, "span at ",
               span.first_row, ", ", span.n_tokens, " tokens from ", span.start);
        row += span.n_tokens;
        const int64_t used =
            span.n_tokens == 0 ? 0 : (span.start + span.n_tokens + kPageTokens - 1) / kPageTokens;
        ENSURE(static_cast<int64_t>(span.page_table.size()) >= used, span.page_table.size(),
               " pages for ", span.start + span.n_tokens, " tokens");
        for (int64_t i = 0; i < used; i++) {
            const int32_t page = span.page_table[static_cast<size_t>(i)];
            ENSURE(page >= 0 && pages.pages[page] != nullptr, "page ", page, " has no memory");
        }
    }
    ENSURE(row == tokens, row, " tokens in spans, ", tokens, " rows");
}

void check_query_and_store(const TensorView& q,
                           const TensorView& q_latent,
                           const TensorView& q_norm,
                           const TensorView& q_b,
                           const TensorView& kv,
                           const TensorView& kv_norm,
                           const KPages& pages,
                           const PagedBatch& batch) {
    q.f32();
    q_latent.f32();
    kv.f32();
    ENSURE(q.rank == 3 && q.size[2] >= pages.rotary &&
               (q.size[1] <= 1 || q.stride_bytes[1] == q.size[2] * 4),
           q.describe());
    const int64_t count = q.size[0];
    ENSURE(q_latent.rank == 2 && q_latent.size[0] == count && q_b.rank == 2 &&
               q_b.size[0] == q.size[1] * q.size[2] && q_b.size[1] == q_latent.size[1] &&
               q_norm.rank == 1 && q_norm.size[0] == q_latent.size[1],
           q.describe(), " = ", q_b.describe(), " . norm ", q_norm.describe(), " ",
           q_latent.describe());
    ENSURE(kv.rank == 2 && kv.size[0] == count && kv.size[1] == pages.latent + pages.rotary &&
               kv_norm.rank == 1 && kv_norm.size[0] == pages.latent,
           kv.describe(), ", norm ", kv_norm.describe());
    check_batch(batch, count, pages);
}

void check_attend(const TensorView& heads,
                  const TensorView& q,
                  const TensorView& k_b,
                  const TensorView& v_b,
                  const KPages& pages,
                  const PagedBatch& batch,
                  float scale) {
    heads.f32();
    q.f32();
    ENSURE(q.rank == 3 && heads.rank == 3 && k_b.rank == 3 && v_b.rank == 3 && scale > 0, scale);
    const int64_t count = q.size[0], n_heads = q.size[1], latent = pages.latent;
    ENSURE(heads.size[0] == count && heads.size[1] == n_heads && k_b.size[0] == n_heads &&
               v_b.size[0] == n_heads && k_b.size[1] == latent &&
               k_b.size[2] + pages.rotary == q.size[2] && v_b.size[1] == heads.size[2] &&
               v_b.size[2] == latent,
           heads.describe(), " from q ", q.describe(), ", k_b ", k_b.describe(), ", v_b ",
           v_b.describe());
    check_batch(batch, count, pages);
}

void check_dense_ffn(const TensorView& x, const TensorView& norm, const Glu& glu) {
    check_normed(x, norm);
    check_glu(glu, 2, x.size[1]);
}

void check_moe_ffn(const TensorView& x,
                   const TensorView& norm,
                   const TensorView& router,
                   const TensorView& bias,
                   const MoeRouting& routing,
                   const Glu& experts,
                   const Glu& shared) {
    check_normed(x, norm);
    const int64_t dim = x.size[1];
    check_glu(experts, 3, dim);
    const int64_t n_experts = experts.gate.size[0];
    ENSURE(router.rank == 2 && router.size[0] == n_experts && router.size[1] == dim, "router ",
           router.describe());
    ENSURE(routing.n_used >= 1 && routing.n_used <= n_experts, routing.n_used, " of ", n_experts,
           " experts");
    ENSURE(bias.empty() || (bias.rank == 1 && bias.size[0] == n_experts), "bias ", bias.describe());
    if (!shared.gate.empty()) {
        check_glu(shared, 2, dim);
    }
}

}  // namespace kernels
