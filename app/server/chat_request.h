// ChatRequest: the body of POST /v1/chat/completions, checked whole before anything is computed.
// Knows OpenAI's fields and what of them Keyhole honours; what it cannot honour is refused with
// 400, never quietly loosened.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "app/json/json.h"
#include "app/server/tool_schema.h"
#include "runtime/engine/generation.h"
#include "runtime/text/chat_format.h"

namespace app {

inline constexpr size_t kMaxMessages = 10'000;
inline constexpr size_t kMaxParts = 10'000;  // of one message
inline constexpr size_t kMaxTools = 1024;
inline constexpr size_t kMaxTokenIds = 4 << 20;  // of one list

struct ChatRequest {
    std::vector<runtime::ChatMessage> messages;
    std::vector<std::string> tools;  // each as the template writes it
    ToolSchemas schemas;             // empty where tool_choice is "none"
    runtime::ChatOptions format;

    runtime::SamplingParams sampling;  // seed is that of the first choice
    std::vector<std::string> stop;
    int64_t max_tokens = -1;
    int choices = 1;
    bool parallel_tool_calls = true;

    bool logprobs = false;
    int top_logprobs = 0;
    // What the reply is held to (constraint.h).
    enum class ToolChoice { automatic, none, required };
    ToolChoice tool_choice = ToolChoice::automatic;
    std::string forced_tool;  // required: this one; empty: any
    struct Callable {
        std::string name;
        Json parameters;      // null: none
        bool strict = false;  // what its schema says beyond names and types must be honoured, or refused
    };
    std::vector<Callable> callable;   // the declared tools
    std::optional<Json> json_schema;  // response_format; true: any object
    std::string gbnf;                 // empty: none

    bool stream = false;
    bool include_usage = false;
    bool timings_per_token = false;

    // Throws ApiError (400). `vocab_size` bounds the ids of logit_bias.
    static ChatRequest parse(const Json& body, int64_t vocab_size);

    // messages, tools and the template's switches alone: what /apply-template takes.
    static ChatRequest parse_prompt(const Json& body);
};

// temperature, top_p, penalties, ...: shared with /v1/completions.
runtime::SamplingParams parse_sampling(const Json& body, int64_t vocab_size);
std::vector<std::string> parse_stop(const Json& body);
// The entries of an array at `path`, each an id of the vocabulary.
std::vector<runtime::TokenId> parse_token_ids(const Json& list,
                                              const std::string& path,
                                              int64_t vocab_size);

}  // namespace app
