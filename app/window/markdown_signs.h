// What md4c does not know - formulas, footnotes, <br> - is found before it reads a text and hidden
// from it behind bytes that mean nothing to it. As many bytes as before: places in the source stay
// right.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace app::window {

struct Hidden {
    enum class Kind : uint8_t { formula, display, note, line_break };
    Kind kind;
    uint32_t begin, end;  // of the text
    std::string shown;
};

// Overwrites what it finds in `text`, in order. Code is left alone.
std::vector<Hidden> hide_signs(std::string& text);

}  // namespace app::window
