#include "app/window/text_field.h"

#include <algorithm>
#include <cmath>

#include "app/window/compat.h"
#include "app/window/text_run.h"
#include "app/window/typed_text.h"
#include "app/window/widgets.h"

namespace app::window {
namespace {

constexpr double kBlinkingSeconds = 10;
constexpr std::string_view kDot = "\u2022";

std::string repeated(std::string_view what, size_t times) {
    std::string all;
    all.reserve(what.size() * times);
    for (size_t i = 0; i < times; i++) {
        all += what;
    }
    return all;
}

FieldEvent read_keys(AppState& state, EditBuffer& buffer, bool lines, bool secret) {
    ImGuiIO& io = ImGui::GetIO();
    const bool ctrl = io.KeyCtrl && !io.KeyAlt, shift = io.KeyShift;
    const uint64_t before = buffer.revision();
    if (!ctrl && !io.KeySuper) {
        if (const std::string typed = take_typed(); !typed.empty()) {
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
    if (ctrl && !secret && !buffer.selected().empty() &&
        (key_pressed(ImGuiKey_C, false) || key_pressed(ImGuiKey_X, false))) {
        state.actions->copy(std::string(buffer.selected()));
        if (key_pressed(ImGuiKey_X, false)) {
            buffer.erase_back(false);
        }
    }
    if (ctrl && key_pressed(ImGuiKey_V)) {
        if (const char* text = ImGui::GetClipboardText()) {
            constexpr size_t kLongestPaste = 100'000;  // a field is no file
            std::string line(std::string_view(text).substr(0, kLongestPaste));
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

// The pointer over the item drawn last: a click takes the keyboard and places the cursor, drawing
// on selects. True when the cursor moved.
template <typename UnderMouse>
bool take_pointer(AppState& state, EditBuffer& buffer, bool& focused, UnderMouse under_mouse) {
    if (ImGui::IsItemHovered()) {
        ImGui::SetMouseCursor(ImGuiMouseCursor_TextInput);
    }
    if (ImGui::IsItemActivated()) {
        focused = true;
        state.composer_focused = false;
        state.caret_since = ImGui::GetTime();
        click_count(0) > 1 ? buffer.select_word(under_mouse())
                           : buffer.move_to(under_mouse(), ImGui::GetIO().KeyShift);
        return true;
    }
    if (ImGui::IsItemActive() && ImGui::IsMouseDragging(0, std::round(2 * state.fonts.scale))) {
        buffer.move_to(under_mouse(), true);
        return true;
    }
    return false;
}

// Blinks until it has rested for a while.
void draw_caret(AppState& state, ImVec2 at, float height) {
    const double quiet = ImGui::GetTime() - state.caret_since;
    state.wants_caret = quiet < kBlinkingSeconds;
    if (!state.wants_caret || std::fmod(quiet, 1.0) < 0.5) {
        const float width = std::max(1.0F, std::round(1.5F * state.fonts.scale));
        ImGui::GetWindowDrawList()->AddRectFilled(at, {at.x + width, at.y + height},
                                                  colour::kAccentText);
    }
}

}  // namespace

FieldEvent text_field(AppState& state,
                      const char* id,
                      EditBuffer& buffer,
                      bool& focused,
                      ImVec2 at,
                      ImVec2 size,
                      std::string_view hint,
                      bool secret) {
    const auto px = [&](float units) { return std::round(units * state.fonts.scale); };
    ImFont* font = state.fonts.body;
    ImDrawList* list = ImGui::GetWindowDrawList();
    FieldEvent event = FieldEvent::none;
    if (focused) {
        state.composer_focused = false;
        const size_t cursor = buffer.cursor();
        event = read_keys(state, buffer, false, secret);
        if (event != FieldEvent::none || buffer.cursor() != cursor) {
            state.caret_since = ImGui::GetTime();
        }
    }
    ImGui::SetCursorScreenPos(at);
    ImGui::InvisibleButton(id, {std::max(1.0F, size.x), size.y});
    // A dot for every byte: secrets are ASCII, and of others it is seen that they are long.
    const std::string dots = secret ? repeated(kDot, buffer.text().size()) : std::string();
    const size_t step = secret ? kDot.size() : 1;
    const std::string_view text = secret ? std::string_view(dots) : buffer.text();
    const auto width_to = [&](size_t place) {
        return run_width(font, text.substr(0, place * step));
    };
    const float caret_x = width_to(buffer.cursor());
    const float shift = std::max(0.0F, caret_x - size.x + px(4));
    take_pointer(state, buffer, focused, [&] {
        return run_position(font, text, ImGui::GetIO().MousePos.x - at.x + shift) / step;
    });
    list->PushClipRect(at, {at.x + size.x, at.y + size.y}, true);
    if (focused && buffer.selection_begin() < buffer.selection_end()) {
        list->AddRectFilled(
            {at.x + width_to(buffer.selection_begin()) - shift, at.y + px(3)},
            {at.x + width_to(buffer.selection_end()) - shift, at.y + size.y - px(3)},
            colour::kSelection);
    }
    draw_text(list, font, {at.x - shift, centred(font, at.y, size.y)},
              text.empty() ? colour::kTextDim : colour::kText, text.empty() ? hint : text);
    if (focused) {
        draw_caret(state, {at.x + caret_x - shift, at.y + px(5)}, size.y - px(10));
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
        const FieldEvent event = read_keys(state, buffer, true, false);
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
    moved = take_pointer(state, buffer, focused, under_mouse) || moved;
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
        draw_caret(state, {left + buffer.x_of(buffer.cursor()), top + cursor_y + px(2)},
                   row - px(4));
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
                bool take_focus,
                bool secret) {
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
                                        {width - px(18), height}, hint, secret);
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
