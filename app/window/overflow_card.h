// The card of a prompt that does not fit, drawn above the composer. Main thread.
#pragma once

#include "app/window/app_state.h"

namespace app::window {

// state.chat.overflow must hold one. Returns the height it took.
float draw_overflow_card(AppState& state, float x, float y, float width);

}  // namespace app::window
