// GaugeFeed: keeps what the gauge shows beside the engine's snapshot: the timeline, the measured
// prefill, the process's own memory. Looks at AppState between frames; asks the system every two
// seconds. Main thread.
#pragma once

#include <cstdint>
#include <string>

#include "app/window/app_state.h"

namespace app::window {

class GaugeFeed {
public:
    // now: seconds, monotonic. True where a picture that is on screen changed.
    bool tick(AppState& state, double now);

private:
    double next_look_ = 0;
    bool was_busy_ = false;
    std::string model_;
};

}  // namespace app::window
