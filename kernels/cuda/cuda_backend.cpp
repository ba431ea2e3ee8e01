#include "kernels/cuda/cuda_backend.h"

#include <algorithm>
#include <cstring>

#include "kernels/check.h"

namespace kernels::cuda {
namespace {

// Of splits' sums at a time: a chunk of 512 tokens over 200,000 would take a gigabyte.
constexpr int64_t kPartBytes = int64_t{32} << 20;

Rows rows_of(const TensorView& view) {
    return {view.f32(), view.rank > 1 ? view.stride_bytes[0] / 4 : 0, 0, 1};
}

// [T, H, C] as rows t * H + h.
Rows head_rows(const TensorView& view) {
    return {view.f32(), view.stride_bytes[0] / 4, view.stride_bytes[1] / 4,
            static_cast<int32_t>(view.size[1])};
}

Rows dense_rows(float* data, int64_t cols) {
    return {data, cols, 0, 1};
}

KRows k_rows(const KPages& pages) {
    return {pages.layer_offset_bytes, pages.row_bytes, pages.dtype,
            static_cast<int32_t>(pages.latent), static_cast<int32_t>(pages.rotary)};
}

std::string mebibytes(int64_t bytes) {
    return std::to_string(bytes / (1024 * 1024)) + " MiB";
}

void check_glu(const Glu& glu, int rank, int64_t dim) {
    const bool ranks = glu.gate.rank == rank && glu.up.rank == rank && glu.down.rank == rank;
    const int d = rank - 2;
    ENSURE(ranks && glu.gate.size[d + 1] == dim && glu.up.size[d + 1] == dim &&
               glu.up.size[d] == glu.gate.size[d] && glu.down.size[d] == dim &&
               glu.down.size[d + 1] == glu.gate.size[d] &&
               (rank == 2 ||
                (glu.up.size[0] == glu.gate.size[0] && glu.down.size[0] == glu.gate.size[0])),
           glu.gate.describe(), ", ", glu.up.describe(), ", ", glu.down.describe());
}

void check_batch(const PagedBatch& batch, int64_t count, const KPages& pages) {
    ENSURE(pages.latent > 0 && pages.rotary > 0 && pages.rotary % 2 == 0 &&
               pages.row_bytes == row_bytes(pages.dtype, pages.latent + pages.rotary),
           pages.latent, " + ", pages.rotary, ", rows of ", pages.row_bytes);
    ENSURE(pages.dtype == DType::f32 || pages.dtype == DType::f16 || pages.dtype == DType::bf16 ||
               pages.dtype == DType::q8_0 || pages.dtype == DType::q4_0,
           "K rows of ", name(pages.dtype));
    int64_t row = 0;
    for (const SequenceSpan& span : batch.spans) {
        ENSURE(span.first_row == row && span.n_tokens >= 0 && span.start >= 0, "span at ",
               span.first_row, ", ", span.n_tokens, " tokens from ", span.start);
        ENSURE(static_cast<int64_t>(span.page_table.size()) * kPageTokens >=
                   span.start + span.n_tokens,
               span.page_table.size(), " pages for ", span.start + span.n_tokens, " tokens");
        row += span.n_tokens;
    }
    ENSURE(row == count && batch.n_tokens == count, row, " tokens in spans, ", batch.n_tokens, ", ",
           count);
}

}  // namespace

CudaBackend::CudaBackend(std::unique_ptr<Device> device)
    : device_(std::move(device)), account_(std::make_shared<MemoryAccount>()) {}

Buffer CudaBackend::allocate(int64_t bytes, MemoryUse use) {
    ENSURE(bytes >= 0, bytes);
    if (bytes == 0) {
        return {};
    }
    void* memory = device_->allocate(bytes);
    if (memory == nullptr) {
        const Device::Figures figures = device_->memory_figures();
        throw DeviceError(describe("not enough memory: ", mebibytes(bytes), " asked for, ",
                                   mebibytes(figures.free_bytes), " of ",
                                   mebibytes(figures.total_bytes), " free on ", device_->name()));
    }
    device_->zero(memory, bytes);
    return Buffer(memory, static_cast<size_t>(bytes), use, account_, &Device::free);
}

TensorView CudaBackend::adopt_weight(const TensorView& host) {
    ENSURE(!host.empty() && host.dense(), host.describe());
    Buffer& copy = adopted_[{host.data, host.bytes()}];
    if (!copy && host.bytes() > 0) {
        copy = allocate(host.bytes(), MemoryUse::weights);
        device_->copy_in(copy.data(), host.data, host.bytes());
    }
    TensorView device = host;
    device.data = copy.data();
    return device;
}

void CudaBackend::upload(const TensorView& device, const void* host) {
    ENSURE(device.dense(), device.describe());
    if (device.bytes() > 0) {
        device_->copy_in(device.data, host, device.bytes());
    }
}

void CudaBackend::download(void* host, const TensorView& device) {
    ENSURE(device.dense(), device.describe());
    if (device.bytes() > 0) {
        device_->copy_out(host, device.data, device.bytes());
    }
}

DeviceMemory CudaBackend::memory() const {
    const Device::Figures figures = device_->memory_figures();
    DeviceMemory memory;
    memory.name = device_->name();
    memory.total_bytes = figures.total_bytes;
    memory.free_bytes = figures.free_bytes;
    memory.weights_bytes = account_->bytes(MemoryUse::weights);
    memory.kv_bytes = account_->bytes(MemoryUse::kv_cache);
    memory.compute_bytes = account_->bytes(MemoryUse::compute);
    return memory;
}

std::string CudaBackend::description() const {
    return "CUDA, " + device_->name();
}

template <typename T>
T* CudaBackend::scratch(Slot slot, int64_t count) {
    Buffer& block = blocks_[static_cast<size_t>(slot)];
    const int64_t bytes = std::max<int64_t>(count, 1) * static_cast<int64_t>(sizeof(T));
    if (static_cast<int64_t>(block.size_bytes()) < bytes) {
        block.reset();
        constexpr int64_t kPage = 4096;
        block = allocate((bytes + kPage - 1) / kPage * kPage, MemoryUse::compute);
    }
    return reinterpret_cast<T*>(block.data());
}

template <typename T>
const T* CudaBackend::send(Slot slot, const std::vector<T>& values) {
    T* to = scratch<T>(slot, static_cast<int64_t>(values.size()));
    if (!values.empty()) {
        device_->copy_in(to, values.data(), static_cast<int64_t>(values.size() * sizeof(T)));
    }
    return to;
}

const float* CudaBackend::floats(const TensorView& vector, Slot slot) {
    ENSURE(vector.rank == 1, vector.describe());
    if (vector.dtype == DType::f32) {
        return vector.f32();
    }
    auto* to = scratch<float>(slot, vector.size[0]);
    const auto cols = static_cast<int32_t>(vector.size[0]);
    launch_embed(to, vector.dtype, vector.data, 0, send(Slot::ids, std::vector<int32_t>{0}), 1,
                 cols, device_->stream());
    return to;
}

void CudaBackend::run(Products form,
                      std::span<const TensorView> weights,
                      std::span<const Rows> outs) {
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
            ProductPart& part = p.parts[p.n_parts++];
            part.weight = w.data;
            part.row_bytes = w.stride_bytes[w.rank - 2];
            part.expert_bytes = w.rank == 3 ? w.stride_bytes[0] : 0;
            part.rows = static_cast<int32_t>(w.size[w.rank - 2]);
            part.out = outs[j];
        }
        p.cols = static_cast<int32_t>(weights[i].cols());
        launch_products(weights[i].dtype, p, device_->stream());
    }
}

void CudaBackend::embed(const TensorView& out,
                        const TensorView& table,
                        std::span<const int32_t> ids) {
    const auto count = static_cast<int64_t>(ids.size());
    ENSURE(table.rank == 2 && out.rank == 2 && out.size[0] == count &&
               out.size[1] == table.size[1] && out.dense(),
           out.describe(), " from ", table.describe(), " and ", count, " ids");
    float* to = out.f32();
    for (const int32_t id : ids) {
        ENSURE(id >= 0 && id < table.size[0], "id ", id, " of ", table.size[0]);
    }
    launch_embed(to, table.dtype, table.data, table.stride_bytes[0],
                 send(Slot::ids, std::vector<int32_t>(ids.begin(), ids.end())),
                 static_cast<int32_t>(count), static_cast<int32_t>(table.size[1]),
                 device_->stream());
}

void CudaBackend::norm_matmul(std::span<const Product> products,
                              const TensorView& x,
                              const TensorView& norm,
                              float eps,
                              std::span<const int32_t> rows) {
    x.f32();
    ENSURE(x.rank == 2 && norm.rank == 1 && norm.size[0] == x.size[1], x.describe(), ", norm ",
           norm.describe());
    const int64_t count = rows.empty() ? x.size[0] : static_cast<int64_t>(rows.size());
    std::vector<TensorView> weights;
    std::vector<Rows> outs;
    for (const Product& p : products) {
        ENSURE(p.weight.rank == 2 && p.weight.size[1] == x.size[1] && p.out.rank == 2 &&
                   p.out.size[0] == count && p.out.size[1] == p.weight.size[0] &&
                   p.out.dtype == DType::f32,
               p.out.describe(), " = ", x.describe(), " . ", p.weight.describe());
        weights.push_back(p.weight);
        outs.push_back(rows_of(p.out));
    }
    for (const int32_t row : rows) {
        ENSURE(row >= 0 && row < x.size[0], "row ", row, " of ", x.size[0]);
    }
    Products form;
    form.input = InputForm::normed;
    form.x = rows_of(x);
    form.norm = floats(norm, Slot::norm);
    form.eps = eps;
    form.n_slots = static_cast<int32_t>(count);
    if (!rows.empty()) {
        form.list = send(Slot::ids, std::vector<int32_t>(rows.begin(), rows.end()));
    }
    run(form, weights, outs);
}

void CudaBackend::matmul_add(const TensorView& x, const TensorView& in, const TensorView& weight) {
    x.f32();
    in.f32();
    ENSURE(x.rank == 2 && in.rank == 2 && weight.rank == 2 && x.size[0] == in.size[0] &&
               weight.size[0] == x.size[1] && weight.size[1] == in.size[1],
           x.describe(), " += ", in.describe(), " . ", weight.describe());
    Products form;
    form.x = rows_of(in);
    form.n_slots = static_cast<int32_t>(x.size[0]);
    form.add = true;
    const Rows out = rows_of(x);
    run(form, {&weight, 1}, {&out, 1});
}

BatchTables CudaBackend::tables(const PagedBatch& batch, const KPages& pages) {
    std::vector<TokenPlace> places;
    std::vector<std::byte*> list;
    places.reserve(static_cast<size_t>(batch.n_tokens));
    for (const SequenceSpan& span : batch.spans) {
        const auto table = static_cast<int32_t>(list.size());
        for (int64_t i = 0; i < span.n_tokens; i++) {
            places.push_back({static_cast<int32_t>(span.start + i), table});
        }
        const int64_t used = (span.start + span.n_tokens + kPageTokens - 1) / kPageTokens;
        for (int64_t i = 0; i < used; i++) {
            list.push_back(pages.pages[span.page_table[static_cast<size_t>(i)]]);
        }
    }
    // All layers of a pass ask for the same tables.
    const auto same = [](const TokenPlace& a, const TokenPlace& b) {
        return a.position == b.position && a.table == b.table;
    };
    if (!std::ranges::equal(places, places_, same) || list != page_list_) {
        places_ = std::move(places);
        page_list_ = std::move(list);
        send(Slot::places, places_);
        send(Slot::pages, page_list_);
    }
    return {scratch<TokenPlace>(Slot::places, static_cast<int64_t>(places_.size())),
            scratch<std::byte*>(Slot::pages, static_cast<int64_t>(page_list_.size()))};
}

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
    q.f32();
    q_latent.f32();
    kv.f32();
    const int64_t count = q.size[0], latent = pages.latent, rotary = pages.rotary;
    ENSURE(q.rank == 3 && q.size[2] >= rotary &&
               (q.size[1] <= 1 || q.stride_bytes[1] == q.size[2] * 4),
           q.describe());
    const int64_t heads = q.size[1], head = q.size[2];
    ENSURE(q_latent.rank == 2 && q_latent.size[0] == count && q_b.rank == 2 &&
               q_b.size[0] == heads * head && q_b.size[1] == q_latent.size[1] && q_norm.rank == 1 &&
               q_norm.size[0] == q_latent.size[1],
           q.describe(), " = ", q_b.describe(), " . norm ", q_norm.describe(), " ",
           q_latent.describe());
    ENSURE(kv.rank == 2 && kv.size[0] == count && kv.size[1] == latent + rotary &&
               kv_norm.rank == 1 && kv_norm.size[0] == latent,
           kv.describe(), ", norm ", kv_norm.describe());
    check_batch(batch, count, pages);

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
    work.freq_base = rope.freq_base;
    launch_rotate_and_store(work, device_->stream());
}

void CudaBackend::mla_attend(const TensorView& heads,
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
    if (count == 0) {
        return;
    }

    // q~ = k_b q, per head.
    auto* absorbed = scratch<float>(Slot::absorbed, count * n_heads * latent);
    const Rows absorbed_rows = dense_rows(absorbed, latent);
    Products form;
    form.slots = SlotForm::heads;
    form.n_heads = static_cast<int32_t>(n_heads);
    form.n_slots = static_cast<int32_t>(count);
    form.x = head_rows(q);
    run(form, {&k_b, 1}, {&absorbed_rows, 1});

    Attend work;
    work.rows = k_rows(pages);
    work.batch = tables(batch, pages);
    work.n_heads = static_cast<int32_t>(n_heads);
    work.absorbed = absorbed_rows;
    work.q = head_rows(q);
    work.head = static_cast<int32_t>(q.size[2]);
    work.scale = scale;
    work.n_tokens = static_cast<int32_t>(count);
    work.mixed = scratch<float>(Slot::mixed, count * n_heads * latent);
    const int32_t most = mla_group_tokens(work.n_heads);
    if (most > 0 && has_mla_decode(work.rows)) {
        std::vector<QueryGroup> groups;
        int32_t table = 0;
        for (const SequenceSpan& span : batch.spans) {
            for (int64_t i = 0; i < span.n_tokens;) {
                QueryGroup g;
                g.first_row = static_cast<int32_t>(span.first_row + i);
                g.position = static_cast<int32_t>(span.start + i);
                g.table = table;
                g.split_tokens = split_tokens_at(g.position);
                while (g.n_tokens < most && i < span.n_tokens &&
                       split_tokens_at(g.position + g.n_tokens) == g.split_tokens) {
                    g.n_tokens++;
                    i++;
                }
                work.group_tokens = std::max(work.group_tokens, g.n_tokens);
                work.n_splits =
                    std::max(work.n_splits, (g.position + g.n_tokens - 1) / g.split_tokens + 1);
                groups.push_back(g);
            }
            table +=
                static_cast<int32_t>((span.start + span.n_tokens + kPageTokens - 1) / kPageTokens);
        }
        const QueryGroup* on_device = send(Slot::groups, groups);
        // A wave is as many groups as kPartBytes holds the splits of; at least one group.
        const int64_t token_bytes =
            n_heads * work.n_splits * latent * static_cast<int64_t>(sizeof(uint16_t));
        const int64_t wave = std::max<int64_t>(work.group_tokens, kPartBytes / token_bytes);
        const int64_t held = std::min(count, wave) * n_heads * work.n_splits;
        work.part = scratch<uint16_t>(Slot::part, held * latent);
        work.weight = scratch<float2>(Slot::weight, held);
        for (size_t first = 0; first < groups.size();) {
            size_t end = first;
            work.n_tokens = 0;
            while (end < groups.size() && work.n_tokens + groups[end].n_tokens <= wave) {
                work.n_tokens += groups[end++].n_tokens;
            }
            work.first_token = groups[first].first_row;
            work.groups = on_device + first;
            work.n_groups = static_cast<int32_t>(end - first);
            launch_mla_decode(work, device_->stream());
            launch_mla_merge(work, device_->stream());
            first = end;
        }
    } else {
        launch_mla_any(work, device_->stream());
    }

    // heads = v_b mixed, per head.
    form.x = dense_rows(work.mixed, latent);
    const Rows out = head_rows(heads);
    run(form, {&v_b, 1}, {&out, 1});
}

void CudaBackend::dense_ffn(const TensorView& x,
                            const TensorView& norm,
                            const Glu& glu,
                            float eps) {
    x.f32();
    ENSURE(x.rank == 2 && norm.rank == 1 && norm.size[0] == x.size[1], x.describe(), ", norm ",
           norm.describe());
    check_glu(glu, 2, x.size[1]);
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
    x.f32();
    ENSURE(x.rank == 2 && norm.rank == 1 && norm.size[0] == x.size[1], x.describe(), ", norm ",
           norm.describe());
    const int64_t count = x.size[0], dim = x.size[1], used = routing.n_used;
    check_glu(experts, 3, dim);
    const int64_t n_experts = experts.gate.size[0], width = experts.gate.size[1],
                  n_pairs = count * used;
    ENSURE(router.rank == 2 && router.size[0] == n_experts && router.size[1] == dim, "router ",
           router.describe());
    ENSURE(used >= 1 && used <= n_experts, used, " of ", n_experts, " experts");
    ENSURE(bias.empty() || (bias.rank == 1 && bias.size[0] == n_experts), "bias ", bias.describe());
    const bool has_shared = !shared.gate.empty();
    if (has_shared) {
        check_glu(shared, 2, dim);
    }
    if (count == 0) {
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
    run(form, {&router, 1}, {&logit_rows, 1});
    route.logits = logits;
    route.bias = bias.empty() ? nullptr : floats(bias, Slot::bias);
    route.n_tokens = static_cast<int32_t>(count);
    route.n_experts = static_cast<int32_t>(n_experts);
    route.n_used = static_cast<int32_t>(used);
    route.normalize = routing.normalize;
    route.scale = routing.scale;
    const int32_t most = most_items(n_pairs, n_experts);
    route.chosen = scratch<int32_t>(Slot::chosen, n_pairs);
    route.weights = scratch<float>(Slot::weights, n_pairs);
    route.items = scratch<WorkItem>(Slot::items, most);
    route.n_items = scratch<int32_t>(Slot::n_items, 1);
    route.pairs = scratch<int32_t>(Slot::pairs, n_pairs);
    launch_route(route, device_->stream());

    // Every launch reads the norm of x before x changes: the sum comes last.
    Products routed = form;
    routed.slots = SlotForm::routed;
    routed.n_slots = most;
    routed.items = route.items;
    routed.n_items = route.n_items;
    routed.pairs = route.pairs;
    routed.pairs_a_row = static_cast<int32_t>(used);
    const Rows gate = dense_rows(scratch<float>(Slot::gate, n_pairs * width), width);
    const Rows up = dense_rows(scratch<float>(Slot::up, n_pairs * width), width);
    const Rows down = dense_rows(scratch<float>(Slot::down, n_pairs * dim), dim);
    const TensorView weights[] = {experts.gate, experts.up};
    const Rows outs[] = {gate, up};
    run(routed, weights, outs);
    routed.input = InputForm::gated;
    routed.x = gate;
    routed.up = up;
    routed.pairs_a_row = 1;
    run(routed, {&experts.down, 1}, {&down, 1});

    float* beside = nullptr;
    if (has_shared) {
        const int64_t shared_width = shared.gate.size[0];
        const Rows shared_gate =
            dense_rows(scratch<float>(Slot::shared_gate, count * shared_width), shared_width);
        const Rows shared_up =
            dense_rows(scratch<float>(Slot::shared_up, count * shared_width), shared_width);
        beside = scratch<float>(Slot::shared_down, count * dim);
        const TensorView shared_weights[] = {shared.gate, shared.up};
        const Rows shared_outs[] = {shared_gate, shared_up};
        run(form, shared_weights, shared_outs);
        Products last;
        last.input = InputForm::gated;
        last.x = shared_gate;
        last.up = shared_up;
        last.n_slots = form.n_slots;
        const Rows out = dense_rows(beside, dim);
        run(last, {&shared.down, 1}, {&out, 1});
    }
    launch_combine(rows_of(x), down.data, route.weights, beside, route.n_tokens, route.n_used,
                   static_cast<int32_t>(dim), device_->stream());
}

}  // namespace kernels::cuda

namespace kernels {

std::unique_ptr<Backend> make_cuda_backend(int device) {
    std::unique_ptr<cuda::Device> opened = cuda::Device::open(device);
    return opened == nullptr ? nullptr : std::make_unique<cuda::CudaBackend>(std::move(opened));
}

}  // namespace kernels
