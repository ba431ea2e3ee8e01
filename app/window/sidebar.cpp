// The list of conversations: a search over all of them, pinned ones, folders, the others by day,
// the trash. Rows outside the view are not drawn, so thousands cost no more than a screenful.
#include <algorithm>
#include <cmath>
#include <utility>

#include <imgui.h>

#include "app/window/app_state.h"
#include "app/window/compat.h"
#include "app/window/format.h"
#include "app/window/sidebar_parts.h"
#include "app/window/text_field.h"
#include "app/window/widgets.h"

namespace app::window {
namespace {

constexpr float kRow = 48, kHeader = 32;

using Row = SidebarRow;

class List {
public:
    List(AppState& state, ImVec2 at, float width)
        : state_(state), view_(state.chat.sidebar), at_(at), width_(width) {}

    void draw(ImVec2 size);

private:
    float px(float units) const { return std::round(units * state_.fonts.scale); }
    float height_of(const Row& row) const {
        return px(row.kind == Row::Kind::heading  ? kHeader
                  : row.kind == Row::Kind::folder ? 34
                  : row.kind == Row::Kind::note   ? 60
                                                  : kRow);
    }
    void draw_row(const Row& row, ImVec2 at, float height);
    void draw_conversation(const Row& row, ImVec2 at, float width, float height);
    void draw_hit(const SearchHit& hit, size_t index, ImVec2 at, float width, float height);
    void draw_folder(const Folder& folder, ImVec2 at, float width, float height);
    bool rename_field(ImVec2 at, float width, std::string& text);
    void choose(const ConversationSummary& item);
    void menu(const ConversationSummary& item);
    void deleted_menu(const ConversationSummary& item);
    void keyboard(const std::vector<Row>& rows, float page);
    std::vector<int64_t> chosen(int64_t id) const;
    void drop(const std::vector<Row>& rows);

    AppState& state_;
    SidebarView& view_;
    ImVec2 at_;
    float width_;
    const std::vector<Row>* rows_ = nullptr;
    bool over_folder_ = false;
};

// What a menu or key acts on: the selection where the row belongs to it, else the row.
std::vector<int64_t> List::chosen(int64_t id) const {
    if (view_.selected.count(id)) {
        return {view_.selected.begin(), view_.selected.end()};
    }
    return {id};
}

void List::choose(const ConversationSummary& item) {
    const ImGuiIO& io = ImGui::GetIO();
    view_.has_keyboard = true;
    view_.cursor = item.id;
    if (io.KeyCtrl) {
        if (!view_.selected.erase(item.id)) {
            view_.selected.insert(item.id);
        }
        view_.anchor = item.id;
        return;
    }
    if (io.KeyShift && view_.anchor != 0) {
        bool inside = false;
        view_.selected.clear();
        for (const Row& row : *rows_) {
            const bool end = row.id() != 0 && (row.id() == item.id || row.id() == view_.anchor);
            if (row.id() != 0 && (inside || end)) {
                view_.selected.insert(row.id());
            }
            if (end && item.id != view_.anchor) {
                inside = !inside;
            }
        }
        return;
    }
    view_.selected.clear();
    view_.anchor = item.id;
    if (item.deleted_at == 0) {
        state_.actions->select_conversation(item.id);
        state_.sidebar_overlay = false;
    }
}

bool List::rename_field(ImVec2 at, float width, std::string& text) {
    ImGui::SetCursorScreenPos({at.x + px(2), at.y + px(7)});
    const bool take = std::exchange(state_.rename_starts, false);
    const bool entered = input_line(state_, "rename", text, width - px(4), "", take);
    const bool left = !entered && !input_line_active();
    if (left) {
        state_.renaming = 0;
        view_.renaming_folder = 0;
    }
    return entered && text.find_first_not_of(' ') != std::string::npos;
}

void List::menu(const ConversationSummary& item) {
    ChatActions& chats = *state_.chat.actions;
    const std::vector<int64_t> ids = chosen(item.id);
    const bool one = ids.size() == 1;
    if (one && ImGui::MenuItem("Rename")) {
        state_.renaming = item.id;
        state_.rename_text = item.title;
        state_.rename_starts = true;
    }
    if (ImGui::MenuItem(item.pinned ? "Unpin" : "Pin")) {
        chats.set_pinned(ids, !item.pinned);
    }
    if (ImGui::BeginMenu("Move to")) {
        for (const Folder& folder : view_.folders) {
            ImGui::PushID(static_cast<int>(folder.id));
            if (ImGui::MenuItem(folder.name.c_str(), nullptr, item.folder == folder.id)) {
                chats.move_to_folder(ids, folder.id);
            }
            ImGui::PopID();
        }
        if (item.folder != 0 && ImGui::MenuItem("No folder")) {
            chats.move_to_folder(ids, 0);
        }
        if (!view_.folders.empty()) {
            ImGui::Separator();
        }
        if (ImGui::MenuItem("New folder\u2026")) {
            view_.naming_folder = true;
            view_.folder_for = ids;
            view_.folder_name.clear();
            state_.rename_starts = true;
        }
        ImGui::EndMenu();
    }
    if (ImGui::BeginMenu("Export")) {
        if (ImGui::MenuItem("Markdown")) {
            chats.export_to_file(ids, ExportFormat::markdown);
        }
        if (ImGui::MenuItem("HTML")) {
            chats.export_to_file(ids, ExportFormat::html);
        }
        if (ImGui::MenuItem("JSON, with all branches")) {
            chats.export_to_file(ids, ExportFormat::json);
        }
        if (one && ImGui::MenuItem("Copy as Markdown")) {
            chats.copy_as_markdown(item.id);
        }
        ImGui::EndMenu();
    }
    ImGui::Separator();
    const std::string word = one ? "Delete" : "Delete " + std::to_string(ids.size());
    if (ImGui::MenuItem(word.c_str(), "Del")) {
        view_.selected.clear();
        chats.remove(ids);
    }
}

void List::deleted_menu(const ConversationSummary& item) {
    const std::vector<int64_t> ids = chosen(item.id);
    const std::string count = ids.size() == 1 ? "" : " " + std::to_string(ids.size());
    if (ImGui::MenuItem(("Restore" + count).c_str())) {
        view_.selected.clear();
        state_.chat.actions->restore(ids);
    }
    if (ImGui::MenuItem(("Delete" + count + " for good").c_str())) {
        view_.selected.clear();
        state_.chat.actions->erase(ids);
    }
}

void List::draw_conversation(const Row& row, ImVec2 at, float width, float height) {
    const ConversationSummary& item = *row.item;
    const float scale = state_.fonts.scale;
    ImDrawList* list = ImGui::GetWindowDrawList();
    const bool deleted = row.kind == Row::Kind::deleted;
    if (!deleted && state_.renaming == item.id) {
        if (rename_field(at, width, state_.rename_text)) {
            state_.actions->rename_conversation(item.id, state_.rename_text);
            state_.renaming = 0;
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
    const Click click = click_area("row", at, {width - (over_row ? px(32) : 0), height});
    if (click.held && !deleted && ImGui::IsMouseDragging(0, px(6)) && !view_.folders.empty()) {
        view_.dragging = item.id;
    }
    const bool open = !deleted && item.id == state_.conversation.id;
    const bool selected = view_.selected.count(item.id) != 0;
    if (open || selected || over_row) {
        list->AddRectFilled(at, {at.x + width, at.y + height},
                            selected ? colour::kAccentCard
                            : open   ? colour::kActive
                                     : colour::kHover,
                            px(6));
    }
    if (selected || (view_.has_keyboard && view_.cursor == item.id && !open)) {
        list->AddRect(at, {at.x + width, at.y + height}, colour::kAccentLine, px(6));
    }
    const float text_room = width - px(20) - (over_row ? px(24) : 0);
    draw_text(list, state_.fonts.body, {at.x + px(10), at.y + px(7)}, colour::kText,
              ellipsize(state_.fonts.body, item.title, text_room));
    const bool writing =
        state_.generation.busy() && state_.generation.conversation_id == item.id && !deleted;
    std::string detail = writing           ? "answering\u2026"
                         : item.tokens > 0 ? short_count(item.tokens) + " tokens"
                                           : "no answer yet";
    if (deleted) {
        const int64_t days = std::max<int64_t>(0, 30 - (state_.now - item.deleted_at) / 86400);
        detail = days == 1 ? "one more day" : std::to_string(days) + " more days";
    }
    draw_text(list, state_.fonts.small, {at.x + px(10), at.y + px(27)},
              writing ? colour::kAccentText : colour::kTextDim, detail);
    if (over_row) {
        for (int i = -1; i <= 1; i++) {
            list->AddCircleFilled(
                {more_at.x + px(12) + static_cast<float>(i) * px(5), more_at.y + px(12)},
                1.7F * scale, more.hovered ? colour::kText : colour::kTextSoft);
        }
    }
    if (more.clicked || (click.hovered && ImGui::IsMouseClicked(1))) {
        ImGui::OpenPopup("conversation_menu");
    }
    if (click.clicked && view_.dragging == 0) {
        choose(item);
    }
    ImGui::PushStyleVar(ImGuiStyleVar_WindowPadding, {px(6), px(6)});
    if (ImGui::BeginPopup("conversation_menu")) {
        deleted ? deleted_menu(item) : menu(item);
        ImGui::EndPopup();
    }
    ImGui::PopStyleVar();
}

void List::draw_hit(const SearchHit& hit, size_t index, ImVec2 at, float width, float height) {
    ImDrawList* list = ImGui::GetWindowDrawList();
    const Click click = click_area("hit", at, {width, height});
    const bool current = view_.has_keyboard && view_.cursor == static_cast<int64_t>(index) + 1;
    if (click.hovered || current) {
        list->AddRectFilled(at, {at.x + width, at.y + height},
                            current ? colour::kActive : colour::kHover, px(6));
    }
    draw_text(list, state_.fonts.body, {at.x + px(10), at.y + px(7)}, colour::kText,
              ellipsize(state_.fonts.body, hit.title, width - px(20)));
    // The words around the match, the match itself brighter.
    float x = at.x + px(10);
    const float y = at.y + px(27), end = at.x + width - px(10);
    std::string_view rest = hit.snippet;
    if (rest.empty()) {
        draw_text(list, state_.fonts.small, {x, y}, colour::kTextDim, "in the title");
    }
    // Long leading context would push the match out of the narrow column.
    if (const size_t mark = rest.find('\x01'); mark != std::string_view::npos) {
        while (text_width(state_.fonts.small, rest.substr(0, rest.find('\x01'))) > width * 0.35F) {
            size_t step = 1;
            while (step < rest.size() && (static_cast<unsigned char>(rest[step]) & 0xC0) == 0x80) {
                step++;
            }
            rest.remove_prefix(step);
        }
    }
    list->PushClipRect({at.x, at.y}, {end, at.y + height}, true);
    bool match = false;
    while (!rest.empty() && x < end) {
        const size_t to = std::min(rest.find_first_of("\x01\x02"), rest.size());
        const std::string piece(rest.substr(0, to));
        draw_text(list, state_.fonts.small, {x, y}, match ? colour::kAccentText : colour::kTextDim,
                  piece);
        x += text_width(state_.fonts.small, piece);
        if (to < rest.size()) {
            match = rest[to] == '\x01';
        }
        rest.remove_prefix(std::min(to + 1, rest.size()));
    }
    list->PopClipRect();
    if (click.clicked) {
        view_.cursor = static_cast<int64_t>(index) + 1;
        state_.chat.actions->open_hit(index);
        state_.sidebar_overlay = false;
    }
}

void List::draw_folder(const Folder& folder, ImVec2 at, float width, float height) {
    ImDrawList* list = ImGui::GetWindowDrawList();
    if (view_.renaming_folder == folder.id) {
        if (rename_field({at.x, at.y - px(4)}, width, view_.folder_name)) {
            state_.chat.actions->rename_folder(folder.id, view_.folder_name);
            view_.renaming_folder = 0;
        }
        return;
    }
    const Click click = click_area("folder", at, {width, height});
    const bool over = ImGui::IsMouseHoveringRect(at, {at.x + width, at.y + height});
    const bool target = view_.dragging != 0 && over;
    over_folder_ = over_folder_ || target;
    if (click.hovered || target) {
        list->AddRectFilled(at, {at.x + width, at.y + height},
                            target ? colour::kAccentCard : colour::kHover, px(6));
    }
    if (target) {
        list->AddRect(at, {at.x + width, at.y + height}, colour::kAccentText, px(6));
        if (ImGui::IsMouseReleased(0)) {
            state_.chat.actions->move_to_folder(chosen(view_.dragging), folder.id);
            view_.closed_folders.erase(folder.id);
            view_.dragging = 0;
        }
    }
    const bool closed = view_.closed_folders.count(folder.id) != 0;
    draw_triangle(list, {at.x + px(16), at.y + height / 2}, px(8), !closed, colour::kTextSoft);
    draw_text(list, state_.fonts.body, {at.x + px(28), centred(state_.fonts.body, at.y, height)},
              colour::kText, ellipsize(state_.fonts.body, folder.name, width - px(76)));
    const auto inside = std::count_if(
        state_.conversations.begin(), state_.conversations.end(),
        [&](const ConversationSummary& c) { return c.folder == folder.id && !c.pinned; });
    draw_text_right(list, state_.fonts.small, at.x + width - px(10),
                    centred(state_.fonts.small, at.y, height), colour::kTextDim,
                    std::to_string(inside));
    if (click.clicked && view_.dragging == 0) {
        if (!view_.closed_folders.erase(folder.id)) {
            view_.closed_folders.insert(folder.id);
        }
    }
    if (click.hovered && ImGui::IsMouseClicked(1)) {
        ImGui::OpenPopup("folder_menu");
    }
    ImGui::PushStyleVar(ImGuiStyleVar_WindowPadding, {px(6), px(6)});
    if (ImGui::BeginPopup("folder_menu")) {
        if (ImGui::MenuItem("Rename")) {
            view_.renaming_folder = folder.id;
            view_.folder_name = folder.name;
            state_.rename_starts = true;
        }
        if (ImGui::MenuItem("Remove the folder, keep its conversations")) {
            state_.chat.actions->remove_folder(folder.id);
        }
        ImGui::EndPopup();
    }
    ImGui::PopStyleVar();
}

void List::draw_row(const Row& row, ImVec2 at, float height) {
    ImDrawList* list = ImGui::GetWindowDrawList();
    const float x = at.x + px(kSidebarEdge) + px(row.indent);
    const float width = width_ - px(2 * kSidebarEdge) - px(row.indent);
    switch (row.kind) {
        case Row::Kind::heading:
            draw_text(list, state_.fonts.small, {at.x + px(18), at.y + px(12)}, colour::kTextDim,
                      row.text);
            return;
        case Row::Kind::note:
            draw_wrapped(list, state_.fonts.small, {at.x + px(18), at.y + px(12)}, width_ - px(36),
                         colour::kTextDim, row.text);
            return;
        case Row::Kind::folder: {
            const Folder& folder = view_.folders[row.index];
            ImGui::PushID("folder");
            ImGui::PushID(static_cast<int>(folder.id));
            draw_folder(folder, {x, at.y}, width, height - px(2));
            ImGui::PopID();
            ImGui::PopID();
            return;
        }
        case Row::Kind::hit:
            ImGui::PushID(static_cast<int>(row.index));
            draw_hit(view_.hits[row.index], row.index, {x, at.y}, width, height - px(2));
            ImGui::PopID();
            return;
        case Row::Kind::conversation:
        case Row::Kind::deleted:
            ImGui::PushID(static_cast<int>(row.item->id));
            draw_conversation(row, {x, at.y}, width, height - px(2));
            ImGui::PopID();
            return;
    }
}

// Arrows move, Enter opens, Delete puts into the trash (Backspace never does anything).
void List::keyboard(const std::vector<Row>& rows, float page) {
    if (!view_.has_keyboard || state_.composer_focused || input_line_active() ||
        ImGui::IsPopupOpen("", ImGuiPopupFlags_AnyPopupId | ImGuiPopupFlags_AnyPopupLevel)) {
        return;
    }
    std::vector<int64_t> stops;
    for (const Row& row : rows) {
        if (row.kind == Row::Kind::hit) {
            stops.push_back(static_cast<int64_t>(row.index) + 1);
        } else if (row.id() != 0) {
            stops.push_back(row.id());
        }
    }
    if (stops.empty()) {
        return;
    }
    const auto here = std::find(stops.begin(), stops.end(), view_.cursor);
    int64_t at = here == stops.end() ? -1 : here - stops.begin();
    const int64_t before = at;
    const auto page_rows = static_cast<int64_t>(page / px(kRow));
    if (key_pressed(ImGuiKey_DownArrow))
        at++;
    if (key_pressed(ImGuiKey_UpArrow))
        at--;
    if (key_pressed(ImGuiKey_PageDown))
        at += page_rows;
    if (key_pressed(ImGuiKey_PageUp))
        at -= page_rows;
    if (key_pressed(ImGuiKey_Home))
        at = 0;
    if (key_pressed(ImGuiKey_End))
        at = static_cast<int64_t>(stops.size()) - 1;
    at = std::clamp<int64_t>(at, 0, static_cast<int64_t>(stops.size()) - 1);
    if (at != before) {
        view_.cursor = stops[static_cast<size_t>(at)];
        view_.scroll_to_cursor = true;
        if (ImGui::GetIO().KeyShift) {
            view_.selected.insert(view_.cursor);
            if (before >= 0) {
                view_.selected.insert(stops[static_cast<size_t>(before)]);
            }
        } else {
            view_.selected.clear();
            view_.anchor = view_.cursor;
        }
    }
    const bool searching = !view_.query.empty();
    if (key_pressed(ImGuiKey_Enter, false) || key_pressed(kKeypadEnter, false)) {
        if (searching) {
            state_.chat.actions->open_hit(static_cast<size_t>(at));
        } else if (!view_.trash_open) {
            state_.actions->select_conversation(view_.cursor);
        }
    } else if (key_pressed(ImGuiKey_Delete, false) && !searching && !view_.trash_open) {
        const std::vector<int64_t> ids = chosen(view_.cursor);
        const size_t next = static_cast<size_t>(at) + 1;
        view_.cursor = next < stops.size() ? stops[next] : 0;
        view_.selected.clear();
        state_.chat.actions->remove(ids);
    } else if (ImGui::GetIO().KeyCtrl && key_pressed(ImGuiKey_A, false) && !searching) {
        view_.selected.insert(stops.begin(), stops.end());
    } else if (key_pressed(ImGuiKey_Escape, false)) {
        view_.selected.clear();
        view_.has_keyboard = false;
        state_.composer_focused = true;
    }
}

// A row let go of outside a folder leaves the one it is in.
void List::drop(const std::vector<Row>& rows) {
    if (view_.dragging == 0) {
        return;
    }
    for (const Row& row : rows) {
        if (row.id() != view_.dragging) {
            continue;
        }
        ImDrawList* list = ImGui::GetForegroundDrawList();
        const ImVec2 mouse = ImGui::GetIO().MousePos;
        const size_t count = chosen(view_.dragging).size();
        const std::string label = count > 1
                                      ? std::to_string(count) + " conversations"
                                      : ellipsize(state_.fonts.body, row.item->title, px(180));
        const float width = text_width(state_.fonts.body, label) + px(20);
        list->AddRectFilled({mouse.x + px(12), mouse.y + px(4)},
                            {mouse.x + px(12) + width, mouse.y + px(32)}, colour::kActive, px(6));
        draw_text(list, state_.fonts.body, {mouse.x + px(22), mouse.y + px(9)}, colour::kText,
                  label);
        if (!ImGui::IsMouseDown(0)) {
            if (!over_folder_ && row.item->folder != 0 && mouse.x < at_.x + width_) {
                state_.chat.actions->move_to_folder(chosen(view_.dragging), 0);
            }
        }
        break;
    }
    if (!ImGui::IsMouseDown(0)) {
        view_.dragging = 0;
    }
}

void List::draw(ImVec2 size) {
    const std::vector<Row> rows = sidebar_rows(state_);
    rows_ = &rows;
    if (state_.composer_focused) {
        view_.has_keyboard = false;
    }
    keyboard(rows, size.y);
    // The list may have changed by what the keys did; rows only point to what is drawn below.
    const std::vector<Row> fresh = sidebar_rows(state_);
    rows_ = &fresh;
    const float begin = ImGui::GetCursorScreenPos().y, scroll = ImGui::GetScrollY();
    float y = begin;
    size_t first = fresh.size(), last = 0;
    std::vector<float> tops(fresh.size());
    for (size_t i = 0; i < fresh.size(); i++) {
        const float height = height_of(fresh[i]);
        tops[i] = y;
        if (y + height > at_.y && y < at_.y + size.y) {
            first = std::min(first, i);
            last = i + 1;
        }
        const int64_t stop = fresh[i].kind == Row::Kind::hit
                                 ? static_cast<int64_t>(fresh[i].index) + 1
                                 : fresh[i].id();
        if (view_.scroll_to_cursor && stop != 0 && stop == view_.cursor) {
            view_.scroll_to_cursor = false;
            if (y < at_.y) {
                ImGui::SetScrollY(scroll - (at_.y - y));
            } else if (y + height > at_.y + size.y) {
                ImGui::SetScrollY(scroll + (y + height - at_.y - size.y));
            }
        }
        y += height;
    }
    const uint64_t shown = state_.conversation_generation;
    const size_t count = state_.conversations.size();
    for (size_t i = first; i < last; i++) {
        draw_row(fresh[i], {at_.x, tops[i]}, height_of(fresh[i]));
        // An action replaces the lists that the rows point into; the next frame shows them.
        if (state_.conversation_generation != shown || state_.conversations.size() != count ||
            state_.chat.sidebar.list_changed) {
            break;
        }
    }
    if (!state_.chat.sidebar.list_changed) {
        drop(fresh);
    }
    state_.chat.sidebar.list_changed = false;
    ImGui::SetCursorScreenPos({at_.x, begin});
    ImGui::Dummy({1, y - begin + px(8)});
}

}  // namespace

void draw_sidebar(AppState& state, ImVec2 at, ImVec2 size) {
    const float scale = state.fonts.scale;
    const auto px = [scale](float units) { return std::round(units * scale); };
    begin_region("sidebar", at, size);
    ImDrawList* list = ImGui::GetWindowDrawList();
    list->AddRectFilled(at, {at.x + size.x, at.y + size.y}, colour::kPanel);
    list->AddLine({at.x + size.x - 1, at.y}, {at.x + size.x - 1, at.y + size.y}, colour::kLine);
    draw_sidebar_head(state, at, size.x - 1);
    const float head = px(90), foot = px(38);
    const ImVec2 list_at{at.x, at.y + head};
    const ImVec2 list_size{size.x - 1, std::max(px(40), size.y - head - foot)};
    begin_region("conversations", list_at, list_size, true);
    List(state, list_at, list_size.x).draw(list_size);
    ImGui::EndChild();
    draw_sidebar_foot(state, {at.x, at.y + size.y - foot}, size.x - 1);
    draw_sidebar_prompts(state);
    ImGui::EndChild();
}

}  // namespace app::window
