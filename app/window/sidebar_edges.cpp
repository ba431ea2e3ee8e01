// What stands above and below the list of conversations, and what it asks for in a small window of
// its own.
#include <algorithm>
#include <cmath>
#include <utility>

#include "app/window/compat.h"
#include "app/window/sidebar_parts.h"
#include "app/window/text_field.h"
#include "app/window/widgets.h"

namespace app::window {

void draw_sidebar_prompts(AppState& state) {
    SidebarView& view = state.chat.sidebar;
    const float scale = state.fonts.scale;
    const auto px = [scale](float units) { return std::round(units * scale); };
    if (view.naming_folder && !ImGui::IsPopupOpen("name_folder")) {
        ImGui::OpenPopup("name_folder");
    }
    if (view.importing && !ImGui::IsPopupOpen("import")) {
        ImGui::OpenPopup("import");
    }
    const auto field = [&](const char* popup, bool& open, const char* hint, std::string& text) {
        bool entered = false;
        ImGui::PushStyleVar(ImGuiStyleVar_WindowPadding, {px(10), px(10)});
        if (ImGui::BeginPopup(popup)) {
            entered = input_line(state, "text", text, px(300), hint, ImGui::IsWindowAppearing());
            if (!entered && key_pressed(ImGuiKey_Escape, false)) {
                ImGui::CloseCurrentPopup();
            }
            if (entered) {
                open = false;
                ImGui::CloseCurrentPopup();
            }
            ImGui::EndPopup();
        } else {
            open = false;
        }
        ImGui::PopStyleVar();
        return entered && text.find_first_not_of(' ') != std::string::npos;
    };
    if (view.naming_folder &&
        field("name_folder", view.naming_folder, "Name of the folder", view.folder_name)) {
        state.chat.actions->add_folder(view.folder_name, view.folder_for);
        view.folder_for.clear();
    }
    if (view.importing &&
        field("import", view.importing, "Path of a JSON file of conversations", view.import_path)) {
        state.chat.actions->import_file(view.import_path);
        view.import_path.clear();
    }
}

void draw_sidebar_head(AppState& state, ImVec2 at, float width) {
    SidebarView& view = state.chat.sidebar;
    const float scale = state.fonts.scale;
    const auto px = [scale](float units) { return std::round(units * scale); };
    ImDrawList* list = ImGui::GetWindowDrawList();
    const ImVec2 fresh_at{at.x + px(kSidebarEdge), at.y + px(12)};
    const ImVec2 fresh_size{width - px(2 * kSidebarEdge), px(32)};
    const Click fresh = click_area("new", fresh_at, fresh_size);
    list->AddRectFilled(fresh_at, {fresh_at.x + fresh_size.x, fresh_at.y + fresh_size.y},
                        fresh.hovered ? colour::kHover : colour::kPanel, px(6));
    list->AddRect(fresh_at, {fresh_at.x + fresh_size.x, fresh_at.y + fresh_size.y}, colour::kLine,
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

    ImGui::SetCursorScreenPos({at.x + px(kSidebarEdge), at.y + px(52)});
    const bool take = std::exchange(view.focus_search, false);
    const std::string before = view.query;
    const bool entered =
        input_line(state, "search", view.query,
                   width - px(2 * kSidebarEdge) - (view.query.empty() ? 0 : px(30)),
                   "Search all conversations", take);
    const bool active = input_line_active("search");
    const bool changed = view.query != before;
    if (changed) {
        view.cursor = 0;
        state.chat.actions->search_changed();
    }
    // Down into the hits, Enter to the first one.
    if (active && !view.hits.empty()) {
        if (key_pressed(ImGuiKey_DownArrow, false)) {
            leave_input_line();
            view.has_keyboard = true;
            view.cursor = 1;
        }
    }
    if (entered && !view.hits.empty()) {
        state.chat.actions->open_hit(0);
    }
    if (!view.query.empty()) {
        const ImVec2 clear{at.x + width - px(kSidebarEdge) - px(26), at.y + px(54)};
        const Click click = click_area("clear", clear, {px(26), px(26)});
        draw_cross(list, {clear.x + px(13), clear.y + px(13)}, px(9),
                   click.hovered ? colour::kText : colour::kTextDim, std::max(1.0F, 1.3F * scale));
        if (click.clicked) {
            view.query.clear();
            state.chat.actions->search_changed();
            state.composer_focused = true;
        }
    }
}

void draw_sidebar_foot(AppState& state, ImVec2 at, float width) {
    SidebarView& view = state.chat.sidebar;
    const float scale = state.fonts.scale;
    const auto px = [scale](float units) { return std::round(units * scale); };
    ImDrawList* list = ImGui::GetWindowDrawList();
    list->AddLine({at.x, at.y}, {at.x + width, at.y}, colour::kLine);
    ButtonLook look;
    look.font = state.fonts.small;
    look.height = 26;
    look.pad_x = 8;
    look.text = view.trash_open ? colour::kAccentText : colour::kTextDim;
    ImVec2 box, pen{at.x + px(kSidebarEdge), at.y + px(6)};
    if (button(state, "trash", pen, view.trash_open ? "Back to the list" : "Trash", look, &box)
            .clicked) {
        state.chat.actions->open_trash(!view.trash_open);
    }
    pen.x += box.x;
    look.text = colour::kTextDim;
    if (view.trash_open) {
        if (!view.trash.empty() && button(state, "empty", pen, "Empty it", look, &box).clicked) {
            std::vector<int64_t> all;
            for (const ConversationSummary& item : view.trash) {
                all.push_back(item.id);
            }
            state.chat.actions->erase(all);
        }
        return;
    }
    if (button(state, "folder", pen, "New folder", look, &box).clicked) {
        view.naming_folder = true;
        view.folder_for.assign(view.selected.begin(), view.selected.end());
        view.folder_name.clear();
    }
    pen.x += box.x;
    if (button(state, "import", pen, "Import", look, &box).clicked) {
        view.importing = true;
    }
}

}  // namespace app::window
