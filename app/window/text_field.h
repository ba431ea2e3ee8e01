// A field for one line of text, in any script: ImGui's own draws with its atlas alone, which holds
// the bundled characters. Main thread only.
#pragma once

#include <string>
#include <string_view>

#include <imgui.h>

#include "app/window/app_state.h"

namespace app::window {

enum class FieldEvent { none, changed, entered, escaped };

// Draws `buffer` at a place and, while `focused`, takes the keyboard: the composer lets go of it.
// A click focuses. The caller draws the frame around it and decides when the focus ends.
FieldEvent text_field(AppState& state,
                      const char* id,
                      EditBuffer& buffer,
                      bool& focused,
                      ImVec2 at,
                      ImVec2 size,
                      std::string_view hint,
                      bool secret = false);

// Several lines, wrapped; Enter begins a new one. True when the text changed. With a frame; Escape
// and a click elsewhere leave it.
bool text_area(AppState& state,
               const char* id,
               EditBuffer& buffer,
               bool& focused,
               float& scroll,
               ImVec2 at,
               ImVec2 size,
               std::string_view hint);

// As ImGui::InputTextWithHint() with EnterReturnsTrue, at the cursor, with a frame; Escape and a
// click elsewhere leave it. `take_focus`: from this frame on the keyboard is its own. `secret`:
// dots are drawn in place of the characters, and nothing of it can be copied.
bool input_line(AppState& state,
                const char* id,
                std::string& text,
                float width,
                std::string_view hint,
                bool take_focus,
                bool secret = false);
// Whether an input_line() has the keyboard.
bool input_line_active();
bool input_line_active(const char* id);  // the one of this name, in the current window
void leave_input_line();

}  // namespace app::window
