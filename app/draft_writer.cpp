#include "app/draft_writer.h"

#include <memory>
#include <utility>

#include "app/conversation_json.h"

namespace app {

void write_draft(const Database& db, int64_t conversation, const Draft& draft) {
    std::string staged;
    if (!draft.empty()) {
        Json list = Json::array();
        for (const Attachment& attachment : draft.staged) {
            list.push_back(Json{{"name", attachment.name},
                                {"text", attachment.text.str()},
                                {"tokens", attachment.tokens},
                                {"files", json_of(attachment.files.all())}});
        }
        staged = dump(list);
    }
    // Others wait while this writes: all else was done before.
    db.transaction(false, [&] {
        if (draft.empty()) {
            db.run("DELETE FROM drafts WHERE conversation_id = ?", {conversation});
            return;
        }
        db.run(
            "INSERT INTO drafts (conversation_id, text, cursor, staged) VALUES (?, ?, ?, ?) "
            "ON CONFLICT(conversation_id) DO UPDATE SET text = excluded.text, "
            "cursor = excluded.cursor, staged = excluded.staged",
            {conversation, draft.text, static_cast<int64_t>(draft.cursor),
             Database::TextView{staged}});
    });
}

DraftWriter::DraftWriter(std::filesystem::path path)
    : path_(std::move(path)), thread_([this] { run(); }) {}

DraftWriter::~DraftWriter() {
    {
        const std::lock_guard lock(mutex_);
        stop_ = true;
    }
    changed_.notify_all();
    thread_.join();
}

void DraftWriter::save(int64_t conversation, Draft draft) {
    std::string problem;
    {
        const std::lock_guard lock(mutex_);
        waiting_[conversation] = std::move(draft);
        problem.swap(problem_);
    }
    changed_.notify_all();
    if (!problem.empty()) {
        throw StoreError(problem);
    }
}

void DraftWriter::settle() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return waiting_.empty() && !writing_; });
}

void DraftWriter::run() {
    std::unique_ptr<Database> db;
    std::unique_lock lock(mutex_);
    for (;;) {
        changed_.wait(lock, [this] { return stop_ || !waiting_.empty(); });
        if (waiting_.empty()) {
            return;
        }
        auto next = waiting_.extract(waiting_.begin());
        writing_ = true;
        lock.unlock();
        std::string problem;
        try {
            if (!db) {
                db = std::make_unique<Database>(path_.string());
                db->script("PRAGMA journal_size_limit=4194304");
            }
            write_draft(*db, next.key(), next.mapped());
        } catch (const StoreError& error) {
            problem = error.what();
        }
        next.mapped() = {};  // perhaps the last to know a text of megabytes: not under the lock
        lock.lock();
        writing_ = false;
        if (!problem.empty()) {
            problem_ = std::move(problem);
        }
        changed_.notify_all();
    }
}

}  // namespace app
