// The network against the float64 oracle's golden vectors.
//
// Tolerances. With F32 weights and an f32 cache the engine computes what the oracle does in
// narrower floats: 1e-3 on logits of a size of 10. An f16 cache rounds the K rows by 2^-11: 1e-2.
// Quantised weights meet activations rounded to 8 bits, whose noise is about 1 % of a logit (cosine
// >= 0.999 per row). Routing is discontinuous: where the last expert chosen and the first one left
// out are closer than kUnsureMargin, that noise may swap them and the row's logits then differ by
// whole units; such a row also writes other K rows in later layers, which later positions read.
// Rows below the margin are therefore exempt from the per-row cosine and top-token checks, but not
// from a bound of their own.
#include "runtime/model/model.h"

#include <cmath>
#include <numeric>

#include "runtime/error.h"
#include "tests/support/catch.h"
#include "tests/support/check_close.h"
#include "tests/support/golden_vectors.h"
#include "tests/support/model_error.h"
#include "tests/support/model_runner.h"

using namespace runtime;
using kernels::DType;
using tests::GoldenVectors;
using tests::ModelRunner;

namespace {

const std::string kGolden = TESTS_DIR "/golden/model/";
constexpr float kUnsureMargin = 0.02F;
constexpr double kUnsureCosine = 0.9;

std::vector<int32_t> all_tokens(const GoldenVectors& v) {
    std::vector<int32_t> tokens = v["prompt"].i32;
    tokens.insert(tokens.end(), v["greedy"].i32.begin(), v["greedy"].i32.end() - 1);
    return tokens;
}

int64_t argmax(std::span<const float> row) {
    return std::max_element(row.begin(), row.end()) - row.begin();
}

double cosine(std::span<const float> a, std::span<const float> b) {
    double ab = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < a.size(); i++) {
        ab += static_cast<double>(a[i]) * b[i];
        aa += static_cast<double>(a[i]) * a[i];
        bb += static_cast<double>(b[i]) * b[i];
    }
    return ab / std::sqrt(aa * bb);
}

bool sure(const GoldenVectors& v, int64_t row) {
    const auto margins = v["router_margin"].row(row);
    return std::all_of(margins.begin(), margins.end(), [](float m) { return m >= kUnsureMargin; });
}

void check_quantised(const GoldenVectors& v, std::span<const float> got) {
    const auto& want = v["logits"];
    const int64_t rows = want.shape[0], W = want.shape[1];
    REQUIRE(static_cast<int64_t>(got.size()) == rows * W);
    int64_t checked = 0;
    for (int64_t i = 0; i < rows; i++) {
        const auto row = got.subspan(static_cast<size_t>(i * W), static_cast<size_t>(W));
        INFO("row " << i);
        if (!sure(v, i)) {
            CHECK(cosine(row, want.row(i)) >= kUnsureCosine);
            continue;
        }
        checked++;
        CHECK(cosine(row, want.row(i)) >= 0.999);
        if (v["greedy_gap"].f32[static_cast<size_t>(i)] > 0.1F) {
            CHECK(argmax(row) == argmax(want.row(i)));
        }
    }
    CHECK(checked * 2 > rows);  // the exemption must not swallow the test
}

std::vector<int32_t> part(const std::vector<int32_t>& tokens, size_t begin, size_t end) {
    return {tokens.begin() + static_cast<long>(begin), tokens.begin() + static_cast<long>(end)};
}

}  // namespace

TEST_CASE("F32 weights: logits of every position agree with the oracle") {
    const GoldenVectors v(kGolden + "nano-f32.vec");
    const std::pair<DType, double> caches[] = {{DType::f32, 1e-3}, {DType::f16, 1e-2}};
    for (const auto& [type, tolerance] : caches) {
        ModelRunner runner(kGolden + "nano-f32.gguf", type);
        ModelRunner::Sequence s;
        CHECK(tests::difference(runner.run(s, all_tokens(v)), v["logits"].f32, {tolerance}, 384) ==
              "");
    }
}

TEST_CASE("F32 weights: greedy decoding, token by token, continues as the oracle does") {
    const GoldenVectors v(kGolden + "nano-f32.vec");
    for (const DType type : {DType::f32, DType::f16}) {
        ModelRunner runner(kGolden + "nano-f32.gguf", type);
        ModelRunner::Sequence s;
        std::vector<float> logits = runner.run(s, v["prompt"].i32);
        std::vector<int32_t> tokens;
        for (size_t i = 0; i < v["greedy"].i32.size(); i++) {
            tokens.push_back(static_cast<int32_t>(argmax(std::span(logits).last(384))));
            logits = runner.run(s, {tokens.back()});
        }
        CHECK(tokens == v["greedy"].i32);
    }
}

TEST_CASE("the residual stream after every layer agrees with the oracle") {
    for (const char* name : {"nano-f32", "nano-q8_0", "tiny-q4_k_m"}) {
        INFO(name);
        const GoldenVectors v(kGolden + name + ".vec");
        const bool exact = std::string(name) == "nano-f32";
        ModelRunner runner(kGolden + name + ".gguf");
        int64_t layers = 0;
        runner.model.on_layer = [&](int64_t layer, std::span<const float> x) {
            INFO("layer " << layer);
            CHECK(layer == layers++);
            const auto& want = v["layer." + std::to_string(layer) + ".out"];
            if (exact) {
                CHECK(tests::difference(x, want.f32, {1e-4}, want.shape[1]) == "");
                return;
            }
            for (int64_t t = 0; t < want.shape[0]; t++) {
                const auto row = x.subspan(static_cast<size_t>(t * want.shape[1]),
                                           static_cast<size_t>(want.shape[1]));
                INFO("token " << t);
                CHECK(cosine(row, want.row(t)) >= (sure(v, t) ? 0.999 : kUnsureCosine));
            }
        };
        ModelRunner::Sequence s;
        runner.run(s, v["prompt"].i32);
        CHECK(layers == 3);
    }
}

TEST_CASE("quantised weights: logits agree as far as 8-bit activations allow") {
    for (const char* name : {"nano-q8_0", "tiny-q4_k_m"}) {
        for (const DType type : {DType::f32, DType::f16}) {
            INFO(name << ", cache " << kernels::name(type));
            const GoldenVectors v(kGolden + name + ".vec");
            ModelRunner runner(kGolden + name + ".gguf", type);
            ModelRunner::Sequence s;
            check_quantised(v, runner.run(s, all_tokens(v)));
        }
    }
}

TEST_CASE("a prompt in chunks gives the same bits as in one pass") {
    for (const char* name : {"nano-f32", "nano-q8_0", "tiny-q4_k_m"}) {
        INFO(name);
        const GoldenVectors v(kGolden + name + ".vec");
        const std::vector<int32_t>& prompt = v["prompt"].i32;
        REQUIRE(prompt.size() == 20);
        ModelRunner runner(kGolden + name + ".gguf");
        ModelRunner::Sequence whole, chunked;
        const std::vector<float> want = runner.run(whole, prompt);
        std::vector<float> got = runner.run(chunked, part(prompt, 0, 7));
        const std::vector<float> rest = runner.run(chunked, part(prompt, 7, 20));
        got.insert(got.end(), rest.begin(), rest.end());
        CHECK(got == want);
    }
}

TEST_CASE("sequences in one batch give the same bits as alone, over a page's end too") {
    for (const char* name : {"nano-f32", "tiny-q4_k_m"}) {
        INFO(name);
        const GoldenVectors v(kGolden + name + ".vec");
        const std::vector<int32_t> tokens = all_tokens(v);
        std::vector<int32_t> longer;
        for (int i = 0; i < 70; i++) {
            longer.push_back(tokens[static_cast<size_t>(i * 7 % 51)]);
        }
        ModelRunner runner(kGolden + name + ".gguf", DType::f16, 128);
        ModelRunner::Sequence alone_a, alone_b, alone_c, a, b, c;
        const std::vector<float> want_a = runner.run(alone_a, tokens);
        const std::vector<float> want_b = runner.run(alone_b, longer);
        const std::vector<float> want_c = runner.run(alone_c, {tokens[3]});

        runner.run({{&b, part(longer, 0, 63)}}, false);
        const std::vector<float> got =
            runner.run({{&a, tokens}, {&b, part(longer, 63, 70)}, {&c, {tokens[3]}}});
        REQUIRE(got.size() == (51 + 7 + 1) * 384);
        CHECK(std::equal(want_a.begin(), want_a.end(), got.begin()));
        CHECK(std::equal(want_b.end() - 7 * 384, want_b.end(), got.begin() + 51 * 384));
        CHECK(std::equal(want_c.begin(), want_c.end(), got.end() - 384));
    }
}

TEST_CASE("only the logits asked for are computed, and an empty batch gives none") {
    const GoldenVectors v(kGolden + "nano-f32.vec");
    ModelRunner runner(kGolden + "nano-f32.gguf");
    ModelRunner::Sequence s;
    CHECK(runner.run({{&s, v["prompt"].i32}}, false).empty());
    CHECK(runner.run({}).empty());

    runtime::Batch batch;
    batch.token_ids = v["prompt"].i32;
    ModelRunner::Sequence again;
    again.pages = {runner.free_pages.back()};
    batch.spans = {{0, 20, 0, again.pages}};
    batch.logit_rows = {4, 19};
    const auto logits = runner.model.forward(batch, runner.cache);
    REQUIRE(logits.size() == 2 * 384);
    CHECK(tests::difference(logits.first(384), v["logits"].row(4), {1e-3}) == "");
    CHECK(tests::difference(logits.last(384), v["logits"].row(19), {1e-3}) == "");
}

TEST_CASE("a batch larger than announced is a bug that is noticed") {
    ModelRunner runner(kGolden + "nano-f32.gguf", DType::f32, 4);
    ModelRunner::Sequence s;
    CHECK_THROWS_AS(runner.run(s, {1, 2, 3, 4, 5}), std::logic_error);
}

TEST_CASE("loading reports its progress, counts its weights, and can be cancelled") {
    const auto file = GgufFile::open(kGolden + "tiny-q4_k_m.gguf");
    const auto backend = kernels::make_cpu_backend({1, 1});
    std::vector<std::pair<int64_t, int64_t>> steps;
    {
        const Model model(file, *backend, 8, [&](int64_t done, int64_t total) {
            steps.emplace_back(done, total);
            return true;
        });
        CHECK(backend->memory().weights_bytes == static_cast<int64_t>(file->tensor_bytes()));
        CHECK(backend->memory().compute_bytes >= Model::activation_bytes(model.config(), 8));
    }
    REQUIRE(steps.size() > 2);
    CHECK(steps.front().first == 0);
    CHECK(steps.back().first == steps.back().second);
    CHECK(std::is_sorted(steps.begin(), steps.end()));
    CHECK_THAT(tests::refusal([&] {
                   Model(file, *backend, 8, [](int64_t done, int64_t) { return done < 100000; });
               }),
               ContainsSubstring("cancelled"));
}
