#include "app/window/highlight.h"

#include <algorithm>
#include <cctype>

#include "app/window/languages.h"

namespace app::window {
namespace {

constexpr auto kNone = std::string_view::npos;

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_' ||
           static_cast<unsigned char>(c) >= 0x80;
}
bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r';
}

class Lexer {
public:
    Lexer(std::string_view text, const Language& language, LexState& state)
        : text_(text), language_(language), state_(state) {}

    std::vector<CodePiece> run() {
        switch (language_.family) {
            case Family::none:
                add(text_.size(), CodeKind::plain);
                break;
            case Family::code:
                code();
                break;
            case Family::json:
                json();
                break;
            case Family::yaml:
            case Family::ini:
                by_line([this](size_t end) { setting(end); });
                break;
            case Family::markup:
                markup();
                break;
            case Family::css:
                css();
                break;
            case Family::diff:
                by_line([this](size_t end) { change(end); });
                break;
            case Family::markdown:
                by_line([this](size_t end) { prose(end); });
                break;
        }
        return std::move(pieces_);
    }

private:
    bool has(uint32_t habit) const { return (language_.habits & habit) != 0; }
    std::string_view rest() const { return text_.substr(at_); }
    char peek(size_t ahead = 1) const {
        return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
    }
    size_t line_end() const { return std::min(text_.find('\n', at_), text_.size()); }
    bool at_line_start() const {
        size_t i = at_;
        while (i > 0 && is_blank(text_[i - 1])) {
            i--;
        }
        return i == 0 || text_[i - 1] == '\n';
    }

    // Takes what lies before `end`.
    void add(size_t end, CodeKind kind) {
        end = std::min(end, text_.size());
        if (end <= at_) {
            return;
        }
        if (!pieces_.empty() && pieces_.back().kind == kind) {
            pieces_.back().end = static_cast<uint32_t>(end);
        } else {
            pieces_.push_back({static_cast<uint32_t>(at_), static_cast<uint32_t>(end), kind});
        }
        at_ = end;
    }

    template <typename Take>
    void by_line(Take take) {
        while (at_ < text_.size()) {
            const size_t end = line_end();
            take(end);
            add(end, CodeKind::plain);
            add(std::min(end + 1, text_.size()), CodeKind::plain);
        }
    }

    // Goes on with what the text before left open, or with what was opened just now.
    void rest_of_open() {
        const bool comment = state_.mode == LexState::Mode::comment;
        const CodeKind kind = comment ? CodeKind::comment : CodeKind::string;
        const std::string& closing = state_.closing;
        size_t from = at_;
        for (;;) {
            const size_t close = text_.find(closing, from);
            if (close == kNone) {
                add(text_.size(), kind);
                return;
            }
            // An escaped sign closes nothing, except where there are no escapes.
            size_t slashes = 0;
            while (!comment && closing != "\n" && close > slashes &&
                   text_[close - 1 - slashes] == '\\') {
                slashes++;
            }
            if (slashes % 2 == 1 && closing.size() <= 3 && !has(kPlainQuotes)) {
                from = close + 1;
                continue;
            }
            add(close + closing.size(), kind);
            state_ = {};
            return;
        }
    }
    void open(LexState::Mode mode, std::string closing, size_t opening) {
        state_.mode = mode;
        state_.closing = std::move(closing);
        add(at_ + opening, mode == LexState::Mode::comment ? CodeKind::comment : CodeKind::string);
        rest_of_open();
    }

    // "..." on one line; a lone sign is an apostrophe, not an open string.
    void quoted(char quote, bool escapes, CodeKind kind = CodeKind::string) {
        size_t end = at_ + 1;
        while (end < text_.size() && text_[end] != quote && text_[end] != '\n') {
            end += escapes && text_[end] == '\\' && end + 1 < text_.size() && text_[end + 1] != '\n'
                       ? 2
                       : 1;
        }
        const bool closed = end < text_.size() && text_[end] == quote;
        add(closed ? end + 1 : at_ + 1, closed ? kind : CodeKind::plain);
    }

    void number() {
        size_t end = at_;
        while (end < text_.size() &&
               (is_word(text_[end]) || text_[end] == '\'' ||
                (text_[end] == '.' && end + 1 < text_.size() && is_digit(text_[end + 1])) ||
                ((text_[end] == '+' || text_[end] == '-') && end > at_ + 1 &&
                 (text_[end - 1] == 'e' || text_[end - 1] == 'E') && text_[at_ + 1] != 'x'))) {
            if (text_[end] == '\'' && (end + 1 >= text_.size() || !is_digit(text_[end + 1]))) {
                break;
            }
            end++;
        }
        add(end, CodeKind::number);
    }

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

    void json() {
        if (state_.mode != LexState::Mode::code) {
            rest_of_open();
        }
        while (at_ < text_.size()) {
            const char c = text_[at_];
            if (c == '"') {
                size_t end = at_ + 1;
                while (end < text_.size() && text_[end] != '"' && text_[end] != '\n') {
                    end += text_[end] == '\\' && end + 1 < text_.size() ? 2 : 1;
                }
                end = std::min(end + 1, text_.size());
                size_t behind = end;
                while (behind < text_.size() && is_blank(text_[behind])) {
                    behind++;
                }
                const bool key = behind < text_.size() && text_[behind] == ':';
                add(end, key ? CodeKind::name : CodeKind::string);
            } else if (rest().starts_with("//")) {
                add(line_end(), CodeKind::comment);
            } else if (rest().starts_with("/*")) {
                open(LexState::Mode::comment, "*/", 2);
            } else if (is_digit(c) || (c == '-' && is_digit(peek()))) {
                const size_t sign = c == '-' ? 1 : 0;
                add(at_ + sign, CodeKind::number);
                number();
            } else if (is_word(c)) {
                size_t end = at_;
                while (end < text_.size() && is_word(text_[end])) {
                    end++;
                }
                add(end, CodeKind::keyword);
            } else {
                add(at_ + 1, CodeKind::plain);
            }
        }
    }

    // YAML, TOML and their like: a line is a comment, a section or a key with a value.
    void setting(size_t end) {
        const bool yaml = language_.family == Family::yaml;
        while (at_ < end && (is_blank(text_[at_]) ||
                             (yaml && text_[at_] == '-' && (at_ + 1 == end || is_blank(peek()))))) {
            add(at_ + 1, CodeKind::plain);
        }
        if (at_ >= end) {
            return;
        }
        if (text_[at_] == '#' || (!yaml && text_[at_] == ';')) {
            add(end, CodeKind::comment);
            return;
        }
        if (!yaml && text_[at_] == '[') {
            add(end, CodeKind::type);
            return;
        }
        const char sign = yaml ? ':' : '=';
        const char first = text_[at_];
        size_t key_end = at_;
        if (first == '"' || first == '\'') {
            key_end = std::min(text_.find(first, at_ + 1), end);
        }
        while (key_end < end &&
               (text_[key_end] != sign ||
                (yaml && key_end + 1 < end && !is_blank(text_[key_end + 1]))) &&
               text_[key_end] != '#') {
            key_end++;
        }
        if (key_end < end && text_[key_end] == sign) {
            add(key_end, CodeKind::name);
            add(key_end + 1, CodeKind::plain);
        }
        value(end);
    }

    void value(size_t end) {
        while (at_ < end) {
            const char c = text_[at_];
            if (c == '#' && (at_ == 0 || is_blank(text_[at_ - 1]))) {
                add(end, CodeKind::comment);
            } else if (c == '"' || c == '\'') {
                quoted(c, c == '"');
            } else if (is_digit(c) && (at_ == 0 || !is_word(text_[at_ - 1]))) {
                number();
            } else if ((c == '&' || c == '*' || c == '!') && is_word(peek())) {
                size_t stop = at_ + 1;
                while (stop < end && is_word(text_[stop])) {
                    stop++;
                }
                add(stop, CodeKind::type);
            } else if (is_word(c)) {
                size_t stop = at_;
                while (stop < end && (is_word(text_[stop]) || text_[stop] == '-')) {
                    stop++;
                }
                const std::string_view found = text_.substr(at_, stop - at_);
                const bool constant = found == "true" || found == "false" || found == "null" ||
                                      found == "yes" || found == "no" || found == "on" ||
                                      found == "off";
                add(stop, constant                           ? CodeKind::keyword
                          : language_.family == Family::yaml ? CodeKind::string
                                                             : CodeKind::plain);
            } else {
                add(at_ + 1, CodeKind::plain);
            }
        }
    }

    void markup() {
        if (state_.mode == LexState::Mode::comment) {
            rest_of_open();
        }
        while (at_ < text_.size()) {
            if (state_.mode == LexState::Mode::tag) {
                tag();
            } else if (rest().starts_with("<!--")) {
                open(LexState::Mode::comment, "-->", 4);
            } else if (text_[at_] == '<' && (std::isalpha(static_cast<unsigned char>(peek())) ||
                                             peek() == '/' || peek() == '!' || peek() == '?')) {
                size_t end = at_ + 2;
                while (end < text_.size() &&
                       (is_word(text_[end]) || text_[end] == '-' || text_[end] == ':')) {
                    end++;
                }
                add(end, CodeKind::keyword);
                state_.mode = LexState::Mode::tag;
            } else if (text_[at_] == '&') {
                const size_t semicolon = text_.find(';', at_);
                const bool entity = semicolon != kNone && semicolon - at_ < 12;
                add(entity ? semicolon + 1 : at_ + 1, entity ? CodeKind::number : CodeKind::plain);
            } else {
                add(std::min(text_.find_first_of("<&", at_ + 1), text_.size()), CodeKind::plain);
            }
        }
    }

    void tag() {
        while (at_ < text_.size()) {
            const char c = text_[at_];
            if (c == '>') {
                add(at_ + 1, CodeKind::keyword);
                state_.mode = LexState::Mode::code;
                return;
            }
            if (c == '"' || c == '\'') {
                const size_t close = text_.find(c, at_ + 1);
                add(close == kNone ? line_end() : close + 1, CodeKind::string);
                if (at_ < text_.size() && close == kNone) {
                    add(at_ + 1, CodeKind::plain);
                }
            } else if (c == '/' || c == '?') {
                add(at_ + 1, CodeKind::keyword);
            } else if (is_word(c) || c == '@' || c == ':') {
                size_t end = at_ + 1;
                while (end < text_.size() && (is_word(text_[end]) || text_[end] == '-' ||
                                              text_[end] == ':' || text_[end] == '.')) {
                    end++;
                }
                add(end, CodeKind::name);
            } else {
                add(at_ + 1, CodeKind::plain);
            }
        }
    }

    void css() {
        if (state_.mode == LexState::Mode::comment) {
            rest_of_open();
        }
        while (at_ < text_.size()) {
            const char c = text_[at_];
            if (rest().starts_with("/*")) {
                open(LexState::Mode::comment, "*/", 2);
            } else if (rest().starts_with("//") && (at_ == 0 || text_[at_ - 1] != ':')) {
                add(line_end(), CodeKind::comment);
            } else if (c == '"' || c == '\'') {
                quoted(c, true);
            } else if (c == '@' || c == '$') {
                size_t end = at_ + 1;
                while (end < text_.size() && (is_word(text_[end]) || text_[end] == '-')) {
                    end++;
                }
                add(end, c == '@' ? CodeKind::keyword : CodeKind::name);
            } else if (is_digit(c) ||
                       (c == '#' && std::isxdigit(static_cast<unsigned char>(peek())) &&
                        in_declaration())) {
                size_t end = at_ + 1;
                while (end < text_.size() &&
                       (is_word(text_[end]) || text_[end] == '.' || text_[end] == '%')) {
                    end++;
                }
                add(end, CodeKind::number);
            } else if (is_word(c) || c == '-') {
                size_t end = at_ + 1;
                while (end < text_.size() && (is_word(text_[end]) || text_[end] == '-')) {
                    end++;
                }
                const bool property = end < text_.size() && text_[end] == ':' && in_block();
                const bool called = end < text_.size() && text_[end] == '(';
                add(end, property           ? CodeKind::name
                         : called           ? CodeKind::function
                         : in_declaration() ? CodeKind::plain
                                            : CodeKind::type);
            } else {
                depth_ += c == '{' ? 1 : c == '}' ? -1 : 0;
                add(at_ + 1, CodeKind::plain);
            }
        }
    }
    bool in_block() const { return depth_ > 0; }
    // Behind a colon that no semicolon or brace has ended.
    bool in_declaration() const {
        for (size_t i = at_; i > 0;) {
            const char c = text_[--i];
            if (c == ':') {
                return depth_ > 0;
            }
            if (c == ';' || c == '{' || c == '}' || c == '\n') {
                return false;
            }
        }
        return false;
    }

    void change(size_t end) {
        const char c = text_[at_];
        const std::string_view line = text_.substr(at_, end - at_);
        if (line.starts_with("+++") || line.starts_with("---") || line.starts_with("diff ") ||
            line.starts_with("index ")) {
            add(end, CodeKind::name);
        } else if (c == '+') {
            add(end, CodeKind::added);
        } else if (c == '-') {
            add(end, CodeKind::removed);
        } else if (line.starts_with("@@")) {
            add(end, CodeKind::type);
        }
    }

    void prose(size_t end) {
        const std::string_view line = text_.substr(at_, end - at_);
        if (line.starts_with("#")) {
            add(end, CodeKind::keyword);
        } else if (line.starts_with("```") || line.starts_with("~~~")) {
            add(end, CodeKind::string);
        } else if (line.starts_with(">")) {
            add(end, CodeKind::comment);
        }
        while (at_ < end) {
            if (text_[at_] == '`') {
                const size_t close = text_.find('`', at_ + 1);
                close == kNone || close > end ? add(at_ + 1, CodeKind::plain)
                                              : add(close + 1, CodeKind::string);
            } else {
                add(std::min(text_.find('`', at_ + 1), end), CodeKind::plain);
            }
        }
    }

    std::string_view text_;
    const Language& language_;
    LexState& state_;
    std::vector<CodePiece> pieces_;
    size_t at_ = 0;
    int depth_ = 0;
};

}  // namespace

std::vector<CodePiece> highlight(std::string_view text,
                                 std::string_view language,
                                 LexState& state) {
    return Lexer(text, language_of(language), state).run();
}

std::string language_label(std::string_view language) {
    const Language& known = language_of(language);
    const std::string names = " " + std::string(known.names) + " ";
    const bool found = names.find(" " + std::string(language) + " ") != std::string::npos;
    return found ? std::string(known.label.empty() ? language : known.label)
                 : std::string(language);
}

}  // namespace app::window
