// ConversationStore: conversations in one SQLite file. A turn is one transaction; a streamed answer
// is saved as it grows, so a killed process loses a fraction of a second of text and never a
// finished turn. Nothing that a person deletes is gone at once: conversations wait in the trash,
// turns and versions behind an undo, both for kTrashDays. Main thread only; ConversationSearch
// reads the same file from elsewhere.
//
// A store can always be used: where the file cannot (damaged, written by a newer Keyhole, not
// writable) it says so in problem() and keeps everything in memory; a damaged file is moved aside,
// never overwritten. Two programs may have one file: a write waits for the other for a moment, and
// then throws a StoreError with `busy`, after which the same call can be tried again.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/conversation.h"
#include "app/conversation_schema.h"
#include "app/conversation_search.h"
#include "app/database.h"

namespace app {

class DraftWriter;

// A deletion of messages, as needed to take it back.
struct DeletedMessages {
    int64_t conversation = 0;
    int64_t mark = 0;    // what the deleted ones have in common
    int64_t parent = 0;  // whose active child was changed (0: the root's)
    int64_t active_before = 0;
};

class ConversationStore {
public:
    static constexpr int64_t kTrashDays = 30;

    explicit ConversationStore(const std::filesystem::path& path);
    ~ConversationStore();

    const std::string& problem() const { return problem_; }  // empty: all is well
    bool in_memory() const { return in_memory_; }
    const std::filesystem::path& path() const { return path_; }

    std::vector<ConversationSummary> list() const;   // newest first, without the trash
    std::vector<ConversationSummary> trash() const;  // last deleted first
    // The branch that was shown last. An answer that a kill cut short comes as `stopped`.
    std::optional<Conversation> load(int64_t id) const;

    // Stores the messages that have no id yet, in one transaction; the conversation too if it is
    // new. Each becomes the active child of its parent: a question under another's parent is an
    // edit, a second answer under a question another try. Fills in ids, parents and branches.
    void begin_turn(Conversation& conversation);
    // The last message of the conversation is written on: as `streaming`, from what it holds.
    void begin_continuation(const Conversation& conversation);
    // Waits for another program for some milliseconds only: the next save is near.
    void save_partial(const Message& answer);
    void finish_turn(const Conversation& conversation, const Message& answer);

    // The `step`-th sibling after (or before) a message becomes the shown one, with the branch
    // under it that was shown last. false: there is none.
    bool switch_branch(int64_t conversation, int64_t message, int step);
    // Makes the branch that a message is on the shown one (a hit of a search).
    void show_message(int64_t message);
    // Out of sight: a question and its answers, with what follows moving up (a turn); a message
    // that has siblings goes with all that follows it, and a sibling is shown (a version).
    DeletedMessages remove_turn(const Conversation& conversation, size_t index);
    void restore(const DeletedMessages& deleted);
    // What the model no longer reads, or reads again.
    struct ViewChange {
        int64_t message = 0;     // or
        int64_t attachment = 0;  // one of the two
        bool left_out = true;
    };
    void change_view(const std::vector<ViewChange>& changes);

    void rename(int64_t id, const std::string& title);
    void set_pinned(int64_t id, bool pinned);
    void set_settings(int64_t id, const std::string& json);
    void remove(const std::vector<int64_t>& ids);  // to the trash
    void restore(const std::vector<int64_t>& ids);
    void erase(const std::vector<int64_t>& ids);  // for good

    std::vector<Folder> folders() const;  // by name
    int64_t add_folder(const std::string& name);
    void rename_folder(int64_t id, const std::string& name);
    void remove_folder(int64_t id);                                    // its conversations stay
    void move_to_folder(const std::vector<int64_t>& ids, int64_t id);  // 0: out of any

    // Of the conversation that is not begun yet: id 0.
    void save_draft(int64_t conversation, const Draft& draft);
    // The same without waiting for it: what the store is asked afterwards about drafts knows it.
    // Throws StoreError: an earlier one could not be written.
    void save_draft_later(int64_t conversation, Draft draft);
    Draft draft(int64_t conversation) const;
    // Where a conversation was scrolled to; opaque.
    void save_scroll(int64_t conversation, const std::string& place);
    std::string scroll(int64_t conversation) const;
    void set_value(const std::string& key, const std::string& value);
    std::string value(const std::string& key) const;

    // The whole tree of a conversation, in the order of writing, deleted messages left out: for
    // export. `messages[i].parent` is an id of the same list, or 0.
    std::optional<Conversation> load_tree(int64_t id) const;
    // A tree as load_tree() gives it, with ids of its own; becomes a new conversation. The last
    // message of `shown` (an id of the list; 0: the last one) is on the shown branch.
    int64_t add_tree(const Conversation& tree, int64_t shown = 0);

    // Messages not yet in the search index (of an older file, or of a process that was killed).
    // Indexes some and returns whether more are waiting: call it when there is time.
    bool index_some(int messages = 32);
    std::vector<SearchHit> search(const std::string& words, size_t limit = 50) const;

private:
    void open(const std::filesystem::path& path);
    void prepare();
    void purge_trash();
    void insert_message(int64_t conversation_id, Message& message);
    void set_active(int64_t conversation, int64_t parent, int64_t child);
    int64_t active_child(int64_t conversation, int64_t parent) const;
    void index_message(int64_t id);
    void forget_index(int64_t id);
    Message read_message(const Database::Rows& rows) const;
    void read_attachments(Message& message) const;
    void settle_drafts() const;  // none is on its way any more

    std::unique_ptr<Database> db_;
    std::filesystem::path path_;
    std::string problem_;
    bool in_memory_ = false;
    bool has_index_ = false;
    std::unique_ptr<DraftWriter> draft_writer_;  // null: nothing was saved later; ends before db_
};

}  // namespace app
