// MemoryPlan: where every byte will go, before anything is loaded. `keyhole plan` prints it, the
// window's sliders ask it, and the engine loads by it, so the three cannot disagree; what a
// backend's account counts after loading is what stands here. Arithmetic only: touches no device
// and no tensor data; a call takes microseconds. Any thread.
//
// The K cache is one pool that all sequences share:
//   ctx_size given   the pool holds ctx_size tokens, as llama.cpp's -c does, and one sequence may
//   use all of them ctx_size 0       a sequence may use what fits, at most what the model was
//   trained for; where a full context is small
//                    (under 1 GiB) the pool holds up to `parallel` of them, within 1 GiB
//
// What the request leaves open is decided in this order, and every decision is in `choices` with
// its reason:
//   1. everything on the device, cache in f16
//   2. the cache in q8_latent, before anything slower is considered
//   3. with ctx_size 0: fewer tokens, as long as half of the model's window is left
//   4. on a card: routed experts of as few layers as possible computed by the CPU
//   5. larger passes, where none of the above is any different for it
// What even that cannot fit is refused, with single changes that would fit.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "runtime/cache/kv_cache.h"
#include "runtime/model/model_config.h"
#include "runtime/model/weights.h"

namespace runtime {

struct MemoryRequest {
    int64_t ctx_size = 0;                      // 0: what fits
    std::optional<kernels::KType> cache_type;  // nothing: chosen
    std::optional<int64_t> cpu_moe_layers;     // -ncmoe; nothing: chosen. Cards alone
    int64_t ubatch_tokens = 512;               // of one forward pass at most
    // Taken instead, or a half or quarter of it, where all else stays as it is; 0: never.
    int64_t larger_ubatch_tokens = 0;
    int parallel = 8;
    std::string device = "CPU";
    int64_t total_bytes = 0;  // of the device, or as --vram pretends
    int64_t free_bytes = 0;   // of these, now; what others hold is the difference
    bool weights_may_page =
        false;  // weights stay in the mapped file: more of them than memory is slow, not fatal
    // A card: the embedding stays in the host's memory, experts may, and allocations are rounded
    // up.
    bool card = false;
    int64_t host_total_bytes = 0;  // of the machine with the card; 0: not known
    int64_t host_free_bytes = 0;
    // The backend's working memory (Backend::work_bytes, or kernels::card_work_bytes); empty: none
    // is counted.
    std::function<int64_t(const kernels::WorkShape&)> work_bytes;
};

struct MemoryPlan {
    struct Device {
        std::string name;
        int64_t total_bytes = 0;  // == weights + kv + compute + other + free, where the plan fits
        int64_t weights_bytes = 0;
        int64_t kv_bytes = 0;
        int64_t compute_bytes = 0;
        int64_t other_bytes =
            0;  // held by others now; of a card also what rounding of allocations loses
        int64_t free_bytes = 0;  // left
    };
    struct Choice {
        std::string what;  // "cache q8_latent", "experts of 12 layers on the CPU", "context 126144"
        std::string reason;  // with the figures that decided it
    };

    bool fits = false;
    std::string problem;  // where it does not: one line with what is missing and what would fit
    std::vector<std::string>
        suggestions;  // at most three, smallest change first: "-c 65536", "-ctk q8_latent"
    std::vector<Choice> choices;     // what was decided, in order
    std::vector<std::string> notes;  // what else one should know: a context cut to the model's own

    kernels::KType type;
    std::string cache_type;      // its name: "f16"
    int64_t ubatch_tokens = 0;   // of one forward pass at most
    int64_t cpu_moe_layers = 0;  // routed experts of the first so many layers stay on the CPU
    int64_t weights_bytes = 0;   // on all devices
    int64_t bytes_per_token = 0;
    int64_t ctx_size = 0;  // tokens one sequence may hold
    int64_t max_ctx_size =
        0;  // the largest that fits with this cache type and these experts; 0: none
    int64_t pool_pages = 0;    // limit of the K cache
    int64_t k_bytes = 0;       // of these pages
    int64_t v_bytes = 0;       // always 0
    int64_t with_v_bytes = 0;  // what the same pages would take with V beside K
    int64_t compute_bytes = 0;
    std::vector<Device>
        devices;  // the one that computes first; for a card then the CPU with what it keeps
};

// Throws ModelError where the cache type asked for cannot hold the model's K rows.
MemoryPlan plan_memory(const ModelConfig& config,
                       const WeightBytes& weights,
                       const MemoryRequest& request);

// "16.9 GiB", "512 MiB", "54144 B"
std::string format_bytes(int64_t bytes);

}  // namespace runtime
