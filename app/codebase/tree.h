// The file tree at the head of a pack: folders once, files below them, what is not shown with the
// reason. Bounded: in a large tree deep folders become one line with their number of files. Pure.
#pragma once

#include <string>
#include <vector>

namespace app::codebase {

struct TreeLine {
    std::string path;    // printable
    std::string remark;  // empty: shown in full
};

inline constexpr size_t kMaxTreeLines = 400;

// `lines` by path.
std::string tree_text(const std::vector<TreeLine>& lines, size_t max_lines = kMaxTreeLines);

}  // namespace app::codebase
