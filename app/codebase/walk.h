// Walking a folder: every file below it, in the order of their paths, less what git would ignore.
// Follows no link, stays below the root, is bounded in depth and count. Reads directories and
// ignore files, never a file's content. Any thread; `cancel` may be set by another.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace app::codebase {

struct WalkedFile {
    std::string
        path;  // relative to the root, '/' between components, bytes as the file system has them
    int64_t bytes = 0;
    bool regular = true;  // false: `reason` says what it is instead
    std::string reason;   // "link", "device", "unreadable folder"
};

struct Walk {
    std::vector<WalkedFile> files;  // sorted by path, byte by byte, as git lists them
    bool cancelled = false;
    std::string stopped;  // not empty: the walk is not complete, and why
};

inline constexpr int64_t kMaxWalkedFiles = 200'000;
inline constexpr int kMaxFolderDepth = 64;

Walk walk_folder(const std::filesystem::path& root, const std::atomic<bool>* cancel);

}  // namespace app::codebase
