// Lexer: what the lexers of all families share - taking pieces, strings and comments that stay
// open. Stateless but for one text.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "app/window/highlight.h"
#include "app/window/languages.h"

namespace app::window {

class Lexer {
public:
    Lexer(std::string_view text, const Language& language, LexState& state)
        : text_(text), language_(language), state_(state) {}

protected:
    static constexpr auto kNone = std::string_view::npos;
    static bool is_digit(char c) { return c >= '0' && c <= '9'; }
    static bool is_word(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_' ||
               static_cast<unsigned char>(c) >= 0x80;
    }
    static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

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

    std::string_view text_;
    const Language& language_;
    LexState& state_;
    std::vector<CodePiece> pieces_;
    size_t at_ = 0;
};

// All families but Family::code.
std::vector<CodePiece> highlight_data(std::string_view text,
                                      const Language& language,
                                      LexState& state);

}  // namespace app::window
