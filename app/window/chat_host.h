// ChatHost: what conversations and turns need of the rest of the window - the controller lends it.
// Main thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "app/conversation_store.h"
#include "app/settings.h"
#include "app/window/answer_source.h"
#include "app/window/app_state.h"
#include "app/window/worker.h"

namespace app::window {

struct ChatHost {
    AppState& state;
    const Settings& settings;
    ConversationStore& store;
    Worker& worker;  // prompts are made and counted there, in order
    const std::shared_ptr<const runtime::LoadedModel>& model;  // null: none is loaded
    std::function<std::shared_ptr<AnswerSource>()> source;     // who answers; null: nobody can
    // `undo`: not 0, what ChatActions::undo() takes back.
    std::function<void(Banner::Kind, const std::string&, uint64_t undo)> banner;
    // Runs what writes or reads the store; false: it failed, and that was said.
    std::function<bool(const std::function<void()>&)> store_call;
    std::function<void()> wake;                  // makes the main loop come round; any thread
    std::function<void(int64_t)> raise_context;  // loads the model again, with so many tokens
    std::function<void()> recount;               // the next prompt changed
    // A conversation is new, has another name or another time; set by Chats.
    std::function<void()> list_changed;
};

}  // namespace app::window
