// The list of conversations by day.
#include <cmath>
#include <ctime>

#include <imgui.h>
#include <imgui_stdlib.h>

#include "app/window/app_state.h"
#include "app/window/compat.h"
#include "app/window/format.h"
#include "app/window/widgets.h"

namespace app::window {
namespace {

// Whole days since 1970 in local time.
int64_t day_of(const AppState& state, int64_t seconds) {
    return (seconds + state.utc_offset) / 86400;
}

std::string group_of(const AppState& state, int64_t updated_at) {
    const int64_t age = day_of(state, state.now) - day_of(state, updated_at);
    if (age <= 0) {
        return "TODAY";
    }
    if (age == 1) {
        return "YESTERDAY";
    }
    if (age <= 7) {
        return "LAST 7 DAYS";
    }
    const auto local = static_cast<std::time_t>(updated_at + state.utc_offset);
    std::tm parts{};
    gmtime_r(&local, &parts);
    char name[32];
    std::strftime(name, sizeof name, "%B %Y", &parts);
    std::string upper = name;
    for (char& c : upper) {
        c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    }
    return upper;
}

void draw_row(
    AppState& state, const ConversationSummary& item, ImVec2 at, float width, float height) {
    const float scale = state.fonts.scale;
    const auto px = [scale](float units) { return std::round(units * scale); };
    ImDrawList* list = ImGui::GetWindowDrawList();
    const bool selected = item.id == state.conversation.id;
    if (state.renaming == item.id) {
        ImGui::SetCursorScreenPos({at.x + px(2), at.y + px(7)});
        ImGui::SetNextItemWidth(width - px(4));
        if (state.rename_starts) {
            ImGui::SetKeyboardFocusHere();
            state.rename_starts = false;
        }
        const bool entered = ImGui::InputText(
            "##rename", &state.rename_text,
            ImGuiInputTextFlags_EnterReturnsTrue | ImGuiInputTextFlags_AutoSelectAll);
        if (!ImGui::IsItemActive() &&
            !ImGui::IsMouseHoveringRect(at, {at.x + width, at.y + height}) &&
            ImGui::IsMouseClicked(0)) {
            state.renaming = 0;
        }
        if (entered) {
            if (!state.rename_text.empty()) {
                state.actions->rename_conversation(item.id, state.rename_text);
            }
            state.renaming = 0;
        } else if (key_pressed(ImGuiKey_Escape, false)) {
            state.renaming = 0;
        }
        return;
    }
    // The small button lies on the row: it is submitted first and therefore wins.
    const ImVec2 more_at{at.x + width - px(30), at.y + px(9)};
    const bool over_row = ImGui::IsWindowHovered(ImGuiHoveredFlags_AllowWhenBlockedByActiveItem) &&
                          ImGui::IsMouseHoveringRect(at, {at.x + width, at.y + height});
    Click more;
    if (over_row) {
        more = click_area("more", more_at, {px(24), px(24)});
    }
    const Click row = click_area("row", at, {width - (over_row ? px(32) : 0), height});
    if (selected || over_row) {
        list->AddRectFilled(at, {at.x + width, at.y + height},
                            selected ? colour::kActive : colour::kHover, px(6));
    }
    const float text_room = width - px(20) - (over_row ? px(24) : 0);
    draw_text(list, state.fonts.body, {at.x + px(10), at.y + px(7)}, colour::kText,
              ellipsize(state.fonts.body, item.title, text_room));
    const bool writing = state.generation.busy() && state.generation.conversation_id == item.id;
    const std::string detail = writing           ? "answering\u2026"
                               : item.tokens > 0 ? short_count(item.tokens) + " tokens"
                                                 : "no answer yet";
    draw_text(list, state.fonts.small, {at.x + px(10), at.y + px(27)},
              writing ? colour::kAccentText : colour::kTextDim, detail);
    if (over_row) {
        for (int i = -1; i <= 1; i++) {
            list->AddCircleFilled(
                {more_at.x + px(12) + static_cast<float>(i) * px(5), more_at.y + px(12)},
                1.7F * scale, more.hovered ? colour::kText : colour::kTextSoft);
        }
    }
    if (more.clicked) {
        ImGui::OpenPopup("conversation_menu");
    }
    if (row.clicked) {
        state.actions->select_conversation(item.id);
        state.sidebar_overlay = false;
    }
    if (row.hovered && ImGui::IsMouseClicked(1)) {
        ImGui::OpenPopup("conversation_menu");
    }
    ImGui::PushStyleVar(ImGuiStyleVar_WindowPadding, {px(6), px(6)});
    if (ImGui::BeginPopup("conversation_menu")) {
        if (ImGui::MenuItem("Rename")) {
            state.renaming = item.id;
            state.rename_text = item.title;
            state.rename_starts = true;
        }
        if (ImGui::MenuItem("Delete")) {
            state.actions->remove_conversation(item.id);
        }
        ImGui::EndPopup();
    }
    ImGui::PopStyleVar();
}

}  // namespace

void draw_sidebar(AppState& state, ImVec2 at, ImVec2 size) {
    const float scale = state.fonts.scale;
    const auto px = [scale](float units) { return std::round(units * scale); };
    begin_region("sidebar", at, size);
    ImDrawList* list = ImGui::GetWindowDrawList();
    list->AddRectFilled(at, {at.x + size.x, at.y + size.y}, colour::kPanel);
    list->AddLine({at.x + size.x - 1, at.y}, {at.x + size.x - 1, at.y + size.y}, colour::kLine);

    const ImVec2 fresh_at{at.x + px(8), at.y + px(12)};
    const ImVec2 fresh_size{size.x - px(17), px(32)};
    const Click fresh = click_area("new", fresh_at, fresh_size);
    list->AddRectFilled(fresh_at, {fresh_at.x + fresh_size.x, fresh_at.y + fresh_size.y},
                        fresh.hovered ? colour::kHover : colour::kPanel, px(6));
    list->AddRect(fresh_at, {fresh_at.x + fresh_size.x, fresh_at.y + fresh_size.y}, rgb(0x363A43),
                  px(6));
    draw_plus(list, {fresh_at.x + px(18), fresh_at.y + fresh_size.y / 2}, px(11), colour::kText,
              std::max(1.0F, 1.4F * scale));
    draw_text(list, state.fonts.body,
              {fresh_at.x + px(32), centred(state.fonts.body, fresh_at.y, fresh_size.y)},
              colour::kText, "New conversation");
    if (fresh.clicked) {
        state.actions->new_conversation();
        state.sidebar_overlay = false;
    }

    const ImVec2 list_at{at.x, at.y + px(52)};
    begin_region("conversations", list_at, {size.x - 1, size.y - px(52)}, true);
    ImDrawList* rows = ImGui::GetWindowDrawList();
    const float row_height = px(48);
    float y = ImGui::GetCursorScreenPos().y;
    const float begin_y = y;
    const float clip_top = list_at.y - row_height, clip_bottom = at.y + size.y;
    std::string group;
    for (const ConversationSummary& item : state.conversations) {
        const std::string mine = group_of(state, item.updated_at);
        if (mine != group) {
            group = mine;
            draw_text(rows, state.fonts.small, {at.x + px(18), y + px(12)}, colour::kTextDim,
                      group);
            y += px(36);
        }
        if (y > clip_top && y < clip_bottom) {  // rows outside are not submitted
            ImGui::PushID(static_cast<int>(item.id));
            draw_row(state, item, {at.x + px(8), y}, size.x - px(17), row_height - px(2));
            ImGui::PopID();
        }
        y += row_height;
    }
    if (state.conversations.empty()) {
        draw_wrapped(rows, state.fonts.small, {at.x + px(18), y + px(12)}, size.x - px(36),
                     colour::kTextDim, "Conversations are kept here, on this machine.");
        y += px(50);
    }
    ImGui::SetCursorScreenPos({at.x, begin_y});
    ImGui::Dummy({1, y - begin_y + px(8)});
    ImGui::EndChild();
    ImGui::EndChild();
}

}  // namespace app::window
