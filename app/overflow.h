// Overflow: what a person can decide when a prompt and the room kept for its answer do not fit the
// context. Each choice says to the token what it changes; nothing is left out but by a choice.
// Any thread.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "app/conversation.h"
#include "app/prompt.h"
#include "runtime/text/tokenizer.h"

namespace app {

struct OverflowLimits {
    int64_t context = 0;  // tokens one sequence may hold
    int64_t reserve = 0;  // of these, kept for the answer
    // For raising the limit: what the model was trained for, and what a token's K rows take.
    int64_t model_context = 0;
    int64_t bytes_per_token = 0;
    int64_t free_bytes = 0;
};

struct OverflowChoice {
    enum class Kind {
        trim_turns,        // the oldest turns' words; files that hang on them stay
        drop_thinking,     // earlier answers' reasoning, where it was kept in the prompt
        drop_attachment,   // one attached folder or file
        less_room,         // send all of it and leave less for the answer
        raise_limit,       // a larger context: the model is loaded again
        new_conversation,  // the question alone, with the same attached files first
    };
    Kind kind = Kind::less_room;
    std::vector<size_t> messages;                // left out by it, as indices
    std::pair<size_t, size_t> attachment{0, 0};  // of message .first, the .second-th
    int64_t freed_tokens = 0;
    int64_t prompt_tokens = 0;  // of the prompt that is sent after it
    bool fits = false;          // with the reserve (less_room: with one token at least)
    int64_t room = 0;           // tokens left for the answer then; negative: too many by
    int64_t limit = 0;          // raise_limit: the context it takes
    int64_t bytes = 0;          // raise_limit: what that adds
    bool possible = true;       // raise_limit: memory for it is free
};

struct OverflowReport {
    bool overflows = false;
    int64_t prompt_tokens = 0;
    int64_t reserve = 0;
    int64_t limit = 0;
    std::vector<OverflowChoice> choices;  // empty where it fits
    int64_t excess() const { return prompt_tokens + reserve - limit; }
};

// `conversation` ends with what is to be answered or continued, as for make_prompt().
OverflowReport plan_overflow(const runtime::Tokenizer& tokenizer,
                             const Conversation& conversation,
                             const PromptSettings& settings,
                             const OverflowLimits& limits);

// What a choice makes of the conversation and of the settings: make_prompt() of them has
// choice.prompt_tokens tokens.
void apply_choice(const OverflowChoice& choice,
                  Conversation& conversation,
                  PromptSettings& settings);

}  // namespace app
