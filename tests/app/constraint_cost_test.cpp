// What a constraint costs, counted: looks at nodes of the vocabulary's tree and transitions found
// out. No clock, so the bounds hold on any machine; constraint_bench.cpp has the microseconds.
#include <algorithm>
#include <bit>
#include <cstdio>
#include <random>
#include <vector>

#include "app/server/schema_grammar.h"
#include "runtime/model/synth_vocabulary.h"
#include "tests/support/catch.h"
#include "tests/support/schema_cases.h"

using runtime::TokenId;

TEST_CASE("a schema's masks are found with little work, whatever is sampled") {
    constexpr int64_t kVocabulary = 32'768;
    const auto tokenizer =
        std::make_shared<const runtime::Tokenizer>(runtime::worded_vocabulary(kVocabulary));
    const auto inner = std::make_shared<runtime::InnerMasks>(
        std::make_shared<const runtime::TokenTrie>(*tokenizer));
    const double nodes = static_cast<double>(inner->trie().size());
    std::mt19937 random(1);
    for (const tests::SchemaCase& c : tests::kSchemaCases) {
        const app::Json schema = app::parse_json(c.schema);
        app::ReplyShape shape;
        shape.schema = &schema;
        const auto grammar = app::reply_grammar(shape, *tokenizer);
        const auto ends = tokenizer->end_of_turn();
        const auto states = std::make_shared<runtime::GrammarStates>(
            grammar, inner, std::vector<TokenId>(ends.begin(), ends.end()));
        std::vector<double> work;  // of each token, in looks at the whole tree
        for (int reply = 0; reply < 10; reply++) {
            runtime::GrammarMatcher matcher({grammar, -1}, states, tokenizer);
            for (int left = 200; left > 0 && !matcher.finished(); left--) {
                const runtime::GrammarWork before = states->work();
                const runtime::TokenMask& mask = *matcher.mask();
                std::vector<TokenId> allowed;
                for (size_t word = 0; word < mask.size(); word++) {
                    for (uint64_t bits = mask[word]; bits != 0; bits &= bits - 1) {
                        const auto id = static_cast<TokenId>(
                            word * 64 + static_cast<size_t>(std::countr_zero(bits)));
                        if (!tokenizer->is_end_of_turn(id)) {
                            allowed.push_back(id);
                        }
                    }
                }
                if (allowed.empty()) {
                    break;
                }
                const TokenId id = matcher.within(
                    allowed[std::uniform_int_distribution<size_t>(0, allowed.size() - 1)(random)],
                    left);
                const bool ended = tokenizer->is_end_of_turn(id);
                if (!ended) {
                    matcher.accept(id);
                }
                // A transition takes about as long as a hundred looks.
                const runtime::GrammarWork after = states->work();
                work.push_back((static_cast<double>(after.nodes - before.nodes) +
                                100 * static_cast<double>(after.transitions - before.transitions)) /
                               nodes);
                if (ended) {
                    break;
                }
            }
        }
        std::sort(work.begin(), work.end());
        double sum = 0;
        for (const double one : work) {
            sum += one;
        }
        const double mean = sum / static_cast<double>(work.size()),
                     most = work[work.size() * 99 / 100];
        std::printf(
            "%-22s %zu tokens: %.4f of the tree a token, 99 of 100 below %.3f, at most %.2f\n",
            c.name, work.size(), mean, most, work.back());
        INFO(c.name);
        CHECK(mean < 0.02);
        CHECK(most < 0.2);
    }
}
