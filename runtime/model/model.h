// Model: configuration, weights and activations on a backend; forward() is the network. Owned and
// used by the engine thread. Everything is allocated once, at loading; a forward pass allocates
// nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "kernels/backend.h"
#include "runtime/engine/batch.h"
#include "runtime/model/gguf.h"
#include "runtime/model/model_config.h"

namespace runtime {

class KvCache;
struct TokenWork;

// Loading progress: bytes done and to do; return false to give up (load then throws ModelError
// "cancelled").
using LoadProgress = std::function<bool(int64_t done_bytes, int64_t total_bytes)>;

class Model {
public:
    // Binds and shape-checks every tensor before it reads the first byte of one, then reads them
    // in. max_batch_tokens: the largest Batch that forward() will see. cpu_moe_layers: routed
    // experts of the first so many layers stay with the CPU, where the backend is a card's. Throws
    // ModelError, DeviceError.
    Model(std::shared_ptr<const GgufFile> file,
          kernels::Backend& backend,
          int64_t max_batch_tokens,
          const LoadProgress& progress = {},
          int64_t cpu_moe_layers = 0);
    ~Model();

    const ModelConfig& config() const;  // its warnings include what was odd about the tensors

    // Bytes of a backend's compute memory that a Model allocates for itself.
    static int64_t activation_bytes(const ModelConfig& config, int64_t max_batch_tokens);
    // What a backend is told for its own working memory.
    static kernels::WorkShape work_shape(const ModelConfig& config,
                                         int64_t max_batch_tokens,
                                         int64_t max_sequences,
                                         int64_t ctx_size);

    // What a step of `sequences` tokens reads and multiplies at the least, each behind `depth` others.
    TokenWork work(int64_t k_bytes_per_token, int64_t depth, int64_t sequences) const;

    // Runs the batch's tokens through all layers, storing their K rows in `cache`, and returns the
    // logits [batch.logit_rows.size(), W] of the rows asked for, in host memory valid until the
    // next call.
    std::span<const float> forward(const Batch& batch, KvCache& cache);

    // For tests: called with the residual stream after each layer, host memory [T, D].
    std::function<void(int64_t layer, std::span<const float> x)> on_layer;

private:
    struct Data;
    std::unique_ptr<Data> data_;
};

}  // namespace runtime
