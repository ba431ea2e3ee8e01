// Pack: files on disk -> one text for the model's context, with what was taken and what was not,
// and why. Each file is an element <file-HASH path="...">; HASH comes from the file's content and
// is checked not to occur in it, so no content can close its own element, and the same folder gives
// the same text (which is what a prefix cache needs). Knows no window and no engine; counts with
// the tokenizer it is given. Any thread; packing may take seconds.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/text/tokenizer.h"

namespace app::codebase {

// A path that cannot be packed: it does not exist, or it is / or the home folder. One line for a
// person.
class PackError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

enum class FileStatus {
    full,
    outline,
    name,
    left_out
};  // name: mentioned, not shown; left_out: not even that
std::string_view to_string(FileStatus status);  // "full", "outline", "name", "left_out"

struct PackedFile {
    std::string path;  // relative to the root, always valid UTF-8 without control characters
    FileStatus status = FileStatus::full;
    std::string reason;  // why not full ("binary"), or how it was read ("read as Latin-1")
    int64_t bytes = 0;   // on disk
    int64_t tokens = 0;  // of its element; 0 without a tokenizer
};

struct Pack {
    std::string root;               // name of the folder or file, for display: "keyhole/"
    std::vector<PackedFile> files;  // in the order of the text
    std::string text;               // empty when nothing was taken
    int64_t tokens = 0;             // of `text`; 0 without a tokenizer
    std::string note;               // not empty: what is not complete about it, for a person
    bool cancelled = false;

    int64_t files_taken() const;
};

// What may be watched from another thread while packing.
struct PackProgress {
    std::atomic<bool> cancel{false};
    std::atomic<int64_t> files{0};
    std::atomic<int64_t> tokens{0};
};

inline constexpr int64_t kMaxFileBytes = 1 << 20;   // a larger file is named only
inline constexpr int64_t kMaxPackBytes = 64 << 20;  // of text; what comes after is named only

// A folder, or one file. `tokenizer` may be null (no counts). Throws PackError; a file that cannot
// be read or is not text becomes an entry with a reason.
Pack pack_folder(const std::filesystem::path& path,
                 const runtime::Tokenizer* tokenizer,
                 PackProgress* progress = nullptr);

// Several dropped things as one pack each; loose files are gathered in one pack named after their
// number.
std::vector<Pack> pack_paths(const std::vector<std::filesystem::path>& paths,
                             const runtime::Tokenizer* tokenizer,
                             PackProgress* progress = nullptr);

}  // namespace app::codebase
