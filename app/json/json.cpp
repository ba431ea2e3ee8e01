#include "app/json/json.h"

#include <cmath>

namespace app {
namespace {

// Brackets outside strings; text that is not JSON at all is left to the parser.
void check_depth(std::string_view text) {
    int depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.size(); i++) {
        const char c = text[i];
        if (in_string) {
            if (c == '\\') {
                i++;
            } else if (c == '"') {
                in_string = false;
            }
        } else if (c == '"') {
            in_string = true;
        } else if (c == '[' || c == '{') {
            if (++depth > kMaxJsonDepth) {
                throw JsonError("nested deeper than " + std::to_string(kMaxJsonDepth) +
                                " levels (byte " + std::to_string(i) + ")");
            }
        } else if (c == ']' || c == '}') {
            depth--;
        }
    }
}

}  // namespace

Json parse_json(std::string_view text) {
    check_depth(text);
    try {
        return Json::parse(text.begin(), text.end());
    } catch (const Json::parse_error& error) {
        throw JsonError("not valid JSON (byte " + std::to_string(error.byte) + " of " +
                        std::to_string(text.size()) + ")");
    } catch (const Json::exception&) {
        throw JsonError("not valid JSON: a number is out of range");
    }
}

std::string to_text(const Json& value) {
    return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace app
