// Passes of the CUDA backend: what one works on goes to the device, and its launches are kept.
#include <algorithm>
#include <cstring>

#include "kernels/check.h"
#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/pass_lists.h"
#include "kernels/operation_shapes.h"

namespace kernels::cuda {
namespace {

// Kept passes: some for each number of tokens. Each takes the card a few hundred KiB.
constexpr size_t kMostKept = 64;

}  // namespace

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
        Turned& turned;
        ~AtEnd() {
            step = {};
            turned = {};
        }
    } at_end{step_, turned_};
    turned_ = {};
    if (profiling_ || !records_) {
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
    if (kept.launches != nullptr) {
        device_->replay(*kept.launches);
        return;
    }
    if (!kept.seen) {  // many shapes come once; and kernels are loaded at their first launch
        kept.seen = true;
        operations();
        return;
    }
    std::unique_ptr<Device::Recording> launches = recorded(operations);
    if (launches == nullptr) {  // this driver keeps none: it is not asked again
        records_ = false;
        turned_ = {};
        operations();
        return;
    }
    device_->replay(*launches);
    kept_[shape].launches = std::move(launches);
}

// The launches of `operations`, or null.
std::unique_ptr<Device::Recording> CudaBackend::recorded(const std::function<void()>& operations) {
    turned_ = {};
    device_->begin_recording();
    try {
        operations();
    } catch (const DeviceError&) {  // launched one by one it meets again what is really wrong
        device_->end_recording();
        return nullptr;
    } catch (...) {
        device_->end_recording();
        throw;
    }
    return device_->end_recording();
}

void CudaBackend::send_step(const PassInputs& inputs) {
    const PagedBatch& batch = inputs.batch;
    const int64_t count = batch.n_tokens;
    check_batch(batch, count, inputs.pages);
    check_rows(inputs.pages);
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
        turned_ = {};
        send(Slot::places, places_);
        send(Slot::pages, page_list_);
    }
    return {scratch<TokenPlace>(Slot::places, static_cast<int64_t>(places_.size())),
            scratch<std::byte*>(Slot::pages, static_cast<int64_t>(page_list_.size()))};
}

// Made by the first layer of a pass that asks.
const float* CudaBackend::turns(const BatchTables& batch,
                                int32_t n_tokens,
                                int32_t rotary,
                                float freq_base) {
    auto* room = scratch<float>(Slot::turns, static_cast<int64_t>(n_tokens) * rotary);
    if (turned_.rotary != rotary || turned_.freq_base != freq_base) {
        turned_ = {rotary, freq_base};
        launch_turns(room, batch.places, n_tokens, rotary, freq_base, device_->stream());
    }
    return room;
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

}  // namespace kernels::cuda
