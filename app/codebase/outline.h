// The outline of a source file: its declarations and signatures, bodies left out. By braces or by
// indentation, without a grammar: what it cannot read it leaves as it is. Pure, any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace app::codebase {

// Nothing where a file of that name has no outline (data, prose other than Markdown), or where the
// outline would not be shorter.
std::optional<std::string> outline_of(std::string_view path, std::string_view text);

}  // namespace app::codebase
