#include "app/conversation_store.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <unordered_map>
#include <utility>

#include <sqlite3.h>

#include "app/conversation_json.h"
#include "app/draft_writer.h"

namespace app {
namespace {

namespace fs = std::filesystem;

constexpr int kPatience = 2000, kLittlePatience = 2;  // milliseconds, for another program's write

int64_t now_seconds() {
    return std::chrono::duration_cast<std::chrono::seconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
}

std::string bytes_of(const std::vector<runtime::TokenId>& tokens) {
    std::string bytes(tokens.size() * sizeof(runtime::TokenId), '\0');
    if (!tokens.empty()) {
        std::memcpy(bytes.data(), tokens.data(), bytes.size());
    }
    return bytes;
}

std::vector<runtime::TokenId> tokens_of(const std::string& bytes) {
    std::vector<runtime::TokenId> tokens(bytes.size() / sizeof(runtime::TokenId));
    if (!tokens.empty()) {
        std::memcpy(tokens.data(), bytes.data(), tokens.size() * sizeof(runtime::TokenId));
    }
    return tokens;
}

// A damaged file keeps its name plus the moment, so that nothing is overwritten and a second
// accident has room.
std::string move_aside(const fs::path& path) {
    const fs::path aside = path.string() + ".damaged-" + std::to_string(now_seconds());
    std::error_code error, ignored;
    fs::rename(path, aside, error);
    for (const char* companion : {"-wal", "-shm"}) {
        fs::rename(path.string() + companion, aside.string() + companion, ignored);
    }
    return error ? "" : aside.string();
}

}  // namespace

ConversationStore::ConversationStore(const fs::path& path) : path_(path) {
    try {
        open(path);
        return;
    } catch (const StoreError& error) {
        problem_ = error.what();
    }
    db_.reset();
    db_ = std::make_unique<Database>(":memory:");
    in_memory_ = true;
    migrate(*db_, path);
    prepare();
    problem_ = "Conversations of this session are not saved: " + problem_;
}

ConversationStore::~ConversationStore() = default;

void ConversationStore::open(const fs::path& path) {
    std::error_code error;
    fs::create_directories(path.parent_path(), error);
    if (error) {
        throw StoreError("cannot create " + path.parent_path().string() + ": " + error.message());
    }
    std::string damage;
    const bool existed = fs::exists(path, error);
    const auto try_open = [&] {
        db_ = std::make_unique<Database>(path.string());
        auto check = db_->rows("PRAGMA quick_check(1)");
        if (!check.next() || check.text(0) != "ok") {
            throw StoreError("the check found: " + check.text(0));
        }
    };
    try {
        try_open();
    } catch (const StoreError& failure) {
        const int code = db_ ? db_->error_code() : SQLITE_CANTOPEN;
        db_.reset();
        // Only what SQLite calls corruption is moved aside: a locked or unreadable file is
        // somebody's good data.
        const bool damaged = code == SQLITE_CORRUPT || code == SQLITE_NOTADB || code == SQLITE_OK ||
                             code == SQLITE_ROW || code == SQLITE_DONE;
        if (!existed || !damaged) {
            throw StoreError(path.string() + ": " + failure.what());
        }
        const std::string aside = move_aside(path);
        if (aside.empty()) {
            throw StoreError(path.string() + " is damaged (" + failure.what() +
                             ") and cannot be moved aside");
        }
        damage = "The file of conversations was damaged and is kept as " + aside +
                 ". A new one was begun.";
        try_open();
    }
    try {
        migrate(*db_, path);
        prepare();
    } catch (const StoreError& failure) {
        throw StoreError(path.string() + ": " + failure.what());
    }
    problem_ = damage;
}

// What every connection needs once the tables are there.
void ConversationStore::prepare() {
    // The log is written back at 1,000 pages, by whoever crosses them, and cut to 4 MB afterwards.
    db_->script(
        "PRAGMA journal_mode=WAL; PRAGMA foreign_keys=ON; PRAGMA wal_autocheckpoint=1000;"
        "PRAGMA journal_size_limit=4194304");
    has_index_ = make_search_index(*db_);
    purge_trash();
}

// Another program that has the file open may be writing: the trash can wait for the next start.
void ConversationStore::purge_trash() {
    const int64_t before = now_seconds() - kTrashDays * 86400;
    try {
        std::vector<int64_t> conversations, messages;
        {
            auto rows = db_->rows(
                "SELECT id FROM conversations WHERE deleted_at <> 0 AND deleted_at < ?", {before});
            while (rows.next()) {
                conversations.push_back(rows.number(0));
            }
            auto deleted = db_->rows(
                "SELECT id FROM messages WHERE deleted_at <> 0 AND deleted_at < ? "
                "ORDER BY id DESC",
                {before});
            while (deleted.next()) {
                messages.push_back(deleted.number(0));
            }
        }
        if (!conversations.empty()) {
            erase(conversations);
        }
        if (messages.empty()) {
            return;
        }
        db_->transaction(false, [&] {
            for (const int64_t id : messages) {
                int64_t parent = 0, active = 0, conversation = 0;
                {
                    auto row = db_->rows(
                        "SELECT parent_id, active_child, conversation_id FROM messages "
                        "WHERE id = ?",
                        {id});
                    if (!row.next()) {
                        continue;
                    }
                    parent = row.number(0);
                    active = row.number(1);
                    conversation = row.number(2);
                }
                // What followed a deleted turn moves up for good.
                db_->run(
                    "UPDATE messages SET parent_id = ? WHERE conversation_id = ? AND "
                    "parent_id = ?",
                    {parent, conversation, id});
                if (active_child(conversation, parent) == id) {
                    set_active(conversation, parent, active);
                }
                forget_index(id);
                db_->run("DELETE FROM messages WHERE id = ?", {id});
            }
        });
    } catch (const StoreError& failure) {
        if (!failure.busy) {
            throw;
        }
    }
}

std::vector<ConversationSummary> ConversationStore::list() const {
    std::vector<ConversationSummary> result;
    auto rows = db_->rows(
        "SELECT id, title, updated_at, tokens, folder_id, pinned FROM conversations "
        "WHERE deleted_at = 0 ORDER BY updated_at DESC, id DESC");
    while (rows.next()) {
        result.push_back({rows.number(0), rows.text(1), rows.number(2), rows.number(3),
                          rows.number(4), rows.number(5) != 0, 0});
    }
    return result;
}

std::vector<ConversationSummary> ConversationStore::trash() const {
    std::vector<ConversationSummary> result;
    auto rows = db_->rows(
        "SELECT id, title, updated_at, tokens, folder_id, pinned, deleted_at FROM conversations "
        "WHERE deleted_at <> 0 ORDER BY deleted_at DESC, id DESC");
    while (rows.next()) {
        result.push_back({rows.number(0), rows.text(1), rows.number(2), rows.number(3),
                          rows.number(4), rows.number(5) != 0, rows.number(6)});
    }
    return result;
}

namespace {

constexpr const char* kMessageColumns =
    "id, role, state, content, reasoning, tool_calls, error, stats, created_at, parent_id, "
    "left_out, tokens";

// The tree of one conversation without its texts.
struct Tree {
    struct Node {
        int64_t id, parent, active;
        bool deleted;
    };
    std::vector<Node> nodes;  // by id
    std::unordered_map<int64_t, size_t> index;
    std::unordered_map<int64_t, std::vector<int64_t>> children;  // deleted ones left out

    Tree(const Database& db, int64_t conversation) {
        auto rows = db.rows(
            "SELECT id, parent_id, active_child, deleted_at FROM messages "
            "WHERE conversation_id = ? ORDER BY id",
            {conversation});
        while (rows.next()) {
            const Node node{rows.number(0), rows.number(1), rows.number(2), rows.number(3) != 0};
            index[node.id] = nodes.size();
            nodes.push_back(node);
            if (!node.deleted) {
                children[node.parent].push_back(node.id);
            }
        }
    }

    // From the first message to the end of the shown branch. A deleted message is stepped over:
    // what follows it is still there.
    std::vector<const Node*> shown(int64_t root) const {
        std::vector<const Node*> path;
        int64_t parent = 0, next = root;
        for (size_t steps = 0; steps <= nodes.size(); steps++) {
            auto at = index.find(next);
            if (at == index.end() || nodes[at->second].parent != parent) {
                const auto others = children.find(parent);
                if (others == children.end()) {
                    break;
                }
                at = index.find(others->second.back());
            }
            const Node& node = nodes[at->second];
            if (!node.deleted) {
                path.push_back(&node);
            }
            parent = node.id;
            next = node.active;
        }
        return path;
    }

    const std::vector<int64_t>& siblings(const Node& node) const {
        return children.at(node.parent);
    }
};

}  // namespace

Message ConversationStore::read_message(const Database::Rows& rows) const {
    Message message;
    message.id = rows.number(0);
    message.role = role_of(rows.text(1), runtime::Role::user);
    message.state = state_of(rows.text(2), MessageState::complete);
    if (message.state == MessageState::streaming) {
        message.state = MessageState::stopped;
    }
    message.content = rows.text(3);
    message.reasoning = rows.text(4);
    message.tool_calls = calls_of(parse_json(rows.text(5)));
    message.error = rows.text(6);
    message.stats = stats_of(parse_json(rows.text(7)));
    message.created_at = rows.number(8);
    message.parent = rows.number(9);
    message.left_out = rows.number(10) != 0;
    message.tokens = tokens_of(rows.text(11));
    return message;
}

void ConversationStore::read_attachments(Message& message) const {
    auto files = db_->rows(
        "SELECT id, name, text, tokens, files, left_out FROM attachments WHERE message_id = ? "
        "ORDER BY id",
        {message.id});
    while (files.next()) {
        message.attachments.push_back({files.text(1), files.text(2), files.number(3),
                                       files_of(parse_json(files.text(4))), files.number(0),
                                       files.number(5) != 0});
    }
}

std::optional<Conversation> ConversationStore::load(int64_t id) const {
    Conversation conversation;
    int64_t root = 0;
    {
        auto rows = db_->rows(
            "SELECT title, created_at, updated_at, folder_id, pinned, settings, active_root "
            "FROM conversations WHERE id = ? AND deleted_at = 0",
            {id});
        if (!rows.next()) {
            return std::nullopt;
        }
        conversation.id = id;
        conversation.title = rows.text(0);
        conversation.created_at = rows.number(1);
        conversation.updated_at = rows.number(2);
        conversation.folder = rows.number(3);
        conversation.pinned = rows.number(4) != 0;
        conversation.settings = rows.text(5);
        root = rows.number(6);
    }
    const Tree tree(*db_, id);
    const std::string sql =
        std::string("SELECT ") + kMessageColumns + " FROM messages WHERE id = ?";
    for (const Tree::Node* node : tree.shown(root)) {
        auto row = db_->rows(sql.c_str(), {node->id});
        if (!row.next()) {
            continue;
        }
        Message message = read_message(row);
        read_attachments(message);
        const auto& siblings = tree.siblings(*node);
        message.branches = static_cast<int>(siblings.size());
        message.branch = static_cast<int>(std::find(siblings.begin(), siblings.end(), node->id) -
                                          siblings.begin());
        conversation.messages.push_back(std::move(message));
    }
    return conversation;
}

void ConversationStore::insert_message(int64_t conversation_id, Message& message) {
    if (message.created_at == 0) {
        message.created_at = now_seconds();
    }
    db_->run(
        "INSERT INTO messages (conversation_id, role, state, content, reasoning, tool_calls, "
        "error, stats, created_at, parent_id, left_out, tokens) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        {conversation_id, std::string(name_of(message.role)), std::string(name_of(message.state)),
         message.content, message.reasoning, dump(json_of(message.tool_calls)), message.error,
         dump(json_of(message.stats)), message.created_at, message.parent,
         int64_t{message.left_out}, Database::Blob{bytes_of(message.tokens)}});
    message.id = db_->last_id();
    for (Attachment& attachment : message.attachments) {
        db_->run(
            "INSERT INTO attachments (message_id, name, text, tokens, files, left_out) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            {message.id, attachment.name, Database::TextView{attachment.text}, attachment.tokens,
             dump(json_of(attachment.files.all())), int64_t{attachment.left_out}});
        attachment.id = db_->last_id();
    }
    if (message.state != MessageState::streaming) {
        index_message(message.id);
    }
}

void ConversationStore::set_active(int64_t conversation, int64_t parent, int64_t child) {
    if (parent == 0) {
        db_->run("UPDATE conversations SET active_root = ? WHERE id = ?", {child, conversation});
    } else {
        db_->run("UPDATE messages SET active_child = ? WHERE id = ?", {child, parent});
    }
}

int64_t ConversationStore::active_child(int64_t conversation, int64_t parent) const {
    return parent == 0
               ? db_->number("SELECT active_root FROM conversations WHERE id = ?", {conversation})
               : db_->number("SELECT active_child FROM messages WHERE id = ?", {parent});
}

void ConversationStore::begin_turn(Conversation& conversation) {
    // Ids are handed out only when the transaction holds.
    Conversation stored = conversation;
    db_->transaction(true, [&] {
        stored.updated_at = now_seconds();
        if (stored.id == 0) {
            stored.created_at = stored.updated_at;
            db_->run(
                "INSERT INTO conversations (title, created_at, updated_at, folder_id, pinned, "
                "settings) VALUES (?, ?, ?, ?, ?, ?)",
                {stored.title, stored.created_at, stored.updated_at, stored.folder,
                 int64_t{stored.pinned}, stored.settings});
            stored.id = db_->last_id();
        } else {
            db_->run("UPDATE conversations SET updated_at = ? WHERE id = ?",
                     {stored.updated_at, stored.id});
            if (db_->changes() == 0) {
                throw StoreError("the conversation was deleted by another program");
            }
        }
        int64_t previous = 0;
        for (Message& message : stored.messages) {
            if (message.id == 0) {
                if (message.parent == Message::kAfterPrevious) {
                    message.parent = previous;
                }
                insert_message(stored.id, message);
                set_active(stored.id, message.parent, message.id);
                message.branches = static_cast<int>(db_->number(
                    "SELECT count(*) FROM messages WHERE conversation_id = ? AND parent_id = ? "
                    "AND deleted_at = 0",
                    {stored.id, message.parent}));
                message.branch = message.branches - 1;
            }
            previous = message.id;
        }
    });
    conversation = std::move(stored);
}

void ConversationStore::begin_continuation(const Conversation& conversation) {
    const Message& answer = conversation.messages.back();
    db_->transaction(true, [&] {
        forget_index(answer.id);
        db_->run("UPDATE messages SET state = ?, content = ?, reasoning = ? WHERE id = ?",
                 {std::string(name_of(MessageState::streaming)), answer.content, answer.reasoning,
                  answer.id});
    });
}

void ConversationStore::save_partial(const Message& answer) {
    db_->wait_when_busy(kLittlePatience);
    try {
        db_->transaction(false, [&] {
            db_->run("UPDATE messages SET content = ?, reasoning = ?, tokens = ? WHERE id = ?",
                     {answer.content, answer.reasoning, Database::Blob{bytes_of(answer.tokens)},
                      answer.id});
        });
    } catch (...) {
        db_->wait_when_busy(kPatience);
        throw;
    }
    db_->wait_when_busy(kPatience);
}

void ConversationStore::finish_turn(const Conversation& conversation, const Message& answer) {
    db_->transaction(true, [&] {
        forget_index(answer.id);
        db_->run(
            "UPDATE messages SET state = ?, content = ?, reasoning = ?, tool_calls = ?, error = ?, "
            "stats = ?, tokens = ? WHERE id = ?",
            {std::string(name_of(answer.state)), answer.content, answer.reasoning,
             dump(json_of(answer.tool_calls)), answer.error, dump(json_of(answer.stats)),
             Database::Blob{bytes_of(answer.tokens)}, answer.id});
        index_message(answer.id);
        db_->run("UPDATE conversations SET updated_at = ?, tokens = ? WHERE id = ?",
                 {now_seconds(), answer.stats.prompt_tokens + answer.stats.completion_tokens,
                  conversation.id});
    });
}

bool ConversationStore::switch_branch(int64_t conversation, int64_t message, int step) {
    const Tree tree(*db_, conversation);
    const auto at = tree.index.find(message);
    if (at == tree.index.end() || tree.nodes[at->second].deleted) {
        return false;
    }
    const Tree::Node& node = tree.nodes[at->second];
    const auto& siblings = tree.siblings(node);
    const auto here = std::find(siblings.begin(), siblings.end(), message) - siblings.begin();
    const auto there = here + step;
    if (there < 0 || there >= static_cast<std::ptrdiff_t>(siblings.size())) {
        return false;
    }
    db_->transaction(false, [&] {
        set_active(conversation, node.parent, siblings[static_cast<size_t>(there)]);
    });
    return true;
}

void ConversationStore::show_message(int64_t message) {
    const int64_t conversation =
        db_->number("SELECT conversation_id FROM messages WHERE id = ?", {message});
    const Tree tree(*db_, conversation);
    db_->transaction(false, [&] {
        auto at = tree.index.find(message);
        for (size_t steps = 0; at != tree.index.end() && steps <= tree.nodes.size(); steps++) {
            const Tree::Node& node = tree.nodes[at->second];
            set_active(conversation, node.parent, node.id);
            at = tree.index.find(node.parent);
        }
    });
}

DeletedMessages ConversationStore::remove_turn(const Conversation& conversation, size_t index) {
    const auto& messages = conversation.messages;
    const Message& first = messages.at(index);
    DeletedMessages deleted{conversation.id, first.id, first.parent, first.id};
    const int64_t now = now_seconds();
    db_->transaction(true, [&] {
        if (first.branches > 1) {
            const Tree tree(*db_, conversation.id);
            const auto& siblings = tree.children.at(first.parent);
            const auto here = std::find(siblings.begin(), siblings.end(), first.id);
            set_active(conversation.id, first.parent,
                       here == siblings.begin() ? *(here + 1) : *(here - 1));
            db_->run(
                "WITH RECURSIVE branch(id) AS (SELECT ? UNION SELECT m.id FROM messages m, branch "
                "WHERE m.conversation_id = ? AND m.parent_id = branch.id) "
                "UPDATE messages SET deleted_at = ?, deleted_with = ? "
                "WHERE id IN branch AND deleted_at = 0",
                {first.id, conversation.id, now, deleted.mark});
        } else {
            const auto mark = [&](const Message& message) {
                db_->run("UPDATE messages SET deleted_at = ?, deleted_with = ? WHERE id = ?",
                         {now, deleted.mark, message.id});
            };
            mark(first);
            for (size_t i = index + 1; first.role == runtime::Role::user && i < messages.size() &&
                                       messages[i].role != runtime::Role::user;
                 i++) {
                mark(messages[i]);
            }
        }
    });
    return deleted;
}

void ConversationStore::restore(const DeletedMessages& deleted) {
    db_->transaction(true, [&] {
        db_->run(
            "UPDATE messages SET deleted_at = 0, deleted_with = 0 WHERE conversation_id = ? AND "
            "deleted_with = ?",
            {deleted.conversation, deleted.mark});
        set_active(deleted.conversation, deleted.parent, deleted.active_before);
    });
}

void ConversationStore::change_view(const std::vector<ViewChange>& changes) {
    db_->transaction(true, [&] {
        for (const ViewChange& change : changes) {
            if (change.attachment) {
                db_->run("UPDATE attachments SET left_out = ? WHERE id = ?",
                         {int64_t{change.left_out}, change.attachment});
            } else {
                db_->run("UPDATE messages SET left_out = ? WHERE id = ?",
                         {int64_t{change.left_out}, change.message});
            }
        }
    });
}

void ConversationStore::index_message(int64_t id) {
    if (!has_index_) {
        return;
    }
    db_->run(
        "INSERT INTO search(rowid, content) SELECT id, content FROM message_texts WHERE id = ?",
        {id});
    db_->run("UPDATE messages SET indexed = 1 WHERE id = ?", {id});
}

void ConversationStore::forget_index(int64_t id) {
    if (!has_index_ || db_->number("SELECT indexed FROM messages WHERE id = ?", {id}) == 0) {
        return;
    }
    db_->run(
        "INSERT INTO search(search, rowid, content) SELECT 'delete', id, content FROM "
        "message_texts WHERE id = ?",
        {id});
    db_->run("UPDATE messages SET indexed = 0 WHERE id = ?", {id});
}

bool ConversationStore::index_some(int messages) {
    if (!has_index_) {
        return false;
    }
    // Newest first: what was written lately is what is looked for. An answer that is being written,
    // here or by another program, is indexed when it is finished.
    std::vector<int64_t> ids;
    {
        auto rows = db_->rows(
            "SELECT id FROM messages WHERE indexed = 0 AND state <> 'streaming' "
            "ORDER BY id DESC LIMIT ?",
            {int64_t{messages}});
        while (rows.next()) {
            ids.push_back(rows.number(0));
        }
    }
    if (ids.empty()) {
        return false;
    }
    db_->transaction(false, [&] {
        for (const int64_t id : ids) {
            index_message(id);
        }
    });
    return ids.size() == static_cast<size_t>(messages);
}

std::vector<SearchHit> ConversationStore::search(const std::string& words, size_t limit) const {
    return search_conversations(*db_, words, limit);
}

}  // namespace app
