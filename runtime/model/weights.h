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
                        const LoadProgress& progress);

    // The checks of load() without reading a tensor. Returns the warnings, throws as load() does.
    static std::vector<std::string> check(const GgufFile& file, const ModelConfig& config);
};

}  // namespace runtime
