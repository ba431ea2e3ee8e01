// What the strip and its details draw alike.
#pragma once

#include <imgui.h>

#include "app/window/gauge_view.h"

namespace app::window {

ImU32 gauge_colour(GaugeKind kind);
const char* gauge_name(GaugeKind kind);
void draw_gauge_bar(AppState& state, ImVec2 at, ImVec2 size, const GaugeRow& row, bool tokens);

}  // namespace app::window
