// Scan: a folder or some files -> what each of them is, why, and its exact tokens as an element of
// a pack. Walks, then classifies, then counts, on several threads; snapshots of what is known so
// far can be taken meanwhile. Keeps no contents: 100,000 files cost some 40 MB. Knows no window.
// scan() blocks, on any thread but the main one.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include "app/codebase/file_text.h"
#include "app/codebase/wrapper.h"
#include "runtime/text/tokenizer.h"

namespace app::codebase {

// A path that cannot be packed: it does not exist, or it is / or the home folder. One line for a
// person.
class PackError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

// A folder with all below it, or some files of a folder.
struct ScanSource {
    std::filesystem::path root;      // canonical
    std::vector<std::string> files;  // empty: the whole folder
    std::string name() const;        // for display: "keyhole/", "main.cpp", "3 files"
};
// What was dropped or named, as sources: each folder by itself, loose files by the folder they lie
// in. Throws PackError.
std::vector<ScanSource> sources_of(const std::vector<std::filesystem::path>& paths);

struct ScannedFile {
    std::string path;     // relative to the root, bytes as the file system has them
    std::string reason;   // why not full, or how it was read
    std::string imports;  // order.h
    ElementMark mark;
    ContentHash content;  // of the text as packed; where there is one
    FileStamp stamp;
    int64_t bytes = 0;  // on disk
    int64_t text_bytes = 0;
    int64_t tokens = -1;  // of the element; -1: not counted
    FileKind kind = FileKind::text;
    enum class Stage : uint8_t { found, classified, counted } stage = Stage::found;
    bool regular = true;
    bool plain = false;
    int secrets = 0;
};

struct ScanResult {
    ScanSource source;
    Wrapper wrapper;
    SecretPolicy secrets = SecretPolicy::mask;
    std::vector<ScannedFile> files;  // by path; while walking, as found
    std::string note;                // not empty: what is not complete about it
    bool cancelled = false;
};

// Watched from other threads while a scan runs.
class ScanProgress {
public:
    std::atomic<bool> cancel{false};
    std::atomic<int64_t> found{0}, classified{0}, counted{0};
    std::atomic<int64_t> countable{0};        // files that will be counted; known once classified
    std::atomic<int64_t> bytes{0};            // on disk, of what was found
    std::atomic<int64_t> tokens{0};           // of what counts by default, so far
    std::atomic<int64_t> text_bytes{0};       // of what counts by default; known once classified
    std::atomic<int64_t> bytes_uncounted{0};  // of those
    std::atomic<int64_t> first_rows_us{-1}, classified_us{-1}, counted_us{-1};  // since the start

    // Where the sum will end, from the tokens per byte met so far: certain once all is counted.
    struct Interval {
        int64_t least = 0, most = 0;
    };
    Interval interval() const;

    // What is known so far, of the first files; null before there are some. Immutable: swapped,
    // never written to.
    std::shared_ptr<const ScanResult> snapshot() const;
    void publish(std::shared_ptr<const ScanResult> snapshot);

    // Of how many files a snapshot speaks at most; 0: none is taken. Set before the scan starts.
    int64_t snapshot_files = 0;

private:
    mutable std::mutex mutex_;
    std::shared_ptr<const ScanResult> snapshot_;  // guarded by mutex_
};

struct ScanOptions {
    Wrapper wrapper;
    SecretPolicy secrets = SecretPolicy::mask;
    std::filesystem::path cache;    // folder of the counts; empty: none
    int64_t max_files = 1'000'000;  // a walk that finds more stops, and the note says so
    int threads = 0;                // 0: all cores
    bool yields = false;            // gives way to whatever else runs on the machine
    std::function<void()> on_news;  // from a worker, when a snapshot was published
};

// `tokenizer` null: nothing is counted. `progress` may be null. After a cancel it returns within
// some milliseconds, incomplete.
ScanResult scan(const ScanSource& source,
                const runtime::Tokenizer* tokenizer,
                const ScanOptions& options = {},
                ScanProgress* progress = nullptr);

// What is read of such a file where nobody chose.
bool is_shown_by_default(FileKind kind);
// As the count cache calls a content in a wrapper.
ContentHash count_key(const ContentHash& content, const Wrapper& wrapper);

}  // namespace app::codebase
