// The conversation: what people asked in cards, answers as text, and the figures of each answer.
#include <algorithm>
#include <cmath>

#include "app/window/app_state.h"
#include "app/window/format.h"
#include "app/window/widgets.h"

namespace app::window {
namespace {

constexpr float kColumn = 760, kMargin = 24;

// Where the next thing goes and what is in sight.
struct Pen {
    AppState& state;
    ImDrawList* list;
    float x, y, width;
    float clip_top, clip_bottom;
    bool hovered;
    float px(float units) const { return std::round(units * state.fonts.scale); }
    bool sees(float height) const { return y + height >= clip_top && y <= clip_bottom; }
};

void act_on(AppState& state, const TextEvent& event) {
    if (event.kind == TextEvent::Kind::open_link) {
        state.actions->open_link(event.text);
    } else if (event.kind == TextEvent::Kind::copy_code) {
        copy_and_note(state, event.text, "code");
    }
}

std::string attachment_label(const Attachment& attachment) {
    const auto included = std::count_if(attachment.files.begin(), attachment.files.end(),
                                        [](const AttachedFile& f) { return f.included; });
    const std::string files = included == 1 ? "1 file" : with_commas(included) + " files";
    return files + " \u00B7 " + with_commas(attachment.tokens) + " tokens";
}

void draw_user_message(Pen& pen, const Message& message, MessageLayout& layout) {
    AppState& state = pen.state;
    const float pad = pen.px(14);
    layout.content.update(message.content, message.revision, pen.width - 2 * pad, state.fonts,
                          colour::kText);
    const float chip_height = pen.px(27);
    const float chips = static_cast<float>(message.attachments.size()) * (chip_height + pen.px(8));
    const float height =
        pad * 2 - pen.px(4) + chips + (message.content.empty() ? 0 : layout.content.height());
    if (pen.sees(height)) {
        pen.list->AddRectFilled({pen.x, pen.y}, {pen.x + pen.width, pen.y + height},
                                colour::kUserCard, pen.px(10));
        float y = pen.y + pad - pen.px(3);
        for (const Attachment& attachment : message.attachments) {
            const std::string label = attachment_label(attachment);
            const std::string name = ellipsize(state.fonts.body, attachment.name, pen.width * 0.5F);
            const float name_width = text_width(state.fonts.body, name);
            const float width = pen.px(26) + name_width + pen.px(8) +
                                text_width(state.fonts.small, label) + pen.px(10);
            const ImVec2 low{pen.x + pad, y}, high{pen.x + pad + width, y + chip_height};
            pen.list->AddRectFilled(low, high, colour::kAccentCard, pen.px(5));
            pen.list->AddRect(low, high, colour::kAccentLine, pen.px(5));
            const float box = pen.px(9);
            pen.list->AddRect({low.x + pen.px(10), low.y + (chip_height - box) / 2},
                              {low.x + pen.px(10) + box, low.y + (chip_height + box) / 2},
                              colour::kTextSoft, pen.px(2));
            draw_text(pen.list, state.fonts.body,
                      {low.x + pen.px(26), centred(state.fonts.body, low.y, chip_height)},
                      colour::kText, name);
            draw_text(
                pen.list, state.fonts.small,
                {low.x + pen.px(34) + name_width, centred(state.fonts.small, low.y, chip_height)},
                colour::kTextDim, label);
            y += chip_height + pen.px(8);
        }
        act_on(state, layout.content.draw(pen.list, {pen.x + pad, y}, pen.clip_top, pen.clip_bottom,
                                          pen.hovered));
    }
    pen.y += height;
}

// One line that unfolds: "Thought for 6.2 s ... the last words".
void draw_thinking(
    Pen& pen, const Message& message, MessageLayout& layout, size_t index, bool thinking_now) {
    AppState& state = pen.state;
    const float line_height = pen.px(26);
    const double ms = thinking_now ? state.generation.thinking_ms : message.stats.thinking_ms;
    std::string label = thinking_now ? "Thinking" : "Thought";
    if (ms >= 50) {
        label += thinking_now ? " \u00B7 " + seconds_text(ms) : " for " + seconds_text(ms);
    }
    if (pen.sees(line_height)) {
        ImGui::PushID(static_cast<int>(index));
        const Click click = click_area("thinking", {pen.x, pen.y}, {pen.width, line_height});
        ImGui::PopID();
        if (click.clicked) {
            layout.thinking_open = !layout.thinking_open;
        }
        const ImU32 ink = click.hovered ? colour::kText : colour::kTextSoft;
        pen.list->AddRectFilled({pen.x, pen.y + pen.px(2)},
                                {pen.x + pen.px(2), pen.y + line_height - pen.px(2)},
                                colour::kActive);
        draw_triangle(pen.list, {pen.x + pen.px(17), pen.y + line_height / 2}, pen.px(9),
                      layout.thinking_open, ink);
        const float x = pen.x + pen.px(28);
        draw_text(pen.list, state.fonts.body, {x, centred(state.fonts.body, pen.y, line_height)},
                  ink, label);
        if (!layout.thinking_open) {
            // The live tail: as many of the last characters as fit, on one line.
            const float tail_x = x + text_width(state.fonts.body, label) + pen.px(10);
            const float room = pen.x + pen.width - tail_x;
            std::string tail = message.reasoning.size() > 400
                                   ? message.reasoning.substr(message.reasoning.size() - 400)
                                   : message.reasoning;
            std::replace(tail.begin(), tail.end(), '\n', ' ');
            size_t begin = 0;
            const bool whole = tail.size() == message.reasoning.size();
            while (begin < tail.size() &&
                   ((static_cast<unsigned char>(tail[begin]) & 0xC0) == 0x80 ||
                    text_width(state.fonts.body, std::string_view(tail).substr(begin)) >
                        room - pen.px(16))) {
                begin++;
            }
            draw_text(pen.list, state.fonts.body,
                      {tail_x, centred(state.fonts.body, pen.y, line_height)}, colour::kTextDim,
                      (whole && begin == 0 ? "" : "\u2026 ") + tail.substr(begin));
        }
    }
    pen.y += line_height;
    if (layout.thinking_open) {
        const float indent = pen.px(28);
        layout.reasoning.update(message.reasoning, message.revision, pen.width - indent,
                                state.fonts, colour::kTextSoft);
        pen.y += pen.px(2);
        if (pen.sees(layout.reasoning.height())) {
            act_on(state, layout.reasoning.draw(pen.list, {pen.x + indent, pen.y}, pen.clip_top,
                                                pen.clip_bottom, pen.hovered));
            pen.list->AddRectFilled({pen.x, pen.y - pen.px(4)},
                                    {pen.x + pen.px(2), pen.y + layout.reasoning.height()},
                                    colour::kActive);
        }
        pen.y += layout.reasoning.height();
    }
    pen.y += pen.px(6);
}

void draw_tool_calls(Pen& pen, const Message& message) {
    AppState& state = pen.state;
    for (const runtime::ToolCall& call : message.tool_calls) {
        std::string arguments;
        for (const runtime::ToolArgument& argument : call.arguments) {
            arguments += (arguments.empty() ? "" : ", ") + argument.key + ": " + argument.value;
        }
        const float height = pen.px(32);
        if (pen.sees(height)) {
            pen.list->AddRectFilled({pen.x, pen.y}, {pen.x + pen.width, pen.y + height},
                                    colour::kCard, pen.px(8));
            pen.list->AddRect({pen.x, pen.y}, {pen.x + pen.width, pen.y + height}, colour::kLine,
                              pen.px(8));
            const float name_width = text_width(state.fonts.mono, call.name);
            draw_text(pen.list, state.fonts.mono,
                      {pen.x + pen.px(14), centred(state.fonts.mono, pen.y, height)},
                      colour::kAccentText, call.name);
            const float x = pen.x + pen.px(14) + name_width + pen.px(12);
            draw_text(pen.list, state.fonts.mono, {x, centred(state.fonts.mono, pen.y, height)},
                      colour::kTextSoft,
                      ellipsize(state.fonts.mono, arguments, pen.x + pen.width - pen.px(12) - x));
        }
        pen.y += height + pen.px(8);
    }
}

// What is done before the first token: a thin bar and words.
void draw_progress(Pen& pen) {
    const GenerationView& generation = pen.state.generation;
    std::string text;
    float part = -1;
    switch (generation.phase) {
        case GenerationView::Phase::preparing:
            text = "Preparing the prompt";
            break;
        case GenerationView::Phase::waiting:
            text = "Waiting for the engine";
            break;
        case GenerationView::Phase::reading:
            text = "Reading " + with_commas(generation.prompt_done) + " of " +
                   with_commas(generation.prompt_total) + " tokens";
            part = generation.prompt_total > 0 ? static_cast<float>(generation.prompt_done) /
                                                     static_cast<float>(generation.prompt_total)
                                               : 0;
            break;
        default:
            return;
    }
    draw_text(pen.list, pen.state.fonts.body, {pen.x, pen.y + pen.px(4)}, colour::kTextDim, text);
    if (part >= 0) {
        const float y = pen.y + pen.px(30), width = std::min(pen.width, pen.px(320));
        pen.list->AddRectFilled({pen.x, y}, {pen.x + width, y + pen.px(3)}, colour::kTrack,
                                pen.px(2));
        pen.list->AddRectFilled({pen.x, y}, {pen.x + width * part, y + pen.px(3)}, colour::kKeys,
                                pen.px(2));
    }
    pen.y += pen.px(40);
}

void draw_notice(Pen& pen, std::string_view text, bool error) {
    const float pad = pen.px(12);
    ImFont* font = pen.state.fonts.body;
    const float height =
        draw_wrapped(nullptr, font, {}, pen.width - 2 * pad, 0, text) + 2 * pad - pen.px(4);
    pen.list->AddRectFilled({pen.x, pen.y}, {pen.x + pen.width, pen.y + height},
                            error ? colour::kErrorCard : colour::kCard, pen.px(8));
    pen.list->AddRect({pen.x, pen.y}, {pen.x + pen.width, pen.y + height},
                      error ? colour::kErrorLine : colour::kLine, pen.px(8));
    draw_wrapped(pen.list, font, {pen.x + pad, pen.y + pad - pen.px(2)}, pen.width - 2 * pad,
                 error ? colour::kError : colour::kTextSoft, text);
    pen.y += height + pen.px(8);
}

std::string stats_line(const AnswerStats& stats) {
    std::string text;
    const auto add = [&](const std::string& part) {
        text += (text.empty() ? "" : " \u00B7 ") + part;
    };
    if (stats.tokens_per_second() > 0) {
        add(fixed(stats.tokens_per_second(), 1) + " tok/s");
    }
    if (stats.completion_tokens > 0) {
        add(with_commas(stats.completion_tokens) +
            (stats.completion_tokens == 1 ? " token" : " tokens"));
    }
    if (stats.first_token_ms > 0) {
        add("first token " + seconds_text(stats.first_token_ms));
    }
    if (stats.prompt_tokens > 0) {
        const int64_t fresh = stats.prompt_tokens - stats.cached_tokens;
        add(stats.cached_tokens > 0 ? "read " + with_commas(fresh) + " new of " +
                                          with_commas(stats.prompt_tokens) + " (" +
                                          percent_text(static_cast<double>(stats.cached_tokens) /
                                                       static_cast<double>(stats.prompt_tokens)) +
                                          " from cache)"
                                    : "read " + with_commas(stats.prompt_tokens));
    }
    return text;
}

// Figures and what can be done with the answer.
void draw_footer(Pen& pen, const Message& message, size_t index, bool last) {
    AppState& state = pen.state;
    const float height = pen.px(24);
    if (pen.sees(height)) {
        const std::string what = "message" + std::to_string(index);
        std::string line = stats_line(message.stats);
        if (message.state == MessageState::stopped) {
            line = "stopped" + (line.empty() ? "" : " \u00B7 " + line);
        } else if (message.state == MessageState::cut) {
            line = "cut at the limit" + (line.empty() ? "" : " \u00B7 " + line);
        }
        ButtonLook look;
        look.font = state.fonts.small;
        look.height = 24;
        look.pad_x = 7;
        look.text = colour::kTextDim;
        const std::string copy_label = just_copied(state, what) ? "Copied" : "Copy";
        const float copy_width = button_size(state, copy_label, look).x;
        const bool can_regenerate =
            last && !state.generation.busy() && state.model.state == ModelView::State::ready;
        const float again_width = can_regenerate ? button_size(state, "Regenerate", look).x : 0;
        ImGui::PushID(static_cast<int>(index));
        float right = pen.x + pen.width;
        if (can_regenerate) {
            right -= again_width;
            if (button(state, "regenerate", {right, pen.y}, "Regenerate", look).clicked) {
                state.chat.actions->regenerate(index);
            }
        }
        if (!message.content.empty()) {
            right -= copy_width;
            if (button(state, "copy", {right, pen.y}, copy_label, look).clicked) {
                copy_and_note(state, message.content, what);
            }
        }
        ImGui::PopID();
        draw_text(pen.list, state.fonts.small, {pen.x, centred(state.fonts.small, pen.y, height)},
                  colour::kTextDim, ellipsize(state.fonts.small, line, right - pen.x - pen.px(8)));
    }
    pen.y += height;
}

void draw_answer(Pen& pen, const Message& message, MessageLayout& layout, size_t index, bool last) {
    AppState& state = pen.state;
    const bool streaming = message.state == MessageState::streaming;
    const bool thinking_now = streaming && state.generation.thinking;
    if (!message.reasoning.empty()) {
        draw_thinking(pen, message, layout, index, thinking_now);
    }
    if (!message.content.empty()) {
        layout.content.update(message.content, message.revision, pen.width, state.fonts,
                              colour::kText);
        if (pen.sees(layout.content.height())) {
            act_on(state, layout.content.draw(pen.list, {pen.x, pen.y}, pen.clip_top,
                                              pen.clip_bottom, pen.hovered));
            if (streaming && !thinking_now) {
                const ImVec2 end = layout.content.end();
                const float line = layout.content.end_line_height();
                const float caret = pen.px(18), x = pen.x + end.x + pen.px(2);
                const float y = std::round(pen.y + end.y + (line - caret) / 2);
                pen.list->AddRectFilled({x, y}, {x + pen.px(9), y + caret}, colour::kAccentText,
                                        pen.px(1));
            }
        }
        pen.y += layout.content.height() + pen.px(10);
    }
    draw_tool_calls(pen, message);
    if (streaming) {
        draw_progress(pen);
        if (state.generation.phase == GenerationView::Phase::writing &&
            state.generation.tokens_per_second > 0) {
            draw_text(pen.list, state.fonts.small, {pen.x, pen.y + pen.px(4)}, colour::kTextDim,
                      fixed(state.generation.tokens_per_second, 1) + " tok/s");
            pen.y += pen.px(24);
        }
        return;
    }
    if (message.state == MessageState::failed) {
        draw_notice(pen, message.error.empty() ? "The answer failed." : message.error, true);
    } else if (message.content.empty() && message.tool_calls.empty() &&
               message.state == MessageState::complete) {
        draw_notice(pen, "The model ended its turn without an answer.", false);
    }
    draw_footer(pen, message, index, last);
}

// The first thing anybody sees.
void draw_welcome(AppState& state, ImVec2 at, ImVec2 size) {
    const float scale = state.fonts.scale;
    const auto px = [scale](float units) { return std::round(units * scale); };
    ImDrawList* list = ImGui::GetWindowDrawList();
    const float width = std::min(size.x - px(2 * kMargin), px(680));
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
        look.text = rgb(0xFFFFFF);
        look.height = 34;
        look.pad_x = 18;
        const ImVec2 box = button_size(state, "Choose a model", look);
        if (button(state, "choose", {std::round(x + (width - box.x) / 2), y}, "Choose a model",
                   look)
                .clicked) {
            state.actions->open_chooser();
        }
    }
    y += cards;
    if (!note.empty()) {
        y += px(14);
        const float pad = px(14), height = note_height - px(14);
        list->AddRectFilled({x, y}, {x + width, y + height}, colour::kWarningCard, px(8));
        list->AddRect({x, y}, {x + width, y + height}, colour::kWarningLine, px(8));
        draw_wrapped(list, state.fonts.small, {x + pad, std::round(y + px(10))}, width - 2 * pad,
                     rgb(0xD9BE8C), note);
    }
}

}  // namespace

void draw_chat(AppState& state, ImVec2 at, ImVec2 size) {
    const float scale = state.fonts.scale;
    const auto px = [scale](float units) { return std::round(units * scale); };
    float banners = 0;
    draw_banners(state, {at.x, at.y}, size.x, banners);
    at.y += banners;
    size.y -= banners;

    // The name holds the conversation, so that each keeps a scroll position of its own.
    const std::string id = "chat" + std::to_string(state.conversation_generation);
    begin_region(id.c_str(), at, size, true);
    if (state.conversation.messages.empty()) {
        draw_welcome(state, {at.x, at.y - ImGui::GetScrollY()}, size);
        ImGui::SetCursorScreenPos(at);
        ImGui::Dummy({1, 1});
        ImGui::EndChild();
        return;
    }
    const float scroll = ImGui::GetScrollY(), scroll_max = ImGui::GetScrollMaxY();
    // A turn of the wheel upwards lets go of the end; coming back to it takes hold again.
    if (ImGui::IsWindowHovered() && ImGui::GetIO().MouseWheel > 0) {
        state.follow = false;
    } else if (scroll >= scroll_max - px(4)) {
        state.follow = true;
    }

    // Room for the scrollbar is always kept, so that its coming and going does not change a line
    // break.
    const float width = std::min(px(kColumn), size.x - px(2 * kMargin) - px(4));
    Pen pen{state,
            ImGui::GetWindowDrawList(),
            std::round(at.x + (size.x - width) / 2),
            at.y - scroll + px(20),
            width,
            at.y,
            at.y + size.y,
            ImGui::IsWindowHovered()};
    const float begin = at.y - scroll;
    const auto& messages = state.conversation.messages;
    for (size_t i = 0; i < messages.size(); i++) {
        if (messages[i].role == runtime::Role::user) {
            draw_user_message(pen, messages[i], state.layouts[i]);
            pen.y += px(16);
        } else if (messages[i].role == runtime::Role::assistant) {
            draw_answer(pen, messages[i], state.layouts[i], i, i + 1 == messages.size());
            pen.y += px(20);
        }
    }
    ImGui::SetCursorScreenPos({at.x, begin});
    ImGui::Dummy({1, pen.y - begin});
    // The height is known now; ImGui clamps to its own maximum, which it knows from the last frame,
    // so ask beyond it.
    if (state.scroll_to_end || (state.follow && state.generation.busy())) {
        ImGui::SetScrollY(std::max(0.0F, pen.y - begin - size.y + px(8)));
        state.scroll_to_end = false;
    }
    if (state.generation.busy() && !state.follow) {
        ButtonLook look;
        look.fill = colour::kActive;
        look.hover = colour::kHover;
        look.text = colour::kText;
        look.rounding = 14;
        look.font = state.fonts.small;
        look.pad_x = 14;
        const ImVec2 pill = button_size(state, "\u2193 new text", look);
        if (button(state, "to_end",
                   {std::round(at.x + (size.x - pill.x) / 2), at.y + size.y - px(38)},
                   "\u2193 new text", look)
                .clicked) {
            state.follow = true;
            state.scroll_to_end = true;
        }
    }
    ImGui::EndChild();
}

}  // namespace app::window
