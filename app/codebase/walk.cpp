#include "app/codebase/walk.h"

#include <algorithm>
#include <cerrno>
#include <memory>
#include <optional>
#include <string_view>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/codebase/git_repository.h"
#include "app/codebase/ignore.h"

namespace app::codebase {
namespace {

namespace fs = std::filesystem;

constexpr off_t kMaxIgnoreFileBytes = 16 << 20;

// git opens ignore files of the tree without following links.
std::string read_small_at(int folder, const char* name) {
    const int fd = ::openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return "";
    }
    std::string text;
    struct stat info {};
    if (::fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_size <= kMaxIgnoreFileBytes) {
        text.resize(static_cast<size_t>(info.st_size));
        size_t got = 0;
        while (got < text.size()) {
            const ssize_t n = ::read(fd, text.data() + got, text.size() - got);
            if (n <= 0) {
                break;
            }
            got += static_cast<size_t>(n);
        }
        text.resize(got);
    }
    ::close(fd);
    return text;
}

// Rules of one folder, and how a path that is relative to the top of the repository becomes one
// that is relative to that folder.
struct Scope {
    IgnoreRules rules;
    size_t skip = 0;
};

// The repository (or none) whose rules hold in a part of the walk. Paths in here are relative to
// its top.
struct Territory {
    bool is_repository = false;
    std::string prefix;         // of the walk's root below the top, or of the top below the root
    bool top_is_above = false;  // which of the two
    std::vector<Scope> scopes;
    std::vector<IndexEntry> index;
    std::vector<bool> seen;  // entries of the index that were met on the way

    std::string from_top(std::string_view path) const {
        return top_is_above ? prefix + std::string(path) : std::string(path.substr(prefix.size()));
    }
    void add_rules(const std::string& text, size_t skip) {
        if (IgnoreRules rules = IgnoreRules::parse(text); !rules.empty()) {
            scopes.push_back({std::move(rules), skip});
        }
    }
    bool ignored(std::string_view path, bool is_folder) const {
        for (auto scope = scopes.rbegin(); scope != scopes.rend(); ++scope) {
            if (const auto verdict = scope->rules.match(path.substr(scope->skip), is_folder)) {
                return *verdict;
            }
        }
        return false;
    }
    size_t find(std::string_view path) const {
        const auto at = std::lower_bound(
            index.begin(), index.end(), path,
            [](const IndexEntry& entry, std::string_view wanted) { return entry.path < wanted; });
        return at != index.end() && at->path == path ? static_cast<size_t>(at - index.begin())
                                                     : index.size();
    }
    bool has_below(const std::string& folder) const {
        const auto at = std::lower_bound(
            index.begin(), index.end(), folder,
            [](const IndexEntry& entry, const std::string& wanted) { return entry.path < wanted; });
        return at != index.end() && at->path.starts_with(folder);
    }
};

class Walker {
public:
    Walker(const fs::path& root,
           const std::atomic<bool>* cancel,
           const std::function<void(std::span<const WalkedFile>)>& on_found,
           int64_t max_files)
        : root_(root), cancel_(cancel), on_found_(on_found), max_files_(max_files) {
        const int fd = ::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0) {
            result_.stopped = "the folder cannot be read";
            return;
        }
        Territory territory;
        if (const auto repository = GitRepository::around(root)) {
            enter_repository(territory, *repository);
            territory.top_is_above = true;
            std::error_code error;
            const std::string prefix = fs::relative(root, repository->top, error).generic_string();
            territory.prefix = prefix == "." ? "" : prefix + "/";
            if (!add_rules_from_above(territory, repository->top)) {
                ::close(fd);
                add_unseen(territory, "");
                result_.stopped =
                    "git ignores this folder: a rule of the repository around it "
                    "covers it";
                finish();
                return;
            }
        } else {
            territory.add_rules(read_small(personal_excludes_file()), 0);
        }
        folder(fd, "", 0, territory);
        add_unseen(territory, "");
        finish();
    }

    Walk take() { return std::move(result_); }

private:
    static void enter_repository(Territory& territory, const GitRepository& repository) {
        territory.is_repository = true;
        territory.index = repository.index();
        territory.seen.resize(territory.index.size());
        // Least to say first: the person's file, the repository's, then folder by folder.
        territory.add_rules(read_small(repository.excludes_file), 0);
        territory.add_rules(repository.info_exclude(), 0);
    }

    // A folder inside a repository: rules of its parents count, and a parent that is ignored takes
    // everything below with it. false: it is.
    static bool add_rules_from_above(Territory& territory, const fs::path& top) {
        const std::string& prefix = territory.prefix;
        for (size_t at = 0; at < prefix.size();) {  // the root's own file is read with the root
            const int fd =
                ::open((top / prefix.substr(0, at)).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
            if (fd >= 0) {
                territory.add_rules(read_small_at(fd, ".gitignore"), at);
                ::close(fd);
            }
            const size_t slash = prefix.find('/', at);
            if (territory.ignored(std::string_view(prefix).substr(0, slash), true)) {
                return false;
            }
            at = slash + 1;
        }
        return true;
    }

    void tell() {
        if (on_found_ && told_ < result_.files.size()) {
            on_found_(std::span<const WalkedFile>(result_.files).subspan(told_));
            told_ = result_.files.size();
        }
    }

    void finish() {
        tell();
        if (result_.cancelled) {
            return;  // whoever cancelled waits, and looks at nothing of it
        }
        std::sort(result_.files.begin(), result_.files.end(),
                  [](const WalkedFile& a, const WalkedFile& b) { return a.path < b.path; });
    }

    bool stop() {
        if (cancel_ && cancel_->load(std::memory_order_relaxed)) {
            result_.cancelled = true;
            return true;
        }
        return !result_.stopped.empty();
    }

    void add(std::string path, int64_t bytes, std::string reason = "") {
        if (static_cast<int64_t>(result_.files.size()) >= max_files_) {
            result_.stopped = "stopped after " + std::to_string(max_files_) + " files";
            return;
        }
        const bool regular = reason.empty();
        result_.files.push_back({std::move(path), bytes, regular, std::move(reason)});
    }

    static std::string reason_of(mode_t mode) {
        return S_ISREG(mode) ? "" : S_ISLNK(mode) ? "link" : "device";
    }

    // Takes ownership of fd. `path` is relative to the root and ends with '/' unless empty.
    void folder(int fd, const std::string& path, int depth, Territory& territory) {
        const std::unique_ptr<DIR, int (*)(DIR*)> dir(::fdopendir(fd), ::closedir);
        if (!dir) {
            ::close(fd);
            return;
        }
        const size_t outer_scopes = territory.scopes.size();
        if (const std::string rules = read_small_at(fd, ".gitignore"); !rules.empty()) {
            territory.add_rules(rules, territory.from_top(path).size());
        }
        while (const dirent* entry = ::readdir(dir.get())) {
            if (stop()) {
                break;
            }
            const std::string_view name = entry->d_name;
            if (name != "." && name != ".." && name != ".git") {
                visit(fd, entry, path, depth, territory);
            }
        }
        territory.scopes.resize(outer_scopes);
        tell();
    }

    void visit(int parent,
               const dirent* entry,
               const std::string& folder_path,
               int depth,
               Territory& territory) {
        const char* name = entry->d_name;
        const std::string path = folder_path + name;
        const std::string from_top = territory.from_top(path);
        bool is_folder = entry->d_type == DT_DIR;
        struct stat info {};
        bool known = false;
        if (entry->d_type == DT_UNKNOWN) {
            if (::fstatat(parent, name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
                return;
            }
            known = true;
            is_folder = S_ISDIR(info.st_mode);
        }
        const size_t tracked = territory.find(from_top);
        const bool is_tracked = tracked < territory.index.size();
        if (is_tracked) {
            territory.seen[tracked] = true;
            if (territory.index[tracked].is_repository || is_folder) {
                // A submodule, or a folder where the index has a file: git lists the name.
                return add(path, 0, "repository");
            }
        } else if (territory.ignored(from_top, is_folder)) {
            return;
        }
        if (!is_folder) {
            if (!known && ::fstatat(parent, name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
                return;  // gone since it was listed
            }
            return add(path, info.st_size, reason_of(info.st_mode));
        }
        if (depth + 1 >= kMaxFolderDepth) {
            return add(path, 0, "folder too deep");
        }
        const int fd = ::openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0) {
            return add(path, 0, "unreadable folder");
        }
        // A repository inside another one is that one's business: git lists its name and no more.
        // In a folder without a repository around it, it is walked by its own rules.
        struct stat dot_git {};
        if (::fstatat(fd, ".git", &dot_git, AT_SYMLINK_NOFOLLOW) == 0) {
            if (const auto inner = GitRepository::at(root_ / path)) {
                if (!territory.is_repository) {
                    Territory own;
                    enter_repository(own, *inner);
                    own.prefix = path + "/";
                    folder(fd, path + "/", depth + 1, own);
                    add_unseen(own, path + "/");
                    return;
                }
                if (!territory.has_below(from_top + "/")) {
                    ::close(fd);
                    return add(path + "/", 0, "repository");
                }
            }
        }
        folder(fd, path + "/", depth + 1, territory);
    }

    // Files that git tracks and the walk did not meet: in an ignored folder, or gone.
    void add_unseen(Territory& territory, const std::string& root_prefix) {
        const std::string& below = territory.top_is_above ? territory.prefix : std::string();
        for (size_t i = 0; i < territory.index.size() && !stop(); i++) {
            const IndexEntry& entry = territory.index[i];
            if (territory.seen[i] || !entry.path.starts_with(below)) {
                continue;
            }
            const std::string path = root_prefix + entry.path.substr(below.size());
            struct stat info {};
            const bool there = ::lstat((root_ / path).c_str(), &info) == 0 && !below_link(path);
            add(path, there ? info.st_size : 0,
                !there                                         ? "missing"
                : entry.is_repository || S_ISDIR(info.st_mode) ? "repository"
                                                               : reason_of(info.st_mode));
        }
    }

    // Whether a folder on the way to `path` is a link now: what is behind it is not this tree's.
    bool below_link(const std::string& path) const {
        for (size_t slash = path.find('/'); slash != std::string::npos;
             slash = path.find('/', slash + 1)) {
            struct stat info {};
            if (::lstat((root_ / path.substr(0, slash)).c_str(), &info) != 0 ||
                S_ISLNK(info.st_mode)) {
                return true;
            }
        }
        return false;
    }

    fs::path root_;
    const std::atomic<bool>* cancel_;
    const std::function<void(std::span<const WalkedFile>)>& on_found_;
    int64_t max_files_;
    size_t told_ = 0;  // of the files found
    Walk result_;
};

}  // namespace

Walk walk_folder(const fs::path& root,
                 const std::atomic<bool>* cancel,
                 const std::function<void(std::span<const WalkedFile>)>& on_found,
                 int64_t max_files) {
    return Walker(root, cancel, on_found, max_files).take();
}

}  // namespace app::codebase
