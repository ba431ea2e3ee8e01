#include "app/window/turn_bar.h"

#include <string>

#include "app/window/format.h"
#include "app/window/text_run.h"
#include "app/window/widgets.h"

namespace app::window {

float turn_words(Pen& pen, const Message& message, size_t index, bool last, float top) {
    AppState& state = pen.state;
    const float height = pen.px(kTurnBar);
    float right = pen.x + pen.width;
    if (!pen.sees(height)) {
        return right;
    }
    // While one of the words is held down the window counts as blocked by it.
    const bool over = ImGui::IsWindowHovered(ImGuiHoveredFlags_AllowWhenBlockedByActiveItem) &&
                      ImGui::IsMouseHoveringRect({pen.x, top}, {right, pen.y + height});
    const bool answer = message.role == runtime::Role::assistant;
    const bool free = !state.generation.busy();
    const bool can_ask = free && state.model.state == ModelView::State::ready;
    ButtonLook look;
    look.font = state.fonts.small;
    look.height = kTurnBar;
    look.pad_x = 7;
    look.text = colour::kTextDim;
    ImGui::PushID(static_cast<int>(index));
    const auto word = [&](const char* id, const std::string& label) {
        right -= button_size(state, label, look).x;
        return button(state, id, {right, pen.y}, label, look).clicked;
    };
    ChatActions* chats = state.chat.actions;
    if (answer && can_ask && (last || over) && word("regenerate", "Regenerate")) {
        *pen.after = [chats, index] { chats->regenerate(index); };
    }
    const bool unfinished = message.state == MessageState::stopped ||
                            message.state == MessageState::cut ||
                            message.state == MessageState::failed;
    const bool has_text = !message.content.empty() || !message.reasoning.empty();
    if (answer && last && can_ask && unfinished && has_text && message.tool_calls.empty() &&
        word("continue", "Continue")) {
        *pen.after = [chats] { chats->continue_answer(); };
    }
    if (!answer && over && free && word("edit", "Edit")) {
        *pen.after = [chats, index] { chats->begin_edit(index); };
    }
    if (over && free && message.id != 0 && word("delete", "Delete")) {
        *pen.after = [chats, index] { chats->delete_turn(index); };
    }
    const std::string what = "message" + std::to_string(index);
    if (!message.content.empty() && (answer || over) &&
        word("copy", just_copied(state, what) ? "Copied" : "Copy")) {
        copy_and_note(state, message.content, what);
    }
    // Which version, of how many: the arrows go to its neighbours.
    if (message.branches > 1) {
        const std::string count =
            std::to_string(message.branch + 1) + "/" + std::to_string(message.branches);
        const float box = pen.px(22), width = text_width(state.fonts.small, count);
        const auto arrow = [&](const char* id, bool left, bool enabled) {
            right -= box;
            Click click;
            if (enabled && free) {
                click = click_area(id, {right, pen.y}, {box, height});
            }
            const ImU32 ink = click.hovered     ? colour::kText
                              : enabled && free ? colour::kTextSoft
                                                : colour::kLine;
            const float x = right + box / 2, y = pen.y + height / 2, size = pen.px(4);
            const float tip = left ? -size / 2 : size / 2;
            pen.list->AddLine({x - tip, y - size}, {x + tip, y}, ink, pen.px(1.5F));
            pen.list->AddLine({x + tip, y}, {x - tip, y + size}, ink, pen.px(1.5F));
            return click.clicked;
        };
        if (arrow("next", false, message.branch + 1 < message.branches)) {
            *pen.after = [chats, index] { chats->switch_branch(index, 1); };
        }
        right -= width;
        draw_text(pen.list, state.fonts.small, {right, centred(state.fonts.small, pen.y, height)},
                  colour::kTextSoft, count);
        if (arrow("previous", true, message.branch > 0)) {
            *pen.after = [chats, index] { chats->switch_branch(index, -1); };
        }
    }
    ImGui::PopID();
    return right;
}

void view_marker(Pen& pen, size_t index) {
    AppState& state = pen.state;
    const auto& messages = state.conversation.messages;
    if (!messages[index].left_out ||
        (index + 1 < messages.size() && messages[index + 1].left_out)) {
        return;
    }
    size_t count = 0;
    for (size_t i = index + 1; i > 0 && messages[i - 1].left_out; i--) {
        count++;
    }
    const float height = pen.px(28);
    if (pen.sees(height)) {
        const float y = pen.y + height / 2;
        const std::string text =
            "The model no longer sees the " +
            (count == 1 ? std::string("message") : std::to_string(count) + " messages") + " above";
        ButtonLook look;
        look.font = state.fonts.small;
        look.height = 24;
        look.pad_x = 8;
        look.text = colour::kAccentText;
        const float words = text_width(state.fonts.small, text);
        const float all = words + button_size(state, "Show all again", look).x + pen.px(8);
        const float x = std::round(pen.x + (pen.width - all) / 2);
        const float rim = pen.px(12);
        pen.list->AddLine({pen.x, y}, {x - rim, y}, colour::kWarningLine);
        pen.list->AddLine({x + all + rim, y}, {pen.x + pen.width, y}, colour::kWarningLine);
        draw_text(pen.list, state.fonts.small, {x, centred(state.fonts.small, pen.y, height)},
                  colour::kWarning, text);
        ImGui::PushID(static_cast<int>(index));
        if (button(state, "show_again", {x + words + pen.px(8), pen.y + pen.px(2)},
                   "Show all again", look)
                .clicked) {
            ChatActions* chats = state.chat.actions;
            *pen.after = [chats] { chats->show_all_to_model(); };
        }
        ImGui::PopID();
    }
    pen.y += height;
}

}  // namespace app::window
