#include "app/codebase/citations.h"

#include <algorithm>
#include <cstdlib>

namespace app::codebase {
namespace {

bool is_path_byte(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-' || c == '/' || c == '+' || c == '\\' || c == '@' ||
           (static_cast<unsigned char>(c) & 128) != 0;
}

// The only file that is called so, or whose path ends so; null: none, or several.
const std::string* named(const Snapshot& snapshot, std::string_view name) {
    const auto exact = snapshot.files().find(std::string(name));
    if (exact != snapshot.files().end()) {
        return &exact->first;
    }
    const std::string* found = nullptr;
    for (const auto& [path, file] : snapshot.files()) {
        if (path.size() > name.size() && path.ends_with(name) &&
            path[path.size() - name.size() - 1] == '/') {
            if (found) {
                return nullptr;
            }
            found = &path;
        }
    }
    return found;
}

int64_t number_at(std::string_view text, size_t& at) {
    int64_t value = 0;
    const size_t begin = at;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9' && at - begin < 9) {
        value = value * 10 + (text[at++] - '0');
    }
    return at > begin ? value : 0;
}

}  // namespace

bool has_line(const SeenFile& file, int64_t line) {
    const auto lines = std::count(file.content.begin(), file.content.end(), '\n') +
                       static_cast<int64_t>(!file.content.empty() && !file.content.ends_with('\n'));
    return file.shows.empty() && line >= file.first_line && line < file.first_line + lines;
}

std::vector<Citation> find_citations(std::string_view text, const Snapshot& snapshot) {
    std::vector<Citation> found;
    if (snapshot.empty()) {
        return found;
    }
    for (size_t at = 0; at < text.size();) {
        if (!is_path_byte(text[at])) {
            at++;
            continue;
        }
        const size_t begin = at;
        bool dot = false, slash = false;
        while (at < text.size() && is_path_byte(text[at])) {
            dot = dot || text[at] == '.';
            slash = slash || text[at] == '/';
            at++;
        }
        std::string_view name = text.substr(begin, at - begin);
        const bool numbered =
            at + 1 < text.size() && text[at] == ':' && text[at + 1] >= '0' && text[at + 1] <= '9';
        while (!numbered && name.ends_with('.')) {  // the end of a sentence
            name.remove_suffix(1);
        }
        const size_t skip = name.starts_with("./") ? 2 : 0;
        if (name.size() < 3 || (!dot && !slash && !numbered)) {
            continue;
        }
        const std::string* path = named(snapshot, name.substr(skip));
        if (!path) {
            continue;
        }
        Citation citation{begin, begin + name.size(), *path, 0, 0, true};
        if (numbered) {
            at++;
            citation.line = citation.last_line = number_at(text, at);
            citation.end = at;
            if (at + 1 < text.size() && text[at] == '-') {
                size_t after = at + 1;
                if (const int64_t last = number_at(text, after); last > citation.line) {
                    citation.last_line = last;
                    citation.end = at = after;
                }
            }
            const SeenFile& file = snapshot.files().at(*path);
            citation.line_exists =
                has_line(file, citation.line) && has_line(file, citation.last_line);
        }
        found.push_back(std::move(citation));
    }
    return found;
}

}  // namespace app::codebase
