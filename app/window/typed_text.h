// What was typed since the last frame. ImGui keeps characters in 16 bits as distributions build it
// and puts U+FFFD in the place of others - emoji, rare ideographs; those are kept here beside its
// queue. Main thread.
#pragma once

#include <cstdint>
#include <string>

namespace app::window {

// From the window system, every character in order.
void note_typed(uint32_t character);
// As UTF-8, without control characters; both queues are then empty.
std::string take_typed();
// At the end of a frame: what nobody took is gone, as it is from ImGui's queue.
void forget_typed();

}  // namespace app::window
