// The gauge's details, above the strip: the page map by owner, who holds what, ten minutes of
// memory, every device, why prefixes were not found, and the engine's total against the system's.
#include <algorithm>
#include <cmath>

#include "app/window/app_state.h"
#include "app/window/compat.h"
#include "app/window/format.h"
#include "app/window/gauge_draw.h"
#include "app/window/widgets.h"

namespace app::window {
namespace {

using Snapshot = runtime::MemorySnapshot;
using PageState = Snapshot::Page::State;

// Owners are told apart by these, in turn, and by name beside the map.
ImU32 owner_colour(int sequence) {
    const ImU32 colours[] = {colour::kKeys,    colour::kGood,  colour::kWarning,
                             colour::kCompute, colour::kError, colour::kType};
    return colours[static_cast<size_t>(sequence) % std::size(colours)];
}

class Pen {
public:
    Pen(AppState& state, ImVec2 at, float width)
        : state_(state), x_(at.x), y_(at.y), width_(width) {}

    float px(float units) const { return std::round(units * state_.fonts.scale); }
    void title(const char* text) {
        draw_text(list(), state_.fonts.bold, {x_, y_}, colour::kText, text);
        y_ += px(26);
    }
    void row(const std::string& name, const std::string& value, ImU32 mark = 0) {
        float x = x_;
        if (mark != 0) {
            list()->AddRectFilled({x, y_ + px(4)}, {x + px(8), y_ + px(12)}, mark, px(2));
            x += px(16);
        }
        const float value_width = text_width(state_.fonts.small_mono, value);
        draw_text(list(), state_.fonts.small, {x, y_}, colour::kTextSoft,
                  ellipsize(state_.fonts.small, name, x_ + width_ - x - value_width - px(8)));
        draw_text_right(list(), state_.fonts.small_mono, x_ + width_, y_, colour::kText, value);
        y_ += px(20);
    }
    void words(const std::string& text, ImU32 ink) {
        y_ += draw_wrapped(list(), state_.fonts.small, {x_, y_}, width_, ink, text) + px(4);
    }
    void gap(float units) { y_ += px(units); }
    ImVec2 at() const { return {x_, y_}; }
    float width() const { return width_; }
    float y() const { return y_; }
    ImDrawList* list() const { return ImGui::GetWindowDrawList(); }

private:
    AppState& state_;
    float x_, y_, width_;
};

// One cell a page; where there are more pages than cells, one cell for several, showing the busiest
// of them.
void draw_page_map(AppState& state, Pen& pen, float height) {
    const Snapshot& memory = state.memory;
    const int64_t limit = memory.kv_cache.pages_limit;
    const ImVec2 at = pen.at();
    if (limit <= 0) {
        pen.words("No model is loaded.", colour::kTextDim);
        return;
    }
    const float cell = pen.px(9), gap = std::max(1.0F, pen.px(1));
    const auto columns =
        std::max<int64_t>(1, static_cast<int64_t>((pen.width() + gap) / (cell + gap)));
    const auto rows = std::max<int64_t>(1, static_cast<int64_t>(height / (cell + gap)));
    const int64_t per_cell = (limit + columns * rows - 1) / (columns * rows);
    const int64_t cells = (limit + per_cell - 1) / per_cell;
    const ImVec2 mouse = ImGui::GetIO().MousePos;
    for (int64_t i = 0; i < cells; i++) {
        const ImVec2 low{at.x + static_cast<float>(i % columns) * (cell + gap),
                         at.y + static_cast<float>(i / columns) * (cell + gap)};
        const ImVec2 high{low.x + cell, low.y + cell};
        Snapshot::Page shown;
        bool reserved = false;
        for (int64_t page = i * per_cell; page < std::min((i + 1) * per_cell, limit); page++) {
            if (page < static_cast<int64_t>(memory.pages.size())) {
                reserved = true;
                if (memory.pages[static_cast<size_t>(page)].state >= shown.state) {
                    shown = memory.pages[static_cast<size_t>(page)];
                }
            }
        }
        std::string what = "not reserved";
        if (shown.state == PageState::used || shown.state == PageState::shared) {
            pen.list()->AddRectFilled(low, high, owner_colour(shown.sequence));
            what = "not known";
            if (shown.sequence >= 0 &&
                static_cast<size_t>(shown.sequence) < memory.sequences.size()) {
                what = memory.sequences[static_cast<size_t>(shown.sequence)].owner;
            }
            if (shown.state == PageState::shared) {
                pen.list()->AddRect(low, high, colour::kText);
                what += ", shared";
            }
        } else if (shown.state == PageState::cached) {
            pen.list()->AddRectFilled(low, high, colour::kKeysReserved);
            what = "kept for a next turn";
        } else if (reserved) {
            pen.list()->AddRect(low, high, colour::kOutlineStrong);
            what = "reserved, empty";
        } else {
            pen.list()->AddRectFilled(low, high, colour::kTrack);
        }
        if (ImGui::IsWindowHovered() && mouse.x >= low.x && mouse.x < high.x + gap &&
            mouse.y >= low.y && mouse.y < high.y + gap) {
            tooltip(state, (per_cell > 1 ? "pages " + with_commas(i * per_cell) + " to " +
                                               with_commas(std::min((i + 1) * per_cell, limit) - 1)
                                         : "page " + with_commas(i)) +
                               ": " + what);
        }
    }
    pen.gap(0);
    const float taken = static_cast<float>((cells + columns - 1) / columns) * (cell + gap);
    ImGui::SetCursorScreenPos({at.x, at.y + taken});
}

void draw_timeline(AppState& state, ImVec2 at, ImVec2 size) {
    ImDrawList* list = ImGui::GetWindowDrawList();
    list->AddRectFilled(at, {at.x + size.x, at.y + size.y}, colour::kTrack, 2 * state.fonts.scale);
    const auto& timeline = state.gauge.timeline;
    if (timeline.empty()) {
        return;
    }
    const double end = std::max(state.gauge.shown_at, timeline.back().time);
    const double begin = end - GaugeView::kTimelineSeconds;
    const auto x_of = [&](double time) {
        return at.x + size.x * static_cast<float>(std::clamp(
                                   (time - begin) / GaugeView::kTimelineSeconds, 0.0, 1.0));
    };
    for (size_t i = 0; i < timeline.size(); i++) {
        const GaugeView::Sample& sample = timeline[i];
        if (sample.total <= 0) {
            continue;
        }
        const float x0 = x_of(sample.time);
        const float x1 = i + 1 < timeline.size() ? x_of(timeline[i + 1].time) : at.x + size.x;
        float y = at.y + size.y;
        const auto area = [&](int64_t bytes, ImU32 ink) {
            const float height = size.y * static_cast<float>(static_cast<double>(bytes) /
                                                             static_cast<double>(sample.total));
            list->AddRectFilled({x0, std::max(at.y, y - height)}, {std::max(x1, x0 + 1), y}, ink);
            y = std::max(at.y, y - height);
        };
        area(sample.weights, colour::kWeights);
        area(sample.kv_used, colour::kKeys);
        area(std::max<int64_t>(0, sample.kv_reserved - sample.kv_used), colour::kKeysReserved);
        area(sample.compute, colour::kCompute);
        area(sample.other, colour::kOthers);
    }
}

void draw_owners(AppState& state, Pen& pen) {
    const Snapshot& memory = state.memory;
    pen.title("Who holds pages");
    if (memory.sequences.empty()) {
        pen.words("Nobody at the moment.", colour::kTextDim);
    }
    constexpr size_t kShown = 5;
    for (size_t i = 0; i < std::min(memory.sequences.size(), kShown); i++) {
        const auto& sequence = memory.sequences[i];
        pen.row(sequence.owner + " #" + std::to_string(sequence.id),
                with_commas(sequence.pages) + " pages, " + with_commas(sequence.tokens) + " tokens",
                owner_colour(static_cast<int>(i)));
    }
    if (memory.sequences.size() > kShown) {
        pen.words("and " + std::to_string(memory.sequences.size() - kShown) + " more",
                  colour::kTextDim);
    }
    const auto& cache = memory.kv_cache;
    pen.row("kept for a next turn", with_commas(cache.pages_cached) + " pages",
            colour::kKeysReserved);
    pen.row("used, shared", with_commas(cache.pages_used) + ", " + with_commas(cache.pages_shared));
    pen.row("reserved, at most",
            with_commas(cache.pages_reserved) + ", " + with_commas(cache.pages_limit));
}

void draw_devices(AppState& state, Pen& pen, const Gauge& gauge) {
    for (const GaugeRow& row : gauge.devices) {
        pen.title(ellipsize(state.fonts.bold, row.name, pen.width()).c_str());
        for (const GaugePart& part : row.parts) {
            pen.row(part.name, bytes_text(part.amount), gauge_colour(part.kind));
        }
        pen.row("total", bytes_text(row.total));
        pen.gap(4);
    }
    if (gauge.devices.empty()) {
        pen.title("Memory");
        pen.words("No model is loaded.", colour::kTextDim);
        return;
    }
    const auto& device = state.memory.devices.front();
    const ProcessMemory& process = state.gauge.process;
    const int64_t engine = device.weights_bytes + device.kv_reserved_bytes + device.compute_bytes;
    if (device.name.find("CPU") == std::string::npos) {
        pen.row("engine counts", bytes_text(engine));
        pen.words("The driver's figure for this process is not available.", colour::kTextDim);
    } else if (process.resident_bytes < 0) {
        pen.words("The system's figure for this process is not available.", colour::kTextDim);
    } else {
        pen.row("engine counts", bytes_text(engine));
        pen.row("system counts for this process", bytes_text(process.resident_bytes));
        const int64_t difference = process.resident_bytes - engine;
        pen.row(difference >= 0 ? "program, fonts, conversations"
                                : "weights that are not in memory now",
                (difference >= 0 ? "+" : "\u2212") + bytes_text(std::abs(difference)));
    }
}

void draw_lookups(AppState& state, Pen& pen, float bottom) {
    const Snapshot& memory = state.memory;
    pen.title("Prefix cache");
    pen.row("found of all prompts so far",
            with_commas(memory.found_tokens) + " of " + with_commas(memory.lookup_tokens));
    for (size_t i = memory.lookups.size(); i-- > 0 && pen.y() + pen.px(20) < bottom;) {
        const auto& lookup = memory.lookups[i];
        const bool good = lookup.end == Snapshot::Lookup::End::complete;
        draw_text(pen.list(), state.fonts.small, pen.at(),
                  good ? colour::kTextDim : colour::kTextSoft,
                  ellipsize(state.fonts.small, lookup_text(state, i), pen.width()));
        pen.gap(20);
    }
}

}  // namespace

void draw_gauge_details(AppState& state, ImVec2 at, ImVec2 size) {
    const float scale = state.fonts.scale;
    const auto px = [scale](float units) { return std::round(units * scale); };
    begin_region("gauge_details", at, size, false);
    ImDrawList* list = ImGui::GetWindowDrawList();
    list->AddRectFilled(at, {at.x + size.x, at.y + size.y}, colour::kPanel);
    list->AddLine(at, {at.x + size.x, at.y}, colour::kLine);
    const Gauge gauge = make_gauge(state);
    const float pad = px(16), between = px(28);
    const bool wide = size.x > px(980);
    const float column = (size.x - 2 * pad - (wide ? 2 * between : 0)) / (wide ? 3 : 1);
    const float top = at.y + px(14), bottom = at.y + size.y - px(12);

    Pen first(state, {at.x + pad, top}, column);
    first.title("K pages");
    const float map_height = wide ? px(150) : px(80);
    draw_page_map(state, first, map_height);
    first.gap(wide ? 158 : 88);
    draw_owners(state, first);

    if (wide) {
        Pen second(state, {at.x + pad + column + between, top}, column);
        draw_devices(state, second, gauge);
        Pen third(state, {at.x + pad + 2 * (column + between), top}, column);
        third.title("Ten minutes");
        draw_timeline(state, third.at(), {column, px(84)});
        third.gap(98);
        draw_lookups(state, third, bottom - px(36));
    }
    ButtonLook look;
    look.text = colour::kText;
    look.fill = colour::kChip;
    look.font = state.fonts.small;
    const std::string label = just_copied(state, "gauge") ? "Copied" : "Copy as text";
    const ImVec2 box = button_size(state, label, look);
    if (button(state, "copy_gauge", {at.x + size.x - pad - box.x, bottom - box.y}, label, look)
            .clicked) {
        copy_and_note(state, gauge_text(state), "gauge");
    }
    ImGui::EndChild();
}

}  // namespace app::window
