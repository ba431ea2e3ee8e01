// Code points <-> UTF-8.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace app::window {

// What is no character becomes U+FFFD.
inline void append_utf8(std::string& out, uint64_t c) {
    if (c == 0 || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF)) {
        c = 0xFFFD;
    }
    const auto tail = [&](int shift) { out += static_cast<char>(0x80 | (c >> shift & 63)); };
    if (c < 0x80) {
        out += static_cast<char>(c);
    } else if (c < 0x800) {
        out += static_cast<char>(0xC0 | c >> 6);
        tail(0);
    } else if (c < 0x10000) {
        out += static_cast<char>(0xE0 | c >> 12);
        tail(6);
        tail(0);
    } else {
        out += static_cast<char>(0xF0 | c >> 18);
        tail(12);
        tail(6);
        tail(0);
    }
}

// The character at `at` (< text.size()) and where the next one begins. A byte that begins no
// character is U+FFFD by itself.
inline uint32_t decode_utf8(std::string_view text, size_t at, size_t& next) {
    const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned first = byte(at);
    next = at + 1;
    if (first < 0x80) {
        return first;
    }
    const int tail = first >= 0xF0 && first < 0xF5   ? 3
                     : first >= 0xE0 && first < 0xF0 ? 2
                     : first >= 0xC2 && first < 0xE0 ? 1
                                                     : 0;
    if (tail == 0 || at + static_cast<size_t>(tail) >= text.size()) {
        return 0xFFFD;
    }
    uint32_t c = first & (0x3FU >> tail);
    for (int k = 1; k <= tail; k++) {
        const unsigned b = byte(at + static_cast<size_t>(k));
        if ((b & 0xC0) != 0x80) {
            return 0xFFFD;
        }
        c = c << 6 | (b & 0x3F);
    }
    const bool overlong = (tail == 2 && c < 0x800) || (tail == 3 && c < 0x10000);
    if (overlong || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF)) {
        return 0xFFFD;
    }
    next = at + 1 + static_cast<size_t>(tail);
    return c;
}

// The start of the character that `at` lies in; in bytes that make up none, `at`.
inline size_t character_begin(std::string_view text, size_t at) {
    for (size_t back = 0; back < 4 && back <= at && at < text.size(); back++) {
        if ((static_cast<unsigned char>(text[at - back]) & 0xC0) != 0x80) {
            return at - back;
        }
    }
    return at;
}

}  // namespace app::window
