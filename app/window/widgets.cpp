#include "app/window/widgets.h"

#include <algorithm>
#include <cmath>

#include "app/window/text_run.h"

namespace app::window {

Click click_area(const char* id, ImVec2 at, ImVec2 size) {
    ImGui::SetCursorScreenPos(at);
    Click click;
    click.clicked = ImGui::InvisibleButton(id, {std::max(size.x, 1.0F), std::max(size.y, 1.0F)});
    click.hovered = ImGui::IsItemHovered();
    click.held = ImGui::IsItemActive();
    if (click.hovered) {
        ImGui::SetMouseCursor(ImGuiMouseCursor_Hand);
    }
    if (ImGui::IsItemFocused() && ImGui::GetIO().NavVisible) {
        ImGui::GetForegroundDrawList()->AddRect({at.x - 2, at.y - 2},
                                                {at.x + size.x + 2, at.y + size.y + 2},
                                                colour::kAccentText, 6, 0, 1.5F);
    }
    return click;
}

ImVec2 button_size(const AppState& state, std::string_view label, const ButtonLook& look) {
    const float scale = state.fonts.scale;
    ImFont* font = look.font ? look.font : state.fonts.body;
    return {std::round(text_width(font, label) + 2 * look.pad_x * scale),
            std::round(look.height * scale)};
}

Click button(AppState& state,
             const char* id,
             ImVec2 at,
             std::string_view label,
             const ButtonLook& look,
             ImVec2* size) {
    const float scale = state.fonts.scale;
    ImFont* font = look.font ? look.font : state.fonts.body;
    const ImVec2 box = button_size(state, label, look);
    Click click;
    if (look.enabled) {
        click = click_area(id, at, box);
    }
    ImDrawList* list = ImGui::GetWindowDrawList();
    const ImVec2 low{std::round(at.x), std::round(at.y)};
    const ImVec2 high{low.x + box.x, low.y + box.y};
    const ImU32 fill = click.hovered || click.held ? look.hover : look.fill;
    if (fill >> 24) {
        list->AddRectFilled(low, high, fill, look.rounding * scale);
    }
    if (look.border >> 24) {
        list->AddRect(low, high, look.border, look.rounding * scale);
    }
    draw_text(list, font, {low.x + std::round(look.pad_x * scale), centred(font, low.y, box.y)},
              look.enabled ? look.text : colour::kTextDim, label);
    if (size) {
        *size = box;
    }
    return click;
}

void draw_text(ImDrawList* list, ImFont* font, ImVec2 at, ImU32 colour, std::string_view text) {
    draw_run(list, font, {std::round(at.x), std::round(at.y)}, colour, text);
}

void draw_text_right(
    ImDrawList* list, ImFont* font, float right, float y, ImU32 colour, std::string_view text) {
    draw_text(list, font, {right - text_width(font, text), y}, colour, text);
}

float centred(const ImFont* font, float top, float height) {
    return std::round(top + (height - font->FontSize) / 2);
}

void draw_triangle(ImDrawList* list, ImVec2 c, float size, bool down, ImU32 colour) {
    const float r = size / 2;
    if (down) {
        list->AddTriangleFilled({c.x - r, c.y - r * 0.6F}, {c.x + r, c.y - r * 0.6F},
                                {c.x, c.y + r * 0.7F}, colour);
    } else {
        list->AddTriangleFilled({c.x - r * 0.6F, c.y - r}, {c.x + r * 0.7F, c.y},
                                {c.x - r * 0.6F, c.y + r}, colour);
    }
}

void draw_cross(ImDrawList* list, ImVec2 c, float size, ImU32 colour, float thickness) {
    const float r = size / 2;
    list->AddLine({c.x - r, c.y - r}, {c.x + r, c.y + r}, colour, thickness);
    list->AddLine({c.x + r, c.y - r}, {c.x - r, c.y + r}, colour, thickness);
}

void draw_plus(ImDrawList* list, ImVec2 c, float size, ImU32 colour, float thickness) {
    const float r = size / 2;
    list->AddLine({c.x - r, c.y}, {c.x + r, c.y}, colour, thickness);
    list->AddLine({c.x, c.y - r}, {c.x, c.y + r}, colour, thickness);
}

void draw_check(ImDrawList* list, ImVec2 c, float size, ImU32 colour, float thickness) {
    const float r = size / 2;
    const ImVec2 points[] = {
        {c.x - r, c.y}, {c.x - r * 0.25F, c.y + r * 0.7F}, {c.x + r, c.y - r * 0.7F}};
    list->AddPolyline(points, 3, colour, 0, thickness);
}

void draw_hatched(
    ImDrawList* list, ImVec2 low, ImVec2 high, ImU32 ground, ImU32 stripe, float step) {
    list->AddRectFilled(low, high, ground);
    const float height = high.y - low.y;
    list->PushClipRect(low, high, true);
    for (float x = low.x - height; x < high.x; x += step) {
        list->AddLine({x, high.y}, {x + height, low.y}, stripe, std::max(1.0F, step * 0.3F));
    }
    list->PopClipRect();
}

void copy_and_note(AppState& state, const std::string& text, const std::string& what) {
    state.actions->copy(text);
    note_copy(state, what);
}

void note_copy(AppState& state, const std::string& what) {
    state.copied = what;
    state.copied_until = ImGui::GetTime() + 1.5;
}

bool just_copied(const AppState& state, const std::string& what) {
    return state.copied == what && ImGui::GetTime() < state.copied_until;
}

bool begin_region(const char* id, ImVec2 at, ImVec2 size, bool scrolls) {
    ImGui::SetCursorScreenPos(at);
    ImGuiWindowFlags flags = ImGuiWindowFlags_NoMove | ImGuiWindowFlags_NoSavedSettings;
    if (!scrolls) {
        flags |= ImGuiWindowFlags_NoScrollbar | ImGuiWindowFlags_NoScrollWithMouse;
    }
    return ImGui::BeginChild(id, {std::max(size.x, 1.0F), std::max(size.y, 1.0F)}, false, flags);
}

void tooltip(const AppState& state, std::string_view text) {
    ImGui::PushStyleVar(ImGuiStyleVar_WindowPadding,
                        {10 * state.fonts.scale, 7 * state.fonts.scale});
    ImGui::BeginTooltip();
    const float width =
        std::min(360 * state.fonts.scale, std::ceil(text_width(state.fonts.small, text)) + 1);
    const ImVec2 at = ImGui::GetCursorScreenPos();
    const float height =
        draw_wrapped(ImGui::GetWindowDrawList(), state.fonts.small, at, width, colour::kText, text);
    ImGui::Dummy({width, height});
    ImGui::EndTooltip();
    ImGui::PopStyleVar();
}

}  // namespace app::window
