// Two JSON schemas that both must hold, as one: for allOf, and for anyOf and $ref with other
// keywords beside them.
#pragma once

#include <optional>
#include <string>

#include "app/json/json.h"

namespace app {

// Where the two cannot be decided together `problem` says why, and the result is of no use.
Json merge_schemas(const Json& a, const Json& b, std::string& problem);

// Whether no value can satisfy both: of different types, or with constants that differ.
bool surely_disjoint(const Json& a, const Json& b);

// Whether `value` satisfies the keywords of `schema` that concern a single value (type, bounds,
// lengths, enum, const); empty where a keyword beyond these decides.
std::optional<bool> satisfies(const Json& value, const Json& schema);

}  // namespace app
