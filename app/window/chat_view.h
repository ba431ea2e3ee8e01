// What the views of conversations draw and remember beside AppState's own fields.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "app/conversation.h"
#include "app/conversation_search.h"
#include "app/overflow.h"
#include "app/window/chat_actions.h"

namespace app::window {

// A question that is being changed in the composer.
struct EditView {
    int64_t message = 0;  // 0: none is
    Draft kept;           // what the composer held before
};

// A prompt that does not fit, and what can be decided.
struct OverflowView {
    enum class Of { question, another_answer, continuation };
    Of of = Of::question;
    size_t index = 0;  // another_answer: of which message
    OverflowReport report;
    Conversation conversation;  // what the report's indices mean
};

struct SidebarView {
    std::string query;
    bool focus_search = false;  // the field takes the keyboard at the next frame
    std::string found_for;      // what `hits` belong to
    bool searching = false;
    std::vector<SearchHit> hits;

    std::vector<Folder> folders;
    std::set<int64_t> closed_folders;
    bool trash_open = false;
    std::vector<ConversationSummary> trash;

    std::set<int64_t> selected;  // beside the open one, for doing something with several
    int64_t anchor = 0;          // where a range of the selection begins
    bool has_keyboard = false;   // arrow keys move in the list
    int64_t cursor = 0;          // the row they are at
    bool scroll_to_cursor = false;
    int64_t renaming_folder = 0;
    bool naming_folder = false;  // a new one, for `folder_for`
    std::vector<int64_t> folder_for;
    std::string folder_name;
    int64_t dragging = 0;  // the row that is dragged to a folder
    bool importing = false;
    bool list_changed = false;  // the lists above were replaced during this frame
    std::string import_path;
};

struct ChatView {
    ChatActions* actions = nullptr;
    EditView edit;
    std::optional<OverflowView> overflow;
    SidebarView sidebar;
    // Where a conversation was left, taken by the chat when it is shown; empty: its end.
    struct Place {
        int64_t message = 0;  // the one at the upper edge
        int part = -1;
        size_t source = 0;
        float y = 0;  // of it, from the upper edge
    };
    std::optional<Place> restore;
    std::string offered_paste;      // a long text that was pasted and can become an attachment,
    uint64_t offered_revision = 0;  // while the draft is as it was then
};

}  // namespace app::window
