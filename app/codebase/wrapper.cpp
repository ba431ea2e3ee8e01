#include "app/codebase/wrapper.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace app::codebase {
namespace {

constexpr size_t kPieceBytes = 32 << 10;  // some 5 ms of counting

bool is_ascii_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_graph(char c) {
    return c > ' ' && c < 127;
}

// Where the text may be cut at or after `at`: no token of the split rule spans it.
//   "\n" | X        X no white space: runs of white space and of signs end with their line ends
//   g | " a"        g a visible ASCII character, a an ASCII letter: a blank belongs to its word
size_t safe_cut(std::string_view text, size_t at) {
    for (size_t i = std::max<size_t>(at, 1); i + 1 < text.size(); i++) {
        const bool after_line = text[i - 1] == '\n' && is_graph(text[i]);
        const bool before_word =
            text[i] == ' ' && is_graph(text[i - 1]) && is_ascii_letter(text[i + 1]);
        if (after_line || before_word) {
            return i;
        }
    }
    return text.size();
}

std::string numbered(std::string_view content, int64_t first_line) {
    std::string out;
    int64_t line = first_line;
    for (size_t at = 0; at < content.size(); line++) {
        const size_t end = std::min(content.find('\n', at), content.size() - 1) + 1;
        char number[24] = "     | ";
        if (line == first_line || line % 10 == 0) {
            std::snprintf(number, sizeof number, "%5lld| ", static_cast<long long>(line));
        }
        out += number;
        out += content.substr(at, end - at);
        at = end;
    }
    return out;
}

std::string shown_body(const Wrapper& wrapper, std::string_view content, const ElementNote& note) {
    return wrapper.line_numbers ? numbered(content, std::max<int64_t>(note.first_line, 1))
                                : std::string();
}

std::string note_text(const ElementNote& note) {
    std::string text;
    if (!note.shows.empty()) {
        text += " shows=\"" + std::string(note.shows) + "\"";
    }
    if (note.first_line > 0) {
        text += " lines=\"" + std::to_string(note.first_line) + "-" +
                std::to_string(note.last_line) + "\"";
    }
    if (!note.replaces.empty()) {
        text += " replaces=\"" + std::string(note.replaces) + "\"";
    }
    if (!note.now.empty()) {
        text += " now=\"" + std::string(note.now) + "\"";
    }
    return text;
}

std::string fence_of(std::string_view content) {
    size_t longest = 0, run = 0;
    for (const char c : content) {
        run = c == '`' ? run + 1 : 0;
        longest = std::max(longest, run);
    }
    return std::string(std::max<size_t>(longest + 1, 3), '`');
}

// A content that holds its own tag was written by somebody who searched for one. The loop ends: a
// text of n bytes cannot hold more than n of them.
std::string tag_of(std::string_view content, const ContentHash& hash) {
    for (uint64_t bits = hash.low;; bits = bits * 0x9E3779B97F4A7C15 + hash.high) {
        char tag[16];
        const int length =
            std::snprintf(tag, sizeof tag, "file-%08x", static_cast<unsigned>(bits >> 32));
        if (content.empty() ||
            ::memmem(content.data(), content.size(), tag, static_cast<size_t>(length)) == nullptr) {
            return tag;
        }
    }
}

std::string lead_of(std::string_view body) {
    return std::string(body.substr(0, std::min(body.find_first_not_of("\r\n"), body.size())));
}

// The word behind an opening fence; letters only, since names are anybody's.
std::string fence_language(std::string_view path) {
    const size_t dot = path.rfind('.');
    const size_t slash = path.rfind('/');
    if (dot == std::string_view::npos || (slash != std::string_view::npos && dot < slash)) {
        return "";
    }
    const std::string_view ending = path.substr(dot + 1);
    return ending.size() <= 8 && std::all_of(ending.begin(), ending.end(), is_ascii_letter)
               ? std::string(ending)
               : "";
}

}  // namespace

std::string tag_of(std::string_view content) {
    return tag_of(content, content_hash(content));
}

ElementMark mark_of(const Wrapper& wrapper, std::string_view content, const ElementNote& note) {
    const std::string with_numbers = shown_body(wrapper, content, note);
    const std::string_view body = wrapper.line_numbers ? std::string_view(with_numbers) : content;
    return {wrapper.format == PackFormat::xml ? tag_of(body) : fence_of(body), lead_of(body)};
}

ElementMark mark_of(const Wrapper& wrapper, std::string_view content, const ContentHash& hash) {
    return wrapper.format == PackFormat::xml && !wrapper.line_numbers
               ? ElementMark{tag_of(content, hash), lead_of(content)}
               : mark_of(wrapper, content);
}

std::string element_head(const Wrapper& wrapper,
                         std::string_view path,
                         const ElementMark& mark,
                         const ElementNote& note) {
    const std::string about = note_text(note);
    if (wrapper.format == PackFormat::xml) {
        return "<" + mark.mark + " path=\"" + std::string(path) + "\"" + about + ">\n" + mark.lead;
    }
    return "## " + std::string(path) + (about.empty() ? "" : " (" + about.substr(1) + ")") + "\n" +
           mark.mark + fence_language(path) + "\n" + mark.lead;
}

std::string element_rest(const Wrapper& wrapper,
                         std::string_view content,
                         const ElementMark& mark,
                         const ElementNote& note) {
    const std::string with_numbers = shown_body(wrapper, content, note);
    const std::string_view body = wrapper.line_numbers ? std::string_view(with_numbers) : content;
    std::string rest;
    rest.reserve(body.size() + 32);
    rest = body.substr(mark.lead.size());
    if (!body.empty() && !body.ends_with('\n')) {
        rest += '\n';
    }
    rest += wrapper.format == PackFormat::xml ? "</" + mark.mark + ">\n" : mark.mark + "\n";
    return rest;
}

std::string make_element(const Wrapper& wrapper,
                         std::string_view path,
                         std::string_view content,
                         const ElementNote& note) {
    const ElementMark mark = mark_of(wrapper, content, note);
    return element_head(wrapper, path, mark, note) + element_rest(wrapper, content, mark, note);
}

int64_t count_tokens(const runtime::Tokenizer& tokenizer,
                     std::string_view text,
                     bool (*cancelled)(const void*),
                     const void* context) {
    int64_t tokens = 0;
    while (!text.empty()) {
        if (cancelled && cancelled(context)) {
            return -1;
        }
        const size_t cut =
            text.size() <= 2 * kPieceBytes ? text.size() : safe_cut(text, kPieceBytes);
        tokens += tokenizer.count(text.substr(0, cut));
        text.remove_prefix(cut);
    }
    return tokens;
}

}  // namespace app::codebase
