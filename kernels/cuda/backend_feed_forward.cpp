// Feed-forward blocks of the CUDA backend: dense, routed, and routed with experts on the host.
#include <algorithm>

#include "kernels/check.h"
#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/tiles.h"
#include "kernels/cuda/views.h"
#include "kernels/operation_shapes.h"

namespace kernels::cuda {

void CudaBackend::dense_ffn(const TensorView& x,
                            const TensorView& norm,
                            const Glu& glu,
                            float eps) {
    check_dense_ffn(x, norm, glu);
    const int64_t count = x.size[0], width = glu.gate.size[0];
    const Rows gate = dense_rows(scratch<float>(Slot::gate, count * width), width);
    const Rows up = dense_rows(scratch<float>(Slot::up, count * width), width);
    Products form;
    form.input = InputForm::normed;
    form.x = rows_of(x);
    form.norm = floats(norm, Slot::norm);
    form.eps = eps;
    form.n_slots = static_cast<int32_t>(count);
    const TensorView weights[] = {glu.gate, glu.up};
    const Rows outs[] = {gate, up};
    run(form, weights, outs);

    Products down;
    down.input = InputForm::gated;
    down.x = gate;
    down.up = up;
    down.n_slots = form.n_slots;
    down.add = true;
    const Rows out = rows_of(x);
    run(down, {&glu.down, 1}, {&out, 1});
}

void CudaBackend::moe_ffn(const TensorView& x,
                          const TensorView& norm,
                          const TensorView& router,
                          const TensorView& bias,
                          const MoeRouting& routing,
                          const Glu& experts,
                          const Glu& shared,
                          float eps) {
    check_moe_ffn(x, norm, router, bias, routing, experts, shared);
    const int64_t count = x.size[0], dim = x.size[1], used = routing.n_used;
    const int64_t n_experts = experts.gate.size[0], width = experts.gate.size[1],
                  n_pairs = count * used;
    const bool has_shared = !shared.gate.empty();
    if (count == 0) {
        return;
    }
    if (on_host_.contains(experts.gate.data)) {
        moe_ffn_on_host(x, norm, router, bias, routing, experts, shared, eps);
        return;
    }

    Products form;
    form.input = InputForm::normed;
    form.x = rows_of(x);
    form.norm = floats(norm, Slot::norm);
    form.eps = eps;
    form.n_slots = static_cast<int32_t>(count);
    Route route;
    auto* logits = scratch<float>(Slot::logits, count * n_experts);
    const Rows logit_rows = dense_rows(logits, n_experts);
    route.logits = logits;
    route.bias = bias.empty() ? nullptr : floats(bias, Slot::bias);
    route.n_tokens = static_cast<int32_t>(count);
    route.n_experts = static_cast<int32_t>(n_experts);
    route.n_used = static_cast<int32_t>(used);
    route.normalize = routing.normalize;
    route.scale = routing.scale;
    // Items of one size serve all three products.
    const bool tiles = count >= kTilesFrom && has_tiles(experts.gate.dtype) &&
                       has_tiles(experts.up.dtype) && has_tiles(experts.down.dtype);
    route.item_slots = tiles ? tile_slots(n_pairs / n_experts) : count == 1 ? 1 : kTileTokens;
    const int32_t most = most_items(n_pairs, n_experts, route.item_slots);
    route.chosen = scratch<int32_t>(Slot::chosen, n_pairs);
    route.weights = scratch<float>(Slot::weights, n_pairs);
    route.items = scratch<WorkItem>(Slot::items, most);
    route.n_items = scratch<int32_t>(Slot::n_items, 1);
    route.pairs = scratch<int32_t>(Slot::pairs, n_pairs);
    run_router(form, router, logit_rows, route);

    // Every launch reads the norm of x before x changes: the sum comes last.
    Products routed = form;
    routed.slots = SlotForm::routed;
    routed.n_slots = most;
    routed.items = route.items;
    routed.n_items = route.n_items;
    routed.pairs = route.pairs;
    routed.n_pairs = static_cast<int32_t>(n_pairs);
    routed.item_slots = route.item_slots;
    routed.pairs_a_row = static_cast<int32_t>(used);
    const Rows gate = dense_rows(scratch<float>(Slot::gate, n_pairs * width), width);
    const Rows up = dense_rows(scratch<float>(Slot::up, n_pairs * width), width);
    const Rows down = dense_rows(scratch<float>(Slot::down, n_pairs * dim), dim);
    const TensorView weights[] = {experts.gate, experts.up};
    const Rows outs[] = {gate, up};
    Products last = routed;
    last.input = InputForm::gated;
    last.x = gate;
    last.up = up;
    last.pairs_a_row = 1;
    float* beside = nullptr;
    if (has_shared) {
        const SharedExpert s = shared_expert(form, shared, count, dim);
        beside = s.result.data;
        const TensorView shared_weights[] = {shared.gate, shared.up};
        const Rows shared_outs[] = {s.down.x, s.down.up};
        run_both(routed, weights, outs, form, shared_weights, shared_outs);
        run_both(last, {&experts.down, 1}, {&down, 1}, s.down, {&shared.down, 1}, {&s.result, 1});
    } else {
        run(routed, weights, outs);
        run(last, {&experts.down, 1}, {&down, 1});
    }
    launch_combine(rows_of(x), down.data, route.weights, beside, route.n_tokens, route.n_used,
                   static_cast<int32_t>(dim), device_->stream());
}

CudaBackend::SharedExpert CudaBackend::shared_expert(const Products& form,
                                                     const Glu& shared,
                                                     int64_t count,
                                                     int64_t dim) {
    const int64_t width = shared.gate.size[0];
    SharedExpert s;
    s.down.input = InputForm::gated;
    s.down.x = dense_rows(scratch<float>(Slot::shared_gate, count * width), width);
    s.down.up = dense_rows(scratch<float>(Slot::shared_up, count * width), width);
    s.down.n_slots = form.n_slots;
    s.result = dense_rows(scratch<float>(Slot::shared_down, count * dim), dim);
    return s;
}

// The residual stream goes to the host, 4 bytes a number and token each way. While the CPU is at
// the router and the experts, the device computes the shared expert: its launches are queued before
// the CPU begins.
void CudaBackend::moe_ffn_on_host(const TensorView& x,
                                  const TensorView& norm,
                                  const TensorView& router,
                                  const TensorView& bias,
                                  const MoeRouting& routing,
                                  const Glu& experts,
                                  const Glu& shared,
                                  float eps) {
    ENSURE(x.dense(), x.describe());
    const int64_t count = x.size[0], dim = x.size[1];
    host_x_.resize(
        static_cast<size_t>(std::max(x.elements(), static_cast<int64_t>(host_x_.size()))));
    const TensorView host(host_x_.data(), DType::f32, {count, dim});
    download(host_x_.data(), x);
    float* beside = nullptr;
    if (!shared.gate.empty()) {
        Products form;
        form.input = InputForm::normed;
        form.x = rows_of(x);
        form.norm = floats(norm, Slot::norm);
        form.eps = eps;
        form.n_slots = static_cast<int32_t>(count);
        const SharedExpert s = shared_expert(form, shared, count, dim);
        beside = s.result.data;
        const TensorView weights[] = {shared.gate, shared.up};
        const Rows outs[] = {s.down.x, s.down.up};
        run(form, weights, outs);
        run(s.down, {&shared.down, 1}, {&s.result, 1});
    }
    cpu_->moe_ffn(host, on_host(norm), on_host(router), on_host(bias), routing, experts, {}, eps);
    upload(x, host_x_.data());
    if (beside != nullptr) {
        launch_combine(rows_of(x), nullptr, nullptr, beside, static_cast<int32_t>(count), 0,
                       static_cast<int32_t>(dim), device_->stream());
    }
}

}  // namespace kernels::cuda
