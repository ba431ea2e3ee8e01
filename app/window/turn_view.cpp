#include "app/window/turn_view.h"

#include <algorithm>

#include "app/window/attachment_words.h"
#include "app/window/compat.h"
#include "app/window/format.h"
#include "app/window/text_run.h"
#include "app/window/turn_bar.h"
#include "app/window/utf8.h"
#include "app/window/widgets.h"

namespace app::window {
namespace {

void act_on(AppState& state, const TextEvent& event) {
    if (event.kind == TextEvent::Kind::open_link && !state.reading.selection.exists()) {
        state.actions->open_link(event.text);
    } else if (event.kind == TextEvent::Kind::copy_code) {
        copy_and_note(state, event.text, "code");
    }
}

// What is selected and found in one text.
TextMarks marks_of(const AppState& state, int message, int part) {
    TextMarks marks;
    const ChatSelection& selection = state.reading.selection;
    const TextPlace low{message, part, 0}, high{message, part, ~size_t{0}};
    if (selection.exists() && selection.begin() <= high && low <= selection.end()) {
        marks.selected.begin = selection.begin() < low ? 0 : selection.begin().source;
        marks.selected.end = high < selection.end() ? ~size_t{0} : selection.end().source;
    }
    const FindView& find = state.reading.find;
    if (find.open && !find.matches.empty()) {
        const auto at = [](const FindView::Match& match) {
            return std::pair(match.message, match.part);
        };
        const auto key = std::pair(message, part);
        const auto first = std::partition_point(find.matches.begin(), find.matches.end(),
                                                [&](const auto& m) { return at(m) < key; });
        const auto last = std::partition_point(first, find.matches.end(),
                                               [&](const auto& m) { return at(m) <= key; });
        marks.found = std::span(find.ranges)
                          .subspan(static_cast<size_t>(first - find.matches.begin()),
                                   static_cast<size_t>(last - first));
        if (find.current < find.matches.size() && at(find.matches[find.current]) == key) {
            marks.current = find.matches[find.current].range;
        }
    }
    return marks;
}

// A text at the pen; the pen does not move.
void draw_text_view(
    Pen& pen, TextView& view, size_t index, int part, float x, float y, float width) {
    if (!pen.drawing || y + view.height() < pen.clip_top || y > pen.clip_bottom) {
        return;
    }
    pen.areas->push_back({static_cast<int>(index), part, &view, {x, y}, width});
    const TextEvent event = view.draw(pen.list, {x, y}, pen.clip_top, pen.clip_bottom, pen.hovered,
                                      marks_of(pen.state, static_cast<int>(index), part));
    act_on(pen.state, event);
    if (!event.over_link.empty() && !event.over_link.starts_with("file:")) {
        tooltip(pen.state, event.over_link);  // where it leads, before it is followed
    }
}

TextStyle style_of(const AppState& state, float width, ImU32 colour, bool links) {
    return {width,
            &state.fonts,
            colour,
            links ? &state.links : nullptr,
            state.links_revision,
            state.reading.until};
}

void user_message(Pen& pen, const Message& message, MessageLayout& layout, size_t index) {
    AppState& state = pen.state;
    const float pad = pen.px(14);
    layout.content.update(message.content, message.revision,
                          style_of(state, pen.width - 2 * pad, colour::kText, false));
    const float chip_height = pen.px(27);
    const float chips = static_cast<float>(message.attachments.size()) * (chip_height + pen.px(8));
    const float height =
        pad * 2 - pen.px(4) + chips + (message.content.empty() ? 0 : layout.content.height());
    float y = pen.y + pad - pen.px(3);
    layout.content_y = y + chips;
    if (pen.sees(height)) {
        pen.list->AddRectFilled({pen.x, pen.y}, {pen.x + pen.width, pen.y + height},
                                colour::kUserCard, pen.px(10));
        for (const Attachment& attachment : message.attachments) {
            const std::string label = attachment_words(attachment);
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
        draw_text_view(pen, layout.content, index, TextPlace::content, pen.x + pad, y,
                       pen.width - 2 * pad);
    }
    pen.y += height;
}

// The last words that fit into `room`.
std::string tail_of(ImFont* font, const std::string& text, float room) {
    std::string tail =
        text.size() > 400 ? text.substr(character_begin(text, text.size() - 400)) : text;
    const bool whole = tail.size() == text.size();
    std::replace(tail.begin(), tail.end(), '\n', ' ');
    float width = run_width(font, tail);
    size_t begin = 0;
    while (begin < tail.size() && width > room) {
        const RunUnit unit = run_unit(font, tail, begin);
        width -= unit.advance;
        begin = unit.end;
    }
    return (whole && begin == 0 ? "" : "\u2026 ") + tail.substr(begin);
}

// One line that unfolds: "Thought for 6.2 s ... the last words".
void thinking(
    Pen& pen, const Message& message, MessageLayout& layout, size_t index, bool thinking_now) {
    AppState& state = pen.state;
    const float line_height = pen.px(28);
    const double ms = thinking_now ? state.generation.thinking_ms : message.stats.thinking_ms;
    std::string label = thinking_now ? "Thinking" : "Thought";
    if (ms >= 50) {
        label += thinking_now ? " \u00B7 " + seconds_text(ms) : " for " + seconds_text(ms);
    }
    const bool was_open = layout.thinking_open;
    if (pen.sees(line_height)) {
        ImGui::PushID(static_cast<int>(index));
        const Click click = click_area("thinking", {pen.x, pen.y}, {pen.width, line_height});
        ImGui::PopID();
        if (click.clicked) {
            layout.thinking_open = !layout.thinking_open;
            state.follow = state.follow && state.generation.busy();
            state.wants_frame = true;
        }
        const ImU32 ink = click.hovered ? colour::kText : colour::kTextSoft;
        pen.list->AddRectFilled({pen.x, pen.y + pen.px(3)},
                                {pen.x + pen.px(2), pen.y + line_height - pen.px(3)},
                                colour::kActive);
        draw_triangle(pen.list, {pen.x + pen.px(17), pen.y + line_height / 2}, pen.px(9),
                      layout.thinking_open, ink);
        const float x = pen.x + pen.px(28);
        draw_text(pen.list, state.fonts.body, {x, centred(state.fonts.body, pen.y, line_height)},
                  ink, label);
        if (!layout.thinking_open) {
            const float tail_x = x + text_width(state.fonts.body, label) + pen.px(10);
            draw_text(pen.list, state.fonts.body,
                      {tail_x, centred(state.fonts.body, pen.y, line_height)}, colour::kTextDim,
                      tail_of(state.fonts.body, message.reasoning,
                              pen.x + pen.width - tail_x - pen.px(16)));
        }
    }
    pen.y += line_height;
    if (was_open) {
        const float indent = pen.px(28);
        layout.reasoning.update(message.reasoning, message.revision,
                                style_of(state, pen.width - indent, colour::kTextSoft, true));
        pen.y += pen.px(2);
        layout.reasoning_y = pen.y;
        const float height = layout.reasoning.height();
        if (pen.sees(height)) {
            pen.list->AddRectFilled({pen.x, pen.y - pen.px(5)}, {pen.x + pen.px(2), pen.y + height},
                                    colour::kActive);
            draw_text_view(pen, layout.reasoning, index, TextPlace::reasoning, pen.x + indent,
                           pen.y, pen.width - indent);
        }
        pen.y += height;
    }
    pen.y += pen.px(8);
}

// A card with what the model called; unfolded it shows each argument whole.
void tool_calls(Pen& pen, const Message& message, MessageLayout& layout, size_t index) {
    AppState& state = pen.state;
    ImFont* font = state.fonts.mono;
    const bool open = layout.calls_open;
    for (size_t k = 0; k < message.tool_calls.size(); k++) {
        const runtime::ToolCall& call = message.tool_calls[k];
        std::string line, whole;
        for (const runtime::ToolArgument& argument : call.arguments) {
            line += (line.empty() ? "" : ", ") + argument.key + ": " + argument.value;
            whole += (whole.empty() ? "" : "\n") + argument.key + ": " + argument.value;
        }
        std::replace(line.begin(), line.end(), '\n', ' ');
        const float head = pen.px(36), pad = pen.px(14);
        const float body =
            open && !whole.empty()
                ? draw_wrapped(nullptr, font, {}, pen.width - 2 * pad, 0, whole) + pen.px(12)
                : 0;
        if (pen.sees(head + body)) {
            const ImVec2 low{pen.x, pen.y}, high{pen.x + pen.width, pen.y + head + body};
            pen.list->AddRectFilled(low, high, colour::kCard, pen.px(8));
            pen.list->AddRect(low, high, colour::kLine, pen.px(8));
            ImGui::PushID(static_cast<int>(index));
            ImGui::PushID(static_cast<int>(k));
            const Click click = click_area("call", low, {pen.width, head});
            ImGui::PopID();
            ImGui::PopID();
            if (click.clicked) {
                layout.calls_open = !layout.calls_open;
                state.wants_frame = true;
            }
            draw_triangle(pen.list, {low.x + pen.px(19), low.y + head / 2}, pen.px(9), open,
                          click.hovered ? colour::kText : colour::kTextSoft);
            float x = low.x + pen.px(34);
            draw_text(pen.list, font, {x, centred(font, low.y, head)}, colour::kAccentText,
                      call.name);
            x += text_width(font, call.name) + pen.px(12);
            if (!open) {
                draw_text(pen.list, font, {x, centred(font, low.y, head)}, colour::kTextSoft,
                          ellipsize(font, line, high.x - pad - x));
            } else {
                draw_wrapped(pen.list, font, {low.x + pad, low.y + head}, pen.width - 2 * pad,
                             colour::kTextSoft, whole);
            }
        }
        pen.y += head + body + pen.px(8);
    }
}

// What is done before the first token: words, how far, how long still.
void progress(Pen& pen) {
    AppState& state = pen.state;
    const GenerationView& generation = state.generation;
    ReadingView& chat = state.reading;
    std::string text;
    float part = -1;
    switch (generation.phase) {
        case GenerationView::Phase::preparing:
            text = "Preparing the prompt";
            break;
        case GenerationView::Phase::waiting:
            text = "Waiting for the engine";
            break;
        case GenerationView::Phase::reading: {
            const double now = ImGui::GetTime();
            if (chat.reading_since < 0 || generation.prompt_done < chat.reading_from) {
                chat.reading_since = now;
                chat.reading_from = generation.prompt_done;
            }
            // What came from the cache was there at once: it is no part of the work.
            const auto fresh = static_cast<double>(generation.prompt_total - chat.reading_from);
            const auto done = static_cast<double>(generation.prompt_done - chat.reading_from);
            part = fresh > 0 ? static_cast<float>(std::clamp(done / fresh, 0.0, 1.0)) : 1.0F;
            text = "Reading " + with_commas(generation.prompt_done) + " of " +
                   with_commas(generation.prompt_total) + " tokens \u00B7 " +
                   std::to_string(static_cast<int>(part * 100)) + " %";
            const double elapsed = now - chat.reading_since;
            if (done > 0 && elapsed > 0.5) {
                text += " \u00B7 about " + seconds_text(elapsed * (fresh - done) / done * 1000) +
                        " left \u00B7 " + with_commas(std::llround(done / elapsed)) + " tok/s";
            }
            break;
        }
        default:
            chat.reading_since = -1;
            return;
    }
    if (generation.phase != GenerationView::Phase::reading) {
        chat.reading_since = -1;
    }
    if (pen.sees(pen.px(40))) {
        draw_text(pen.list, state.fonts.body, {pen.x, pen.y + pen.px(4)}, colour::kTextDim, text);
        if (part >= 0) {
            const float y = pen.y + pen.px(30), width = std::min(pen.width, pen.px(360));
            pen.list->AddRectFilled({pen.x, y}, {pen.x + width, y + pen.px(4)}, colour::kTrack,
                                    pen.px(2));
            pen.list->AddRectFilled({pen.x, y}, {pen.x + width * part, y + pen.px(4)},
                                    colour::kKeys, pen.px(2));
        }
    }
    pen.y += pen.px(40);
}

void notice(Pen& pen, std::string_view text, bool error) {
    const float pad = pen.px(12);
    ImFont* font = pen.state.fonts.body;
    const float height =
        draw_wrapped(nullptr, font, {}, pen.width - 2 * pad, 0, text) + 2 * pad - pen.px(4);
    if (pen.sees(height)) {
        pen.list->AddRectFilled({pen.x, pen.y}, {pen.x + pen.width, pen.y + height},
                                error ? colour::kErrorCard : colour::kCard, pen.px(8));
        pen.list->AddRect({pen.x, pen.y}, {pen.x + pen.width, pen.y + height},
                          error ? colour::kErrorLine : colour::kLine, pen.px(8));
        draw_wrapped(pen.list, font, {pen.x + pad, pen.y + pad - pen.px(2)}, pen.width - 2 * pad,
                     error ? colour::kError : colour::kTextSoft, text);
    }
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
void footer(Pen& pen, const Message& message, size_t index, bool last, float top) {
    AppState& state = pen.state;
    const float height = pen.px(kTurnBar);
    if (pen.sees(height)) {
        std::string line = stats_line(message.stats);
        if (message.state == MessageState::stopped) {
            line = "stopped" + (line.empty() ? "" : " \u00B7 " + line);
        } else if (message.state == MessageState::cut) {
            line = "cut at the limit" + (line.empty() ? "" : " \u00B7 " + line);
        }
        const float right = turn_words(pen, message, index, last, top);
        draw_text(pen.list, state.fonts.small, {pen.x, centred(state.fonts.small, pen.y, height)},
                  colour::kTextDim, ellipsize(state.fonts.small, line, right - pen.x - pen.px(8)));
    }
    pen.y += height;
}

void answer(Pen& pen, const Message& message, MessageLayout& layout, size_t index, bool last) {
    AppState& state = pen.state;
    const float top = pen.y;
    const bool streaming = message.state == MessageState::streaming;
    const bool thinking_now = streaming && state.generation.thinking;
    if (!message.reasoning.empty()) {
        thinking(pen, message, layout, index, thinking_now);
    }
    if (!message.content.empty()) {
        layout.content.update(message.content, message.revision,
                              style_of(state, pen.width, colour::kText, true));
        layout.content_y = pen.y;
        draw_text_view(pen, layout.content, index, TextPlace::content, pen.x, pen.y, pen.width);
        if (pen.sees(layout.content.height()) && streaming && !thinking_now) {
            const ImVec2 end = layout.content.end();
            const float line = layout.content.end_line_height();
            const float caret = pen.px(18);
            const float x = std::min(pen.x + end.x + pen.px(2), pen.x + pen.width - pen.px(9));
            const float y = std::round(pen.y + end.y + (line - caret) / 2);
            pen.list->AddRectFilled({x, y}, {x + pen.px(9), y + caret}, colour::kAccentText,
                                    pen.px(1));
        }
        pen.y += layout.content.height() + pen.px(10);
    }
    tool_calls(pen, message, layout, index);
    if (streaming) {
        progress(pen);
        if (state.generation.phase == GenerationView::Phase::writing &&
            state.generation.tokens_per_second > 0) {
            if (pen.sees(pen.px(24))) {
                draw_text(pen.list, state.fonts.small, {pen.x, pen.y + pen.px(4)}, colour::kTextDim,
                          fixed(state.generation.tokens_per_second, 1) + " tok/s");
            }
            pen.y += pen.px(24);
        }
        return;
    }
    if (message.state == MessageState::failed) {
        notice(pen, message.error.empty() ? "The answer failed." : message.error, true);
    } else if (message.content.empty() && message.tool_calls.empty() &&
               message.state == MessageState::complete) {
        notice(pen, "The model ended its turn without an answer.", false);
    }
    footer(pen, message, index, last, top);
}

// What a tool gave back, or a system prompt of an imported conversation: one line that unfolds.
void aside(Pen& pen, const Message& message, MessageLayout& layout, size_t index) {
    AppState& state = pen.state;
    const float line = pen.px(28);
    const bool open = layout.thinking_open;
    if (pen.sees(line)) {
        ImGui::PushID(static_cast<int>(index));
        const Click click = click_area("aside", {pen.x, pen.y}, {pen.width, line});
        ImGui::PopID();
        if (click.clicked) {
            layout.thinking_open = !layout.thinking_open;
            state.wants_frame = true;
        }
        draw_triangle(pen.list, {pen.x + pen.px(17), pen.y + line / 2}, pen.px(9), open,
                      colour::kTextSoft);
        const std::string label =
            std::string(message.role == runtime::Role::tool ? "Result of the tool"
                                                            : "System prompt") +
            " \u00B7 " + with_commas(static_cast<int64_t>(message.content.size())) + " bytes";
        draw_text(pen.list, state.fonts.body,
                  {pen.x + pen.px(28), centred(state.fonts.body, pen.y, line)}, colour::kTextSoft,
                  label);
    }
    pen.y += line;
    if (open) {
        const float indent = pen.px(28);
        layout.content.update(message.content, message.revision,
                              style_of(state, pen.width - indent, colour::kTextSoft, true));
        layout.content_y = pen.y;
        draw_text_view(pen, layout.content, index, TextPlace::content, pen.x + indent, pen.y,
                       pen.width - indent);
        pen.y += layout.content.height();
    }
}

}  // namespace

void turn(Pen& pen, size_t index) {
    AppState& state = pen.state;
    const auto& messages = state.conversation.messages;
    const Message& message = messages[index];
    MessageLayout& layout = state.layouts[index];
    const float top = pen.y;
    layout.content_y = layout.reasoning_y = top;
    switch (message.role) {
        case runtime::Role::user:
            user_message(pen, message, layout, index);
            turn_words(pen, message, index, false, top);
            pen.y += pen.px(kTurnBar + 4);
            break;
        case runtime::Role::assistant:
            answer(pen, message, layout, index, index + 1 == messages.size());
            pen.y += pen.px(24);
            break;
        case runtime::Role::system:
        case runtime::Role::tool:
            aside(pen, message, layout, index);
            pen.y += pen.px(12);
            break;
    }
    view_marker(pen, index);
    layout.content_y -= top;
    layout.reasoning_y -= top;
    layout.height = pen.y - top;
    layout.width = pen.width;
    layout.revision = message.revision;
    layout.fonts_generation = state.fonts.generation;
    layout.measured = true;
}

}  // namespace app::window
