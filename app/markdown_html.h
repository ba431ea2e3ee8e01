// Markdown as HTML that can do nothing: no markup of the text's own, no script, links only to the
// web. Any thread.
#pragma once

#include <string>
#include <string_view>

namespace app {

std::string markdown_to_html(std::string_view markdown);
std::string escape_html(std::string_view text);

}  // namespace app
