// DraftWriter: drafts on their way to the file of conversations, written on a thread of its own
// through a connection of its own: a staged folder is megabytes, and the window does not wait for
// them. Of one conversation only the newest draft counts. Main thread.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <string>
#include <thread>

#include "app/conversation.h"
#include "app/database.h"

namespace app {

class DraftWriter {
public:
    // The file has its tables.
    explicit DraftWriter(std::filesystem::path path);
    ~DraftWriter();  // what waits is written first
    DraftWriter(const DraftWriter&) = delete;
    DraftWriter& operator=(const DraftWriter&) = delete;

    // Throws StoreError: an earlier draft could not be written. This one is on its way all the
    // same.
    void save(int64_t conversation, Draft draft);
    // Returns when nothing waits any more.
    void settle();

private:
    void run();

    const std::filesystem::path path_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::map<int64_t, Draft> waiting_;  // guarded by mutex_
    bool writing_ = false;              // guarded by mutex_
    bool stop_ = false;                 // guarded by mutex_
    std::string problem_;               // guarded by mutex_; of a draft that could not be written
    std::thread thread_;
};

// Replaces the stored draft of a conversation; an empty one is forgotten.
void write_draft(const Database& db, int64_t conversation, const Draft& draft);

}  // namespace app
