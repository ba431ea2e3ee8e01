#include "app/codebase/outline.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace app::codebase {
namespace {

constexpr size_t kShortBody = 48;  // of one line: kept, it is no longer than its mark

bool is_word(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '$';
}

std::string_view ending_of(std::string_view path) {
    const size_t dot = path.rfind('.');
    return dot == std::string_view::npos ? std::string_view() : path.substr(dot);
}

template <size_t N>
bool one_of(std::string_view word, const std::array<std::string_view, N>& list) {
    return std::find(list.begin(), list.end(), word) != list.end();
}

// End of the comment, string or character that starts at `at`; `at` itself where none does.
size_t skip_quoted(std::string_view text, size_t at) {
    const char c = text[at];
    if (text.substr(at, 2) == "//") {
        return std::min(text.find('\n', at), text.size());
    }
    if (text.substr(at, 2) == "/*") {
        const size_t end = text.find("*/", at + 2);
        return end == std::string_view::npos ? text.size() : end + 2;
    }
    if (c == 'R' && text.substr(at, 2) == "R\"" && (at == 0 || !is_word(text[at - 1]))) {
        const size_t open = text.find('(', at);
        if (open != std::string_view::npos && open - at < 20) {
            const std::string close = ")" + std::string(text.substr(at + 2, open - at - 2)) + "\"";
            const size_t end = text.find(close, open);
            return end == std::string_view::npos ? text.size() : end + close.size();
        }
    }
    // 'a in Rust is a lifetime, and 1'000 is a number: a character is closed soon.
    if (c == '\'') {
        const size_t close = text.find('\'', at + (text.substr(at + 1, 1) == "\\" ? 3 : 1));
        const bool in_number = at > 0 && is_word(text[at - 1]);
        if (in_number || close == std::string_view::npos) {
            return at;
        }
        const size_t line = text.find('\n', at);
        const bool lifetime = close - at > 12 || close > line;
        // JavaScript and PHP write whole strings so.
        return lifetime && (close > line ||
                            text.substr(at + 1, close - at - 1).find_first_of("{};<>&") !=
                                std::string_view::npos)
                   ? at
                   : close + 1;
    }
    if (c == '"' || c == '`') {
        for (size_t i = at + 1; i < text.size(); i++) {
            if (text[i] == '\\') {
                i++;
            } else if (text[i] == c) {
                return i + 1;
            } else if (text[i] == '\n' && c == '"') {
                return i;
            }
        }
        return text.size();
    }
    return at;
}

// What stands before a brace says what is inside: declarations, which are outlined in their turn,
// a list, which is kept, or a body, which is not.
enum class Inside { declarations, list, body };

Inside inside_of(std::string_view header) {
    static constexpr std::array<std::string_view, 12> kHolders = {
        "namespace", "class",  "interface", "trait",    "impl",      "mod",
        "module",    "object", "extern",    "protocol", "extension", "record"};
    static constexpr std::array<std::string_view, 2> kMaybe = {"struct", "union"};
    const size_t paren = header.find('(');
    const size_t equals = header.find('=');
    const std::string_view before = header.substr(0, std::min(paren, equals));
    bool holder = false, maybe = false, list = false;
    for (size_t at = 0; at < before.size();) {
        if (const size_t past = skip_quoted(before, at); past > at) {
            at = past;
            continue;
        }
        if (!is_word(before[at])) {
            at++;
            continue;
        }
        size_t end = at;
        while (end < before.size() && is_word(before[end])) {
            end++;
        }
        const std::string_view word = before.substr(at, end - at);
        holder = holder || one_of(word, kHolders);
        maybe = maybe || one_of(word, kMaybe);
        list = list || word == "enum";
        at = end;
    }
    // "struct point* make(int x) {" is a function, "class Point(val x: Int) {" is none.
    if (list && paren == std::string_view::npos) {
        return Inside::list;
    }
    return holder || (maybe && paren == std::string_view::npos) ? Inside::declarations
                                                                : Inside::body;
}

size_t matching_brace(std::string_view text, size_t at) {
    int depth = 0;
    while (at < text.size()) {
        if (const size_t past = skip_quoted(text, at); past > at) {
            at = past;
            continue;
        }
        depth += text[at] == '{' ? 1 : text[at] == '}' ? -1 : 0;
        at++;
        if (depth == 0) {
            return at;
        }
    }
    return text.size();
}

std::string by_braces(std::string_view text) {
    std::string out;
    size_t header = 0;  // where the declaration in work began
    for (size_t at = 0; at < text.size();) {
        if (const size_t past = skip_quoted(text, at); past > at) {
            out += text.substr(at, past - at);
            at = past;
            continue;
        }
        if (text[at] == '{') {
            const Inside inside = inside_of(text.substr(header, at - header));
            if (inside == Inside::declarations) {
                out += '{';
                header = ++at;
                continue;
            }
            const size_t end = matching_brace(text, at);
            const std::string_view body = text.substr(at, end - at);
            const bool kept = inside == Inside::list ||
                              (body.size() <= kShortBody && body.find('\n') == std::string::npos);
            out += kept ? body : std::string_view("{ ... }");
            header = at = end;
            continue;
        }
        if (text[at] == ';' || text[at] == '}' ||
            (text[at] == '\n' && text.substr(at + 1, 1) == "#")) {
            header = at + 1;
        }
        out += text[at++];
    }
    return out;
}

std::string_view next_line(std::string_view text, size_t& at) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = text.substr(at, end - at);
    at = end + 1;
    return line;
}

std::string by_indentation(std::string_view text) {
    std::string out;
    for (size_t at = 0; at < text.size();) {
        std::string_view line = next_line(text, at);
        const size_t indent = line.find_first_not_of(" \t");
        if (indent == std::string_view::npos) {
            continue;
        }
        const std::string_view words = line.substr(indent);
        const bool defines = words.starts_with("def ") || words.starts_with("async def ") ||
                             words.starts_with("class ");
        const bool top = indent == 0 && !words.starts_with("#") && !words.starts_with("\"\"\"") &&
                         (words.starts_with("import ") || words.starts_with("from ") ||
                          words.find(" = ") != std::string_view::npos ||
                          words.find(": ") != std::string_view::npos);
        if (words.starts_with('@')) {
            out += std::string(line) + "\n";
        } else if (defines) {
            out += std::string(line) + "\n";
            // A signature may go on over several lines.
            const auto depth_of = [](std::string_view part) {
                return std::count_if(part.begin(), part.end(),
                                     [](char c) { return c == '(' || c == '['; }) -
                       std::count_if(part.begin(), part.end(),
                                     [](char c) { return c == ')' || c == ']'; });
            };
            auto depth = depth_of(line);
            while (depth > 0 && at < text.size()) {
                line = next_line(text, at);
                depth += depth_of(line);
                out += std::string(line) + "\n";
            }
            size_t look = at;
            const std::string_view first = next_line(text, look);
            const size_t inner = first.find_first_not_of(" \t");
            if (inner != std::string_view::npos && inner > indent &&
                first.substr(inner).starts_with("\"\"\"")) {
                out += std::string(first);
                if (first.find("\"\"\"", inner + 3) == std::string_view::npos) {
                    out += "\"\"\"";
                }
                out += '\n';
                at = look;
            } else if (!words.starts_with("class ")) {
                out += std::string(indent + 4, ' ') + "...\n";
            }
        } else if (top) {
            out += std::string(line.substr(0, 160)) + "\n";
        }
    }
    return out;
}

std::string by_headings(std::string_view text) {
    std::string out;
    bool in_code = false;
    for (size_t at = 0; at < text.size();) {
        const std::string_view line = next_line(text, at);
        in_code = in_code != line.starts_with("```");
        if (!in_code && line.starts_with('#')) {
            out += std::string(line) + "\n";
        }
    }
    return out;
}

}  // namespace

std::optional<std::string> outline_of(std::string_view path, std::string_view text) {
    static constexpr std::array<std::string_view, 30> kBraces = {
        ".c",  ".h",   ".cc",  ".cpp",   ".cxx",   ".hh",   ".hpp", ".hxx", ".cu",   ".cuh",
        ".js", ".mjs", ".cjs", ".jsx",   ".ts",    ".tsx",  ".mts", ".rs",  ".go",   ".java",
        ".kt", ".cs",  ".php", ".swift", ".scala", ".dart", ".m",   ".mm",  ".glsl", ".proto"};
    const std::string_view ending = ending_of(path);
    std::string outline;
    if (one_of(ending, kBraces)) {
        outline = by_braces(text);
    } else if (ending == ".py" || ending == ".pyi") {
        outline = by_indentation(text);
    } else if (ending == ".md" || ending == ".markdown") {
        outline = by_headings(text);
    }
    // Lines that only held what is gone.
    std::string tidy;
    int blank = 0;
    for (size_t at = 0; at < outline.size();) {
        const std::string_view line = next_line(outline, at);
        blank = line.find_first_not_of(" \t") == std::string_view::npos ? blank + 1 : 0;
        if (blank < 2) {
            tidy += std::string(line) + "\n";
        }
    }
    return tidy.find_first_not_of(" \t\n") != std::string::npos && tidy.size() < text.size()
               ? std::optional<std::string>(std::move(tidy))
               : std::nullopt;
}

}  // namespace app::codebase
