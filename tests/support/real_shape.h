// Files with every tensor of GLM-4.7-Flash at its real size and no data: a hole of 17 or 55 GiB
// that takes no room. For tests of plans, which read headers alone.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "kernels/dtype.h"
#include "tests/support/gguf_writer.h"

namespace tests {

// quantised: types as in a Q4_K_M file; else F16 throughout. `small` is the file whose metadata is
// taken along.
inline void write_real_shape(const std::string& path,
                             const std::string& small,
                             bool quantised = false) {
    using kernels::DType;
    auto image = GgufImage::of(small);
    image.tensors.clear();
    const auto add = [&](const std::string& name, std::vector<uint64_t> ne, DType type) {
        image.tensors.push_back({name, std::move(ne), kernels::info(type).ggml_id, {}});
    };
    const auto matrix = [&](const std::string& name, std::vector<uint64_t> ne,
                            DType type = DType::q4_k) {
        add(name, std::move(ne), quantised ? type : DType::f16);
    };
    const auto floats = [&](const std::string& name, std::vector<uint64_t> ne) {
        add(name, std::move(ne), DType::f32);
    };
    matrix("token_embd.weight", {2048, 154880});
    floats("output_norm.weight", {2048});
    matrix("output.weight", {2048, 154880}, DType::q6_k);
    constexpr int kLayers = 47;
    for (int i = 0; i < kLayers; i++) {
        const std::string p = "blk." + std::to_string(i) + ".";
        // llama.cpp's rule for the layers whose down projections get more bits.
        const bool more = i < kLayers / 8 || i >= 7 * kLayers / 8 || (i - kLayers / 8) % 3 == 2;
        const DType down = more ? DType::q6_k : DType::q4_k;
        floats(p + "attn_norm.weight", {2048});
        floats(p + "ffn_norm.weight", {2048});
        matrix(p + "attn_q_a.weight", {2048, 768});
        floats(p + "attn_q_a_norm.weight", {768});
        matrix(p + "attn_q_b.weight", {768, 5120});
        matrix(p + "attn_kv_a_mqa.weight", {2048, 576});
        floats(p + "attn_kv_a_norm.weight", {512});
        matrix(p + "attn_k_b.weight", {192, 512, 20}, DType::q5_0);
        matrix(p + "attn_v_b.weight", {512, 256, 20});
        matrix(p + "attn_output.weight", {5120, 2048});
        if (i == 0) {
            matrix(p + "ffn_gate.weight", {2048, 10240});
            matrix(p + "ffn_up.weight", {2048, 10240});
            matrix(p + "ffn_down.weight", {10240, 2048}, down);
            continue;
        }
        floats(p + "ffn_gate_inp.weight", {2048, 64});
        floats(p + "exp_probs_b.bias", {64});
        matrix(p + "ffn_gate_exps.weight", {2048, 1536, 64});
        matrix(p + "ffn_up_exps.weight", {2048, 1536, 64});
        matrix(p + "ffn_down_exps.weight", {1536, 2048, 64}, down);
        matrix(p + "ffn_gate_shexp.weight", {2048, 1536});
        matrix(p + "ffn_up_shexp.weight", {2048, 1536});
        matrix(p + "ffn_down_shexp.weight", {1536, 2048}, down);
    }
    uint64_t at = 0;
    for (auto& t : image.tensors) {
        t.offset = static_cast<int64_t>(at);
        int64_t rows = 1;
        for (size_t k = 1; k < t.ne.size(); k++) {
            rows *= static_cast<int64_t>(t.ne[k]);
        }
        const auto bytes =
            static_cast<uint64_t>(rows * kernels::row_bytes(*kernels::dtype_from_ggml(t.type),
                                                            static_cast<int64_t>(t.ne[0])));
        at += (bytes + 31) / 32 * 32;
    }
    for (const auto& [key, value] : std::initializer_list<std::pair<const char*, uint32_t>>{
             {"block_count", 47},
             {"context_length", 202752},
             {"embedding_length", 2048},
             {"feed_forward_length", 10240},
             {"attention.head_count", 20},
             {"attention.q_lora_rank", 768},
             {"attention.kv_lora_rank", 512},
             {"attention.key_length", 576},
             {"attention.value_length", 512},
             {"attention.key_length_mla", 256},
             {"attention.value_length_mla", 256},
             {"rope.dimension_count", 64},
             {"expert_count", 64},
             {"expert_used_count", 4},
             {"expert_feed_forward_length", 1536},
             {"vocab_size", 154880}}) {
        image.set_u32(std::string("deepseek2.") + key, value);
    }
    std::vector<std::string> tokens;
    std::string types = GgufImage::pack(uint32_t{5}) + GgufImage::pack(uint64_t{154880});
    for (int i = 0; i < 154880; i++) {
        tokens.push_back("t" + std::to_string(i));
        types += GgufImage::pack(int32_t{1});
    }
    image.set_string_array("tokenizer.ggml.tokens", tokens);
    image.set("tokenizer.ggml.token_type", 9, types);
    std::ofstream out(path, std::ios::binary);
    const std::string head = image.bytes();
    out << head;
    out.close();
    std::filesystem::resize_file(path, head.size() + at);
}

}  // namespace tests
