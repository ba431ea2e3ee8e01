// The strip at the bottom: where every byte of memory is, and what the context holds; a click opens
// the details. All figures come from make_gauge().
#include <algorithm>
#include <cmath>
#include <vector>

#include "app/window/app_state.h"
#include "app/window/format.h"
#include "app/window/gauge_draw.h"
#include "app/window/widgets.h"

namespace app::window {
namespace {

// A figure, and how soon it goes where there is no room for all: the highest first.
struct Figure {
    std::string text;
    int spare = 0;
};

// A line of figures, in order.
std::string fit(ImFont* font, std::vector<Figure> words, float room) {
    for (;;) {
        std::string line;
        for (const Figure& figure : words) {
            line += (line.empty() ? "" : " \u00B7 ") + figure.text;
        }
        if (words.size() <= 1 || text_width(font, line) <= room) {
            return ellipsize(font, line, room);
        }
        words.erase(std::max_element(words.begin(), words.end(), [](const Figure& a, const Figure& b) {
            return a.spare < b.spare;
        }));
    }
}

// K and what is free are what one looks for.
std::vector<Figure> memory_words(const GaugeRow& row) {
    const int64_t reserved = row.of(GaugeKind::kv_reserved);
    return {{"weights " + bytes_text(row.of(GaugeKind::weights)), 2},
            {"K " + bytes_text(row.of(GaugeKind::kv_used)) +
                 (reserved > 0 ? " (+" + bytes_text(reserved) + ")" : ""),
             1},
            {"compute " + bytes_text(row.of(GaugeKind::compute)), 3},
            {"window " + bytes_text(row.of(GaugeKind::window)), 5},
            {"others " + bytes_text(row.of(GaugeKind::others)), 4},
            {"free " + bytes_text(row.of(GaugeKind::free)), 0}};
}

// The sum comes last and stays; before it the largest shares are named last.
std::vector<Figure> context_words(const Gauge& gauge) {
    const GaugeRow& row = gauge.context;
    std::vector<Figure> words;
    for (const GaugeKind kind : {GaugeKind::system, GaugeKind::thinking, GaugeKind::codebase,
                                 GaugeKind::chat, GaugeKind::answer, GaugeKind::reserve}) {
        if (row.of(kind) > 0) {
            words.push_back({(kind == GaugeKind::reserve ? "reserve" : gauge_name(kind)) +
                                 std::string(" ") + with_commas(row.of(kind)),
                             kind == GaugeKind::system ? 2 : 1});
        }
    }
    if (row.excess > 0) {
        words.push_back({with_commas(row.excess) + " tokens too many"});
    } else {
        words.push_back(
            {with_commas(row.total - row.of(GaugeKind::context_free) - row.of(GaugeKind::reserve)) +
             " / " + with_commas(row.total)});
    }
    return words;
}

}  // namespace

ImU32 gauge_colour(GaugeKind kind) {
    switch (kind) {
        case GaugeKind::weights:
            return colour::kWeights;
        case GaugeKind::kv_used:
            return colour::kKeys;
        case GaugeKind::kv_reserved:
            return colour::kKeysReserved;
        case GaugeKind::compute:
            return colour::kCompute;
        case GaugeKind::window:
            return colour::kGood;
        case GaugeKind::others:
            return colour::kOthers;
        case GaugeKind::system:
            return colour::kSystem;
        case GaugeKind::codebase:
            return colour::kCodebase;
        case GaugeKind::chat:
            return colour::kChat;
        case GaugeKind::thinking:
            return colour::kCompute;
        case GaugeKind::answer:
            return colour::kGood;
        case GaugeKind::pending:
            return colour::kDraft;
        case GaugeKind::reserve:
            return colour::kReserve;
        case GaugeKind::free:
        case GaugeKind::context_free:
            return colour::kTrack;
    }
    return colour::kTrack;
}

const char* gauge_name(GaugeKind kind) {
    static constexpr const char* kNames[] = {
        "weights",  "K used", "K reserved", "compute",        "this window",
        "others",   "free",   "system",     "codebase",       "chat",
        "thinking", "answer", "not sent",   "answer reserve", "free"};
    return kNames[static_cast<size_t>(kind)];
}

// Draws the parts in order, to scale; what is not zero is at least two pixels wide.
void draw_gauge_bar(AppState& state, ImVec2 at, ImVec2 size, const GaugeRow& row, bool tokens) {
    const float scale = state.fonts.scale;
    ImDrawList* list = ImGui::GetWindowDrawList();
    list->AddRectFilled(at, {at.x + size.x, at.y + size.y}, colour::kTrack, 2 * scale);
    const int64_t total = row.total + row.excess;
    if (total <= 0) {
        return;
    }
    float x = at.x;
    const ImVec2 mouse = ImGui::GetIO().MousePos;
    for (const GaugePart& part : row.parts) {
        if (part.amount <= 0) {
            continue;
        }
        float width =
            static_cast<float>(static_cast<double>(part.amount) / static_cast<double>(total)) *
            size.x;
        width = std::min(std::max(width, 2.0F), at.x + size.x - x);
        if (width <= 0) {
            break;
        }
        const ImVec2 low{x, at.y}, high{x + width, at.y + size.y};
        const bool hatched = part.kind == GaugeKind::kv_reserved ||
                             part.kind == GaugeKind::reserve || part.kind == GaugeKind::pending;
        ImU32 ink = gauge_colour(part.kind);
        if (part.kind == GaugeKind::pending && row.excess > 0) {
            ink = colour::kError;
        }
        if (hatched) {
            draw_hatched(list, low, high, colour::kHatch, ink, std::round(5 * scale));
        } else if (part.kind != GaugeKind::free && part.kind != GaugeKind::context_free) {
            list->AddRectFilled(low, high, ink);
        }
        if (part.kind == GaugeKind::pending) {
            list->AddRect(low, high, row.excess > 0 ? colour::kError : colour::kAccentText, 0);
        }
        if (ImGui::IsWindowHovered() && mouse.x >= low.x && mouse.x < high.x &&
            mouse.y >= low.y - 4 && mouse.y < high.y + 4) {
            tooltip(state,
                    part.name + ": " +
                        (tokens ? with_commas(part.amount) + " tokens" : bytes_text(part.amount)));
        }
        x += width;
    }
    if (row.excess > 0) {  // where the context ends
        const float end = at.x + size.x * static_cast<float>(static_cast<double>(row.total) /
                                                             static_cast<double>(total));
        list->AddRectFilled({end - scale, at.y - 3 * scale},
                            {end + scale, at.y + size.y + 3 * scale}, colour::kError);
    }
}

void draw_gauge(AppState& state, ImVec2 at, ImVec2 size) {
    const float scale = state.fonts.scale;
    const auto px = [scale](float units) { return std::round(units * scale); };
    begin_region("gauge", at, size);
    ImDrawList* list = ImGui::GetWindowDrawList();
    const Click strip = click_area("strip", at, size);
    if (strip.clicked) {
        state.gauge.open = !state.gauge.open;
    }
    list->AddRectFilled(at, {at.x + size.x, at.y + size.y}, colour::kPanel);
    list->AddLine(at, {at.x + size.x, at.y}, strip.hovered ? colour::kAccentLine : colour::kLine);

    const Gauge gauge = make_gauge(state);
    ImFont* mono = state.fonts.small_mono;
    const float label_x = at.x + px(16);
    const float bar_x = at.x + px(92);
    const float right = at.x + size.x - px(16);
    const bool wide = size.x > px(980);
    const float text_room = wide ? std::clamp(size.x * 0.5F, px(300), px(680)) : 0;
    const float bar_width = std::max(px(60), right - bar_x - (wide ? text_room + px(24) : 0));
    const float bar_height = px(12);
    const float line1 = at.y + px(14), line2 = line1 + px(22), line3 = line2 + px(22);
    const float line_height = px(16);
    const auto label = [&](float y, const char* text) {
        draw_text(list, state.fonts.small, {label_x, centred(state.fonts.small, y, line_height)},
                  colour::kTextDim, text);
    };
    const bool card =
        !gauge.devices.empty() && gauge.devices[0].name.find("CPU") == std::string::npos;
    label(line1, card ? "VRAM" : "MEMORY");
    label(line2, "CONTEXT");

    draw_gauge_bar(state, {bar_x, line1 + px(2)}, {bar_width, bar_height},
                   gauge.devices.empty() ? GaugeRow() : gauge.devices[0], false);
    draw_gauge_bar(state, {bar_x, line2 + px(2)}, {bar_width, bar_height}, gauge.context, true);
    const bool over = gauge.context.excess > 0;
    if (wide) {
        if (!gauge.devices.empty()) {
            draw_text_right(list, mono, right, centred(mono, line1, line_height), colour::kTextSoft,
                            fit(mono, memory_words(gauge.devices[0]), text_room));
        }
        if (gauge.context.total > 0) {
            draw_text_right(list, mono, right, centred(mono, line2, line_height),
                            over                         ? colour::kError
                            : gauge.pending_eats_reserve ? colour::kWarning
                                                         : colour::kTextSoft,
                            fit(mono, context_words(gauge), text_room));
        }
    }
    std::string facts;
    if (!wide && gauge.context.total > 0) {
        facts = context_words(gauge).back().text;
    }
    for (const std::string& fact : gauge.facts) {
        facts += (facts.empty() ? "" : "   \u00B7   ") + fact;
    }
    const char* hint = state.gauge.open ? "close" : "details";
    const float hint_width = wide ? text_width(state.fonts.small, hint) + px(30) : 0;
    draw_text(list, mono, {bar_x, centred(mono, line3, line_height)}, colour::kTextDim,
              ellipsize(mono, facts, right - bar_x - hint_width));
    if (wide) {
        draw_text_right(list, state.fonts.small, right,
                        centred(state.fonts.small, line3, line_height),
                        strip.hovered ? colour::kAccentText : colour::kTextDim, hint);
    }
    ImGui::EndChild();
}

}  // namespace app::window
