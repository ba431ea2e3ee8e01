// Attention of the CUDA backend: which spans take which form, and in what waves.
#include <algorithm>

#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/pass_lists.h"
#include "kernels/cuda/views.h"
#include "kernels/operation_shapes.h"

namespace kernels::cuda {

void CudaBackend::mla_query_and_store(const TensorView& q,
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
    check_rows(pages);
    const int64_t count = q.size[0], heads = q.size[1], head = q.size[2];

    Products form;
    form.input = InputForm::normed;
    form.x = rows_of(q_latent);
    form.norm = floats(q_norm, Slot::norm);
    form.eps = eps;
    form.n_slots = static_cast<int32_t>(count);
    const Rows flat{q.f32(), q.stride_bytes[0] / 4, 0, 1};
    run(form, {&q_b, 1}, {&flat, 1});

    RotateAndStore work;
    work.batch = tables(batch, pages);
    work.rows = k_rows(pages);
    work.q = head_rows(q);
    work.n_tokens = static_cast<int32_t>(count);
    work.n_heads = static_cast<int32_t>(heads);
    work.head = static_cast<int32_t>(head);
    work.kv = rows_of(kv);
    work.norm = floats(kv_norm, Slot::norm_2);
    work.eps = eps;
    work.turns = turns(work.batch, work.n_tokens, work.rows.rotary, rope.freq_base);
    launch_rotate_and_store(work, device_->stream());
}

void CudaBackend::mla_attend(const TensorView& heads,
                             const TensorView& q,
                             const TensorView& k_b,
                             const TensorView& v_b,
                             const KPages& pages,
                             const PagedBatch& batch,
                             float scale) {
    check_attend(heads, q, k_b, v_b, pages, batch, scale);
    check_rows(pages);
    const int64_t count = q.size[0], n_heads = q.size[1], latent = pages.latent;
    if (count == 0) {
        return;
    }

    Attend work;
    work.rows = k_rows(pages);
    work.batch = tables(batch, pages);
    work.n_heads = static_cast<int32_t>(n_heads);
    work.head = static_cast<int32_t>(q.size[2]);
    work.scale = scale;
    work.q = head_rows(q);
    // Queries are read two numbers at a time.
    const bool pairs = work.head % 2 == 0 && work.q.outer_stride % 2 == 0;
    const bool grouped = pairs && mla_group_tokens(work.n_heads) > 0 && has_mla_decode(work.rows);
    const bool expands = pairs && has_mla_prefill(work.rows, k_b.size[2], v_b.size[1]) &&
                         heads.stride_bytes[0] % 8 == 0;

    // The absorbed form of rows [first, first + n): q~ = k_b q, per head; attention over the K rows
    // themselves; heads = v_b mixed.
    const int64_t held = std::min(count, kAbsorbedTokens) * n_heads * latent;
    const auto absorbed = [&](int64_t first, int64_t n, const auto& attend) {
        Products form;
        form.slots = SlotForm::heads;
        form.n_heads = work.n_heads;
        form.n_slots = static_cast<int32_t>(n);
        form.x = head_rows(q);
        form.x.data += first * form.x.outer_stride;
        work.absorbed = dense_rows(scratch<float>(Slot::absorbed, held), latent);
        work.mixed = scratch<float>(Slot::mixed, held);
        work.first_token = static_cast<int32_t>(first);
        work.n_tokens = static_cast<int32_t>(n);
        run(form, {&k_b, 1}, {&work.absorbed, 1});
        attend();
        form.x = dense_rows(work.mixed, latent);
        Rows out = head_rows(heads);
        out.data += first * out.outer_stride;
        run(form, {&v_b, 1}, {&out, 1});
    };

    // Long spans one by one; what lies between them together.
    std::vector<std::pair<int64_t, int64_t>> between;  // rows
    int64_t row = 0, table = 0;
    for (const SequenceSpan& span : batch.spans) {
        const int64_t seen = span.start + span.n_tokens;
        if (expands && span.n_tokens > kAbsorbedTokens) {
            expand(span, seen, table, work, heads, k_b, v_b);
            between.emplace_back(row, span.first_row);
            row = span.first_row + span.n_tokens;
        }
        table += (seen + kPageTokens - 1) / kPageTokens;
    }
    between.emplace_back(row, count);
    if (!grouped) {
        for (const auto& [begin, end] : between) {
            for (int64_t i = begin; i < end; i += kAbsorbedTokens) {
                absorbed(i, std::min(kAbsorbedTokens, end - i),
                         [&] { launch_mla_any(work, device_->stream()); });
            }
        }
        return;
    }
    const Groups all = groups(batch, n_heads);
    work.group_tokens = all.tokens;
    work.n_splits = all.splits;
    // A wave is as many groups as kPartBytes holds the splits of, and absorbed and mixed the
    // tokens; at least one group.
    const int64_t token_bytes =
        n_heads * work.n_splits * latent * static_cast<int64_t>(sizeof(uint16_t));
    const int64_t wave = std::clamp<int64_t>(kPartBytes / token_bytes, work.group_tokens,
                                             std::max<int64_t>(kAbsorbedTokens, work.group_tokens));
    const int64_t sums = std::min(count, wave) * n_heads * work.n_splits;
    size_t group = 0;
    row = 0;
    for (const auto& [begin, end] : between) {
        for (; row < begin; row += all.sizes[group++]) {  // of a long span
        }
        while (row < end) {
            work.part = scratch<uint16_t>(Slot::part, sums * latent);
            work.weight = scratch<float2>(Slot::weight, sums);
            const int64_t first = row;
            work.groups = all.list + group;
            work.n_groups = 0;
            while (row < end && row - first + all.sizes[group] <= wave) {
                row += all.sizes[group++];
                work.n_groups++;
            }
            absorbed(first, row - first, [&] {
                launch_mla_decode(work, device_->stream());
                launch_mla_merge(work, device_->stream());
            });
        }
    }
}

// Attention of a long span in the expanded form.
void CudaBackend::expand(const SequenceSpan& span,
                         int64_t seen,
                         int64_t table,
                         const Attend& work,
                         const TensorView& heads,
                         const TensorView& k_b,
                         const TensorView& v_b) {
    const auto head_weight = [](const TensorView& v) {
        return HeadWeight{v.data, v.dtype, v.stride_bytes[1], v.stride_bytes[0]};
    };
    const int64_t latent = work.rows.latent, rotary = work.rows.rotary;
    const int64_t row = k_b.size[2] + v_b.size[1], piece = std::min(kPieceTokens, seen);
    Expand e;
    e.rows = work.rows;
    e.pages = work.batch.pages + table;
    e.k_b = head_weight(k_b);
    e.v_b = head_weight(v_b);
    e.n_heads = work.n_heads;
    e.q = work.q;
    e.out = head_rows(heads);
    e.first_row = static_cast<int32_t>(span.first_row);
    e.n_tokens = static_cast<int32_t>(span.n_tokens);
    e.position = static_cast<int32_t>(span.start);
    e.scale = work.scale;
    e.piece_tokens = static_cast<int32_t>(piece);
    e.weights = scratch<uint16_t>(Slot::head_weights, e.n_heads * row * latent);
    e.latents = scratch<uint16_t>(Slot::latents, piece * (latent + rotary));
    e.keys_values = scratch<uint16_t>(Slot::keys_values, e.n_heads * piece * row);
    e.state = scratch<float2>(Slot::span_state, span.n_tokens * e.n_heads);
    launch_expand_weights(e, device_->stream());
    for (int64_t first = 0; first < seen; first += piece) {
        e.first = static_cast<int32_t>(first);
        e.count = static_cast<int32_t>(std::min(piece, seen - first));
        launch_unpack_rows(e, device_->stream());
        launch_project(e, device_->stream());
        launch_prefill(e, device_->stream());
    }
}

}  // namespace kernels::cuda
