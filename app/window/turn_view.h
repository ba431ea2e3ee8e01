// One message of the conversation: how high it is and how it looks - what people asked in cards,
// answers as text, thinking folded, tool calls, figures. Measuring and drawing are one walk through
// it, so that they agree. Main thread only.
#pragma once

#include <cmath>
#include <functional>
#include <vector>

#include <imgui.h>

#include "app/window/app_state.h"

namespace app::window {

inline constexpr float kChatColumn = 760, kChatMargin = 24;

// A text on screen in this frame.
struct TextArea {
    int message = 0;
    int part = TextPlace::content;
    TextView* view = nullptr;
    ImVec2 origin;
    float width = 0;
};

// Where the next thing goes and what is in sight.
struct Pen {
    AppState& state;
    ImDrawList* list;
    float x, y, width;
    float clip_top, clip_bottom;
    bool hovered;
    bool drawing;                  // else only y moves on
    std::vector<TextArea>* areas;  // drawing: the texts in sight
    std::function<void()>*
        after;  // what a click asked for that changes the conversation: done last

    float px(float units) const { return std::round(units * state.fonts.scale); }
    bool sees(float height) const { return drawing && y + height >= clip_top && y <= clip_bottom; }
};

// Moves the pen behind message `index`, gap included. Texts are laid out where ensure_texts() asked
// for it; what is not counts with an estimate.
void turn(Pen& pen, size_t index);

void draw_welcome(AppState& state, ImVec2 at, ImVec2 size);

}  // namespace app::window
