// GrammarReader: the characters of a pattern or a grammar, one by one, with errors that say where.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "runtime/text/grammar/grammar.h"

namespace runtime {

class GrammarReader {
public:
    explicit GrammarReader(std::string_view text) : text_(text) {}

    bool done() const { return at_ >= text_.size(); }
    // The byte `ahead` of the next one; 0 at the end.
    char peek(size_t ahead = 0) const {
        return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
    }
    std::string_view rest() const { return text_.substr(at_); }
    void skip(size_t bytes) { at_ += bytes; }

    bool take(char c) {
        if (done() || text_[at_] != c) {
            return false;
        }
        at_++;
        return true;
    }

    // The next character, by UTF-8.
    uint32_t next() {
        if (done()) {
            fail("it ends too early");
        }
        const auto lead = static_cast<unsigned char>(text_[at_++]);
        const int more = lead < 0x80       ? 0
                         : lead >> 5 == 6  ? 1
                         : lead >> 4 == 14 ? 2
                         : lead >> 3 == 30 ? 3
                                           : -1;
        if (more < 0 || at_ + static_cast<size_t>(more) > text_.size()) {
            fail("not UTF-8");
        }
        uint32_t c = more == 0 ? lead : lead & (0x3FU >> more);
        for (int i = 0; i < more; i++) {
            const auto byte = static_cast<unsigned char>(text_[at_++]);
            if (byte >> 6 != 2) {
                fail("not UTF-8");
            }
            c = c << 6 | (byte & 0x3FU);
        }
        return c;
    }

    int64_t number(int64_t most) {
        if (peek() < '0' || peek() > '9') {
            fail("a number is missing");
        }
        int64_t value = 0;
        while (peek() >= '0' && peek() <= '9') {
            value = value * 10 + (text_[at_++] - '0');
            if (value > most) {
                fail("a number above " + std::to_string(most));
            }
        }
        return value;
    }

    // A code point of `digits` hexadecimal digits, or up to `most`.
    uint32_t hex(int digits, int most = 0) {
        uint32_t value = 0;
        int count = 0;
        while (count < (most > 0 ? most : digits)) {
            const char c = peek();
            const int digit = c >= '0' && c <= '9'   ? c - '0'
                              : c >= 'a' && c <= 'f' ? c - 'a' + 10
                              : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                     : -1;
            if (digit < 0) {
                break;
            }
            value = value << 4 | static_cast<uint32_t>(digit);
            at_++;
            count++;
        }
        if (count < digits || value > 0x10FFFF) {
            fail("not a character's number");
        }
        return value;
    }

    [[noreturn]] void fail(const std::string& what) const {
        size_t line = 1, column = 1;
        for (size_t i = 0; i < at_ && i < text_.size(); i++) {
            column = text_[i] == '\n' ? 1 : column + 1;
            line += text_[i] == '\n' ? 1 : 0;
        }
        throw GrammarError((text_.find('\n') == std::string_view::npos
                                ? ""
                                : "line " + std::to_string(line) + ", ") +
                           "column " + std::to_string(column) + ": " + what);
    }

private:
    std::string_view text_;
    size_t at_ = 0;
};

}  // namespace runtime
