// A file as the model saw it, over the chat: opened from a place that an answer names.
#include <algorithm>
#include <cmath>

#include "app/window/app_state.h"
#include "app/window/compat.h"
#include "app/window/text_run.h"
#include "app/window/widgets.h"

namespace app::window {

void draw_file_viewer(AppState& state, ImVec2 at, ImVec2 size) {
    FileViewer& viewer = state.viewer;
    const float scale = state.fonts.scale;
    const auto px = [scale](float units) { return std::round(units * scale); };
    begin_region("file_viewer", at, size);
    ImDrawList* list = ImGui::GetWindowDrawList();
    const float left = at.x + px(24), right = at.x + size.x - px(24);
    ButtonLook look;
    look.border = colour::kLine;
    const ImVec2 close = button_size(state, "Close", look);
    const std::string title =
        viewer.path + (viewer.line > 0 ? ":" + std::to_string(viewer.line) : "");
    draw_text(list, state.fonts.bold, {left, at.y + px(16)}, colour::kText,
              ellipsize(state.fonts.bold, title, right - close.x - px(16) - left));
    if (button(state, "viewer_close", {right - close.x, at.y + px(10)}, "Close", look).clicked ||
        key_pressed(ImGuiKey_Escape, false)) {
        viewer.open = false;
    }
    float top = at.y + px(48);
    if (!viewer.note.empty()) {
        draw_text(list, state.fonts.body, {left, top}, colour::kWarning,
                  ellipsize(state.fonts.body, viewer.note, right - left));
        top += px(26);
    }
    const float row = px(20), height = size.y - (top - at.y);
    begin_region("viewer_lines", {at.x, top}, {size.x, height}, true);
    ImDrawList* lines = ImGui::GetWindowDrawList();
    const auto count = static_cast<int64_t>(viewer.lines.size());
    const int64_t index = viewer.line - viewer.first_line;
    if (viewer.scroll_to_line) {
        viewer.scroll_to_line = false;
        ImGui::SetScrollY(std::max(
            0.0F, row * static_cast<float>(std::clamp<int64_t>(index, 0, count)) - height / 3));
    }
    const float begin = ImGui::GetCursorScreenPos().y;
    const auto first = static_cast<int64_t>(std::max(0.0F, (top - begin) / row));
    const int64_t last = std::min(count, first + static_cast<int64_t>(height / row) + 2);
    for (int64_t i = first; i < last; i++) {
        const float y = begin + row * static_cast<float>(i);
        if (i == index) {
            lines->AddRectFilled({left - px(8), y}, {right, y + row}, colour::kActive, px(3));
        }
        draw_text_right(lines, state.fonts.small_mono, left + px(44),
                        centred(state.fonts.small_mono, y, row), colour::kTextDim,
                        std::to_string(viewer.first_line + i));
        draw_text(lines, state.fonts.mono, {left + px(60), centred(state.fonts.mono, y, row)},
                  colour::kText, viewer.lines[static_cast<size_t>(i)]);
    }
    ImGui::SetCursorScreenPos({at.x, begin});
    ImGui::Dummy({1, row * static_cast<float>(count)});
    ImGui::EndChild();
    ImGui::EndChild();
}

}  // namespace app::window
