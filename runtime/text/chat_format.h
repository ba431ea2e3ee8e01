// ChatFormat: a conversation -> the prompt GLM-4.7-Flash was trained on. Equal byte for byte to the model's Jinja template
// (tests/golden/text/chat_template.jinja), written by hand. Knows no JSON library: tools and argument values come as text that the
// caller has already rendered the way Python's json.dumps(ensure_ascii=False) does. Immutable: any thread.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/text/tokenizer.h"

namespace runtime {

struct ToolArgument {
    std::string key;
    std::string value;  // a string's own characters, or the JSON text of anything else
};

struct ToolCall {
    std::string id;    // the API's; not part of the prompt
    std::string name;
    std::vector<ToolArgument> arguments;  // in the order given
};

// The template drops messages of any other role; so must the caller.
enum class Role { system, user, assistant, tool };

struct ChatMessage {
    Role role = Role::user;
    std::string content;
    std::optional<std::string> reasoning;  // assistant; absent: taken from a leading <think>…</think> of content
    std::vector<ToolCall> tool_calls;      // assistant
    // tool: a list content renders one response per item; absent means `content` is the one response
    std::optional<std::vector<std::string>> responses;
};

struct ChatOptions {
    bool enable_thinking = true;
    bool clear_thinking = true;       // reasoning before the last user message is left out, as the template does
    bool add_generation_prompt = true;
};

class ChatFormat {
public:
    // tools: each the JSON text of one tool object, one line.
    static std::string render(const std::vector<ChatMessage>& messages, const std::vector<std::string>& tools,
                              const ChatOptions& options);

    // The same prompt as tokens: the format's own markers become special tokens, whatever people wrote stays text.
    // Decoding the result (show_special) gives render() back, byte for byte. Text between two markers is encoded in one
    // piece; a marker that the vocabulary lacks is text.
    static std::vector<TokenId> encode(const Tokenizer& tokenizer, const std::vector<ChatMessage>& messages,
                                       const std::vector<std::string>& tools, const ChatOptions& options);
};

}  // namespace runtime
