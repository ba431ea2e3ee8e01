#include "runtime/model/model_config.h"

#include <cmath>
#include <limits>

#include "runtime/model/inspect.h"
#include "runtime/model/weights.h"
#include "tests/support/catch.h"
#include "tests/support/gguf_writer.h"
#include "tests/support/model_error.h"
#include "tests/support/temp_folder.h"

using namespace runtime;
using tests::GgufImage;

namespace {

const std::string kNano = TESTS_DIR "/golden/model/nano-f32.gguf";

// The golden model with one thing changed: what its hyper-parameters, tensors or vocabulary say
// then.
class Changed {
public:
    template <typename Change>
    explicit Changed(const Change& change) {
        GgufImage image = GgufImage::of(kNano);
        change(image);
        file = GgufFile::open(folder.write("model.gguf", image.bytes()));
    }

    ModelConfig config() const { return ModelConfig::from(*file); }
    std::string config_refusal() const {
        return tests::refusal([&] { config(); });
    }
    // Refused by the hyper-parameters or by the check of every tensor that follows them.
    std::string refusal() const {
        const std::string text = tests::refusal([&] { Weights::check(*file, config()); });
        CHECK(text.find('\n') == std::string::npos);
        return text;
    }
    std::string vocabulary_refusal() const {
        return tests::refusal([&] { vocabulary_of(*file); });
    }
    std::string warnings() const {
        std::string all;
        for (const std::string& warning : config().warnings) {
            all += warning + "\n";
        }
        return all;
    }

    tests::TempFolder folder;
    std::shared_ptr<const GgufFile> file;
};

Changed with_u32(const std::string& key, uint32_t value) {
    return Changed([&](GgufImage& i) { i.set_u32("deepseek2." + key, value); });
}

Changed without_key(const std::string& key) {
    return Changed([&](GgufImage& i) { i.erase_key(key); });
}

Changed without_tensor(const std::string& name) {
    return Changed([&](GgufImage& i) { i.erase_tensor(name); });
}

}  // namespace

TEST_CASE("the golden model's hyper-parameters are those it was made with") {
    const ModelConfig c = ModelConfig::from(*GgufFile::open(kNano));
    CHECK(c.architecture == "deepseek2");
    CHECK(c.file_type == "F32");
    CHECK(c.n_layers == 3);
    CHECK(c.n_mtp_layers == 0);
    CHECK(c.n_dense_layers == 1);
    CHECK(c.hidden == 64);
    CHECK(c.n_heads == 4);
    CHECK(c.q_lora_rank == 32);
    CHECK(c.kv_lora_rank == 32);
    CHECK(c.qk_nope_head_dim == 32);
    CHECK(c.qk_rope_head_dim == 16);
    CHECK(c.v_head_dim == 32);
    CHECK(c.dense_ff == 128);
    CHECK(c.expert_ff == 32);
    CHECK(c.shared_ff == 32);
    CHECK(c.n_experts == 8);
    CHECK(c.n_experts_used == 2);
    CHECK(c.expert_weights_scale == 1.8F);
    CHECK(c.expert_weights_norm);
    CHECK(c.vocab == 384);
    CHECK(c.context_length == 4096);
    CHECK(c.rope_freq_base == 1e6F);
    CHECK(c.rms_norm_eps == 1e-5F);
    CHECK(c.warnings.empty());
    CHECK(c.k_row_elements() == 48);
    CHECK(c.attention_scale() == Approx(1 / std::sqrt(48.0)));
}

TEST_CASE("other architectures are refused by name") {
    for (const char* name : {"llama", "qwen3moe", "glm4moe", "glm-dsa", "deepseek", ""}) {
        const Changed model([&](GgufImage& i) { i.set_string("general.architecture", name); });
        CHECK_THAT(model.config_refusal(),
                   ContainsSubstring("architecture '" + std::string(name) + "'") &&
                       ContainsSubstring("GLM-4.7-Flash"));
    }
    CHECK_THAT(without_key("general.architecture").config_refusal(),
               ContainsSubstring("'general.architecture' is missing"));
    CHECK_THAT(Changed([](GgufImage& i) { i.set_u32("general.architecture", 1); }).config_refusal(),
               ContainsSubstring("expected a string"));
}

TEST_CASE("networks that share the architecture's name but not its arithmetic are refused") {
    CHECK_THAT(with_u32("expert_group_count", 8).config_refusal(),
               ContainsSubstring("expert_group_count' is 8"));
    CHECK_THAT(Changed([](GgufImage& i) {
                   i.set_string("deepseek2.rope.scaling.type", "yarn");
               }).config_refusal(),
               ContainsSubstring("'yarn'"));
    CHECK_THAT(Changed([](GgufImage& i) {
                   i.set_f32("deepseek2.rope.scaling.factor", 40);
               }).config_refusal(),
               ContainsSubstring("rope.scaling.factor"));
    CHECK_THAT(with_u32("expert_gating_func", 3).config_refusal(),
               ContainsSubstring("expert_gating_func' is 3"));
    CHECK_THAT(Changed([](GgufImage& i) {
                   i.set_u32("deepseek2.expert_gating_func", 1);
                   i.erase_tensor("blk.1.exp_probs_b.bias");
                   i.erase_tensor("blk.2.exp_probs_b.bias");
               }).config_refusal(),
               ContainsSubstring("softmax"));
    CHECK_THAT(Changed([](GgufImage& i) {
                   i.tensor("blk.0.attn_q_a.weight").name = "blk.0.attn_q.weight";
               }).config_refusal(),
               ContainsSubstring("DeepSeek-V2-Lite"));
}

TEST_CASE("a file that only holds the draft layer is refused as such") {
    const Changed model([](GgufImage& i) {
        std::erase_if(i.tensors, [](auto& t) { return t.name.starts_with("blk."); });
        i.tensors.push_back(
            {"blk.3.nextn.eh_proj.weight", {128, 64}, 0, std::string(128 * 64 * 4, '\0')});
        i.set_u32("deepseek2.block_count", 4);
    });
    CHECK_THAT(model.config_refusal(), ContainsSubstring("draft (MTP) layer"));
}

TEST_CASE("the gating key: missing or softmax on this model is read as sigmoid, with a warning") {
    CHECK_THAT(without_key("deepseek2.expert_gating_func").warnings(),
               ContainsSubstring("sigmoid is used"));
    CHECK_THAT(with_u32("expert_gating_func", 0).warnings(), ContainsSubstring("sigmoid is used"));
    CHECK_THAT(with_u32("expert_gating_func", 1).warnings(), ContainsSubstring("says softmax"));
}

TEST_CASE("head sizes come from the tensors, whatever the keys say") {
    const Changed model([](GgufImage& i) {
        for (const char* name : {"key_length", "value_length", "key_length_mla", "value_length_mla",
                                 "head_count_kv"}) {
            i.set_u32(std::string("deepseek2.attention.") + name, 12345);
        }
    });
    const ModelConfig c = model.config();
    CHECK(c.qk_nope_head_dim == 32);
    CHECK(c.v_head_dim == 32);
    CHECK(c.attention_scale() == Approx(1 / std::sqrt(48.0)));
}

TEST_CASE("widths in keys are compared with the tensors, which win") {
    CHECK_THAT(with_u32("expert_feed_forward_length", 99).warnings(),
               ContainsSubstring("is 99; the tensors say 32"));
    CHECK_THAT(with_u32("vocab_size", 100).warnings(), ContainsSubstring("the tensors say 384"));
    CHECK_THAT(without_tensor("output.weight").warnings(),
               ContainsSubstring("embedding serves as head"));
}

TEST_CASE("hyper-parameters out of any range are refused by key and value") {
    const std::pair<const char*, std::vector<uint32_t>> wrong[] = {
        {"block_count", {0, 2, 4, 513, 1u << 31}},
        {"attention.head_count", {0, 3, 5, 1u << 31}},
        {"expert_used_count", {0, 9, 1u << 31}},
        {"expert_count", {0, 7, 1u << 31}},
        {"rope.dimension_count", {0, 15, 48, 64}},
        {"attention.kv_lora_rank", {0, 31}},
        {"attention.q_lora_rank", {0, 31}},
        {"embedding_length", {0, 63}},
        {"context_length", {0, UINT32_MAX}},
        {"leading_dense_block_count", {0, 2, 4, UINT32_MAX}},
        {"nextn_predict_layers", {3, 4, UINT32_MAX}},
    };
    for (const auto& [key, values] : wrong) {
        for (const uint32_t value : values) {
            INFO(key << " = " << value);
            CHECK(with_u32(key, value).refusal() != "");
        }
    }
    for (const char* key :
         {"attention.layer_norm_rms_epsilon", "expert_weights_scale", "rope.freq_base"}) {
        for (const float value : {0.0F, -1.0F, std::numeric_limits<float>::quiet_NaN(),
                                  std::numeric_limits<float>::infinity()}) {
            INFO(key << " = " << value);
            const Changed model(
                [&](GgufImage& i) { i.set_f32("deepseek2." + std::string(key), value); });
            CHECK_THAT(model.config_refusal(), ContainsSubstring(key));
        }
    }
    const Changed huge([](GgufImage& i) {
        i.set("deepseek2.context_length", 10, GgufImage::pack(uint64_t{1} << 40));
    });
    CHECK_THAT(huge.config_refusal(), ContainsSubstring("context_length' is 1099511627776"));
    const Changed negative(
        [](GgufImage& i) { i.set("deepseek2.block_count", 5, GgufImage::pack(int32_t{-1})); });
    CHECK_THAT(negative.config_refusal(),
               ContainsSubstring("is -1, expected a number of at least 0"));
}

TEST_CASE("keys without which nothing can be computed are required") {
    for (const char* key : {"block_count", "context_length", "attention.head_count",
                            "expert_used_count", "attention.layer_norm_rms_epsilon"}) {
        CHECK_THAT(without_key("deepseek2." + std::string(key)).config_refusal(),
                   ContainsSubstring(std::string(key) + "' is missing"));
    }
    const Changed array([](GgufImage& i) { i.set_u32_array("deepseek2.context_length", {1, 2}); });
    CHECK_THAT(array.config_refusal(), ContainsSubstring("has type array, expected an integer"));
}

TEST_CASE(
    "every tensor of the network is required, in its shape and in a type Keyhole computes with") {
    const GgufImage image = GgufImage::of(kNano);
    for (const GgufImage::Tensor& tensor : image.tensors) {
        if (tensor.name == "output.weight" || tensor.name.ends_with("exp_probs_b.bias")) {
            continue;  // optional
        }
        INFO(tensor.name);
        CHECK_THAT(without_tensor(tensor.name).refusal(), ContainsSubstring("'"));
        // One row, or one weight, fewer.
        const Changed smaller([&](GgufImage& i) { i.tensor(tensor.name).ne.back() -= 1; });
        CHECK(smaller.refusal() != "");
        const Changed odd([&](GgufImage& i) {
            i.tensor(tensor.name).type = 139;  // IQ4_K of ik_llama.cpp
        });
        CHECK_THAT(odd.refusal(),
                   ContainsSubstring(
                       "tensor '" + tensor.name +
                       "' has type IQ4_K (ik_llama.cpp), which Keyhole does not compute with") &&
                       ContainsSubstring("Q4_K_M"));
    }
}

TEST_CASE("a tensor nobody uses is a warning") {
    const Changed model([](GgufImage& i) {
        i.tensors.push_back({"blk.1.extra.weight", {4}, 0, std::string(16, '\0')});
    });
    const auto warnings = Weights::check(*model.file, model.config());
    REQUIRE(warnings.size() == 1);
    CHECK_THAT(warnings[0], ContainsSubstring("'blk.1.extra.weight'"));
}

// ---- vocabulary

TEST_CASE("the vocabulary is read with its types, merges and special ids") {
    const Vocabulary v = vocabulary_of(*GgufFile::open(kNano));
    CHECK(v.tokens.size() == 384);
    CHECK(v.types.size() == 384);
    CHECK(v.merges.size() == 64);
    CHECK(v.model == "gpt2");
    CHECK(v.pre == "glm4");
    CHECK(v.tokens.at(static_cast<size_t>(v.eos.value())) == "<|endoftext|>");
    CHECK(v.tokens.at(static_cast<size_t>(v.eot.value())) == "<|user|>");
    CHECK(v.tokens.at(static_cast<size_t>(v.eom.value())) == "<|observation|>");
    CHECK(v.more_eos.empty());
}

TEST_CASE("wrong vocabularies are refused") {
    const auto refused = [](const auto& change) { return Changed(change).vocabulary_refusal(); };
    const std::string k = "tokenizer.ggml.";
    CHECK_THAT(refused([&](GgufImage& i) { i.erase_key(k + "tokens"); }),
               ContainsSubstring("no vocabulary"));
    CHECK_THAT(refused([&](GgufImage& i) { i.set_string_array(k + "tokens", {}); }),
               ContainsSubstring("missing or empty"));
    CHECK_THAT(refused([&](GgufImage& i) { i.set_u32_array(k + "tokens", {1}); }),
               ContainsSubstring("expected strings"));
    CHECK_THAT(refused([&](GgufImage& i) { i.set_u32(k + "tokens", 1); }),
               ContainsSubstring("expected an array"));
    CHECK_THAT(refused([&](GgufImage& i) {
                   i.set_string_array(k + "tokens", std::vector<std::string>(385, "x"));
               }),
               ContainsSubstring("385 tokens"));
    CHECK_THAT(refused([&](GgufImage& i) {
                   i.set_string_array(k + "tokens", {std::string(1 << 20, 'x')});
               }),
               ContainsSubstring("1048576 bytes"));
    CHECK_THAT(refused([&](GgufImage& i) {
                   i.set_u32_array(k + "token_type", {1, 1});
               }),
               ContainsSubstring("'tokenizer.ggml.token_type' has 2 elements"));
    CHECK_THAT(refused([&](GgufImage& i) {
                   i.set_u32_array(k + "scores", {1, 1});
               }),
               ContainsSubstring("'tokenizer.ggml.scores' has 2 elements"));
    CHECK_THAT(refused([&](GgufImage& i) {
                   i.set_u32_array(k + "token_type", std::vector<uint32_t>(384, 7));
               }),
               ContainsSubstring("says 7 for token 0"));
    CHECK_THAT(refused([&](GgufImage& i) {
                   i.set_string_array(k + "token_type", std::vector<std::string>(384, "1"));
               }),
               ContainsSubstring("other than an integer"));
    CHECK_THAT(refused([&](GgufImage& i) { i.erase_key(k + "merges"); }),
               ContainsSubstring("'tokenizer.ggml.merges' is missing"));
    CHECK_THAT(refused([&](GgufImage& i) { i.set_u32(k + "eos_token_id", 384); }),
               ContainsSubstring("eos_token_id' is 384"));
    CHECK_THAT(refused([&](GgufImage& i) { i.set_u32(k + "eot_token_id", UINT32_MAX); }),
               ContainsSubstring("eot_token_id"));
    CHECK_THAT(refused([&](GgufImage& i) {
                   i.set_u32_array(k + "eos_token_ids", {1, 400});
               }),
               ContainsSubstring("eos_token_ids' is 400"));
    CHECK_THAT(refused([&](GgufImage& i) {
                   i.set_u32_array(k + "eos_token_ids", std::vector<uint32_t>(100, 1));
               }),
               ContainsSubstring("100 ids"));
}

TEST_CASE("token types in a narrow integer type are read as what they are") {
    const Changed model([](GgufImage& i) {
        i.set(
            "tokenizer.ggml.token_type", 9,
            GgufImage::pack(uint32_t{0}) + GgufImage::pack(uint64_t{384}) + std::string(384, '\3'));
    });
    CHECK(vocabulary_of(*model.file).types == std::vector<int32_t>(384, 3));
}

TEST_CASE("rows of the head without a text become unused tokens") {
    const Changed model([](GgufImage& i) {
        i.set_string_array("tokenizer.ggml.tokens", std::vector<std::string>(10, "x"));
        i.erase_key("tokenizer.ggml.token_type");
        for (const char* id : {"eos", "eot", "eom", "bos", "unknown", "padding"}) {
            i.set_u32("tokenizer.ggml." + std::string(id) + "_token_id", 3);
        }
    });
    const Vocabulary v = vocabulary_of(*model.file);
    CHECK(v.tokens.size() == 384);
    CHECK(v.types[9] == 1);
    CHECK(v.types[10] == 5);
}

TEST_CASE("inspect tells what a file is, and every reason why it cannot run") {
    const InspectReport good = inspect(*GgufFile::open(kNano));
    CHECK(good.usable());
    CHECK(good.mla);
    CHECK(good.dialect == "mainline llama.cpp");
    CHECK(good.k_bytes_per_token == 3 * 48 * 2);
    CHECK_THAT(to_text(good), ContainsSubstring("deepseek2.block_count = 3") &&
                                  ContainsSubstring("Keyhole can run this file.") &&
                                  ContainsSubstring("blk.2.attn_k_b.weight"));
    CHECK(to_text(good, false).find("blk.2.attn_k_b.weight") == std::string::npos);

    const Changed odd([](GgufImage& i) {
        i.tensor("blk.1.ffn_down_exps.weight").type = 139;
        i.erase_key("tokenizer.ggml.merges");
    });
    const InspectReport bad = inspect(*odd.file);
    CHECK(bad.problems.size() == 2);
    CHECK_THAT(to_text(bad), ContainsSubstring("has type IQ4_K") &&
                                 ContainsSubstring("tokenizer.ggml.merges") &&
                                 ContainsSubstring("cannot run"));
    const Changed other([](GgufImage& i) { i.set_string("general.architecture", "llama"); });
    CHECK_THAT(to_text(inspect(*other.file)), ContainsSubstring("architecture 'llama'"));
}
