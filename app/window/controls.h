// Controls of the pages: sliders, switches, choices, and the frame that the pages share. Each works
// by mouse and, with ImGui's keyboard navigation, by keys. Sizes are in pixels unless noted.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <imgui.h>

#include "app/window/app_state.h"
#include "app/window/widgets.h"

namespace app::window {

// A value from 0 to 1 along a track of `width`; `step` is what one press of an arrow key moves.
// True while it changes. 24 units high.
bool slider(AppState& state, const char* id, ImVec2 at, float width, double& value, double step);

// On or off; 36 x 20 units. True when it was changed.
bool toggle(AppState& state, const char* id, ImVec2 at, bool& on);

// One of a few, side by side; 28 units high. True when another was chosen.
bool segments(AppState& state,
              const char* id,
              ImVec2 at,
              const std::vector<std::string>& labels,
              size_t& chosen,
              ImVec2* size = nullptr);

// A button that asks to be pressed, and one that does not.
ButtonLook primary_look();
ButtonLook secondary_look();

// Text on a card with a border; returns the height it took.
enum class NoteKind { plain, warning, error, accent };
float note_card(AppState& state, ImVec2 at, float width, NoteKind kind, std::string_view text);

// Small marks drawn from lines, so that they are sharp at every scale: in a square of `size`.
enum class Icon { chat, models, server, settings, search, copy, folder, play, stop, chevron_left };
void draw_icon(ImDrawList* list, Icon icon, ImVec2 centre, float size, ImU32 colour);

// The head of a page: back to the chat, its title and what it is, the way to the other pages.
// Returns the height it took.
float draw_page_head(AppState& state, ImVec2 at, float width, const char* title);

}  // namespace app::window
