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
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "app/server/schema_grammar.h"
#include "runtime/engine/sampler.h"
#include "runtime/model/synth_vocabulary.h"

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

struct Case {
    const char* name;
    const char* schema;
};

constexpr Case kCases[] = {
    {"a flat object",
     R"({"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0, "maximum": 150},
         "email": {"type": "string", "format": "email"}, "active": {"type": "boolean"}},
         "required": ["name", "age", "email", "active"], "additionalProperties": false})"},
    {"lists of objects",
     R"({"type": "object", "properties": {"items": {"type": "array", "items": {"type": "object", "properties": {
         "id": {"type": "integer"}, "title": {"type": "string", "maxLength": 80}, "kind": {"enum": ["bug", "feature", "question"]},
         "tags": {"type": "array", "items": {"type": "string"}}}, "required": ["id", "title", "kind"],
         "additionalProperties": false}}}, "required": ["items"], "additionalProperties": false})"},
    {"a tree",
     R"({"$ref": "#/$defs/node", "$defs": {"node": {"type": "object", "properties": {"value": {"type": "string"},
         "children": {"type": "array", "items": {"$ref": "#/$defs/node"}}}, "required": ["value", "children"],
         "additionalProperties": false}}})"},
    {"short texts and lists",
     R"({"type": "object", "properties": {"code": {"type": "string", "minLength": 3, "maxLength": 12},
         "name": {"type": "string", "maxLength": 40}, "tags": {"type": "array", "minItems": 2, "maxItems": 5,
         "items": {"type": "string", "maxLength": 20}}, "plate": {"type": "string", "pattern": "^[A-Z]{1,3}-[A-Z]{1,2} [0-9]{1,4}$"},
         "price": {"type": "number", "minimum": 0, "maximum": 9999.99}, "on": {"type": "string", "format": "date"}},
         "required": ["code", "name", "tags", "plate", "price", "on"], "additionalProperties": false})"},
    {"any JSON", "true"},
};

// A byte in GPT-2's alphabet: printable Latin-1 characters stand for themselves, others for U+0100
// and up.
std::string alphabet(unsigned char byte) {
    const auto prints = [](int b) { return (b > 0x20 && b < 0x7F) || (b > 0xA0 && b != 0xAD); };
    int code = byte;
    if (!prints(byte)) {
        code = 0x100;
        for (int b = 0; b < byte; b++) {
            code += prints(b) ? 0 : 1;
        }
    }
    return code < 0x80 ? std::string(1, static_cast<char>(code))
                       : std::string{static_cast<char>(0xC0 | code >> 6),
                                     static_cast<char>(0x80 | (code & 0x3F))};
}

// The real model's number of tokens, all in use: words with and without a blank before them,
// Chinese, numbers, punctuation of code and JSON, runs of blanks.
runtime::Vocabulary full_vocabulary(int64_t size) {
    runtime::Vocabulary vocabulary = runtime::synthetic_vocabulary(size);
    std::unordered_set<std::string> known(vocabulary.tokens.begin(), vocabulary.tokens.end());
    std::mt19937 random(7);
    const auto below = [&random](size_t n) {
        return std::uniform_int_distribution<size_t>(0, n - 1)(random);
    };
    constexpr std::string_view kLetters = "eeeeettttaaaooinnsshhrrddlluccmmffyywwggppbbvkxqjzAEST";
    constexpr std::string_view kSigns = "\"\"\"{}[]:,.;()<>=+-*/_#!?&|\n\t ";
    const auto make = [&] {
        std::string text;
        const size_t kind = below(100);
        if (kind < 75) {
            text.assign(kind < 45 ? 1 : 0, ' ');
            for (size_t n = 2 + below(9); n > 0; n--) {
                text += kLetters[below(kLetters.size())];
            }
        } else if (kind < 92) {
            for (size_t n = 1 + below(3); n > 0; n--) {
                text += {static_cast<char>(0xE4 + below(5)), static_cast<char>(0x80 + below(64)),
                         static_cast<char>(0x80 + below(64))};
            }
        } else if (kind < 94) {
            text = std::to_string(below(1000));
        } else if (kind < 95) {
            text.assign(1 + below(100), ' ');
        } else {
            for (size_t n = 1 + below(5); n > 0; n--) {
                text += kSigns[below(kSigns.size())];
            }
        }
        std::string token;
        for (const char c : text) {
            token += alphabet(static_cast<unsigned char>(c));
        }
        return token;
    };
    constexpr int32_t kNormal = 1, kUnused = 5;
    for (size_t i = 0; i < vocabulary.tokens.size(); i++) {
        if (vocabulary.types[i] == kUnused) {
            std::string token = make();
            while (!known.insert(token).second) {
                token = make();
            }
            vocabulary.tokens[i] = token;
            vocabulary.types[i] = kNormal;
        }
    }
    return vocabulary;
}

}  // namespace

int main() {
    constexpr int64_t kVocabulary = 154'880;
    constexpr int kReplies = 20, kTokens = 300;
    const auto tokenizer = std::make_shared<const runtime::Tokenizer>(full_vocabulary(kVocabulary));
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
    for (const Case& c : kCases) {
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
        std::printf("| %s | %.0f | %.0f | %.1f | %.1f | %.1f | %.0f | %.0f |\n", c.name, built, first,
                    mean, costs[costs.size() / 2], costs[costs.size() * 99 / 100], free / sampled,
                    held / sampled);
        std::fflush(stdout);
    }
    return 0;
}
