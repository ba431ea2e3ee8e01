#include "runtime/model/model_config.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "runtime/error.h"
#include "runtime/model/gguf_types.h"

namespace runtime {
namespace {

// What GLM-4.7-Flash's config.json says, for keys that some converters leave out.
constexpr double kRopeTheta = 1e6;
constexpr double kRoutedScalingFactor = 1.8;

constexpr uint64_t kMaxLayers = 512;
constexpr uint64_t kMaxExperts = 4096;
constexpr uint64_t kMaxHeads = 4096;
constexpr int64_t kMaxWidth = 1 << 20;  // of any activation row but the logits
constexpr int64_t kMaxVocab = 1 << 24;
constexpr uint64_t kMaxContext = 1 << 26;

constexpr uint64_t kGatingSoftmax = 1;  // values of expert_gating_func
constexpr uint64_t kGatingSigmoid = 2;

constexpr const char* kWhatWorks =
    "Keyhole runs GLM-4.7-Flash: use one of its GGUF files (Q4_K_M, Q8_0, ...)";

// Reads one file's keys and tensor shapes into a ModelConfig. Shapes win; a key that contradicts a
// shape which the network's structure hangs on is refused, other keys are only compared and
// reported.
class Reader {
public:
    explicit Reader(const GgufFile& file) : file_(file) {}

    ModelConfig read() {
        architecture();
        layers();
        refuse_other_networks();
        widths();
        attention();
        feed_forward();
        router();
        scalars();
        names();
        return std::move(config_);
    }

private:
    using Shape = std::vector<int64_t>;  // GGUF order

    [[noreturn]] void fail(const std::string& what) const {
        throw ModelError("'" + printable(file_.path(), 400) + "': " + what);
    }

    void warn(std::string text) { config_.warnings.push_back(std::move(text)); }

    std::string key(std::string_view name) const {
        return config_.architecture + "." + std::string(name);
    }

    std::optional<uint64_t> number(std::string_view name) const { return file_.u64(key(name)); }

    uint64_t required(std::string_view name, uint64_t least, uint64_t most) const {
        const auto value = number(name);
        if (!value) {
            fail("key '" + key(name) + "' is missing; " + kWhatWorks);
        }
        if (*value < least || *value > most) {
            fail("key '" + key(name) + "' is " + std::to_string(*value) + ", expected " +
                 std::to_string(least) + " to " + std::to_string(most));
        }
        return *value;
    }

    static std::string block(int64_t layer, std::string_view name) {
        return "blk." + std::to_string(layer) + "." + std::string(name);
    }

    static std::string text(const Shape& shape) {
        std::string out = "{";
        for (size_t i = 0; i < shape.size(); i++) {
            out += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
        }
        return out + "}";
    }

    const Shape& shape(const std::string& name, size_t rank) const {
        const GgufTensor* tensor = file_.tensor(name);
        if (tensor == nullptr) {
            fail("tensor '" + name + "' is missing; " + kWhatWorks);
        }
        // A trailing dimension of 1 may be written or left out.
        if (tensor->ne.size() != rank &&
            !(tensor->ne.size() > rank && all_ones(tensor->ne, rank))) {
            fail("tensor '" + name + "' has shape " + text(tensor->ne) + ", expected " +
                 std::to_string(rank) + " dimensions");
        }
        return tensor->ne;
    }

    static bool all_ones(const Shape& shape, size_t from) {
        return std::all_of(shape.begin() + static_cast<int64_t>(from), shape.end(),
                           [](int64_t n) { return n == 1; });
    }

    int64_t width(const std::string& name,
                  size_t rank,
                  size_t dimension,
                  int64_t most = kMaxWidth) const {
        const int64_t n = shape(name, rank)[dimension];
        if (n < 1 || n > most) {
            fail("tensor '" + name + "' has shape " + text(shape(name, rank)) +
                 ", expected no more than " + std::to_string(most) + " in dimension " +
                 std::to_string(dimension));
        }
        return n;
    }

    // The key, if present, must say what the tensor says.
    void must_agree(std::string_view name, int64_t from_tensor, const std::string& tensor) const {
        const auto value = number(name);
        if (value && *value != static_cast<uint64_t>(from_tensor)) {
            fail("key '" + key(name) + "' is " + std::to_string(*value) + " but tensor '" + tensor +
                 "' says " + std::to_string(from_tensor) + "; the file is damaged");
        }
    }

    void should_agree(std::string_view name, int64_t from_tensor) {
        const auto value = number(name);
        if (value && *value != static_cast<uint64_t>(from_tensor)) {
            warn("key '" + key(name) + "' is " + std::to_string(*value) + "; the tensors say " +
                 std::to_string(from_tensor) + ", which is used");
        }
    }

    void architecture() {
        const auto name = file_.string("general.architecture");
        if (!name) {
            fail(std::string("key 'general.architecture' is missing; ") + kWhatWorks);
        }
        if (*name != "deepseek2" && *name != "glm4moelite") {
            std::string hint;
            if (*name == "glm4moe" || *name == "glm-dsa") {
                hint = *name == "glm4moe" ? " (GLM-4.5 / 4.6 / 4.7, larger relatives)"
                                          : " (GLM-5, a larger relative)";
            }
            fail("architecture '" + printable(*name) + "'" + hint +
                 ", expected 'deepseek2' or 'glm4moelite'; " + kWhatWorks);
        }
        config_.architecture = *name;
    }

    void layers() {
        const auto blocks = static_cast<int64_t>(required("block_count", 1, kMaxLayers));
        const uint64_t nextn = number("nextn_predict_layers").value_or(0);
        // The draft (MTP) layers stand behind the others and are set aside. Their own tensors tell
        // more surely than the key, which some files lack, and some count in block_count and some
        // do not.
        int64_t first_mtp = kMaxLayers + 1;
        int64_t last_mtp = -1;
        for (const GgufTensor& tensor : file_.tensors()) {
            const size_t at = tensor.name.find(".nextn.");
            if (at == std::string_view::npos || !tensor.name.starts_with("blk.")) {
                continue;
            }
            int64_t layer = 0;
            for (const char c : tensor.name.substr(4, at - 4)) {
                layer = c >= '0' && c <= '9' && layer <= static_cast<int64_t>(kMaxLayers)
                            ? layer * 10 + (c - '0')
                            : INT32_MAX;
            }
            first_mtp = std::min(first_mtp, layer);
            last_mtp = std::max(last_mtp, layer);
        }
        if (last_mtp >= 0) {
            if (file_.tensor(block(0, "attn_norm.weight")) == nullptr) {
                fail(
                    "holds only the draft (MTP) layer of a model, not the model; open the main "
                    "GGUF file instead");
            }
            if (first_mtp < 1 || first_mtp > blocks || last_mtp - first_mtp > blocks) {
                fail("tensors of a draft (MTP) layer stand in block " + std::to_string(first_mtp) +
                     " of " + std::to_string(blocks) +
                     ", expected behind the last; the file is damaged");
            }
            config_.n_layers = first_mtp;
            config_.n_mtp_layers = last_mtp - first_mtp + 1;
        } else {
            if (nextn >= static_cast<uint64_t>(blocks)) {
                fail("key '" + key("nextn_predict_layers") + "' is " + std::to_string(nextn) +
                     " of " + std::to_string(blocks) + " blocks, expected fewer");
            }
            config_.n_layers = blocks - static_cast<int64_t>(nextn);
            config_.n_mtp_layers = static_cast<int64_t>(nextn);
        }
        const int64_t behind = config_.n_layers + config_.n_mtp_layers;
        if (file_.tensor(block(behind, "attn_norm.weight")) != nullptr) {
            fail("key '" + key("block_count") + "' is " + std::to_string(blocks) +
                 ", but tensors of block " + std::to_string(behind) +
                 " are there too; the file is damaged");
        }
    }

    // Networks that share the architecture name but compute something else.
    void refuse_other_networks() const {
        const std::string first = "blk.0.";
        if (file_.tensor(first + "attn_q.weight") != nullptr &&
            file_.tensor(first + "attn_q_a.weight") == nullptr) {
            fail(
                "tensor 'blk.0.attn_q.weight' means queries without a low-rank step, as in "
                "DeepSeek-V2-Lite; " +
                std::string(kWhatWorks));
        }
        if (file_.tensor(first + "attn_k.weight") != nullptr) {
            fail(
                "tensor 'blk.0.attn_k.weight' means ordinary attention, expected multi-head latent "
                "attention; " +
                std::string(kWhatWorks));
        }
        for (const char* name : {"expert_group_count", "expert_group_used_count"}) {
            const auto groups = number(name);
            if (groups && *groups > 1) {
                fail("key '" + key(name) + "' is " + std::to_string(*groups) +
                     ", as in DeepSeek-V2 and V3; Keyhole routes without expert groups; " +
                     kWhatWorks);
            }
        }
        const auto scaling = file_.string(key("rope.scaling.type"));
        if (scaling && !scaling->empty() && *scaling != "none") {
            fail("key '" + key("rope.scaling.type") + "' is '" + printable(*scaling) +
                 "', expected none: GLM-4.7-Flash does not scale its rotary positions; " +
                 kWhatWorks);
        }
        const auto factor = file_.f64(key("rope.scaling.factor"));
        if (factor && *factor != 1 && *factor != 0) {
            fail("key '" + key("rope.scaling.factor") + "' is " + std::to_string(*factor) +
                 ", expected 1; " + kWhatWorks);
        }
        for (const char* name : {"attention.temperature_scale", "attention.sliding_window",
                                 "attn_logit_softcapping", "final_logit_softcapping"}) {
            const auto value = file_.f64(key(name));
            if (value && *value != 0) {
                fail("key '" + key(name) +
                     "' changes the network in a way Keyhole does not compute; " + kWhatWorks);
            }
        }
        for (const GgufTensor& tensor : file_.tensors()) {
            if (tensor.name.starts_with("blk.0.attn_") && tensor.name.ends_with(".bias")) {
                fail("tensor '" + printable(tensor.name) +
                     "' is a bias that GLM-4.7-Flash does not have; " + kWhatWorks);
            }
        }
    }

    void widths() {
        config_.hidden = width("token_embd.weight", 2, 0);
        config_.vocab = width("token_embd.weight", 2, 1, kMaxVocab);
        must_agree("embedding_length", config_.hidden, "token_embd.weight");
        if (file_.tensor("output.weight") != nullptr) {
            const int64_t rows = width("output.weight", 2, 1, kMaxVocab);
            if (rows != config_.vocab) {
                fail("tensor 'output.weight' has " + std::to_string(rows) +
                     " rows, 'token_embd.weight' " + std::to_string(config_.vocab) +
                     "; the file is damaged");
            }
        } else {
            warn(
                "tensor 'output.weight' is missing; the embedding serves as head, as llama.cpp "
                "does");
        }
        should_agree("vocab_size", config_.vocab);
    }

    // Head sizes come from shapes: the keys key_length, value_length and their _mla forms mean
    // different things in the four dialects in use (mainline; Ollama's first, unsplit; Ollama's
    // second, swapped; ik_llama.cpp's, two-dimensional).
    void attention() {
        ModelConfig& c = config_;
        c.n_heads = static_cast<int64_t>(required("attention.head_count", 1, kMaxHeads));
        c.q_lora_rank = width("blk.0.attn_q_a.weight", 2, 1);
        c.kv_lora_rank = width("blk.0.attn_kv_a_norm.weight", 1, 0);
        c.qk_rope_head_dim = width("blk.0.attn_kv_a_mqa.weight", 2, 1) - c.kv_lora_rank;
        must_agree("attention.q_lora_rank", c.q_lora_rank, "blk.0.attn_q_a.weight");
        must_agree("attention.kv_lora_rank", c.kv_lora_rank, "blk.0.attn_kv_a_norm.weight");
        if (c.qk_rope_head_dim < 2 || c.qk_rope_head_dim % 2 != 0) {
            fail("tensor 'blk.0.attn_kv_a_mqa.weight' has " +
                 std::to_string(c.qk_rope_head_dim + c.kv_lora_rank) + " rows for a latent of " +
                 std::to_string(c.kv_lora_rank) +
                 "; the rest is the rotary part, expected an even number of at least 2");
        }
        must_agree("rope.dimension_count", c.qk_rope_head_dim, "blk.0.attn_kv_a_mqa.weight");
        if (c.kv_lora_rank == 1024 && c.hidden == 2048 && c.vocab > 150000) {
            fail(
                "a merge with doubled latent (1024, expected 512), which no engine runs well; use "
                "GLM-4.7-Flash itself");
        }

        const int64_t q_rows = width("blk.0.attn_q_b.weight", 2, 1);
        if (q_rows % c.n_heads != 0 || q_rows / c.n_heads <= c.qk_rope_head_dim) {
            fail("tensor 'blk.0.attn_q_b.weight' has " + std::to_string(q_rows) +
                 " rows, expected " + std::to_string(c.n_heads) + " heads of more than " +
                 std::to_string(c.qk_rope_head_dim) + " (the rotary part) each");
        }
        c.qk_nope_head_dim = q_rows / c.n_heads - c.qk_rope_head_dim;
        if (file_.tensor("blk.0.attn_v_b.weight") != nullptr) {
            const Shape& v = file_.tensor("blk.0.attn_v_b.weight")->ne;
            const int64_t rows = v.size() >= 2 ? v[1] * (v.size() > 2 ? v[2] : 1) : 0;
            c.v_head_dim = head_size("blk.0.attn_v_b.weight", rows);
        } else {
            const int64_t rows = width("blk.0.attn_kv_b.weight", 2, 1);
            c.v_head_dim = head_size("blk.0.attn_kv_b.weight", rows) - c.qk_nope_head_dim;
            if (c.v_head_dim < 1) {
                fail("tensor 'blk.0.attn_kv_b.weight' has " + std::to_string(rows) +
                     " rows, expected " + std::to_string(c.n_heads) + " heads of more than " +
                     std::to_string(c.qk_nope_head_dim));
            }
            warn(
                "one unsplit attn_kv_b a layer (an early Ollama file); its key half is transposed "
                "while loading");
        }
        if (c.v_head_dim > kMaxWidth / c.n_heads) {
            fail("the value heads are " + std::to_string(c.v_head_dim) +
                 " wide; the file is damaged");
        }
        const auto swapped = number("attention.key_length_mla");
        if (c.architecture == "glm4moelite" && swapped &&
            *swapped == static_cast<uint64_t>(c.k_row_elements())) {
            warn("head sizes under swapped names (an Ollama file); the tensors are used");
        }
    }

    int64_t head_size(const std::string& name, int64_t rows) const {
        if (rows < 1 || rows > kMaxWidth * 16 || rows % config_.n_heads != 0) {
            fail("tensor '" + name + "' has shape " + text(file_.tensor(name)->ne) +
                 ", expected rows for " + std::to_string(config_.n_heads) + " heads");
        }
        return rows / config_.n_heads;
    }

    void feed_forward() {
        ModelConfig& c = config_;
        while (c.n_dense_layers < c.n_layers &&
               file_.tensor(block(c.n_dense_layers, "ffn_gate_inp.weight")) == nullptr &&
               file_.tensor(block(c.n_dense_layers, "ffn_gate.weight")) != nullptr) {
            c.n_dense_layers++;
        }
        const auto dense_key = number("leading_dense_block_count");
        if (dense_key && *dense_key != static_cast<uint64_t>(c.n_dense_layers)) {
            fail("key '" + key("leading_dense_block_count") + "' is " + std::to_string(*dense_key) +
                 " but the first " + std::to_string(c.n_dense_layers) + " of " +
                 std::to_string(c.n_layers) +
                 " blocks have a dense feed-forward part; the file is damaged");
        }
        if (c.n_dense_layers > 0) {
            c.dense_ff = width("blk.0.ffn_gate.weight", 2, 1);
            should_agree("feed_forward_length", c.dense_ff);
        }
        if (c.n_dense_layers == c.n_layers) {
            return;
        }
        const int64_t layer = c.n_dense_layers;
        const std::string router = block(layer, "ffn_gate_inp.weight");
        c.n_experts = width(router, 2, 1, kMaxExperts);
        must_agree("expert_count", c.n_experts, router);
        const std::string fused = block(layer, "ffn_gate_up_exps.weight");
        if (file_.tensor(fused) != nullptr) {
            const int64_t rows = width(fused, 3, 1);
            if (rows % 2 != 0) {
                fail("tensor '" + fused + "' has " + std::to_string(rows) +
                     " rows, expected gate and up of one width");
            }
            c.expert_ff = rows / 2;
        } else {
            c.expert_ff = width(block(layer, "ffn_gate_exps.weight"), 3, 1);
        }
        should_agree("expert_feed_forward_length", c.expert_ff);
        const std::string shared = block(layer, "ffn_gate_shexp.weight");
        if (file_.tensor(shared) != nullptr) {
            c.shared_ff = width(shared, 2, 1);
        } else if (number("expert_shared_count").value_or(0) > 0) {
            fail("tensor '" + shared + "' is missing, though key '" + key("expert_shared_count") +
                 "' promises it; " + kWhatWorks);
        }
        c.n_experts_used = static_cast<int64_t>(
            required("expert_used_count", 1, static_cast<uint64_t>(c.n_experts)));
    }

    void router() {
        if (config_.n_experts == 0) {
            return;
        }
        const std::string bias = block(config_.n_dense_layers, "exp_probs_b.bias");
        const bool has_bias = file_.tensor(bias) != nullptr ||
                              file_.tensor(block(config_.n_dense_layers, "exp_probs_b")) != nullptr;
        const auto gating = number("expert_gating_func");
        if (gating && *gating == kGatingSoftmax) {
            // GLM's routers come with a selection bias; one without is a genuine softmax router
            // (DeepSeek-V2).
            if (!has_bias) {
                fail("key '" + key("expert_gating_func") + "' is 1 (softmax) and tensor '" + bias +
                     "' is missing, as in DeepSeek-V2; " + kWhatWorks);
            }
            warn("key '" + key("expert_gating_func") +
                 "' says softmax; GLM-4.7-Flash gates by sigmoid, which is used. A file from "
                 "before 21 January 2026: "
                 "download a newer one for better answers");
        } else if (gating && *gating != kGatingSigmoid && *gating != 0) {
            fail("key '" + key("expert_gating_func") + "' is " + std::to_string(*gating) +
                 ", expected 2 (sigmoid); " + kWhatWorks);
        } else if (!gating || *gating == 0) {
            warn("key '" + key("expert_gating_func") +
                 "' is missing (a file from before 21 January 2026); sigmoid is used");
        }
        if (!has_bias) {
            warn("tensor '" + bias + "' is missing; experts are chosen without it");
        }
        const auto scale = file_.f64(key("expert_weights_scale"));
        config_.expert_weights_scale = static_cast<float>(scale.value_or(kRoutedScalingFactor));
        if (!std::isfinite(config_.expert_weights_scale) || config_.expert_weights_scale <= 0) {
            fail("key '" + key("expert_weights_scale") + "' is " + std::to_string(*scale) +
                 ", expected a number above 0");
        }
        if (!scale) {
            warn("key '" + key("expert_weights_scale") +
                 "' is missing; GLM-4.7-Flash's 1.8 is used");
        }
        const auto norm = file_.boolean(key("expert_weights_norm"));
        config_.expert_weights_norm = norm.value_or(true);
        if (!norm) {
            warn("key '" + key("expert_weights_norm") +
                 "' is missing; expert weights are normalised, as in GLM-4.7-Flash");
        }
    }

    void scalars() {
        config_.context_length = static_cast<int64_t>(required("context_length", 1, kMaxContext));
        const auto eps = file_.f64(key("attention.layer_norm_rms_epsilon"));
        if (!eps) {
            fail("key '" + key("attention.layer_norm_rms_epsilon") + "' is missing; " + kWhatWorks);
        }
        config_.rms_norm_eps = static_cast<float>(*eps);
        if (!(config_.rms_norm_eps > 0 && config_.rms_norm_eps < 1)) {
            fail("key '" + key("attention.layer_norm_rms_epsilon") + "' is " +
                 std::to_string(*eps) + ", expected between 0 and 1");
        }
        const auto theta = file_.f64(key("rope.freq_base"));
        config_.rope_freq_base = static_cast<float>(theta.value_or(kRopeTheta));
        if (!std::isfinite(config_.rope_freq_base) || config_.rope_freq_base < 1) {
            fail("key '" + key("rope.freq_base") + "' is " + std::to_string(*theta) +
                 ", expected a number of at least 1");
        }
        if (!theta) {
            warn("key '" + key("rope.freq_base") + "' is missing; GLM-4.7-Flash's 1000000 is used");
        }
    }

    void names() {
        const auto name = file_.string("general.name");
        const std::string& path = file_.path();
        const std::string_view file_name =
            std::string_view(path).substr(path.find_last_of('/') + 1);
        config_.name = printable(name && !name->empty() ? *name : file_name, 200);
        config_.description = printable(file_.string("general.description").value_or(""), 2000);
        config_.file_type = file_type_name(file_.u64("general.file_type").value_or(UINT64_MAX));
        if (config_.file_type.empty()) {
            std::map<std::string, uint64_t> bytes;
            for (const GgufTensor& tensor : file_.tensors()) {
                bytes[tensor.type_name] += tensor.bytes;
            }
            const auto most = std::max_element(
                bytes.begin(), bytes.end(), [](auto& a, auto& b) { return a.second < b.second; });
            config_.file_type = most->first;
        }
    }

    const GgufFile& file_;
    ModelConfig config_;
};

}  // namespace

ModelConfig ModelConfig::from(const GgufFile& file) {
    return Reader(file).read();
}

float ModelConfig::attention_scale() const {
    return 1.0F / std::sqrt(static_cast<float>(qk_nope_head_dim + qk_rope_head_dim));
}

}  // namespace runtime
