// What the operations of backend.h ask of their arguments, the same for every backend: ranks, sizes
// that fit each other, F32 where results go, ids and rows within their tables, spans that cover the
// rows in order, pages that hold them.
//
// Host arithmetic on views; reads no element and no memory of a device. Each throws
// std::logic_error (ENSURE) naming what does not fit. Any thread.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/backend.h"

namespace kernels {

void check_embed(const TensorView& out, const TensorView& table, std::span<const int32_t> ids);

void check_norm_matmul(std::span<const Product> products,
                       const TensorView& x,
                       const TensorView& norm,
                       std::span<const int32_t> rows);

void check_matmul_add(const TensorView& x, const TensorView& in, const TensorView& weight);

// Spans cover rows 0..tokens-1 in order, and every page that they reach into has memory.
void check_batch(const PagedBatch& batch, int64_t tokens, const KPages& pages);

void check_query_and_store(const TensorView& q,
                           const TensorView& q_latent,
                           const TensorView& q_norm,
                           const TensorView& q_b,
                           const TensorView& kv,
                           const TensorView& kv_norm,
                           const KPages& pages,
                           const PagedBatch& batch);

void check_attend(const TensorView& heads,
                  const TensorView& q,
                  const TensorView& k_b,
                  const TensorView& v_b,
                  const KPages& pages,
                  const PagedBatch& batch,
                  float scale);

void check_dense_ffn(const TensorView& x, const TensorView& norm, const Glu& glu);

void check_moe_ffn(const TensorView& x,
                   const TensorView& norm,
                   const TensorView& router,
                   const TensorView& bias,
                   const MoeRouting& routing,
                   const Glu& experts,
                   const Glu& shared);

}  // namespace kernels
