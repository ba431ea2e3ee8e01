#include "app/prompt.h"

#include "runtime/text/detokenizer.h"
#include "runtime/text/reply_parser.h"

namespace app {
namespace {

struct Reading {
    std::string content, reasoning;          // given out while the text came
    std::string all_content, all_reasoning;  // and at its end
};

Reading read_back(const std::string& text, bool starts_in_reasoning) {
    runtime::ReplyParserOptions options;
    options.starts_in_reasoning = starts_in_reasoning;
    runtime::ReplyParser parser(options);
    Reading reading;
    const auto take = [](const std::vector<runtime::ReplyDelta>& deltas, std::string& content,
                         std::string& reasoning) {
        for (const runtime::ReplyDelta& delta : deltas) {
            if (delta.kind == runtime::ReplyDelta::Kind::content) {
                content += delta.text;
            } else if (delta.kind == runtime::ReplyDelta::Kind::reasoning) {
                reasoning += delta.text;
            }
        }
    };
    take(parser.add(text), reading.content, reading.reasoning);
    reading.all_content = reading.content;
    reading.all_reasoning = reading.reasoning;
    take(parser.finish(false), reading.all_content, reading.all_reasoning);
    return reading;
}

// The window strips line ends before the first word of an answer.
bool same_but_for_leading_lines(std::string_view a, std::string_view b) {
    a.remove_prefix(std::min(a.find_first_not_of('\n'), a.size()));
    b.remove_prefix(std::min(b.find_first_not_of('\n'), b.size()));
    return a == b;
}

}  // namespace

Continuation continuation_of(const runtime::Tokenizer& tokenizer,
                             const Message& answer,
                             bool thinking) {
    Continuation result;
    if (!answer.tokens.empty()) {
        runtime::Detokenizer detokenizer(tokenizer);
        std::string text;
        bool known = true;
        for (const runtime::TokenId id : answer.tokens) {
            known = known && id >= 0 && id < tokenizer.vocab_size();
            if (known) {
                text += detokenizer.add(id);
            }
        }
        for (const bool starts : {true, false}) {
            const Reading reading = read_back(text, starts);
            const auto same = [&](const std::string& content, const std::string& reasoning) {
                return same_but_for_leading_lines(content, answer.content) &&
                       same_but_for_leading_lines(reasoning, answer.reasoning);
            };
            if (known && (same(reading.content, reading.reasoning) ||
                          same(reading.all_content, reading.all_reasoning))) {
                return {answer.tokens, text, starts, reading.content, reading.reasoning};
            }
        }
    }
    // As the model was taught to write it: reasoning, its end, the content.
    const auto marker = [&](std::string_view name) {
        if (const auto id = tokenizer.find(name)) {
            result.tokens.push_back(*id);
        } else {
            tokenizer.encode(name, runtime::Special::as_text, result.tokens);
        }
        result.text += name;
    };
    const auto plain = [&](const std::string& text) {
        tokenizer.encode(text, runtime::Special::as_text, result.tokens);
        result.text += text;
    };
    const bool empty = answer.reasoning.empty() && answer.content.empty();
    result.starts_in_reasoning = !answer.reasoning.empty() || (empty && thinking);
    if (!answer.reasoning.empty()) {
        plain(answer.reasoning);
        if (!answer.content.empty()) {
            marker("</think>");
        }
    }
    plain(answer.content);
    const Reading reading = read_back(result.text, result.starts_in_reasoning);
    result.content = reading.content;
    result.reasoning = reading.reasoning;
    return result;
}

Prompt make_prompt(const runtime::Tokenizer& tokenizer,
                   const Conversation& conversation,
                   const PromptSettings& settings) {
    Prompt prompt;
    runtime::ChatOptions options{settings.thinking, !settings.keep_thinking, true};
    const auto& messages = conversation.messages;
    if (messages.empty() || messages.back().role != runtime::Role::assistant) {
        prompt.tokens = runtime::ChatFormat::encode(
            tokenizer, to_chat(conversation, settings.system_prompt), {}, options);
        return prompt;
    }
    prompt.continued = continuation_of(tokenizer, messages.back(), settings.thinking);
    options.enable_thinking = prompt.continued->starts_in_reasoning;
    Conversation before = conversation;
    before.messages.pop_back();
    prompt.tokens = runtime::ChatFormat::encode(tokenizer, to_chat(before, settings.system_prompt),
                                                {}, options);
    prompt.tokens.insert(prompt.tokens.end(), prompt.continued->tokens.begin(),
                         prompt.continued->tokens.end());
    return prompt;
}

}  // namespace app
