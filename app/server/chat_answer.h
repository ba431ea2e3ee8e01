// What a chat completion looks like on the wire: one choice's message as it grows, the chunks of a
// stream, the whole answer. Whole and streamed answers are built from the same pieces, so they are
// the same text.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "app/json/json.h"
#include "app/server/tool_schema.h"
#include "runtime/engine/generation.h"

namespace app {

// One choice while it is generated.
class ChoiceAnswer {
public:
    // `schemas` must outlive this. Without parallel calls, tool calls after the first are dropped.
    ChoiceAnswer(const ToolSchemas& schemas, bool parallel_calls)
        : schemas_(schemas),
          max_calls_(parallel_calls ? std::numeric_limits<int>::max() : 1) {}

    // The "delta" objects for these pieces, in order; the message grows by them.
    std::vector<Json> add(const std::vector<runtime::ReplyDelta>& deltas);

    // A tool call beyond max_calls began: the rest is not wanted.
    bool too_many_calls() const { return too_many_calls_; }
    Json message() const;

private:
    struct Call {
        std::string id;
        std::string name;
        std::string arguments;  // JSON text so far
        bool open = false;      // '{' was written, '}' not yet
        std::string text_key;   // of the string that was opened and not closed
        bool in_text = false;
    };
    Json call_delta(size_t position, const std::string& piece) const;

    const ToolSchemas& schemas_;
    const int max_calls_;
    bool too_many_calls_ = false;
    std::string content_;
    std::string reasoning_;
    std::vector<Call> calls_;
};

// What all parts of one answer carry.
struct AnswerHead {
    std::string id;
    int64_t created = 0;
    std::string model;
};

Json usage_json(const runtime::Usage& usage);
// One entry of logprobs.content. The text of a token that is part of a character has U+FFFD in it;
// its bytes say what it really is.
Json logprob_json(const runtime::Tokenizer& tokenizer, const runtime::TokenLogprob& logprob);
Json timings_json(const runtime::Usage& usage, const runtime::Timings& timings);

// finish_reason null unless given.
Json chunk_json(const AnswerHead& head,
                int choice,
                Json delta,
                const Json& finish_reason = nullptr);
Json usage_chunk_json(const AnswerHead& head, const runtime::Usage& usage);
Json choice_json(int choice, const Json& message, std::string_view finish_reason);
Json answer_json(const AnswerHead& head, Json choices, const runtime::Usage& usage);

}  // namespace app
