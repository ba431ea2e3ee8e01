#include "runtime/cache/memory_plan.h"

#include <algorithm>
#include <cstdio>

#include "kernels/card_memory.h"
#include "kernels/check.h"
#include "runtime/model/model.h"

namespace runtime {
namespace {

using kernels::kPageTokens;
using kernels::KType;

constexpr int64_t kSmallPoolBytes = int64_t{1}
                                    << 30;  // what several full contexts of a small model may take
constexpr int64_t kMinUbatchTokens = 64;
constexpr int64_t kSpareBytes = int64_t{1} << 30;  // that larger passes leave to others

std::string number(int64_t n) {
    return std::to_string(n);
}

// One way to load the model.
struct Setup {
    KType type;
    int64_t moe_layers = 0;
    int64_t ubatch = 0;
};

class Planner {
public:
    Planner(const ModelConfig& config, const WeightBytes& weights, const MemoryRequest& request)
        : config_(config), weights_(weights), r_(request) {
        for (const WeightBytes::Part& part : weights.parts) {
            if (part.kind == WeightBytes::Kind::experts) {
                expert_layers_ = std::max(expert_layers_, part.layer + 1);
            }
        }
    }

    MemoryPlan plan() {
        const Setup setup = with_larger_passes(choose());
        finish(setup);
        return std::move(plan_);
    }

private:
    bool on_host(const WeightBytes::Part& part, int64_t moe_layers) const {
        return r_.card && (part.kind == WeightBytes::Kind::embedding ||
                           (part.kind == WeightBytes::Kind::experts && part.layer < moe_layers));
    }

    int64_t device_weights(int64_t moe_layers) const {
        int64_t sum = 0;
        for (const WeightBytes::Part& part : weights_.parts) {
            if (!on_host(part, moe_layers)) {
                sum +=
                    r_.card ? kernels::round_up(part.bytes, kernels::kCardAlignment) : part.bytes;
            }
        }
        return sum;
    }

    int64_t host_weights(int64_t moe_layers) const {
        int64_t sum = 0;
        for (const WeightBytes::Part& part : weights_.parts) {
            sum += on_host(part, moe_layers) ? part.bytes : 0;
        }
        return sum;
    }

    int64_t work(int64_t ubatch, int64_t ctx) const {
        if (!r_.work_bytes) {
            return 0;
        }
        return r_.work_bytes(
            Model::work_shape(config_, ubatch, r_.parallel, std::max(ctx, kPageTokens)));
    }
    int64_t compute(const Setup& s, int64_t ctx) const {
        return Model::activation_bytes(config_, s.ubatch) + work(s.ubatch, ctx);
    }

    // What a driver's rounding of allocations takes beside them.
    int64_t rounding(const Setup& s, int64_t ctx, int64_t pages) const {
        if (!r_.card) {
            return 0;
        }
        const auto lost = [](int64_t bytes) {
            return kernels::round_up(bytes, kernels::kCardGranuleBytes) - bytes;
        };
        const KvLayout layout(config_, s.type);
        const int64_t chunk =
            layout.pages_per_chunk(std::max<int64_t>(pages, 1), kernels::kCardGranuleBytes);
        return lost(device_weights(s.moe_layers)) +
               lost(Model::activation_bytes(config_, s.ubatch)) + lost(work(s.ubatch, ctx)) +
               pages / chunk * lost(chunk * layout.page_bytes()) +
               lost(pages % chunk * layout.page_bytes());
    }

    // Do a sequence of `ctx` tokens and a pool of `pages` fit? Weights in a mapped file can be read
    // again from disk, so on such a device they never take the last quarter of the memory from the
    // rest.
    bool fits(const Setup& s, int64_t ctx, int64_t pages) const {
        const int64_t weights = device_weights(s.moe_layers), rest = r_.free_bytes - weights;
        const int64_t room = r_.weights_may_page ? std::max(rest, r_.free_bytes / 4) : rest;
        return pages * KvLayout(config_, s.type).page_bytes() + compute(s, ctx) +
                   rounding(s, ctx, pages) <=
               room;
    }

    // The largest context that fits: whole pages, at most what the model was trained for; 0 where
    // not one page does.
    int64_t largest(const Setup& s) const {
        int64_t low = 0, high = KvLayout::pages_for(config_.context_length);
        while (low < high) {
            const int64_t middle = (low + high + 1) / 2;
            if (fits(s, std::min(middle * kPageTokens, config_.context_length), middle)) {
                low = middle;
            } else {
                high = middle - 1;
            }
        }
        return std::min(low * kPageTokens, config_.context_length);
    }

    // Whole pages are what is allocated anyway.
    int64_t wanted() const {
        const int64_t asked = r_.ctx_size == 0 ? config_.context_length
                                               : std::min(r_.ctx_size, config_.context_length);
        return std::min(KvLayout::pages_for(asked) * kPageTokens, config_.context_length);
    }

    bool takes(const KType& type) const {
        return kernels::holds(type, config_.kv_lora_rank, config_.qk_rope_head_dim);
    }

    void chose(std::string what, std::string reason) {
        plan_.choices.push_back({std::move(what), std::move(reason)});
    }

    std::string size_words(const KType& type, int64_t ctx) const {
        return format_bytes(KvLayout::pages_for(ctx) * KvLayout(config_, type).page_bytes()) +
               " in " + kernels::name(type);
    }

    Setup choose() {
        const int64_t want = wanted();
        const bool whole = r_.ctx_size == 0;
        const std::string aim = (whole ? "the whole window of " : "") + number(want) + " tokens";
        std::vector<KType> types = {KType(kernels::DType::f16), KType::q8_latent()};
        if (r_.cache_type) {
            types = {*r_.cache_type};
        }
        Setup setup{types.front(), r_.card ? r_.cpu_moe_layers.value_or(0) : 0, r_.ubatch_tokens};
        for (const KType& type : types) {
            setup.type = type;
            if (largest(setup) >= want) {
                explain_type(setup, types, aim, want);
                return setup;
            }
        }
        if (whole &&
            (largest(setup) >= config_.context_length / 2 || !r_.card || r_.cpu_moe_layers)) {
            explain_type(setup, types, aim, want);
            return setup;  // finish() says what context is left
        }
        if (r_.card && !r_.cpu_moe_layers && expert_layers_ > 0) {
            const Setup without = setup;
            const std::string why = "with all experts on the card " +
                                    (largest(without) > 0 ? number(largest(without)) + " tokens fit"
                                                          : std::string("nothing fits"));
            // More layers take less: the fewest that do.
            int64_t low = 1, high = expert_layers_;
            while (low < high) {
                setup.moe_layers = (low + high) / 2;
                largest(setup) >= want ? high = setup.moe_layers : low = setup.moe_layers + 1;
            }
            setup.moe_layers = low;
            const int64_t context = largest(setup);
            if (context >= want || (whole && context > 0)) {
                explain_type(setup, types, aim, want);
                chose("experts of " + number(routed_layers(low)) + " layers on the CPU",
                      why + "; " + (context >= want ? "these" : "even these") + " free " +
                          format_bytes(device_weights(0) - device_weights(low)) + " (-ncmoe " +
                          number(low) + ")");
                return setup;
            }
            setup = without;
        }
        explain_type(setup, types, aim, want);
        return setup;
    }

    // Fewer passes over a prompt read the weights less often, and long ones take attention's faster
    // form; but room is better spent on anything else, and some is left to whoever else draws on
    // the card.
    Setup with_larger_passes(const Setup& setup) {
        const int64_t context = std::min(wanted(), largest(setup));
        Setup larger = setup;
        for (larger.ubatch = r_.larger_ubatch_tokens; larger.ubatch > setup.ubatch;
             larger.ubatch /= 2) {
            const int64_t pages = KvLayout::pages_for(context);
            const int64_t spare = r_.free_bytes - device_weights(larger.moe_layers) -
                                  pages * KvLayout(config_, larger.type).page_bytes() -
                                  compute(larger, context) - rounding(larger, context, pages);
            if (context > 0 && spare >= kSpareBytes && largest(larger) >= context) {
                chose("passes of up to " + number(larger.ubatch) + " tokens",
                      "their working memory, " +
                          format_bytes(compute(larger, context) - compute(setup, context)) +
                          " more, fits beside all else (-ub " + number(larger.ubatch) + ")");
                return larger;
            }
        }
        return setup;
    }

    int64_t routed_layers(int64_t moe_layers) const {
        int64_t count = 0, last = -1;
        for (const WeightBytes::Part& part : weights_.parts) {
            if (part.kind == WeightBytes::Kind::experts && part.layer < moe_layers &&
                part.layer != last) {
                last = part.layer;
                count++;
            }
        }
        return count;
    }

    void explain_type(const Setup& s,
                      const std::vector<KType>& types,
                      const std::string& aim,
                      int64_t want) {
        const std::string what = "cache " + kernels::name(s.type);
        if (types.size() == 1) {
            chose(what, "asked for");
        } else if (s.type == types.front()) {
            chose(what, aim + ": " + size_words(s.type, want) + ", which fit");
        } else {
            const int64_t room = r_.free_bytes - device_weights(s.moe_layers) - compute(s, want);
            chose(what, aim + ": " + size_words(types.front(), want) + ", but " +
                            format_bytes(std::max<int64_t>(room, 0)) +
                            " are left beside the weights; " + size_words(s.type, want));
        }
    }

    void finish(const Setup& setup) {
        const KvLayout layout(config_, setup.type);
        plan_.type = setup.type;
        plan_.cache_type = kernels::name(setup.type);
        plan_.ubatch_tokens = setup.ubatch;
        plan_.cpu_moe_layers = setup.moe_layers;
        plan_.weights_bytes = weights_.total();
        plan_.bytes_per_token = layout.bytes_per_token();
        plan_.max_ctx_size = largest(setup);
        if (r_.ctx_size == 0) {
            plan_.ctx_size =
                std::max(plan_.max_ctx_size, std::min(kPageTokens, config_.context_length));
            plan_.pool_pages = KvLayout::pages_for(plan_.ctx_size);
            const int64_t one = plan_.pool_pages;
            for (int64_t n = r_.parallel; n > 1 && plan_.max_ctx_size > 0; n--) {
                const int64_t pages = std::min(n * one, kSmallPoolBytes / layout.page_bytes());
                if (pages <= one || fits(setup, plan_.ctx_size, pages)) {
                    plan_.pool_pages = std::max(one, pages);
                    break;
                }
            }
            if (plan_.max_ctx_size < config_.context_length && plan_.max_ctx_size > 0) {
                chose("context " + number(plan_.ctx_size),
                      "what fits; the model was trained for " + number(config_.context_length));
                plan_.notes.push_back("context of " + number(plan_.ctx_size) +
                                      " tokens: what fits; the model was trained for " +
                                      number(config_.context_length));
            }
        } else {
            plan_.ctx_size = wanted();
            plan_.pool_pages = KvLayout::pages_for(plan_.ctx_size);
            if (r_.ctx_size > config_.context_length) {
                plan_.notes.push_back("the model was trained for " +
                                      number(config_.context_length) + " tokens: -c " +
                                      number(r_.ctx_size) + " is cut to that");
            }
        }
        plan_.fits =
            plan_.max_ctx_size >= plan_.ctx_size && fits(setup, plan_.ctx_size, plan_.pool_pages);
        plan_.compute_bytes = compute(setup, plan_.ctx_size);
        plan_.k_bytes = plan_.pool_pages * layout.page_bytes();
        plan_.with_v_bytes =
            plan_.k_bytes + plan_.pool_pages * kPageTokens * layout.v_bytes_per_token();
        list_devices(setup);
    }

    void list_devices(const Setup& setup) {
        MemoryPlan::Device device;
        device.name = r_.device;
        device.total_bytes = r_.total_bytes;
        device.weights_bytes = device_weights(setup.moe_layers);
        device.kv_bytes = plan_.k_bytes;
        device.compute_bytes = plan_.compute_bytes;
        const int64_t lost = rounding(setup, plan_.ctx_size, plan_.pool_pages);
        device.other_bytes = r_.total_bytes - r_.free_bytes + lost;
        const int64_t weights = device.weights_bytes;
        device.free_bytes = r_.free_bytes - weights - plan_.k_bytes - plan_.compute_bytes - lost;
        if (plan_.fits &&
            device.free_bytes < 0) {  // mapped weights beyond the memory: read from disk as needed
            plan_.notes.push_back(
                "the weights (" + format_bytes(weights) +
                ") are larger than the free memory: " + format_bytes(-device.free_bytes) +
                " of them will be read from disk again and again");
            device.weights_bytes += device.free_bytes;
            device.free_bytes = 0;
        }
        if (!plan_.fits) {
            plan_.suggestions = what_would_fit(setup);
            plan_.problem = "needs " +
                            format_bytes(weights + plan_.k_bytes + plan_.compute_bytes + lost) +
                            " (weights " + format_bytes(weights) + ", K cache " +
                            format_bytes(plan_.k_bytes) + " for " + number(plan_.ctx_size) +
                            " tokens, compute " + format_bytes(plan_.compute_bytes) + "), but " +
                            r_.device + " has " + format_bytes(r_.free_bytes) + " free of " +
                            format_bytes(r_.total_bytes) + "; would fit: ";
            for (size_t i = 0; i < plan_.suggestions.size(); i++) {
                plan_.problem += (i == 0 ? "" : ", or ") + plan_.suggestions[i];
            }
            device.free_bytes = 0;
        }
        plan_.devices.push_back(device);
        if (const int64_t kept = host_weights(setup.moe_layers); kept > 0) {
            MemoryPlan::Device host;
            host.name = "CPU";
            host.weights_bytes = kept;
            host.total_bytes = std::max(r_.host_total_bytes, kept);
            host.free_bytes = std::max<int64_t>(0, r_.host_free_bytes - kept);
            host.other_bytes = host.total_bytes - host.free_bytes - kept;
            if (r_.host_free_bytes > 0 && r_.host_free_bytes < kept) {
                plan_.notes.push_back(
                    "the CPU keeps " + format_bytes(kept) + " of weights, and " +
                    format_bytes(r_.host_free_bytes) +
                    " of memory are free: the rest will be read from disk again and again");
            }
            plan_.devices.push_back(host);
        }
    }

    // Single changes that would make the plan fit, the ones that take least from the user first.
    std::vector<std::string> what_would_fit(const Setup& now) const {
        std::vector<std::string> found;
        const int64_t ctx = plan_.ctx_size, pages = plan_.pool_pages;
        Setup other = now;
        for (other.ubatch = now.ubatch / 2; other.ubatch >= kMinUbatchTokens; other.ubatch /= 2) {
            if (fits(other, ctx, pages)) {
                found.push_back("-ub " + number(other.ubatch));
                break;
            }
        }
        other = now;
        const int64_t row = KvLayout(config_, now.type).row_bytes();
        for (const KType& type : {KType(kernels::DType::f16), KType::q8_latent(),
                                  KType(kernels::DType::q8_0), KType(kernels::DType::q4_0)}) {
            other.type = type;
            if (takes(type) && KvLayout(config_, type).row_bytes() < row &&
                fits(other, ctx, pages)) {
                found.push_back("-ctk " + kernels::name(type));
                break;
            }
        }
        other = now;
        if (const int64_t smaller = largest(now); smaller > 0) {
            found.push_back("-c " + number(smaller));
        }
        if (r_.card) {
            for (other.moe_layers = now.moe_layers + 1; other.moe_layers <= expert_layers_;
                 other.moe_layers++) {
                if (fits(other, ctx, pages)) {
                    found.push_back("-ncmoe " + number(other.moe_layers));
                    break;
                }
            }
        }
        if (found.empty()) {
            Setup least{takes(KType(kernels::DType::q4_0)) ? KType(kernels::DType::q4_0) : now.type,
                        r_.card ? expert_layers_ : 0, std::min(now.ubatch, kMinUbatchTokens)};
            if (const int64_t context = largest(least); context > 0) {
                found.push_back((least.moe_layers > now.moe_layers
                                     ? "-ncmoe " + number(least.moe_layers) + " "
                                     : "") +
                                "-ctk " + kernels::name(least.type) + " -ub " +
                                number(least.ubatch) + " -c " + number(context));
            } else {
                const int64_t rest = compute(least, kPageTokens) + rounding(least, kPageTokens, 1) +
                                     KvLayout(config_, now.type).page_bytes();
                const int64_t most = r_.free_bytes - rest;
                found.push_back(most > 0
                                    ? "a smaller quantisation of the model (weights of at most " +
                                          format_bytes(most) + ")"
                                    : "a device with more memory");
            }
        }
        found.resize(std::min<size_t>(found.size(), 3));
        return found;
    }

    const ModelConfig& config_;
    const WeightBytes& weights_;
    const MemoryRequest& r_;
    int64_t expert_layers_ = 0;  // one past the last with routed experts of known size
    MemoryPlan plan_;
};

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

MemoryPlan plan_memory(const ModelConfig& config,
                       const WeightBytes& weights,
                       const MemoryRequest& request) {
    ENSURE(request.ctx_size >= 0 && request.ubatch_tokens > 0 && request.parallel > 0 &&
               request.cpu_moe_layers.value_or(0) >= 0,
           request.ctx_size, " ", request.ubatch_tokens, " ", request.parallel);
    return Planner(config, weights, request).plan();
}

}  // namespace runtime
