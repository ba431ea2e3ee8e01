// A call of a tool as a grammar expression, in GLM's own form: the name, then the declared
// arguments in any order, each at most once, the required ones once, their values as the schema
// says. Knows the chat format's tags; whether a call is made at all is decided elsewhere.
#pragma once

#include <cstdint>
#include <string>

#include "app/json/json.h"
#include "runtime/text/grammar/grammar.h"
#include "runtime/text/tokenizer.h"

namespace app {

// A function that the model may be made to call; `parameters` null: none are declared.
struct CallableTool {
    std::string name;
    const Json* parameters = nullptr;
    std::string path;  // of the parameters, for errors
    bool strict =
        true;  // what cannot be honoured is refused; else it is let go, argument by argument
};

// A token, or, where the vocabulary has none, its letters.
runtime::GrammarBuilder::Expr tag_of(runtime::GrammarBuilder& builder,
                                     const char* tag,
                                     const runtime::Tokenizer& tokenizer);

// From behind <tool_call> to </tool_call>, both its own. `work_left`: see SchemaReader. Throws
// ApiError (400), naming the place, if the tool is strict.
runtime::GrammarBuilder::Expr call_of(runtime::GrammarBuilder& builder,
                                      const CallableTool& tool,
                                      const runtime::Tokenizer& tokenizer,
                                      int64_t& work_left);

}  // namespace app
