// GitRepository: what of a git repository decides which files belong to a folder - where it lies,
// its index, its exclude files. Reads git's own files; runs no git. Any thread.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace app::codebase {

// The text of a small regular file; empty when it is none, is missing or is larger than 64 MiB.
// Links are followed.
std::string read_small(const std::filesystem::path& path);

struct IndexEntry {
    std::string path;
    bool is_repository = false;  // a submodule
};

// The entries of a .git/index, versions 2 to 4, each path once, sorted by bytes. A damaged file
// gives what could be read up to the damage; `id_bytes` is 20, or 32 in a SHA-256 repository.
std::vector<IndexEntry> parse_index(std::string_view data, size_t id_bytes);

struct GitRepository {
    std::filesystem::path top;         // the work tree
    std::filesystem::path git_folder;  // index
    std::filesystem::path common;      // info/exclude, config; another one in a linked work tree
    size_t id_bytes = 20;
    std::string excludes_file;  // core.excludesFile, expanded; the default place otherwise

    // The repository whose work tree has its top at `folder`; nothing when there is none.
    static std::optional<GitRepository> at(const std::filesystem::path& folder);
    // The innermost one that holds `folder`.
    static std::optional<GitRepository> around(const std::filesystem::path& folder);

    std::vector<IndexEntry> index() const;
    std::string info_exclude() const { return read_small(common / "info" / "exclude"); }
};

// The exclude file of the person, for folders that lie in no repository.
std::string personal_excludes_file();

}  // namespace app::codebase
