// Whole forward passes of the golden models through the CUDA backend's own code, on the CPU
// execution: the greedy tokens of the float64 oracle, and logits as close as the CPU backend's
// (tolerances: tests/runtime/model_test.cpp).
#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/card_memory.h"
#include "kernels/check.h"
#include "kernels/simt/simt.h"
#include "runtime/engine/model_instance.h"
#include "tests/support/catch.h"
#include "tests/support/check_close.h"
#include "tests/support/golden_vectors.h"
#include "tests/support/model_runner.h"

using kernels::DType;
using tests::GoldenVectors;
using tests::ModelRunner;

namespace {

int64_t argmax(std::span<const float> row) {
    return std::max_element(row.begin(), row.end()) - row.begin();
}

// Greedy decoding from the prompt, as many tokens as `count`.
std::vector<int32_t> decode(const std::string& name,
                            kernels::KType cache,
                            size_t count,
                            std::vector<float>* first = nullptr) {
    const std::string base = TESTS_DIR "/golden/model/" + name;
    const GoldenVectors v(base + ".vec");
    ModelRunner runner(base + ".gguf", cache, 64, 4, kernels::make_cuda_backend());
    CHECK(runner.backend->description() == "CUDA, emulated CUDA device");
    ModelRunner::Sequence s;
    std::vector<float> logits = runner.run(s, v["prompt"].i32);
    if (first != nullptr) {
        *first = logits;
    }
    std::vector<int32_t> tokens;
    while (tokens.size() < count) {
        tokens.push_back(static_cast<int32_t>(argmax(std::span(logits).last(384))));
        logits = runner.run(s, {tokens.back()});
    }
    return tokens;
}

std::vector<int32_t> oracle(const std::string& name, size_t count) {
    std::vector<int32_t> greedy =
        GoldenVectors(TESTS_DIR "/golden/model/" + name + ".vec")["greedy"].i32;
    greedy.resize(count);
    return greedy;
}

}  // namespace

TEST_CASE("cuda model: greedy tokens are the oracle's, for every golden model") {
    // Where the access checker looks at each load, a few tokens must do.
    const size_t all = simt::cpu::checking() ? 2 : 32;
    CHECK(decode("nano-f32", DType::f16, all) == oracle("nano-f32", all));
    if (simt::cpu::checking()) {
        return;
    }
    CHECK(decode("nano-q8_0", DType::f16, all) == oracle("nano-q8_0", all));
    CHECK(decode("tiny-q4_k_m", DType::f16, all) == oracle("tiny-q4_k_m", all));
    CHECK(decode("tiny-q4_k_m", DType::q8_0, 8) == oracle("tiny-q4_k_m", 8));
    CHECK(decode("tiny-q4_k_m", kernels::KType::q8_latent(), 8) == oracle("tiny-q4_k_m", 8));
}

TEST_CASE("cuda model: with F32 weights and an f32 cache the logits are the oracle's") {
    if (simt::cpu::checking()) {
        return;
    }
    std::vector<float> logits;
    decode("nano-f32", DType::f32, 1, &logits);
    const GoldenVectors v(TESTS_DIR "/golden/model/nano-f32.vec");
    const auto& want = v["logits"].f32;
    CHECK(tests::difference(logits, std::span(want).first(logits.size()), {1e-3}, 384) == "");
}

TEST_CASE("cuda model: a token has the same bits alone and beside others") {
    if (simt::cpu::checking()) {
        return;
    }
    const std::string base = TESTS_DIR "/golden/model/nano-q8_0";
    const std::vector<int32_t> prompt = GoldenVectors(base + ".vec")["prompt"].i32;
    const std::vector<int32_t> head(prompt.begin(), prompt.begin() + 9),
        tail(prompt.begin() + 9, prompt.end());
    ModelRunner runner(base + ".gguf", DType::f16, 64, 8, kernels::make_cuda_backend());
    ModelRunner::Sequence whole, cut, other;
    const std::vector<float> once = runner.run(whole, prompt);
    runner.run(cut, head);
    const std::vector<float> later = runner.run({{&cut, tail}, {&other, head}});
    const auto part = std::span(once).subspan(head.size() * 384);
    CHECK(std::equal(part.begin(), part.end(), later.begin()));
}

TEST_CASE("cuda model: what was planned is what the device's account says, to the byte") {
    if (simt::cpu::checking()) {
        return;
    }
    const std::string path = TESTS_DIR "/golden/model/tiny-q4_k_m.gguf";
    const std::vector<int32_t> prompt =
        GoldenVectors(TESTS_DIR "/golden/model/tiny-q4_k_m.vec")["prompt"].i32;
    runtime::EngineOptions options;
    options.device = "cuda";
    options.vram_bytes = int64_t{700} << 20;
    options.ctx_size = 512;
    options.ubatch_tokens = 16;
    options.threads = 1;
    const auto file = runtime::GgufFile::open(path);
    std::vector<int32_t> greedy;
    for (const int64_t beside : {0, 1, 2, 100}) {
        options.cpu_moe_layers = beside;
        INFO(beside << " layers' experts on the CPU");
        const runtime::MemoryPlan plan = runtime::plan_for(*file, options);
        const runtime::ModelInstance instance = runtime::load_model(path, options);
        CHECK(instance.plan.devices[0].weights_bytes == plan.devices[0].weights_bytes);
        const auto& want = plan.devices[0];
        kernels::DeviceMemory now = instance.backend->memory();
        CHECK(now.weights_bytes == want.weights_bytes);
        CHECK(now.compute_bytes == want.compute_bytes);
        CHECK(instance.cache->reserve(plan.pool_pages));
        now = instance.backend->memory();
        CHECK(now.kv_bytes == want.kv_bytes);

        // A pass uses what was planned, and answers the same wherever the experts are.
        std::vector<int32_t> pages(static_cast<size_t>(plan.pool_pages));
        std::iota(pages.begin(), pages.end(), 0);
        runtime::Batch batch;
        const std::vector<int32_t> tokens(prompt.begin(),
                                          prompt.begin() + std::min<size_t>(16, prompt.size()));
        batch.token_ids = tokens;
        batch.spans.push_back({0, static_cast<int64_t>(tokens.size()), 0, pages});
        batch.logit_rows = {static_cast<int32_t>(tokens.size()) - 1};
        const auto logits = instance.model->forward(batch, *instance.cache);
        greedy.push_back(static_cast<int32_t>(argmax(logits)));
        now = instance.backend->memory();
        CHECK(now.compute_bytes == want.compute_bytes);
        CHECK(now.weights_bytes == want.weights_bytes);
    }
    CHECK(std::ranges::count(greedy, greedy[0]) == static_cast<int64_t>(greedy.size()));
}

TEST_CASE("cuda model: a card as small as --vram says refuses what does not fit on it") {
    const auto card = kernels::make_cuda_backend({0, kernels::kCardOverheadBytes + (1 << 20), {}});
    const kernels::Buffer first = card->allocate(1 << 19, kernels::MemoryUse::kv_cache);
    CHECK_THROWS_AS(card->allocate((1 << 19) + 1, kernels::MemoryUse::kv_cache),
                    kernels::DeviceError);
    CHECK_NOTHROW(card->allocate(1 << 19, kernels::MemoryUse::kv_cache));
}
