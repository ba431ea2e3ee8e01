// The card of a prompt that does not fit: what is too much, and every choice with its exact effect.
// Nothing was sent and nothing was left out when it is shown.
#include "app/window/overflow_card.h"

#include <algorithm>
#include <cmath>

#include "app/window/app_state.h"
#include "app/window/compat.h"
#include "app/window/format.h"
#include "app/window/text_run.h"
#include "app/window/widgets.h"

namespace app::window {
namespace {

struct Line {
    std::string title, detail;
    bool enabled = true;
    float height = 0;
};

std::string tokens_text(int64_t count) {
    return with_commas(count) + (count == 1 ? " token" : " tokens");
}

std::string effect(const OverflowChoice& choice, const OverflowReport& report) {
    std::string text = "frees " + tokens_text(choice.freed_tokens) + "; the prompt has then " +
                       with_commas(choice.prompt_tokens);
    if (choice.fits) {
        text += ", " + with_commas(choice.room) + " are left for the answer";
    } else {
        text += "; still " + tokens_text(report.reserve - choice.room) + " too many";
    }
    return text;
}

std::string quoted(const std::string& text) {
    return "\u201C" + title_from(text, 28) + "\u201D";
}

Line line_of(const OverflowChoice& choice, const OverflowView& view) {
    const auto& messages = view.conversation.messages;
    const OverflowReport& report = view.report;
    switch (choice.kind) {
        case OverflowChoice::Kind::trim_turns: {
            std::vector<size_t> questions;
            bool files = false;
            for (const size_t at : choice.messages) {
                if (messages[at].role == runtime::Role::user) {
                    questions.push_back(at);
                }
                files = files || !messages[at].attachments.empty();
            }
            const size_t count = std::max<size_t>(1, questions.size());
            std::string which;
            if (!questions.empty()) {
                which = quoted(messages[questions.front()].content);
                if (questions.size() > 1) {
                    which += " to " + quoted(messages[questions.back()].content);
                }
                which += ": ";
            }
            return {count == 1 ? "Leave out the oldest turn"
                               : "Leave out the " + std::to_string(count) + " oldest turns",
                    which + effect(choice, report) + (files ? "; attached files stay" : "")};
        }
        case OverflowChoice::Kind::drop_thinking:
            return {"Leave out earlier thinking", effect(choice, report)};
        case OverflowChoice::Kind::drop_attachment:
            return {
                "Leave out " +
                    messages[choice.attachment.first].attachments[choice.attachment.second].name,
                effect(choice, report)};
        case OverflowChoice::Kind::less_room:
            return {"Send all of it", "leaves " + tokens_text(choice.room) +
                                          " for the answer instead of " +
                                          with_commas(report.reserve)};
        case OverflowChoice::Kind::raise_limit:
            return {"Raise the context to " + with_commas(choice.limit),
                    "takes " + bytes_text(choice.bytes) +
                        (choice.possible ? " more; the model is loaded again"
                                         : " more, which is not free"),
                    choice.possible};
        case OverflowChoice::Kind::new_conversation: {
            bool files = false;
            for (size_t i = 0; i + 1 < messages.size(); i++) {
                files = files || !messages[i].attachments.empty();
            }
            return {"Ask in a new conversation",
                    std::string(files ? "with the same files, whose pages in the cache are shared: "
                                      : "without what was said here: ") +
                        tokens_text(choice.prompt_tokens) +
                        (choice.fits ? "" : ", still too many")};
        }
    }
    return {};
}

std::string headline(const OverflowView& view) {
    const OverflowReport& report = view.report;
    std::string text = view.of == OverflowView::Of::continuation ? "To go on, the answer needs "
                                                                 : "This prompt needs ";
    text += tokens_text(report.prompt_tokens);
    if (report.reserve > 0) {
        text += " and " + with_commas(report.reserve) + " kept for the answer";
    }
    return text + "; the context holds " + with_commas(report.limit) + ": " +
           with_commas(report.excess()) + " too many.";
}

}  // namespace

float draw_overflow_card(AppState& state, float x, float y, float width) {
    const float scale = state.fonts.scale;
    const auto px = [scale](float units) { return std::round(units * scale); };
    ImDrawList* list = ImGui::GetWindowDrawList();
    const OverflowView& view = *state.chat.overflow;
    const float pad = px(14), row = px(44), inner = width - 2 * pad;
    const std::string head = headline(view);
    const float head_height = draw_wrapped(nullptr, state.fonts.body, {}, inner, 0, head);
    // A choice is a title and what it does, all of it: it is what one decides by.
    std::vector<Line> lines;
    float rows = 0;
    for (const OverflowChoice& choice : view.report.choices) {
        Line& line = lines.emplace_back(line_of(choice, view));
        line.height = row - font_size(state.fonts.small) +
                      draw_wrapped(nullptr, state.fonts.small, {}, inner, 0, line.detail);
        rows += line.height;
    }
    const float height = pad * 2 + head_height + px(30) + rows + px(38);
    list->AddRectFilled({x, y}, {x + width, y + height}, colour::kCard, px(10));
    list->AddRect({x, y}, {x + width, y + height}, colour::kWarningLine, px(10));
    draw_wrapped(list, state.fonts.body, {x + pad, y + pad - px(3)}, inner, colour::kText, head);
    float at = y + pad + head_height + px(4);
    draw_text(list, state.fonts.small, {x + pad, at}, colour::kTextDim,
              "Nothing was sent and nothing was left out. You decide:");
    at += px(26);
    int chosen = -1;
    for (size_t i = 0; i < view.report.choices.size(); i++) {
        const Line& line = lines[i];
        ImGui::PushID(static_cast<int>(i));
        Click click;
        if (line.enabled) {
            click = click_area("choice", {x + px(6), at}, {width - px(12), line.height - px(2)});
        }
        ImGui::PopID();
        if (click.hovered) {
            list->AddRectFilled({x + px(6), at}, {x + width - px(6), at + line.height - px(2)},
                                colour::kHover, px(6));
        }
        draw_text(list, state.fonts.body, {x + pad, at + px(4)},
                  line.enabled ? colour::kAccentText : colour::kTextDim,
                  ellipsize(state.fonts.body, line.title, inner));
        draw_wrapped(list, state.fonts.small, {x + pad, at + px(23)}, inner, colour::kTextSoft,
                     line.detail);
        if (click.clicked) {
            chosen = static_cast<int>(i);
        }
        at += line.height;
    }
    ButtonLook look;
    look.font = state.fonts.small;
    look.text = colour::kTextSoft;
    look.border = colour::kLine;
    if (button(state, "overflow_cancel", {x + pad, at + px(4)}, "Cancel, I will shorten it", look)
            .clicked) {
        state.chat.actions->cancel_overflow();
    } else if (chosen >= 0) {
        state.chat.actions->choose_overflow(static_cast<size_t>(chosen));
    }
    return height + px(10);
}

}  // namespace app::window
