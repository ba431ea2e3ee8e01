#include "app/window/controls.h"

#include <algorithm>
#include <cmath>

#include "app/window/compat.h"
#include "app/window/text_run.h"

namespace app::window {
namespace {

// The frame around what has the keyboard.
void draw_focus(ImVec2 low, ImVec2 high, float rounding) {
    if (ImGui::IsItemFocused() && ImGui::GetIO().NavVisible) {
        ImGui::GetWindowDrawList()->AddRect({low.x - 2, low.y - 2}, {high.x + 2, high.y + 2},
                                            colour::kAccentText, rounding, 0, 1.5F);
    }
}

}  // namespace

bool slider(AppState& state, const char* id, ImVec2 at, float width, double& value, double step) {
    const float scale = state.fonts.scale;
    const auto px = [scale](float units) { return std::round(units * scale); };
    const float height = px(24), radius = px(7), middle = at.y + height / 2;
    const double before = value;
    ImGui::SetCursorScreenPos(at);
    ImGui::InvisibleButton(id, {std::max(width, 1.0F), height});
    const bool hovered = ImGui::IsItemHovered(), active = ImGui::IsItemActive();
    if (hovered) {
        ImGui::SetMouseCursor(ImGuiMouseCursor_Hand);
    }
    const float low = at.x + radius, high = at.x + width - radius;
    if (active && ImGui::IsMouseDown(0)) {
        value = (ImGui::GetIO().MousePos.x - low) / std::max(1.0F, high - low);
    }
    // Minus and plus move it where the arrows already lead from one control to the next.
    if (ImGui::IsItemFocused()) {
        for (const ImWchar c : ImGui::GetIO().InputQueueCharacters) {
            value += c == '+' ? step : c == '-' ? -step : 0;
        }
    }
    value = std::clamp(value, 0.0, 1.0);
    const float x = low + static_cast<float>(value) * (high - low);
    ImDrawList* list = ImGui::GetWindowDrawList();
    list->AddRectFilled({at.x, middle - px(2)}, {at.x + width, middle + px(2)}, colour::kTrack,
                        px(2));
    list->AddRectFilled({at.x, middle - px(2)}, {x, middle + px(2)}, colour::kAccent, px(2));
    list->AddCircleFilled({x, middle}, radius,
                          hovered || active ? colour::kText : colour::kTextSoft, 24);
    draw_focus(at, {at.x + width, at.y + height}, px(6));
    return value != before;
}

bool toggle(AppState& state, const char* id, ImVec2 at, bool& on) {
    const float scale = state.fonts.scale;
    const auto px = [scale](float units) { return std::round(units * scale); };
    const ImVec2 size{px(36), px(20)};
    const Click click = click_area(id, at, size);
    if (click.clicked) {
        on = !on;
    }
    ImDrawList* list = ImGui::GetWindowDrawList();
    const ImVec2 high{at.x + size.x, at.y + size.y};
    list->AddRectFilled(at, high, on ? colour::kAccent : colour::kTrack, size.y / 2);
    list->AddRect(at, high, on ? colour::kAccent : colour::kOutline, size.y / 2);
    list->AddCircleFilled({on ? high.x - px(10) : at.x + px(10), at.y + size.y / 2}, px(7),
                          on ? colour::kOnAccent : colour::kTextSoft, 20);
    return click.clicked;
}

bool segments(AppState& state,
              const char* id,
              ImVec2 at,
              const std::vector<std::string>& labels,
              size_t& chosen,
              ImVec2* size) {
    const float scale = state.fonts.scale;
    const auto px = [scale](float units) { return std::round(units * scale); };
    const float height = px(28), pad = px(12);
    ImDrawList* list = ImGui::GetWindowDrawList();
    float width = px(4);
    for (const std::string& label : labels) {
        width += text_width(state.fonts.body, label) + 2 * pad;
    }
    width = std::round(width);
    list->AddRectFilled(at, {at.x + width, at.y + height}, colour::kChip, px(6));
    list->AddRect(at, {at.x + width, at.y + height}, colour::kLine, px(6));
    float x = at.x + px(2);
    const size_t before = chosen;
    ImGui::PushID(id);
    for (size_t i = 0; i < labels.size(); i++) {
        const float part = text_width(state.fonts.body, labels[i]) + 2 * pad;
        ImGui::PushID(static_cast<int>(i));
        const Click click = click_area("part", {x, at.y + px(2)}, {part, height - px(4)});
        ImGui::PopID();
        if (click.clicked) {
            chosen = i;
        }
        const bool is = chosen == i;
        if (is || click.hovered) {
            list->AddRectFilled({x, at.y + px(2)}, {x + part, at.y + height - px(2)},
                                is ? colour::kAccent : colour::kHover, px(4));
        }
        draw_text(list, state.fonts.body, {x + pad, centred(state.fonts.body, at.y, height)},
                  is ? colour::kOnAccent : colour::kTextSoft, labels[i]);
        x += part;
    }
    ImGui::PopID();
    if (size) {
        *size = {width, height};
    }
    return chosen != before;
}

ButtonLook primary_look() {
    ButtonLook look;
    look.fill = colour::kAccent;
    look.hover = colour::kAccentHover;
    look.text = colour::kOnAccent;
    look.height = 32;
    look.pad_x = 16;
    return look;
}

ButtonLook secondary_look() {
    ButtonLook look;
    look.fill = colour::kChip;
    look.border = colour::kLine;
    look.text = colour::kText;
    look.height = 32;
    look.pad_x = 12;
    return look;
}

float note_card(AppState& state, ImVec2 at, float width, NoteKind kind, std::string_view text) {
    const float scale = state.fonts.scale;
    const auto px = [scale](float units) { return std::round(units * scale); };
    struct Shades {
        ImU32 ground, line, ink;
    };
    const Shades shades =
        kind == NoteKind::warning
            ? Shades{colour::kWarningCard, colour::kWarningLine, colour::kWarning}
        : kind == NoteKind::error  ? Shades{colour::kErrorCard, colour::kErrorLine, colour::kError}
        : kind == NoteKind::accent ? Shades{colour::kAccentCard, colour::kAccentLine, colour::kText}
                                   : Shades{colour::kCard, colour::kLine, colour::kTextSoft};
    ImDrawList* list = ImGui::GetWindowDrawList();
    const float pad = px(12), room = width - 2 * pad;
    const float height = draw_wrapped(nullptr, state.fonts.small, {}, room, 0, text) + 2 * px(10);
    list->AddRectFilled(at, {at.x + width, at.y + height}, shades.ground, px(8));
    list->AddRect(at, {at.x + width, at.y + height}, shades.line, px(8));
    draw_wrapped(list, state.fonts.small, {at.x + pad, at.y + px(10)}, room, shades.ink, text);
    return std::round(height);
}

void draw_icon(ImDrawList* list, Icon icon, ImVec2 c, float size, ImU32 ink) {
    const float r = size / 2, w = std::max(1.0F, size / 11);
    const auto at = [&](float x, float y) { return ImVec2{c.x + x * r, c.y + y * r}; };
    switch (icon) {
        case Icon::chat: {
            list->AddRect(at(-1, -0.85F), at(1, 0.5F), ink, r * 0.35F, 0, w);
            const ImVec2 tail[] = {at(-0.5F, 0.5F), at(-0.5F, 1), at(0.05F, 0.5F)};
            list->AddPolyline(tail, 3, ink, 0, w);
            break;
        }
        case Icon::models:
            for (int i = -1; i <= 1; i++) {
                const float y = static_cast<float>(i) * 0.62F;
                list->AddRect(at(-0.9F, y - 0.24F), at(0.9F, y + 0.24F), ink, r * 0.12F, 0, w);
            }
            break;
        case Icon::server:
            list->AddCircle(c, r * 0.92F, ink, 24, w);
            list->AddLine(at(-0.92F, 0), at(0.92F, 0), ink, w);
            list->PathArcTo(at(-1.05F, 0), r * 1.4F, -0.7F, 0.7F, 16);
            list->PathStroke(ink, 0, w);
            list->PathArcTo(at(1.05F, 0), r * 1.4F, 2.44F, 3.84F, 16);
            list->PathStroke(ink, 0, w);
            break;
        case Icon::settings:
            for (int i = -1; i <= 1; i++) {
                const float y = static_cast<float>(i) * 0.62F;
                const float knob = i == 0 ? -0.35F : 0.35F;
                list->AddLine(at(-0.95F, y), at(0.95F, y), ink, w);
                list->AddCircleFilled(at(knob, y), r * 0.26F, ink, 16);
            }
            break;
        case Icon::search:
            list->AddCircle(at(-0.2F, -0.2F), r * 0.62F, ink, 20, w);
            list->AddLine(at(0.26F, 0.26F), at(0.9F, 0.9F), ink, w * 1.3F);
            break;
        case Icon::copy:
            list->AddRect(at(-0.85F, -0.45F), at(0.4F, 0.9F), ink, r * 0.2F, 0, w);
            list->AddLine(at(-0.35F, -0.9F), at(0.85F, -0.9F), ink, w);
            list->AddLine(at(0.85F, -0.9F), at(0.85F, 0.4F), ink, w);
            break;
        case Icon::folder: {
            const ImVec2 line[] = {at(-0.95F, 0.75F),  at(-0.95F, -0.75F), at(-0.3F, -0.75F),
                                   at(-0.05F, -0.45F), at(0.95F, -0.45F),  at(0.95F, 0.75F)};
            list->AddPolyline(line, 6, ink, ImDrawFlags_Closed, w);
            break;
        }
        case Icon::play:
            list->AddTriangleFilled(at(-0.6F, -0.8F), at(0.8F, 0), at(-0.6F, 0.8F), ink);
            break;
        case Icon::stop:
            list->AddRectFilled(at(-0.65F, -0.65F), at(0.65F, 0.65F), ink, r * 0.15F);
            break;
        case Icon::chevron_left: {
            const ImVec2 line[] = {at(0.35F, -0.8F), at(-0.4F, 0), at(0.35F, 0.8F)};
            list->AddPolyline(line, 3, ink, 0, w * 1.3F);
            break;
        }
    }
}

float draw_page_head(AppState& state, ImVec2 at, float width, const char* title) {
    const float scale = state.fonts.scale;
    const auto px = [scale](float units) { return std::round(units * scale); };
    const float height = px(56);
    ImDrawList* list = ImGui::GetWindowDrawList();
    const float y = at.y + px(14);
    ButtonLook look = secondary_look();
    look.height = 28;
    ImVec2 size;
    if (button(state, "to_chat", {at.x + px(24), y}, "    Chat", look, &size).clicked) {
        state.page = Page::chat;
    }
    draw_icon(list, Icon::chevron_left, {at.x + px(24 + 14), y + px(14)}, px(10),
              colour::kTextSoft);
    const float title_x = at.x + px(24) + size.x + px(16);
    draw_text(list, state.fonts.heading, {title_x, centred(state.fonts.heading, y, px(28))},
              colour::kText, title);

    struct Tab {
        Page page;
        const char* name;
    };
    static constexpr Tab kTabs[] = {{Page::models, "Models"},
                                    {Page::remote, "Other engine"},
                                    {Page::server, "Server"},
                                    {Page::settings, "Settings"}};
    std::vector<std::string> names;
    size_t chosen = 0;
    float tabs_width = px(4);
    for (size_t i = 0; i < std::size(kTabs); i++) {
        names.emplace_back(kTabs[i].name);
        tabs_width += text_width(state.fonts.body, names.back()) + px(24);
        if (kTabs[i].page == state.page) {
            chosen = i;
        }
    }
    const float tabs_x = std::round(at.x + width - px(24) - tabs_width);
    if (tabs_x > title_x + text_width(state.fonts.heading, title) + px(12) &&
        segments(state, "pages", {tabs_x, y}, names, chosen)) {
        state.page = kTabs[chosen].page;
    }
    list->AddLine({at.x, at.y + height - 1}, {at.x + width, at.y + height - 1}, colour::kLine);
    return height;
}

}  // namespace app::window
