// PromptCount: what the next prompt will hold, in tokens, by where they come from. While a person
// types, only their words are counted again, however large what is attached. Any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "app/conversation.h"
#include "app/prompt.h"
#include "runtime/text/tokenizer.h"

namespace app {

struct PromptCount {
    int64_t system = 0;    // the system prompt and the format's own
    int64_t codebase = 0;  // what is attached
    int64_t chat = 0;      // everything else that was said
    int64_t thinking = 0;  // reasoning of earlier answers that stays in the prompt
    int64_t draft = 0;     // the words that are not sent yet
    int64_t total = 0;

    // From which recount_words() goes on: the words, and the last line before them in their
    // message; no line where none can be told apart for sure.
    std::string words;
    std::optional<std::string> line;
};

// The prompt of `conversation` with the draft behind it, as make_prompt() will make it.
PromptCount count_prompt(const runtime::Tokenizer& tokenizer,
                         Conversation conversation,
                         const Draft& draft,
                         const PromptSettings& settings);

// What count_prompt() says of the same with other words; nothing where all has to be counted.
std::optional<PromptCount> recount_words(const runtime::Tokenizer& tokenizer,
                                         const PromptCount& before,
                                         const std::string& words,
                                         const PromptSettings& settings);

}  // namespace app
