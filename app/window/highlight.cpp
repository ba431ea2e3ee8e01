#include "app/window/highlight.h"

#include <algorithm>
#include <cctype>
#include <iterator>

namespace app::window {
namespace {

// Words that most languages of the family share; a false friend costs a colour, nothing more.
// Sorted.
constexpr std::string_view kKeywords[] = {
    "and",      "as",        "assert",   "async",     "auto",     "await",     "break",
    "case",     "catch",     "class",    "concept",   "const",    "constexpr", "continue",
    "co_await", "co_return", "def",      "default",   "del",      "delete",    "do",
    "done",     "elif",      "else",     "enum",      "esac",     "except",    "export",
    "extern",   "false",     "fi",       "final",     "finally",  "fn",        "for",
    "from",     "func",      "function", "global",    "goto",     "if",        "impl",
    "import",   "in",        "inline",   "interface", "is",       "lambda",    "let",
    "loop",     "match",     "mod",      "module",    "mut",      "namespace", "new",
    "nil",      "noexcept",  "None",     "nonlocal",  "not",      "null",      "nullptr",
    "operator", "or",        "override", "package",   "pass",     "private",   "protected",
    "pub",      "public",    "raise",    "requires",  "return",   "self",      "sizeof",
    "static",   "struct",    "super",    "switch",    "template", "then",      "this",
    "throw",    "trait",     "true",     "True",      "try",      "type",      "typedef",
    "typename", "use",       "using",    "var",       "virtual",  "while",     "with",
    "yield"};
constexpr std::string_view kTypes[] = {
    "Any",  "bool",     "byte",     "char",    "char32_t", "dict",        "double",  "f32",
    "f64",  "float",    "i32",      "i64",     "int",      "int32_t",     "int64_t", "list",
    "long", "short",    "size_t",   "str",     "string",   "string_view", "u32",     "u64",
    "u8",   "uint32_t", "uint64_t", "uint8_t", "vector",   "void"};

template <size_t N>
bool contains(const std::string_view (&words)[N], std::string_view word) {
    return std::find(std::begin(words), std::end(words), word) != std::end(words);
}

bool is_word(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '_' ||
           static_cast<unsigned char>(c) >= 0x80;
}

bool one_of(std::string_view language, std::initializer_list<std::string_view> names) {
    return std::find(names.begin(), names.end(), language) != names.end();
}

}  // namespace

std::vector<CodePiece> highlight(std::string_view text, std::string_view language) {
    std::vector<CodePiece> pieces;
    const auto add = [&](size_t begin, size_t end, CodeKind kind) {
        if (begin == end) {
            return;
        }
        if (!pieces.empty() && pieces.back().kind == kind) {
            pieces.back().end = static_cast<uint32_t>(end);
        } else {
            pieces.push_back({static_cast<uint32_t>(begin), static_cast<uint32_t>(end), kind});
        }
    };
    if (one_of(language, {"text", "txt", "plain", "output", "console", "diff", "markdown", "md"})) {
        add(0, text.size(), CodeKind::plain);
        return pieces;
    }
    const bool hash_comments = one_of(
        language, {"python", "py", "bash", "sh", "shell", "zsh", "yaml", "yml", "toml", "ruby",
                   "rb", "cmake", "make", "makefile", "dockerfile", "perl", "r", "ini"});
    const bool dash_comments = one_of(language, {"sql", "lua", "haskell", "hs"});
    const bool slash_comments = !hash_comments && !dash_comments;

    for (size_t i = 0; i < text.size();) {
        const char c = text[i];
        const std::string_view rest = text.substr(i);
        const auto to_line_end = [&] { return std::min(text.find('\n', i), text.size()); };
        if ((hash_comments && c == '#') || (dash_comments && rest.starts_with("--")) ||
            (slash_comments && rest.starts_with("//"))) {
            const size_t end = to_line_end();
            add(i, end, CodeKind::comment);
            i = end;
        } else if (slash_comments && rest.starts_with("/*")) {
            const size_t close = text.find("*/", i + 2);
            const size_t end = close == std::string_view::npos ? text.size() : close + 2;
            add(i, end, CodeKind::comment);
            i = end;
        } else if (hash_comments && (rest.starts_with("\"\"\"") || rest.starts_with("'''"))) {
            const size_t close = text.find(rest.substr(0, 3), i + 3);
            const size_t end = close == std::string_view::npos ? text.size() : close + 3;
            add(i, end, CodeKind::string);
            i = end;
        } else if (c == '"' || c == '`' || c == '\'') {
            size_t end = i + 1;
            while (end < text.size() && text[end] != c && text[end] != '\n') {
                end += text[end] == '\\' && end + 1 < text.size() && text[end + 1] != '\n' ? 2 : 1;
            }
            // A lone quote is an apostrophe or a lifetime, not an open string.
            const bool closed = end < text.size() && text[end] == c;
            add(i, closed ? end + 1 : i + 1, closed ? CodeKind::string : CodeKind::plain);
            i = closed ? end + 1 : i + 1;
        } else if (std::isdigit(static_cast<unsigned char>(c))) {
            size_t end = i;
            while (
                end < text.size() &&
                (is_word(text[end]) || (text[end] == '.' && end + 1 < text.size() &&
                                        std::isdigit(static_cast<unsigned char>(text[end + 1]))))) {
                end++;
            }
            add(i, end, CodeKind::number);
            i = end;
        } else if (is_word(c)) {
            size_t end = i;
            while (end < text.size() && is_word(text[end])) {
                end++;
            }
            const std::string_view word = text.substr(i, end - i);
            const bool before_scope = text.substr(end, 2) == "::";
            const bool named_like_type =
                word.size() > 1 && std::isupper(static_cast<unsigned char>(c)) &&
                std::any_of(word.begin(), word.end(), [](char x) {
                    return std::islower(static_cast<unsigned char>(x)) != 0;
                });
            add(i, end,
                contains(kKeywords, word)                                   ? CodeKind::keyword
                : contains(kTypes, word) || before_scope || named_like_type ? CodeKind::type
                                                                            : CodeKind::plain);
            i = end;
        } else {
            add(i, i + 1, CodeKind::plain);
            i++;
        }
    }
    return pieces;
}

}  // namespace app::window
