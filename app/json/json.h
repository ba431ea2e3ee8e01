// JSON with the limits that text from strangers needs. Key order is kept everywhere: tools and
// arguments reach the prompt in the order they were sent.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace app {

using Json = nlohmann::ordered_json;

// Text that is not JSON, or nested too deeply. One line, no exception names, the byte where it went
// wrong.
class JsonError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

inline constexpr int kMaxJsonDepth = 128;
// Of one object: keeping their order makes finding a key linear, and so reading an object
// quadratic.
inline constexpr int kMaxJsonMembers = 2048;

// The whole text is one JSON value: valid UTF-8, no NaN, no number past a double's range, at most
// kMaxJsonDepth levels. Depth is checked before parsing, because the parser and every destructor
// after it recurse.
Json parse_json(std::string_view text);

// Compact text; bytes that are not UTF-8 become U+FFFD instead of an exception.
std::string to_text(const Json& value);

}  // namespace app
