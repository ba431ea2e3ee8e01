// Weights: the tensors of a model file by their role, shape-checked and on a backend. Names of GGUF
// tensors appear in weights.cpp alone. Immutable after loading; engine thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/backend.h"
#include "runtime/model/gguf.h"
#include "runtime/model/model.h"
#include "runtime/model/model_config.h"

namespace runtime {

// Shape letters as in kernels/backend.h; Q is q_lora_rank.
struct LayerWeights {
    kernels::TensorView attn_norm;    // [D]           F32, as every norm
    kernels::TensorView q_a;          // [Q, D]
    kernels::TensorView q_a_norm;     // [Q]
    kernels::TensorView q_b;          // [H*(N+R), Q]  per head: N without rotary, then R with
    kernels::TensorView kv_a;         // [L+R, D]      latent, then rotary
    kernels::TensorView kv_a_norm;    // [L]
    kernels::TensorView k_b;          // [H, L, N]
    kernels::TensorView v_b;          // [H, V, L]     heads may be strided
    kernels::TensorView attn_output;  // [D, H*V]
    kernels::TensorView ffn_norm;     // [D]

    bool routed = false;
    kernels::Glu dense;               // layers that are not routed
    kernels::TensorView router;       // [E, D]        F32
    kernels::TensorView router_bias;  // [E]           F32, or empty
    kernels::Glu experts;             // [E, F, D] gate and up, [E, D, F] down
    kernels::Glu shared;              // or empty
};

// What loading will take, tensor by tensor, as a backend's account counts them.
struct WeightBytes {
    enum class Kind : uint8_t { other, experts, embedding };  // experts: routed ones
    struct Part {
        int64_t bytes = 0;
        Kind kind = Kind::other;
        int64_t layer = -1;  // of experts
    };
    std::vector<Part> parts;

    WeightBytes() = default;
    WeightBytes(int64_t bytes)
        : parts{{bytes}} {}  // NOLINT: weights of which only the sum is known
    int64_t total() const;
};

// Which weights stay with the CPU where the device is a card (Backend::keep_on_host).
struct WeightPlacement {
    int64_t cpu_moe_layers =
        0;  // routed experts of the first so many layers, as llama.cpp's -ncmoe counts
};

struct Weights {
    kernels::TensorView token_embd;   // [W, D]
    kernels::TensorView output_norm;  // [D]
    kernels::TensorView output;       // [W, D]; token_embd where the file has none
    std::vector<LayerWeights> layers;

    std::vector<kernels::Buffer>
        converted;  // memory of tensors that could not be used as they lie in the file
    std::vector<std::string> warnings;  // tensors that nothing uses

    // Throws ModelError: a tensor missing, of another shape, or of a type Keyhole does not compute
    // with. `file` and `backend` must outlive the weights.
    static Weights load(const GgufFile& file,
                        const ModelConfig& config,
                        kernels::Backend& backend,
                        const LoadProgress& progress,
                        const WeightPlacement& placement = {});

    // The checks of load() without reading a tensor. Returns the warnings, throws as load() does.
    static std::vector<std::string> check(const GgufFile& file, const ModelConfig& config);

    // The sizes load() will ask for, from the header alone. Throws as load() does.
    static WeightBytes bytes(const GgufFile& file, const ModelConfig& config);
};

}  // namespace runtime
