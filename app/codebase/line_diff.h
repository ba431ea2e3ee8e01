// Differences between two texts by lines: hunks as in a unified diff, three lines around each; and
// the way back, from the old text and the hunks to the new one. Pure, any thread.
//
// Source: E. W. Myers, "An O(ND) Difference Algorithm and Its Variations", 1986.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace app::codebase {

// Nothing where the texts differ in more than some hundred lines: the new text is shorter then.
// Both are read as if they ended with a line end.
std::optional<std::string> line_diff(std::string_view before, std::string_view after);

// Nothing where the hunks do not belong to this text.
std::optional<std::string> patched(std::string_view before, std::string_view diff);

}  // namespace app::codebase
