#include "app/codebase/classify.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdint>
#include <cstdio>

namespace app::codebase {
namespace {

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

void append_utf8(std::string& out, uint32_t c) {
    if (c < 0x80) {
        out += static_cast<char>(c);
    } else if (c < 0x800) {
        out += static_cast<char>(0xC0 | c >> 6);
        out += static_cast<char>(0x80 | (c & 63));
    } else if (c < 0x10000) {
        out += static_cast<char>(0xE0 | c >> 12);
        out += static_cast<char>(0x80 | (c >> 6 & 63));
        out += static_cast<char>(0x80 | (c & 63));
    } else {
        out += static_cast<char>(0xF0 | c >> 18);
        out += static_cast<char>(0x80 | (c >> 12 & 63));
        out += static_cast<char>(0x80 | (c >> 6 & 63));
        out += static_cast<char>(0x80 | (c & 63));
    }
}

std::string with_lf(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (size_t i = 0; i < text.size(); i++) {
        if (text[i] == '\r' && i + 1 < text.size() && text[i + 1] == '\n') {
            continue;
        }
        out += text[i];
    }
    return out;
}

// UTF-16 with a byte order mark. False where a surrogate stands alone or the length is odd: then it
// is not text.
bool from_utf16(std::string_view bytes, bool big_endian, std::string& out) {
    if (bytes.size() % 2 != 0) {
        return false;
    }
    const auto unit = [&](size_t i) {
        const auto a = static_cast<unsigned char>(bytes[i]),
                   b = static_cast<unsigned char>(bytes[i + 1]);
        return static_cast<uint32_t>(big_endian ? a << 8 | b : b << 8 | a);
    };
    for (size_t i = 0; i < bytes.size(); i += 2) {
        uint32_t c = unit(i);
        if (c >= 0xDC00 && c <= 0xDFFF) {
            return false;
        }
        if (c >= 0xD800 && c <= 0xDBFF) {
            if (i + 3 >= bytes.size()) {
                return false;
            }
            const uint32_t low = unit(i + 2);
            if (low < 0xDC00 || low > 0xDFFF) {
                return false;
            }
            c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
            i += 2;
        }
        if (c == 0) {
            return false;
        }
        append_utf8(out, c);
    }
    return true;
}

}  // namespace

bool is_valid_utf8(std::string_view text) {
    for (size_t i = 0; i < text.size();) {
        const size_t length = utf8_length(text, i);
        if (length == 0) {
            return false;
        }
        i += length;
    }
    return true;
}

bool has_secret_name(std::string_view name) {
    std::string lower(name);
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](unsigned char c) { return std::tolower(c); });
    const auto one_of = [&](const auto& list) {
        return std::find(list.begin(), list.end(), lower) != list.end();
    };
    static constexpr std::array<std::string_view, 4> kTemplates = {".env.example", ".env.sample",
                                                                   ".env.template", ".env.dist"};
    if (one_of(kTemplates)) {
        return false;
    }
    static constexpr std::array<std::string_view, 18> kNames = {
        ".env",    "id_rsa",  "id_dsa",     "id_ecdsa",         "id_ed25519",  ".netrc",
        "_netrc",  ".pgpass", ".htpasswd",  ".git-credentials", "credentials", "credentials.json",
        ".pypirc", ".npmrc",  ".dockercfg", ".my.cnf",          "secrets.yml", "secrets.yaml"};
    if (one_of(kNames) || lower.starts_with(".env.")) {
        return true;
    }
    static constexpr std::array<std::string_view, 10> kEndings = {
        ".pem", ".key", ".p12", ".pfx", ".jks", ".keystore", ".kdbx", ".ppk", ".env", ".asc"};
    return std::any_of(kEndings.begin(), kEndings.end(),
                       [&](std::string_view end) { return lower.ends_with(end); });
}

bool is_private_key(std::string_view content) {
    const std::string_view head = content.substr(0, 4096);
    const size_t begin = head.find("-----BEGIN ");
    if (begin == std::string_view::npos) {
        return false;
    }
    // At the start of a line only: source code that merely mentions the marker is not a key.
    const bool at_line_start = begin == 0 || head[begin - 1] == '\n';
    const std::string_view line = head.substr(begin, head.find('\n', begin) - begin);
    return at_line_start && line.find("PRIVATE KEY") != std::string_view::npos;
}

ReadText to_text(std::string_view content) {
    ReadText result;
    if (content.starts_with("\xFF\xFE") || content.starts_with("\xFE\xFF")) {
        result.is_text = from_utf16(content.substr(2), content[0] == '\xFE', result.text);
        result.text = with_lf(result.text);
        result.how = "UTF-16";
        return result;
    }
    if (content.starts_with("\xEF\xBB\xBF")) {
        content.remove_prefix(3);
    }
    if (content.find('\0') != std::string_view::npos) {
        return result;
    }
    result.is_text = true;
    if (is_valid_utf8(content)) {
        result.text = with_lf(content);
        return result;
    }
    // One byte per character; many control characters mean that it was no text after all.
    const auto controls = std::count_if(content.begin(), content.end(), [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return (byte < 32 && c != '\n' && c != '\r' && c != '\t' && c != '\f' && c != '\x1B') ||
               byte == 127;
    });
    if (controls * 50 > static_cast<int64_t>(content.size())) {
        return {};
    }
    std::string utf8;
    for (const char c : content) {
        append_utf8(utf8, static_cast<unsigned char>(c));
    }
    result.text = with_lf(utf8);
    result.how = "Latin-1";
    return result;
}

std::string printable_path(std::string_view path) {
    std::string out;
    for (size_t i = 0; i < path.size();) {
        const size_t length = utf8_length(path, i);
        const auto byte = static_cast<unsigned char>(path[i]);
        const bool c1_control =
            length == 2 && byte == 0xC2 && static_cast<unsigned char>(path[i + 1]) < 0xA0;
        if (length == 0 || byte < 32 || byte == 127 || path[i] == '"' || path[i] == '<' ||
            path[i] == '>' || c1_control) {
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

}  // namespace app::codebase
