#include "app/codebase/decode.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>

#include <iconv.h>
#include <uchardet/uchardet.h>

namespace app::codebase {
namespace {

// The guess is made from this much; enough for every encoding it knows.
constexpr size_t kGuessBytes = 64 << 10;

// Length of the well-formed UTF-8 character at text[at]; 0 when there is none (RFC 3629: no
// overlong, no surrogates).
size_t utf8_length(std::string_view text, size_t at) {
    const auto byte = [&](size_t i) {
        return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
    };
    const unsigned first = byte(at);
    if (first < 0x80) {
        return 1;
    }
    size_t length = 0;
    unsigned low = 0x80, high = 0xBF;
    if (first >= 0xC2 && first <= 0xDF) {
        length = 2;
    } else if (first >= 0xE0 && first <= 0xEF) {
        length = 3;
        low = first == 0xE0 ? 0xA0 : low;
        high = first == 0xED ? 0x9F : high;
    } else if (first >= 0xF0 && first <= 0xF4) {
        length = 4;
        low = first == 0xF0 ? 0x90 : low;
        high = first == 0xF4 ? 0x8F : high;
    } else {
        return 0;
    }
    if (byte(at + 1) < low || byte(at + 1) > high) {
        return 0;
    }
    for (size_t i = 2; i < length; i++) {
        if (byte(at + i) < 0x80 || byte(at + i) > 0xBF) {
            return 0;
        }
    }
    return length;
}

char32_t code_point(std::string_view text, size_t at, size_t length) {
    const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[at + i]); };
    if (length == 1) {
        return byte(0);
    }
    char32_t c = byte(0) & (0xFFU >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        c = c << 6 | (byte(i) & 63U);
    }
    return c;
}

bool is_invisible(char32_t c) {
    return (c >= 0x200B && c <= 0x200F) || (c >= 0x202A && c <= 0x202E) ||
           (c >= 0x2060 && c <= 0x2069) || c == 0xFEFF || (c >= 0xE0000 && c <= 0xE007F);
}

// End of the run of ASCII from `at`, eight bytes at a time.
size_t ascii_end(std::string_view text, size_t at) {
    while (at + 8 <= text.size()) {
        uint64_t word = 0;
        std::memcpy(&word, text.data() + at, 8);
        if ((word & 0x8080808080808080U) != 0) {
            break;
        }
        at += 8;
    }
    while (at < text.size() && (static_cast<unsigned char>(text[at]) & 128) == 0) {
        at++;
    }
    return at;
}

std::string with_lf(std::string text) {
    if (text.find('\r') == std::string::npos) {
        return text;
    }
    size_t to = 0;
    for (size_t i = 0; i < text.size(); i++) {
        if (text[i] == '\r' && i + 1 < text.size() && text[i + 1] == '\n') {
            continue;
        }
        text[to++] = text[i];
    }
    text.resize(to);
    return text;
}

// Nothing where a byte does not convert.
std::optional<std::string> converted(std::string_view content, const char* from) {
    const iconv_t opened = ::iconv_open("UTF-8", from);
    if (opened == reinterpret_cast<iconv_t>(-1)) {  // NOLINT: iconv's own constant
        return std::nullopt;
    }
    const auto close = [](void* handle) { ::iconv_close(handle); };
    const std::unique_ptr<void, decltype(close)> handle(opened, close);
    std::string out(content.size() * 3 + 16, '\0');
    std::string in(content);
    char *source = in.data(), *target = out.data();
    size_t left = in.size(), room = out.size();
    if (::iconv(opened, &source, &left, &target, &room) == static_cast<size_t>(-1) ||
        ::iconv(opened, nullptr, nullptr, &target, &room) == static_cast<size_t>(-1)) {
        return std::nullopt;
    }
    out.resize(out.size() - room);
    if (out.find('\0') != std::string::npos) {
        return std::nullopt;
    }
    return out;
}

ReadText as(std::string_view content, const char* from, const char* name) {
    ReadText result;
    if (auto text = converted(content, from)) {
        result = {true, with_lf(std::move(*text)), name};
    }
    return result;
}

// Many control characters mean that it was no text after all.
bool has_controls(std::string_view content) {
    const auto controls = std::count_if(content.begin(), content.end(), [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return (byte < 32 && c != '\n' && c != '\r' && c != '\t' && c != '\f' && c != '\x1B') ||
               byte == 127;
    });
    return controls * 50 > static_cast<int64_t>(content.size());
}

// Single bytes above ASCII amid Latin letters: a Western text. In the multi-byte encodings such
// bytes come in pairs and runs, in Cyrillic and Greek ones whole words consist of them.
bool looks_western(std::string_view content) {
    size_t high = 0, single = 0;
    for (size_t i = 0; i < content.size(); i++) {
        const auto is_high = [&](size_t at) {
            return at < content.size() && (static_cast<unsigned char>(content[at]) & 128) != 0;
        };
        if (is_high(i)) {
            high++;
            single += static_cast<size_t>((i == 0 || !is_high(i - 1)) && !is_high(i + 1));
        }
    }
    return single * 10 >= high * 9;
}

std::string guessed_encoding(std::string_view content) {
    const std::unique_ptr<uchardet, void (*)(uchardet_t)> detector(::uchardet_new(),
                                                                   ::uchardet_delete);
    const std::string_view head = content.substr(0, kGuessBytes);
    if (::uchardet_handle_data(detector.get(), head.data(), head.size()) != 0) {
        return "";
    }
    ::uchardet_data_end(detector.get());
    return ::uchardet_get_charset(detector.get());
}

std::string shown_encoding(const std::string& name) {
    return name == "SHIFT_JIS" ? "Shift-JIS" : name == "BIG5" ? "Big5" : name;
}

ReadText western(std::string_view content) {
    // Windows puts letters where Latin-1 has control characters; a text with none of them is both.
    const bool windows = std::any_of(content.begin(), content.end(), [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return byte >= 0x80 && byte < 0xA0;
    });
    if (windows) {
        if (ReadText text = as(content, "WINDOWS-1252", "Windows-1252"); text.is_text) {
            return text;
        }
    }
    return as(content, "ISO-8859-1", "Latin-1");
}

// UTF-16 without a mark: every other byte of the ASCII in it is zero.
const char* unmarked_utf16(std::string_view content) {
    const std::string_view head = content.substr(0, 4096);
    if (content.size() % 2 != 0 || head.size() < 8) {
        return nullptr;
    }
    size_t even = 0, odd = 0;
    for (size_t i = 0; i + 1 < head.size(); i += 2) {
        even += static_cast<size_t>(head[i] == 0);
        odd += static_cast<size_t>(head[i + 1] == 0);
    }
    const size_t pairs = head.size() / 2;
    return odd * 10 >= pairs * 8 && even == 0   ? "UTF-16LE"
           : even * 10 >= pairs * 8 && odd == 0 ? "UTF-16BE"
                                                : nullptr;
}

}  // namespace

bool is_valid_utf8(std::string_view text) {
    for (size_t i = ascii_end(text, 0); i < text.size(); i = ascii_end(text, i)) {
        const size_t length = utf8_length(text, i);
        if (length == 0) {
            return false;
        }
        i += length;
    }
    return true;
}

bool is_plain_text(std::string_view content) {
    return !content.starts_with("\xEF\xBB\xBF") &&
           std::memchr(content.data(), 0, content.size()) == nullptr &&
           content.find("\r\n") == std::string_view::npos && is_valid_utf8(content);
}

ReadText to_text(std::string_view content) {
    using namespace std::string_view_literals;
    if (content.empty()) {
        return {true, "", ""};
    }
    if (content.starts_with("\xFF\xFE\0\0"sv)) {
        return as(content.substr(4), "UTF-32LE", "UTF-32");
    }
    if (content.starts_with("\0\0\xFE\xFF"sv)) {
        return as(content.substr(4), "UTF-32BE", "UTF-32");
    }
    if (content.starts_with("\xFF\xFE")) {
        return as(content.substr(2), "UTF-16LE", "UTF-16");
    }
    if (content.starts_with("\xFE\xFF")) {
        return as(content.substr(2), "UTF-16BE", "UTF-16");
    }
    if (content.starts_with("\xEF\xBB\xBF")) {
        content.remove_prefix(3);
    }
    if (content.find('\0') != std::string_view::npos) {
        const char* wide = unmarked_utf16(content);
        return wide ? as(content, wide, "UTF-16") : ReadText{};
    }
    if (is_valid_utf8(content)) {
        // ISO-2022-JP is ASCII to the eye of a UTF-8 check; its escapes give it away.
        if (content.find("\x1B$B") != std::string_view::npos) {
            if (ReadText text = as(content, "ISO-2022-JP", "ISO-2022-JP"); text.is_text) {
                return text;
            }
        }
        return {true, with_lf(std::string(content)), ""};
    }
    if (has_controls(content)) {
        return {};
    }
    if (looks_western(content)) {
        return western(content);
    }
    if (const std::string guess = guessed_encoding(content); !guess.empty()) {
        if (ReadText text = as(content, guess.c_str(), ""); text.is_text) {
            text.how = shown_encoding(guess);
            return text;
        }
    }
    for (const char* name : {"GB18030", "SHIFT_JIS", "EUC-JP", "EUC-KR", "BIG5"}) {
        if (ReadText text = as(content, name, ""); text.is_text) {
            text.how = shown_encoding(name);
            return text;
        }
    }
    return western(content);
}

std::string printable_path(std::string_view path) {
    std::string out;
    for (size_t i = 0; i < path.size();) {
        const size_t length = utf8_length(path, i);
        const auto byte = static_cast<unsigned char>(path[i]);
        const char32_t c = length > 0 ? code_point(path, i, length) : 0;
        if (length == 0 || byte < 32 || byte == 127 || path[i] == '"' || path[i] == '<' ||
            path[i] == '>' || (c >= 0x80 && c < 0xA0) || is_invisible(c)) {
            char escaped[8];
            for (size_t j = i; j < i + std::max<size_t>(length, 1); j++) {
                std::snprintf(escaped, sizeof escaped, "\\x%02X",
                              static_cast<unsigned char>(path[j]));
                out += escaped;
            }
        } else {
            out += path.substr(i, length);
        }
        i += std::max<size_t>(length, 1);
    }
    return out;
}

int64_t count_invisible(std::string_view text) {
    int64_t count = 0;
    for (size_t i = ascii_end(text, 0); i < text.size(); i = ascii_end(text, i)) {
        const size_t length = std::max<size_t>(utf8_length(text, i), 1);
        count += static_cast<int64_t>(length > 1 && is_invisible(code_point(text, i, length)));
        i += length;
    }
    return count;
}

}  // namespace app::codebase
