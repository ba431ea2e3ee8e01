#include "app/codebase/walk.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/codebase/ignore.h"

namespace app::codebase {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMaxIgnoreFileBytes = 1 << 20;

std::string read_small(const fs::path& path) {
    std::error_code error;
    if (!fs::is_regular_file(path, error) || fs::file_size(path, error) > kMaxIgnoreFileBytes) {
        return "";
    }
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

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

// Rules of one folder. `base` is where that folder lies: paths are handed to the rules relative to
// it.
struct Scope {
    IgnoreRules rules;
    std::string prefix;  // what to put before a root-relative path (the folder is above the root)
    size_t skip = 0;     // or how many bytes to drop from it (the folder is below)
};

class Walker {
public:
    Walker(const fs::path& root, const std::atomic<bool>* cancel) : cancel_(cancel) {
        add_rules_from_above(root);
        const int fd = ::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0) {
            result_.stopped = "the folder cannot be read";
            return;
        }
        folder(fd, "", 0);
        std::sort(result_.files.begin(), result_.files.end(),
                  [](const WalkedFile& a, const WalkedFile& b) { return a.path < b.path; });
    }

    Walk take() { return std::move(result_); }

private:
    // A dropped folder may lie inside a repository: rules of its parents up to the one that holds
    // .git count, and so do .git/info/exclude and the user's global file, which have the least to
    // say and therefore come first.
    void add_rules_from_above(const fs::path& root) {
        std::error_code error;
        fs::path top;
        for (fs::path at = root; top.empty(); at = at.parent_path()) {
            if (fs::exists(at / ".git", error)) {
                top = at;
            }
            if (at == at.parent_path()) {
                break;
            }
        }
        if (top.empty()) {
            return;
        }
        std::string prefix = fs::relative(root, top, error).generic_string();
        prefix = prefix == "." ? "" : prefix + "/";
        const char* config = std::getenv("XDG_CONFIG_HOME");
        const char* home = std::getenv("HOME");
        if (config && *config) {
            add_scope(read_small(fs::path(config) / "git" / "ignore"), prefix, 0);
        } else if (home && *home) {
            add_scope(read_small(fs::path(home) / ".config" / "git" / "ignore"), prefix, 0);
        }
        add_scope(read_small(top / ".git" / "info" / "exclude"), prefix, 0);
        for (size_t at = 0;
             at < prefix.size();) {  // the root's own file is read with the root itself
            add_scope(read_small(top / prefix.substr(0, at) / ".gitignore"), prefix.substr(at), 0);
            at = prefix.find('/', at) + 1;
        }
    }

    void add_scope(const std::string& text, const std::string& prefix, size_t skip) {
        scopes_.push_back({IgnoreRules::parse(text), prefix, skip});
    }

    bool ignored(const std::string& path, bool is_folder) const {
        for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope) {
            if (scope->rules.empty()) {
                continue;
            }
            const std::string relative = scope->prefix + path.substr(scope->skip);
            if (const auto verdict = scope->rules.match(relative, is_folder)) {
                return *verdict;
            }
        }
        return false;
    }

    bool stop() {
        if (cancel_ && cancel_->load(std::memory_order_relaxed)) {
            result_.cancelled = true;
            return true;
        }
        return !result_.stopped.empty();
    }

    void add(std::string path, int64_t bytes, std::string reason = "") {
        if (static_cast<int64_t>(result_.files.size()) >= kMaxWalkedFiles) {
            result_.stopped = "stopped after " + std::to_string(kMaxWalkedFiles) + " files";
            return;
        }
        const bool regular = reason.empty();
        result_.files.push_back({std::move(path), bytes, regular, std::move(reason)});
    }

    // Takes ownership of fd. `path` ends with '/' unless empty.
    void folder(int fd, const std::string& path, int depth) {
        const std::unique_ptr<DIR, int (*)(DIR*)> dir(::fdopendir(fd), ::closedir);
        if (!dir) {
            ::close(fd);
            return;
        }
        const size_t outer_scopes = scopes_.size();
        const std::string rules = read_small_at(fd, ".gitignore");
        if (!rules.empty()) {
            add_scope(rules, "", path.size());
        }
        while (const dirent* entry = ::readdir(dir.get())) {
            if (stop()) {
                break;
            }
            const std::string name = entry->d_name;
            if (name == "." || name == ".." || name == ".git") {
                continue;
            }
            visit(fd, name, path + name, depth);
        }
        scopes_.resize(outer_scopes);
    }

    void visit(int parent, const std::string& name, const std::string& path, int depth) {
        struct stat info {};
        if (::fstatat(parent, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
            return;  // gone since it was listed
        }
        const bool is_folder = S_ISDIR(info.st_mode);
        if (ignored(path, is_folder)) {
            return;
        }
        if (!is_folder) {
            add(path, info.st_size,
                S_ISREG(info.st_mode)   ? ""
                : S_ISLNK(info.st_mode) ? "link"
                                        : "device");
            return;
        }
        if (depth + 1 >= kMaxFolderDepth) {
            add(path, 0, "folder too deep");
            return;
        }
        const int fd =
            ::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0) {
            add(path, 0, "unreadable folder");
            return;
        }
        folder(fd, path + "/", depth + 1);
    }

    const std::atomic<bool>* cancel_;
    std::vector<Scope> scopes_;
    Walk result_;
};

}  // namespace

Walk walk_folder(const fs::path& root, const std::atomic<bool>* cancel) {
    return Walker(root, cancel).take();
}

}  // namespace app::codebase
