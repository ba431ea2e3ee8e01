#include "runtime/cache/memory_plan.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdio>

#include "kernels/check.h"
#include "runtime/model/model.h"

namespace runtime {
namespace {

using kernels::kPageTokens;

constexpr int64_t kSmallPoolBytes = int64_t{1}
                                    << 30;  // what several full contexts of a small model may take
constexpr int64_t kMinUbatchTokens = 64;

// What is left for the K cache. Weights in a mapped file can be read again from disk, so on such a
// device they never take the last quarter of the memory from the rest.
int64_t room_for_cache(const MemoryRequest& r, int64_t weights, int64_t compute) {
    const int64_t room = r.free_bytes - weights;
    return (r.weights_may_page ? std::max(room, r.free_bytes / 4) : room) - compute;
}

// The largest context in `room` bytes: whole pages, at most what the model was trained for.
int64_t largest_context(const ModelConfig& config, const KvLayout& layout, int64_t room) {
    return std::min(std::max<int64_t>(room / layout.page_bytes(), 0) * kPageTokens,
                    config.context_length);
}

std::string lower(std::string_view text) {
    std::string result(text);
    std::ranges::transform(result, result.begin(), [](unsigned char c) { return std::tolower(c); });
    return result;
}

// Single changes that would make the plan fit, the ones that take least from the user first.
std::vector<std::string> what_would_fit(const ModelConfig& config,
                                        int64_t weights,
                                        const MemoryRequest& request,
                                        int64_t ctx_size) {
    std::vector<std::string> found;
    const auto room = [&](int64_t ubatch) {
        return room_for_cache(request, weights, Model::activation_bytes(config, ubatch));
    };
    const auto layout_of = [&](kernels::DType type) -> std::optional<KvLayout> {
        if ((config.kv_lora_rank + config.qk_rope_head_dim) % kernels::info(type).block_elements !=
            0) {
            return std::nullopt;
        }
        return KvLayout(config, type);
    };
    const KvLayout now(config, request.cache_type);
    const int64_t pages = KvLayout::pages_for(ctx_size);
    for (int64_t ubatch = request.ubatch_tokens / 2; ubatch >= kMinUbatchTokens; ubatch /= 2) {
        if (pages * now.page_bytes() <= room(ubatch)) {
            found.push_back("-ub " + std::to_string(ubatch));
            break;
        }
    }
    for (const kernels::DType type :
         {kernels::DType::f16, kernels::DType::q8_0, kernels::DType::q4_0}) {
        const std::optional<KvLayout> layout = layout_of(type);
        if (layout && layout->row_bytes() < now.row_bytes() &&
            pages * layout->page_bytes() <= room(request.ubatch_tokens)) {
            found.push_back("-ctk " + lower(kernels::name(type)));
            break;
        }
    }
    if (const int64_t ctx = largest_context(config, now, room(request.ubatch_tokens)); ctx > 0) {
        found.push_back("-c " + std::to_string(ctx));
    }
    if (found.empty()) {
        const std::optional<KvLayout> layout = layout_of(kernels::DType::q4_0);
        const int64_t compute = Model::activation_bytes(config, kMinUbatchTokens);
        const int64_t ctx = largest_context(config, layout.value_or(now), room(kMinUbatchTokens));
        if (ctx > 0) {
            found.push_back(std::string(layout ? "-ctk q4_0 " : "") + "-ub " +
                            std::to_string(kMinUbatchTokens) + " -c " + std::to_string(ctx));
        } else {
            const int64_t most = request.free_bytes - compute - now.page_bytes();
            found.push_back(most > 0 ? "a smaller quantisation of the model (weights of at most " +
                                           format_bytes(most) + ")"
                                     : "a device with more memory");
        }
    }
    found.resize(std::min<size_t>(found.size(), 3));
    return found;
}

}  // namespace

std::string format_bytes(int64_t bytes) {
    char text[32];
    const auto value = static_cast<double>(bytes);
    if (bytes >= int64_t{1} << 30) {
        std::snprintf(text, sizeof text, "%.2f GiB", value / (int64_t{1} << 30));
    } else if (bytes >= int64_t{1} << 20) {
        std::snprintf(text, sizeof text, "%.2f MiB", value / (int64_t{1} << 20));
    } else if (bytes >= int64_t{1} << 10) {
        std::snprintf(text, sizeof text, "%.1f KiB", value / (int64_t{1} << 10));
    } else {
        std::snprintf(text, sizeof text, "%lld B", static_cast<long long>(bytes));
    }
    return text;
}

int64_t weights_bytes(const GgufFile& file, const ModelConfig& config) {
    int64_t bytes = 0;
    for (const GgufTensor& tensor : file.tensors()) {
        constexpr std::string_view kBlock = "blk.";
        int64_t layer = -1;
        if (tensor.name.substr(0, kBlock.size()) == kBlock) {
            const std::string_view rest = tensor.name.substr(kBlock.size());
            std::from_chars(rest.data(), rest.data() + rest.size(), layer);
        }
        if (layer < config.n_layers) {
            bytes += static_cast<int64_t>(tensor.bytes);
        }
    }
    return bytes;
}

MemoryPlan plan_memory(const ModelConfig& config, int64_t weights, const MemoryRequest& request) {
    ENSURE(
        request.ctx_size >= 0 && request.ubatch_tokens > 0 && request.parallel > 0 && weights >= 0,
        request.ctx_size, " ", request.ubatch_tokens, " ", request.parallel);
    const KvLayout layout(config, request.cache_type);
    MemoryPlan plan;
    plan.cache_type = lower(kernels::name(request.cache_type));
    plan.weights_bytes = weights;
    plan.bytes_per_token = layout.bytes_per_token();
    plan.compute_bytes = Model::activation_bytes(config, request.ubatch_tokens);
    const int64_t room = room_for_cache(request, weights, plan.compute_bytes);
    plan.max_ctx_size = largest_context(config, layout, room);

    if (request.ctx_size == 0) {
        plan.ctx_size = std::max(plan.max_ctx_size, std::min(kPageTokens, config.context_length));
        plan.pool_pages = KvLayout::pages_for(plan.ctx_size);
        const int64_t small_pool = std::min(kSmallPoolBytes, room) / layout.page_bytes();
        plan.pool_pages =
            std::max(plan.pool_pages, std::min(request.parallel * plan.pool_pages, small_pool));
        if (plan.max_ctx_size < config.context_length && plan.max_ctx_size > 0) {
            plan.notes.push_back("context of " + std::to_string(plan.ctx_size) +
                                 " tokens: what fits; the model was trained for " +
                                 std::to_string(config.context_length));
        }
    } else {
        // Whole pages are what is allocated anyway.
        plan.ctx_size = std::min(
            KvLayout::pages_for(std::min(request.ctx_size, config.context_length)) * kPageTokens,
            config.context_length);
        plan.pool_pages = KvLayout::pages_for(plan.ctx_size);
        if (request.ctx_size > config.context_length) {
            plan.notes.push_back("the model was trained for " +
                                 std::to_string(config.context_length) + " tokens: -c " +
                                 std::to_string(request.ctx_size) + " is cut to that");
        }
    }
    plan.k_bytes = plan.pool_pages * layout.page_bytes();
    plan.with_v_bytes = plan.k_bytes + plan.pool_pages * kPageTokens * layout.v_bytes_per_token();

    MemoryPlan::Device device;
    device.name = request.device;
    device.total_bytes = request.total_bytes;
    device.other_bytes = request.total_bytes - request.free_bytes;
    device.weights_bytes = weights;
    device.kv_bytes = plan.k_bytes;
    device.compute_bytes = plan.compute_bytes;
    device.free_bytes = request.free_bytes - weights - plan.k_bytes - plan.compute_bytes;
    plan.fits = plan.k_bytes <= room;
    if (plan.fits &&
        device.free_bytes <
            0) {  // mapped weights beyond the memory: read from disk as they are needed
        plan.notes.push_back(
            "the weights (" + format_bytes(weights) + ") are larger than the free memory: " +
            format_bytes(-device.free_bytes) + " of them will be read from disk again and again");
        device.weights_bytes += device.free_bytes;
        device.free_bytes = 0;
    }
    if (!plan.fits) {
        plan.suggestions = what_would_fit(config, weights, request, plan.ctx_size);
        plan.problem = "needs " + format_bytes(weights + plan.k_bytes + plan.compute_bytes) +
                       " (weights " + format_bytes(weights) + ", K cache " +
                       format_bytes(plan.k_bytes) + " for " + std::to_string(plan.ctx_size) +
                       " tokens, compute " + format_bytes(plan.compute_bytes) + "), but " +
                       request.device + " has " + format_bytes(request.free_bytes) + " free of " +
                       format_bytes(request.total_bytes) + "; would fit: ";
        for (size_t i = 0; i < plan.suggestions.size(); i++) {
            plan.problem += (i == 0 ? "" : ", or ") + plan.suggestions[i];
        }
        device.free_bytes = 0;
    }
    plan.devices.push_back(device);
    return plan;
}

}  // namespace runtime
