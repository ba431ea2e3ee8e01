// What a turn is asked with: the settings, with what this conversation has of its own laid over
// them.
#pragma once

#include <string>

#include "app/conversation.h"
#include "app/prompt.h"
#include "app/settings.h"
#include "runtime/engine/generation.h"

namespace app::window {

struct TurnSettings {
    PromptSettings prompt;
    runtime::SamplingParams sampling;
    int64_t reserve = 0;  // tokens kept for the answer, of a context of `limit`
};

TurnSettings turn_settings(const Settings& settings,
                           const Conversation& conversation,
                           bool thinking,
                           int64_t limit);

}  // namespace app::window
