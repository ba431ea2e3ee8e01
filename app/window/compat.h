// What differs between the ImGui versions we build with (1.86 in Debian 12, 1.90 in Debian 13), in
// one place.
#pragma once

#include <imgui.h>

namespace app::window {

#if IMGUI_VERSION_NUM < 18700
inline constexpr ImGuiKey kKeypadEnter = ImGuiKey_KeyPadEnter;
#else
inline constexpr ImGuiKey kKeypadEnter = ImGuiKey_KeypadEnter;
#endif

inline bool key_pressed(ImGuiKey key, bool repeat = true) {
#if IMGUI_VERSION_NUM < 18700
    return ImGui::IsKeyPressed(ImGui::GetKeyIndex(key), repeat);
#else
    return ImGui::IsKeyPressed(key, repeat);
#endif
}

// Synthetic input for tests without a window.
inline void feed_mouse_position(ImGuiIO& io, ImVec2 position) {
#if IMGUI_VERSION_NUM < 18700
    io.MousePos = position;
#else
    io.AddMousePosEvent(position.x, position.y);
#endif
}
inline void feed_mouse_button(ImGuiIO& io, bool down) {
#if IMGUI_VERSION_NUM < 18700
    io.MouseDown[0] = down;
#else
    io.AddMouseButtonEvent(0, down);
#endif
}

// Whether the program's fonts can hold characters beyond the Basic Multilingual Plane.
inline constexpr bool kWideCharacters = sizeof(ImWchar) > 2;

}  // namespace app::window
