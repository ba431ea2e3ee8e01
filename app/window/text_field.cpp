#include "app/window/text_field.h"

#include <algorithm>
#include <cmath>

#include "app/window/compat.h"
#include "app/window/text_run.h"
#include "app/window/utf8.h"
#include "app/window/widgets.h"

namespace app::window {
namespace {

constexpr double kBlinkingSeconds = 10;

FieldEvent read_keys(AppState& state, EditBuffer& buffer, bool lines = false) {
    ImGuiIO& io = ImGui::GetIO();
    const bool ctrl = io.KeyCtrl && !io.KeyAlt, shift = io.KeyShift;
    const uint64_t before = buffer.revision();
    if (!ctrl && !io.KeySuper) {
        std::string typed;
        for (const ImWchar c : io.InputQueueCharacters) {
            if (c >= 32 && c != 127) {
                append_utf8(typed, static_cast<uint32_t>(c));
            }
        }
        if (!typed.empty()) {
            buffer.insert(typed);
        }
    }
    io.InputQueueCharacters.resize(0);
    if (key_pressed(ImGuiKey_LeftArrow)) {
        buffer.move_left(ctrl, shift);
    }
    if (key_pressed(ImGuiKey_RightArrow)) {
        buffer.move_right(ctrl, shift);
    }
    if (lines) {
        const int rows = key_pressed(ImGuiKey_DownArrow)  ? 1
                         : key_pressed(ImGuiKey_UpArrow)  ? -1
                         : key_pressed(ImGuiKey_PageDown) ? 8
                         : key_pressed(ImGuiKey_PageUp)   ? -8
                                                          : 0;
        if (rows != 0) {
            buffer.move_vertically(rows, shift);
        }
    }
    if (key_pressed(ImGuiKey_Home)) {
        lines && !ctrl ? buffer.move_to_row_begin(shift) : buffer.move_to(0, shift);
    }
    if (key_pressed(ImGuiKey_End)) {
        lines && !ctrl ? buffer.move_to_row_end(shift)
                       : buffer.move_to(buffer.text().size(), shift);
    }
    if (key_pressed(ImGuiKey_Backspace)) {
        buffer.erase_back(ctrl);
    }
    if (key_pressed(ImGuiKey_Delete)) {
        buffer.erase_forward(ctrl);
    }
    if (ctrl && key_pressed(ImGuiKey_A, false)) {
        buffer.select_all();
    }
    if (ctrl && key_pressed(ImGuiKey_Z)) {
        shift ? buffer.redo() : buffer.undo();
    }
    if (ctrl && !buffer.selected().empty() &&
        (key_pressed(ImGuiKey_C, false) || key_pressed(ImGuiKey_X, false))) {
        state.actions->copy(std::string(buffer.selected()));
        if (key_pressed(ImGuiKey_X, false)) {
            buffer.erase_back(false);
        }
    }
    if (ctrl && key_pressed(ImGuiKey_V)) {
        if (const char* text = ImGui::GetClipboardText()) {
            std::string line = text;
            if (!lines) {
                std::replace(line.begin(), line.end(), '\n', ' ');
            }
            buffer.insert(line);
        }
    }
    if (key_pressed(ImGuiKey_Enter) || key_pressed(kKeypadEnter)) {
        if (!lines) {
            return FieldEvent::entered;
        }
        buffer.insert("\n");
    }
    if (key_pressed(ImGuiKey_Escape, false)) {
        return FieldEvent::escaped;
    }
    return buffer.revision() != before ? FieldEvent::changed : FieldEvent::none;
}

}  // namespace

FieldEvent text_field(AppState& state,
                      const char* id,
                      EditBuffer& buffer,
                      bool& focused,
                      ImVec2 at,
                      ImVec2 size,
                      std::string_view hint) {
    const auto px = [&](float units) { return std::round(units * state.fonts.scale); };
    ImFont* font = state.fonts.body;
    ImDrawList* list = ImGui::GetWindowDrawList();
    FieldEvent event = FieldEvent::none;
    if (focused) {
        state.composer_focused = false;
        const size_t cursor = buffer.cursor();
        event = read_keys(state, buffer);
        if (event != FieldEvent::none || buffer.cursor() != cursor) {
            state.caret_since = ImGui::GetTime();
        }
    }
    ImGui::SetCursorScreenPos(at);
    ImGui::InvisibleButton(id, {std::max(1.0F, size.x), size.y});
    if (ImGui::IsItemHovered()) {
        ImGui::SetMouseCursor(ImGuiMouseCursor_TextInput);
    }
    const std::string_view text = buffer.text();
    const float caret_x = run_width(font, text.substr(0, buffer.cursor()));
    const float shift = std::max(0.0F, caret_x - size.x + px(4));
    const auto under_mouse = [&] {
        return run_position(font, text, ImGui::GetIO().MousePos.x - at.x + shift);
    };
    if (ImGui::IsItemActivated()) {
        focused = true;
        state.composer_focused = false;
        state.caret_since = ImGui::GetTime();
        click_count(0) > 1 ? buffer.select_word(under_mouse())
                           : buffer.move_to(under_mouse(), ImGui::GetIO().KeyShift);
    } else if (ImGui::IsItemActive() && ImGui::IsMouseDragging(0, px(2))) {
        buffer.move_to(under_mouse(), true);
    }
    list->PushClipRect(at, {at.x + size.x, at.y + size.y}, true);
    if (focused && buffer.selection_begin() < buffer.selection_end()) {
        const float x0 = run_width(font, text.substr(0, buffer.selection_begin()));
        const float x1 = run_width(font, text.substr(0, buffer.selection_end()));
        list->AddRectFilled({at.x + x0 - shift, at.y + px(3)},
                            {at.x + x1 - shift, at.y + size.y - px(3)}, colour::kSelection);
    }
    draw_text(list, font, {at.x - shift, centred(font, at.y, size.y)},
              text.empty() ? colour::kTextDim : colour::kText, text.empty() ? hint : text);
    if (focused) {
        const double quiet = ImGui::GetTime() - state.caret_since;
        state.wants_caret = quiet < kBlinkingSeconds;
        if (!state.wants_caret || std::fmod(quiet, 1.0) < 0.5) {
            const float x = at.x + caret_x - shift;
            list->AddRectFilled({x, at.y + px(5)},
                                {x + std::max(1.0F, px(1.5F)), at.y + size.y - px(5)},
                                colour::kAccentText);
        }
    }
    list->PopClipRect();
    return event;
}

bool text_area(AppState& state,
               const char* id,
               EditBuffer& buffer,
               bool& focused,
               float& scroll,
               ImVec2 at,
               ImVec2 size,
               std::string_view hint) {
    const auto px = [&](float units) { return std::round(units * state.fonts.scale); };
    ImFont* font = state.fonts.body;
    ImDrawList* list = ImGui::GetWindowDrawList();
    const ImVec2 high{at.x + size.x, at.y + size.y};
    const ImVec2 mouse = ImGui::GetIO().MousePos;
    const bool inside = mouse.x >= at.x && mouse.x < high.x && mouse.y >= at.y && mouse.y < high.y;
    if (focused && ImGui::IsMouseClicked(0) && !inside) {
        focused = false;
    }
    const uint64_t before = buffer.revision();
    const auto measure = [&](std::string_view text) { return text_width(font, text); };
    const float pad = px(10), row = px(22), width = size.x - 2 * pad - px(8);
    buffer.wrap(width, state.fonts.generation, measure);
    bool moved = false;
    if (focused) {
        state.composer_focused = false;
        const size_t cursor = buffer.cursor();
        const FieldEvent event = read_keys(state, buffer, true);
        focused = event != FieldEvent::escaped;
        moved = buffer.revision() != before || buffer.cursor() != cursor;
        if (moved) {
            state.caret_since = ImGui::GetTime();
        }
        buffer.wrap(width, state.fonts.generation, measure);
    }
    const auto& rows = buffer.rows();
    const float total = static_cast<float>(rows.size()) * row, room = size.y - 2 * px(8);
    ImGui::SetCursorScreenPos(at);
    ImGui::InvisibleButton(id, {std::max(1.0F, size.x), size.y});
    const auto under_mouse = [&] {
        const float y =
            std::clamp(mouse.y - at.y - px(8) + scroll, 0.0F, std::max(0.0F, total - 1));
        return buffer.position_at(static_cast<size_t>(y / row), mouse.x - at.x - pad);
    };
    if (ImGui::IsItemHovered()) {
        ImGui::SetMouseCursor(ImGuiMouseCursor_TextInput);
    }
    if (ImGui::IsItemActivated()) {
        focused = true;
        state.composer_focused = false;
        state.caret_since = ImGui::GetTime();
        click_count(0) > 1 ? buffer.select_word(under_mouse())
                           : buffer.move_to(under_mouse(), ImGui::GetIO().KeyShift);
    } else if (ImGui::IsItemActive() && ImGui::IsMouseDragging(0, px(2))) {
        buffer.move_to(under_mouse(), true);
        moved = true;
    }
    const float cursor_y = static_cast<float>(buffer.row_of(buffer.cursor())) * row;
    if (moved) {
        scroll = std::clamp(scroll, cursor_y + row - room, cursor_y);
    }
    scroll = std::clamp(scroll, 0.0F, std::max(0.0F, total - room));

    list->AddRectFilled(at, high, colour::kChip, px(6));
    list->AddRect(at, high, focused ? colour::kAccentLine : colour::kLine, px(6));
    list->PushClipRect({at.x + pad - 1, at.y + px(8)}, {high.x - pad, high.y - px(8)}, true);
    const float top = at.y + px(8) - scroll, left = at.x + pad;
    if (buffer.empty()) {
        draw_text(list, font, {left, centred(font, top, row)}, colour::kTextDim, hint);
    }
    const std::string_view text = buffer.text();
    for (size_t r = 0; r < rows.size(); r++) {
        const float y = top + static_cast<float>(r) * row;
        if (y + row < at.y || y > high.y) {
            continue;
        }
        const size_t begin = std::max(buffer.selection_begin(), rows[r].begin);
        const size_t end = std::min(buffer.selection_end(), rows[r].end);
        if (focused && begin < end) {
            list->AddRectFilled(
                {left + run_width(font, text.substr(rows[r].begin, begin - rows[r].begin)), y},
                {left + run_width(font, text.substr(rows[r].begin, end - rows[r].begin)), y + row},
                colour::kSelection);
        }
        draw_text(list, font, {left, centred(font, y, row)}, colour::kText,
                  text.substr(rows[r].begin, rows[r].end - rows[r].begin));
    }
    if (focused) {
        const double quiet = ImGui::GetTime() - state.caret_since;
        state.wants_caret = quiet < kBlinkingSeconds;
        if (!state.wants_caret || std::fmod(quiet, 1.0) < 0.5) {
            const float x = left + buffer.x_of(buffer.cursor()), y = top + cursor_y;
            list->AddRectFilled({x, y + px(2)}, {x + std::max(1.0F, px(1.5F)), y + row - px(2)},
                                colour::kAccentText);
        }
    }
    list->PopClipRect();
    return buffer.revision() != before;
}

namespace {

// One line has the keyboard at most; what it holds goes to its owner's string as it changes.
struct ActiveLine {
    ImGuiID id = 0;
    int frame = 0;  // drawn last
    EditBuffer buffer;
} active_line;

}  // namespace

bool input_line_active() {
    const int age = ImGui::GetFrameCount() - active_line.frame;  // negative: of another context
    return active_line.id != 0 && (age == 0 || age == 1);
}

bool input_line_active(const char* id) {
    return active_line.id == ImGui::GetID(id) && input_line_active();
}

void leave_input_line() {
    active_line.id = 0;
}

bool input_line(AppState& state,
                const char* id,
                std::string& text,
                float width,
                std::string_view hint,
                bool take_focus) {
    const auto px = [&](float units) { return std::round(units * state.fonts.scale); };
    const ImGuiID own = ImGui::GetID(id);
    const ImVec2 at = ImGui::GetCursorScreenPos();
    const float height = px(30);
    bool focused = active_line.id == own && input_line_active();
    if (take_focus && !focused) {
        focused = true;
        active_line.buffer.set(text);
        active_line.buffer.select_all();
        state.caret_since = ImGui::GetTime();
    }
    ImDrawList* list = ImGui::GetWindowDrawList();
    list->AddRectFilled(at, {at.x + width, at.y + height}, colour::kChip, px(6));
    list->AddRect(at, {at.x + width, at.y + height}, focused ? colour::kAccentLine : colour::kLine,
                  px(6));
    EditBuffer shown;
    const bool was_focused = focused;
    if (!focused || active_line.buffer.text() != text) {
        shown.set(text);
        if (focused) {
            active_line.buffer.set(text);
        }
    }
    EditBuffer& buffer = focused ? active_line.buffer : shown;
    const FieldEvent event = text_field(state, id, buffer, focused, {at.x + px(9), at.y},
                                        {width - px(18), height}, hint);
    if (focused && !was_focused) {
        active_line.buffer = shown;
    }
    if (focused) {
        active_line.id = own;
        active_line.frame = ImGui::GetFrameCount();
        text = active_line.buffer.text();
        const ImVec2 mouse = ImGui::GetIO().MousePos;
        const bool outside =
            mouse.x < at.x || mouse.x >= at.x + width || mouse.y < at.y || mouse.y >= at.y + height;
        if (event == FieldEvent::entered || event == FieldEvent::escaped ||
            (ImGui::IsMouseClicked(0) && outside)) {
            active_line.id = 0;
        }
    }
    ImGui::SetCursorScreenPos(at);
    ImGui::Dummy({width, height});
    return event == FieldEvent::entered;
}

}  // namespace app::window
