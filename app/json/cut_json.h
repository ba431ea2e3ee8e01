// A JSON text that was cut somewhere, as a reply's limit cuts the arguments of a call: what it
// holds so far. Any thread.
#pragma once

#include <optional>
#include <string_view>

#include "app/json/json.h"

namespace app {

// The text with what is open closed: a string as far as it came, null for a value that had not
// begun or was no value yet. Nothing: the text is not the beginning of one JSON value.
std::optional<Json> parse_cut_json(std::string_view text);

}  // namespace app
