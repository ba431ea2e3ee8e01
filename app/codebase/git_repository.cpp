#include "app/codebase/git_repository.h"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <cstdlib>
#include <fstream>

#include <unistd.h>

namespace app::codebase {
namespace {

namespace fs = std::filesystem;

constexpr uintmax_t kMaxSmallBytes = 64 << 20;
constexpr int kMaxIncludes = 8;

std::string environment(const char* name) {
    const char* value = std::getenv(name);
    return value ? value : "";
}

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front()))) {
        text.remove_prefix(1);
    }
    while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) {
        text.remove_suffix(1);
    }
    return text;
}

std::string lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return out;
}

fs::path expanded(const std::string& path, const fs::path& base) {
    if (path.starts_with("~/")) {
        return fs::path(environment("HOME")) / path.substr(2);
    }
    return fs::path(path).is_absolute() ? fs::path(path) : base / path;
}

// The value of "name = value" without comment, quotes and escapes.
std::string config_value(std::string_view text) {
    std::string out;
    bool quoted = false;
    size_t solid = 0;  // blanks at the end count only inside quotes
    for (size_t i = 0; i < text.size(); i++) {
        char c = text[i];
        if (c == '"') {
            quoted = !quoted;
            solid = out.size();
            continue;
        }
        if (!quoted && (c == '#' || c == ';')) {
            break;
        }
        if (c == '\\' && i + 1 < text.size()) {
            c = text[++i];
            c = c == 'n' ? '\n' : c == 't' ? '\t' : c;
        }
        out += c;
        if (quoted || !std::isspace(static_cast<unsigned char>(c))) {
            solid = out.size();
        }
    }
    out.resize(solid);
    return out;
}

struct Config {
    std::string excludes_file;
    bool sha256 = false;

    void read(const fs::path& path, int depth = 0) {
        const std::string content = read_small(path);
        std::string_view text = content;
        std::string section;
        while (!text.empty()) {
            const size_t newline = text.find('\n');
            std::string_view line = trimmed(text.substr(0, newline));
            text =
                newline == std::string_view::npos ? std::string_view() : text.substr(newline + 1);
            if (line.starts_with('[')) {
                const size_t close = line.find(']');
                section = lower(trimmed(line.substr(1, close - 1)));
                line = close == std::string_view::npos ? std::string_view()
                                                       : trimmed(line.substr(close + 1));
            }
            const size_t equals = line.find('=');
            if (equals == std::string_view::npos) {
                continue;
            }
            const std::string name = section + "." + lower(trimmed(line.substr(0, equals)));
            const std::string value = config_value(trimmed(line.substr(equals + 1)));
            if (name == "core.excludesfile") {
                excludes_file = value.empty() ? "" : expanded(value, fs::path()).string();
            } else if (name == "extensions.objectformat") {
                sha256 = lower(value) == "sha256";
            } else if (name == "include.path" && depth < kMaxIncludes) {
                read(expanded(value, path.parent_path()), depth + 1);
            }
        }
    }

    void read_personal() {
        const std::string config_home = environment("XDG_CONFIG_HOME"), home = environment("HOME");
        const fs::path config = config_home.empty() ? fs::path(home) / ".config" : fs::path(config_home);
        if (home.empty() && config_home.empty()) {
            return;
        }
        excludes_file = (config / "git" / "ignore").string();
        if (environment("GIT_CONFIG_NOSYSTEM").empty()) {
            const std::string system = environment("GIT_CONFIG_SYSTEM");
            read(system.empty() ? "/etc/gitconfig" : system);
        }
        if (const std::string global = environment("GIT_CONFIG_GLOBAL"); !global.empty()) {
            read(global);
        } else {
            read(config / "git" / "config");
            read(fs::path(home) / ".gitconfig");
        }
    }
};

bool is_git_folder(const fs::path& folder) {
    std::error_code error;
    fs::path common = folder;
    if (const std::string link = read_small(folder / "commondir"); !link.empty()) {
        common = expanded(std::string(trimmed(link)), folder);
    }
    const auto status = fs::symlink_status(folder / "HEAD", error);
    if (!fs::exists(status)) {
        return false;
    }
    if (!fs::is_symlink(status)) {
        const std::string head = read_small(folder / "HEAD");
        const bool is_ref = head.starts_with("ref:") &&
                            trimmed(std::string_view(head).substr(4)).starts_with("refs/");
        const bool is_id =
            head.size() >= 40 && std::all_of(head.begin(), head.begin() + 40,
                                             [](unsigned char c) { return std::isxdigit(c); });
        if (!is_ref && !is_id) {
            return false;
        }
    }
    return ::access((common / "objects").c_str(), X_OK) == 0 &&
           ::access((common / "refs").c_str(), X_OK) == 0;
}

uint32_t big_endian(std::string_view data, size_t at, size_t bytes) {
    uint32_t value = 0;
    for (size_t i = 0; i < bytes; i++) {
        value = value << 8 | static_cast<unsigned char>(data[at + i]);
    }
    return value;
}

}  // namespace

std::string read_small(const fs::path& path) {
    std::error_code error;
    if (!fs::is_regular_file(path, error) || fs::file_size(path, error) > kMaxSmallBytes) {
        return "";
    }
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

std::vector<IndexEntry> parse_index(std::string_view data, size_t id_bytes) {
    std::vector<IndexEntry> entries;
    if (data.size() < 12 || !data.starts_with("DIRC")) {
        return entries;
    }
    const uint32_t version = big_endian(data, 4, 4), count = big_endian(data, 8, 4);
    if (version < 2 || version > 4) {
        return entries;
    }
    const size_t fixed = 40 + id_bytes + 2;
    size_t at = 12;
    std::string path;
    for (uint32_t i = 0; i < count && at + fixed < data.size(); i++) {
        const size_t begin = at;
        const uint32_t mode = big_endian(data, at + 24, 4);
        const uint32_t flags = big_endian(data, at + 40 + id_bytes, 2);
        at += fixed + ((flags & 0x4000) != 0 && version >= 3 ? 2 : 0);
        if (version == 4) {
            // How many bytes of the path before are dropped, in git's variable-length form.
            size_t drop = 0;
            for (bool first = true; at < data.size(); first = false) {
                const auto byte = static_cast<unsigned char>(data[at++]);
                drop = ((drop + (first ? 0 : 1)) << 7) | (byte & 127);
                if ((byte & 128) == 0) {
                    break;
                }
            }
            if (drop > path.size()) {
                break;
            }
            path.resize(path.size() - drop);
        } else {
            path.clear();
        }
        const size_t end = at < data.size() ? data.find('\0', at) : std::string_view::npos;
        if (end == std::string_view::npos) {
            break;
        }
        path += data.substr(at, end - at);
        at = version == 4 ? end + 1 : begin + ((end - begin) / 8 + 1) * 8;
        if (entries.empty() || entries.back().path != path) {  // a conflict has up to three
            entries.push_back({path, (mode & 0170000) == 0160000});
        }
    }
    std::sort(entries.begin(), entries.end(),
              [](const IndexEntry& a, const IndexEntry& b) { return a.path < b.path; });
    return entries;
}

std::optional<GitRepository> GitRepository::at(const fs::path& folder) {
    std::error_code error;
    const fs::path dot_git = folder / ".git";
    GitRepository found;
    found.top = folder;
    if (fs::is_directory(dot_git, error)) {
        found.git_folder = dot_git;
    } else if (const std::string link = read_small(dot_git); link.starts_with("gitdir:")) {
        found.git_folder = expanded(std::string(trimmed(std::string_view(link).substr(7))), folder);
    } else {
        return std::nullopt;
    }
    if (!is_git_folder(found.git_folder)) {
        return std::nullopt;
    }
    found.common = found.git_folder;
    if (const std::string common = read_small(found.git_folder / "commondir"); !common.empty()) {
        found.common = expanded(std::string(trimmed(common)), found.git_folder);
    }
    Config config;
    config.read_personal();
    config.read(found.common / "config");
    found.excludes_file = config.excludes_file;
    found.id_bytes = config.sha256 ? 32 : 20;
    return found;
}

std::optional<GitRepository> GitRepository::around(const fs::path& folder) {
    for (fs::path at = folder;; at = at.parent_path()) {
        if (auto found = GitRepository::at(at)) {
            return found;
        }
        if (at == at.parent_path()) {
            return std::nullopt;
        }
    }
}

std::vector<IndexEntry> GitRepository::index() const {
    return parse_index(read_small(git_folder / "index"), id_bytes);
}

std::string personal_excludes_file() {
    Config config;
    config.read_personal();
    return config.excludes_file;
}

}  // namespace app::codebase
