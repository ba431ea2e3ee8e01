#include "runtime/engine/engine.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <thread>

#include "runtime/engine/logprobs.h"
#include "tests/runtime/fake_backend.h"
#include "tests/runtime/toy_engine.h"
#include "tests/support/catch.h"

using runtime::Engine;
using runtime::FinishReason;
using runtime::GenerationEvent;
using runtime::GenerationRequest;
using runtime::TokenId;
using tests::Reply;
using tests::ToyModel;

namespace {

runtime::KvLayout small_layout() {
    runtime::ModelConfig c;
    c.n_layers = 2;
    c.kv_lora_rank = 24;
    c.qk_rope_head_dim = 8;
    return {c, kernels::DType::f16};
}

// An engine over the toy model, and its clients.
struct Bench {
    explicit Bench(int64_t pages = 256,
                   int parallel = 8,
                   int64_t ctx_size = 4096,
                   kernels::Backend* device = nullptr)
        : toy(pages) {
        Engine::Setup setup;
        setup.forward = [this](const runtime::Batch& batch) { return toy(batch); };
        setup.copy_rows = [this](int32_t from, int32_t to, int64_t rows) {
            toy.copy_rows(from, to, rows);
        };
        setup.tokenizer = tests::nano_tokenizer();
        auto v = std::make_shared<runtime::SampledVocabulary>(*setup.tokenizer, ToyModel::kVocab);
        vocabulary = v;
        setup.vocabulary = v;
        setup.layout = small_layout();
        if (device != nullptr) {
            cache.emplace(*device, setup.layout, pages);
            setup.cache = &*cache;
        }
        setup.ctx_size = std::min(ctx_size, pages * 64);
        setup.limits.pool_pages = pages;
        setup.limits.parallel = parallel;
        setup.hash_seed = 5;
        setup.keep_cached = keep;
        engine.emplace(std::move(setup));
    }

    struct Client {
        std::unique_ptr<runtime::GenerationStream> stream;
        Reply reply;
    };

    Client submit(GenerationRequest request) {
        Client client;
        const auto channel = std::make_shared<runtime::Channel>(next_id++);
        client.stream = runtime::make_stream(channel);
        engine->add(std::make_unique<runtime::Sequence>(channel, std::move(request),
                                                        tests::nano_tokenizer(), vocabulary));
        return client;
    }

    // Steps until there is nothing to do, checking after each what must always hold.
    void run(std::vector<Client>& clients, int limit = 100000) {
        for (int i = 0; i < limit && engine->step(); i++) {
            check(clients);
        }
        check(clients);
    }
    void check(std::vector<Client>& clients) {
        engine->deliver_ends();
        REQUIRE_NOTHROW(engine->scheduler().pool().check());
        const runtime::MemorySnapshot m = engine->snapshot();
        const auto& kv = m.kv_cache;
        REQUIRE(kv.pages_used + kv.pages_cached <= kv.pages_reserved);
        REQUIRE(kv.pages_reserved <= kv.pages_limit);
        REQUIRE(kv.v_bytes == 0);
        int64_t held = 0;
        for (const auto& s : m.sequences) {
            held += s.pages;
        }
        REQUIRE(held >= kv.pages_used);
        // The page map says the same as the totals, and each owner's part as its sequence.
        using Page = runtime::MemorySnapshot::Page;
        std::map<Page::State, int64_t> by_state;
        std::map<int, int64_t> by_owner;
        for (const Page& page : m.pages) {
            by_state[page.state]++;
            by_owner[page.sequence]++;
            REQUIRE((page.sequence >= 0) ==
                    (page.state == Page::State::used || page.state == Page::State::shared));
        }
        REQUIRE(static_cast<int64_t>(m.pages.size()) == kv.pages_reserved);
        REQUIRE(by_state[Page::State::used] + by_state[Page::State::shared] == kv.pages_used);
        REQUIRE(by_state[Page::State::shared] == kv.pages_shared);
        REQUIRE(by_state[Page::State::cached] == kv.pages_cached);
        for (size_t i = 0; i < m.sequences.size(); i++) {
            REQUIRE(by_owner[static_cast<int>(i)] <= m.sequences[i].pages);
        }
        for (Client& c : clients) {
            c.reply.read(*c.stream);
        }
    }
    Reply one(GenerationRequest request) {
        std::vector<Client> clients;
        clients.push_back(submit(std::move(request)));
        run(clients);
        return clients[0].reply;
    }

    std::chrono::steady_clock::duration keep = std::chrono::minutes(10);
    ToyModel toy;
    std::optional<runtime::KvCache> cache;
    std::shared_ptr<const runtime::SampledVocabulary> vocabulary;
    std::optional<Engine> engine;
    uint64_t next_id = 1;
};

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
    r.sampling.temperature = seed ? 1.0F : 0.0F;
    r.sampling.seed = seed;
    return r;
}

std::vector<TokenId> join(std::vector<TokenId> a, const std::vector<TokenId>& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

}  // namespace

TEST_CASE("many sequences together give the texts they give alone") {
    std::vector<GenerationRequest> requests;
    for (uint32_t i = 0; i < 12; i++) {
        requests.push_back(request_of(tokens_of(i, 1 + i * 97), 5 + i * 9,
                                      i % 2 == 0 ? std::nullopt : std::optional<uint64_t>(i)));
    }
    std::vector<Reply> alone;
    for (const auto& r : requests) {
        Bench bench;
        alone.push_back(bench.one(r));
        REQUIRE(alone.back().finished(FinishReason::length));
        CHECK(alone.back().end->usage.completion_tokens == r.max_tokens);
        CHECK(static_cast<int64_t>(alone.back().tokens.size()) == r.max_tokens);
    }
    Bench bench;
    std::vector<Bench::Client> clients;
    for (const auto& r : requests) {
        clients.push_back(bench.submit(r));
    }
    bench.run(clients);
    for (size_t i = 0; i < clients.size(); i++) {
        INFO("request " << i);
        CHECK(clients[i].reply.finished(FinishReason::length));
        CHECK(clients[i].reply.tokens == alone[i].tokens);
        CHECK(clients[i].reply.content == alone[i].content);
    }
    CHECK(bench.toy.largest_pass <= 512);
    CHECK(bench.engine->counters().finished == 12);
    CHECK(bench.engine->running() + bench.engine->waiting() == 0);
    CHECK(bench.engine->scheduler().pool().used() == 0);
}

TEST_CASE("a common prefix of 1,000 tokens is computed once and its pages are shared") {
    const auto prefix = tokens_of(1, 1000);
    const auto a = join(prefix, tokens_of(2, 50)), b = join(prefix, tokens_of(3, 70));
    const int64_t shared = 1000;
    Bench fresh;
    const Reply b_alone = fresh.one(request_of(b, 20));
    SECTION("the second comes later") {
        Bench bench;
        (void)bench.one(request_of(a, 20));
        const Reply second = bench.one(request_of(b, 20));
        CHECK(second.tokens == b_alone.tokens);
        CHECK(second.end->usage.cached_tokens == shared);
        CHECK(second.end->usage.prompt_tokens == 1070);
        CHECK(bench.engine->counters().prompt_tokens_computed ==
              static_cast<uint64_t>(1050 + 1070 - shared));
        CHECK(bench.engine->counters().prefix_cache_hit_tokens == static_cast<uint64_t>(shared));
    }
    SECTION("both arrive together") {
        Bench bench;
        std::vector<Bench::Client> clients;
        clients.push_back(bench.submit(request_of(a, 20)));
        clients.push_back(bench.submit(request_of(b, 20)));
        int64_t most_shared = 0;
        while (bench.engine->step()) {
            bench.check(clients);
            most_shared = std::max(most_shared, bench.engine->snapshot().kv_cache.pages_shared);
        }
        bench.check(clients);
        CHECK(most_shared == shared / 64);  // whole pages; the rest is a copy
        CHECK(clients[1].reply.tokens == b_alone.tokens);
        CHECK(clients[0].reply.end->usage.cached_tokens +
                  clients[1].reply.end->usage.cached_tokens ==
              shared);
        CHECK(bench.engine->counters().prompt_tokens_computed ==
              static_cast<uint64_t>(1050 + 1070 - shared));
    }
    SECTION("of a wholly cached prompt the last token is computed") {
        Bench bench;
        const auto whole = tokens_of(9, 64 * 5);
        const Reply first = bench.one(request_of(whole, 10));
        const Reply second = bench.one(request_of(whole, 10));
        CHECK(second.end->usage.cached_tokens == 64 * 5 - 1);
        CHECK(second.tokens == first.tokens);
    }
}

TEST_CASE("a next turn finds the reply of the last one in the cache") {
    Bench bench;
    const auto prompt = tokens_of(4, 100);
    const Reply first = bench.one(request_of(prompt, 200));
    const auto turn = join(join(prompt, first.tokens), tokens_of(5, 40));
    const Reply second = bench.one(request_of(turn, 5));
    CHECK(second.end->usage.cached_tokens == 299);  // the last token of a reply is never computed
}

TEST_CASE("what is cached of a prompt is what it has in common with another, to the token") {
    std::mt19937 rng(11);
    for (int round = 0; round < 60; round++) {
        Bench bench;
        const auto base = tokens_of(rng(), 1 + rng() % 400);
        const auto reply = static_cast<int64_t>(1 + rng() % 90);
        auto first = request_of(base, reply);
        first.ignore_end_of_turn = true;
        const Reply before = bench.one(first);
        // All but the last token of the reply is computed.
        auto kept = join(base, before.tokens);
        kept.pop_back();
        const size_t common = rng() % (kept.size() + 1);
        std::vector<TokenId> prompt(kept.begin(),
                                    kept.begin() + static_cast<std::ptrdiff_t>(common));
        prompt.push_back(common < kept.size() ? (kept[common] + 1) % 256 : 7);
        prompt = join(prompt, tokens_of(rng(), rng() % 150));
        const Reply got = bench.one(request_of(prompt, 20));
        CAPTURE(round, base.size(), reply, common, prompt.size());
        CHECK(got.end->usage.cached_tokens == static_cast<int64_t>(common));
        CHECK(bench.engine->counters().prompt_tokens_computed ==
              base.size() + prompt.size() - common);
        CHECK(bench.toy.rows_copied == static_cast<int64_t>(common % 64));
        Bench fresh;
        CHECK(got.tokens == fresh.one(request_of(prompt, 20)).tokens);
        // Both sequences' ends are kept now, each with its own tokens.
        CHECK(bench.one(request_of(kept, 1)).end->usage.cached_tokens ==
              static_cast<int64_t>(kept.size()) - 1);
        CHECK(bench.one(request_of(prompt, 1)).end->usage.cached_tokens ==
              static_cast<int64_t>(prompt.size()) - 1);
    }
}

TEST_CASE("rows are copied from a sequence that still runs, and never more than it has computed") {
    for (const size_t common : {1U, 40U, 64U, 100U, 150U}) {
        CAPTURE(common);
        Bench bench;
        const auto prefix = tokens_of(1, common);
        const auto a = join(prefix, tokens_of(2, 3)), b = join(prefix, tokens_of(3, 90));
        std::vector<Bench::Client> clients;
        clients.push_back(bench.submit(request_of(a, 200)));
        for (int i = 0; i < 5; i++) {
            REQUIRE(bench.engine->step());
            bench.check(clients);
        }
        clients.push_back(bench.submit(request_of(b, 200)));
        bench.run(clients);
        // The two differ where their second parts do.
        const auto [mine, theirs] = std::ranges::mismatch(a, b);
        CHECK(clients[1].reply.end->usage.cached_tokens == mine - a.begin());
        for (size_t i = 0; i < 2; i++) {
            Bench fresh;
            CHECK(clients[i].reply.tokens == fresh.one(request_of(i == 0 ? a : b, 200)).tokens);
        }
    }
}

TEST_CASE("a page that is given up for its own copy keeps its rows") {
    // Three pages in all: the next turn's third page is the one that it is copied from.
    Bench bench(3, 1, 3 * 64);
    const auto prompt = tokens_of(4, 140);
    const Reply first = bench.one(request_of(prompt, 10));
    auto turn = join(prompt, first.tokens);
    turn.push_back(9);
    const Reply second = bench.one(request_of(turn, 10));
    CHECK(second.end->usage.cached_tokens == 149);
    CHECK(bench.toy.rows_copied == 0);
    Bench fresh(3, 1, 3 * 64);
    CHECK(second.tokens == fresh.one(request_of(turn, 10)).tokens);
    CHECK(bench.engine->scheduler().pool().used() == 0);
}

TEST_CASE("a long prompt does not stall a stream that is decoding") {
    Bench bench;
    std::vector<Bench::Client> clients;
    clients.push_back(bench.submit(request_of(tokens_of(1, 10), 400)));
    for (int i = 0; i < 5; i++) {
        REQUIRE(bench.engine->step());
    }
    clients.push_back(bench.submit(request_of(tokens_of(2, 3000), 5)));
    clients.push_back(bench.submit(request_of(tokens_of(3, 30), 5)));
    bench.check(clients);
    size_t seen = clients[0].reply.tokens.size();
    int steps = 0;
    while (clients[1].reply.tokens.empty()) {
        REQUIRE(bench.engine->step());
        bench.check(clients);
        REQUIRE(clients[0].reply.tokens.size() == seen + 1);  // one token each step
        seen++;
        steps++;
        if (steps == 2) {
            CHECK_FALSE(
                clients[2].reply.tokens.empty());  // the short prompt did not wait for the long one
        }
    }
    CHECK(steps >= 3000 / 128);
    CHECK(steps <= 3000 / 128 + 2);
    const auto& progress = clients[1].reply.progress;
    CHECK(std::is_sorted(progress.begin(), progress.end()));
    CHECK(progress.back() == 3000);
    bench.run(clients);
}

TEST_CASE("cancelling takes effect within one step, also in the prompt and in the queue") {
    Bench bench(256, 1);
    std::vector<Bench::Client> clients;
    clients.push_back(bench.submit(request_of(tokens_of(1, 3000), 50)));
    clients.push_back(bench.submit(request_of(tokens_of(2, 10), 50)));
    clients.push_back(bench.submit(request_of(tokens_of(3, 10), 50)));
    REQUIRE(bench.engine->step());
    CHECK(bench.engine->running() == 1);
    CHECK(bench.engine->waiting() == 2);
    clients[0].stream->cancel();
    clients[2].stream->cancel();
    REQUIRE(bench.engine->step());
    bench.check(clients);
    CHECK(clients[0].reply.is(GenerationEvent::Kind::cancelled));
    CHECK(clients[0].reply.end->prompt_done == 512);
    CHECK(clients[2].reply.is(GenerationEvent::Kind::cancelled));
    CHECK(bench.engine->running() == 1);
    clients[1].stream.reset();  // dropping a stream cancels
    CHECK_FALSE(bench.engine->step());
    CHECK(bench.engine->counters().cancelled == 3);
    CHECK(bench.engine->scheduler().pool().used() == 0);
}

TEST_CASE("when pages run out the youngest gives way, and every text stays what it was") {
    std::vector<GenerationRequest> requests;
    std::vector<Reply> alone;
    for (uint32_t i = 0; i < 6; i++) {
        requests.push_back(request_of(tokens_of(i, 60 + i * 20), 300, i));
        Bench bench;
        alone.push_back(bench.one(requests.back()));
    }
    Bench bench(14, 6, 14 * 64);  // one sequence may need 7 pages; six need 40
    std::vector<Bench::Client> clients;
    for (const auto& r : requests) {
        clients.push_back(bench.submit(r));
    }
    bench.run(clients);
    CHECK(bench.engine->scheduler().preemptions() > 0);
    for (size_t i = 0; i < clients.size(); i++) {
        INFO("request " << i);
        CHECK(clients[i].reply.finished(FinishReason::length));
        CHECK(clients[i].reply.tokens == alone[i].tokens);
        CHECK(clients[i].reply.content == alone[i].content);
    }
}

TEST_CASE("random traffic on a small cache: all end once, with the right text", "[property]") {
    for (uint32_t seed = 0; seed < 4; seed++) {
        std::mt19937 rng(seed);
        Bench bench(20 + rng() % 20, 1 + static_cast<int>(rng() % 6), 16 * 64);
        struct Wanted {
            GenerationRequest request;
            bool cancelled = false;
        };
        std::vector<Wanted> wanted;
        std::vector<Bench::Client> clients;
        for (int step = 0; step < 1500; step++) {
            if (clients.size() < 40 && rng() % 20 == 0) {
                const auto prefix = tokens_of(rng() % 3, 64 * (rng() % 5));
                auto request = request_of(join(prefix, tokens_of(rng(), 1 + rng() % 200)),
                                          1 + rng() % 150, rng());
                wanted.push_back({request});
                clients.push_back(bench.submit(request));
            }
            if (!clients.empty() && rng() % 100 == 0) {
                const size_t i = rng() % clients.size();
                clients[i].stream->cancel();
                wanted[i].cancelled = true;
            }
            bench.engine->step();
            bench.check(clients);
        }
        bench.run(clients);
        for (size_t i = 0; i < clients.size(); i++) {
            INFO("seed " << seed << " request " << i);
            const Reply& got = clients[i].reply;
            REQUIRE(got.terminal_events == 1);
            Bench fresh;
            const Reply want = fresh.one(wanted[i].request);
            if (got.is(GenerationEvent::Kind::finished)) {
                CHECK(got.tokens == want.tokens);
            } else {
                CHECK(wanted[i].cancelled);
                CHECK(got.is(GenerationEvent::Kind::cancelled));
                REQUIRE(got.tokens.size() <= want.tokens.size());
                CHECK(std::equal(got.tokens.begin(), got.tokens.end(), want.tokens.begin()));
            }
        }
        CHECK(bench.engine->scheduler().pool().used() == 0);
    }
}

TEST_CASE(
    "a generation ends at the context, at max_tokens, at the end of the turn, at a stop string") {
    SECTION("context") {
        Bench bench(4, 2, 256);
        const Reply r = bench.one(request_of(tokens_of(1, 200), -1));
        CHECK(r.finished(FinishReason::length));
        CHECK(r.end->usage.completion_tokens == 56);
    }
    SECTION("max_tokens of 0") {
        Bench bench;
        const Reply r = bench.one(request_of(tokens_of(1, 20), 0));
        CHECK(r.finished(FinishReason::length));
        CHECK(r.end->usage.completion_tokens == 0);
        CHECK(bench.toy.passes == 0);
    }
    SECTION("end of turn") {
        Bench bench;
        bench.toy.end_after = 30;
        const Reply r = bench.one(request_of(tokens_of(1, 20), 100));
        CHECK(r.finished(FinishReason::stop));
        CHECK(r.end->usage.completion_tokens == 10);
        CHECK(r.tokens.size() == 10);
        auto on = request_of(tokens_of(1, 20), 100);
        on.ignore_end_of_turn = true;
        CHECK(bench.one(on).finished(FinishReason::length));
    }
    SECTION("stop string") {
        Bench bench;
        const Reply whole = bench.one(request_of(tokens_of(1, 20), 100));
        REQUIRE(whole.content.size() > 40);
        for (const bool parse : {false, true}) {
            auto r = request_of(tokens_of(1, 20), 100);
            r.parse_reply = parse;
            r.reply.starts_in_reasoning = false;
            r.reply.stop = {"never there", whole.content.substr(20, 5)};
            const Reply cut = bench.one(r);
            CHECK(cut.finished(FinishReason::stop));
            CHECK(cut.end->stop_string == r.reply.stop[1]);
            CHECK(cut.content == whole.content.substr(0, whole.content.find(r.reply.stop[1])));
            CHECK(cut.end->usage.completion_tokens < 100);
        }
    }
    SECTION("time limit") {
        Bench bench;
        auto r = request_of(tokens_of(1, 20), 1000000);
        r.time_limit = std::chrono::milliseconds(30);
        std::vector<Bench::Client> clients;
        clients.push_back(bench.submit(r));
        while (bench.engine->step()) {
            std::this_thread::sleep_for(std::chrono::milliseconds(2));
        }
        bench.check(clients);
        CHECK(clients[0].reply.finished(FinishReason::length));
    }
}

TEST_CASE("reasoning is counted and told apart") {
    Bench bench;
    auto r = request_of(tokens_of(1, 20), 40);
    r.parse_reply = true;
    r.reply.starts_in_reasoning = true;
    const Reply reply = bench.one(r);
    CHECK(reply.finished(FinishReason::length));
    CHECK(reply.content.empty());
    CHECK_FALSE(reply.reasoning.empty());
    CHECK(reply.end->usage.reasoning_tokens == 40);
    CHECK(reply.end->usage.completion_tokens == 40);
    CHECK(reply.end->timings.prompt_ms >= 0);
}

TEST_CASE("an exception in a pass fails every request once, with its text") {
    Bench bench;
    bench.toy.fail_at_pass = 3;
    std::vector<Bench::Client> clients;
    for (uint32_t i = 0; i < 10; i++) {
        clients.push_back(bench.submit(request_of(tokens_of(i, 50), 50)));
    }
    CHECK_THROWS_AS(
        [&] {
            while (bench.engine->step()) {
            }
        }(),
        std::logic_error);
    bench.engine->fail_all("the engine stopped: toy failure");
    bench.engine->deliver_ends();
    for (auto& c : clients) {
        c.reply.read(*c.stream);
        CHECK(c.reply.is(GenerationEvent::Kind::failed));
        CHECK_THAT(c.reply.end->error, ContainsSubstring("toy failure"));
    }
    CHECK(bench.engine->counters().failed == 10);
}

TEST_CASE("an engine that is destroyed fails what it had") {
    std::vector<Bench::Client> clients;
    {
        Bench bench;
        clients.push_back(bench.submit(request_of(tokens_of(1, 50), 50)));
        clients.push_back(bench.submit(request_of(tokens_of(2, 2000), 50)));
        (void)bench.engine->step();
    }
    for (auto& c : clients) {
        c.reply.read(*c.stream);
        CHECK(c.reply.is(GenerationEvent::Kind::failed));
        CHECK_FALSE(c.stream->try_next().has_value());
        CHECK(c.stream->done());
    }
}

TEST_CASE("requests that can never run are refused with both numbers") {
    using runtime::RequestError;
    const auto kind_of = [](const GenerationRequest& r) {
        try {
            Engine::check(r, 384, 128);
        } catch (const RequestError& e) {
            return std::make_pair(e.kind, std::string(e.what()) + " " + e.code);
        }
        return std::make_pair(RequestError::Kind::unavailable, std::string());
    };
    CHECK(kind_of(request_of({}, 1)).first == RequestError::Kind::invalid);
    CHECK(kind_of(request_of({5, 384}, 1)).first == RequestError::Kind::invalid);
    CHECK(kind_of(request_of({5, -1}, 1)).first == RequestError::Kind::invalid);
    CHECK(kind_of(request_of(tokens_of(1, 127), 1)).second.empty());
    const auto [kind, text] = kind_of(request_of(tokens_of(1, 128), 1));
    CHECK(kind == RequestError::Kind::too_long);
    CHECK(text ==
          "This model's maximum context length is 128 tokens. However, your messages resulted in "
          "128 tokens. context_length_exceeded");
}

TEST_CASE("memory grows with the tokens, shrinks when idle, and a full device is survived") {
    const int64_t page = small_layout().page_bytes();
    SECTION("grow and shrink") {
        tests::FakeBackend device(int64_t{1} << 30);
        Bench bench(128, 4, 4096, &device);
        CHECK(device.memory().kv_bytes == 0);
        std::vector<Bench::Client> clients;
        clients.push_back(bench.submit(request_of(tokens_of(1, 3000), 20)));
        clients.push_back(bench.submit(request_of(tokens_of(2, 100), 5)));
        int64_t before = 0;
        while (bench.engine->step()) {
            bench.check(clients);
            const int64_t now = device.memory().kv_bytes;
            CHECK(now >= before);
            CHECK(now == bench.engine->snapshot().kv_cache.pages_reserved * page);
            const auto kv = bench.engine->snapshot().kv_cache;
            CHECK(now <= (kv.pages_used + kv.pages_cached + 5) * page);  // a chunk is 4 pages
            before = now;
        }
        CHECK(before >= 49 * page);
        bench.engine->tidy();
        CHECK(device.memory().kv_bytes > 0);  // prefixes are kept
        CHECK(bench.engine->snapshot().kv_cache.pages_cached > 40);
        bench.check(clients);
    }
    SECTION("an idle engine gives everything back in the end") {
        tests::FakeBackend device(int64_t{1} << 30);
        Bench bench(128, 4, 4096, &device);
        (void)bench.one(request_of(tokens_of(1, 3000), 20));
        auto& scheduler = const_cast<runtime::Scheduler&>(bench.engine->scheduler());
        scheduler.tidy(std::chrono::minutes(9), std::chrono::minutes(10));
        CHECK(device.memory().kv_bytes > 0);
        scheduler.tidy(std::chrono::minutes(11), std::chrono::minutes(10));
        CHECK(device.memory().kv_bytes == 0);
        const Reply again = bench.one(request_of(tokens_of(1, 3000), 20));
        CHECK(again.finished(FinishReason::length));
    }
    SECTION("the device is smaller than the limit") {
        tests::FakeBackend device(20 * page);
        Bench bench(64, 4, 4096, &device);
        std::vector<Bench::Client> clients;
        for (uint32_t i = 0; i < 5; i++) {
            clients.push_back(bench.submit(request_of(tokens_of(i, 300), 200)));
        }
        bench.run(clients);
        for (auto& c : clients) {
            CHECK(c.reply.finished(FinishReason::length));
        }
        const Reply large = bench.one(request_of(tokens_of(7, 2000), 10));
        CHECK(large.is(GenerationEvent::Kind::failed));
        CHECK_THAT(large.end->error, ContainsSubstring("out of memory"));
        CHECK(bench.one(request_of(tokens_of(8, 300), 10)).finished(FinishReason::length));
    }
}

TEST_CASE("owners take turns: nobody waits behind another's many requests") {
    Bench b(256, 1);
    std::vector<Bench::Client> clients;
    for (int i = 0; i < 6; i++) {
        GenerationRequest r = request_of(tokens_of(static_cast<uint32_t>(i), 70), 4);
        r.owner = i < 5 ? "many" : "one";
        clients.push_back(b.submit(std::move(r)));
    }
    int steps = 0, many_before = 0;
    while (clients[5].reply.terminal_events == 0 && b.engine->step() && steps++ < 1000) {
        b.check(clients);
        many_before = 0;
        for (size_t i = 0; i < 5; i++) {
            many_before += clients[i].reply.terminal_events;
        }
    }
    CHECK(many_before == 1);
    b.run(clients);
    for (const auto& c : clients) {
        CHECK(c.reply.finished(FinishReason::length));
    }
}

TEST_CASE(
    "log-probabilities: one per token, the reply's and the prompt's, as the softmax of the "
    "logits") {
    Bench b;
    GenerationRequest r = request_of(tokens_of(3, 200), 5);
    const Reply plain = b.one(r);
    r.logprobs = 3;
    r.prompt_logprobs = 2;
    std::vector<runtime::TokenLogprob> prompt, reply;
    const auto client = b.submit(r);
    while (b.engine->step()) {
        b.engine->deliver_ends();
        while (auto event = client.stream->try_next()) {
            auto& to = event->kind == GenerationEvent::Kind::progress ? prompt : reply;
            to.insert(to.end(), event->logprobs.begin(), event->logprobs.end());
        }
    }
    REQUIRE(prompt.size() == 199);
    REQUIRE(reply.size() == 5);
    for (size_t i = 0; i < prompt.size(); i++) {
        CHECK(prompt[i].id == r.prompt[i + 1]);
        CHECK(prompt[i].top.size() == 2);
        CHECK(prompt[i].logprob <= prompt[i].top[0].second);
    }
    for (size_t i = 0; i < reply.size(); i++) {
        CHECK(reply[i].id == plain.tokens[i]);  // greedy, and not changed by being asked
        CHECK(reply[i].top[0] == std::make_pair(reply[i].id, reply[i].logprob));
    }

    runtime::SampledVocabulary vocabulary;
    vocabulary.size = 4;
    vocabulary.excluded = {3};
    const std::vector<float> logits{1, 2, 3, 50};
    const double sum = std::exp(1.0) + std::exp(2.0) + std::exp(3.0);
    const auto scored = runtime::logprob_of(logits, 0, 9, vocabulary);
    CHECK(std::abs(scored.logprob - (1 - std::log(sum))) < 1e-5);
    REQUIRE(scored.top.size() == 3);
    CHECK(scored.top[0].first == 2);
    const float nan = std::nanf("");
    CHECK(runtime::logprob_of(std::vector<float>{nan, nan, nan, 0}, 1, 2, vocabulary).logprob ==
          runtime::kLeastLogprob);
}

TEST_CASE("the predicted cost of a prompt is what it takes, to the page and to the byte") {
    for (const int64_t tokens : {1, 2, 63, 64, 65, 127, 128, 129, 640, 1000}) {
        CAPTURE(tokens);
        Bench bench;
        const runtime::MemorySnapshot before = bench.engine->snapshot();
        const runtime::MemorySnapshot::Cost cost = before.cost(tokens);
        std::vector<Bench::Client> clients;
        GenerationRequest request = request_of(tokens_of(3, static_cast<size_t>(tokens)), 100);
        request.ignore_end_of_turn = true;
        clients.push_back(bench.submit(std::move(request)));
        while (bench.engine->snapshot().sequences.empty() ||
               bench.engine->snapshot().sequences[0].tokens == tokens) {
            REQUIRE(bench.engine->step());
        }
        const runtime::MemorySnapshot after = bench.engine->snapshot();
        CHECK(after.sequences[0].pages == cost.pages);
        CHECK(after.kv_cache.pages_used == cost.pages);
        CHECK(after.kv_cache.k_bytes == cost.bytes);
        CHECK(cost.fits());
        // And of the answer, at every step of it.
        for (int i = 0; i < 70; i++) {
            const int64_t computed = bench.engine->snapshot().sequences[0].tokens;
            REQUIRE(bench.engine->step());
            CHECK(bench.engine->snapshot().sequences[0].pages == before.cost(computed).pages);
        }
        bench.run(clients);
    }
    const runtime::MemorySnapshot empty = Bench().engine->snapshot();
    CHECK(empty.cost(empty.ctx_size).fits());
    CHECK(empty.cost(empty.ctx_size + 7).excess_tokens == 7);
}

TEST_CASE("the cache says why it did not hold more of a prompt, and from which token on") {
    using End = runtime::MemorySnapshot::Lookup::End;
    Bench bench;
    const auto base = tokens_of(1, 300);
    const auto lookup = [&](std::vector<TokenId> prompt) {
        bench.one(request_of(std::move(prompt), 1));
        return bench.engine->snapshot().lookups.back();
    };
    auto found = lookup(base);
    CHECK(found.end == End::nothing);
    CHECK(found.position == 0);
    CHECK(found.cached_tokens == 0);
    CHECK(found.prompt_tokens == 300);

    found = lookup(base);
    CHECK(found.end == End::complete);
    CHECK(found.cached_tokens == 299);

    // One token changed: its very position, whether in the first page, at a border or in the middle
    // of a later page.
    for (const size_t at : {0U, 17U, 64U, 100U, 191U}) {
        auto changed = base;
        changed[at] = (changed[at] + 1) % 256;
        Bench fresh;
        fresh.one(request_of(base, 1));
        fresh.one(request_of(changed, 1));
        const auto miss = fresh.engine->snapshot().lookups.back();
        CAPTURE(at);
        CHECK(miss.end == End::differs);
        CHECK(miss.position == static_cast<int64_t>(at));
        CHECK(miss.cached_tokens == static_cast<int64_t>(at));
    }

    // More text after what is kept.
    found = lookup(join(base, tokens_of(9, 200)));
    CHECK(found.end == End::not_kept);
    CHECK(found.cached_tokens == 300);
    CHECK(found.position == 300);
    const auto snapshot = bench.engine->snapshot();
    CHECK(snapshot.lookup_tokens == 300 + 300 + 500);
    CHECK(snapshot.found_tokens == 299 + 300);
}
