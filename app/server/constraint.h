// What a chat request asks its reply to be held to: a JSON format, a grammar, or tool calls.
// Calls that the model may make are held to the declared tools from their <tool_call> on: a tool's
// name, its arguments' names, each once, and values of their types; the rest of the reply is free.
// Of what a schema says beyond that, what cannot be honoured is refused for calls that are forced or
// whose tool says 'strict', and let go for others.
#pragma once

#include <memory>

#include "app/server/chat_request.h"
#include "runtime/text/grammar/matcher.h"
#include "runtime/text/tokenizer.h"

namespace app {

// Null: the reply is free. With thinking on the thought stays free and the constraint begins behind
// it. Grammars of the last requests are kept, and with them what the engine found out about them.
// Throws ApiError (400) where it cannot be honoured. Any thread.
std::shared_ptr<const runtime::Constraint> constraint_of(const ChatRequest& request,
                                                         const runtime::Tokenizer& tokenizer);

}  // namespace app
