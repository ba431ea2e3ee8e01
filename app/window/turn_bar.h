// The line under a message: which of its versions is shown, and what can be done with it. Also the
// marker under what the model no longer sees. Main thread.
#pragma once

#include "app/window/turn_view.h"

namespace app::window {

inline constexpr float kTurnBar = 24;

// The words at the right end, over `height`; returns the x where they begin. Words that are needed
// rarely are shown while the pointer is between `top` and the bar.
float turn_words(Pen& pen, const Message& message, size_t index, bool last, float top);
// Moves the pen behind the marker, if message `index` ends a run of what was left out.
void view_marker(Pen& pen, size_t index);

}  // namespace app::window
