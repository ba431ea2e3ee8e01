// What a chat request asks its reply to be held to: a JSON format, a grammar, or tool calls that
// must be made or must satisfy their schemas.
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
