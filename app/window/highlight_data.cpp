// Data and markup: JSON, YAML and TOML, HTML, CSS, changes, Markdown.
#include <algorithm>
#include <cctype>

#include "app/window/lexer.h"

namespace app::window {
namespace {

class DataLexer : Lexer {
public:
    using Lexer::Lexer;

    std::vector<CodePiece> run() {
        switch (language_.family) {
            case Family::none:
                add(text_.size(), CodeKind::plain);
                break;
            case Family::code:
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

    int depth_ = 0;  // of braces
};

}  // namespace

std::vector<CodePiece> highlight_data(std::string_view text,
                                      const Language& language,
                                      LexState& state) {
    return DataLexer(text, language, state).run();
}

}  // namespace app::window
