// Pack: scanned files -> one text for the model's context, with what was taken and what was not,
// and why. A head with the tree of all files, then one element per file (wrapper.h), definitions
// before uses (order.h): the same files and choices give the same text, which is what a prefix
// cache needs. Knows no window and no engine; counts with the tokenizer it is given. Any thread but
// the main one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "app/codebase/scan.h"
#include "runtime/text/tokenizer.h"

namespace app::codebase {

enum class FileStatus {
    full,
    outline,
    name,
    left_out
};  // name: mentioned, not shown; left_out: not even that
std::string_view to_string(FileStatus status);  // "full", "outline", "name", "left_out"

// What a person decided about one file.
struct FileChoice {
    FileStatus status = FileStatus::full;
    int64_t first_line = 0, last_line = 0;  // full: only these, from 1; 0: all
    SecretPolicy secrets = SecretPolicy::mask;
    bool focus = false;  // comes last, just before the question
    bool operator==(const FileChoice&) const = default;
};
using FileChoices = std::map<std::string, FileChoice>;  // by ScannedFile::path

struct PackedFile {
    std::string path;  // relative to the root, always valid UTF-8 without control characters
    FileStatus status = FileStatus::full;
    std::string reason;  // why not full ("binary"), or how it was read ("read as Latin-1")
    int64_t bytes = 0;   // on disk
    int64_t tokens = 0;  // of its element; 0 without a tokenizer
};

struct Pack {
    std::string root;  // name of the folder or file, for display: "keyhole/"
    std::vector<PackedFile>
        files;                // in the order of the text; what is not in it by path at the end
    std::string text;         // empty when nothing was taken, or when it went elsewhere
    int64_t tokens = 0;       // of `text`; 0 without a tokenizer
    int64_t head_tokens = 0;  // of these, the head's
    int64_t bytes = 0;        // of the text, wherever it went
    std::string note;         // not empty: what is not complete about it, for a person
    bool cancelled = false;

    int64_t files_taken() const;
};

inline constexpr int64_t kMaxPackBytes = 64 << 20;  // of text that is kept; what comes after is
                                                    // named only

struct PackOptions {
    FileChoices choices;
    // Takes the text piece by piece instead of Pack::text, without a limit.
    std::function<void(std::string_view)> write;
    bool counts_only = false;  // nothing is rendered: what is known from the scan is not read again
};

// `tokenizer` is the one that scanned, or null. A file that changed since is taken as it is now.
Pack make_pack(const ScanResult& scanned,
               const runtime::Tokenizer* tokenizer,
               const PackOptions& options = {},
               ScanProgress* progress = nullptr);

// Both steps at once, nothing chosen. Throws PackError; a file that cannot be read or is not text
// becomes an entry with a reason.
Pack pack_folder(const std::filesystem::path& path,
                 const runtime::Tokenizer* tokenizer,
                 ScanProgress* progress = nullptr,
                 const ScanOptions& options = {});

// Several dropped things, one pack per source.
std::vector<Pack> pack_paths(const std::vector<std::filesystem::path>& paths,
                             const runtime::Tokenizer* tokenizer,
                             ScanProgress* progress = nullptr,
                             const ScanOptions& options = {});

// What is read of a file where nobody chose.
FileStatus default_status(const ScannedFile& file);

}  // namespace app::codebase
