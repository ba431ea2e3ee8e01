// What went wrong or can be taken back, above the conversation, until it is dismissed.
#include <algorithm>
#include <cmath>

#include "app/window/app_state.h"
#include "app/window/widgets.h"

namespace app::window {

void draw_banners(AppState& state, ImVec2 at, float width, float& height) {
    const float scale = state.fonts.scale;
    const auto px = [scale](float units) { return std::round(units * scale); };
    constexpr size_t kShown = 3;
    height = 0;
    if (state.banners.empty()) {
        return;
    }
    const float inner = std::min(px(760), width - px(52));
    const float x = std::round(at.x + (width - inner) / 2);
    const size_t count = std::min(state.banners.size(), kShown);
    const float pad = px(12);
    struct Placed {
        const Banner* banner;
        float top, height, text_width;
    };
    std::vector<Placed> placed;
    float y = at.y + px(10);
    for (size_t i = 0; i < count; i++) {
        const Banner& banner = state.banners[i];
        const float text_room = inner - 2 * pad - px(30) - (banner.undo ? px(60) : 0);
        const float text_height =
            draw_wrapped(nullptr, state.fonts.body, {}, text_room, 0, banner.text);
        const float box = text_height + 2 * pad - px(4);
        placed.push_back({&banner, y, box, text_room});
        y += box + px(8);
    }
    height = y - at.y;
    begin_region("banners", at, {width, height});
    ImDrawList* list = ImGui::GetWindowDrawList();
    uint64_t dismissed = 0;
    uint64_t undone = 0;
    for (const Placed& item : placed) {
        const Banner& banner = *item.banner;
        const bool error = banner.kind == Banner::Kind::error,
                   warning = banner.kind == Banner::Kind::warning;
        const ImU32 ground = error     ? colour::kErrorCard
                             : warning ? colour::kWarningCard
                                       : colour::kCard;
        const ImU32 line = error     ? colour::kErrorLine
                           : warning ? colour::kWarningLine
                                     : colour::kLine;
        list->AddRectFilled({x, item.top}, {x + inner, item.top + item.height}, ground, px(8));
        list->AddRect({x, item.top}, {x + inner, item.top + item.height}, line, px(8));
        draw_wrapped(list, state.fonts.body, {x + pad, item.top + pad - px(2)}, item.text_width,
                     colour::kText, banner.text);
        ImGui::PushID(static_cast<int>(banner.id));
        const float middle = item.top + std::min(item.height, px(38)) / 2;
        const ImVec2 close{x + inner - px(34), middle - px(12)};
        const Click click = click_area("dismiss", close, {px(24), px(24)});
        draw_cross(list, {close.x + px(12), close.y + px(12)}, px(9),
                   click.hovered ? colour::kText : colour::kTextDim, std::max(1.0F, 1.4F * scale));
        if (click.clicked) {
            dismissed = banner.id;
        }
        if (banner.undo) {
            ButtonLook look;
            look.text = colour::kAccentText;
            look.height = 26;
            const ImVec2 box = button_size(state, "Undo", look);
            if (button(state, "undo", {close.x - box.x - px(4), middle - px(13)}, "Undo", look)
                    .clicked) {
                undone = banner.undo;
                dismissed = banner.id;
            }
        }
        ImGui::PopID();
    }
    ImGui::EndChild();
    if (undone) {
        state.chat.actions->undo(undone);
    }
    if (dismissed) {
        state.actions->dismiss_banner(dismissed);
    }
}

}  // namespace app::window
