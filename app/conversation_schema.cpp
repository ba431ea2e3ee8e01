#include "app/conversation_schema.h"

#include <iterator>
#include <string>

namespace app {
namespace {

namespace fs = std::filesystem;

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

    // Version 1 was a list in which a second answer hid the first. Both become children of the
    // question before them, the one that was shown the active one.
    R"(ALTER TABLE conversations ADD COLUMN deleted_at INTEGER NOT NULL DEFAULT 0;
       ALTER TABLE conversations ADD COLUMN folder_id INTEGER NOT NULL DEFAULT 0;
       ALTER TABLE conversations ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0;
       ALTER TABLE conversations ADD COLUMN settings TEXT NOT NULL DEFAULT '';
       ALTER TABLE conversations ADD COLUMN active_root INTEGER NOT NULL DEFAULT 0;
       ALTER TABLE conversations ADD COLUMN scroll TEXT NOT NULL DEFAULT '';
       UPDATE conversations SET deleted_at = CAST(strftime('%s', 'now') AS INTEGER)
           WHERE deleted <> 0;
       ALTER TABLE messages ADD COLUMN parent_id INTEGER NOT NULL DEFAULT 0;
       ALTER TABLE messages ADD COLUMN active_child INTEGER NOT NULL DEFAULT 0;
       ALTER TABLE messages ADD COLUMN deleted_at INTEGER NOT NULL DEFAULT 0;
       ALTER TABLE messages ADD COLUMN deleted_with INTEGER NOT NULL DEFAULT 0;
       ALTER TABLE messages ADD COLUMN left_out INTEGER NOT NULL DEFAULT 0;
       ALTER TABLE messages ADD COLUMN indexed INTEGER NOT NULL DEFAULT 0;
       ALTER TABLE messages ADD COLUMN tokens BLOB NOT NULL DEFAULT x'';
       ALTER TABLE attachments ADD COLUMN left_out INTEGER NOT NULL DEFAULT 0;
       UPDATE messages SET parent_id = coalesce(
           (SELECT max(m.id) FROM messages AS m WHERE m.conversation_id = messages.conversation_id
                AND m.id < messages.id AND m.replaced = 0), 0);
       CREATE INDEX messages_by_parent ON messages(conversation_id, parent_id, id);
       UPDATE messages SET active_child = coalesce(
           (SELECT max(m.id) FROM messages AS m WHERE m.conversation_id = messages.conversation_id
                AND m.parent_id = messages.id AND m.replaced = 0), 0);
       UPDATE conversations SET active_root = coalesce(
           (SELECT max(m.id) FROM messages AS m WHERE m.conversation_id = conversations.id
                AND m.parent_id = 0 AND m.replaced = 0), 0);
       ALTER TABLE messages DROP COLUMN replaced;
       ALTER TABLE conversations DROP COLUMN deleted;
       CREATE INDEX messages_to_index ON messages(id) WHERE indexed = 0;
       CREATE INDEX conversations_by_time ON conversations(deleted_at, updated_at DESC, id DESC);
       CREATE TABLE folders (
           id       INTEGER PRIMARY KEY AUTOINCREMENT,
           name     TEXT NOT NULL
       );
       CREATE TABLE drafts (
           conversation_id INTEGER PRIMARY KEY,
           text            TEXT NOT NULL,
           cursor          INTEGER NOT NULL,
           staged          TEXT NOT NULL
       );
       CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);)",
};
static_assert(std::size(kMigrations) == kSchemaVersion);

int64_t version_of(const Database& db) {
    return db.number("PRAGMA user_version");
}

void back_up(const Database& db, const fs::path& path, int64_t version) {
    const std::string stem = path.string() + ".version-" + std::to_string(version);
    std::string copy = stem;
    std::error_code error;
    for (int i = 2; fs::exists(copy, error); i++) {
        copy = stem + "-" + std::to_string(i);
    }
    try {
        db.run("VACUUM INTO ?", {copy});
    } catch (const StoreError& failure) {
        fs::remove(copy, error);
        throw StoreError(
            "it has to be copied to " + copy +
                " before it is brought to a new version, and that failed: " + failure.what(),
            failure.busy);
    }
}

}  // namespace

void migrate(const Database& db, const fs::path& path) {
    const int64_t found = version_of(db);
    if (found > kSchemaVersion) {
        throw StoreError("the file belongs to a newer Keyhole (its version " +
                         std::to_string(found) + ", known here " + std::to_string(kSchemaVersion) +
                         ")");
    }
    if (found < 0) {
        throw StoreError("its version, " + std::to_string(found) + ", is none of Keyhole's");
    }
    if (found == kSchemaVersion) {
        return;
    }
    if (found > 0) {
        back_up(db, path, found);
    }
    db.transaction(true, [&] {
        // Another Keyhole may have done it meanwhile.
        for (int64_t v = version_of(db); v < kSchemaVersion; v++) {
            db.script(kMigrations[v]);
        }
        db.script(("PRAGMA user_version=" + std::to_string(kSchemaVersion)).c_str());
    });
}

bool make_search_index(const Database& db) {
    if (db.number("SELECT count(*) FROM sqlite_master WHERE name = 'search'") > 0) {
        // Of a build of SQLite that had what this one may lack.
        try {
            db.number("SELECT rowid FROM search LIMIT 1");
            return true;
        } catch (const StoreError&) {
            return false;
        }
    }
    try {
        db.transaction(false, [&] {
            db.script(
                "CREATE VIEW message_texts AS SELECT id, content || '  ' AS content FROM messages;"
                "CREATE VIRTUAL TABLE search USING fts5(content, content='message_texts', "
                "content_rowid='id', tokenize='trigram');"
                "CREATE VIRTUAL TABLE search_terms USING fts5vocab(search, row);"
                "UPDATE messages SET indexed = 0;");
        });
        return true;
    } catch (const StoreError&) {
        return false;
    }
}

}  // namespace app
