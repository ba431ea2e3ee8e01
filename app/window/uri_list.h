// text/uri-list, as file managers hand it over: local paths out of it. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace app::window {

inline constexpr size_t kMaxDraggedPaths = 10'000;

// file:// addresses of this machine alone, decoded; what is none, holds a zero byte or is not
// absolute is passed over.
std::vector<std::string> paths_from_uri_list(std::string_view list);

}  // namespace app::window
