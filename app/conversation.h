// Conversation: what a person sees - turns, what was attached to them, what each answer cost. Plain
// data; the main thread owns it, a worker gets copies. ChatMessages for the model are made from it
// here and nowhere else.
//
// Messages form a tree: an edited question and a second answer are siblings of the first. A
// Conversation holds one path through it, from the first message to the last of the branch that is
// shown; the store keeps the rest.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "app/attached_files.h"
#include "app/shared_text.h"
#include "runtime/text/chat_format.h"
#include "runtime/text/tokenizer.h"

namespace app {

// A dropped folder or file, as it was when it was dropped.
struct Attachment {
    std::string name;  // "keyhole/"
    SharedText text;   // what the model reads
    int64_t tokens = 0;
    AttachedFiles files;
    int64_t id = 0;         // 0: not stored yet
    bool left_out = false;  // the person decided: the model no longer reads it
    // Of text, by whoever read it from a folder; zeros: not known. Not stored.
    std::array<uint64_t, 2> text_hash{};
};

struct AnswerStats {
    int64_t prompt_tokens = 0;
    int64_t cached_tokens = 0;
    int64_t completion_tokens = 0;
    int64_t reasoning_tokens = 0;
    double first_token_ms = 0;  // from sending to the first token
    double generation_ms = 0;   // first token to last
    double thinking_ms = 0;

    double tokens_per_second() const;
};

enum class MessageState { complete, streaming, stopped, cut, failed };  // cut: a limit ended it

struct Message {
    static constexpr int64_t kAfterPrevious = -1;

    int64_t id = 0;  // 0: not stored yet
    int64_t parent =
        kAfterPrevious;  // 0: the first of a branch; kAfterPrevious: until it is stored
    runtime::Role role = runtime::Role::user;
    std::string content;
    std::string reasoning;
    std::vector<runtime::ToolCall> tool_calls;
    std::vector<Attachment> attachments;
    MessageState state = MessageState::complete;
    std::string error;       // failed
    AnswerStats stats;       // assistant
    int64_t created_at = 0;  // seconds since 1970
    // assistant: what the model wrote, token by token, so that a stopped answer can go on exactly.
    std::vector<runtime::TokenId> tokens;
    bool left_out = false;  // the person decided: the model no longer sees it
    // Among its siblings: the how-manyth of how many. Filled in by the store.
    int branch = 0, branches = 1;
    uint64_t revision = 0;  // grows with every change of what is shown; not stored
};

struct Conversation {
    int64_t id = 0;
    std::string title;
    int64_t created_at = 0;
    int64_t updated_at = 0;
    std::vector<Message> messages;
    int64_t folder = 0;  // 0: none
    bool pinned = false;
    std::string settings;  // JSON of what differs from the defaults here; opaque to the store
};

// The line of a list: no messages.
struct ConversationSummary {
    int64_t id = 0;
    std::string title;
    int64_t updated_at = 0;
    int64_t tokens = 0;  // of the last answer's prompt and reply; 0: none yet
    int64_t folder = 0;
    bool pinned = false;
    int64_t deleted_at = 0;  // in the trash since
};

struct Folder {
    int64_t id = 0;
    std::string name;
};

// What a person has written and not sent.
struct Draft {
    std::string text;
    size_t cursor = 0;
    std::vector<Attachment> staged;
    bool empty() const { return text.empty() && staged.empty(); }
};

// Attached texts come before the words of the message they belong to: documents first, question
// last. Failed answers without any text are left out, and what the person decided to leave out; a
// system prompt leads when it is not empty.
std::vector<runtime::ChatMessage> to_chat(const Conversation& conversation,
                                          std::string_view system_prompt = {});

// The first words of a message, cut at a word, one line.
std::string title_from(std::string_view text, size_t max_characters = 48);

}  // namespace app
