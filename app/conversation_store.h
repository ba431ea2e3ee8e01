// ConversationStore: conversations in one SQLite file. A turn is one transaction; a streamed answer
// is saved as it grows, so a killed process loses a fraction of a second of text and never a
// finished turn. Main thread only.
//
// A store can always be used: where the file cannot (damaged, written by a newer Keyhole, not
// writable) it says so in problem() and keeps everything in memory; a damaged file is moved aside,
// never overwritten.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "app/conversation.h"

namespace app {

// A read or write failed (disk full, file vanished). Nothing of the call was stored.
class StoreError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

class ConversationStore {
public:
    static constexpr int kSchemaVersion = 1;

    explicit ConversationStore(const std::filesystem::path& path);
    ~ConversationStore();

    const std::string& problem() const { return problem_; }  // empty: all is well
    bool in_memory() const { return in_memory_; }

    std::vector<ConversationSummary> list() const;  // newest first, deleted ones left out
    std::optional<Conversation> load(
        int64_t id) const;  // an answer that a kill cut short comes as `stopped`

    // The user's message (last but one) and the empty answer (last) of a conversation, in one
    // transaction; the conversation too if it is new. Fills in the ids.
    void begin_turn(Conversation& conversation);
    // Another try at the last answer, which must not be stored yet: the earlier one stays in the
    // file, out of sight.
    void begin_another_answer(Conversation& conversation, int64_t replaced_id);
    void save_partial(const Message& answer);
    void finish_turn(const Conversation& conversation, const Message& answer);

    void rename(int64_t id, const std::string& title);
    void remove(int64_t id);  // can be taken back until the next start
    void restore(int64_t id);

private:
    struct Database;
    void open(const std::filesystem::path& path);
    void insert_message(int64_t conversation_id, Message& message);

    std::unique_ptr<Database> db_;
    std::string problem_;
    bool in_memory_ = false;
};

}  // namespace app
