// What holding a reply to a schema costs per token, with a vocabulary of the real model's size. Not
// a test: prints microseconds of this thread's processor time. Measured is all that the engine does
// for it: the mask, the look at the limit, and taking the token; and what sampling from the allowed
// tokens takes more, or less, than sampling from all. Tokens are drawn evenly from those allowed,
// which visits far more states than a model does.
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "app/server/schema_grammar.h"
#include "runtime/engine/sampler.h"
#include "runtime/model/synth_vocabulary.h"
#include "tests/support/schema_cases.h"

namespace {

using runtime::TokenId;

double now() {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) / 1e3;
}
double micros(double from) {
    return now() - from;
}

}  // namespace

int main() {
    constexpr int64_t kVocabulary = 154'880;
    constexpr int kReplies = 20, kTokens = 300;
    const auto tokenizer =
        std::make_shared<const runtime::Tokenizer>(runtime::worded_vocabulary(kVocabulary));
    auto began = now();
    const auto inner = std::make_shared<runtime::InnerMasks>(
        std::make_shared<const runtime::TokenTrie>(*tokenizer));
    std::printf("%lld tokens; the tree of them, once per model: %.0f ms\n",
                static_cast<long long>(kVocabulary), micros(began) / 1000);
    std::printf(
        "| schema | grammar, once, us | first mask, us | mean a token, us | median | 99 of 100 "
        "below | sampling from all, us | from the allowed |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- |\n");
    // As the model card of the real model says to sample.
    runtime::SamplingParams params;
    params.temperature = 1;
    params.top_p = 0.95F;
    params.seed = 1;
    const auto vocabulary =
        std::make_shared<const runtime::SampledVocabulary>(*tokenizer, kVocabulary);
    runtime::Sampler sampler(params, vocabulary);
    std::vector<float> logits(static_cast<size_t>(kVocabulary));
    std::normal_distribution<float> normal(0, 3);
    std::mt19937 noise(2);
    for (float& logit : logits) {
        logit = normal(noise);
    }
    const auto ends = tokenizer->end_of_turn();
    std::mt19937 random(1);
    for (const tests::SchemaCase& c : tests::kSchemaCases) {
        const app::Json schema = app::parse_json(c.schema);
        began = now();
        app::ReplyShape shape;
        shape.schema = &schema;
        const auto grammar = app::reply_grammar(shape, *tokenizer);
        const auto states = std::make_shared<runtime::GrammarStates>(
            grammar, inner, std::vector<TokenId>(ends.begin(), ends.end()));
        const double built = micros(began);
        std::vector<double> costs;
        double first = 0, free = 0, held = 0, sampled = 0;
        for (int reply = 0; reply < kReplies; reply++) {
            runtime::GrammarMatcher matcher({grammar, -1}, states, tokenizer);
            for (int left = kTokens; left > 0 && !matcher.finished(); left--) {
                began = now();
                const runtime::TokenMask& mask = *matcher.mask();
                double cost = micros(began);
                if (costs.size() % 16 == 0) {
                    // Another distribution each time: which token is the likeliest decides how many
                    // are looked at. The caches are warm for both that follow.
                    std::rotate(logits.begin(),
                                logits.begin() + 1 + static_cast<int64_t>(random() % 1000),
                                logits.end());
                    sampler.sample(logits, left);
                    began = now();
                    sampler.sample(logits, left, &mask);
                    held += micros(began);
                    began = now();
                    sampler.sample(logits, left);
                    free += micros(began);
                    sampled++;
                }
                std::vector<TokenId> allowed;
                for (TokenId id = 0; id < kVocabulary; id++) {
                    if (runtime::allows(mask, id) && !tokenizer->is_end_of_turn(id)) {
                        allowed.push_back(id);
                    }
                }
                if (allowed.empty()) {
                    break;
                }
                TokenId id =
                    allowed[std::uniform_int_distribution<size_t>(0, allowed.size() - 1)(random)];
                began = now();
                id = matcher.within(id, left);
                const bool ended = tokenizer->is_end_of_turn(id);
                if (!ended) {
                    matcher.accept(id);
                }
                cost += micros(began);
                if (costs.empty()) {
                    first = cost;
                }
                costs.push_back(cost);
                if (ended) {
                    break;
                }
            }
        }
        double sum = 0;
        for (const double cost : costs) {
            sum += cost;
        }
        const double mean = sum / static_cast<double>(costs.size());
        std::sort(costs.begin(), costs.end());
        std::printf("| %s | %.0f | %.0f | %.1f | %.1f | %.1f | %.0f | %.0f |\n", c.name, built,
                    first, mean, costs[costs.size() / 2], costs[costs.size() * 99 / 100],
                    free / sampled, held / sampled);
        std::fflush(stdout);
    }
    return 0;
}
