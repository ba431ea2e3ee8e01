// ModelConfig: the hyper-parameters of a GLM-4.7-Flash shaped model, from tensors first and
// metadata second, validated. Names are those of config.json and GGUF. After construction the rest
// of the program relies on them without checks.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/model/gguf.h"
#include "runtime/text/tokenizer.h"

namespace runtime {

struct ModelConfig {
    std::string name;          // general.name, or the file's
    std::string architecture;  // deepseek2 or glm4moelite
    std::string
        file_type;  // "Q4_K_M", "IQ4_XS", from general.file_type or the commonest tensor type
    std::string description;     // general.description; the demo model says there what it is
    int64_t n_layers = 0;        // layers in use; an MTP layer is not counted
    int64_t n_mtp_layers = 0;    // present in the file, set aside
    int64_t n_dense_layers = 0;  // leading_dense_block_count
    int64_t hidden = 0;          // D
    int64_t n_heads = 0;         // H
    int64_t q_lora_rank = 0;
    int64_t kv_lora_rank = 0;      // L
    int64_t qk_nope_head_dim = 0;  // N
    int64_t qk_rope_head_dim = 0;  // R
    int64_t v_head_dim = 0;        // V
    int64_t dense_ff = 0;          // width of the dense feed-forward block
    int64_t expert_ff = 0;         // F
    int64_t shared_ff = 0;         // width of the shared expert(s); 0 without
    int64_t n_experts = 0;         // E
    int64_t n_experts_used = 0;    // K
    float expert_weights_scale = 1;
    bool expert_weights_norm = true;
    int64_t vocab = 0;           // W, rows of the head
    int64_t context_length = 0;  // what the model was trained for
    float rope_freq_base = 1e6F;
    float rms_norm_eps = 1e-5F;
    std::vector<std::string>
        warnings;  // what was odd and how it was read: missing gating key, swapped dialect, ...

    // Throws ModelError naming key or tensor, expected and found, and what would work.
    static ModelConfig from(const GgufFile& file);

    int64_t k_row_elements() const { return kv_lora_rank + qk_rope_head_dim; }
    float attention_scale() const;  // 1/sqrt(N + R)
};

// The vocabulary of the file, arrays checked. Throws ModelError.
Vocabulary vocabulary_of(const GgufFile& file);

}  // namespace runtime
