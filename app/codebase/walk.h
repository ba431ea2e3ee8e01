// Walking a folder: every file below it, in the order of their paths, less what git would ignore.
// In a git work tree that is what `git ls-files -co --exclude-standard` lists there; outside one,
// the same rules without an index, and repositories inside are walked by their own. Besides, what
// git does not speak of (pipes, folders that cannot be read) is listed with a reason.
// Follows no link, stays below the root, is bounded in depth and count. Reads directories, ignore
// files and git's index, never a file's content. Any thread; `cancel` may be set by another.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace app::codebase {

struct WalkedFile {
    std::string
        path;  // relative to the root, '/' between components, bytes as the file system has them
    int64_t bytes = 0;
    bool regular = true;  // false: `reason` says what it is instead
    std::string reason;   // "link", "device", "unreadable folder", "repository", "missing"
};

struct Walk {
    std::vector<WalkedFile> files;  // sorted by path, byte by byte, as git lists them
    bool cancelled = false;
    std::string stopped;  // not empty: the walk is not complete, and why
};

inline constexpr int64_t kMaxWalkedFiles = 1'000'000;
inline constexpr int kMaxFolderDepth = 256;

// `on_found` is called after each folder with what was found since the last call, in no order.
Walk walk_folder(const std::filesystem::path& root,
                 const std::atomic<bool>* cancel,
                 const std::function<void(std::span<const WalkedFile>)>& on_found = {},
                 int64_t max_files = kMaxWalkedFiles);

}  // namespace app::codebase
