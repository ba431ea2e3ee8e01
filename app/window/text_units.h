// Where a text may be taken apart: a character with its accents, an emoji with what is joined to
// it, a word of a script whose letters change each other. Knows no font. Stateless.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace app::window {

// Accents and other marks that sit on the character before them.
bool is_combining(uint32_t c);
// Joiners, selectors, direction signs: nothing of their own to see.
bool is_ignorable(uint32_t c);
// Takes the room of two Latin letters (East Asian).
bool is_wide(uint32_t c);
// Shown as a picture unless asked otherwise.
bool is_emoji(uint32_t c);
// A line may break before and after it.
bool breaks_anywhere(uint32_t c);

struct TextUnit {
    size_t end = 0;      // behind it
    uint32_t first = 0;  // its first character
    bool single = true;  // nothing but that character
    bool emoji = false;  // as a picture
};
TextUnit next_unit(std::string_view text, size_t at);

// The start of the unit before `at`; searched from the line's start at most.
size_t unit_before(std::string_view text, size_t at);

}  // namespace app::window
