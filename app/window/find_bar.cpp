// Looking for words in the conversation on screen: the bar, and the search that goes on a little in
// every frame.
#include <algorithm>
#include <chrono>
#include <cmath>

#include "app/window/chat_parts.h"
#include "app/window/text_field.h"
#include "app/window/text_run.h"
#include "app/window/utf8.h"
#include "app/window/widgets.h"

namespace app::window {
namespace {

constexpr auto kBudget = std::chrono::microseconds(1500);  // of a frame
constexpr size_t kMostMatches = 20'000;
constexpr size_t kTaken = 8 << 10;  // bytes between two looks at the time

// Lower case where it takes as many bytes: Latin, Greek, Cyrillic.
std::string folded(std::string_view text) {
    std::string out(text);
    for (size_t i = 0; i < out.size(); i++) {
        const auto c = static_cast<unsigned char>(out[i]);
        if (c >= 'A' && c <= 'Z') {
            out[i] = static_cast<char>(c + 32);
        } else if (c >= 0xC3 && c <= 0xD1 && i + 1 < out.size()) {
            size_t next = 0;
            const uint32_t point = decode_utf8(out, i, next);
            uint32_t lower = point;
            if ((point >= 0xC0 && point <= 0xDE && point != 0xD7) ||
                (point >= 0x391 && point <= 0x3A9) || (point >= 0x410 && point <= 0x42F)) {
                lower = point + 32;
            } else if (point >= 0x400 && point <= 0x40F) {
                lower = point + 80;
            }
            if (lower != point) {
                out[i] = static_cast<char>(0xC0 | lower >> 6);
                out[i + 1] = static_cast<char>(0x80 | (lower & 63));
            }
            i = next - 1;
        }
    }
    return out;
}

void search(const RichText& rich, const std::string& words, std::vector<SourceRange>& out) {
    if (rich.text.size() < words.size()) {
        return;
    }
    const std::string text = folded(rich.text);
    size_t span = 0;
    for (size_t at = text.find(words); at != std::string::npos;
         at = text.find(words, at + words.size())) {
        const size_t end = at + words.size();
        const auto source = [&](size_t place, bool ending) {
            while (span + 1 < rich.spans.size() &&
                   (ending ? rich.spans[span].end < place : rich.spans[span].end <= place)) {
                span++;
            }
            const Span& s = rich.spans[span];
            const bool verbatim = s.end - s.begin == s.source_end - s.source;
            return verbatim ? s.source + (place - s.begin)
                   : ending ? static_cast<size_t>(s.source_end)
                            : static_cast<size_t>(s.source);
        };
        if (rich.spans.empty()) {
            return;
        }
        const size_t from = source(at, false);
        out.push_back({from, source(end, true)});
    }
}

void step_match(FindView& find, bool forward) {
    if (const size_t count = find.matches.size(); count > 0) {
        find.current = (find.current + (forward ? 1 : count - 1)) % count;
        find.shown = false;
    }
}

void restart(AppState& state) {
    FindView& find = state.reading.find;
    find.searched = find.query.text();
    find.conversation = state.conversation_generation;
    find.matches.clear();
    find.ranges.clear();
    find.marks.clear();
    find.next_message = 0;
    find.place.reset();
    find.current = 0;
    find.shown = false;
    find.complete = false;
}

void search(const std::vector<Block>& blocks,
            const std::string& words,
            std::vector<SourceRange>& out) {
    for (const Block& block : blocks) {
        search(block.rich, words, out);
        for (size_t r = block.repeats_head ? 1 : 0; r < block.rows.size(); r++) {
            for (const RichText& cell : block.rows[r]) {
                search(cell, words, out);
            }
        }
    }
}

// Goes on with the message at find.place; true when it is through.
bool search_message(FindView& find,
                    const Message& message,
                    std::chrono::steady_clock::time_point until) {
    FindView::Place& place = *find.place;
    const std::string wanted = folded(find.searched);
    while (place.part <= TextPlace::content) {
        const std::string_view text =
            place.part == TextPlace::reasoning ? message.reasoning : message.content;
        while (place.fed < text.size()) {
            const size_t end = std::min(text.size(), place.fed + kTaken);
            place.fed = end < text.size() ? character_begin(text, end) : end;
            place.cutter.feed(text.substr(0, place.fed));
            if (std::chrono::steady_clock::now() >= until) {
                return false;
            }
        }
        const auto& parts = place.cutter.parts();
        while (!text.empty() && place.next_part < parts.size()) {
            std::vector<SourceRange> ranges;
            search(blocks_of_part(text, place.cutter, place.next_part++), wanted, ranges);
            for (const SourceRange& range : ranges) {
                place.found.push_back({static_cast<int>(find.next_message), place.part, range});
            }
            if (std::chrono::steady_clock::now() >= until) {
                return false;
            }
        }
        place.part++;
        place.cutter = TextCutter();
        place.fed = place.next_part = 0;
    }
    return true;
}

}  // namespace

std::vector<SourceRange> find_in_text(std::string_view text, std::string_view words) {
    std::vector<SourceRange> out;
    const std::string wanted = folded(words);
    if (wanted.empty() || text.empty()) {
        return out;
    }
    const TextParts parts(text);
    for (size_t i = 0; i < parts.size(); i++) {
        search(parts.blocks(i), wanted, out);
    }
    return out;
}

void find_words(AppState& state, const std::string& words, int message) {
    FindView& find = state.reading.find;
    find.query.set(words);
    find.open = true;
    restart(state);
    find.next_message = 0;
    state.reading.anchor.message = message;
}

void draw_find_bar_input(AppState& state) {
    FindView& find = state.reading.find;
    if (find.requested) {
        find.requested = false;
        find.open = true;
        find.focused = true;
        state.composer_focused = false;
        // What is selected is what one looks for.
        const ChatSelection& selection = state.reading.selection;
        const bool few = selection.exists() &&
                         selection.begin().message == selection.end().message &&
                         selection.begin().part == selection.end().part &&
                         selection.end().source - selection.begin().source < 400;
        const std::string selected = few ? selected_text(state) : "";
        if (!selected.empty() && selected.size() < 100 &&
            selected.find('\n') == std::string::npos) {
            find.query.set(selected);
        }
        find.query.select_all();
        state.caret_since = ImGui::GetTime();
    }
    if (!find.open) {
        find.focused = false;
        return;
    }
    if (state.composer_focused || input_line_active()) {
        find.focused = false;
    }
}

void find_step(AppState& state) {
    FindView& find = state.reading.find;
    if (!find.open) {
        return;
    }
    if (find.searched != find.query.text() || find.conversation != state.conversation_generation) {
        restart(state);
    }
    const auto& messages = state.conversation.messages;
    if (find.searched.empty()) {
        find.complete = true;
        return;
    }
    // An answer that grew, or another branch: from there on again.
    for (size_t i = 0; i < find.marks.size(); i++) {
        if (i >= messages.size() || find.marks[i] != messages[i].revision) {
            const auto from = std::partition_point(
                find.matches.begin(), find.matches.end(),
                [&](const FindView::Match& m) { return static_cast<size_t>(m.message) < i; });
            find.ranges.resize(static_cast<size_t>(from - find.matches.begin()));
            find.matches.erase(from, find.matches.end());
            find.marks.resize(i);
            find.next_message = i;
            find.place.reset();
            find.complete = false;
            break;
        }
    }
    const auto until = std::chrono::steady_clock::now() + kBudget;
    while (find.next_message < messages.size() && find.matches.size() < kMostMatches &&
           std::chrono::steady_clock::now() < until) {
        const Message& message = messages[find.next_message];
        if (!find.place || find.place->revision != message.revision) {
            find.place.emplace().revision = message.revision;
        }
        if (!search_message(find, message, until)) {
            break;
        }
        for (const FindView::Match& match : find.place->found) {
            find.matches.push_back(match);
            find.ranges.push_back(match.range);
        }
        find.marks.push_back(message.revision);
        find.place.reset();
        find.next_message++;
    }
    find.complete = find.next_message >= messages.size() || find.matches.size() >= kMostMatches;
    if (!find.complete) {
        state.wants_frame = true;
    }
}

std::optional<FindView::Match> find_to_show(AppState& state) {
    FindView& find = state.reading.find;
    if (!find.open || find.shown || find.matches.empty()) {
        return std::nullopt;
    }
    if (find.current == 0) {
        // The first one that is not above what is in sight.
        const auto from = std::partition_point(
            find.matches.begin(), find.matches.end(),
            [&](const FindView::Match& m) { return m.message < state.reading.anchor.message; });
        if (from == find.matches.end() && !find.complete) {
            return std::nullopt;
        }
        find.current =
            from == find.matches.end() ? 0 : static_cast<size_t>(from - find.matches.begin());
    }
    find.current = std::min(find.current, find.matches.size() - 1);
    find.shown = true;
    return find.matches[find.current];
}

void draw_find_bar(AppState& state, ImVec2 at, ImVec2 size) {
    FindView& find = state.reading.find;
    if (!find.open) {
        return;
    }
    const auto px = [&](float units) { return std::round(units * state.fonts.scale); };
    ImDrawList* list = ImGui::GetWindowDrawList();
    const float width = std::min(px(400), size.x - px(32)), height = px(44);
    const ImVec2 low{at.x + size.x - width - px(20), at.y + px(12)};
    const ImVec2 high{low.x + width, low.y + height};
    list->AddRectFilled(low, high, colour::kCard, px(10));
    list->AddRect(low, high, find.focused ? colour::kAccentLine : colour::kLine, px(10));

    float right = high.x - px(8);
    const auto sign = [&](const char* id) {
        right -= px(28);
        return click_area(id, {right, low.y + px(8)}, {px(28), px(28)});
    };
    const auto arrow = [&](bool down, const Click& click) {
        const ImU32 ink = click.hovered ? colour::kText : colour::kTextSoft;
        const float x = right + px(14), y = low.y + px(22), r = px(4), d = down ? r : -r;
        const ImVec2 points[] = {{x - r, y - d / 2}, {x, y + d / 2}, {x + r, y - d / 2}};
        list->AddPolyline(points, 3, ink, 0, std::max(1.0F, 1.5F * state.fonts.scale));
    };
    const size_t count = find.matches.size();
    const Click close = sign("find_close");
    draw_cross(list, {right + px(14), low.y + px(22)}, px(9),
               close.hovered ? colour::kText : colour::kTextSoft,
               std::max(1.0F, 1.3F * state.fonts.scale));
    const Click next = sign("find_next");
    arrow(true, next);
    const Click previous = sign("find_previous");
    arrow(false, previous);
    if (next.clicked || previous.clicked) {
        step_match(find, next.clicked);
        state.wants_frame = true;
    }
    const std::string tally = find.searched.empty() ? ""
                              : count == 0
                                  ? (find.complete ? "none" : "\u2026")
                                  : std::to_string(find.current + 1) + " of " +
                                        std::to_string(count) + (find.complete ? "" : "\u2026");
    right -= px(6) + text_width(state.fonts.small, tally);
    draw_text(list, state.fonts.small, {right, centred(state.fonts.small, low.y, height)},
              count == 0 && find.complete ? colour::kWarning : colour::kTextDim, tally);

    const ImVec2 field{low.x + px(14), low.y + px(8)};
    const FieldEvent event =
        text_field(state, "find_field", find.query, find.focused, field,
                   {right - px(10) - field.x, px(28)}, "Find in this conversation");
    if (event == FieldEvent::entered) {
        step_match(find, !ImGui::GetIO().KeyShift);
    }
    if (event != FieldEvent::none) {
        state.wants_frame = true;
    }
    if (close.clicked || event == FieldEvent::escaped) {
        find.open = find.focused = false;
        state.composer_focused = true;
    }
}

}  // namespace app::window
