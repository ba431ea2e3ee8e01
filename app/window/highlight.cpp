#include "app/window/highlight.h"

#include <algorithm>
#include <cctype>

#include "app/window/languages.h"
#include "app/window/lexer.h"

namespace app::window {
namespace {

// Languages with words, strings and comments.
class CodeLexer : Lexer {
public:
    using Lexer::Lexer;

    std::vector<CodePiece> run() {
        code();
        return std::move(pieces_);
    }

private:
    void word() {
        size_t end = at_;
        while (end < text_.size() &&
               (is_word(text_[end]) || (has(kDashedNames) && text_[end] == '-' && end > at_) ||
                (text_[end] == '!' && has(kDashedNames) && !has(kDollarNames)))) {
            end++;
        }
        const std::string_view found = text_.substr(at_, end - at_);
        if (is_keyword(language_, found)) {
            add(end, CodeKind::keyword);
            return;
        }
        if (is_type(language_, found)) {
            add(end, CodeKind::type);
            return;
        }
        if (has(kBangNames) && end < text_.size() && text_[end] == '!' &&
            text_.substr(end, 2) != "!=") {
            add(end + 1, CodeKind::function);
            return;
        }
        size_t behind = end;
        while (behind < text_.size() && text_[behind] == ' ') {
            behind++;
        }
        const bool called = behind < text_.size() && text_[behind] == '(' && behind == end;
        const bool capital = std::isupper(static_cast<unsigned char>(found[0])) != 0;
        const bool mixed = found.size() > 1 && std::any_of(found.begin(), found.end(), [](char c) {
                               return std::islower(static_cast<unsigned char>(c)) != 0;
                           });
        const bool scope = text_.substr(end, 2) == "::";
        if (scope || (has(kCapitalTypes) && capital && mixed)) {
            add(end, CodeKind::type);
        } else if (called) {
            add(end, CodeKind::function);
        } else {
            add(end, CodeKind::plain);
        }
    }

    // A slash that begins a regular expression: nothing stands before it that could be divided.
    bool regex_may_begin() const {
        for (size_t i = at_; i > 0;) {
            const char c = text_[--i];
            if (!is_blank(c)) {
                return c == '(' || c == ',' || c == '=' || c == ':' || c == '[' || c == '!' ||
                       c == '&' || c == '|' || c == '?' || c == '{' || c == '}' || c == ';' ||
                       c == '\n';
            }
        }
        return true;
    }

    bool raw_string() {
        // R"x(...)x", with an encoding before it or not.
        const std::string_view from = rest();
        size_t quote = 0;
        for (const std::string_view begin : {"R\"", "LR\"", "uR\"", "UR\"", "u8R\""}) {
            if (from.starts_with(begin)) {
                quote = begin.size() - 1;
            }
        }
        if (quote == 0) {
            return false;
        }
        const size_t bracket = from.find('(', quote);
        if (bracket == kNone || bracket - quote > 17) {
            return false;
        }
        open(LexState::Mode::text,
             ")" + std::string(from.substr(quote + 1, bracket - quote - 1)) + "\"", bracket + 1);
        return true;
    }

    bool rust_string() {
        const std::string_view from = rest();
        size_t i = from.starts_with("br") ? 2 : from.starts_with("r") ? 1 : 0;
        if (i == 0 || (at_ > 0 && is_word(text_[at_ - 1]))) {
            return false;
        }
        size_t signs = 0;
        while (i < from.size() && from[i] == '#') {
            signs++;
            i++;
        }
        if (i >= from.size() || from[i] != '"') {
            return false;
        }
        const size_t close = from.find("\"" + std::string(signs, '#'), i + 1);
        if (signs == 0) {
            add(close == kNone ? text_.size() : at_ + close + 1, CodeKind::string);
        } else {
            open(LexState::Mode::text, "\"" + std::string(signs, '#'), i + 1);
        }
        return true;
    }

    bool here_document() {
        const std::string_view from = rest();
        if (!from.starts_with("<<") || from.starts_with("<<<")) {
            return false;
        }
        size_t i = 2;
        while (i < from.size() &&
               (from[i] == '-' || from[i] == '~' || from[i] == '\'' || from[i] == '"')) {
            i++;
        }
        const size_t begin = i;
        while (i < from.size() && (std::isupper(static_cast<unsigned char>(from[i])) ||
                                   from[i] == '_' || is_digit(from[i]))) {
            i++;
        }
        if (i - begin < 2) {
            return false;
        }
        open(LexState::Mode::text, "\n" + std::string(from.substr(begin, i - begin)), i);
        return true;
    }

    void code() {
        if (state_.mode != LexState::Mode::code) {
            rest_of_open();
        }
        const auto is_line_comment = [&] {
            return (!language_.line_comment.empty() &&
                    rest().starts_with(language_.line_comment)) ||
                   (!language_.other_line_comment.empty() &&
                    rest().starts_with(language_.other_line_comment));
        };
        while (at_ < text_.size()) {
            const char c = text_[at_];
            if (c == '\n' || is_blank(c)) {
                add(at_ + 1, CodeKind::plain);
            } else if (!language_.comment_open.empty() &&
                       rest().starts_with(language_.comment_open)) {
                open(LexState::Mode::comment, std::string(language_.comment_close),
                     language_.comment_open.size());
            } else if (is_line_comment() &&
                       // a shell's # begins a comment at the start of a word only
                       (c != '#' || !has(kDollarNames) || at_ == 0 || is_blank(text_[at_ - 1]) ||
                        text_[at_ - 1] == '\n' || text_[at_ - 1] == ';')) {
                add(line_end(), CodeKind::comment);
            } else if (c == '#' && has(kPreprocessor) && at_line_start()) {
                preprocessor();
            } else if (has(kTripleQuotes) &&
                       (rest().starts_with("\"\"\"") || rest().starts_with("'''"))) {
                open(LexState::Mode::text, std::string(3, c), 3);
            } else if (c == '`' && has(kBackticks)) {
                open(LexState::Mode::text, "`", 1);
            } else if (c == '\'' && has(kLifetimes)) {
                lifetime();
            } else if (c == '"' && has(kQuoteIsName)) {
                quoted(c, false, CodeKind::name);
            } else if (c == '"' || c == '\'' || c == '`') {
                quoted(c, c != '\'' || !has(kPlainQuotes));
            } else if ((has(kRawStrings) && (c == 'R' || c == 'L' || c == 'u' || c == 'U') &&
                        raw_string()) ||
                       (has(kLifetimes) && (c == 'r' || c == 'b') && rust_string()) ||
                       (has(kHereDocuments) && c == '<' && here_document())) {
                continue;
            } else if (c == '/' && has(kRegex) && peek() != '/' && peek() != '*' &&
                       regex_may_begin()) {
                quoted('/', true);
            } else if (is_digit(c) || (c == '.' && is_digit(peek()))) {
                number();
            } else if ((c == '$' && has(kDollarNames)) || (c == '@' && has(kAtNames)) ||
                       (c == ':' && has(kColonNames) && is_word(peek()) && peek() != ':' &&
                        (at_ == 0 || text_[at_ - 1] != ':'))) {
                sign_name();
            } else if (is_word(c)) {
                word();
            } else if (c == '\\' && language_.label == "LaTeX") {
                size_t end = at_ + 1;
                while (end < text_.size() && std::isalpha(static_cast<unsigned char>(text_[end]))) {
                    end++;
                }
                add(std::max(end, at_ + 2), CodeKind::keyword);
            } else {
                add(at_ + 1, CodeKind::plain);
            }
        }
    }

    void preprocessor() {
        size_t end = at_ + 1;
        while (end < text_.size() && is_blank(text_[end])) {
            end++;
        }
        while (end < text_.size() && (is_word(text_[end]) || text_[end] == '!')) {
            end++;
        }
        const std::string_view directive = text_.substr(at_, end - at_);
        add(end, CodeKind::keyword);
        if (directive.ends_with("include")) {
            while (at_ < text_.size() && is_blank(text_[at_])) {
                add(at_ + 1, CodeKind::plain);
            }
            if (at_ < text_.size() && text_[at_] == '<') {
                add(std::min(text_.find('>', at_), line_end()) + 1, CodeKind::string);
            }
        }
    }

    void lifetime() {
        // 'x' and '\n' are characters, 'name a lifetime.
        const bool character = peek() == '\\' || (at_ + 2 < text_.size() && peek(2) == '\'') ||
                               static_cast<unsigned char>(peek()) >= 0x80;
        if (character) {
            quoted('\'', true);
            return;
        }
        size_t end = at_ + 1;
        while (end < text_.size() && is_word(text_[end])) {
            end++;
        }
        add(end, end > at_ + 1 ? CodeKind::name : CodeKind::plain);
    }

    void sign_name() {
        size_t end = at_ + 1;
        if (end < text_.size() && text_[end] == '{') {
            const size_t close = text_.find('}', end);
            end = close == kNone || close > line_end() ? end : close + 1;
        } else {
            while (end < text_.size() && (is_word(text_[end]) || text_[end] == '@')) {
                end++;
            }
            if (end == at_ + 1 && end < text_.size() &&
                std::string_view("#?!*$-").find(text_[end]) != kNone) {
                end++;
            }
        }
        add(end, end > at_ + 1 ? CodeKind::name : CodeKind::plain);
    }
};

}  // namespace

std::vector<CodePiece> highlight(std::string_view text,
                                 std::string_view language,
                                 LexState& state) {
    const Language& known = language_of(language);
    return known.family == Family::code ? CodeLexer(text, known, state).run()
                                        : highlight_data(text, known, state);
}

std::string language_label(std::string_view language) {
    const Language& known = language_of(language);
    const std::string names = " " + std::string(known.names) + " ";
    const bool found = names.find(" " + std::string(language) + " ") != std::string::npos;
    return found ? std::string(known.label.empty() ? language : known.label)
                 : std::string(language);
}

}  // namespace app::window
