#include "app/json/json.h"

#include <vector>

namespace app {
namespace {

// Brackets outside strings; text that is not JSON at all is left to the parser. Members are counted
// by their commas.
void check_shape(std::string_view text) {
    std::vector<int> members;  // commas so far, per open bracket
    std::string open;          // the brackets themselves
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
            if (static_cast<int>(open.size()) == kMaxJsonDepth) {
                throw JsonError("nested deeper than " + std::to_string(kMaxJsonDepth) +
                                " levels (byte " + std::to_string(i) + ")");
            }
            open += c;
            members.push_back(0);
        } else if (c == ']' || c == '}') {
            if (!open.empty()) {
                open.pop_back();
                members.pop_back();
            }
        } else if (c == ',' && !open.empty() && open.back() == '{') {
            if (++members.back() == kMaxJsonMembers) {
                throw JsonError("an object with more than " + std::to_string(kMaxJsonMembers) +
                                " members (byte " + std::to_string(i) + ")");
            }
        }
    }
}

}  // namespace

Json parse_json(std::string_view text) {
    check_shape(text);
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
