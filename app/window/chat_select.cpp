// Selecting text across messages, and taking it along.
#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "app/window/chat_parts.h"
#include "app/window/compat.h"
#include "app/window/text_run.h"
#include "app/window/widgets.h"

namespace app::window {
namespace {

const std::string& text_of(const AppState& state, int message, int part) {
    const Message& of = state.conversation.messages[static_cast<size_t>(message)];
    return part == TextPlace::reasoning ? of.reasoning : of.content;
}

bool part_is_shown(const AppState& state, int message, int part) {
    const auto i = static_cast<size_t>(message);
    const runtime::Role role = state.conversation.messages[i].role;
    const bool folded = role == runtime::Role::assistant ? part == TextPlace::reasoning
                                                         : role != runtime::Role::user;
    return !folded || (i < state.layouts.size() && state.layouts[i].thinking_open);
}

// Every text that the selection reaches into, with the range of it.
template <typename Take>
void for_selected(const AppState& state, Take take) {
    const ChatSelection& selection = state.reading.selection;
    if (!selection.exists()) {
        return;
    }
    const TextPlace begin = selection.begin(), end = selection.end();
    const int last =
        std::min(end.message, static_cast<int>(state.conversation.messages.size()) - 1);
    for (int message = std::max(begin.message, 0); message <= last; message++) {
        for (const int part : {TextPlace::reasoning, TextPlace::content}) {
            const TextPlace low{message, part, 0}, high{message, part, ~size_t{0}};
            if (high < begin || end < low || !part_is_shown(state, message, part)) {
                continue;
            }
            const std::string& text = text_of(state, message, part);
            const SourceRange range{begin < low ? 0 : begin.source,
                                    std::min(high < end ? text.size() : end.source, text.size())};
            if (range.begin < range.end) {
                take(std::string_view(text), range);
            }
        }
    }
}

using CopyOf = std::string (*)(std::string_view text, SourceRange range);

using Selected = std::vector<std::pair<std::string, SourceRange>>;

std::string joined(const Selected& texts, CopyOf copy) {
    std::string out;
    for (const auto& [text, range] : texts) {
        const std::string piece = copy(text, range);
        out += (out.empty() || piece.empty() ? "" : "\n\n") + piece;
    }
    return out;
}

// With texts of their own: nothing that happens to the conversation changes them.
Selected selected_of(const AppState& state) {
    Selected texts;
    for_selected(
        state, [&](std::string_view text, SourceRange range) { texts.emplace_back(text, range); });
    return texts;
}

// Megabytes take longer to be read as Markdown than a frame may take: they are taken along as they
// are, and put together elsewhere.
void copy_selection(AppState& state, CopyOf copy) {
    constexpr size_t kAtOnce = 64 << 10;
    size_t bytes = 0;
    for_selected(state, [&](std::string_view text, SourceRange) { bytes += text.size(); });
    if (bytes <= kAtOnce) {
        state.actions->copy(joined(selected_of(state), copy));
    } else {
        state.actions->copy_made(
            [texts = selected_of(state), copy] { return joined(texts, copy); });
    }
    note_copy(state, "selection");
}

// The text under, or nearest to, the pointer.
const TextArea* area_near(const std::vector<TextArea>& areas, ImVec2 point) {
    const TextArea* best = nullptr;
    float best_distance = 0;
    for (const TextArea& area : areas) {
        const float top = area.origin.y, bottom = top + area.view->height();
        const float distance = point.y < top ? top - point.y : std::max(0.0F, point.y - bottom);
        if (!best || distance < best_distance) {
            best = &area;
            best_distance = distance;
        }
    }
    return best;
}

TextPlace place_at(const TextArea& area, ImVec2 point) {
    return {area.message, area.part,
            area.view->source_at({point.x - area.origin.x, point.y - area.origin.y})};
}

SourceRange step_at(const TextArea& area, TextPlace place, ChatSelection::Step step) {
    return step == ChatSelection::Step::word    ? area.view->word_at(place.source)
           : step == ChatSelection::Step::block ? area.view->block_at(place.source)
                                                : SourceRange{place.source, place.source};
}

void begin_selection(AppState& state, const TextArea& area, ImVec2 point) {
    ChatSelection& selection = state.reading.selection;
    const TextPlace place = place_at(area, point);
    const ImGuiIO& io = ImGui::GetIO();
    selection.dragging = true;
    if (io.KeyShift && selection.anchor.message >= 0) {
        selection.step = ChatSelection::Step::character;
        selection.head = place;
        return;
    }
    const int clicks = click_count(0);
    selection.step = clicks >= 3   ? ChatSelection::Step::block
                     : clicks == 2 ? ChatSelection::Step::word
                                   : ChatSelection::Step::character;
    const SourceRange range = step_at(area, place, selection.step);
    selection.anchor = {place.message, place.part, range.begin};
    selection.anchor_end = selection.head = {place.message, place.part, range.end};
}

void drag_selection(AppState& state, const TextArea& area, ImVec2 point) {
    ChatSelection& selection = state.reading.selection;
    const TextPlace place = place_at(area, point);
    if (selection.step == ChatSelection::Step::character) {
        selection.head = place;
        return;
    }
    // By whole words or paragraphs, and what was taken first stays taken.
    const SourceRange range = step_at(area, place, selection.step);
    const TextPlace low{place.message, place.part, range.begin};
    const TextPlace high{place.message, place.part, range.end};
    const TextPlace first = std::min(selection.anchor, selection.anchor_end);
    const TextPlace second = std::max(selection.anchor, selection.anchor_end);
    if (low < first) {
        selection.anchor = second;
        selection.anchor_end = first;
        selection.head = low;
    } else {
        selection.anchor = first;
        selection.anchor_end = second;
        selection.head = std::max(high, second);
    }
}

void selection_keys(AppState& state, const std::vector<TextArea>& areas) {
    const ImGuiIO& io = ImGui::GetIO();
    ChatSelection& selection = state.reading.selection;
    const bool ctrl = io.KeyCtrl && !io.KeyAlt;
    if (ctrl && key_pressed(ImGuiKey_C, false) && selection.exists() &&
        state.draft.selected().empty()) {
        copy_selection(state, io.KeyShift ? copy_as_markdown : copy_as_text);
    }
    if (!state.reading.focused) {
        return;
    }
    if (ctrl && key_pressed(ImGuiKey_A, false)) {
        // First the message, then everything.
        const int message = selection.head.message;
        const auto size = [&](int part) { return text_of(state, message, part).size(); };
        const ChatSelection whole{
            {message,
             part_is_shown(state, message, TextPlace::reasoning) ? TextPlace::reasoning
                                                                 : TextPlace::content,
             0},
            {message, TextPlace::content, size(TextPlace::content)}};
        if (message < 0 || (selection.begin() <= whole.anchor && whole.head <= selection.end())) {
            select_all(state);
        } else {
            selection.anchor = whole.anchor;
            selection.head = whole.head;
        }
    }
    if (key_pressed(ImGuiKey_Escape, false) && selection.exists()) {
        selection.head = selection.anchor;
    }
    if (!io.KeyShift || selection.head.message < 0) {
        return;
    }
    const TextArea* area = nullptr;
    for (const TextArea& each : areas) {
        if (each.message == selection.head.message && each.part == selection.head.part) {
            area = &each;
        }
    }
    if (!area) {
        return;
    }
    const auto sideways = [&](bool forward) {
        const size_t to = area->view->step(selection.head.source, forward, ctrl);
        if (to != selection.head.source) {
            selection.head.source = to;
            return;
        }
        // Over the edge: into the text above or below.
        const auto index = area - areas.data() + (forward ? 1 : -1);
        if (index >= 0 && index < static_cast<std::ptrdiff_t>(areas.size())) {
            const TextArea& next = areas[static_cast<size_t>(index)];
            selection.head = {next.message, next.part,
                              forward ? 0 : text_of(state, next.message, next.part).size()};
        }
    };
    if (key_pressed(ImGuiKey_RightArrow)) {
        sideways(true);
    }
    if (key_pressed(ImGuiKey_LeftArrow)) {
        sideways(false);
    }
    float height = 0;
    const ImVec2 caret = area->view->caret(selection.head.source, height);
    const auto vertically = [&](float y) {
        const TextArea* to = area;
        ImVec2 point{area->origin.x + caret.x, area->origin.y + y};
        if (y >= area->view->height() && area != &areas.back()) {
            to = area + 1;
            point.y = to->origin.y + height / 2;
        } else if (y < 0 && area != &areas.front()) {
            to = area - 1;
            point.y = to->origin.y + to->view->height() - height / 2;
        }
        selection.head = place_at(*to, point);
    };
    if (key_pressed(ImGuiKey_DownArrow)) {
        vertically(caret.y + height * 1.5F);
    }
    if (key_pressed(ImGuiKey_UpArrow)) {
        vertically(caret.y - height * 0.5F);
    }
    if (key_pressed(ImGuiKey_Home)) {
        const ImVec2 point{area->origin.x - 1e4F, area->origin.y + caret.y + height / 2};
        selection.head = place_at(*area, point);
    }
    if (key_pressed(ImGuiKey_End)) {
        const ImVec2 point{area->origin.x + 1e4F, area->origin.y + caret.y + height / 2};
        selection.head = place_at(*area, point);
    }
}

}  // namespace

float selection_pull(const AppState& state, float top, float bottom) {
    if (!state.reading.selection.dragging || !ImGui::IsMouseDown(0)) {
        return 0;
    }
    const float y = ImGui::GetIO().MousePos.y;
    const float beyond = y < top ? y - top : y > bottom ? y - bottom : 0;
    const float fastest = 40 * state.fonts.scale;
    return std::clamp(beyond * 0.25F, -fastest, fastest);
}

void select_text(
    AppState& state, const std::vector<TextArea>& areas, ImVec2 at, ImVec2 size, bool hovered) {
    ReadingView& chat = state.reading;
    ChatSelection& selection = chat.selection;
    const ImGuiIO& io = ImGui::GetIO();
    const ImVec2 mouse = io.MousePos;
    const bool free = hovered && !ImGui::IsAnyItemHovered() && !ImGui::IsAnyItemActive();
    const TextArea* near = areas.empty() ? nullptr : area_near(areas, mouse);
    const float rim = 12 * state.fonts.scale;
    const bool over_text =
        near && mouse.x >= near->origin.x - rim && mouse.x <= near->origin.x + near->width + rim &&
        mouse.y >= near->origin.y && mouse.y < near->origin.y + near->view->height();
    if (free && over_text && ImGui::GetMouseCursor() == ImGuiMouseCursor_Arrow) {
        ImGui::SetMouseCursor(ImGuiMouseCursor_TextInput);
    }
    if (free && near && ImGui::IsMouseClicked(0)) {
        if (over_text || io.KeyShift) {
            begin_selection(state, *near, mouse);
        } else {
            selection = {};
        }
        chat.focused = true;
        chat.find.focused = false;
        state.composer_focused = false;
    }
    if (selection.dragging) {
        if (!ImGui::IsMouseDown(0)) {
            selection.dragging = false;
        } else if (near && ImGui::IsMouseDragging(0, 3 * state.fonts.scale)) {
            ImVec2 point = mouse;
            point.y = std::clamp(point.y, at.y + 1, at.y + size.y - 1);
            drag_selection(state, *near, point);
            // What moves under the pointer cannot be selected.
            if (selection.exists() && state.generation.busy()) {
                state.follow = false;
            }
        }
    }
    if (hovered && ImGui::IsMouseReleased(1)) {
        chat.menu_requested = true;
    }
    selection_keys(state, areas);
}

std::string selected_text(const AppState& state) {
    return joined(selected_of(state), copy_as_text);
}
std::string selected_markdown(const AppState& state) {
    return joined(selected_of(state), copy_as_markdown);
}

void select_all(AppState& state) {
    const auto& messages = state.conversation.messages;
    if (messages.empty()) {
        return;
    }
    const int last = static_cast<int>(messages.size()) - 1;
    state.reading.selection.anchor = {0, TextPlace::reasoning, 0};
    state.reading.selection.head = {last, TextPlace::content, messages.back().content.size()};
}

void draw_chat_menu(AppState& state) {
    const auto px = [&](float units) { return std::round(units * state.fonts.scale); };
    if (state.reading.menu_requested) {
        state.reading.menu_requested = false;
        ImGui::OpenPopup("chat_menu");
    }
    ImGui::PushStyleVar(ImGuiStyleVar_WindowPadding, {px(6), px(6)});
    if (ImGui::BeginPopup("chat_menu")) {
        const bool selected = state.reading.selection.exists();
        struct Item {
            const char* label;
            bool enabled;
        };
        const Item items[] = {{"Copy", selected},
                              {"Copy as Markdown", selected},
                              {"Select all", true},
                              {"Find\u2026", true}};
        const ImVec2 at = ImGui::GetCursorScreenPos();
        const float width = px(190), row = px(30);
        for (int i = 0; i < 4; i++) {
            ButtonLook look;
            look.enabled = items[i].enabled;
            look.text = colour::kText;
            look.height = 30;
            const ImVec2 low{at.x, at.y + static_cast<float>(i) * row};
            ImGui::PushID(i);
            const Click click = items[i].enabled ? click_area("item", low, {width, row}) : Click();
            ImGui::PopID();
            ImDrawList* list = ImGui::GetWindowDrawList();
            if (click.hovered) {
                list->AddRectFilled(low, {low.x + width, low.y + row}, colour::kHover, px(5));
            }
            draw_text(list, state.fonts.body,
                      {low.x + px(10), centred(state.fonts.body, low.y, row)},
                      items[i].enabled ? colour::kText : colour::kTextDim, items[i].label);
            if (click.clicked) {
                if (i == 0) {
                    copy_selection(state, copy_as_text);
                } else if (i == 1) {
                    copy_selection(state, copy_as_markdown);
                } else if (i == 2) {
                    select_all(state);
                } else {
                    state.reading.find.requested = true;
                    state.wants_frame = true;
                }
                ImGui::CloseCurrentPopup();
            }
        }
        ImGui::SetCursorScreenPos(at);
        ImGui::Dummy({width, row * 4});
        ImGui::EndPopup();
    }
    ImGui::PopStyleVar();
}

}  // namespace app::window
