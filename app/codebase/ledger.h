// Ledger: what a model has been shown of a folder, and what has changed on disk since. A sent pack
// is frozen: changes are appended behind it as revisions, whole or as a diff, whichever is shorter,
// so that everything before them stays in the cache. Read back from the sent texts themselves:
// their tags are content hashes. Any thread but the main one.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "app/codebase/file_text.h"
#include "app/codebase/wrapper.h"
#include "runtime/text/tokenizer.h"

namespace app::codebase {

// A file as the model saw it last.
struct SeenFile {
    std::string tag;  // of the content
    std::string content;
    std::string shows;       // "outline", or nothing
    int64_t first_line = 1;  // of the content in the file
    int64_t last_line = 0;   // of a slice; 0: up to the end
};

class Snapshot {
public:
    // A pack or a revision, XML form; in the order in which they were sent. What is no element is
    // passed over.
    void add(std::string_view text);
    // By printable path.
    const std::map<std::string, SeenFile>& files() const { return files_; }
    bool empty() const { return files_.empty(); }

private:
    std::map<std::string, SeenFile> files_;
};

struct Change {
    std::string path;  // printable
    bool gone = false;
    std::string element;  // empty: gone
    int64_t tokens = 0;
};

struct Revision {
    std::string text;
    int64_t tokens = 0;
    std::vector<Change> changes;
    bool empty() const { return changes.empty(); }
};

class Ledger {
public:
    // `name` as a pack calls the folder.
    Ledger(std::filesystem::path root, std::string name, Snapshot snapshot);

    // What differs now from what was sent, ready to be sent. Files whose stamp is that of an
    // earlier look are not read again. Files that are new are not of it: nobody chose them.
    Revision look(const runtime::Tokenizer& tokenizer, const std::atomic<bool>* cancel = nullptr);

    const Snapshot& snapshot() const { return snapshot_; }
    const std::filesystem::path& root() const { return root_; }
    // Folders, relative to the root, that hold what was sent.
    std::vector<std::string> folders() const;

private:
    struct Known {
        FileStamp stamp;
        Change change;  // path empty: none
    };
    std::filesystem::path root_;
    std::string name_;
    Snapshot snapshot_;
    std::map<std::string, Known> known_;
};

// The bytes of a path from how it was printed.
std::string path_from_printable(std::string_view printable);

}  // namespace app::codebase
