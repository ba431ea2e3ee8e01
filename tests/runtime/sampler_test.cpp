#include "runtime/engine/sampler.h"

#include <algorithm>
#include <cmath>
#include <ctime>
#include <limits>
#include <map>
#include <numeric>
#include <random>
#include <set>

#include "runtime/error.h"
#include "tests/support/catch.h"

using runtime::SampledVocabulary;
using runtime::Sampler;
using runtime::SamplingParams;
using runtime::TokenId;

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::shared_ptr<const SampledVocabulary> words(int64_t size, std::vector<TokenId> excluded = {}) {
    auto v = std::make_shared<SampledVocabulary>();
    v->size = size;
    v->excluded = std::move(excluded);
    while (std::ranges::count(v->excluded, v->lowest) > 0) {
        v->lowest++;
    }
    return v;
}

SamplingParams plain() {
    SamplingParams p;
    p.top_p = 1;
    p.seed = 1;
    return p;
}

// The distribution the header describes, in double and with a full sort.
std::map<TokenId, double> naive(std::vector<double> logits, const SamplingParams& p) {
    std::vector<TokenId> order(logits.size());
    std::iota(order.begin(), order.end(), 0);
    std::ranges::stable_sort(
        order, [&](TokenId a, TokenId b) { return logits[size_t(a)] > logits[size_t(b)]; });
    const double best = logits[size_t(order[0])];
    std::vector<std::pair<TokenId, double>> kept;
    for (const TokenId id : order) {
        const double w = std::exp((logits[size_t(id)] - best) / double(p.temperature));
        if (w >= double(p.min_p) && w > 0) {
            kept.emplace_back(id, w);
        }
    }
    if (p.top_k > 0 && kept.size() > size_t(p.top_k)) {
        kept.resize(size_t(p.top_k));
    }
    double total = 0;
    for (const auto& [id, w] : kept) {
        total += w;
    }
    std::map<TokenId, double> result;
    double sum = 0;
    for (const auto& [id, w] : kept) {
        if (!result.empty() && sum >= total * double(p.top_p)) {
            break;
        }
        result[id] = w;
        sum += w;
    }
    for (auto& [id, w] : result) {
        w /= sum;
    }
    return result;
}

std::vector<float> random_logits(uint32_t seed, size_t n, float spread) {
    std::mt19937 rng(seed);
    std::normal_distribution<float> normal(0, spread);
    std::vector<float> logits(n);
    for (float& l : logits) {
        l = normal(rng);
    }
    return logits;
}

// Draws at many positions; compares the counts with `want` by chi-square at about five sigma.
void check_distribution(const std::vector<float>& logits,
                        const SamplingParams& params,
                        const std::map<TokenId, double>& want) {
    constexpr int kDraws = 40000;
    Sampler sampler(params, words(static_cast<int64_t>(logits.size())));
    std::map<TokenId, int> got;
    for (int i = 0; i < kDraws; i++) {
        got[sampler.sample(logits, i)]++;
    }
    double chi2 = 0;
    double degrees = -1;
    double rare = 0;
    int rare_got = 0;
    for (const auto& [id, probability] : want) {
        if (probability * kDraws < 10) {  // too few to count alone
            rare += probability * kDraws;
            rare_got += got.contains(id) ? got[id] : 0;
            continue;
        }
        const double expected = probability * kDraws;
        chi2 += (got[id] - expected) * (got[id] - expected) / expected;
        degrees++;
    }
    if (rare > 0) {
        chi2 += (rare_got - rare) * (rare_got - rare) / std::max(rare, 1.0);
        degrees++;
    }
    for (const auto& [id, count] : got) {
        INFO("token " << id << " was drawn " << count << " times");
        CHECK(want.contains(id));
    }
    INFO("chi-square " << chi2 << " at " << degrees << " degrees of freedom");
    CHECK(chi2 < degrees + 5 * std::sqrt(2 * std::max(degrees, 1.0)) + 10);
}

}  // namespace

TEST_CASE("greedy takes the largest logit, the lower id among equals") {
    SamplingParams p = plain();
    p.temperature = 0;
    Sampler sampler(p, words(5));
    CHECK(sampler.sample(std::vector<float>{0, 3, 1, 3, 2}, 0) == 1);
    CHECK(sampler.sample(std::vector<float>{-kInfinity, -5, -kInfinity, -kInfinity, -6}, 1) == 1);
}

TEST_CASE("what is no token is never chosen, and broken logits give a defined choice") {
    const auto v = words(6, {0, 3, 5});
    for (const float temperature : {0.0F, 0.7F}) {
        SamplingParams p = plain();
        p.temperature = temperature;
        p.logit_bias = {{3, 1000.0F}};
        Sampler sampler(p, v);
        for (int i = 0; i < 50; i++) {
            const TokenId id = sampler.sample(std::vector<float>{99, 1, 2, 99, 3, kInfinity}, i);
            CHECK((id == 1 || id == 2 || id == 4));
        }
        const float nan = std::nanf("");
        CHECK(sampler.sample(std::vector<float>{nan, nan, nan, nan, nan, nan}, 0) == 1);
        CHECK(sampler.sample(std::vector<float>(6, -kInfinity), 0) == 1);
        CHECK(sampler.sample(std::vector<float>{9, nan, -1e30F, 9, nan, 9}, 0) == 2);
        CHECK(sampler.sample(std::vector<float>{9, 0, kInfinity, 9, 1, 9}, 0) == 2);
        CHECK(sampler.sample(std::vector<float>{9, -kInfinity, -std::numeric_limits<float>::max(),
                                                9, -kInfinity, 9},
                             0) == 2);
    }
    SamplingParams cold = plain();
    cold.temperature = 1e-40F;  // its inverse is infinite
    CHECK(Sampler(cold, v).sample(std::vector<float>{9, 1, 2, 9, 3, 9}, 0) == 4);
    SamplingParams hot = plain();
    hot.temperature = 1e30F;
    hot.top_p = 0.5F;
    CHECK_NOTHROW(Sampler(hot, v).sample(std::vector<float>{9, 1, -kInfinity, 9, 3, 9}, 0));
}

TEST_CASE("draws follow the distribution that is documented") {
    const std::vector<float> logits = random_logits(5, 40, 2.0F);
    const std::vector<double> exact(logits.begin(), logits.end());
    SamplingParams p = plain();
    SECTION("all") {}
    SECTION("temperature") {
        p.temperature = 0.5F;
    }
    SECTION("hot") {
        p.temperature = 3;
    }
    SECTION("top_p") {
        p.top_p = 0.8F;
    }
    SECTION("tiny top_p") {
        p.top_p = 1e-6F;
    }
    SECTION("top_k") {
        p.top_k = 7;
    }
    SECTION("min_p") {
        p.min_p = 0.05F;
    }
    SECTION("together") {
        p.temperature = 1.3F;
        p.top_k = 12;
        p.top_p = 0.9F;
        p.min_p = 0.02F;
    }
    SECTION("top_k of everything") {
        p.top_k = 1000;
    }
    check_distribution(logits, p, naive(exact, p));
}

TEST_CASE("the kept set equals a full sort's on 154,880 logits") {
    for (uint32_t seed = 0; seed < 3; seed++) {
        const std::vector<float> logits = random_logits(seed, 154880, seed == 0 ? 4.0F : 1.5F);
        SamplingParams p = plain();
        p.top_p = seed % 2 == 0 ? 0.95F : 0.5F;
        p.top_k = seed == 2 ? 40 : 0;
        const auto want = naive(std::vector<double>(logits.begin(), logits.end()), p);
        Sampler sampler(p, words(154880));
        int outside = 0;
        double least = 1;
        for (const auto& [id, probability] : want) {
            least = std::min(least, probability);
        }
        for (int i = 0; i < 30; i++) {
            outside += want.contains(sampler.sample(logits, i)) ? 0 : 1;
        }
        // In float the border of top_p may fall one token later than in double.
        CHECK(outside <= (least < 1e-4 ? 1 : 0));
    }
}

TEST_CASE("penalties and bias change logits as written") {
    SamplingParams p = plain();
    p.repetition_penalty = 2;
    p.frequency_penalty = 0.5F;
    p.presence_penalty = 0.25F;
    p.logit_bias = {{4, 1.5F}, {5, -kInfinity}};
    p.temperature = 0;
    Sampler sampler(p, words(8));
    sampler.see_prompt(std::vector<TokenId>{1, 2});
    // 1: 3 -> 1.5, 2: -1 -> -2, 4: 0 -> 1.5, 5: gone, 6: 1.4
    const std::vector<float> logits = {0, 3, -1, 0, 0, 9, 1.4F, -9};
    CHECK(sampler.sample(logits, 0) == 1);  // 1.5, the lower id
    CHECK(sampler.sample(logits, 1) == 4);  // 1: 1.5 - 0.75
    CHECK(sampler.sample(logits, 2) == 6);  // 4: 1.5 / 2 - 0.75 = 0
    CHECK(sampler.sample(logits, 3) == 1);  // 6: 0.7 - 0.75; 1 is at 0.75
    CHECK(sampler.sample(logits, 4) == 1);  // 0.25; 0 and 3 are at 0
    CHECK(sampler.sample(logits, 5) == 0);  // 1: -0.25
}

TEST_CASE("the same seed and position give the same token, another seed another text") {
    const std::vector<float> logits = random_logits(9, 1000, 1.0F);
    const auto text = [&](std::optional<uint64_t> seed) {
        SamplingParams p;
        p.seed = seed;
        Sampler sampler(p, words(1000));
        std::vector<TokenId> ids;
        for (int i = 0; i < 30; i++) {
            ids.push_back(sampler.sample(logits, i));
        }
        return ids;
    };
    CHECK(text(7) == text(7));
    CHECK(text(7) != text(8));
    CHECK(text(0) != text(1));
    CHECK(text(std::nullopt) != text(std::nullopt));
    double sum = 0;
    for (uint64_t i = 0; i < 10000; i++) {
        const double u = runtime::uniform_from(3, i);
        REQUIRE(u >= 0);
        REQUIRE(u < 1);
        sum += u;
    }
    CHECK(sum / 10000 == Approx(0.5).margin(0.02));
}

TEST_CASE("parameters out of range are refused by name") {
    const auto refused = [](auto change, const char* field) {
        SamplingParams p;
        change(p);
        try {
            Sampler::check(p, 100);
            FAIL("accepted a bad " << field);
        } catch (const runtime::RequestError& e) {
            CHECK(e.param == field);
            CHECK(e.kind == runtime::RequestError::Kind::invalid);
        }
    };
    refused([](SamplingParams& p) { p.temperature = -1; }, "temperature");
    refused([](SamplingParams& p) { p.temperature = std::nanf(""); }, "temperature");
    refused([](SamplingParams& p) { p.top_p = 0; }, "top_p");
    refused([](SamplingParams& p) { p.top_p = 1.5F; }, "top_p");
    refused([](SamplingParams& p) { p.top_k = -1; }, "top_k");
    refused([](SamplingParams& p) { p.min_p = 2; }, "min_p");
    refused([](SamplingParams& p) { p.repetition_penalty = 0; }, "repetition_penalty");
    refused([](SamplingParams& p) { p.frequency_penalty = kInfinity; }, "frequency_penalty");
    refused([](SamplingParams& p) { p.presence_penalty = std::nanf(""); }, "presence_penalty");
    refused([](SamplingParams& p) { p.logit_bias = {{100, 1.0F}}; }, "logit_bias");
    refused([](SamplingParams& p) { p.logit_bias = {{-1, 1.0F}}; }, "logit_bias");
    CHECK_NOTHROW(Sampler::check(SamplingParams(), 100));
}

TEST_CASE("time of a sample of 154,880 words", "[.][bench]") {
    const std::vector<float> logits = random_logits(1, 154880, 3.0F);
    for (const char* name : {"top_p 0.95", "greedy", "everything", "top_k 40"}) {
        SamplingParams p;
        p.seed = 1;
        p.temperature = name[0] == 'g' ? 0 : 1;
        p.top_p = name[0] == 'e' ? 1 : 0.95F;
        p.top_k = name[4] == 'k' ? 40 : 0;
        Sampler sampler(p, words(154880));
        const std::clock_t begin = std::clock();
        for (int i = 0; i < 100; i++) {
            (void)sampler.sample(logits, i);
        }
        const double ms = static_cast<double>(std::clock() - begin) * 1000.0 / CLOCKS_PER_SEC / 100;
        WARN(name << ": " << ms << " ms");
    }
}
