// What the views of conversations draw and remember beside AppState's own fields.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "app/conversation.h"
#include "app/window/chat_actions.h"

namespace app::window {

// A question that is being changed in the composer.
struct EditView {
    int64_t message = 0;  // 0: none is
    Draft kept;           // what the composer held before
};

struct ChatView {
    ChatActions* actions = nullptr;
    EditView edit;
};

}  // namespace app::window
