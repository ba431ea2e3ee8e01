// Where a person writes: the draft with soft line breaks, what is attached, what it costs, send and
// stop.
#include <algorithm>
#include <cmath>

#include <imgui.h>

#include "app/window/app_state.h"
#include "app/window/attachment_words.h"
#include "app/window/compat.h"
#include "app/window/format.h"
#include "app/window/overflow_card.h"
#include "app/window/text_field.h"
#include "app/window/typed_text.h"
#include "app/window/widgets.h"

namespace app::window {
namespace {

constexpr float kColumn = 760, kMargin = 24;
constexpr float kRow = 22;
constexpr double kBlinkingSeconds = 10;
constexpr size_t kLongPaste = 2000;     // bytes; from here on it can become an attachment
constexpr size_t kFilePaste = 100'000;  // and here it does: nobody edits that in a box

bool can_send(const AppState& state) {
    const bool words = state.draft.text().find_first_not_of(" \n\t") != std::string::npos;
    return state.model.state == ModelView::State::ready && !state.generation.busy() &&
           !state.packing.active && (words || !state.staged.empty());
}

// Everything typed since the last frame. Returns whether Enter asked to send.
bool read_keyboard(AppState& state) {
    ImGuiIO& io = ImGui::GetIO();
    EditBuffer& draft = state.draft;
    const uint64_t before = draft.revision();
    const size_t cursor_before = draft.cursor();
    const bool ctrl = io.KeyCtrl && !io.KeyAlt, shift = io.KeyShift;
    bool send = false;
    // AltGr arrives as Ctrl+Alt on some systems: characters count unless it is a plain Ctrl.
    if (!ctrl && !io.KeySuper) {
        if (const std::string typed = take_typed(); !typed.empty()) {
            draft.insert(typed);
        }
    }
    io.InputQueueCharacters.resize(0);
    if (key_pressed(ImGuiKey_LeftArrow))
        draft.move_left(ctrl, shift);
    if (key_pressed(ImGuiKey_RightArrow))
        draft.move_right(ctrl, shift);
    // From the edge of the text an arrow goes on into what was asked before.
    if (key_pressed(ImGuiKey_UpArrow)) {
        if (!shift && draft.row_of(draft.cursor()) == 0) {
            state.chat.actions->recall(-1);
        }
        draft.move_vertically(-1, shift);
    }
    if (key_pressed(ImGuiKey_DownArrow)) {
        if (!shift && draft.row_of(draft.cursor()) + 1 >= draft.rows().size()) {
            state.chat.actions->recall(1);
        }
        draft.move_vertically(1, shift);
    }
    if (key_pressed(ImGuiKey_PageUp))
        draft.move_vertically(-10, shift);
    if (key_pressed(ImGuiKey_PageDown))
        draft.move_vertically(10, shift);
    if (key_pressed(ImGuiKey_Home))
        ctrl ? draft.move_to(0, shift) : draft.move_to_row_begin(shift);
    if (key_pressed(ImGuiKey_End))
        ctrl ? draft.move_to(draft.text().size(), shift) : draft.move_to_row_end(shift);
    if (key_pressed(ImGuiKey_Backspace))
        draft.erase_back(ctrl);
    if (key_pressed(ImGuiKey_Delete))
        draft.erase_forward(ctrl);
    if (ctrl) {
        if (key_pressed(ImGuiKey_A, false))
            draft.select_all();
        if (key_pressed(ImGuiKey_Z))
            shift ? draft.redo() : draft.undo();
        if (key_pressed(ImGuiKey_Y))
            draft.redo();
        if ((key_pressed(ImGuiKey_C, false) || key_pressed(ImGuiKey_X, false)) &&
            !draft.selected().empty()) {
            state.actions->copy(std::string(draft.selected()));
            if (key_pressed(ImGuiKey_X, false))
                draft.erase_back(false);
        }
        if (key_pressed(ImGuiKey_V)) {
            if (const char* text = ImGui::GetClipboardText()) {
                const std::string_view pasted = text;
                if (pasted.size() >= kFilePaste) {
                    state.chat.actions->attach_text(std::string(pasted));
                    state.actions->draft_changed();
                } else {
                    draft.insert(pasted);
                }
                const bool offered = pasted.size() >= kLongPaste && pasted.size() < kFilePaste;
                state.chat.offered_paste = offered ? pasted : "";
                state.chat.offered_revision = draft.revision();
            }
        }
    }
    if (key_pressed(ImGuiKey_Enter, false) || key_pressed(kKeypadEnter, false)) {
        const Settings* settings = state.settings_page.settings;
        if (shift != (settings && !settings->enter_sends)) {
            draft.insert("\n");
        } else {
            send = true;
        }
    }
    if (draft.revision() != before) {
        state.actions->draft_changed();
    }
    if (draft.revision() != before || draft.cursor() != cursor_before) {
        state.caret_since = ImGui::GetTime();
    }
    return send;
}

// The text itself. Rows have been wrapped already.
void draw_draft(AppState& state, ImVec2 at, ImVec2 size) {
    const float scale = state.fonts.scale;
    const float row_height = std::round(kRow * scale);
    EditBuffer& draft = state.draft;
    ImFont* font = state.fonts.body;
    ImDrawList* list = ImGui::GetWindowDrawList();
    const auto& rows = draft.rows();
    const float total = static_cast<float>(rows.size()) * row_height;

    ImGui::SetCursorScreenPos(at);
    ImGui::InvisibleButton("draft", size);
    const bool hovered = ImGui::IsItemHovered();
    const ImVec2 mouse = ImGui::GetIO().MousePos;
    const auto position_under_mouse = [&] {
        const float y =
            std::clamp(mouse.y - at.y + state.draft_scroll, 0.0F, std::max(0.0F, total - 1));
        return draft.position_at(static_cast<size_t>(y / row_height), mouse.x - at.x);
    };
    if (hovered) {
        ImGui::SetMouseCursor(ImGuiMouseCursor_TextInput);
        state.draft_scroll -= ImGui::GetIO().MouseWheel * row_height * 2;
    }
    if (hovered && ImGui::IsMouseClicked(0)) {
        state.composer_focused = true;
        state.caret_since = ImGui::GetTime();
        if (ImGui::IsMouseDoubleClicked(0)) {
            draft.select_word(position_under_mouse());
        } else {
            draft.move_to(position_under_mouse(), ImGui::GetIO().KeyShift);
        }
    } else if (ImGui::IsItemActive() && ImGui::IsMouseDragging(0, 2 * scale)) {
        draft.move_to(position_under_mouse(), true);
    }

    // The cursor stays in sight when it moved; the wheel may look elsewhere.
    const float cursor_y = static_cast<float>(draft.row_of(draft.cursor())) * row_height;
    if (state.caret_since == ImGui::GetTime()) {
        state.draft_scroll =
            std::clamp(state.draft_scroll, cursor_y + row_height - size.y, cursor_y);
    }
    state.draft_scroll = std::clamp(state.draft_scroll, 0.0F, std::max(0.0F, total - size.y));

    list->PushClipRect({at.x - 2 * scale, at.y}, {at.x + size.x + 4 * scale, at.y + size.y}, true);
    if (draft.empty()) {
        draw_text(list, font, {at.x + std::round(4 * scale), centred(font, at.y, row_height)},
                  colour::kTextDim, "Ask, or drop files and folders here");
    }
    const std::string_view text = draft.text();
    for (size_t r = 0; r < rows.size(); r++) {
        const float y = at.y + static_cast<float>(r) * row_height - state.draft_scroll;
        if (y + row_height < at.y || y > at.y + size.y) {
            continue;
        }
        const size_t begin = std::max(draft.selection_begin(), rows[r].begin);
        const size_t end = std::min(draft.selection_end(), rows[r].end);
        if (begin < end) {
            const float x0 = text_width(font, text.substr(rows[r].begin, begin - rows[r].begin));
            const float x1 = text_width(font, text.substr(rows[r].begin, end - rows[r].begin));
            list->AddRectFilled({at.x + x0, y}, {at.x + x1, y + row_height}, colour::kSelection);
        }
        draw_text(list, font, {at.x, centred(font, y, row_height)}, colour::kText,
                  text.substr(rows[r].begin, rows[r].end - rows[r].begin));
    }
    if (state.composer_focused) {
        // Nobody looks at a caret for long: after ten quiet seconds it stays lit, and nothing is
        // drawn any more.
        const double quiet = ImGui::GetTime() - state.caret_since;
        state.wants_caret = quiet < kBlinkingSeconds;
        const double phase = state.wants_caret ? std::fmod(quiet, 1.0) : 0;
        if (phase < 0.5) {
            const float x = at.x + draft.x_of(draft.cursor());
            const float y = at.y + cursor_y - state.draft_scroll;
            const float inset = std::round(2 * scale);
            list->AddRectFilled(
                {x, y + inset},
                {x + std::max(1.0F, std::round(1.5F * scale)), y + row_height - inset},
                colour::kAccentText);
        }
    }
    list->PopClipRect();
    if (total > size.y) {
        const float bar = size.y * size.y / total, track = size.y - bar;
        const float y = at.y + track * state.draft_scroll / (total - size.y);
        list->AddRectFilled({at.x + size.x + 2 * scale, y}, {at.x + size.x + 5 * scale, y + bar},
                            colour::kOutlineStrong, 2 * scale);
    }
}

// The attached things above the draft; returns the height it took.
float draw_staged(AppState& state, float x, float y, float width) {
    const float scale = state.fonts.scale;
    const auto px = [scale](float units) { return std::round(units * scale); };
    ImDrawList* list = ImGui::GetWindowDrawList();
    float at_x = x;
    const float begin = y, height = px(27);
    const auto chip = [&](const char* id, const std::string& name, const std::string& detail) {
        const std::string shown = ellipsize(state.fonts.body, name, width * 0.4F);
        const float name_width = text_width(state.fonts.body, shown);
        const float chip_width =
            px(12) + name_width + px(8) + text_width(state.fonts.small, detail) + px(32);
        if (at_x > x && at_x + chip_width > x + width) {
            at_x = x;
            y += height + px(6);
        }
        list->AddRectFilled({at_x, y}, {at_x + chip_width, y + height}, colour::kAccentCard, px(5));
        list->AddRect({at_x, y}, {at_x + chip_width, y + height}, colour::kAccentLine, px(5));
        draw_text(list, state.fonts.body, {at_x + px(12), centred(state.fonts.body, y, height)},
                  colour::kText, shown);
        draw_text(list, state.fonts.small,
                  {at_x + px(20) + name_width, centred(state.fonts.small, y, height)},
                  colour::kTextDim, detail);
        const ImVec2 close{at_x + chip_width - px(26), y + px(2)};
        const Click click = click_area(id, close, {px(23), px(23)});
        draw_cross(list, {close.x + px(11.5F), close.y + px(11.5F)}, px(8),
                   click.hovered ? colour::kText : colour::kTextDim, std::max(1.0F, 1.3F * scale));
        at_x += chip_width + px(8);
        return click.clicked;
    };
    size_t removed = state.staged.size();
    for (size_t i = 0; i < state.staged.size(); i++) {
        ImGui::PushID(static_cast<int>(i));
        if (chip("remove", state.staged[i].name, attachment_words(state.staged[i]))) {
            removed = i;
        }
        ImGui::PopID();
    }
    if (state.packing.active &&
        chip("cancel", state.packing.name,
             reading_words(state.packing) +
                 (state.packing.tokens > 0
                      ? " \u00B7 " + with_commas(state.packing.tokens) + " tokens"
                      : ""))) {
        state.actions->cancel_attach();
    }
    if (removed < state.staged.size()) {
        state.actions->remove_attachment(removed);
    }
    return state.staged.empty() && !state.packing.active && y == begin ? 0
                                                                       : y + height - begin + px(9);
}

// A line above the draft: what it says, and one or two words that act. Returns which was clicked.
int draw_strip(AppState& state,
               const char* id,
               ImVec2 at,
               float width,
               const std::string& text,
               const char* first,
               const char* second) {
    const float scale = state.fonts.scale;
    const auto px = [scale](float units) { return std::round(units * scale); };
    ImDrawList* list = ImGui::GetWindowDrawList();
    const float height = px(28);
    ButtonLook look;
    look.font = state.fonts.small;
    look.height = 24;
    look.pad_x = 8;
    look.text = colour::kAccentText;
    float right = at.x + width;
    int clicked = 0;
    ImGui::PushID(id);
    for (int i = 2; i >= 1; i--) {
        const char* word = i == 1 ? first : second;
        if (word != nullptr) {
            right -= button_size(state, word, look).x;
            if (button(state, word, {right, at.y + px(2)}, word, look).clicked) {
                clicked = i;
            }
        }
    }
    ImGui::PopID();
    list->AddRectFilled({at.x, at.y + px(4)}, {at.x + px(2), at.y + height - px(4)},
                        colour::kAccentText);
    draw_text(list, state.fonts.small, {at.x + px(10), centred(state.fonts.small, at.y, height)},
              colour::kTextSoft, ellipsize(state.fonts.small, text, right - at.x - px(16)));
    return clicked;
}

// What the draft is, where it is not simply the next question. Returns the height it took.
float draw_strips(AppState& state, float x, float y, float width) {
    const float begin = y, step = std::round(34 * state.fonts.scale);
    if (state.chat.edit.message != 0) {
        if (draw_strip(state, "editing", {x, y}, width,
                       "Editing a question: its answer begins a branch of its own", "Cancel",
                       nullptr) == 1) {
            state.chat.actions->cancel_edit();
        }
        y += step;
    }
    if (!state.chat.offered_paste.empty() &&
        state.chat.offered_revision == state.draft.revision()) {
        const std::string size = with_commas(static_cast<int64_t>(state.chat.offered_paste.size()));
        const int clicked =
            draw_strip(state, "pasted", {x, y}, width, "Pasted " + size + " characters",
                       "Attach them instead", "Keep as text");
        if (clicked == 1) {
            state.draft.undo();
            state.chat.actions->attach_text(state.chat.offered_paste);
            state.actions->draft_changed();
        }
        if (clicked != 0) {
            state.chat.offered_paste.clear();
        }
        y += step;
    } else {
        state.chat.offered_paste.clear();
    }
    return y - begin;
}

// A path can be typed where nothing can be dragged.
float draw_attach_path(AppState& state, float x, float y, float width) {
    const float scale = state.fonts.scale;
    const auto px = [scale](float units) { return std::round(units * scale); };
    ImGui::SetCursorScreenPos({x, y});
    const bool take = state.attach_path.empty() && state.composer_focused;
    const bool was_active = input_line_active();
    const bool entered = input_line(state, "path", state.attach_path, width - px(84),
                                    "Path of a file or folder", take);
    ButtonLook look;
    look.fill = colour::kChip;
    look.text = colour::kText;
    look.height = 30;
    const bool pressed =
        button(state, "attach_go", {x + width - px(76), y}, "Attach", look).clicked;
    if ((entered || pressed) && !state.attach_path.empty()) {
        state.actions->attach({state.attach_path});
        state.attach_path.clear();
        state.attach_open = false;
        state.composer_focused = true;
    } else if (was_active && key_pressed(ImGuiKey_Escape, false)) {
        state.attach_open = false;
        state.composer_focused = true;
    }
    return px(40);
}

std::string room_text(const AppState& state, ImU32& ink) {
    ink = colour::kTextDim;
    if (state.chat.overflow) {
        return "";  // the card above says it, to the token
    }
    if (!state.context.known || state.context.limit == 0) {
        return "";
    }
    const std::string draft =
        state.context.draft > 0 ? with_commas(state.context.draft) + " tokens \u00B7 " : "";
    if (state.context.used() > state.context.limit) {
        ink = colour::kError;
        return draft + "does not fit: " + with_commas(state.context.used() - state.context.limit) +
               " too many";
    }
    if (state.context.free() < 0) {
        ink = colour::kWarning;
        return draft + "fits, with " + with_commas(state.context.limit - state.context.used()) +
               " left for the answer";
    }
    return draft + "fits: " + with_commas(state.context.free()) + " tokens free";
}

}  // namespace

void draw_composer(AppState& state, ImVec2 at, ImVec2 size) {
    const float scale = state.fonts.scale;
    const auto px = [scale](float units) { return std::round(units * scale); };
    begin_region("composer", at, size);
    ImDrawList* list = ImGui::GetWindowDrawList();
    const float width = std::min(px(kColumn), size.x - px(2 * kMargin) - px(4));
    const float x = std::round(at.x + (size.x - width) / 2);
    float y = at.y + px(6);
    if (state.chat.overflow) {
        y += draw_overflow_card(state, x, y, width);
    }

    // Other inputs (renaming, a path) take the keyboard while they are active.
    const ImGuiIO& io = ImGui::GetIO();
    const bool free_keyboard =
        !ImGui::IsPopupOpen("", ImGuiPopupFlags_AnyPopupId | ImGuiPopupFlags_AnyPopupLevel) &&
        !input_line_active();
    if (!free_keyboard) {
        state.composer_focused = false;
    } else if (!state.composer_focused && !io.InputQueueCharacters.empty() && !state.attach_open &&
               state.renaming == 0) {
        state.composer_focused = true;  // typing anywhere means writing
    }
    const float pad = px(15);
    const float inner = width - 2 * pad;
    const auto measure = [&](std::string_view text) { return text_width(state.fonts.body, text); };
    state.draft.wrap(inner, state.fonts.generation, measure);
    bool send = false;
    if (state.composer_focused && free_keyboard) {
        send = read_keyboard(state);
        state.draft.wrap(inner, state.fonts.generation, measure);
    }

    const float row_height = px(kRow);
    const float max_rows = std::max(3.0F, std::floor(io.DisplaySize.y * 0.4F / row_height));
    const float rows = std::clamp(static_cast<float>(state.draft.rows().size()), 1.0F, max_rows);
    const float card_top = y;
    // The card's height follows from what is in it; it is drawn first, with last frame's height.
    const float card_bottom = at.y + size.y - px(14);
    list->AddRectFilled({x, card_top}, {x + width, card_bottom}, colour::kCard, px(12));
    list->AddRect({x, card_top}, {x + width, card_bottom},
                  state.drop_hint ? colour::kAccentText : colour::kOutline, px(12));
    y += px(12);
    y += draw_strips(state, x + pad, y, inner);
    y += draw_staged(state, x + pad, y, inner);
    if (state.attach_open) {
        y += draw_attach_path(state, x + pad, y, inner);
    }
    draw_draft(state, {x + pad, y}, {inner, rows * row_height});
    y += rows * row_height + px(8);

    // The row of small words.
    const float row = px(28);
    ButtonLook word;
    word.pad_x = 6;
    word.text = colour::kTextSoft;
    float left = x + pad - px(6);
    ImVec2 box;
    const float plus_room = px(14);
    draw_plus(list, {left + px(11), y + row / 2}, px(9), colour::kTextSoft,
              std::max(1.0F, 1.3F * scale));
    if (button(state, "attach", {left + plus_room, y}, "Attach", word, &box).clicked) {
        state.attach_open = !state.attach_open;
        state.composer_focused = true;
    }
    left += box.x + plus_room + px(6);
    ButtonLook thinking = word;
    thinking.text = state.thinking ? colour::kAccentText : colour::kTextDim;
    const Click toggle = button(state, "thinking", {left, y},
                                state.thinking ? "Thinking on" : "Thinking off", thinking, &box);
    if (toggle.clicked) {
        state.actions->toggle_thinking();
    }
    if (toggle.hovered) {
        tooltip(state, state.thinking ? "The model thinks before it answers"
                                      : "The model answers at once");
    }
    left += box.x;

    ButtonLook act;
    act.fill = colour::kAccent;
    act.hover = colour::kAccentHover;
    act.text = colour::kOnAccent;
    act.pad_x = 14;
    float right = x + width - px(12);
    if (state.generation.busy()) {
        const ImVec2 stop = button_size(state, "Stop    ", act);
        right -= stop.x;
        if (button(state, "stop", {right, y}, "Stop    ", act).clicked) {
            state.actions->stop();
        }
        const float mark = px(10);
        const float mark_x = right + stop.x - px(14) - mark;
        list->AddRectFilled({mark_x, y + (row - mark) / 2}, {mark_x + mark, y + (row + mark) / 2},
                            colour::kOnAccent, px(2));
    } else {
        act.enabled = can_send(state);
        act.fill = act.enabled ? colour::kAccent : colour::kChip;
        right -= button_size(state, "Send", act).x;
        if (button(state, "send", {right, y}, "Send", act).clicked) {
            send = true;
        }
    }
    ImU32 ink = 0;
    const std::string room =
        ellipsize(state.fonts.small, room_text(state, ink), std::max(0.0F, right - left - px(24)));
    draw_text_right(list, state.fonts.small, right - px(12), centred(state.fonts.small, y, row),
                    ink, room);
    y += row + px(11);
    state.composer_height = y - at.y + px(14);
    if (send && can_send(state)) {
        state.actions->send();
    }
    ImGui::EndChild();
}

}  // namespace app::window
