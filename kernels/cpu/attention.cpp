// Attention over the paged K rows, absorbed form, and the rows' way into the cache.
//
// The sums over the positions are in attention_parts.cpp.
#include "kernels/cpu/attention.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/k_row.h"
#include "kernels/operation_shapes.h"
#include "kernels/quants/quants.h"

namespace kernels::cpu {
namespace {

void rotate(float* pairs, const float* cos_sin, int64_t n) {
    for (int64_t i = 0; i < n; i += 2) {
        const float a = pairs[i], b = pairs[i + 1], c = cos_sin[i], s = cos_sin[i + 1];
        pairs[i] = a * c - b * s;
        pairs[i + 1] = b * c + a * s;
    }
}

}  // namespace

void CpuBackend::mla_query_and_store(const TensorView& q,
                                     const TensorView& q_latent,
                                     const TensorView& q_norm,
                                     const TensorView& q_b,
                                     const TensorView& kv,
                                     const TensorView& kv_norm,
                                     const KPages& pages,
                                     const PagedBatch& batch,
                                     const Rope& rope,
                                     float eps) {
    check_query_and_store(q, q_latent, q_norm, q_b, kv, kv_norm, pages, batch);
    const int64_t count = q.size[0], heads = q.size[1], head = q.size[2];
    const int64_t latent = pages.latent, rotary = pages.rotary;
    use_threads_for(count);

    const float* q_weight = vector(q_norm, Slot::vector);
    TensorView flat = q;  // [T, H * (N+R)]
    flat.rank = 2;
    flat.size[1] = heads * head;
    const Product product{flat, q_b};
    const unsigned format = 1U << static_cast<int>(activation_format(q_b.dtype));
    for (int64_t first = 0; first < count; first += kBlockTokens) {
        const int64_t n = std::min(kBlockTokens, count - first);
        multiply({&product, 1}, first, n,
                 norm_and_pack(q_latent, first, n, {}, q_weight, eps, format));
    }

    // Angles in double precision: at position 200,000 a float would leave only five bits behind the
    // point.
    auto* frequency = scratch_.get<double>(Slot::indices, rotary / 2 + 1);
    for (int64_t i = 0; i < rotary / 2; i++) {
        frequency[i] = std::pow(static_cast<double>(rope.freq_base),
                                -2.0 * static_cast<double>(i) / static_cast<double>(rotary));
    }
    auto* positions = scratch_.get<const SequenceSpan*>(Slot::rows, count);
    for (const SequenceSpan& span : batch.spans) {
        std::fill_n(positions + span.first_row, span.n_tokens, &span);
    }
    const float* kv_weight = vector(kv_norm, Slot::vector_2);
    const int64_t stride = padded(latent + rotary) + padded(rotary);
    auto* temporary = scratch_.get<float>(Slot::worker, stride * active_);
    parallel(count, 4, [&](int64_t begin, int64_t end, int worker) {
        float* row = temporary + worker * stride;
        float* cos_sin = row + padded(latent + rotary);
        for (int64_t t = begin; t < end; t++) {
            const SequenceSpan& span = *positions[t];
            const int64_t position = span.start + t - span.first_row;
            for (int64_t i = 0; i < rotary / 2; i++) {
                const double angle = static_cast<double>(position) * frequency[i];
                cos_sin[2 * i] = static_cast<float>(std::cos(angle));
                cos_sin[2 * i + 1] = static_cast<float>(std::sin(angle));
            }
            auto* queries = reinterpret_cast<float*>(q.data + t * q.stride_bytes[0]);
            for (int64_t h = 0; h < heads; h++) {
                rotate(queries + h * head + head - rotary, cos_sin, rotary);
            }
            const auto* src = reinterpret_cast<const float*>(kv.data + t * kv.stride_bytes[0]);
            rows_.norm(row, src, kv_weight, eps, latent);
            std::memcpy(row + latent, src + latent, static_cast<size_t>(rotary) * sizeof(float));
            rotate(row + latent, cos_sin, rotary);
            pack_k_row(pages.type(), row, latent, rotary, k_row(pages, span, position));
        }
    });
}

void CpuBackend::Attention::read_page(const RowKernels& kernels,
                                      const SequenceSpan& span,
                                      int64_t page,
                                      int64_t count,
                                      float* tile) const {
    const int64_t n = latent() + rotary();
    for (int64_t r = 0; r < count; r++, tile += row()) {
        const std::byte* src = k_row(pages, span, page * kPageTokens + r);
        if (pages.int8_latent) {
            unpack_k_row(pages.type(), src, latent(), rotary(), tile);
        } else if (pages.dtype == DType::f16 && kernels.widen_f16 != nullptr) {
            kernels.widen_f16(tile, src, n);
        } else if (pages.dtype == DType::q8_0 && kernels.widen_q8_0 != nullptr) {
            kernels.widen_q8_0(tile, src, n);
        } else {
            dequantize_row(pages.dtype, src, tile, n);
        }
        std::fill(tile + n, tile + row(), 0.0F);
    }
}

RowMixFunction CpuBackend::Attention::score_page(const RowKernels& kernels,
                                                 RowScores& s,
                                                 const SequenceSpan& span,
                                                 int64_t position,
                                                 const std::byte* next) const {
    const int64_t n = latent() + rotary();
    void (*score)(const RowScores&) = nullptr;
    RowMixFunction mix_as_they_lie = nullptr;
    if (n % 32 == 0) {
        if (pages.int8_latent) {
            score = latent() % kCodesPerScale == 0 && rotary() % 32 == 0 ? kernels.score_q8_latent
                                                                         : nullptr;
        } else {
            score = pages.dtype == DType::f16    ? kernels.score_f16
                    : pages.dtype == DType::bf16 ? kernels.score_bf16
                    : pages.dtype == DType::q8_0 ? kernels.score_q8_0
                                                 : nullptr;
            mix_as_they_lie = pages.dtype == DType::f16    ? kernels.mix_f16
                              : pages.dtype == DType::bf16 ? kernels.mix_bf16
                                                           : nullptr;
        }
    }
    if (score == nullptr) {
        read_page(kernels, span, position / kPageTokens, s.count, s.tile);
        kernels.dot(s.scores, s.score_stride, s.queries, s.stride, s.n, s.tile, s.stride, s.count,
                    row());
        return nullptr;
    }
    const LatentRow latent_row(latent(), rotary());
    s.rows = k_row(pages, span, position);
    s.next = next;
    s.row_bytes = pages.row_bytes;
    s.dim = n;
    s.latent = latent();
    s.rotary_at = latent_row.rotary_at;
    s.scales_at = latent_row.scales_at;
    score(s);
    return mix_as_they_lie;
}

void CpuBackend::mla_attend(const TensorView& heads,
                            const TensorView& q,
                            const TensorView& k_b,
                            const TensorView& v_b,
                            const KPages& pages,
                            const PagedBatch& batch,
                            float scale) {
    check_attend(heads, q, k_b, v_b, pages, batch, scale);
    const int64_t count = q.size[0];
    use_threads_for(count);

    const Attention a{heads, q, k_b, v_b, pages, scale};
    const AttentionTiles* tiles = tiles_for(pages);
    const int64_t expand_from = tiles != nullptr && tiles->matrix_unit
                                    ? std::numeric_limits<int64_t>::max()
                                    : kExpandFromTokens;
    size_t begin = 0;  // spans before `begin` are done
    for (size_t i = 0; i <= batch.spans.size(); i++) {
        if (i == batch.spans.size() || batch.spans[i].n_tokens >= expand_from) {
            attend_absorbed(a, batch.spans.subspan(begin, i - begin));
            if (i < batch.spans.size()) {
                attend_expanded(a, batch.spans[i]);
            }
            begin = i + 1;
        }
    }
}

void CpuBackend::attend_absorbed(const Attention& a, std::span<const SequenceSpan> spans) {
    const int64_t most = group_tokens(a), split = split_tokens(a);
    auto* groups = scratch_.get<Group>(Slot::indices, kAbsorbTokens);
    size_t n_groups = 0;
    int64_t n = 0, first_row = 0;
    for (const SequenceSpan& span : spans) {
        for (int64_t t = 0; t < span.n_tokens;) {
            const int64_t count = std::min({most, span.n_tokens - t, kAbsorbTokens - n});
            if (n == 0) {
                first_row = span.first_row + t;
            }
            groups[n_groups] = {
                &span,
                t,
                count,
                n,
                (span.start + t + count + split - 1) / split,
                n_groups == 0 ? 0
                              : groups[n_groups - 1].parts_before + groups[n_groups - 1].splits};
            n_groups++;
            n += count;
            t += count;
            if (n == kAbsorbTokens) {
                attend_groups(a, {groups, n_groups}, first_row, n);
                n_groups = 0;
                n = 0;
            }
        }
    }
    if (n > 0) {
        attend_groups(a, {groups, n_groups}, first_row, n);
    }
}

void CpuBackend::attend_groups(const Attention& a,
                               std::span<const Group> groups,
                               int64_t first_row,
                               int64_t n) {
    const int64_t heads = a.n_heads(), nope = a.nope(), latent = a.latent(), value = a.value();
    const int64_t row = a.row();

    // Absorbed queries [n, H, row]: k_b q_nope, then the rotary part, then zeros.
    auto* queries = scratch_.get<float>(Slot::queries, n * heads * row);
    const ActivationFormat k_format = activation_format(a.k_b.dtype),
                           v_format = activation_format(a.v_b.dtype);
    const int64_t k_size = (activation_row_bytes(k_format, nope) + 63) / 64 * 64;
    const int64_t v_size = (activation_row_bytes(v_format, latent) + 63) / 64 * 64;
    std::byte* packed = scratch_.bytes(Slot::packed_f32, n * heads * std::max(k_size, v_size));
    auto** pointers =
        scratch_.get<const std::byte*>(Slot::pointers, 2 * n * heads);  // [H, n] of k, then of v
    for (int64_t i = 0; i < n * heads; i++) {
        pointers[i] = packed + i * k_size;
        pointers[n * heads + i] = packed + i * v_size;
    }
    parallel(n * heads, 16, [&](int64_t begin, int64_t end, int) {
        for (int64_t i = begin; i < end; i++) {
            const int64_t h = i / n, t = i % n;
            const float* q = a.query(first_row + t, h);
            pack_activation(k_format, q, nope, packed + i * k_size);
            float* dst = queries + (t * heads + h) * row;
            std::copy_n(q + nope, a.rotary(), dst + latent);
            std::fill(dst + latent + a.rotary(), dst + row, 0.0F);
        }
    });
    // Rows [begin, end) of [H, m] rows of weights, head by head.
    const auto per_head = [&](int64_t begin, int64_t end, int64_t m, const auto& body) {
        while (begin < end) {
            const int64_t h = begin / m, last = std::min(end, (h + 1) * m);
            body(h, begin - h * m, last - h * m);
            begin = last;
        }
    };
    parallel(heads * latent, std::max<int64_t>(16, 32768 / (nope * n)),
             [&](int64_t begin, int64_t end, int) {
                 per_head(begin, end, latent, [&](int64_t h, int64_t m0, int64_t m1) {
                     matmul_rows(queries + h * row + m0, heads * row, a.k_b[h], m0, m1,
                                 pointers + h * n, n);
                 });
             });

    auto* mixed = scratch_.get<float>(Slot::mixed, n * heads * a.part_row());
    attend_parts(a, groups, queries, mixed);

    parallel(n * heads, 16, [&](int64_t begin, int64_t end, int) {
        for (int64_t i = begin; i < end; i++) {
            const int64_t h = i / n, t = i % n;
            float* sum = mixed + (t * heads + h) * a.part_row();
            rows_.multiply(sum, sum, 1.0F / sum[a.mix() + 1], latent);
            pack_activation(v_format, sum, latent, packed + i * v_size);
        }
    });
    parallel(heads * value, std::max<int64_t>(16, 32768 / (latent * n)),
             [&](int64_t begin, int64_t end, int) {
                 per_head(begin, end, value, [&](int64_t h, int64_t m0, int64_t m1) {
                     matmul_rows(a.result(first_row, h) + m0, a.heads.stride_bytes[0] / 4, a.v_b[h],
                                 m0, m1, pointers + (heads + h) * n, n);
                 });
             });
}

}  // namespace kernels::cpu
