#include "app/conversation_store.h"

#include <cerrno>
#include <chrono>
#include <cstring>
#include <initializer_list>
#include <utility>
#include <variant>

#include <nlohmann/json.hpp>
#include <sqlite3.h>

namespace app {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

// One step per schema version: kMigrations[v] takes a file from version v to v + 1.
constexpr const char* kMigrations[] = {
    R"(CREATE TABLE conversations (
           id         INTEGER PRIMARY KEY AUTOINCREMENT,
           title      TEXT NOT NULL,
           created_at INTEGER NOT NULL,
           updated_at INTEGER NOT NULL,
           tokens     INTEGER NOT NULL DEFAULT 0,
           deleted    INTEGER NOT NULL DEFAULT 0
       );
       CREATE TABLE messages (
           id              INTEGER PRIMARY KEY AUTOINCREMENT,
           conversation_id INTEGER NOT NULL REFERENCES conversations(id) ON DELETE CASCADE,
           role            TEXT NOT NULL,
           state           TEXT NOT NULL,
           content         TEXT NOT NULL,
           reasoning       TEXT NOT NULL,
           tool_calls      TEXT NOT NULL,
           error           TEXT NOT NULL,
           stats           TEXT NOT NULL,
           created_at      INTEGER NOT NULL,
           replaced        INTEGER NOT NULL DEFAULT 0
       );
       CREATE INDEX messages_by_conversation ON messages(conversation_id, id);
       CREATE TABLE attachments (
           id         INTEGER PRIMARY KEY AUTOINCREMENT,
           message_id INTEGER NOT NULL REFERENCES messages(id) ON DELETE CASCADE,
           name       TEXT NOT NULL,
           text       TEXT NOT NULL,
           tokens     INTEGER NOT NULL,
           files      TEXT NOT NULL
       );
       CREATE INDEX attachments_by_message ON attachments(message_id, id);)",
};
static_assert(std::size(kMigrations) == ConversationStore::kSchemaVersion);

int64_t now_seconds() {
    return std::chrono::duration_cast<std::chrono::seconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
}

constexpr std::pair<runtime::Role, const char*> kRoles[] = {{runtime::Role::system, "system"},
                                                            {runtime::Role::user, "user"},
                                                            {runtime::Role::assistant, "assistant"},
                                                            {runtime::Role::tool, "tool"}};
constexpr std::pair<MessageState, const char*> kStates[] = {{MessageState::complete, "complete"},
                                                            {MessageState::streaming, "streaming"},
                                                            {MessageState::stopped, "stopped"},
                                                            {MessageState::cut, "cut"},
                                                            {MessageState::failed, "failed"}};
template <typename Enum, size_t N>
const char* name_of(const std::pair<Enum, const char*> (&names)[N], Enum value) {
    for (const auto& [candidate, name] : names) {
        if (candidate == value) {
            return name;
        }
    }
    return "";
}
template <typename Enum, size_t N>
Enum value_of(const std::pair<Enum, const char*> (&names)[N],
              const std::string& name,
              Enum otherwise) {
    for (const auto& [candidate, text] : names) {
        if (name == text) {
            return candidate;
        }
    }
    return otherwise;
}

// The text columns hold what models and people wrote; invalid UTF-8 becomes U+FFFD in JSON rather
// than an exception.
std::string dump(const Json& json) {
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string stats_to_text(const AnswerStats& s) {
    return dump(Json{{"prompt_tokens", s.prompt_tokens},
                     {"cached_tokens", s.cached_tokens},
                     {"completion_tokens", s.completion_tokens},
                     {"reasoning_tokens", s.reasoning_tokens},
                     {"first_token_ms", s.first_token_ms},
                     {"generation_ms", s.generation_ms},
                     {"thinking_ms", s.thinking_ms}});
}

// What is stored was written by this program, but a file can be edited: a value of the wrong type
// counts as absent.
template <typename T>
T field(const Json& json, const char* key, T otherwise) {
    const auto at = json.is_object() ? json.find(key) : json.end();
    if (!json.is_object() || at == json.end()) {
        return otherwise;
    }
    if constexpr (std::is_same_v<T, std::string>) {
        return at->is_string() ? at->get<std::string>() : otherwise;
    } else if constexpr (std::is_same_v<T, bool>) {
        return at->is_boolean() ? at->get<bool>() : otherwise;
    } else {
        return at->is_number() ? at->get<T>() : otherwise;
    }
}

Json parse(const std::string& text) {
    return Json::parse(text, nullptr, false);
}

AnswerStats stats_from_text(const std::string& text) {
    const Json json = parse(text);
    AnswerStats s;
    s.prompt_tokens = field<int64_t>(json, "prompt_tokens", 0);
    s.cached_tokens = field<int64_t>(json, "cached_tokens", 0);
    s.completion_tokens = field<int64_t>(json, "completion_tokens", 0);
    s.reasoning_tokens = field<int64_t>(json, "reasoning_tokens", 0);
    s.first_token_ms = field<double>(json, "first_token_ms", 0);
    s.generation_ms = field<double>(json, "generation_ms", 0);
    s.thinking_ms = field<double>(json, "thinking_ms", 0);
    return s;
}

std::string calls_to_text(const std::vector<runtime::ToolCall>& calls) {
    Json json = Json::array();
    for (const auto& call : calls) {
        Json arguments = Json::array();
        for (const auto& argument : call.arguments) {
            arguments.push_back(Json{{"key", argument.key}, {"value", argument.value}});
        }
        json.push_back(
            Json{{"id", call.id}, {"name", call.name}, {"arguments", std::move(arguments)}});
    }
    return dump(json);
}

std::vector<runtime::ToolCall> calls_from_text(const std::string& text) {
    std::vector<runtime::ToolCall> calls;
    const Json json = parse(text);
    if (!json.is_array()) {
        return calls;
    }
    for (const Json& item : json) {
        runtime::ToolCall call{
            field<std::string>(item, "id", ""), field<std::string>(item, "name", ""), {}};
        if (item.is_object() && item.contains("arguments") && item["arguments"].is_array()) {
            for (const Json& argument : item["arguments"]) {
                call.arguments.push_back({field<std::string>(argument, "key", ""),
                                          field<std::string>(argument, "value", "")});
            }
        }
        calls.push_back(std::move(call));
    }
    return calls;
}

std::string files_to_text(const std::vector<AttachedFile>& files) {
    Json json = Json::array();
    for (const AttachedFile& file : files) {
        json.push_back(Json{{"path", file.path},
                            {"reason", file.reason},
                            {"tokens", file.tokens},
                            {"included", file.included}});
    }
    return dump(json);
}

std::vector<AttachedFile> files_from_text(const std::string& text) {
    std::vector<AttachedFile> files;
    const Json json = parse(text);
    if (json.is_array()) {
        for (const Json& item : json) {
            files.push_back(
                {field<std::string>(item, "path", ""), field<std::string>(item, "reason", ""),
                 field<int64_t>(item, "tokens", 0), field<bool>(item, "included", false)});
        }
    }
    return files;
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

// Statements are prepared, bound, stepped and finished in one place; any failure leaves by
// StoreError.
struct ConversationStore::Database {
    using Value = std::variant<int64_t, std::string>;

    class Rows {
    public:
        Rows(sqlite3* db, const char* sql, const std::vector<Value>& values) : db_(db) {
            if (sqlite3_prepare_v2(db, sql, -1, &statement_, nullptr) != SQLITE_OK) {
                throw StoreError(sqlite3_errmsg(db));
            }
            for (size_t i = 0; i < values.size(); i++) {
                const int at = static_cast<int>(i) + 1;
                if (const auto* number = std::get_if<int64_t>(&values[i])) {
                    sqlite3_bind_int64(statement_, at, *number);
                } else {
                    const auto& text = std::get<std::string>(values[i]);
                    sqlite3_bind_text64(statement_, at, text.data(), text.size(), SQLITE_TRANSIENT,
                                        SQLITE_UTF8);
                }
            }
        }
        ~Rows() { sqlite3_finalize(statement_); }
        Rows(const Rows&) = delete;
        Rows& operator=(const Rows&) = delete;

        bool next() {
            const int result = sqlite3_step(statement_);
            if (result != SQLITE_ROW && result != SQLITE_DONE) {
                throw StoreError(sqlite3_errmsg(db_));
            }
            return result == SQLITE_ROW;
        }
        int64_t number(int column) const { return sqlite3_column_int64(statement_, column); }
        std::string text(int column) const {
            const void* bytes = sqlite3_column_blob(statement_, column);
            const int size = sqlite3_column_bytes(statement_, column);
            return bytes ? std::string(static_cast<const char*>(bytes), static_cast<size_t>(size))
                         : "";
        }

    private:
        sqlite3* db_;
        sqlite3_stmt* statement_ = nullptr;
    };

    explicit Database(const std::string& path) {
        const int result =
            sqlite3_open_v2(path.c_str(), &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr);
        if (result != SQLITE_OK) {
            const std::string reason = db ? sqlite3_errmsg(db) : "out of memory";
            sqlite3_close(db);
            db = nullptr;
            throw StoreError(reason);
        }
        sqlite3_busy_timeout(db, 2000);
    }
    ~Database() { sqlite3_close(db); }
    Database(const Database&) = delete;
    Database& operator=(const Database&) = delete;

    Rows rows(const char* sql, const std::vector<Value>& values = {}) const {
        return {db, sql, values};
    }
    void run(const char* sql, const std::vector<Value>& values = {}) const {
        Rows result(db, sql, values);
        while (result.next()) {
        }
    }
    void script(const char* sql) const {
        char* message = nullptr;
        if (sqlite3_exec(db, sql, nullptr, nullptr, &message) != SQLITE_OK) {
            const std::string reason = message ? message : "unknown error";
            sqlite3_free(message);
            throw StoreError(reason);
        }
    }
    int64_t last_id() const { return sqlite3_last_insert_rowid(db); }

    // All or nothing. `durable`: on the disk when this returns, not only in the operating system's
    // hands.
    template <typename Work>
    void transaction(bool durable, Work&& work) const {
        script(durable ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL");
        script("BEGIN IMMEDIATE");
        try {
            work();
            script("COMMIT");
        } catch (...) {
            sqlite3_exec(db, "ROLLBACK", nullptr, nullptr, nullptr);
            throw;
        }
    }

    sqlite3* db = nullptr;
};

ConversationStore::ConversationStore(const fs::path& path) {
    try {
        open(path);
        return;
    } catch (const StoreError& error) {
        problem_ = error.what();
    }
    db_.reset();
    db_ = std::make_unique<Database>(":memory:");
    db_->script(kMigrations[0]);
    in_memory_ = true;
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
        const int code = db_ ? sqlite3_errcode(db_->db) : SQLITE_CANTOPEN;
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
        const auto version = [&] {
            auto row = db_->rows("PRAGMA user_version");
            return row.next() ? row.number(0) : 0;
        }();
        if (version > kSchemaVersion) {
            throw StoreError("the file belongs to a newer Keyhole (its version " +
                             std::to_string(version) + ", known here " +
                             std::to_string(kSchemaVersion) + ")");
        }
        db_->script("PRAGMA journal_mode=WAL; PRAGMA foreign_keys=ON");
        if (version < kSchemaVersion) {
            db_->transaction(true, [&] {
                for (int64_t v = version; v < kSchemaVersion; v++) {
                    db_->script(kMigrations[v]);
                }
                db_->script(("PRAGMA user_version=" + std::to_string(kSchemaVersion)).c_str());
            });
        }
        db_->transaction(false, [&] { db_->run("DELETE FROM conversations WHERE deleted = 1"); });
    } catch (const StoreError& failure) {
        throw StoreError(path.string() + ": " + failure.what());
    }
    problem_ = damage;
}

std::vector<ConversationSummary> ConversationStore::list() const {
    std::vector<ConversationSummary> result;
    auto rows = db_->rows(
        "SELECT id, title, updated_at, tokens FROM conversations WHERE deleted = 0 ORDER BY "
        "updated_at DESC, id DESC");
    while (rows.next()) {
        result.push_back({rows.number(0), rows.text(1), rows.number(2), rows.number(3)});
    }
    return result;
}

std::optional<Conversation> ConversationStore::load(int64_t id) const {
    Conversation conversation;
    {
        auto rows = db_->rows(
            "SELECT title, created_at, updated_at FROM conversations WHERE id = ? AND deleted = 0",
            {id});
        if (!rows.next()) {
            return std::nullopt;
        }
        conversation.id = id;
        conversation.title = rows.text(0);
        conversation.created_at = rows.number(1);
        conversation.updated_at = rows.number(2);
    }
    auto rows = db_->rows(
        "SELECT id, role, state, content, reasoning, tool_calls, error, stats, created_at FROM "
        "messages "
        "WHERE conversation_id = ? AND replaced = 0 ORDER BY id",
        {id});
    while (rows.next()) {
        Message message;
        message.id = rows.number(0);
        message.role = value_of(kRoles, rows.text(1), runtime::Role::user);
        message.state = value_of(kStates, rows.text(2), MessageState::complete);
        if (message.state == MessageState::streaming) {
            message.state = MessageState::stopped;
        }
        message.content = rows.text(3);
        message.reasoning = rows.text(4);
        message.tool_calls = calls_from_text(rows.text(5));
        message.error = rows.text(6);
        message.stats = stats_from_text(rows.text(7));
        message.created_at = rows.number(8);
        auto files = db_->rows(
            "SELECT name, text, tokens, files FROM attachments WHERE message_id = ? ORDER BY id",
            {message.id});
        while (files.next()) {
            message.attachments.push_back(
                {files.text(0), files.text(1), files.number(2), files_from_text(files.text(3))});
        }
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
        "error, stats, created_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        {conversation_id, std::string(name_of(kRoles, message.role)),
         std::string(name_of(kStates, message.state)), message.content, message.reasoning,
         calls_to_text(message.tool_calls), message.error, stats_to_text(message.stats),
         message.created_at});
    message.id = db_->last_id();
    for (const Attachment& attachment : message.attachments) {
        db_->run(
            "INSERT INTO attachments (message_id, name, text, tokens, files) VALUES (?, ?, ?, ?, "
            "?)",
            {message.id, attachment.name, attachment.text, attachment.tokens,
             files_to_text(attachment.files)});
    }
}

void ConversationStore::begin_turn(Conversation& conversation) {
    // Ids are handed out only when the transaction holds.
    Conversation stored = conversation;
    db_->transaction(true, [&] {
        stored.updated_at = now_seconds();
        if (stored.id == 0) {
            stored.created_at = stored.updated_at;
            db_->run("INSERT INTO conversations (title, created_at, updated_at) VALUES (?, ?, ?)",
                     {stored.title, stored.created_at, stored.updated_at});
            stored.id = db_->last_id();
        } else {
            db_->run("UPDATE conversations SET updated_at = ? WHERE id = ?",
                     {stored.updated_at, stored.id});
        }
        for (Message& message : stored.messages) {
            if (message.id == 0) {
                insert_message(stored.id, message);
            }
        }
    });
    conversation = std::move(stored);
}

void ConversationStore::begin_another_answer(Conversation& conversation, int64_t replaced_id) {
    Message answer = conversation.messages.back();
    db_->transaction(true, [&] {
        db_->run("UPDATE messages SET replaced = 1 WHERE id = ?", {replaced_id});
        insert_message(conversation.id, answer);
    });
    conversation.messages.back() = std::move(answer);
}

void ConversationStore::save_partial(const Message& answer) {
    db_->transaction(false, [&] {
        db_->run("UPDATE messages SET content = ?, reasoning = ? WHERE id = ?",
                 {answer.content, answer.reasoning, answer.id});
    });
}

void ConversationStore::finish_turn(const Conversation& conversation, const Message& answer) {
    db_->transaction(true, [&] {
        db_->run(
            "UPDATE messages SET state = ?, content = ?, reasoning = ?, tool_calls = ?, error = ?, "
            "stats = ? WHERE id = ?",
            {std::string(name_of(kStates, answer.state)), answer.content, answer.reasoning,
             calls_to_text(answer.tool_calls), answer.error, stats_to_text(answer.stats),
             answer.id});
        db_->run("UPDATE conversations SET updated_at = ?, tokens = ? WHERE id = ?",
                 {now_seconds(), answer.stats.prompt_tokens + answer.stats.completion_tokens,
                  conversation.id});
    });
}

void ConversationStore::rename(int64_t id, const std::string& title) {
    db_->transaction(true, [&] {
        db_->run("UPDATE conversations SET title = ? WHERE id = ?", {title, id});
    });
}

void ConversationStore::remove(int64_t id) {
    db_->transaction(true,
                     [&] { db_->run("UPDATE conversations SET deleted = 1 WHERE id = ?", {id}); });
}

void ConversationStore::restore(int64_t id) {
    db_->transaction(true,
                     [&] { db_->run("UPDATE conversations SET deleted = 0 WHERE id = ?", {id}); });
}

}  // namespace app
