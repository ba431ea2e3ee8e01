// Products and embedding of the CUDA backend: which weights go into one launch, and in which form.
#include <algorithm>
#include <cstring>

#include "kernels/check.h"
#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/tiles.h"
#include "kernels/cuda/views.h"
#include "kernels/operation_shapes.h"

namespace kernels::cuda {
namespace {

bool in_tiles(const Products& p) {
    return p.slots == SlotForm::routed ? p.item_slots > kTileTokens : p.n_slots >= kTilesFrom;
}

void add_part(Products& p, const TensorView& weight, const Rows& out) {
    ProductPart& part = p.parts[p.n_parts++];
    part.weight = weight.data;
    const int64_t outer = weight.rank == 3 ? weight.size[0] - 1 : 0;
    const int64_t rows = weight.size[weight.rank - 2];
    part.end = weight.data + (weight.rank == 3 ? outer * weight.stride_bytes[0] : 0) +
               (rows - 1) * weight.stride_bytes[weight.rank - 2] +
               row_bytes(weight.dtype, weight.cols());
    part.row_bytes = weight.stride_bytes[weight.rank - 2];
    part.expert_bytes = weight.rank == 3 ? weight.stride_bytes[0] : 0;
    part.rows = static_cast<int32_t>(weight.size[weight.rank - 2]);
    part.out = out;
    p.cols = static_cast<int32_t>(weight.cols());
}

}  // namespace

const float* CudaBackend::floats(const TensorView& vector, Slot slot) {
    ENSURE(vector.rank == 1, vector.describe());
    if (vector.dtype == DType::f32) {
        return vector.f32();
    }
    auto* to = scratch<float>(slot, vector.size[0]);
    const auto cols = static_cast<int32_t>(vector.size[0]);
    launch_embed(to, vector.dtype, vector.data, 0, scratch<int32_t>(Slot::zero, 1), 1, cols,
                 device_->stream());
    return to;
}

void CudaBackend::run_both(Products first,
                           std::span<const TensorView> first_weights,
                           std::span<const Rows> first_outs,
                           Products second,
                           std::span<const TensorView> second_weights,
                           std::span<const Rows> second_outs) {
    const DType type = first_weights[0].dtype;
    const auto same = [&](const TensorView& w) { return w.dtype == type; };
    if (in_tiles(first) || in_tiles(second) || !std::ranges::all_of(first_weights, same) ||
        !std::ranges::all_of(second_weights, same)) {
        run(first, first_weights, first_outs);
        run(second, second_weights, second_outs);
        return;
    }
    for (size_t i = 0; i < first_weights.size(); i++) {
        add_part(first, first_weights[i], first_outs[i]);
    }
    for (size_t i = 0; i < second_weights.size(); i++) {
        add_part(second, second_weights[i], second_outs[i]);
    }
    launch_products(type, first, second, device_->stream());
}

void CudaBackend::run(Products form,
                      std::span<const TensorView> weights,
                      std::span<const Rows> outs) {
    const bool tiles = in_tiles(form);
    // Those of one type go together; the order among types does not matter, their results are
    // apart.
    std::vector<bool> done(weights.size());
    for (size_t i = 0; i < weights.size(); i++) {
        if (done[i]) {
            continue;
        }
        Products p = form;
        for (size_t j = i; j < weights.size() && p.n_parts < kMaxParts; j++) {
            const TensorView& w = weights[j];
            if (done[j] || w.dtype != weights[i].dtype) {
                continue;
            }
            done[j] = true;
            add_part(p, w, outs[j]);
        }
        if (tiles && has_tiles(weights[i].dtype)) {
            if (p.slots != SlotForm::routed) {
                p.item_slots = tile_slots(p.n_slots);
            }
            p.packed = scratch<uint16_t>(
                Slot::packed, static_cast<int64_t>(p.packed_rows()) * packed_pitch(p.cols));
        }
        launch_products(weights[i].dtype, p, device_->stream());
    }
}

void CudaBackend::run_router(const Products& form,
                             const TensorView& router,
                             const Rows& logits,
                             const Route& route) {
    if (!in_tiles(form)) {
        Products p = form;
        add_part(p, router, logits);
        if (launch_router(router.dtype, p, route, scratch<unsigned>(Slot::ticket, 1),
                          device_->stream())) {
            return;
        }
    }
    run(form, {&router, 1}, {&logits, 1});
    launch_route(route, device_->stream());
}

void CudaBackend::embed(const TensorView& out,
                        const TensorView& table,
                        std::span<const int32_t> ids) {
    const auto count = static_cast<int64_t>(ids.size());
    check_embed(out, table, ids);
    ENSURE(out.dense(), out.describe());
    float* to = out.f32();
    if (step_.ids != nullptr) {
        launch_embed(to, table.dtype, step_.table != nullptr ? step_.table : table.data,
                     table.stride_bytes[0], step_.ids, static_cast<int32_t>(count),
                     static_cast<int32_t>(table.size[1]), device_->stream());
        return;
    }
    std::vector<int32_t> rows(ids.begin(), ids.end());
    const std::byte* data = table.data;
    if (on_host_.contains(table.data)) {
        // The rows wanted go to the device, and become its table.
        const int64_t row = table.stride_bytes[0];
        std::vector<std::byte> packed(static_cast<size_t>(count * row));
        for (int64_t i = 0; i < count; i++) {
            std::memcpy(packed.data() + i * row, table.data + ids[static_cast<size_t>(i)] * row,
                        static_cast<size_t>(row));
            rows[static_cast<size_t>(i)] = static_cast<int32_t>(i);
        }
        data = send(Slot::table_rows, packed);
    }
    launch_embed(to, table.dtype, data, table.stride_bytes[0], send(Slot::ids, rows),
                 static_cast<int32_t>(count), static_cast<int32_t>(table.size[1]),
                 device_->stream());
}

void CudaBackend::norm_matmul(std::span<const Product> products,
                              const TensorView& x,
                              const TensorView& norm,
                              float eps,
                              std::span<const int32_t> rows) {
    check_norm_matmul(products, x, norm, rows);
    const int64_t count = rows.empty() ? x.size[0] : static_cast<int64_t>(rows.size());
    std::vector<TensorView> weights;
    std::vector<Rows> outs;
    for (const Product& p : products) {
        weights.push_back(p.weight);
        outs.push_back(rows_of(p.out));
    }
    Products form;
    form.input = InputForm::normed;
    form.x = rows_of(x);
    form.norm = floats(norm, Slot::norm);
    form.eps = eps;
    form.n_slots = static_cast<int32_t>(count);
    if (!rows.empty()) {
        form.list = step_.ids != nullptr
                        ? step_.rows
                        : send(Slot::rows, std::vector<int32_t>(rows.begin(), rows.end()));
    }
    run(form, weights, outs);
}

void CudaBackend::matmul_add(const TensorView& x, const TensorView& in, const TensorView& weight) {
    check_matmul_add(x, in, weight);
    Products form;
    form.x = rows_of(in);
    form.n_slots = static_cast<int32_t>(x.size[0]);
    form.add = true;
    const Rows out = rows_of(x);
    run(form, {&weight, 1}, {&out, 1});
}

}  // namespace kernels::cuda
