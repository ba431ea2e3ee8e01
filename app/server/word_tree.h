// One of many words as a grammar expression, what they begin with alike written once: a list of
// thousands is then as quick to read as a short one.
#pragma once

#include <string>
#include <vector>

#include "runtime/text/grammar/grammar.h"

namespace app {

runtime::GrammarBuilder::Expr one_of_words(runtime::GrammarBuilder& builder,
                                           std::vector<std::string> words);

}  // namespace app
