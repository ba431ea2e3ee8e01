#include "app/json/cut_json.h"

#include <string>

namespace app {
namespace {

constexpr std::string_view kSpace = " \t\r\n";

std::optional<Json> read(const std::string& text) {
    try {
        return parse_json(text);
    } catch (const JsonError&) {
        return std::nullopt;
    }
}

void trim(std::string& text) {
    text.resize(text.find_last_not_of(kSpace) + 1);
}

}  // namespace

std::optional<Json> parse_cut_json(std::string_view given) {
    std::string closing;  // what is open, from the inside out
    bool in_string = false;
    size_t escape = std::string_view::npos;  // where the last one of the open string begins
    for (size_t i = 0; i < given.size(); i++) {
        const char c = given[i];
        if (in_string) {
            if (c == '\\') {
                escape = i++;
            } else if (c == '"') {
                in_string = false;
            }
        } else if (c == '"') {
            in_string = true;
            escape = std::string_view::npos;
        } else if (c == '{' || c == '[') {
            closing.insert(closing.begin(), c == '{' ? '}' : ']');
            if (closing.size() > kMaxJsonDepth) {
                return std::nullopt;
            }
        } else if (c == '}' || c == ']') {
            if (closing.empty() || closing.front() != c) {
                return std::nullopt;
            }
            closing.erase(closing.begin());
        }
    }
    std::string text(given);
    if (in_string) {
        // An escape that is not whole is left out, and what is half a character: D800 to DBFF.
        const bool is_code =
            escape != std::string_view::npos && escape + 1 < text.size() && text[escape + 1] == 'u';
        if (escape != std::string_view::npos && escape + (is_code ? 6 : 2) > text.size()) {
            text.resize(escape);
        }
        if (const size_t n = text.size();
            n >= 6 && text[n - 6] == '\\' && text[n - 5] == 'u' && (text[n - 4] | 0x20) == 'd' &&
            std::string_view("89abAB").find(text[n - 3]) != std::string_view::npos) {
            text.resize(n - 6);
        }
        text += '"';
        const auto value = read(text + closing);
        return value ? value : read(text + ":null" + closing);  // it was a key
    }
    // A word or a number that is not whole.
    const size_t word = text.find_last_of(":,[{ \t\r\n") + 1;
    const std::string last = text.substr(word);
    if (!last.empty() && !read(last)) {
        const auto begins = [&](std::string_view whole) { return whole.starts_with(last); };
        const bool number = last.find_first_not_of("+-.0123456789eE") == std::string::npos;
        if (begins("true") || begins("false") || begins("null") || number) {
            text.resize(word);
        }
    }
    trim(text);
    if (text.ends_with(',')) {
        text.pop_back();
    } else if (text.ends_with(':')) {
        text += "null";
    }
    const auto value = read(text + closing);
    return value || !text.ends_with('"') ? value : read(text + ":null" + closing);
}

}  // namespace app
