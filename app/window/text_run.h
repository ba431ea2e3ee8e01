// One line of text: how wide it is, where a line may break, and drawing it - with the bundled faces
// where they hold a character, from the glyph cache where they do not. Everything the window writes
// goes through here. Main thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <imgui.h>

namespace app::window {

// The next thing that stays together (text_units.h) and its width.
struct RunUnit {
    size_t end = 0;
    float advance = 0;
    bool own = false;      // drawn from the glyph cache
    bool guessed = false;  // the width is not known yet
};
RunUnit run_unit(ImFont* font, std::string_view text, size_t at);

// Width of a text without line breaks. `guessed`, where given, is set when it may still change.
float run_width(ImFont* font, std::string_view text, bool* guessed = nullptr);
// The place in the text that is nearest to `x`.
size_t run_position(ImFont* font, std::string_view text, float x);
// How many bytes from the start fit into `width`.
size_t run_fit(ImFont* font, std::string_view text, float width);
// Both at once: what fits into `most`, one unit at the least, and its width. Reads no further.
struct RunFit {
    size_t end = 0;
    float width = 0;
};
RunFit run_within(ImFont* font, std::string_view text, float most, bool* guessed = nullptr);

// Images that wait to be drawn together: a change of texture costs.
struct GlyphQuad {
    uint64_t texture;
    ImVec2 low, high, uv0, uv1;
    ImU32 colour;
};
void draw_quads(ImDrawList* list, std::vector<GlyphQuad>& quads);

// `at` is the upper left corner. Images go to `quads` where given, else to the list at once.
void draw_run(ImDrawList* list,
              ImFont* font,
              ImVec2 at,
              ImU32 colour,
              std::string_view text,
              std::vector<GlyphQuad>* quads = nullptr);

float text_width(ImFont* font, std::string_view text);  // of the longest line
// The longest beginning of `text` that fits, with an ellipsis when it was cut.
std::string ellipsize(ImFont* font, std::string_view text, float width);
// Plain text, wrapped; the height it took. Without a list it is only measured.
float draw_wrapped(
    ImDrawList* list, ImFont* font, ImVec2 at, float width, ImU32 colour, std::string_view text);

// A word with the blanks behind it, or one ideograph: what a line break may not cut.
struct Word {
    size_t end = 0;          // with trailing blanks
    size_t visible_end = 0;  // without
};
Word next_word(std::string_view text, size_t at, size_t limit);

}  // namespace app::window
