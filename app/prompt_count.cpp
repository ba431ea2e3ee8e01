#include "app/prompt_count.h"

#include <algorithm>

#include "runtime/text/chat_format.h"

namespace app {
namespace {

using runtime::ChatFormat;
using runtime::ChatOptions;

ChatOptions options_of(const PromptSettings& settings) {
    return {settings.thinking, !settings.keep_thinking, true};
}

int64_t tokens_of(const runtime::Tokenizer& tokenizer,
                  const Conversation& conversation,
                  const PromptSettings& settings) {
    return static_cast<int64_t>(ChatFormat::encode(tokenizer,
                                                   to_chat(conversation, settings.system_prompt),
                                                   {}, options_of(settings))
                                    .size());
}

// A message of these words alone: what differs between two of them differs between two prompts.
int64_t tokens_of(const runtime::Tokenizer& tokenizer,
                  std::string words,
                  const PromptSettings& settings) {
    return static_cast<int64_t>(
        ChatFormat::encode(
            tokenizer, {{runtime::Role::user, std::move(words), std::nullopt, {}, std::nullopt}},
            {}, options_of(settings))
            .size());
}

// The end of what stands before the words, from where on they can make a difference: no piece that
// the tokenizer cuts reaches from the end of a line over the first character of the next one
// (splitter.h), unless that is a space.
std::optional<std::string> last_line(const std::vector<Attachment>& staged) {
    constexpr size_t kLongest = 65'536;
    for (size_t i = staged.size(); i-- > 0;) {
        if (staged[i].left_out) {
            continue;
        }
        const std::string& text = staged[i].text.str();
        for (size_t at = text.size(); at > 1 && text.size() - at < kLongest; at--) {
            const auto first = static_cast<unsigned char>(text[at - 1]);
            if (text[at - 2] == '\n' && first > ' ' && first < 127) {
                return text.substr(at - 1) + "\n";
            }
        }
        return std::nullopt;
    }
    return "";
}

void share_out(PromptCount& count) {
    count.chat = std::max<int64_t>(
        0, count.total - count.system - count.codebase - count.draft - count.thinking);
}

}  // namespace

PromptCount count_prompt(const runtime::Tokenizer& tokenizer,
                         Conversation conversation,
                         const Draft& draft,
                         const PromptSettings& settings) {
    PromptCount count;
    if (!draft.empty()) {
        Message message;
        message.content = draft.text;
        message.attachments = draft.staged;
        conversation.messages.push_back(std::move(message));
        count.line = last_line(draft.staged);
    }
    bool reasoned = false;
    for (const Message& message : conversation.messages) {
        reasoned = reasoned || !message.reasoning.empty();
        for (const Attachment& attachment : message.attachments) {
            count.codebase += attachment.left_out ? 0 : attachment.tokens;
        }
    }
    ChatOptions bare = options_of(settings);
    bare.add_generation_prompt = false;
    count.system = static_cast<int64_t>(
        ChatFormat::encode(tokenizer, to_chat({}, settings.system_prompt), {}, bare).size());
    count.total = tokens_of(tokenizer, conversation, settings);
    count.words = draft.text;
    count.draft = tokenizer.count(draft.text);
    // What reasoning adds: the same prompt without it is so much shorter.
    if (reasoned) {
        for (Message& message : conversation.messages) {
            message.reasoning.clear();
        }
        count.thinking =
            std::max<int64_t>(0, count.total - tokens_of(tokenizer, conversation, settings));
    }
    share_out(count);
    return count;
}

std::optional<PromptCount> recount_words(const runtime::Tokenizer& tokenizer,
                                         const PromptCount& before,
                                         const std::string& words,
                                         const PromptSettings& settings) {
    // Words alone are a message; none are none.
    if (!before.line || (before.line->empty() && (words.empty() || before.words.empty()))) {
        return std::nullopt;
    }
    PromptCount count = before;
    count.total += tokens_of(tokenizer, *before.line + words, settings) -
                   tokens_of(tokenizer, *before.line + before.words, settings);
    count.words = words;
    count.draft = tokenizer.count(words);
    share_out(count);
    return count;
}

}  // namespace app
