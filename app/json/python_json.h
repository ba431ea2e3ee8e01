// JSON text as Python's json.dumps(value, ensure_ascii=False) writes it: ", " and ": " between
// items, key order kept, floats as repr() does. GLM's chat template renders tools and arguments
// with it, so the prompt depends on every byte.
#pragma once

#include <string>

#include "app/json/json.h"

namespace app {

std::string python_json(const Json& value);

}  // namespace app
