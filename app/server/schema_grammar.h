// JSON Schema -> grammar: replies that cannot but satisfy the schema. The OpenAI strict subset and
// beyond: references (recursive too), enum, const, anyOf, oneOf and allOf where decidable,
// patterns, formats, bounds of numbers, lengths and counts. What cannot be honoured is refused with
// its path, never loosened; what is generated may be narrower than what is allowed:
//   - properties come in the order of the schema, undeclared ones only where additionalProperties
//   asks for them
//   - white space: at most one space behind ':' and ','
//   - numbers: at most 16 digits before and 15 behind the point where no bound has more, exponents
//   up to 99
//   - a schema that constrains one type and names none is read as of that type
//   - keys that no schema names may repeat: JSON's readers take the last
//   - format is an annotation; date, time, date-time, uuid, ipv4, email and hostname are honoured,
//   others say nothing
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "app/json/json.h"
#include "app/server/tool_grammar.h"
#include "runtime/text/grammar/matcher.h"
#include "runtime/text/tokenizer.h"

namespace app {


// What a reply may be: a JSON text that satisfies `schema` (true: any JSON object), or calls of
// these tools in GLM's own format, one or, with `several`, more. `opened`: one call, from behind
// its <tool_call> on.
struct ReplyShape {
    const Json* schema = nullptr;
    std::vector<CallableTool> tools;
    bool several = false;
    bool opened = false;
    bool thought = false;  // a thought comes first: free text up to </think>
};

// A thought, up to and with its </think>. It holds no markup of its own, spelt in letters, that would end it elsewhere. Throws
// ApiError (400) where the vocabulary lacks the token.
runtime::GrammarBuilder::Expr thought_before(runtime::GrammarBuilder& builder, const runtime::Tokenizer& tokenizer);

// Throws ApiError (400), naming the place.
std::shared_ptr<const runtime::Grammar> reply_grammar(const ReplyShape& shape,
                                                      const runtime::Tokenizer& tokenizer);

}  // namespace app
