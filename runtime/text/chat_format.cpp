#include "runtime/text/chat_format.h"

#include "runtime/text/unicode.h"

namespace runtime {
namespace {

constexpr std::string_view kThink = "<think>", kEndThink = "</think>";

// Where a prompt goes: `marker` is one of the format's own tokens, `text` everything else.
class PromptText {
public:
    void marker(std::string_view token) { prompt += token; }
    void text(std::string_view plain) { prompt += plain; }

    std::string prompt;
};

class PromptTokens {
public:
    explicit PromptTokens(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

    void marker(std::string_view token) {
        if (const auto id = tokenizer_.find(token)) {
            end_text();
            ids_.push_back(*id);
        } else {
            text(token);  // a vocabulary without it: the characters are all the model can be told
        }
    }
    void text(std::string_view plain) { pending_ += plain; }

    std::vector<TokenId> take() {
        end_text();
        return std::move(ids_);
    }

private:
    // Text between two markers is encoded in one piece, whoever wrote its parts: so the model saw
    // it.
    void end_text() {
        tokenizer_.encode(pending_, Special::as_text, ids_);
        pending_.clear();
    }

    const Tokenizer& tokenizer_;
    std::vector<TokenId> ids_;
    std::string pending_;
};

std::string_view trim_line_ends(std::string_view text, bool front, bool back) {
    while (front && text.starts_with('\n')) {
        text.remove_prefix(1);
    }
    while (back && text.ends_with('\n')) {
        text.remove_suffix(1);
    }
    return text;
}

struct AssistantText {
    std::string_view reasoning, content;
};

// Reasoning that came inside the content: between its last <think> before the first </think> and
// that; what follows the last </think> is the content.
AssistantText split_reasoning(const ChatMessage& message) {
    const std::string_view content = message.content;
    if (message.reasoning) {
        return {*message.reasoning, content};
    }
    const size_t first_end = content.find(kEndThink);
    if (first_end == std::string_view::npos) {
        return {{}, content};
    }
    std::string_view reasoning = trim_line_ends(content.substr(0, first_end), false, true);
    if (const size_t begin = reasoning.rfind(kThink); begin != std::string_view::npos) {
        reasoning.remove_prefix(begin + kThink.size());
    }
    const size_t last_end = content.rfind(kEndThink);
    return {trim_line_ends(reasoning, true, false),
            trim_line_ends(content.substr(last_end + kEndThink.size()), true, false)};
}

template <typename Out>
void write_tools(Out& out, const std::vector<std::string>& tools) {
    out.marker("<|system|>");
    out.text(
        "\n# Tools\n\nYou may call one or more functions to assist with the user query.\n\n"
        "You are provided with function signatures within <tools></tools> XML tags:\n<tools>\n");
    for (const std::string& tool : tools) {
        out.text(tool);
        out.text("\n");
    }
    out.text(
        "</tools>\n\nFor each function call, output the function name and arguments within the "
        "following XML format:\n");
    out.marker("<tool_call>");
    out.text("{function-name}");
    for (const std::string_view number : {"1", "2"}) {
        out.marker("<arg_key>");
        out.text("{arg-key-");
        out.text(number);
        out.text("}");
        out.marker("</arg_key>");
        out.marker("<arg_value>");
        out.text("{arg-value-");
        out.text(number);
        out.text("}");
        out.marker("</arg_value>");
    }
    out.text("...");
    out.marker("</tool_call>");
}

template <typename Out>
void write_assistant(Out& out, const ChatMessage& message, bool keep_reasoning) {
    const AssistantText parts = split_reasoning(message);
    out.marker("<|assistant|>");
    if (keep_reasoning && !parts.reasoning.empty()) {
        out.marker(kThink);
        out.text(strip(parts.reasoning));
    }
    out.marker(kEndThink);
    out.text(strip(parts.content));
    for (const ToolCall& call : message.tool_calls) {
        out.marker("<tool_call>");
        out.text(call.name);
        for (const ToolArgument& argument : call.arguments) {
            out.marker("<arg_key>");
            out.text(argument.key);
            out.marker("</arg_key>");
            out.marker("<arg_value>");
            out.text(argument.value);
            out.marker("</arg_value>");
        }
        out.marker("</tool_call>");
    }
}

template <typename Out>
void write_response(Out& out, std::string_view response) {
    out.marker("<tool_response>");
    out.text(response);
    out.marker("</tool_response>");
}

template <typename Out>
void write_prompt(Out& out,
                  const std::vector<ChatMessage>& messages,
                  const std::vector<std::string>& tools,
                  const ChatOptions& options) {
    out.marker("[gMASK]");
    out.marker("<sop>");
    if (!tools.empty()) {
        write_tools(out, tools);
    }
    size_t after_last_user = 0;
    for (size_t i = 0; i < messages.size(); i++) {
        if (messages[i].role == Role::user) {
            after_last_user = i + 1;
        }
    }
    for (size_t i = 0; i < messages.size(); i++) {
        const ChatMessage& message = messages[i];
        switch (message.role) {
            case Role::system:
                out.marker("<|system|>");
                out.text(message.content);
                break;
            case Role::user:
                out.marker("<|user|>");
                out.text(message.content);
                break;
            case Role::assistant:
                write_assistant(out, message, !options.clear_thinking || i >= after_last_user);
                break;
            case Role::tool:
                // One <|observation|> for a run of plain results, one more for each list.
                if (message.responses || i == 0 || messages[i - 1].role != Role::tool) {
                    out.marker("<|observation|>");
                }
                if (!message.responses) {
                    write_response(out, message.content);
                } else {
                    for (const std::string& response : *message.responses) {
                        write_response(out, response);
                    }
                }
                break;
        }
    }
    if (options.add_generation_prompt) {
        out.marker("<|assistant|>");
        out.marker(options.enable_thinking ? kThink : kEndThink);
    }
}

}  // namespace

std::string ChatFormat::render(const std::vector<ChatMessage>& messages,
                               const std::vector<std::string>& tools,
                               const ChatOptions& options) {
    PromptText out;
    write_prompt(out, messages, tools, options);
    return std::move(out.prompt);
}

std::vector<TokenId> ChatFormat::encode(const Tokenizer& tokenizer,
                                        const std::vector<ChatMessage>& messages,
                                        const std::vector<std::string>& tools,
                                        const ChatOptions& options) {
    PromptTokens out(tokenizer);
    write_prompt(out, messages, tools, options);
    return out.take();
}

}  // namespace runtime
