// Whole forward passes of the golden models through the CUDA backend's own code, on the CPU's
// execution layer or on the card: the greedy tokens of the float64 oracle, and logits as close as
// the CPU backend's (tolerances: tests/runtime/model_test.cpp).
#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/card_memory.h"
#include "kernels/check.h"
#include "kernels/cuda/card_check.h"
#include "kernels/cuda/device_emulated.h"
#include "runtime/engine/engine_thread.h"
#include "runtime/engine/model_instance.h"
#include "tests/kernels/cuda_support.h"
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
    CHECK(runner.backend->description().starts_with("CUDA, "));
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
    const size_t all = tests::small_shapes() ? 2 : 32;
    CHECK(decode("nano-f32", DType::f16, all) == oracle("nano-f32", all));
    if (tests::small_shapes()) {
        return;
    }
    CHECK(decode("nano-q8_0", DType::f16, 12) == oracle("nano-q8_0", 12));
    CHECK(decode("tiny-q4_k_m", DType::f16, all) == oracle("tiny-q4_k_m", all));
    CHECK(decode("tiny-q4_k_m", DType::q8_0, 8) == oracle("tiny-q4_k_m", 8));
    CHECK(decode("tiny-q4_k_m", kernels::KType::q8_latent(), 8) == oracle("tiny-q4_k_m", 8));
}

TEST_CASE("cuda model: with F32 weights and an f32 cache the logits are the oracle's") {
    if (tests::small_shapes()) {
        return;
    }
    std::vector<float> logits;
    decode("nano-f32", DType::f32, 1, &logits);
    const GoldenVectors v(TESTS_DIR "/golden/model/nano-f32.vec");
    const auto& want = v["logits"].f32;
    CHECK(tests::difference(logits, std::span(want).first(logits.size()), {1e-3}, 384) == "");
}

TEST_CASE("cuda model: a token has the same bits alone and beside others") {
    if (tests::small_shapes()) {
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
    if (tests::small_shapes()) {
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

TEST_CASE("cuda model: a pass is kept, and launched again on other inputs") {
    const auto card = kernels::make_cuda_backend();
    kernels::WorkShape shape;
    shape.n_tokens = 4;
    shape.n_sequences = 2;
    shape.context = 512;
    shape.hidden = 64;
    shape.n_heads = 2;
    shape.latent = 32;
    shape.rotary = 16;
    card->reserve_work(shape);
    std::vector<float> values(10 * 64);
    std::iota(values.begin(), values.end(), 0.0F);
    const kernels::TensorView host(values.data(), DType::f32, {10, 64});
    const kernels::TensorView table = card->keep_on_host(host);
    const kernels::Buffer memory = card->allocate(2 * 64 * 4, kernels::MemoryUse::compute);
    const kernels::TensorView out(memory.data(), DType::f32, {2, 64});

    const std::vector<int32_t> page_table = {0, 1, 0, 1, 0};
    std::byte* const pages[] = {memory.data(), memory.data()};
    int called = 0;
    const auto run = [&](std::vector<int32_t> ids, int64_t start) {
        const kernels::SequenceSpan span{0, 2, start, page_table};
        kernels::PassInputs inputs;
        inputs.batch = {{&span, 1}, 2};
        inputs.pages = {pages, 0, 96, DType::f16, 32, 16};
        inputs.ids = ids;
        inputs.table = table;
        inputs.owner = &called;
        card->pass(inputs, [&] {
            called++;
            card->embed(out, table, ids);
        });
        std::vector<float> got(2 * 64);
        card->download(got.data(), out);
        for (size_t i = 0; i < got.size(); i++) {
            if (got[i] != values[static_cast<size_t>(ids[i / 64]) * 64 + i % 64]) {
                return false;
            }
        }
        return true;
    };
    CHECK(run({3, 4}, 0));
    CHECK(run({5, 1}, 2));
    CHECK(called == 2);  // as it is, then kept
    CHECK(run({9, 0}, 4));
    CHECK(run({2, 8}, 70));
    CHECK(called == 2);
    const int64_t launched = card->launches();
    CHECK(run({7, 7}, 6));
    CHECK(card->launches() - launched == 1);
    CHECK(called == 2);
    CHECK(run({7, 6}, 300));  // more splits: another pass
    CHECK(called == 3);
    CHECK_THROWS(run({7, 10}, 0));
    CHECK(run({6, 7}, 0));
    CHECK(called == 3);
}

namespace {

// How many passes of `steps` and a few have other bits with kept passes than launch by launch,
// behind a prompt of `begin` tokens.
int unlike_kept(const std::string& name, size_t begin, int32_t steps) {
    const std::string path = TESTS_DIR "/golden/model/" + name + ".gguf";
    runtime::EngineOptions options;
    options.device = "cuda";
    options.vram_bytes = int64_t{700} << 20;
    options.ctx_size = 640;
    options.ubatch_tokens = 64;
    options.threads = 1;
    options.cpu_moe_layers = 0;
    options.cache_type = kernels::KType(DType::f16);
    const runtime::ModelInstance instance = runtime::load_model(path, options);
    REQUIRE(instance.cache->reserve(10));
    ModelRunner plain(path, DType::f16, 64, 10, kernels::make_cuda_backend());
    ModelRunner::Sequence one, two;
    // Two sequences beside each other, over the end of a page.
    std::vector<int32_t> tables[2];
    for (int32_t i = 0; i < 10; i++) {
        tables[i % 2].push_back(9 - i);
    }
    const auto forward = [&](const std::vector<std::vector<int32_t>>& tokens) {
        runtime::Batch batch;
        const int64_t starts[] = {one.length, two.length};
        std::vector<ModelRunner::Chunk> chunks;
        for (size_t s = 0; s < tokens.size(); s++) {
            const auto n = static_cast<int64_t>(tokens[s].size());
            batch.spans.push_back({batch.n_tokens(), n, starts[s], tables[s]});
            batch.token_ids.insert(batch.token_ids.end(), tokens[s].begin(), tokens[s].end());
            chunks.push_back({s == 0 ? &one : &two, tokens[s]});
        }
        for (int32_t i = 0; i < batch.n_tokens(); i++) {
            batch.logit_rows.push_back(i);
        }
        const auto got = instance.model->forward(batch, *instance.cache);
        const std::vector<float> want = plain.run(chunks);
        return std::ranges::equal(std::as_bytes(got), std::as_bytes(std::span(want)));
    };
    int unlike = 0;
    const auto step = [&](const std::vector<std::vector<int32_t>>& tokens) {
        unlike += forward(tokens) ? 0 : 1;
    };
    step({std::vector<int32_t>(begin, 17), {18}});
    for (int32_t i = 0; i < steps; i++) {
        step({{i + 3}, {2 * i + 1}});
        step({{i + 4}});
    }
    step({{5, 6, 7}, {8}});
    return unlike;
}

}  // namespace

TEST_CASE("cuda model: kept passes have the bits of launches one by one") {
    CHECK(unlike_kept("nano-q8_0", tests::small_shapes() ? 2 : 61, tests::small_shapes() ? 1 : 8) ==
          0);
    if (!tests::small_shapes()) {
        CHECK(unlike_kept("tiny-q4_k_m", 2, 2) == 0);
    }
}

TEST_CASE("cuda model: a card as small as --vram says refuses what does not fit on it") {
    const auto card = kernels::make_cuda_backend({0, kernels::kCardOverheadBytes + (1 << 20), {}});
    const kernels::Buffer first = card->allocate(1 << 19, kernels::MemoryUse::kv_cache);
    CHECK_THROWS_AS(card->allocate((1 << 19) + 1, kernels::MemoryUse::kv_cache),
                    kernels::DeviceError);
    CHECK_NOTHROW(card->allocate(1 << 19, kernels::MemoryUse::kv_cache));
}

#if !SIMT_GPU

TEST_CASE("cuda model: where a driver keeps no passes, launches go one by one") {
    kernels::cuda::emulated_trouble.no_recordings = true;
    CHECK(unlike_kept("nano-q8_0", 2, 2) == 0);
    kernels::cuda::emulated_trouble.no_recordings = false;
}

TEST_CASE("cuda model: of a card that is lost in mid-answer the CPU takes over") {
    if (simt::cpu::checking()) {
        return;  // the kernels are those of the tests above
    }
    const std::string base = TESTS_DIR "/golden/model/nano-f32";
    runtime::EngineOptions options;
    options.device = "cuda";
    options.vram_bytes = int64_t{700} << 20;
    options.ctx_size = 256;
    options.threads = 1;
    runtime::GenerationRequest request;
    request.prompt = GoldenVectors(base + ".vec")["prompt"].i32;
    request.max_tokens = 8;
    request.parse_reply = false;
    request.ignore_end_of_turn = true;
    request.sampling.temperature = 0;

    runtime::EngineThread engine;
    engine.load(base + ".gguf", options);
    REQUIRE(engine.wait_ready());
    CHECK(engine.memory().devices.at(0).name == "emulated CUDA device");
    struct Answer {
        std::vector<int32_t> tokens;
        std::string error;
    };
    const auto ask = [&](int64_t most) {
        request.max_tokens = most;
        Answer answer;
        const auto stream = engine.submit(request);
        for (int i = 0; i < 3000 && !stream->done(); i++) {
            if (const auto event = stream->next(std::chrono::milliseconds(20))) {
                answer.tokens.insert(answer.tokens.end(), event->tokens.begin(),
                                     event->tokens.end());
                answer.error += event->error;
                kernels::cuda::emulated_trouble.lost = most > 8;  // with the first words
            }
        }
        return answer;
    };
    const Answer before = ask(8);
    CHECK(before.error.empty());
    const Answer broken = ask(100);
    CHECK_THAT(broken.error, ContainsSubstring("the emulated device is lost; the CPU takes over"));
    CHECK(broken.tokens.size() < 100);
    REQUIRE(engine.wait_ready());
    CHECK(engine.memory().devices.at(0).name != "emulated CUDA device");
    CHECK(ask(8).tokens == before.tokens);
    kernels::cuda::emulated_trouble.lost = false;
}

#endif

TEST_CASE("cuda model: a card or driver that cannot be used is refused with what to do") {
    using kernels::cuda::card_is_usable;
    kernels::cuda::CardFacts good;
    good.driver = 12080;
    good.runtime = 12040;
    good.cards = 1;
    good.name = "NVIDIA RTX 4090";
    good.capability = good.built_for = 89;
    CHECK(card_is_usable(good));
    CHECK_FALSE(card_starts_early(good));
    const auto refusal = [](const kernels::cuda::CardFacts& facts) -> std::string {
        try {
            return card_is_usable(facts) ? "usable" : "not there";
        } catch (const kernels::DeviceError& error) {
            return error.what();
        }
    };
    kernels::cuda::CardFacts facts = good;
    facts.driver = 0;
    CHECK(refusal(facts) == "not there");
    facts = good;
    facts.cards = 0;
    CHECK(refusal(facts) == "not there");
    facts = good;
    facts.index = 1;
    CHECK(refusal(facts) == "not there");
    facts = good;
    facts.driver = 11040;
    facts.old_driver = true;
    CHECK(
        refusal(facts) ==
        "the NVIDIA driver supports CUDA 11.4, this program needs 12.4: update the driver, or use "
        "--device cpu");
    facts = good;
    facts.capability = 75;
    CHECK(refusal(facts) ==
          "NVIDIA RTX 4090 has compute capability 7.5, this program needs 8.0 or newer: use "
          "--device cpu");
    facts = good;
    facts.has_kernels = false;
    CHECK_THAT(refusal(facts),
               ContainsSubstring("built for other cards") && ContainsSubstring("--device cpu"));
    // Early starts: a card that can, code that waits, a driver that keeps them.
    facts = good;
    facts.capability = facts.built_for = 90;
    CHECK(card_starts_early(facts));
    facts.built_for = 80;
    CHECK_FALSE(card_starts_early(facts));
    facts.built_for = 90;
    facts.driver = 12020;
    CHECK_FALSE(card_starts_early(facts));
    facts.driver = 13000;
    facts.capability = 120;
    CHECK(card_starts_early(facts));
}
