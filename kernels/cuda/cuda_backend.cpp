#include "kernels/cuda/cuda_backend.h"

#include <algorithm>
#include <cstring>

#include "kernels/check.h"
#include "kernels/cuda/pass_lists.h"
#include "kernels/cuda/tiles.h"

namespace kernels::cuda {
namespace {

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
    const LatentRow parts(pages.latent, pages.rotary);
    return {pages.layer_offset_bytes,
            pages.row_bytes,
            pages.dtype,
            static_cast<int32_t>(pages.latent),
            static_cast<int32_t>(pages.rotary),
            pages.int8_latent,
            static_cast<int32_t>(parts.rotary_at),
            static_cast<int32_t>(parts.scales_at)};
}

// Kept passes: some for each number of tokens. Each takes the card a few hundred KiB.
constexpr size_t kMostKept = 64;

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
               pages.row_bytes == k_row_bytes(pages.type(), pages.latent, pages.rotary),
           pages.latent, " + ", pages.rotary, ", rows of ", pages.row_bytes);
    ENSURE(pages.int8_latent || pages.dtype == DType::f32 || pages.dtype == DType::f16 ||
               pages.dtype == DType::bf16 || pages.dtype == DType::q8_0 ||
               pages.dtype == DType::q4_0,
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

CudaBackend::Arena::~Arena() {
    if (data != nullptr) {
        Device::free(data, static_cast<size_t>(bytes));
    }
}

CudaBackend::CudaBackend(std::unique_ptr<Device> device, const CudaOptions& options)
    : device_(std::move(device)),
      limit_bytes_(options.limit_bytes),
      account_(std::make_shared<MemoryAccount>()),
      processors_(simt::multiprocessors()),
      cpu_(make_cpu_backend(options.cpu)) {}

void* CudaBackend::take(int64_t bytes) {
    Device::Figures figures = device_->memory_figures();
    if (limit_bytes_ > 0) {
        // As if the card were smaller: what this program holds of it, and what a driver takes.
        int64_t held = arena_.bytes + kCardOverheadBytes - arena_.used;
        for (const MemoryUse use : {MemoryUse::weights, MemoryUse::kv_cache, MemoryUse::compute}) {
            held += account_->bytes(use);
        }
        figures.total_bytes = std::min(figures.total_bytes, limit_bytes_);
        figures.free_bytes = std::clamp<int64_t>(figures.total_bytes - held, 0, figures.free_bytes);
    }
    void* memory = bytes <= figures.free_bytes ? device_->allocate(bytes) : nullptr;
    if (memory == nullptr) {
        throw DeviceError(describe("not enough memory: ", mebibytes(bytes), " asked for, ",
                                   mebibytes(figures.free_bytes), " of ",
                                   mebibytes(figures.total_bytes), " free on ", device_->name()));
    }
    return memory;
}

Buffer CudaBackend::allocate(int64_t bytes, MemoryUse use) {
    ENSURE(bytes >= 0, bytes);
    if (bytes == 0) {
        return {};
    }
    const int64_t rounded = round_up(bytes, kCardAlignment);
    if (use == MemoryUse::weights && arena_.bytes - arena_.used >= rounded) {
        std::byte* place = arena_.data + arena_.used;
        arena_.used += rounded;
        device_->zero(place, rounded);
        return Buffer(place, static_cast<size_t>(rounded), use, account_, [](void*, size_t) {});
    }
    void* memory = take(bytes);
    device_->zero(memory, bytes);
    return Buffer(memory, static_cast<size_t>(bytes), use, account_, &Device::free);
}

void CudaBackend::reserve_weights(int64_t bytes) {
    ENSURE(arena_.data == nullptr && bytes >= 0, bytes, " bytes of weights, twice");
    if (bytes > 0) {
        arena_.data = static_cast<std::byte*>(take(bytes));
        arena_.bytes = bytes;
    }
}

void CudaBackend::reserve_work(const WorkShape& shape) {
    work_ = allocate(card_work_bytes(shape), MemoryUse::compute);
    const auto bytes = card_slot_bytes(shape);
    std::byte* at = work_.data();
    for (size_t i = 0; i < kCardSlots; i++) {
        pieces_[i] = {at, bytes[i], {}};
        at += bytes[i];
    }
    places_.clear();
    page_list_.clear();
    group_list_.clear();
    kept_.clear();
    n_heads_ = shape.n_heads;
    step_mirror_ = allocate_host(bytes[static_cast<size_t>(Slot::step)]);
}

Buffer CudaBackend::allocate_host(int64_t bytes) {
    // In no account of the device.
    return Buffer(device_->allocate_host(bytes), static_cast<size_t>(bytes), MemoryUse::compute,
                  std::make_shared<MemoryAccount>(), &Device::free_host);
}

std::vector<LaunchTime> CudaBackend::profile(bool on) {
    profiling_ = on;  // single launches, each of which can be timed
    return device_->profile(on);
}

void CudaBackend::pass(const PassInputs& inputs, const std::function<void()>& operations) {
    const int64_t count = inputs.batch.n_tokens;
    const bool few = count > 0 && count <= kStepTokens &&
                     static_cast<int64_t>(inputs.ids.size()) == count &&
                     static_cast<int64_t>(inputs.rows.size()) <= count &&
                     // Attention in one wave, so that only numbers tell two passes apart.
                     count * n_heads_ * kMostSplits * inputs.pages.latent * 2 <= kPartBytes;
    if (!work_ || !few || experts_on_host_) {
        operations();
        return;
    }
    send_step(inputs);
    struct AtEnd {
        Step& step;
        ~AtEnd() { step = {}; }
    } at_end{step_};
    if (profiling_) {
        operations();
        return;
    }
    if (kept_.size() > kMostKept) {
        kept_.clear();
    }
    PassShape shape;
    shape.owner = inputs.owner;
    shape.row_bytes = inputs.pages.row_bytes;
    shape.type = inputs.pages.type();
    shape.tokens = static_cast<int32_t>(count);
    shape.rows = static_cast<int32_t>(inputs.rows.size());
    shape.groups = static_cast<int32_t>(step_.groups.sizes.size());
    shape.group_tokens = step_.groups.tokens;
    shape.splits = step_.groups.splits;
    KeptPass& kept = kept_[shape];
    if (kept.launches == nullptr) {
        if (!kept.seen) {  // many shapes come once; and kernels are loaded at their first launch
            kept.seen = true;
            operations();
            return;
        }
        device_->begin_recording();
        try {
            operations();
        } catch (...) {
            device_->end_recording();
            throw;
        }
        kept.launches = device_->end_recording();
    }
    device_->replay(*kept.launches);
}

void CudaBackend::send_step(const PassInputs& inputs) {
    const PagedBatch& batch = inputs.batch;
    const int64_t count = batch.n_tokens;
    check_batch(batch, count, inputs.pages);
    const bool table_on_host = on_host_.contains(inputs.table.data);
    const int64_t row_bytes = table_on_host ? inputs.table.stride_bytes[0] : 0;
    const StepLayout at(count, row_bytes);
    std::byte* device = scratch<std::byte>(Slot::step, at.bytes);
    std::byte* mirror = step_mirror_.data();
    ENSURE(at.bytes <= static_cast<int64_t>(step_mirror_.size_bytes()), at.bytes);
    device_->wait_for_sent();
    for (int64_t i = 0; i < count; i++) {
        const int32_t id = inputs.ids[static_cast<size_t>(i)];
        ENSURE(id >= 0 && id < inputs.table.size[0], "id ", id, " of ", inputs.table.size[0]);
        const auto row = table_on_host ? static_cast<int32_t>(i) : id;
        std::memcpy(mirror + at.ids + i * 4, &row, 4);
        if (table_on_host) {
            std::memcpy(mirror + at.table + i * row_bytes, inputs.table.data + id * row_bytes,
                        static_cast<size_t>(row_bytes));
        }
    }
    for (const int32_t row : inputs.rows) {
        ENSURE(row >= 0 && row < count, "row ", row, " of ", count);
    }
    const auto put = [mirror](int64_t where, const auto& values) {
        if (!values.empty()) {
            std::memcpy(mirror + where, std::data(values), std::span(values).size_bytes());
        }
    };
    put(at.rows, inputs.rows);
    PlaceList list = places_of(batch, inputs.pages);
    const GroupList groups = groups_of(
        batch, std::max(1, mla_group_tokens(static_cast<int32_t>(n_heads_))), processors_);
    put(at.places, list.places);
    put(at.groups, groups.groups);
    device_->send(device, mirror, at.bytes);
    if (list.pages != page_list_) {  // once in a while: a page holds many tokens
        page_list_ = std::move(list.pages);
        send(Slot::pages, page_list_);
    }
    step_.ids = reinterpret_cast<const int32_t*>(device + at.ids);
    step_.rows = reinterpret_cast<const int32_t*>(device + at.rows);
    step_.table = table_on_host ? device + at.table : nullptr;
    step_.tables = {reinterpret_cast<const TokenPlace*>(device + at.places),
                    scratch<std::byte*>(Slot::pages, static_cast<int64_t>(page_list_.size()))};
    step_.groups = {reinterpret_cast<const QueryGroup*>(device + at.groups), groups.tokens,
                    split_room(groups.splits), groups.sizes};
}

TensorView CudaBackend::adopt_weight(const TensorView& host) {
    ENSURE(!host.empty() && host.dense(), host.describe());
    Buffer& copy = adopted_[{host.data, host.bytes()}];
    if (!copy && host.bytes() > 0) {
        kept_.clear();
        copy = allocate(host.bytes(), MemoryUse::weights);
        device_->copy_in(copy.data(), host.data, host.bytes());
    }
    TensorView device = host;
    device.data = copy.data();
    return device;
}

TensorView CudaBackend::keep_on_host(const TensorView& host) {
    const TensorView kept = cpu_->adopt_weight(host);
    on_host_.insert(kept.data);
    experts_on_host_ = experts_on_host_ || kept.rank == 3;
    return kept;
}

TensorView CudaBackend::on_host(const TensorView& device) {
    if (device.empty()) {
        return device;
    }
    std::vector<std::byte>& copy = read_back_[device.data];
    if (copy.empty()) {
        copy.resize(static_cast<size_t>(device.bytes()));
        download(copy.data(), device);
    }
    TensorView host = device;
    host.data = copy.data();
    return host;
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

void CudaBackend::copy(
    std::byte* to, const std::byte* from, int64_t pitch, int64_t bytes, int64_t count) {
    device_->copy(to, from, pitch, bytes, count);
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
        form.list = step_.ids != nullptr
                        ? step_.rows
                        : send(Slot::rows, std::vector<int32_t>(rows.begin(), rows.end()));
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
    if (step_.ids != nullptr) {
        return step_.tables;
    }
    PlaceList list = places_of(batch, pages);
    // All layers of a pass ask for the same tables.
    const auto same = [](const TokenPlace& a, const TokenPlace& b) {
        return a.position == b.position && a.table == b.table;
    };
    if (!std::ranges::equal(list.places, places_, same) || list.pages != page_list_) {
        places_ = std::move(list.places);
        page_list_ = std::move(list.pages);
        send(Slot::places, places_);
        send(Slot::pages, page_list_);
    }
    return {scratch<TokenPlace>(Slot::places, static_cast<int64_t>(places_.size())),
            scratch<std::byte*>(Slot::pages, static_cast<int64_t>(page_list_.size()))};
}

CudaBackend::Groups CudaBackend::groups(const PagedBatch& batch, int64_t n_heads) {
    if (step_.ids != nullptr) {
        return step_.groups;
    }
    GroupList list = groups_of(batch, mla_group_tokens(static_cast<int32_t>(n_heads)), processors_);
    const auto same = [](const QueryGroup& a, const QueryGroup& b) {
        return a.first_row == b.first_row && a.n_tokens == b.n_tokens && a.position == b.position &&
               a.table == b.table;
    };
    if (!std::ranges::equal(list.groups, group_list_, same)) {
        group_list_ = std::move(list.groups);
        send(Slot::groups, group_list_);
    }
    const auto count = static_cast<int64_t>(group_list_.size());
    return {scratch<QueryGroup>(Slot::groups, count), list.tokens, list.splits,
            std::move(list.sizes)};
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
    run(form, {&router, 1}, {&logit_rows, 1});
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
    launch_route(route, device_->stream());

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

namespace kernels {

std::unique_ptr<Backend> make_cuda_backend(const CudaOptions& options) {
    std::unique_ptr<cuda::Device> opened = cuda::Device::open(options.device);
    return opened == nullptr ? nullptr
                             : std::make_unique<cuda::CudaBackend>(std::move(opened), options);
}

}  // namespace kernels
