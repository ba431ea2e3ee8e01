// What each type of the K cache costs in answers, measured with the demo model on its held-out
// questions about facts in a text (assets/demo/heldout): how far the logits of every position are
// from those of an f16 cache, and how many facts are found. Prints the table; fails where a type
// strays from f16 further than its rounding explains.
#include <algorithm>
#include <cctype>
#include <cstdio>
#include <fstream>
#include <span>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "runtime/engine/direct_run.h"
#include "runtime/text/chat_format.h"
#include "runtime/text/detokenizer.h"
#include "runtime/text/tokenizer.h"
#include "tests/support/catch.h"

namespace {

constexpr const char* kDemo = TESTS_DIR "/../assets/demo/keyhole-demo.gguf";
constexpr int kAnswerTokens = 24;

struct Question {
    std::vector<runtime::ChatMessage> messages;
    std::vector<std::vector<std::string>> must;
};

std::vector<Question> questions(const std::string& set, size_t count) {
    std::ifstream file(TESTS_DIR "/../assets/demo/heldout/" + set + ".jsonl");
    std::vector<Question> list;
    for (std::string line; list.size() < count && std::getline(file, line);) {
        const auto json = nlohmann::json::parse(line);
        Question q;
        for (const auto& message : json["messages"]) {
            runtime::ChatMessage m;
            m.role = message["role"] == "system" ? runtime::Role::system : runtime::Role::user;
            m.content = message["content"];
            q.messages.push_back(m);
        }
        q.must = json["must"];
        list.push_back(q);
    }
    return list;
}

std::string lower(std::string text) {
    std::ranges::transform(text, text.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return text;
}

int32_t argmax(std::span<const float> row) {
    return static_cast<int32_t>(std::max_element(row.begin(), row.end()) - row.begin());
}

struct Outcome {
    int found = 0;
    size_t vocab = 0;
    std::vector<std::vector<float>> logits;  // of every prompt, all positions
};

Outcome ask(const kernels::KType& type, const std::vector<Question>& list) {
    runtime::EngineOptions options;
    options.cache_type = type;
    options.ctx_size = 2048;
    options.threads = 1;
    runtime::DirectRun run(kDemo, options);
    const runtime::Tokenizer& tokenizer = *run.model().tokenizer;
    Outcome outcome;
    for (const Question& q : list) {
        runtime::ChatOptions chat;
        chat.enable_thinking = false;
        const auto prompt = runtime::ChatFormat::encode(tokenizer, q.messages, {}, chat);
        run.reset();
        const std::span<const float> all = run.forward(prompt, true);
        outcome.logits.emplace_back(all.begin(), all.end());
        const size_t vocab = outcome.vocab = static_cast<size_t>(run.model().config.vocab);
        std::vector<runtime::TokenId> answer = {argmax(all.last(vocab))};
        while (answer.size() < kAnswerTokens && !tokenizer.is_end_of_turn(answer.back())) {
            answer.push_back(argmax(run.forward({&answer.back(), 1})));
        }
        const std::string text = lower(tokenizer.decode(answer));
        bool right = true;
        for (const auto& group : q.must) {
            right = right && std::ranges::any_of(group, [&](const std::string& word) {
                        return text.find(lower(word)) != std::string::npos;
                    });
        }
        outcome.found += right ? 1 : 0;
    }
    return outcome;
}

}  // namespace

TEST_CASE("cache types: logits against f16, and planted facts found by the demo model") {
    std::vector<Question> list = questions("recall_250", 20);
    const std::vector<Question> longer = questions("recall_1000", 4);
    list.insert(list.end(), longer.begin(), longer.end());
    const auto count = static_cast<int>(list.size());
    REQUIRE(count == 24);
    const Outcome f16 = ask(kernels::DType::f16, list);
    CHECK(f16.found >= count * 3 / 4);  // the questions mean something to the model
    std::printf(
        "| cache | bytes a row of 512 + 64 | NMSE of logits | same first choice | facts found |\n| "
        "--- | --- | --- | --- | --- |\n");
    std::printf("| f16 | 1152 | - | - | %d of %d |\n", f16.found, count);
    // Every type rounds the rows a little, and the layers behind make more of it: what 8 bits may
    // cost is measured by what bf16 costs, which keeps 8 significant bits too.
    double bf16 = 0;
    for (const kernels::KType& type :
         {kernels::KType(kernels::DType::bf16), kernels::KType(kernels::DType::q8_0),
          kernels::KType::q8_latent(), kernels::KType(kernels::DType::q4_0)}) {
        const Outcome other = ask(type, list);
        double error = 0, size = 0;
        int64_t same = 0, rows = 0;
        for (size_t i = 0; i < f16.logits.size(); i++) {
            for (size_t at = 0; at < f16.logits[i].size(); at += f16.vocab, rows++) {
                same += argmax(std::span(f16.logits[i]).subspan(at, f16.vocab)) ==
                        argmax(std::span(other.logits[i]).subspan(at, f16.vocab));
            }
            for (size_t k = 0; k < f16.logits[i].size(); k++) {
                const double a = f16.logits[i][k], b = other.logits[i][k];
                error += (a - b) * (a - b);
                size += a * a;
            }
        }
        const double nmse = error / size;
        std::printf("| %s | %lld | %.2e | %lld of %lld | %d of %d |\n", kernels::name(type).c_str(),
                    static_cast<long long>(kernels::k_row_bytes(type, 512, 64)), nmse,
                    static_cast<long long>(same), static_cast<long long>(rows), other.found, count);
        INFO(kernels::name(type));
        CHECK(nmse > 0);
        if (bf16 == 0) {
            bf16 = nmse;
            CHECK(nmse < 5e-3);
        }
        if (type == kernels::DType::q4_0) {
            CHECK(nmse > 2 * bf16);  // 4 bits are seen
            CHECK(other.found >= count / 2);
        } else {
            CHECK(nmse < 2 * bf16);
            CHECK(other.found >= f16.found - 1);
        }
    }
}
