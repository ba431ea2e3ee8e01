// The first thing anybody sees.
#include <algorithm>
#include <cmath>

#include "app/window/app_state.h"
#include "app/window/turn_view.h"
#include "app/window/widgets.h"

namespace app::window {

void draw_welcome(AppState& state, ImVec2 at, ImVec2 size) {
    const float scale = state.fonts.scale;
    const auto px = [scale](float units) { return std::round(units * scale); };
    ImDrawList* list = ImGui::GetWindowDrawList();
    const float width = std::min(size.x - px(2 * kChatMargin), px(680));
    const float x = std::round(at.x + (size.x - width) / 2);
    const bool ready = state.model.state == ModelView::State::ready;

    // Questions the demo model answers well, thinking or not.
    static constexpr const char* kDemo[] = {
        "What does the memory gauge show?", "Why is there no V cache?",
        "How do I get the real model?", "How do I start the server without a window?"};
    static constexpr const char* kReal[] = {
        "Explain how a hash map grows, with a small example in C++",
        "Plan a two-day trip to Turin by train", "Write a bash loop that renames files with spaces",
        "What makes a good commit message?"};
    const auto& questions = state.model.is_demo ? kDemo : kReal;

    const bool two_columns = width > px(520);
    const float card_height = px(54), gap = px(10);
    const float cards = ready ? (two_columns ? 2 : 4) * (card_height + gap) : px(50);
    const std::string lead = ready ? "Ask something, or drop a folder here to talk about your code."
                             : state.model.state == ModelView::State::loading
                                 ? "The model is being loaded."
                                 : "Choose a GGUF of GLM-4.7-Flash to begin.";
    const std::string note =
        ready && state.model.is_demo
            ? "You are talking to the small demo model that comes with the program; it knows "
              "Keyhole's manual and little else. To use the real one, " +
                  state.demo_hint + "."
            : "";
    const float note_height =
        note.empty()
            ? 0
            : draw_wrapped(nullptr, state.fonts.small, {}, width - px(28), 0, note) + px(34);
    const float total = px(40) + px(34) + cards + note_height;
    float y = std::max(at.y + px(16), std::round(at.y + (size.y - total) * 0.42F));

    const std::string title = "What shall we look at?";
    draw_text(list, state.fonts.title, {x + (width - text_width(state.fonts.title, title)) / 2, y},
              colour::kText, title);
    y += px(42);
    const std::string shown = ellipsize(state.fonts.body, lead, width);
    draw_text(list, state.fonts.body, {x + (width - text_width(state.fonts.body, shown)) / 2, y},
              colour::kTextDim, shown);
    y += px(38);
    if (ready) {
        const float card_width = two_columns ? (width - gap) / 2 : width;
        for (int i = 0; i < 4; i++) {
            const float card_x =
                x + (two_columns ? static_cast<float>(i % 2) * (card_width + gap) : 0);
            const float card_y =
                y + static_cast<float>(two_columns ? i / 2 : i) * (card_height + gap);
            ImGui::PushID(i);
            const Click card = click_area("example", {card_x, card_y}, {card_width, card_height});
            ImGui::PopID();
            list->AddRectFilled({card_x, card_y}, {card_x + card_width, card_y + card_height},
                                card.hovered ? colour::kHover : colour::kCard, px(8));
            list->AddRect({card_x, card_y}, {card_x + card_width, card_y + card_height},
                          colour::kLine, px(8));
            draw_text(list, state.fonts.body,
                      {card_x + px(16), centred(state.fonts.body, card_y, card_height)},
                      colour::kText,
                      ellipsize(state.fonts.body, questions[i], card_width - px(32)));
            if (card.clicked && !state.generation.busy()) {
                state.draft.set(questions[i]);
                state.actions->draft_changed();
                state.actions->send();
            }
        }
    } else if (state.model.state == ModelView::State::loading) {
        const float bar = std::min(width, px(360)), bar_x = std::round(x + (width - bar) / 2);
        list->AddRectFilled({bar_x, y + px(4)}, {bar_x + bar, y + px(10)}, colour::kTrack, px(3));
        list->AddRectFilled(
            {bar_x, y + px(4)},
            {bar_x + bar * static_cast<float>(state.model.load_progress), y + px(10)},
            colour::kKeys, px(3));
    } else {
        ButtonLook look;
        look.fill = colour::kAccent;
        look.hover = colour::kAccentHover;
        look.text = colour::kOnAccent;
        look.height = 34;
        look.pad_x = 18;
        const ImVec2 box = button_size(state, "Choose a model", look);
        if (button(state, "choose", {std::round(x + (width - box.x) / 2), y}, "Choose a model",
                   look)
                .clicked) {
            state.page = Page::models;
        }
    }
    y += cards;
    if (!note.empty()) {
        y += px(14);
        const float pad = px(14), height = note_height - px(14);
        list->AddRectFilled({x, y}, {x + width, y + height}, colour::kWarningCard, px(8));
        list->AddRect({x, y}, {x + width, y + height}, colour::kWarningLine, px(8));
        draw_wrapped(list, state.fonts.small, {x + pad, std::round(y + px(10))}, width - 2 * pad,
                     colour::kWarning, note);
    }
}

}  // namespace app::window
