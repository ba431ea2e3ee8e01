// Data that is part of the program: fonts. Read-only, lives as long as the process; any thread.
#pragma once

#include <string_view>

namespace assets {

std::string_view inter_regular();
std::string_view inter_semibold();
std::string_view inter_italic();
std::string_view jetbrains_mono();

}  // namespace assets
