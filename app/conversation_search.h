// ConversationSearch: finds words in the titles and messages of all conversations. Reads the
// store's file through a connection of its own, so that it can run on a worker while the main
// thread writes. Every word has to occur, case and position in a word do not matter; the last one
// may be half typed. One thread at a time; interrupt() from any.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "app/database.h"

namespace app {

struct SearchHit {
    int64_t conversation = 0;
    int64_t message = 0;  // the best one; 0: only the title matched
    std::string title;
    std::string snippet;  // around the match, which stands between \x01 and \x02; one line
    int64_t updated_at = 0;
    int64_t matches = 0;  // messages of this conversation, among those looked at
};

class ConversationSearch {
public:
    // Throws StoreError: the file cannot be read.
    explicit ConversationSearch(const std::filesystem::path& path);

    // Best first: titles before texts, then by how well and how lately.
    std::vector<SearchHit> find(const std::string& words, size_t limit = 50) const;
    void interrupt() const { db_->interrupt(); }

private:
    std::unique_ptr<Database> db_;
};

// The same over an open connection.
std::vector<SearchHit> search_conversations(const Database& db,
                                            const std::string& words,
                                            size_t limit);

}  // namespace app
