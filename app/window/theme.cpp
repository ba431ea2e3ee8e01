#include "app/window/theme.h"

#include <cmath>

#include <imgui_freetype.h>

#include "app/window/compat.h"
#include "app/window/font_files.h"
#include "assets/embed.h"

namespace app::window {
namespace {

// What the bundled faces were reduced to (assets/fonts/README.md). Pairs, 0 ends the list.
constexpr ImWchar kBundledRanges[] = {
    0x0020, 0x024F, 0x0259, 0x0259, 0x02BB, 0x02DD, 0x0300, 0x0304, 0x0370, 0x03FF, 0x0400,
    0x052F, 0x1E00, 0x1EFF, 0x2000, 0x209F, 0x20A0, 0x20BF, 0x2100, 0x218B, 0x2190, 0x23FF,
    0x2460, 0x259F, 0x25A0, 0x27BF, 0xFB00, 0xFB06, 0xFFFD, 0xFFFD, 0};

ImFont* add_face(ImFontAtlas& atlas, const FontFile& file, std::string_view bundled, float size) {
    ImFontConfig config;
    config.OversampleH = config.OversampleV = 1;
    config.PixelSnapH = true;
    if (!file.path.empty()) {
        config.FontNo = file.index;
        return atlas.AddFontFromFileTTF(file.path.c_str(), size, &config, kBundledRanges);
    }
    config.FontDataOwnedByAtlas = false;
    // The atlas only reads the data; its signature has no const.
    return atlas.AddFontFromMemoryTTF(const_cast<char*>(bundled.data()),
                                      static_cast<int>(bundled.size()), size, &config,
                                      kBundledRanges);
}

}  // namespace

void fill_atlas(ImFontAtlas& atlas, Fonts& fonts, float scale, const FontChoice& choice) {
    atlas.Clear();
    atlas.FontBuilderIO = ImGuiFreeType::GetBuilderForFreeType();
    atlas.FontBuilderFlags = ImGuiFreeTypeBuilderFlags_LightHinting;
    atlas.Flags |= ImFontAtlasFlags_NoPowerOfTwoHeight;

    FontFile regular, bold, italic, mono;
    if (!choice.text.empty()) {
        regular = font_file(choice.text, false, false);
        bold = font_file(choice.text, true, false);
        italic = font_file(choice.text, false, true);
    }
    if (!choice.code.empty()) {
        mono = font_file(choice.code, false, false);
    }
    const auto size = [scale](float units) { return std::round(units * scale); };
    fonts.body = add_face(atlas, regular, assets::inter_regular(), size(15));
    fonts.bold = add_face(atlas, bold, assets::inter_semibold(), size(15));
    fonts.italic = add_face(atlas, italic, assets::inter_italic(), size(15));
    fonts.mono = add_face(atlas, mono, assets::jetbrains_mono(), size(14));
    fonts.small = add_face(atlas, regular, assets::inter_regular(), size(13));
    fonts.small_mono = add_face(atlas, mono, assets::jetbrains_mono(), size(12.5F));
    fonts.heading = add_face(atlas, bold, assets::inter_semibold(), size(18));
    fonts.title = add_face(atlas, bold, assets::inter_semibold(), size(28));
    fonts.scale = scale;
    for (ImFont* font : {fonts.body, fonts.bold, fonts.italic, fonts.mono, fonts.small,
                         fonts.small_mono, fonts.heading, fonts.title}) {
        font->FallbackChar = 0xFFFD;
    }
    atlas.Build();
    unsigned char* pixels = nullptr;
    int width = 0, height = 0;
    atlas.GetTexDataAsRGBA32(&pixels, &width, &height);  // kept there for the texture
}

void build_fonts(Fonts& fonts, float scale, const FontChoice& choice) {
    ImGuiIO& io = ImGui::GetIO();
    fill_atlas(*io.Fonts, fonts, scale, choice);
    fonts.generation++;
    io.FontDefault = fonts.body;
}

void apply_style(float scale) {
    ImGuiStyle style;
    style.WindowPadding = {0, 0};
    style.WindowBorderSize = 0;
    style.ChildBorderSize = 0;
    style.PopupBorderSize = 1;
    style.PopupRounding = 8;
    style.FrameRounding = 6;
    style.FramePadding = {10, 7};
    style.ItemSpacing = {8, 6};
    style.ScrollbarSize = 10;
    style.ScrollbarRounding = 5;
    style.GrabRounding = 5;
    style.WindowMinSize = {1, 1};
    style.ScaleAllSizes(scale);
    style.AntiAliasedLinesUseTex = true;
    const auto set = [&](ImGuiCol slot, ImU32 value) {
        style.Colors[slot] = ImGui::ColorConvertU32ToFloat4(value);
    };
    set(ImGuiCol_Text, colour::kText);
    set(ImGuiCol_TextDisabled, colour::kTextDim);
    set(ImGuiCol_WindowBg, colour::kBackground);
    set(ImGuiCol_ChildBg, rgb(0, 0));
    set(ImGuiCol_PopupBg, colour::kCard);
    set(ImGuiCol_Border, colour::kLine);
    set(ImGuiCol_FrameBg, colour::kChip);
    set(ImGuiCol_FrameBgHovered, colour::kHover);
    set(ImGuiCol_FrameBgActive, colour::kHover);
    set(ImGuiCol_ScrollbarBg, rgb(0, 0));
    set(ImGuiCol_ScrollbarGrab, colour::kOutline);
    set(ImGuiCol_ScrollbarGrabHovered, colour::kOutlineStrong);
    set(ImGuiCol_ScrollbarGrabActive, colour::kTextDim);
    set(ImGuiCol_Button, colour::kChip);
    set(ImGuiCol_ButtonHovered, colour::kHover);
    set(ImGuiCol_ButtonActive, colour::kActive);
    set(ImGuiCol_Header, colour::kHover);
    set(ImGuiCol_HeaderHovered, colour::kHover);
    set(ImGuiCol_HeaderActive, colour::kActive);
    set(ImGuiCol_Separator, colour::kLine);
    set(ImGuiCol_TextSelectedBg, colour::kSelection);
    set(ImGuiCol_NavHighlight, colour::kAccent);
    set(ImGuiCol_ModalWindowDimBg, colour::kDimmed);
    set(ImGuiCol_CheckMark, colour::kText);
    set(ImGuiCol_SliderGrab, colour::kAccent);
    set(ImGuiCol_SliderGrabActive, colour::kAccentHover);
    ImGui::GetStyle() = style;
}

}  // namespace app::window
