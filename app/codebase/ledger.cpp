#include "app/codebase/ledger.h"

#include <algorithm>
#include <cstdio>
#include <optional>
#include <set>

#include "app/codebase/line_diff.h"
#include "app/codebase/outline.h"

namespace app::codebase {
namespace {

namespace fs = std::filesystem;

constexpr size_t kTagBytes = 13;  // "file-1f6c90d2"

std::string_view attribute(std::string_view line, std::string_view name) {
    const std::string wanted = " " + std::string(name) + "=\"";
    const size_t at = line.find(wanted);
    if (at == std::string_view::npos) {
        return {};
    }
    const size_t begin = at + wanted.size();
    const size_t end = line.find('"', begin);
    return end == std::string_view::npos ? std::string_view() : line.substr(begin, end - begin);
}

bool is_tag(std::string_view tag) {
    return tag.size() == kTagBytes && tag.starts_with("file-") &&
           std::all_of(tag.begin() + 5, tag.end(),
                       [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

std::string with_end(std::string text) {
    if (!text.empty() && !text.ends_with('\n')) {
        text += '\n';
    }
    return text;
}

std::string lines_between(std::string_view text, int64_t first, int64_t last) {
    size_t begin = 0, end = 0;
    int64_t line = 1;
    for (size_t at = 0; at < text.size() && (last == 0 || line <= last); line++) {
        const size_t next = std::min(text.find('\n', at), text.size() - 1) + 1;
        begin = line == first ? at : begin;
        end = next;
        at = next;
    }
    return line <= first ? "" : std::string(text.substr(begin, end - begin));
}

int hex_digit(char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

}  // namespace

std::string path_from_printable(std::string_view printable) {
    std::string path;
    for (size_t i = 0; i < printable.size(); i++) {
        if (printable.substr(i, 2) == "\\x" && i + 3 < printable.size() &&
            hex_digit(printable[i + 2]) >= 0 && hex_digit(printable[i + 3]) >= 0) {
            path +=
                static_cast<char>(hex_digit(printable[i + 2]) * 16 + hex_digit(printable[i + 3]));
            i += 3;
        } else {
            path += printable[i];
        }
    }
    return path;
}

void Snapshot::add(std::string_view text) {
    for (size_t at = 0; at < text.size();) {
        const size_t end = std::min(text.find('\n', at), text.size());
        const std::string_view line = text.substr(at, end - at);
        at = end + 1;
        if (!line.starts_with("<file-") || !line.ends_with('>') || line.size() < kTagBytes + 2) {
            continue;
        }
        const std::string_view tag = line.substr(1, kTagBytes);
        const std::string close = "</" + std::string(tag) + ">\n";
        const size_t closed = text.find(close, at);
        if (!is_tag(tag) || closed == std::string_view::npos) {
            continue;
        }
        const std::string path(attribute(line, "path"));
        const std::string shows(attribute(line, "shows"));
        std::string content(text.substr(at, closed - at));
        at = closed + close.size();
        SeenFile& file = files_[path];
        if (shows == "diff") {
            const auto now = patched(file.content, content);
            if (!now) {
                continue;  // not made for what is here: what was known stays
            }
            file.content = *now;
            file.tag = attribute(line, "now");
            continue;
        }
        file = {std::string(tag), std::move(content), shows, 1, 0};
        long long first = 0, last = 0;
        if (std::sscanf(std::string(attribute(line, "lines")).c_str(), "%lld-%lld", &first,
                        &last) == 2) {
            file.first_line = first;
            file.last_line = last;
        }
    }
}

Ledger::Ledger(fs::path root, std::string name, Snapshot snapshot)
    : root_(std::move(root)), name_(std::move(name)), snapshot_(std::move(snapshot)) {}

std::vector<std::string> Ledger::folders() const {
    std::set<std::string> folders;
    for (const auto& [path, file] : snapshot_.files()) {
        folders.insert(fs::path(path_from_printable(path)).parent_path().string());
    }
    return {folders.begin(), folders.end()};
}

Revision Ledger::look(const runtime::Tokenizer& tokenizer, const std::atomic<bool>* cancel) {
    Revision revision;
    for (const auto& [path, seen] : snapshot_.files()) {
        if (cancel && cancel->load(std::memory_order_relaxed)) {
            return {};
        }
        // Printing a path is not always reversible: the name as it stands comes first.
        std::string real = path;
        FileStamp stamp = stamp_of(root_, real);
        if (stamp == FileStamp{} && path.find("\\x") != std::string::npos) {
            real = path_from_printable(path);
            stamp = stamp_of(root_, real);
        }
        Known& known = known_[path];
        if (known.stamp != stamp || stamp == FileStamp{}) {
            known = {stamp, {}};
            FileText now = read_file_text(root_, real, SecretPolicy::mask, kMaxAskedBytes);
            if (!now.has_text() && now.kind != FileKind::empty) {
                known.change = {path, true, "", 0};
            } else {
                ElementNote note;
                std::string text = std::move(now.text);
                if (seen.shows == "outline") {
                    note.shows = "outline";
                    text = outline_of(real, text).value_or("");
                } else if (seen.last_line > 0) {
                    text = lines_between(text, seen.first_line, seen.last_line);
                    note.first_line = seen.first_line;
                    note.last_line = seen.last_line;
                }
                const std::string tag = tag_of(text);
                if (tag != seen.tag) {
                    note.replaces = seen.tag;
                    Change change{path, false, make_element({}, path, text, note), 0};
                    change.tokens = count_tokens(tokenizer, change.element);
                    const auto diff = note.shows.empty() && note.first_line == 0
                                          ? line_diff(with_end(seen.content), with_end(text))
                                          : std::nullopt;
                    if (diff && !diff->empty()) {
                        ElementNote by_diff;
                        by_diff.shows = "diff";
                        by_diff.replaces = seen.tag;
                        by_diff.now = tag;
                        std::string element = make_element({}, path, *diff, by_diff);
                        const int64_t tokens = count_tokens(tokenizer, element);
                        if (tokens < change.tokens) {
                            change.element = std::move(element);
                            change.tokens = tokens;
                        }
                    }
                    known.change = std::move(change);
                }
            }
        }
        if (!known.change.path.empty()) {
            revision.changes.push_back(known.change);
        }
    }
    if (revision.changes.empty()) {
        return revision;
    }
    std::string gone, elements;
    for (const Change& change : revision.changes) {
        elements += change.element;
        gone += change.gone ? "- " + change.path + "\n" : "";
    }
    revision.text = "Files of \"" + name_ +
                    "\" have changed since they were shown; these replace what was shown.\n" +
                    (gone.empty() ? "" : "Gone:\n" + gone) + elements;
    revision.tokens = count_tokens(tokenizer, revision.text);
    return revision;
}

}  // namespace app::codebase
