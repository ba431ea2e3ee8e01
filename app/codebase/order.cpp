#include "app/codebase/order.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <numeric>
#include <unordered_map>

namespace app::codebase {
namespace {

constexpr size_t kMaxImports = 64, kMaxImportBytes = 160;
constexpr size_t kMaxLooked = 256 << 10;  // imports stand near the top

enum class Family { none, c, python, script, rust, go, java };

std::string_view ending_of(std::string_view path) {
    const size_t dot = path.rfind('.');
    const size_t slash = path.rfind('/');
    return dot == std::string_view::npos || (slash != std::string_view::npos && dot < slash)
               ? std::string_view()
               : path.substr(dot);
}

Family family_of(std::string_view path) {
    struct Entry {
        std::string_view ending;
        Family family;
    };
    static constexpr Entry kEndings[] = {
        {".c", Family::c},           {".h", Family::c},        {".cc", Family::c},
        {".cpp", Family::c},         {".cxx", Family::c},      {".hh", Family::c},
        {".hpp", Family::c},         {".hxx", Family::c},      {".inc", Family::c},
        {".cu", Family::c},          {".cuh", Family::c},      {".m", Family::c},
        {".mm", Family::c},          {".inl", Family::c},      {".py", Family::python},
        {".pyi", Family::python},    {".js", Family::script},  {".mjs", Family::script},
        {".cjs", Family::script},    {".jsx", Family::script}, {".ts", Family::script},
        {".tsx", Family::script},    {".mts", Family::script}, {".vue", Family::script},
        {".svelte", Family::script}, {".rs", Family::rust},    {".go", Family::go},
        {".java", Family::java},     {".kt", Family::java},    {".scala", Family::java}};
    const std::string_view ending = ending_of(path);
    for (const Entry& entry : kEndings) {
        if (entry.ending == ending) {
            return entry.family;
        }
    }
    return Family::none;
}

// "a/b/c.cpp" -> "a/b/c"; files that stand for their folder are called by it.
std::string_view key_of(std::string_view path) {
    std::string_view key = path.substr(0, path.size() - ending_of(path).size());
    if (key.ends_with(".d")) {  // x.d.ts
        key.remove_suffix(2);
    }
    static constexpr std::array<std::string_view, 3> kFolders = {"/__init__", "/index", "/mod"};
    for (const std::string_view folder : kFolders) {
        if (key.ends_with(folder) && key.size() > folder.size()) {
            key.remove_suffix(folder.size());
        }
    }
    return key;
}

std::string_view last_part(std::string_view path) {
    return path.substr(path.rfind('/') + 1);
}

std::string_view folder_of(std::string_view path) {
    const size_t slash = path.rfind('/');
    return slash == std::string_view::npos ? std::string_view() : path.substr(0, slash);
}

// Declarations come before what implements them.
bool is_interface(std::string_view path) {
    const std::string_view ending = ending_of(path);
    return ending == ".h" || ending == ".hh" || ending == ".hpp" || ending == ".hxx" ||
           ending == ".cuh" || ending == ".pyi" || path.ends_with(".d.ts");
}

// "a/b" and "../x/y" -> "a/x/y". Above the root: what is left.
std::string joined(std::string_view folder, std::string_view relative) {
    std::vector<std::string_view> parts;
    const auto add = [&](std::string_view path) {
        for (size_t at = 0; at <= path.size();) {
            const size_t slash = std::min(path.find('/', at), path.size());
            const std::string_view part = path.substr(at, slash - at);
            if (part == "..") {
                if (!parts.empty()) {
                    parts.pop_back();
                }
            } else if (!part.empty() && part != ".") {
                parts.push_back(part);
            }
            at = slash + 1;
        }
    };
    add(folder);
    add(relative);
    std::string out;
    for (const std::string_view part : parts) {
        out += (out.empty() ? "" : "/");
        out += part;
    }
    return out;
}

std::string_view trimmed(std::string_view text) {
    const size_t first = text.find_first_not_of(" \t\r");
    if (first == std::string_view::npos) {
        return {};
    }
    return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

std::string_view quoted(std::string_view text) {
    const size_t open = text.find_first_of("\"'`<");
    if (open == std::string_view::npos) {
        return {};
    }
    const char close = text[open] == '<' ? '>' : text[open];
    const size_t end = text.find(close, open + 1);
    return end == std::string_view::npos ? std::string_view()
                                         : text.substr(open + 1, end - open - 1);
}

std::string with_slashes(std::string_view dotted, std::string_view separator) {
    std::string out;
    for (size_t at = 0; at < dotted.size();) {
        const size_t end = std::min(dotted.find(separator, at), dotted.size());
        out += (out.empty() ? "" : "/");
        out += dotted.substr(at, end - at);
        at = end + separator.size();
    }
    return out;
}

std::string_view word(std::string_view text) {
    size_t end = 0;
    while (end < text.size() && text[end] != ' ' && text[end] != ',' && text[end] != ';' &&
           text[end] != '(' && text[end] != '{') {
        end++;
    }
    return text.substr(0, end);
}

class Imports {
public:
    explicit Imports(std::string_view path) : path_(path), folder_(folder_of(path)) {}

    void add(std::string candidate) {
        if (count_ < kMaxImports && !candidate.empty() && candidate.size() <= kMaxImportBytes &&
            candidate.find('\n') == std::string::npos) {
            count_++;
            out_ += candidate + "\n";
        }
    }
    void c(std::string_view line) {
        if (!line.starts_with('#')) {
            return;
        }
        line = trimmed(line.substr(1));
        if (line.starts_with("include")) {
            add(std::string(quoted(line)));
        }
    }
    void python(std::string_view line) {
        if (line.starts_with("import ")) {
            for (std::string_view rest = line.substr(7); !rest.empty();) {
                const size_t comma = std::min(rest.find(','), rest.size());
                add(with_slashes(word(trimmed(rest.substr(0, comma))), "."));
                rest.remove_prefix(std::min(comma + 1, rest.size()));
            }
        } else if (line.starts_with("from ")) {
            std::string_view module = word(trimmed(line.substr(5)));
            size_t dots = 0;
            while (dots < module.size() && module[dots] == '.') {
                dots++;
            }
            std::string base = with_slashes(module.substr(dots), ".");
            if (dots > 0) {
                std::string up;
                for (size_t i = 1; i < dots; i++) {
                    up += "../";
                }
                base = "/" + joined(folder_, up + base);
                if (base == "/") {
                    base.clear();  // the root itself: names alone, made exact by their slash
                }
            }
            const size_t names = line.find(" import ");
            if (names != std::string_view::npos) {
                for (std::string_view rest = line.substr(names + 8); !rest.empty();) {
                    const size_t comma = std::min(rest.find(','), rest.size());
                    std::string_view name = trimmed(rest.substr(0, comma));
                    while (name.starts_with('(')) {
                        name.remove_prefix(1);
                    }
                    if (!name.empty()) {
                        add(base + "/" + std::string(word(name)));
                    }
                    rest.remove_prefix(std::min(comma + 1, rest.size()));
                }
            }
            add(base);
        }
    }
    void script(std::string_view line) {
        const bool speaks = line.starts_with("import ") || line.starts_with("export ") ||
                            line.starts_with("} from ") ||
                            line.find("require(") != std::string_view::npos;
        if (!speaks) {
            return;
        }
        const size_t from = line.find("from ");
        const size_t require = line.find("require(");
        const std::string_view target =
            quoted(line.substr(from != std::string_view::npos      ? from
                               : require != std::string_view::npos ? require
                                                                   : 0));
        if (target.starts_with("./") || target.starts_with("../")) {
            // "./x.js" may be x.ts; "./x.service" has no ending to take away.
            std::string path = joined(folder_, target);
            if (family_of(path) == Family::script) {
                path = std::string(key_of(path));
            }
            add("/" + path);
        }
    }
    void rust(std::string_view line) {
        if (line.starts_with("pub ")) {
            line = trimmed(line.substr(4));
        }
        if (line.starts_with("mod ") && line.ends_with(';')) {
            // x.rs beside main.rs, lib.rs and mod.rs; else in a folder called like this file.
            const std::string_view own = last_part(path_);
            const bool root = own == "main.rs" || own == "lib.rs" || own == "mod.rs";
            add("/" + joined(root ? folder_ : key_of(path_), word(trimmed(line.substr(4)))));
        } else if (line.starts_with("use crate::")) {
            std::string path = with_slashes(word(line.substr(11)), "::");
            add(path);
            add(std::string(folder_of(path)));
        }
    }
    void java(std::string_view line) {
        if (line.starts_with("import ")) {
            line = trimmed(line.substr(7));
            if (line.starts_with("static ")) {
                line = line.substr(7);
            }
            add(with_slashes(word(line), "."));
        }
    }
    std::string take() { return std::move(out_); }

private:
    std::string_view path_, folder_;
    std::string out_;
    size_t count_ = 0;
};

// Go imports folders, in a block of quoted lines.
void go_imports(std::string_view text, Imports& imports) {
    bool in_block = false;
    for (size_t at = 0; at < text.size();) {
        const size_t end = std::min(text.find('\n', at), text.size());
        const std::string_view line = trimmed(text.substr(at, end - at));
        at = end + 1;
        if (line.starts_with("import (")) {
            in_block = true;
        } else if (in_block && line.starts_with(')')) {
            return;
        } else if (in_block || line.starts_with("import ")) {
            imports.add(std::string(quoted(line)));
        } else if (line.starts_with("func ") || line.starts_with("type ")) {
            return;
        }
    }
}

// Who a candidate means: the files whose path ends in it.
class Finder {
public:
    explicit Finder(const std::vector<OrderedFile>& files) : files_(files) {
        for (size_t i = 0; i < files.size(); i++) {
            const Family family = family_of(files[i].path);
            if (family == Family::none) {
                continue;
            }
            by_name_[std::string(family == Family::go ? last_part(folder_of(files[i].path))
                                                      : last_part(key_of(files[i].path)))]
                .push_back(static_cast<uint32_t>(i));
        }
    }

    void find(size_t from, std::string_view candidate, std::vector<uint32_t>& into) const {
        const std::string_view own_path = files_[from].path;
        const Family family = family_of(own_path);
        const bool exact = candidate.starts_with('/');
        if (exact) {
            candidate.remove_prefix(1);
        }
        const bool has_ending = family == Family::c;
        const std::string_view key = has_ending ? key_of(candidate) : candidate;
        const auto at = by_name_.find(std::string(last_part(key)));
        if (at == by_name_.end()) {
            return;
        }
        // The one that is nearest in the tree; between equals, the first path.
        size_t best = files_.size(), best_common = 0;
        for (const uint32_t i : at->second) {
            const std::string_view path = files_[i].path;
            if (i == from || family_of(path) != family) {
                continue;
            }
            const std::string_view whole = has_ending             ? path
                                           : family == Family::go ? folder_of(path)
                                                                  : key_of(path);
            const bool ends = whole.ends_with(candidate) &&
                              (whole.size() == candidate.size() ||
                               (!exact && whole[whole.size() - candidate.size() - 1] == '/'));
            // An import path of Go begins with where the module is fetched from.
            const bool ends_so = family == Family::go && !whole.empty() &&
                                 candidate.ends_with(whole) && candidate.size() > whole.size() &&
                                 candidate[candidate.size() - whole.size() - 1] == '/';
            if (!ends && !ends_so) {
                continue;
            }
            if (family == Family::go) {
                into.push_back(i);
                continue;
            }
            const auto mismatch =
                std::mismatch(path.begin(), path.end(), own_path.begin(), own_path.end());
            const auto common = static_cast<size_t>(mismatch.first - path.begin()) + 1;
            if (best == files_.size() || common > best_common ||
                (common == best_common && path < files_[best].path)) {
                best = i;
                best_common = common;
            }
        }
        if (best < files_.size()) {
            into.push_back(static_cast<uint32_t>(best));
        }
    }

    // The interface that a file implements, by its name.
    void find_interface(size_t from, std::vector<uint32_t>& into) const {
        const std::string_view path = files_[from].path;
        if (is_interface(path) || family_of(path) == Family::none) {
            return;
        }
        const auto at = by_name_.find(std::string(last_part(key_of(path))));
        if (at == by_name_.end()) {
            return;
        }
        for (const uint32_t i : at->second) {
            if (is_interface(files_[i].path) && key_of(files_[i].path) == key_of(path)) {
                into.push_back(i);
            }
        }
    }

private:
    const std::vector<OrderedFile>& files_;
    std::unordered_map<std::string, std::vector<uint32_t>> by_name_;
};

}  // namespace

std::string imports_of(std::string_view path, std::string_view text) {
    const Family family = family_of(path);
    if (family == Family::none) {
        return "";
    }
    text = text.substr(0, kMaxLooked);
    Imports imports(path);
    if (family == Family::go) {
        go_imports(text, imports);
        return imports.take();
    }
    for (size_t at = 0; at < text.size();) {
        const size_t end = std::min(text.find('\n', at), text.size());
        // Most lines are told apart by their first character.
        size_t first = at;
        while (first < end && (text[first] == ' ' || text[first] == '\t')) {
            first++;
        }
        const char c = first < end ? text[first] : '\0';
        const bool maybe = family == Family::c        ? c == '#'
                           : family == Family::script ? c == 'i' || c == 'e' || c == '}' ||
                                                            c == 'c' || c == 'l' || c == 'v'
                           : family == Family::rust ? c == 'm' || c == 'p' || c == 'u'
                                                    : c == 'i' || c == 'f';
        if (maybe) {
            const std::string_view line = trimmed(text.substr(first, end - first));
            switch (family) {
                case Family::c:
                    imports.c(line);
                    break;
                case Family::python:
                    imports.python(line);
                    break;
                case Family::script:
                    imports.script(line);
                    break;
                case Family::rust:
                    imports.rust(line);
                    break;
                default:
                    imports.java(line);
                    break;
            }
        }
        at = end + 1;
    }
    return imports.take();
}

std::vector<size_t> pack_order(const std::vector<OrderedFile>& files) {
    std::vector<uint32_t> by_path(files.size());
    std::iota(by_path.begin(), by_path.end(), 0U);
    std::sort(by_path.begin(), by_path.end(),
              [&](uint32_t a, uint32_t b) { return files[a].path < files[b].path; });
    std::vector<uint32_t> rank(files.size());
    for (size_t i = 0; i < by_path.size(); i++) {
        rank[by_path[i]] = static_cast<uint32_t>(i);
    }
    const Finder finder(files);
    std::vector<std::vector<uint32_t>> uses(files.size());
    for (size_t i = 0; i < files.size(); i++) {
        finder.find_interface(i, uses[i]);
        for (std::string_view rest = files[i].imports; !rest.empty();) {
            const size_t end = std::min(rest.find('\n'), rest.size());
            finder.find(i, rest.substr(0, end), uses[i]);
            rest.remove_prefix(std::min(end + 1, rest.size()));
        }
        std::sort(uses[i].begin(), uses[i].end(),
                  [&](uint32_t a, uint32_t b) { return rank[a] < rank[b]; });
        uses[i].erase(std::unique(uses[i].begin(), uses[i].end()), uses[i].end());
    }
    // Depth first, by path; a file follows all that it uses. Without recursion: chains can be long.
    std::vector<size_t> order;
    order.reserve(files.size());
    std::vector<bool> entered(files.size());
    std::vector<std::pair<uint32_t, size_t>> way;
    for (const uint32_t start : by_path) {
        if (entered[start]) {
            continue;
        }
        entered[start] = true;
        way.emplace_back(start, 0);
        while (!way.empty()) {
            auto& [file, next] = way.back();
            if (next == uses[file].size()) {
                order.push_back(file);
                way.pop_back();
                continue;
            }
            const uint32_t use = uses[file][next++];
            if (!entered[use]) {
                entered[use] = true;
                way.emplace_back(use, 0);
            }
        }
    }
    std::stable_partition(order.begin(), order.end(), [&](size_t i) { return !files[i].focus; });
    return order;
}

}  // namespace app::codebase
