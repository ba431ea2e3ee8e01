// Regular expressions of JSON Schema (ECMA 262) as grammar expressions: characters, classes,
// groups, alternatives, repetitions, and anchors at the ends. What needs to look around (\b,
// look-ahead, back references) is refused.
#pragma once

#include <functional>
#include <string_view>

#include "runtime/text/grammar/grammar.h"

namespace runtime {

// How one character of the given set is written where the text stands: as it is, or escaped in a
// JSON string, say.
using WriteCharacter = std::function<GrammarBuilder::Expr(const GrammarBuilder::CodePoints&)>;

// All texts in which the pattern is found somewhere (anchors tie it to the ends), of `least` to
// `most` characters (-1: any number). Throws GrammarError, also where pattern and length together
// are too much.
GrammarBuilder::Expr pattern_expression(GrammarBuilder& builder,
                                        std::string_view pattern,
                                        const WriteCharacter& character,
                                        int32_t least = 0,
                                        int32_t most = -1);

}  // namespace runtime
