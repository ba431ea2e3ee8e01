// GBNF, the notation of llama.cpp's grammars: rules `name ::= ...`, of which `root` is the whole
// text.
#pragma once

#include <memory>
#include <string_view>

#include "runtime/text/grammar/grammar.h"

namespace runtime {

// Throws GrammarError, with line and column.
std::shared_ptr<const Grammar> parse_gbnf(std::string_view text);

}  // namespace runtime
