// Conversations as files that other people and programs can read: Markdown and HTML of the branch
// that is shown, JSON of everything, which conversation_import.h reads back without loss. Any
// thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "app/conversation.h"

namespace app {

// A conversation with all its branches (ConversationStore::load_tree) and the message that ends the
// one that is shown.
struct ExportedTree {
    Conversation tree;
    int64_t shown = 0;
    std::string folder;  // its name; empty: none
};

std::string to_markdown(const Conversation& conversation);
// One page that needs nothing else: no script, no font, no address.
std::string to_html(const Conversation& conversation);
std::string to_json(const std::vector<ExportedTree>& trees);

// A name for a file: the title without what file systems and shells dislike.
std::string file_stem(std::string_view title);

}  // namespace app
