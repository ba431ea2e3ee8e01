// The palette: a field, and under it what matches, to be run with Enter or a click.
#include <algorithm>
#include <cmath>

#include "app/window/app_state.h"
#include "app/window/commands.h"
#include "app/window/compat.h"
#include "app/window/controls.h"
#include "app/window/text_field.h"
#include "app/window/text_run.h"

namespace app::window {
namespace {

void match(PaletteView& view) {
    view.matched = view.query.revision();
    view.shown.clear();
    for (size_t i = 0; i < view.items.size(); i++) {
        view.items[i].score = match_score(view.query.text(), view.items[i].title);
        if (view.items[i].score > 0) {
            view.shown.push_back(i);
        }
    }
    if (!view.query.empty()) {
        std::stable_sort(view.shown.begin(), view.shown.end(), [&](size_t a, size_t b) {
            return view.items[a].score > view.items[b].score;
        });
    }
    view.cursor = 0;
    view.scroll_to_cursor = true;
}

}  // namespace

void draw_command_palette(AppState& state) {
    PaletteView& view = state.command_palette;
    const float scale = state.fonts.scale;
    const auto px = [scale](float units) { return std::round(units * scale); };
    if (view.requested) {
        view.requested = false;
        view.open = true;
        ImGui::OpenPopup("commands");
    }
    if (!view.open) {
        return;
    }
    const ImVec2 screen = ImGui::GetIO().DisplaySize;
    const float width = std::min(px(560), screen.x - px(32));
    const float row = px(36), head = px(52);
    const size_t rows = std::clamp<size_t>(view.shown.size(), 1, 10);
    const float height =
        std::min(head + static_cast<float>(rows) * row + px(12), screen.y - px(96));
    ImGui::SetNextWindowPos({std::round((screen.x - width) / 2), px(64)});
    ImGui::SetNextWindowSize({width, height});
    ImGui::PushStyleVar(ImGuiStyleVar_WindowRounding, px(12));
    ImGui::PushStyleVar(ImGuiStyleVar_PopupRounding, px(12));
    ImGui::PushStyleColor(ImGuiCol_PopupBg, colour::kPanel);
    const bool open = ImGui::BeginPopupModal(
        "commands", nullptr,
        ImGuiWindowFlags_NoTitleBar | ImGuiWindowFlags_NoResize | ImGuiWindowFlags_NoMove |
            ImGuiWindowFlags_NoSavedSettings | ImGuiWindowFlags_NoNav |
            ImGuiWindowFlags_NoScrollbar | ImGuiWindowFlags_NoScrollWithMouse);
    std::function<void(AppState&)> chosen;
    bool close = !open;
    if (open) {
        const ImVec2 at = ImGui::GetWindowPos();
        ImDrawList* list = ImGui::GetWindowDrawList();
        list->AddRect(at, {at.x + width, at.y + height}, colour::kOutline, px(12));
        draw_icon(list, Icon::search, {at.x + px(24), at.y + head / 2}, px(14), colour::kTextDim);
        view.focused = true;
        const FieldEvent event =
            text_field(state, "query", view.query, view.focused, {at.x + px(44), at.y + px(11)},
                       {width - px(60), px(30)}, view.hint);
        if (view.matched != view.query.revision()) {
            match(view);
        }
        if (key_pressed(ImGuiKey_DownArrow) && view.cursor + 1 < view.shown.size()) {
            view.cursor++;
            view.scroll_to_cursor = true;
        }
        if (key_pressed(ImGuiKey_UpArrow) && view.cursor > 0) {
            view.cursor--;
            view.scroll_to_cursor = true;
        }
        list->AddLine({at.x, at.y + head - 1}, {at.x + width, at.y + head - 1}, colour::kLine);
        begin_region("items", {at.x + px(6), at.y + head + px(6)},
                     {width - px(8), height - head - px(12)}, true);
        list = ImGui::GetWindowDrawList();
        const ImVec2 origin = ImGui::GetCursorScreenPos();
        const float inner = width - px(20);
        const float room = height - head - px(12);
        if (view.scroll_to_cursor) {
            view.scroll_to_cursor = false;
            const float top = static_cast<float>(view.cursor) * row;
            ImGui::SetScrollY(std::clamp(ImGui::GetScrollY(), top + row - room, top));
        }
        const auto first = static_cast<size_t>(std::max(0.0F, ImGui::GetScrollY()) / row);
        const size_t last =
            std::min(view.shown.size(), first + static_cast<size_t>(room / row) + 2);
        for (size_t i = first; i < last; i++) {
            const PaletteItem& item = view.items[view.shown[i]];
            const ImVec2 low{at.x + px(8), origin.y + static_cast<float>(i) * row};
            ImGui::PushID(static_cast<int>(i));
            const Click click = click_area("item", low, {inner, row});
            ImGui::PopID();
            if (click.hovered &&
                (ImGui::GetIO().MouseDelta.x != 0 || ImGui::GetIO().MouseDelta.y != 0)) {
                view.cursor = i;
            }
            if (i == view.cursor) {
                list->AddRectFilled(low, {low.x + inner, low.y + row}, colour::kActive, px(6));
            }
            const float detail = text_width(state.fonts.small, item.detail);
            draw_text(list, state.fonts.body,
                      {low.x + px(12), centred(state.fonts.body, low.y, row)}, colour::kText,
                      ellipsize(state.fonts.body, item.title, inner - detail - px(40)));
            draw_text_right(list, state.fonts.small, low.x + inner - px(12),
                            centred(state.fonts.small, low.y, row), colour::kTextDim, item.detail);
            if (click.clicked) {
                chosen = item.run;
            }
        }
        if (view.shown.empty()) {
            draw_text(list, state.fonts.body,
                      {at.x + px(20), centred(state.fonts.body, origin.y, row)}, colour::kTextDim,
                      "Nothing of that name");
        }
        ImGui::SetCursorScreenPos(
            {at.x + px(8), origin.y + static_cast<float>(view.shown.size()) * row - 1});
        ImGui::Dummy({1, 1});
        ImGui::EndChild();
        if (event == FieldEvent::entered && view.cursor < view.shown.size()) {
            chosen = view.items[view.shown[view.cursor]].run;
        }
        const ImVec2 mouse = ImGui::GetIO().MousePos;
        const bool outside =
            mouse.x < at.x || mouse.x >= at.x + width || mouse.y < at.y || mouse.y >= at.y + height;
        close = event == FieldEvent::escaped || chosen || (ImGui::IsMouseClicked(0) && outside);
        if (close) {
            ImGui::CloseCurrentPopup();
        }
        ImGui::EndPopup();
    }
    ImGui::PopStyleColor();
    ImGui::PopStyleVar(2);
    if (close) {
        view.open = false;
        state.composer_focused = state.page == Page::chat;
    }
    if (chosen) {
        chosen(state);
    }
}

}  // namespace app::window
