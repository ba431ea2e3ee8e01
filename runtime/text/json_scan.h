// Is this text one JSON value? Only the question: what the value holds is the app's business. Any
// thread.
#pragma once

#include <string_view>

namespace runtime {

// RFC 8259, white space around allowed. False also for what readers refuse though the grammar
// allows it: halves of surrogate pairs, numbers beyond a double, more than 200 nested arrays and
// objects. The text must be valid UTF-8.
bool is_json(std::string_view text);

}  // namespace runtime
