// The few controls that the views are made of, drawn at given places. Sizes are in pixels: multiply
// by the scale first.
#pragma once

#include <string>
#include <string_view>

#include <imgui.h>

#include "app/window/app_state.h"

namespace app::window {

struct Click {
    bool clicked = false;
    bool hovered = false;
    bool held = false;
};

// An area that can be clicked; also by keyboard when it has ImGui's focus.
Click click_area(const char* id, ImVec2 at, ImVec2 size);

struct ButtonLook {
    ImU32 text = colour::kTextSoft;
    ImU32 fill = rgb(0, 0);
    ImU32 hover = colour::kHover;
    ImU32 border = rgb(0, 0);
    float pad_x = 10, height = 28;  // design units
    float rounding = 6;
    ImFont* font = nullptr;  // body if null
    bool enabled = true;
};
// Draws at `at` (upper left); `size` receives what it took.
Click button(AppState& state,
             const char* id,
             ImVec2 at,
             std::string_view label,
             const ButtonLook& look = {},
             ImVec2* size = nullptr);
ImVec2 button_size(const AppState& state, std::string_view label, const ButtonLook& look = {});

void draw_text(ImDrawList* list, ImFont* font, ImVec2 at, ImU32 colour, std::string_view text);
// Right end at `right`.
void draw_text_right(
    ImDrawList* list, ImFont* font, float right, float y, ImU32 colour, std::string_view text);
// y for text of `font` that is centred in a box.
float centred(const ImFont* font, float top, float height);

void draw_triangle(ImDrawList* list, ImVec2 centre, float size, bool down, ImU32 colour);
void draw_cross(ImDrawList* list, ImVec2 centre, float size, ImU32 colour, float thickness);
void draw_plus(ImDrawList* list, ImVec2 centre, float size, ImU32 colour, float thickness);
void draw_check(ImDrawList* list, ImVec2 centre, float size, ImU32 colour, float thickness);
// Diagonal stripes.
void draw_hatched(
    ImDrawList* list, ImVec2 low, ImVec2 high, ImU32 ground, ImU32 stripe, float step);

// Copies and remembers for the word "copied".
void copy_and_note(AppState& state, const std::string& text, const std::string& what);
void note_copy(AppState& state, const std::string& what);
bool just_copied(const AppState& state, const std::string& what);

// A region with its own scrolling and clipping; end with ImGui::EndChild().
bool begin_region(const char* id, ImVec2 at, ImVec2 size, bool scrolls = false);

void tooltip(const AppState& state, std::string_view text);

}  // namespace app::window
