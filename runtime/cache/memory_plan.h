// MemoryPlan: where every byte will go, before anything is loaded. `keyhole plan` prints it and the
// engine loads by it, so the two cannot disagree. Arithmetic only: touches no device and no tensor
// data. Any thread.
//
// The K cache is one pool that all sequences share:
//   ctx_size given   the pool holds ctx_size tokens, as llama.cpp's -c does, and one sequence may
//   use all of them ctx_size 0       a sequence may use what fits, at most what the model was
//   trained for; where a full context is
//                    small (under 1 GiB) the pool holds up to `parallel` of them, within 1 GiB
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/cache/kv_cache.h"
#include "runtime/model/gguf.h"
#include "runtime/model/model_config.h"

namespace runtime {

struct MemoryRequest {
    int64_t ctx_size = 0;  // 0: what fits
    kernels::DType cache_type = kernels::DType::f16;
    int64_t ubatch_tokens = 512;  // of one forward pass at most
    int parallel = 8;
    std::string device = "CPU";
    int64_t total_bytes = 0;  // of the device, or as --vram pretends
    int64_t free_bytes = 0;   // of these, now; what others hold is the difference
    bool weights_may_page =
        false;  // weights stay in the mapped file: more of them than memory is slow, not fatal
};

struct MemoryPlan {
    struct Device {
        std::string name;
        int64_t total_bytes = 0;  // == weights + kv + compute + other + free, where the plan fits
        int64_t weights_bytes = 0;
        int64_t kv_bytes = 0;
        int64_t compute_bytes = 0;
        int64_t other_bytes = 0;  // held by others now
        int64_t free_bytes = 0;   // left
    };

    bool fits = false;
    std::string problem;  // where it does not: one line with what is missing and what would fit
    std::vector<std::string>
        suggestions;  // at most three, smallest change first: "-c 65536", "-ctk q8_0"
    std::vector<std::string>
        notes;  // what was decided on the way: a context cut to the model's own

    std::string cache_type;  // "f16"
    int64_t weights_bytes = 0;
    int64_t bytes_per_token = 0;
    int64_t ctx_size = 0;      // tokens one sequence may hold
    int64_t max_ctx_size = 0;  // the largest that fits; 0: none
    int64_t pool_pages = 0;    // limit of the K cache
    int64_t k_bytes = 0;       // of these pages
    int64_t v_bytes = 0;       // always 0
    int64_t with_v_bytes = 0;  // what the same pages would take with V beside K
    int64_t compute_bytes = 0;
    std::vector<Device> devices;
};

// Throws ModelError where the cache type cannot hold the model's K rows.
MemoryPlan plan_memory(const ModelConfig& config,
                       int64_t weights_bytes,
                       const MemoryRequest& request);

// Bytes of the tensors that will be used: all but those of MTP layers.
int64_t weights_bytes(const GgufFile& file, const ModelConfig& config);

// "16.9 GiB", "512 MiB", "54144 B"
std::string format_bytes(int64_t bytes);

}  // namespace runtime
