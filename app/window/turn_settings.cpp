#include "app/window/turn_settings.h"

#include <algorithm>

#include "app/conversation_json.h"

namespace app::window {

TurnSettings turn_settings(const Settings& settings,
                           const Conversation& conversation,
                           bool thinking,
                           int64_t limit) {
    const Json own = parse_json(conversation.settings);
    TurnSettings turn;
    turn.prompt.system_prompt = field<std::string>(own, "system_prompt", settings.system_prompt);
    turn.prompt.thinking = thinking;
    turn.prompt.keep_thinking = field<bool>(own, "keep_thinking", false);
    turn.sampling.temperature = static_cast<float>(
        std::clamp(field<double>(own, "temperature", settings.temperature), 0.0, 5.0));
    turn.sampling.top_p =
        static_cast<float>(std::clamp(field<double>(own, "top_p", settings.top_p), 0.0, 1.0));
    turn.sampling.top_k = static_cast<int32_t>(settings.top_k);
    turn.sampling.min_p = static_cast<float>(settings.min_p);
    turn.sampling.repetition_penalty = static_cast<float>(settings.repetition_penalty);
    turn.reserve = std::min(settings.answer_reserve_tokens, limit / 4);
    return turn;
}

}  // namespace app::window
