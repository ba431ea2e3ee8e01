// FileText: one file of a tree as a pack takes it - read once, decoded, classified, its secrets
// masked. Scan, pack, ledger and viewer all read through here, so that they see the same text. Any
// thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "app/codebase/classify.h"
#include "app/codebase/content_hash.h"

namespace app::codebase {

enum class SecretPolicy : uint8_t { mask, leave_out, allow };

// What tells without reading that a file may have changed.
struct FileStamp {
    int64_t bytes = 0;
    int64_t changed_ns = 0;  // mtime
    uint64_t inode = 0;
    bool operator==(const FileStamp&) const = default;
};

struct FileText {
    FileKind kind = FileKind::text;
    std::string reason;  // why not full, or how it was read: "binary", "read as Latin-1"
    std::string text;    // empty where there is none
    FileStamp stamp;
    int secrets = 0;     // masked ones
    bool plain = false;  // the bytes on disk are the text
    bool has_text() const {
        return kind != FileKind::binary && kind != FileKind::unreadable && !text.empty();
    }
};

inline constexpr int64_t kMaxFileBytes = 1 << 20;    // a larger file is read only when asked for
inline constexpr int64_t kMaxAskedBytes = 64 << 20;  // and one larger than this never

// `path` is relative to `root`, as the file system spells it. Of a file larger than `max_bytes`
// only the first 64 KiB are looked at: huge, or binary; no text.
FileText read_file_text(const std::filesystem::path& root,
                        const std::string& path,
                        SecretPolicy policy = SecretPolicy::mask,
                        int64_t max_bytes = kMaxFileBytes);

// The same for a file known to be plain. False: it cannot be read, or its stamp is another one.
bool read_plain(const std::filesystem::path& root,
                const std::string& path,
                const FileStamp& stamp,
                std::string& text);

// Of the file as it is now, without reading it; nothing where there is no regular file.
FileStamp stamp_of(const std::filesystem::path& root, const std::string& path);

}  // namespace app::codebase
