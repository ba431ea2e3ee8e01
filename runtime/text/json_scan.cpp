#include "runtime/text/json_scan.h"

#include <array>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string>

namespace runtime {
namespace {

constexpr size_t kDeepest = 200;

class JsonScan {
public:
    explicit JsonScan(std::string_view text) : text_(text) {}

    // One pass with the open brackets on a stack: no recursion, whatever the text.
    bool whole_value() {
        for (;;) {
            skip_space();
            if (peek() == '[' || peek() == '{') {
                if (depth_ == kDeepest) {
                    return false;
                }
                const char open = text_[at_++];
                open_[depth_++] = open;
                skip_space();
                if (peek() != closing(open)) {
                    if (open == '{' && !key()) {
                        return false;
                    }
                    continue;
                }
                // An empty one: its bracket is closed below.
            } else if (!scalar()) {
                return false;
            }
            // A value has ended, or an empty bracket waits to be closed.
            for (;;) {
                skip_space();
                if (depth_ == 0) {
                    return at_ == text_.size();
                }
                const char open = open_[depth_ - 1];
                if (peek() == closing(open)) {
                    at_++;
                    depth_--;
                    continue;
                }
                if (!take(',') || (open == '{' && !key())) {
                    return false;
                }
                break;
            }
        }
    }

private:
    static char closing(char open) { return open == '[' ? ']' : '}'; }
    char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

    bool take(char c) {
        if (at_ >= text_.size() || text_[at_] != c) {
            return false;
        }
        at_++;
        return true;
    }

    void skip_space() {
        while (peek() == ' ' || peek() == '\t' || peek() == '\n' || peek() == '\r') {
            at_++;
        }
    }

    bool key() {
        skip_space();
        if (!string()) {
            return false;
        }
        skip_space();
        return take(':');
    }

    bool scalar() {
        for (const std::string_view word : {"true", "false", "null"}) {
            if (text_.substr(at_, word.size()) == word) {
                at_ += word.size();
                return true;
            }
        }
        return peek() == '"' ? string() : number();
    }

    // Value of four hexadecimal digits, or -1.
    int32_t hex4() {
        int32_t value = 0;
        for (int i = 0; i < 4; i++) {
            const char c = peek(), lower = static_cast<char>(c | 0x20);
            if (c >= '0' && c <= '9') {
                value = value * 16 + (c - '0');
            } else if (lower >= 'a' && lower <= 'f') {
                value = value * 16 + (lower - 'a' + 10);
            } else {
                return -1;
            }
            at_++;
        }
        return value;
    }

    bool string() {
        if (!take('"')) {
            return false;
        }
        while (at_ < text_.size()) {
            const char c = text_[at_++];
            if (c == '"') {
                return true;
            }
            if (static_cast<uint8_t>(c) < 0x20) {
                return false;
            }
            if (c != '\\') {
                continue;
            }
            const char escape = peek();
            at_++;
            if (escape != 'u') {
                if (escape == '\0' ||
                    std::string_view("\"\\/bfnrt").find(escape) == std::string_view::npos) {
                    return false;
                }
                continue;
            }
            const int32_t first = hex4();
            if (first < 0 || (first >= 0xDC00 && first <= 0xDFFF)) {
                return false;
            }
            if (first >= 0xD800 && first <= 0xDBFF) {
                const bool pair = take('\\') && take('u');
                const int32_t second = pair ? hex4() : -1;
                if (second < 0xDC00 || second > 0xDFFF) {
                    return false;
                }
            }
        }
        return false;
    }

    bool digits() {
        const size_t start = at_;
        while (peek() >= '0' && peek() <= '9') {
            at_++;
        }
        return at_ > start;
    }

    bool number() {
        const size_t start = at_;
        take('-');
        if (!take('0') && !digits()) {
            return false;
        }
        if (take('.') && !digits()) {
            return false;
        }
        if (peek() == 'e' || peek() == 'E') {
            at_++;
            if (!take('+')) {
                take('-');
            }
            if (!digits()) {
                return false;
            }
        }
        return std::isfinite(
            std::strtod(std::string(text_.substr(start, at_ - start)).c_str(), nullptr));
    }

    std::string_view text_;
    size_t at_ = 0;
    std::array<char, kDeepest> open_{};
    size_t depth_ = 0;
};

}  // namespace

bool is_json(std::string_view text) {
    return JsonScan(text).whole_value();
}

}  // namespace runtime
