#include "runtime/text/splitter.h"

#include <array>
#include <cstdint>

#include "runtime/text/unicode.h"

namespace runtime {
namespace {

constexpr std::array<CharClass, 128> kAscii = [] {
    std::array<CharClass, 128> table{};
    for (int c = 0; c < 128; c++) {
        const int lower = c | 0x20;
        table[c] = lower >= 'a' && lower <= 'z'           ? CharClass::letter
                   : c >= '0' && c <= '9'                 ? CharClass::number
                   : c == ' ' || (c >= 0x09 && c <= 0x0D) ? CharClass::space
                                                          : CharClass::other;
    }
    return table;
}();

struct Char {
    CharClass kind;
    size_t end;  // offset behind it
};

Char char_at(std::string_view text, size_t at) {
    const auto byte = static_cast<uint8_t>(text[at]);
    if (byte < 0x80) {
        return {kAscii[byte], at + 1};
    }
    const Utf8Unit unit = utf8_unit(text.substr(at));
    if (unit.kind != Utf8Unit::Kind::character) {
        return {CharClass::other, at + 1};
    }
    return {char_class(unit.code_point), at + unit.length};
}

// End of the run of characters of one class from `at`.
size_t run_end(std::string_view text, size_t at, CharClass kind) {
    while (at < text.size()) {
        const Char next = char_at(text, at);
        if (next.kind != kind) {
            break;
        }
        at = next.end;
    }
    return at;
}

bool is_line_end(char c) {
    return c == '\r' || c == '\n';
}

// Length of 's 't 're 've 'm 'll 'd at `at`, in either case; 0 when there is none. ASCII only, as
// in llama.cpp (the model's tokenizer.json folds case by Unicode, where U+017F counts as s).
size_t contraction(std::string_view text, size_t at) {
    const auto lower = [&](size_t i) { return i < text.size() ? text[i] | 0x20 : 0; };
    const int first = lower(at + 1), second = lower(at + 2);
    if (first == 's' || first == 't' || first == 'm' || first == 'd') {
        return 2;
    }
    const bool pair = (first == 'r' && second == 'e') || (first == 'v' && second == 'e') ||
                      (first == 'l' && second == 'l');
    return pair ? 3 : 0;
}

size_t white_space_end(std::string_view text, size_t at) {
    size_t end = at, last = at, after_line_end = 0;
    while (end < text.size()) {
        const Char next = char_at(text, end);
        if (next.kind != CharClass::space) {
            break;
        }
        last = end;
        if (is_line_end(text[end])) {
            after_line_end = next.end;
        }
        end = next.end;
    }
    if (after_line_end != 0) {
        return after_line_end;  // \s*[\r\n]+ reaches to the run's last line end
    }
    if (end == text.size() || last == at) {
        return end;  // \s+(?!\S) at the end of the text, or \s+ of one character
    }
    return last;  // \s+(?!\S) leaves one character for what follows
}

}  // namespace

size_t piece_end(std::string_view text, size_t at) {
    const char c = text[at];
    if (c == '\'') {
        if (const size_t length = contraction(text, at); length != 0) {
            return at + length;
        }
    }
    const Char first = char_at(text, at);
    if (first.kind == CharClass::letter) {
        return run_end(text, first.end, CharClass::letter);
    }
    if (first.kind == CharClass::number) {
        size_t end = first.end;
        for (int digits = 1; digits < 3 && end < text.size(); digits++) {
            const Char next = char_at(text, end);
            if (next.kind != CharClass::number) {
                break;
            }
            end = next.end;
        }
        return end;
    }
    size_t marks = at;  // where the run of [^\s\p{L}\p{N}]+ would begin
    if (first.end < text.size()) {
        const Char next = char_at(text, first.end);
        if (next.kind == CharClass::letter && !is_line_end(c)) {
            return run_end(text, next.end, CharClass::letter);
        }
        if (c == ' ' && next.kind == CharClass::other) {
            marks = first.end;
        }
    }
    if (first.kind == CharClass::space && marks == at) {
        return white_space_end(text, at);
    }
    size_t end = run_end(text, marks, CharClass::other);
    while (end < text.size() && is_line_end(text[end])) {
        end++;
    }
    return end;
}

}  // namespace runtime
