// ConversationStore, the part around the conversations: titles, trash, folders, drafts, whole
// trees.
#include <algorithm>
#include <ctime>
#include <unordered_map>

#include "app/conversation_json.h"
#include "app/conversation_store.h"
#include "app/draft_writer.h"

namespace app {

void ConversationStore::rename(int64_t id, const std::string& title) {
    db_->transaction(true, [&] {
        db_->run("UPDATE conversations SET title = ? WHERE id = ?", {title, id});
    });
}

void ConversationStore::set_pinned(int64_t id, bool pinned) {
    db_->transaction(false, [&] {
        db_->run("UPDATE conversations SET pinned = ? WHERE id = ?", {int64_t{pinned}, id});
    });
}

void ConversationStore::set_settings(int64_t id, const std::string& json) {
    db_->transaction(false, [&] {
        db_->run("UPDATE conversations SET settings = ? WHERE id = ?", {json, id});
    });
}

void ConversationStore::remove(const std::vector<int64_t>& ids) {
    const auto now = static_cast<int64_t>(std::time(nullptr));
    db_->transaction(true, [&] {
        for (const int64_t id : ids) {
            db_->run("UPDATE conversations SET deleted_at = ? WHERE id = ?", {now, id});
        }
    });
}

void ConversationStore::restore(const std::vector<int64_t>& ids) {
    db_->transaction(true, [&] {
        for (const int64_t id : ids) {
            db_->run("UPDATE conversations SET deleted_at = 0 WHERE id = ?", {id});
        }
    });
}

void ConversationStore::erase(const std::vector<int64_t>& ids) {
    settle_drafts();
    db_->transaction(true, [&] {
        for (const int64_t id : ids) {
            if (has_index_) {
                db_->run(
                    "INSERT INTO search(search, rowid, content) SELECT 'delete', t.id, t.content "
                    "FROM message_texts t JOIN messages m ON m.id = t.id "
                    "WHERE m.conversation_id = ? AND m.indexed = 1",
                    {id});
            }
            db_->run("DELETE FROM drafts WHERE conversation_id = ?", {id});
            db_->run("DELETE FROM conversations WHERE id = ?", {id});
        }
    });
}

std::vector<Folder> ConversationStore::folders() const {
    std::vector<Folder> result;
    auto rows = db_->rows("SELECT id, name FROM folders ORDER BY name COLLATE NOCASE, id");
    while (rows.next()) {
        result.push_back({rows.number(0), rows.text(1)});
    }
    return result;
}

int64_t ConversationStore::add_folder(const std::string& name) {
    int64_t id = 0;
    db_->transaction(false, [&] {
        db_->run("INSERT INTO folders (name) VALUES (?)", {name});
        id = db_->last_id();
    });
    return id;
}

void ConversationStore::rename_folder(int64_t id, const std::string& name) {
    db_->transaction(false, [&] {
        db_->run("UPDATE folders SET name = ? WHERE id = ?", {name, id});
    });
}

void ConversationStore::remove_folder(int64_t id) {
    db_->transaction(false, [&] {
        db_->run("UPDATE conversations SET folder_id = 0 WHERE folder_id = ?", {id});
        db_->run("DELETE FROM folders WHERE id = ?", {id});
    });
}

void ConversationStore::move_to_folder(const std::vector<int64_t>& ids, int64_t folder) {
    db_->transaction(false, [&] {
        for (const int64_t id : ids) {
            db_->run("UPDATE conversations SET folder_id = ? WHERE id = ?", {folder, id});
        }
    });
}

void ConversationStore::save_draft(int64_t conversation, const Draft& draft) {
    settle_drafts();
    write_draft(*db_, conversation, draft);
}

void ConversationStore::save_draft_later(int64_t conversation, Draft draft) {
    if (in_memory_) {
        write_draft(*db_, conversation, draft);
        return;
    }
    if (!draft_writer_) {
        draft_writer_ = std::make_unique<DraftWriter>(path_);
    }
    draft_writer_->save(conversation, std::move(draft));
}

void ConversationStore::settle_drafts() const {
    if (draft_writer_) {
        draft_writer_->settle();
    }
}

Draft ConversationStore::draft(int64_t conversation) const {
    settle_drafts();
    Draft draft;
    auto row = db_->rows("SELECT text, cursor, staged FROM drafts WHERE conversation_id = ?",
                         {conversation});
    if (!row.next()) {
        return draft;
    }
    draft.text = row.text(0);
    draft.cursor =
        std::min(draft.text.size(), static_cast<size_t>(std::max<int64_t>(0, row.number(1))));
    const Json staged = parse_json(row.text(2));
    if (staged.is_array()) {
        for (const Json& item : staged) {
            draft.staged.push_back(
                {field<std::string>(item, "name", ""), field<std::string>(item, "text", ""),
                 field<int64_t>(item, "tokens", 0),
                 files_of(item.is_object() ? item.value("files", Json()) : Json())});
        }
    }
    return draft;
}

void ConversationStore::save_scroll(int64_t conversation, const std::string& place) {
    db_->transaction(false, [&] {
        db_->run("UPDATE conversations SET scroll = ? WHERE id = ?", {place, conversation});
    });
}

std::string ConversationStore::scroll(int64_t conversation) const {
    auto row = db_->rows("SELECT scroll FROM conversations WHERE id = ?", {conversation});
    return row.next() ? row.text(0) : "";
}

void ConversationStore::set_value(const std::string& key, const std::string& value) {
    db_->transaction(false, [&] {
        db_->run(
            "INSERT INTO meta (key, value) VALUES (?, ?) "
            "ON CONFLICT(key) DO UPDATE SET value = excluded.value",
            {key, value});
    });
}

std::string ConversationStore::value(const std::string& key) const {
    auto row = db_->rows("SELECT value FROM meta WHERE key = ?", {key});
    return row.next() ? row.text(0) : "";
}

std::optional<Conversation> ConversationStore::load_tree(int64_t id) const {
    auto conversation = load(id);
    if (!conversation) {
        return std::nullopt;
    }
    conversation->messages.clear();
    auto rows = db_->rows(
        "SELECT id, role, state, content, reasoning, tool_calls, error, stats, created_at, "
        "parent_id, left_out, tokens, deleted_at FROM messages WHERE conversation_id = ? "
        "ORDER BY id",
        {id});
    // A deleted message's children hang on the first ancestor that is there.
    std::unordered_map<int64_t, int64_t> deleted;
    while (rows.next()) {
        Message message = read_message(rows);
        for (auto up = deleted.find(message.parent); up != deleted.end();
             up = deleted.find(message.parent)) {
            message.parent = up->second;
        }
        if (rows.number(12) != 0) {
            deleted[message.id] = message.parent;
            continue;
        }
        read_attachments(message);
        conversation->messages.push_back(std::move(message));
    }
    return conversation;
}

int64_t ConversationStore::add_tree(const Conversation& tree, int64_t shown) {
    int64_t id = 0;
    db_->transaction(true, [&] {
        db_->run(
            "INSERT INTO conversations (title, created_at, updated_at, folder_id, pinned, "
            "settings) VALUES (?, ?, ?, ?, ?, ?)",
            {tree.title, tree.created_at, tree.updated_at, tree.folder, int64_t{tree.pinned},
             tree.settings});
        id = db_->last_id();
        std::unordered_map<int64_t, int64_t> ids;
        std::unordered_map<int64_t, int64_t> parents;
        int64_t last = 0;
        for (Message message : tree.messages) {
            const int64_t old = message.id;
            const auto parent = ids.find(message.parent);
            message.parent = parent == ids.end() ? 0 : parent->second;
            insert_message(id, message);
            set_active(id, message.parent, message.id);
            ids[old] = message.id;
            parents[message.id] = message.parent;
            last = message.id;
            if (message.role == runtime::Role::assistant && message.stats.prompt_tokens > 0) {
                db_->run("UPDATE conversations SET tokens = ? WHERE id = ?",
                         {message.stats.prompt_tokens + message.stats.completion_tokens, id});
            }
        }
        const auto wanted = ids.find(shown);
        for (int64_t at = wanted == ids.end() ? last : wanted->second; at != 0; at = parents[at]) {
            set_active(id, parents[at], at);
        }
    });
    return id;
}

}  // namespace app
