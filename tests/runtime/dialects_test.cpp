// The forms in which people have this model on disk: the golden model, rewritten into each, must
// compute the same bits.
#include <algorithm>
#include <cmath>
#include <functional>

#include "kernels/quants/quants.h"
#include "runtime/model/inspect.h"
#include "runtime/model/model.h"
#include "runtime/text/tokenizer.h"
#include "tests/support/catch.h"
#include "tests/support/check_close.h"
#include "tests/support/gguf_writer.h"
#include "tests/support/golden_vectors.h"
#include "tests/support/model_error.h"
#include "tests/support/model_runner.h"
#include "tests/support/temp_folder.h"

using namespace runtime;
using tests::GgufImage;
using tests::ModelRunner;

namespace {

const std::string kGolden = TESTS_DIR "/golden/model/";
constexpr int64_t kHeads = 4, kNope = 32, kValue = 32, kLatent = 32,
                  kLayers = 3;  // of the nano models

const std::vector<int32_t>& prompt() {
    static const std::vector<int32_t> tokens =
        tests::GoldenVectors(kGolden + "nano-f32.vec")["prompt"].i32;
    return tokens;
}

std::vector<float> logits_of(const std::string& path) {
    ModelRunner runner(path);
    ModelRunner::Sequence s;
    return runner.run(s, prompt());
}

// Logits of the golden model after a change of its file.
std::vector<float> logits_with(const std::function<void(GgufImage&)>& change,
                               uint32_t version = 3) {
    tests::TempFolder folder;
    GgufImage image = GgufImage::of(kGolden + "nano-f32.gguf");
    change(image);
    return logits_of(folder.write("model.gguf", image.bytes(version)));
}

ModelConfig config_with(const std::function<void(GgufImage&)>& change) {
    tests::TempFolder folder;
    GgufImage image = GgufImage::of(kGolden + "nano-f32.gguf");
    change(image);
    return ModelConfig::from(*GgufFile::open(folder.write("model.gguf", image.bytes())));
}

std::string layer(int64_t index, const std::string& name) {
    return "blk." + std::to_string(index) + "." + name;
}

std::vector<float> floats(const GgufImage::Tensor& t) {
    const auto dtype = kernels::dtype_from_ggml(t.type).value();
    uint64_t n = 1;
    for (const uint64_t d : t.ne) {
        n *= d;
    }
    std::vector<float> values(n);
    kernels::dequantize_row(dtype, t.data.data(), values.data(), static_cast<int64_t>(n));
    return values;
}

std::string packed(const std::vector<float>& values, kernels::DType type = kernels::DType::f32) {
    std::string data(
        static_cast<size_t>(kernels::row_bytes(type, static_cast<int64_t>(values.size()))), '\0');
    kernels::quantize_row(type, values.data(), data.data(), static_cast<int64_t>(values.size()));
    return data;
}

// k_b [H, L, N] and v_b [H, V, L] back into Hugging Face's kv_b [H * (N + V), L].
std::string joined_kv_b(GgufImage& image, int64_t index, kernels::DType type) {
    const std::vector<float> k = floats(image.tensor(layer(index, "attn_k_b.weight")));
    const std::vector<float> v = floats(image.tensor(layer(index, "attn_v_b.weight")));
    std::vector<float> out;
    for (int64_t h = 0; h < kHeads; h++) {
        for (int64_t n = 0; n < kNope; n++) {
            for (int64_t l = 0; l < kLatent; l++) {
                out.push_back(k[static_cast<size_t>((h * kLatent + l) * kNope + n)]);
            }
        }
        const auto* head = v.data() + h * kValue * kLatent;
        out.insert(out.end(), head, head + kValue * kLatent);
    }
    return packed(out, type);
}

void as_ollama(GgufImage& image) {
    image.rename_keys("deepseek2.", "glm4moelite.");
    image.set_string("general.architecture", "glm4moelite");
    image.set_u32("glm4moelite.attention.head_count_kv", 4);
    image.set_u32("glm4moelite.attention.key_length", 48);
    image.set_u32("glm4moelite.attention.value_length", 32);
    image.erase_key("glm4moelite.attention.key_length_mla");
    image.erase_key("glm4moelite.attention.value_length_mla");
    image.erase_key("glm4moelite.expert_group_count");
    image.erase_key("tokenizer.ggml.pre");
    image.erase_key("tokenizer.ggml.eos_token_id");
    image.erase_key("tokenizer.ggml.eot_token_id");
    image.erase_key("tokenizer.ggml.eom_token_id");
    image.set_u32_array("tokenizer.ggml.eos_token_ids", {324, 331, 333});
}

void unsplit(GgufImage& image, kernels::DType type = kernels::DType::f32) {
    for (int64_t i = 0; i < kLayers; i++) {
        const std::string data = joined_kv_b(image, i, type);
        image.tensor(layer(i, "attn_k_b.weight")) = {layer(i, "attn_kv_b.weight"),
                                                     {kLatent, kHeads * (kNope + kValue)},
                                                     kernels::info(type).ggml_id,
                                                     data};
        image.erase_tensor(layer(i, "attn_v_b.weight"));
    }
}

void append_mtp(GgufImage& image) {
    const std::vector<GgufImage::Tensor> tensors = image.tensors;
    for (GgufImage::Tensor t : tensors) {
        if (t.name.starts_with("blk.2.")) {
            t.name = "blk.3." + t.name.substr(6);
            image.tensors.push_back(t);
        }
    }
    image.tensors.push_back(
        {"blk.3.nextn.eh_proj.weight", {128, 64}, 0, std::string(128 * 64 * 4, '\0')});
    for (const char* name : {"enorm", "hnorm", "shared_head_norm"}) {
        image.tensors.push_back(
            {"blk.3.nextn." + std::string(name) + ".weight", {64}, 0, std::string(256, '\0')});
    }
    image.set_u32("deepseek2.block_count", 4);
    image.set_u32("deepseek2.nextn_predict_layers", 1);
}

// Another number of experts: the first `n`, or the last one repeated with a bias that keeps it from
// being chosen.
void with_experts(GgufImage& image, uint64_t n) {
    for (int64_t i = 1; i < kLayers; i++) {
        for (const char* name :
             {"ffn_gate_exps.weight", "ffn_up_exps.weight", "ffn_down_exps.weight",
              "ffn_gate_inp.weight", "exp_probs_b.bias"}) {
            GgufImage::Tensor& t = image.tensor(layer(i, name));
            const size_t each = t.data.size() / t.ne.back();
            const std::string last = t.data.substr(t.data.size() - each);
            t.data.resize(std::min<size_t>(t.data.size(), n * each));
            while (t.data.size() < n * each) {
                t.data += std::string(name) == "exp_probs_b.bias" ? GgufImage::pack(-100.0F) : last;
            }
            t.ne.back() = n;
        }
    }
    image.set_u32("deepseek2.expert_count", static_cast<uint32_t>(n));
}

}  // namespace

TEST_CASE("every dialect of the golden model computes the same bits") {
    const std::vector<float> golden = logits_of(kGolden + "nano-f32.gguf");
    SECTION("A, rewritten unchanged") {
        CHECK(logits_with([](GgufImage&) {}) == golden);
    }
    SECTION("A, as GGUF version 2") {
        CHECK(logits_with([](GgufImage&) {}, 2) == golden);
    }
    SECTION("B: Ollama's first, kv_b unsplit") {
        CHECK(logits_with([](GgufImage& i) { as_ollama(i), unsplit(i); }) == golden);
    }
    SECTION("C: Ollama's second, head sizes under swapped names") {
        CHECK(logits_with([](GgufImage& i) {
                  as_ollama(i);
                  i.set_u32("glm4moelite.attention.key_length_mla", 48);
                  i.set_u32("glm4moelite.attention.value_length_mla", 32);
              }) == golden);
    }
    SECTION("D: ik_llama.cpp's, all three tensors, k_b and v_b of two dimensions") {
        CHECK(logits_with([](GgufImage& i) {
                  for (int64_t l = 0; l < kLayers; l++) {
                      const std::string both = joined_kv_b(i, l, kernels::DType::f32);
                      i.tensor(layer(l, "attn_k_b.weight")).ne = {kNope, kLatent * kHeads};
                      i.tensor(layer(l, "attn_v_b.weight")).ne = {kLatent, kValue * kHeads};
                      i.tensors.push_back({layer(l, "attn_kv_b.weight"),
                                           {kLatent, kHeads * (kNope + kValue)},
                                           0,
                                           both});
                  }
                  i.set_u32("deepseek2.attention.head_count_kv", 4);
                  i.set_u32("deepseek2.attention.key_length", 48);
                  i.erase_key("deepseek2.attention.key_length_mla");
                  i.erase_key("deepseek2.attention.value_length_mla");
              }) == golden);
    }
    SECTION("gate and up projections of the experts fused, gate first") {
        CHECK(logits_with([](GgufImage& i) {
                  for (int64_t l = 1; l < kLayers; l++) {
                      GgufImage::Tensor& gate = i.tensor(layer(l, "ffn_gate_exps.weight"));
                      const GgufImage::Tensor& up = i.tensor(layer(l, "ffn_up_exps.weight"));
                      const size_t each = gate.data.size() / 8;
                      std::string fused;
                      for (size_t e = 0; e < 8; e++) {
                          fused +=
                              gate.data.substr(e * each, each) + up.data.substr(e * each, each);
                      }
                      gate = {layer(l, "ffn_gate_up_exps.weight"), {64, 64, 8}, 0, fused};
                      i.erase_tensor(layer(l, "ffn_up_exps.weight"));
                  }
              }) == golden);
    }
    SECTION("gating key missing, or softmax from the first days") {
        CHECK(logits_with([](GgufImage& i) { i.erase_key("deepseek2.expert_gating_func"); }) ==
              golden);
        CHECK(logits_with([](GgufImage& i) { i.set_u32("deepseek2.expert_gating_func", 1); }) ==
              golden);
    }
    SECTION("keys that older converters left out") {
        CHECK(logits_with([](GgufImage& i) {
                  for (const char* key :
                       {"expert_weights_scale", "expert_weights_norm", "rope.freq_base",
                        "expert_group_count", "expert_group_used_count", "vocab_size",
                        "attention.value_length"}) {
                      i.erase_key("deepseek2." + std::string(key));
                  }
              }) == golden);
    }
    SECTION("an MTP layer behind the others is set aside, however the keys count it") {
        CHECK(logits_with(append_mtp) == golden);
        CHECK(logits_with([](GgufImage& i) {
                  append_mtp(i), i.erase_key("deepseek2.nextn_predict_layers");
              }) == golden);
        CHECK(logits_with([](GgufImage& i) {
                  append_mtp(i), i.set_u32("deepseek2.block_count", 3);
              }) == golden);
        CHECK(logits_with([](GgufImage& i) {
                  i.set_u32("deepseek2.block_count", 4);
                  i.set_u32("deepseek2.nextn_predict_layers", 1);
              }) == golden);
        CHECK(config_with(append_mtp).n_mtp_layers == 1);
        CHECK(config_with(append_mtp).n_layers == 3);
    }
    SECTION("more experts, never chosen") {
        CHECK(logits_with([](GgufImage& i) { with_experts(i, 11); }) == golden);
    }
    SECTION("split in three parts") {
        tests::TempFolder folder;
        const auto parts = GgufImage::of(kGolden + "nano-f32.gguf").parts(3);
        for (size_t i = 0; i < 3; i++) {
            folder.write("m-0000" + std::to_string(i + 1) + "-of-00003.gguf", parts[i]);
        }
        CHECK(logits_of(folder.path("m-00002-of-00003.gguf")) == golden);
    }
}

TEST_CASE("fewer experts (REAP): those left out are as if never chosen") {
    const auto closed = logits_with([](GgufImage& i) {
        for (int64_t l = 1; l < kLayers; l++) {
            std::string& bias = i.tensor(layer(l, "exp_probs_b.bias")).data;
            bias.replace(24, 8, GgufImage::pack(-100.0F) + GgufImage::pack(-100.0F));
        }
    });
    CHECK(logits_with([](GgufImage& i) { with_experts(i, 6); }) == closed);
    CHECK(config_with([](GgufImage& i) { with_experts(i, 6); }).n_experts == 6);
}

TEST_CASE("without a head of its own the model uses its embedding") {
    const auto tied = logits_with([](GgufImage& i) { i.erase_tensor("output.weight"); });
    const auto copied = logits_with(
        [](GgufImage& i) { i.tensor("output.weight").data = i.tensor("token_embd.weight").data; });
    CHECK(tied == copied);
}

TEST_CASE(
    "an unsplit kv_b of 16-bit and 8-bit floats: keys are transposed without a visible loss") {
    const std::vector<float> golden = logits_of(kGolden + "nano-f32.gguf");
    // The same values in the split form, rounded the same way, are the reference.
    for (const auto type : {kernels::DType::bf16, kernels::DType::f16, kernels::DType::q8_0}) {
        INFO(kernels::name(type));
        const auto got = logits_with([&](GgufImage& i) { as_ollama(i), unsplit(i, type); });
        const auto want = logits_with([&](GgufImage& i) {
            GgufImage rounded = i;
            unsplit(rounded, type);
            for (int64_t l = 0; l < kLayers; l++) {
                const std::vector<float> both =
                    floats(rounded.tensor(layer(l, "attn_kv_b.weight")));
                std::vector<float> k, v;
                for (int64_t h = 0; h < kHeads; h++) {
                    const float* head = both.data() + h * (kNope + kValue) * kLatent;
                    for (int64_t r = 0; r < kLatent; r++) {
                        for (int64_t n = 0; n < kNope; n++) {
                            k.push_back(head[n * kLatent + r]);
                        }
                    }
                    v.insert(v.end(), head + kNope * kLatent, head + (kNope + kValue) * kLatent);
                }
                i.tensor(layer(l, "attn_k_b.weight")).data = packed(k);
                i.tensor(layer(l, "attn_v_b.weight")).data = packed(v);
            }
        });
        // What is left: products with 16-bit or 8-bit weights may round activations as well (F32
        // ones do not).
        const double tolerance = type == kernels::DType::q8_0   ? 0.15
                                 : type == kernels::DType::bf16 ? 0.05
                                                                : 0.01;
        CHECK(tests::difference(got, want, {tolerance, 0, 0.999}, 384) == "");
    }
    CHECK(golden.size() == 20 * 384);
}

TEST_CASE("norms, router and bias may be stored narrower and are widened exactly") {
    const auto each = [](GgufImage& image, const auto& change) {
        for (GgufImage::Tensor& t : image.tensors) {
            if (t.name.find("norm") != std::string::npos ||
                t.name.find("ffn_gate_inp") != std::string::npos ||
                t.name.find("exp_probs_b") != std::string::npos) {
                change(t);
            }
        }
    };
    const auto rounded = [](const GgufImage::Tensor& t) {
        return packed(floats(t), kernels::DType::bf16);
    };
    const auto narrow = logits_with([&](GgufImage& i) {
        each(i, [&](GgufImage::Tensor& t) {
            t.data = rounded(t);
            t.type = 30;
        });
    });
    const auto wide = logits_with([&](GgufImage& i) {
        each(i, [&](GgufImage::Tensor& t) {
            t.data = rounded(t);
            t.type = 30;
            t.data = packed(floats(t));
            t.type = 0;
        });
    });
    CHECK(narrow == wide);
}

TEST_CASE("Ollama's list of end tokens becomes the stop set, and the split rule is the model's") {
    tests::TempFolder folder;
    GgufImage image = GgufImage::of(kGolden + "nano-f32.gguf");
    as_ollama(image);
    const Vocabulary v = vocabulary_of(*GgufFile::open(folder.write("model.gguf", image.bytes())));
    CHECK(v.eos == 324);
    CHECK(v.eot == 331);
    CHECK(v.eom == 333);
    CHECK(v.more_eos == std::vector<TokenId>{324, 331, 333});
    CHECK(v.pre == "glm4");
    CHECK(Tokenizer(v).is_end_of_turn(331));
}

TEST_CASE("inspect names the dialect and the draft layer") {
    tests::TempFolder folder;
    const auto text = [&](const std::function<void(GgufImage&)>& change) {
        GgufImage image = GgufImage::of(kGolden + "nano-f32.gguf");
        change(image);
        return to_text(inspect(*GgufFile::open(folder.write("model.gguf", image.bytes()))));
    };
    CHECK_THAT(text([](GgufImage& i) { as_ollama(i), unsplit(i); }),
               ContainsSubstring("unsplit (early Ollama)"));
    CHECK_THAT(text(as_ollama), ContainsSubstring("dialect       Ollama"));
    CHECK_THAT(text(append_mtp), ContainsSubstring("1 MTP layer(s), set aside"));
}
