#include "runtime/engine/engine_thread.h"

#include <algorithm>
#include <atomic>
#include <random>
#include <thread>

#include "runtime/engine/direct_run.h"
#include "runtime/engine/model_instance.h"
#include "runtime/log.h"
#include "tests/runtime/toy_engine.h"
#include "tests/support/catch.h"

using runtime::EngineOptions;
using runtime::EngineStatus;
using runtime::EngineThread;
using runtime::FinishReason;
using runtime::GenerationEvent;
using runtime::GenerationRequest;
using runtime::RequestError;
using runtime::TokenId;
using tests::kNano;
using tests::Reply;

namespace {

EngineOptions two_threads() {
    EngineOptions o;
    o.threads = 2;
    return o;
}

std::vector<TokenId> tokens_of(uint32_t seed, size_t n) {
    std::mt19937 rng(seed);
    std::vector<TokenId> tokens(n);
    for (TokenId& t : tokens) {
        t = static_cast<TokenId>(rng() % 256);
    }
    return tokens;
}

GenerationRequest request_of(std::vector<TokenId> prompt,
                             int64_t max_tokens,
                             std::optional<uint64_t> seed = std::nullopt) {
    GenerationRequest r;
    r.prompt = std::move(prompt);
    r.max_tokens = max_tokens;
    r.parse_reply = false;
    r.ignore_end_of_turn = true;
    r.sampling.temperature = seed ? 1.0F : 0.0F;
    r.sampling.seed = seed;
    return r;
}

Reply read_all(runtime::GenerationStream& stream) {
    Reply reply;
    for (int i = 0; i < 3000 && !stream.done(); i++) {
        if (const auto event = stream.next(std::chrono::milliseconds(20))) {
            reply.take(*event);
        }
    }
    return reply;
}

Reply generate(EngineThread& engine, const GenerationRequest& request) {
    return read_all(*engine.submit(request));
}

RequestError::Kind refusal(EngineThread& engine, const GenerationRequest& request) {
    try {
        (void)engine.submit(request);
    } catch (const RequestError& e) {
        return e.kind;
    }
    FAIL("the request was taken");
    return RequestError::Kind::invalid;
}

void check_sums(const runtime::MemorySnapshot& m) {
    const auto& kv = m.kv_cache;
    REQUIRE(kv.v_bytes == 0);
    REQUIRE(kv.pages_used + kv.pages_cached <= kv.pages_reserved);
    REQUIRE(kv.pages_reserved <= kv.pages_limit);
    REQUIRE(kv.pages_shared <= kv.pages_used);
    if (!m.loaded) {
        REQUIRE(m.devices.empty());
        return;
    }
    REQUIRE(m.devices.size() == 1);
    const auto& d = m.devices[0];
    REQUIRE(d.weights_bytes + d.kv_reserved_bytes + d.compute_bytes + d.other_bytes +
                d.free_bytes ==
            d.total_bytes);
    REQUIRE(d.other_bytes >= 0);
    REQUIRE(d.free_bytes >= 0);
    REQUIRE(d.weights_bytes > 0);
    REQUIRE(d.kv_used_bytes == kv.pages_used * kv.page_tokens * kv.bytes_per_token);
    REQUIRE(d.kv_reserved_bytes == kv.pages_reserved * kv.page_tokens * kv.bytes_per_token);
    REQUIRE(d.kv_limit_bytes == kv.pages_limit * kv.page_tokens * kv.bytes_per_token);
    int64_t held = 0;
    for (const auto& s : m.sequences) {
        REQUIRE(s.pages * 64 <= m.ctx_size + 63);
        REQUIRE(s.owner == "window");
        held += s.pages;
    }
    REQUIRE(held >= kv.pages_used);
}

}  // namespace

TEST_CASE("eight concurrent streams give their one-at-a-time text, greedy and with seeds") {
    std::vector<GenerationRequest> requests;
    for (uint32_t i = 0; i < 8; i++) {
        requests.push_back(request_of(tokens_of(i, 5 + 40 * i), 40,
                                      i % 2 == 0 ? std::nullopt : std::optional<uint64_t>(i)));
    }
    std::vector<Reply> alone;
    {
        EngineThread engine;
        engine.load(kNano, two_threads());
        REQUIRE(engine.wait_ready());
        for (const auto& r : requests) {
            alone.push_back(generate(engine, r));
            REQUIRE(alone.back().finished(FinishReason::length));
            REQUIRE(alone.back().tokens.size() == 40);
        }
    }
    EngineThread engine;
    engine.load(kNano, two_threads());
    REQUIRE(engine.wait_ready());
    std::vector<Reply> together(8);
    std::vector<std::thread> readers;
    for (size_t i = 0; i < 8; i++) {
        readers.emplace_back([&, i] { together[i] = generate(engine, requests[i]); });
    }
    // Meanwhile the memory is read at any moment.
    std::atomic<bool> done{false};
    int64_t polls = 0;
    std::thread gauge([&] {
        while (!done) {
            check_sums(engine.memory());
            (void)engine.counters();
            polls++;
            std::this_thread::sleep_for(std::chrono::microseconds(200));
        }
    });
    for (std::thread& t : readers) {
        t.join();
    }
    done = true;
    gauge.join();
    CHECK(polls > 0);
    for (size_t i = 0; i < 8; i++) {
        INFO("request " << i);
        CHECK(together[i].finished(FinishReason::length));
        CHECK(together[i].tokens == alone[i].tokens);
        CHECK(together[i].content == alone[i].content);
    }
    CHECK(engine.counters().finished == 8);
}

TEST_CASE("a shared prefix of 1,000 tokens is read once, and the second text is right") {
    auto prefix = tokens_of(50, 1000);
    auto a = prefix, b = prefix;
    a.push_back(1);
    b.insert(b.end(), {2, 3});
    EngineThread fresh;
    fresh.load(kNano, two_threads());
    REQUIRE(fresh.wait_ready());
    const Reply want = generate(fresh, request_of(b, 20));
    EngineThread engine;
    engine.load(kNano, two_threads());
    REQUIRE(engine.wait_ready());
    (void)generate(engine, request_of(a, 4));
    const auto before = engine.counters();
    const Reply got = generate(engine, request_of(b, 20));
    CHECK(got.end->usage.cached_tokens == 1000);
    CHECK(engine.counters().prompt_tokens_computed - before.prompt_tokens_computed == 2);
    CHECK(engine.counters().prefix_cache_hit_tokens - before.prefix_cache_hit_tokens == 1000);
    CHECK(got.tokens == want.tokens);
}

TEST_CASE("after any number of common tokens the text is what it is without a cache") {
    std::mt19937 rng(8);
    for (const kernels::DType type : {kernels::DType::f16, kernels::DType::f32}) {
        runtime::EngineOptions options = two_threads();
        options.cache_type = kernels::KType(type);
        EngineThread engine, fresh;
        engine.load(kNano, options);
        REQUIRE(engine.wait_ready());
        fresh.load(kNano, options);
        REQUIRE(fresh.wait_ready());
        auto chat = tokens_of(51, 90);
        for (int turn = 0; turn < 8; turn++) {
            const auto before = engine.counters();
            auto request = request_of(chat, 12);
            request.ignore_end_of_turn = true;
            const Reply got = generate(engine, request);
            CAPTURE(turn, chat.size());
            CHECK(engine.counters().prompt_tokens_computed - before.prompt_tokens_computed ==
                  chat.size() - static_cast<size_t>(got.end->usage.cached_tokens));
            // The other one has read something else meanwhile, and nothing of this chat.
            const auto other = engine.counters().steps + 1000;
            for (int i = 0; i < 3; i++) {
                (void)generate(
                    fresh,
                    request_of(tokens_of(static_cast<uint32_t>(other) + rng() % 999, 50), 1));
            }
            auto scored = request;
            scored.prompt_logprobs = 0;  // every token of it is computed
            const Reply want = generate(fresh, scored);
            CHECK(want.end->usage.cached_tokens == 0);
            CHECK(got.tokens == want.tokens);
            if (turn > 0) {
                CHECK(got.end->usage.cached_tokens > 0);
            }
            // The next turn keeps a random part of this one and goes on.
            chat.insert(chat.end(), got.tokens.begin(), got.tokens.end());
            chat.resize(chat.size() - rng() % 40);
            const auto more = tokens_of(static_cast<uint32_t>(60 + turn), 1 + rng() % 70);
            chat.insert(chat.end(), more.begin(), more.end());
        }
    }
}

TEST_CASE(
    "DirectRun: sequences in step have the logits of one alone; its work is that of the file") {
    EngineOptions options = two_threads();
    options.ctx_size = 3 * 128;
    runtime::DirectRun one(kNano, options), three(kNano, options, 3);
    const std::vector<TokenId> tokens = tokens_of(5, 3 * 90);
    const auto vocab = static_cast<size_t>(one.model().config.vocab);
    const auto part_of = [&](size_t s, size_t begin, size_t n) {
        return std::span(tokens).subspan(s * 90 + begin, n);
    };
    std::vector<float> got;
    for (size_t begin = 0, n = 64; begin < 90; begin += n, n = 1) {
        std::vector<TokenId> all;
        for (size_t s = 0; s < 3; s++) {
            all.insert(all.end(), part_of(s, begin, n).begin(), part_of(s, begin, n).end());
        }
        const auto logits = three.forward(all);
        REQUIRE(logits.size() == 3 * vocab);
        got.insert(got.end(), logits.begin(), logits.end());
    }
    for (size_t s = 0; s < 3; s++) {
        one.reset();
        size_t step = 0;
        for (size_t begin = 0, n = 64; begin < 90; begin += n, n = 1, step++) {
            const auto logits = one.forward(part_of(s, begin, n));
            REQUIRE(std::equal(logits.begin(), logits.end(),
                               got.begin() + static_cast<std::ptrdiff_t>((3 * step + s) * vocab)));
        }
    }
    CHECK_THROWS_AS(three.forward(tokens), RequestError);  // 128 each

    const auto file = runtime::GgufFile::open(kNano);
    const runtime::ModelConfig& config = one.model().config;
    double experts = 0, rest = 0;
    for (const runtime::GgufTensor& tensor : file->tensors()) {
        if (tensor.name.find("_exps.") != std::string_view::npos) {
            experts += static_cast<double>(tensor.bytes);
        } else if (tensor.ne.size() >= 2 && tensor.name != "token_embd.weight") {
            rest += static_cast<double>(tensor.bytes);
        }
    }
    const double share =
        static_cast<double>(config.n_experts_used) / static_cast<double>(config.n_experts);
    REQUIRE(experts > 0);
    CHECK(one.work(0, 1).weight_bytes == Approx(rest + share * experts));
    CHECK(one.work(0, 1000).weight_bytes == Approx(rest + experts));
    CHECK(one.work(99, 2).k_bytes == 2 * 100 * one.bytes_per_token());
    CHECK(one.work(0, 1).multiply_adds >= one.work(0, 1).weight_bytes / 4);  // the file is F32
}

TEST_CASE("DirectRun and the engine agree, and all rows equal rows one by one") {
    runtime::DirectRun run(kNano, two_threads());
    std::vector<TokenId> tokens = tokens_of(3, 70);
    const auto all = run.forward(tokens, true);
    const auto vocab = static_cast<size_t>(run.model().config.vocab);
    REQUIRE(all.size() == 70 * vocab);
    const std::vector<float> rows(all.begin(), all.end());
    CHECK(run.position() == 70);
    run.reset();
    for (size_t i = 0; i < 70; i++) {
        const auto row = run.forward(std::span(tokens).subspan(i, 1));
        REQUIRE(std::equal(row.begin(), row.end(),
                           rows.begin() + static_cast<std::ptrdiff_t>(i * vocab)));
    }
    std::vector<TokenId> greedy;
    auto last = run.forward(std::vector<TokenId>{tokens[0]});
    run.reset();
    last = run.forward(tokens);
    for (int i = 0; i < 20; i++) {
        TokenId best = -1;
        for (size_t id = 0; id < last.size();
             id++) {  // the model may prefer a row that is no token
            const auto token = static_cast<TokenId>(id);
            if (run.model().tokenizer->can_be_sampled(token) &&
                (best < 0 || last[id] > last[static_cast<size_t>(best)])) {
                best = token;
            }
        }
        greedy.push_back(best);
        last = run.forward(std::span(&greedy.back(), 1));
    }
    EngineThread engine;
    engine.load(kNano, two_threads());
    REQUIRE(engine.wait_ready());
    CHECK(generate(engine, request_of(tokens, 20)).tokens == greedy);
    CHECK(run.kv_bytes() > 0);
    CHECK_THROWS_AS(run.forward(std::vector<TokenId>{-1}), RequestError);
    CHECK_THROWS_AS(run.forward({}), RequestError);
}

TEST_CASE("cancelling in the prompt ends the request soon, and frees its pages") {
    EngineThread engine;
    EngineOptions options = two_threads();
    options.ubatch_tokens = 16;
    engine.load(kNano, options);
    REQUIRE(engine.wait_ready());
    const auto length = static_cast<size_t>(engine.model()->ctx_size) - 10;
    auto stream = engine.submit(request_of(tokens_of(1, length), 5));
    Reply reply;
    while (reply.progress.empty()) {
        if (const auto event = stream->next(std::chrono::seconds(5))) {
            reply.take(*event);
        }
    }
    stream->cancel();
    const Reply rest = read_all(*stream);
    CHECK(rest.is(GenerationEvent::Kind::cancelled));
    CHECK(rest.end->prompt_done < static_cast<int64_t>(length));
    CHECK(generate(engine, request_of(tokens_of(2, 10), 3)).finished(FinishReason::length));
    CHECK(engine.counters().cancelled == 1);
}

TEST_CASE(
    "nothing loaded, a bad file, a plan that does not fit: refused with a reason, and the next "
    "load works") {
    EngineThread engine;
    CHECK(engine.status().state == EngineStatus::State::empty);
    CHECK(refusal(engine, request_of({1}, 1)) == RequestError::Kind::unavailable);
    engine.load("/nowhere/model.gguf", two_threads());
    CHECK_FALSE(engine.wait_ready());
    CHECK(engine.status().state == EngineStatus::State::failed);
    CHECK_THAT(engine.status().error, ContainsSubstring("/nowhere/model.gguf"));
    EngineOptions tiny_card = two_threads();
    tiny_card.vram_bytes = 100000;
    engine.load(kNano, tiny_card);
    CHECK_FALSE(engine.wait_ready());
    CHECK_THAT(engine.status().error, ContainsSubstring("needs"));
    EngineOptions no_card = two_threads();
    no_card.device = "tpu";
    engine.load(kNano, no_card);
    CHECK_FALSE(engine.wait_ready());
    CHECK_THAT(engine.status().error, ContainsSubstring("tpu"));
    CHECK(engine.model() == nullptr);
    check_sums(engine.memory());
    engine.load(kNano, two_threads());
    CHECK(engine.wait_ready());
    CHECK(engine.status().error.empty());
    REQUIRE(engine.model() != nullptr);
    CHECK_FALSE(engine.model()->is_demo);
    CHECK(refusal(engine, request_of({}, 1)) == RequestError::Kind::invalid);
    CHECK(refusal(engine, request_of({100000}, 1)) == RequestError::Kind::invalid);
    CHECK(refusal(engine,
                  request_of(std::vector<TokenId>(static_cast<size_t>(engine.model()->ctx_size), 1),
                             1)) == RequestError::Kind::too_long);
    CHECK(generate(engine, request_of({1, 2, 3}, 5)).finished(FinishReason::length));
}

TEST_CASE("a full queue refuses") {
    EngineThread engine;
    EngineOptions options = two_threads();
    options.parallel = 1;
    options.queue_limit = 2;
    engine.load(kNano, options);
    REQUIRE(engine.wait_ready());
    std::vector<std::unique_ptr<runtime::GenerationStream>> streams;
    for (uint32_t i = 0; i < 3; i++) {
        streams.push_back(engine.submit(request_of(tokens_of(i, 10), -1)));
    }
    CHECK(refusal(engine, request_of({1}, 1)) == RequestError::Kind::queue_full);
    streams.clear();  // cancels all
    for (int i = 0; i < 500 && engine.counters().cancelled < 3; i++) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    CHECK(engine.counters().cancelled == 3);
    CHECK(generate(engine, request_of({1}, 1)).finished(FinishReason::length));
}

TEST_CASE("loading another model fails running requests once, and works again") {
    std::atomic<int> wakes{0};
    EngineThread engine([&] { wakes++; });
    engine.load(kNano, two_threads());
    REQUIRE(engine.wait_ready());
    auto running = engine.submit(request_of(tokens_of(1, 10), -1));
    while (!running->next(std::chrono::seconds(5))) {
    }
    engine.load(kNano, two_threads());
    const Reply reply = read_all(*running);
    CHECK(reply.is(GenerationEvent::Kind::failed));
    CHECK_THAT(reply.end->error, ContainsSubstring("another model"));
    REQUIRE(engine.wait_ready());
    CHECK(generate(engine, request_of(tokens_of(1, 10), 3)).finished(FinishReason::length));
    for (int i = 0; i < 20; i++) {  // the newest wins; none hangs
        engine.load(kNano, two_threads());
        if (i % 3 == 0) {
            engine.cancel_load();
        }
    }
    engine.load(kNano, two_threads());
    CHECK(engine.wait_ready());
    CHECK(wakes > 0);
    CHECK(engine.counters().failed == 1);
}

TEST_CASE("stopping gives running requests their grace, and fails the rest") {
    SECTION("no grace") {
        EngineThread engine;
        engine.load(kNano, two_threads());
        REQUIRE(engine.wait_ready());
        auto a = engine.submit(request_of(tokens_of(1, 10), -1));
        auto b = engine.submit(request_of(tokens_of(2, 10), -1));
        engine.stop();
        CHECK(read_all(*a).is(GenerationEvent::Kind::failed));
        CHECK(read_all(*b).is(GenerationEvent::Kind::failed));
        CHECK(engine.status().state == EngineStatus::State::stopped);
        CHECK(refusal(engine, request_of({1}, 1)) == RequestError::Kind::unavailable);
        engine.stop();
        engine.load(kNano, two_threads());  // too late: ignored
        CHECK_FALSE(engine.wait_ready());
    }
    SECTION("grace") {
        EngineThread engine;
        engine.load(kNano, two_threads());
        REQUIRE(engine.wait_ready());
        auto a = engine.submit(request_of(tokens_of(1, 10), 50));
        engine.stop(std::chrono::seconds(60));
        CHECK(read_all(*a).finished(FinishReason::length));
    }
    SECTION("while loading, and at once") {
        for (int i = 0; i < 10; i++) {
            EngineThread engine;
            engine.load(kNano, two_threads());
            std::this_thread::sleep_for(std::chrono::microseconds(i * 300));
        }
        const EngineThread idle;
    }
}

TEST_CASE("plan and load agree to the byte") {
    const auto file = runtime::GgufFile::open(kNano);
    EngineOptions options = two_threads();
    options.vram_bytes = int64_t{64} << 20;
    options.ctx_size = 2048;
    const runtime::MemoryPlan plan = runtime::plan_for(*file, options);
    REQUIRE(plan.fits);
    EngineThread engine;
    engine.load(kNano, options);
    REQUIRE(engine.wait_ready());
    const runtime::MemorySnapshot m = engine.memory();
    CHECK(m.loaded);
    CHECK(m.ctx_size == plan.ctx_size);
    CHECK(m.kv_cache.bytes_per_token == plan.bytes_per_token);
    CHECK(m.kv_cache.pages_limit == plan.pool_pages);
    REQUIRE(m.devices.size() == 1);
    CHECK(m.devices[0].total_bytes == options.vram_bytes);
    CHECK(m.devices[0].weights_bytes == plan.weights_bytes);
    CHECK(m.devices[0].kv_limit_bytes == plan.k_bytes);
    CHECK(m.devices[0].compute_bytes == plan.compute_bytes);
    check_sums(m);
    // Passes of every size, and a long sequence: nothing more is taken.
    for (const int length : {1, 3, 40, 600, 1500}) {
        auto stream = engine.submit(request_of(tokens_of(length, length), 4));
        read_all(*stream);
    }
    CHECK(engine.memory().devices[0].compute_bytes == plan.compute_bytes);
    CHECK(engine.memory().devices[0].weights_bytes == plan.weights_bytes);
}

TEST_CASE("a card that is not there: the CPU computes, and says so") {
    std::vector<std::string> lines;
    runtime::set_log_listener(
        [&](runtime::LogLevel, const std::string& line) { lines.push_back(line); });
    EngineOptions options = two_threads();
    options.device = "cuda";
    EngineThread engine;
    engine.load(kNano, options);
    REQUIRE(engine.wait_ready());
    runtime::set_log_listener({});
    const auto said = std::ranges::find_if(lines, [](const std::string& line) {
        return line.find("on the CPU instead") != std::string::npos;
    });
    CHECK(said != lines.end());
    auto stream = engine.submit(request_of(tokens_of(5, 3), 4));
    CHECK(read_all(*stream).finished(FinishReason::length));
}
