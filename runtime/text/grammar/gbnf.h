// GBNF, the notation of llama.cpp's grammars: rules `name ::= ...`, of which `root` is the whole
// text.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "runtime/text/grammar/grammar.h"

namespace runtime {

// `wrap` may set `root` into something larger. Throws GrammarError, with line and column.
using WrapRoot = std::function<GrammarBuilder::Expr(GrammarBuilder&, GrammarBuilder::Expr)>;
std::shared_ptr<const Grammar> parse_gbnf(std::string_view text, const WrapRoot& wrap = {});

}  // namespace runtime
