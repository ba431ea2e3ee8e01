// The prompt of the next answer: a conversation with the person's decisions applied, as tokens.
// What is counted, what the overflow card promises and what is sent all come from here. Any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "app/conversation.h"
#include "runtime/text/tokenizer.h"

namespace app {

struct PromptSettings {
    std::string system_prompt;
    bool thinking = true;        // the model thinks before it answers
    bool keep_thinking = false;  // earlier answers' reasoning stays in the prompt
};

// An answer that is to go on: exactly where it ended.
struct Continuation {
    std::vector<runtime::TokenId> tokens;  // of the answer so far
    std::string text;                      // the same as the model wrote it, markers included
    bool starts_in_reasoning = true;
    std::string content, reasoning;  // what a reader of `text` has given out before it goes on
};

// From the tokens it was written with; where they do not give the text that is stored (edited,
// imported, another model's), from the text.
Continuation continuation_of(const runtime::Tokenizer& tokenizer,
                             const Message& answer,
                             bool thinking);

struct Prompt {
    std::vector<runtime::TokenId> tokens;
    std::optional<Continuation> continued;
    int64_t size() const { return static_cast<int64_t>(tokens.size()); }
};

// `conversation` ends with what is to be answered, or with an answer that is to be continued.
Prompt make_prompt(const runtime::Tokenizer& tokenizer,
                   const Conversation& conversation,
                   const PromptSettings& settings);

}  // namespace app
