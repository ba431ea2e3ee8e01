#include "app/conversation.h"

#include <algorithm>

namespace app {

double AnswerStats::tokens_per_second() const {
    // The first token ends the prompt's time; the others are what generation_ms covers.
    return completion_tokens > 1 && generation_ms > 0
               ? (completion_tokens - 1) * 1000.0 / generation_ms
               : 0;
}

std::vector<runtime::ChatMessage> to_chat(const Conversation& conversation,
                                          std::string_view system_prompt) {
    std::vector<runtime::ChatMessage> chat;
    if (!system_prompt.empty()) {
        chat.push_back(
            {runtime::Role::system, std::string(system_prompt), std::nullopt, {}, std::nullopt});
    }
    for (const Message& message : conversation.messages) {
        const bool is_answer = message.role == runtime::Role::assistant;
        // Left out are the words; a file that hangs on them is a decision of its own.
        const bool has_files =
            std::any_of(message.attachments.begin(), message.attachments.end(),
                        [](const Attachment& attachment) { return !attachment.left_out; });
        if (message.left_out && !has_files) {
            continue;
        }
        if (is_answer && message.content.empty() && message.reasoning.empty() &&
            message.tool_calls.empty()) {
            continue;
        }
        runtime::ChatMessage out;
        out.role = message.role;
        for (const Attachment& attachment : message.attachments) {
            if (!attachment.left_out) {
                out.content += attachment.text.str();
                out.content += '\n';
            }
        }
        if (!message.left_out) {
            out.content += message.content;
        }
        if (is_answer) {
            out.reasoning = message.reasoning;
            out.tool_calls = message.tool_calls;
        }
        chat.push_back(std::move(out));
    }
    return chat;
}

std::string title_from(std::string_view text, size_t max_characters) {
    std::string title;
    size_t characters = 0, last_space = 0;
    bool cut = false;
    for (const char c : text) {
        const bool space = c == ' ' || c == '\n' || c == '\t' || c == '\r';
        if (space && (title.empty() || title.back() == ' ')) {
            continue;
        }
        const bool begins_character = (static_cast<unsigned char>(c) & 0xC0) != 0x80;
        if (begins_character && characters == max_characters) {
            cut = true;
            break;
        }
        characters += begins_character;
        if (space) {
            last_space = title.size();
        }
        title += space ? ' ' : c;
    }
    if (cut && last_space > title.size() / 2) {
        title.resize(last_space);
    }
    while (title.ends_with(' ')) {
        title.pop_back();
    }
    return cut ? title + "\u2026" : title;
}

}  // namespace app
