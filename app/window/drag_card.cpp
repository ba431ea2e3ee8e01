// The card over the window while something is dragged across it: what it would cost, before the
// button is released.
#include <algorithm>
#include <cmath>

#include "app/window/app_state.h"
#include "app/window/format.h"
#include "app/window/widgets.h"

namespace app::window {

void draw_drag_card(AppState& state) {
    const DragView& drag = state.drag;
    if (!drag.active) {
        return;
    }
    const float scale = state.fonts.scale;
    const auto px = [scale](float units) { return std::round(units * scale); };
    const ImVec2 window = ImGui::GetIO().DisplaySize;
    std::vector<std::string> lines;
    std::string verdict;
    ImU32 verdict_colour = colour::kTextSoft;
    if (!drag.problem.empty() && drag.files == 0) {
        verdict = drag.problem;
        verdict_colour = colour::kError;
    } else {
        lines.push_back(with_commas(drag.files) +
                        (drag.files == 1 ? " file \u00B7 " : " files \u00B7 ") +
                        bytes_text(drag.bytes));
        lines.push_back(drag.done || drag.least == drag.most
                            ? with_commas(drag.tokens) + " tokens"
                            : with_commas(drag.tokens) + " tokens so far, " +
                                  with_commas(drag.least) + " to " + with_commas(drag.most) +
                                  " in all");
        const Gauge gauge = make_gauge(state);
        if (gauge.pending_bytes > 0) {
            lines.push_back(bytes_text(gauge.pending_bytes) + " of K cache");
        }
        if (gauge.first_token_ms) {
            lines.push_back("first token after about " + seconds_text(*gauge.first_token_ms));
        }
        if (state.context.limit > 0) {
            const bool surely_not = state.context.free() < drag.least;
            const bool surely = state.context.free() >= drag.most;
            verdict =
                surely
                    ? "Fits: " + with_commas(state.context.free() - drag.most) + " tokens stay free"
                : surely_not ? "Does not fit: " + with_commas(drag.least - state.context.free()) +
                                   " tokens too many. Drop it to choose."
                             : "May not fit";
            verdict_colour = surely       ? colour::kGood
                             : surely_not ? colour::kError
                                          : colour::kWarning;
        }
        if (!drag.problem.empty()) {
            lines.push_back(drag.problem);
        }
    }
    const float width = std::min(px(460), window.x - px(40));
    const float height =
        px(66) + px(22) * static_cast<float>(lines.size() + (verdict.empty() ? 0 : 1));
    const ImVec2 at{std::round((window.x - width) / 2), std::round((window.y - height) / 2)};
    ImDrawList* list = ImGui::GetForegroundDrawList();
    list->AddRectFilled({0, 0}, window, colour::kDimmed);
    const float rim = std::max(1.0F, px(2));
    list->AddRectFilled(at, {at.x + width, at.y + height}, colour::kAccentLine, px(10));
    list->AddRectFilled({at.x + rim, at.y + rim}, {at.x + width - rim, at.y + height - rim},
                        colour::kCard, px(10) - rim);
    const float room = width - px(40);
    draw_text(list, state.fonts.bold, {at.x + px(20), at.y + px(18)}, colour::kText,
              ellipsize(state.fonts.bold, "Drop " + drag.name + " to attach it", room));
    float y = at.y + px(48);
    for (const std::string& line : lines) {
        draw_text(list, state.fonts.body, {at.x + px(20), y}, colour::kTextSoft,
                  ellipsize(state.fonts.body, line, room));
        y += px(22);
    }
    draw_text(list, state.fonts.body, {at.x + px(20), y}, verdict_colour,
              ellipsize(state.fonts.body, verdict, room));
}

}  // namespace app::window
