// The picture that window managers show for the window: assets/icon.svg, drawn at any size without
// a renderer for SVG. Any thread.
#pragma once

#include <vector>

namespace app::window {

// size x size pixels of red, green, blue, alpha, from the upper left corner.
std::vector<unsigned char> window_icon(int size);

}  // namespace app::window
