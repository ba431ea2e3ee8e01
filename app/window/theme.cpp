#include "app/window/theme.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <map>
#include <string>

#include <imgui_freetype.h>

#include "app/window/compat.h"
#include "assets/embed.h"

namespace app::window {
namespace {

// What the bundled faces were reduced to (assets/fonts/README.md). Pairs, 0 ends the list.
constexpr ImWchar kBundledRanges[] = {
    0x0020, 0x024F, 0x0259, 0x0259, 0x02BB, 0x02DD, 0x0300, 0x0304, 0x0370, 0x03FF, 0x0400,
    0x052F, 0x1E00, 0x1EFF, 0x2000, 0x209F, 0x20A0, 0x20BF, 0x2100, 0x218B, 0x2190, 0x23FF,
    0x2460, 0x259F, 0x25A0, 0x27BF, 0xFB00, 0xFB06, 0xFFFD, 0xFFFD, 0};

bool is_bundled(uint32_t c) {
    for (size_t i = 0; kBundledRanges[i] != 0; i += 2) {
        if (c >= kBundledRanges[i] && c <= kBundledRanges[i + 1]) {
            return true;
        }
    }
    return c < 0x20;
}

// Common places of fonts with many scripts; the first that exist are used, in this order.
constexpr std::array<const char*, 12> kSystemFonts = {
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/noto-cjk/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/google-noto-cjk/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf",
    "/usr/share/fonts/truetype/wqy/wqy-microhei.ttc",
    "/usr/share/fonts/truetype/arphic/uming.ttc",
    "/usr/share/fonts/truetype/noto/NotoSans-Regular.ttf",
    "/usr/share/fonts/truetype/noto/NotoSansSymbols2-Regular.ttf",
    "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",
    "/usr/share/fonts/TTF/DejaVuSans.ttf",
    "/usr/share/fonts/truetype/freefont/FreeSans.ttf",
    "/usr/share/fonts/truetype/unifont/unifont.ttf",
};

std::vector<std::string> existing_system_fonts() {
    std::vector<std::string> found;
    std::error_code error;
    for (const char* path : kSystemFonts) {
        if (std::filesystem::is_regular_file(path, error)) {
            found.emplace_back(path);
        }
    }
    return found;
}

ImFont* add_face(std::string_view data,
                 float size,
                 const std::vector<ImWchar>& extra,
                 const std::vector<std::string>& system) {
    ImFontConfig config;
    config.FontDataOwnedByAtlas = false;
    config.OversampleH = config.OversampleV = 1;
    config.PixelSnapH = true;
    ImGuiIO& io = ImGui::GetIO();
    // The atlas only reads the data; its signature has no const.
    ImFont* font = io.Fonts->AddFontFromMemoryTTF(const_cast<char*>(data.data()),
                                                  static_cast<int>(data.size()), size, &config,
                                                  kBundledRanges);
    if (extra.size() > 1) {
        for (const std::string& path : system) {
            ImFontConfig merged;
            merged.MergeMode = true;
            merged.PixelSnapH = true;
            merged.OversampleH = merged.OversampleV = 1;
            io.Fonts->AddFontFromFileTTF(path.c_str(), size, &merged, extra.data());
        }
    }
    return font;
}

}  // namespace

void Glyphs::note(std::string_view text) {
    for (size_t i = 0; i < text.size();) {
        const auto first = static_cast<unsigned char>(text[i]);
        if (first < 0x80) {
            i++;
            continue;
        }
        unsigned int c = 0;
        const int length = [&] {
            // Decoded by hand: ImGui's decoder is internal, and invalid bytes need no glyph.
            const int n = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
            c = first & (0xFF >> (n + 1));
            for (int k = 1; k < n; k++) {
                if (i + k >= text.size() ||
                    (static_cast<unsigned char>(text[i + k]) & 0xC0) != 0x80) {
                    c = 0;
                    return k;
                }
                c = c << 6 | (static_cast<unsigned char>(text[i + k]) & 0x3F);
            }
            return n;
        }();
        i += static_cast<size_t>(length);
        const bool can_be_drawn = kWideCharacters ? c <= 0x10FFFF : c <= 0xFFFF;
        if (c != 0 && can_be_drawn && !is_bundled(c) && wanted_.insert(c).second) {
            changed_ = true;
        }
    }
}

void build_fonts(Fonts& fonts, float scale, Glyphs& glyphs) {
    ImGuiIO& io = ImGui::GetIO();
    io.Fonts->Clear();
    io.Fonts->FontBuilderIO = ImGuiFreeType::GetBuilderForFreeType();
    io.Fonts->FontBuilderFlags = ImGuiFreeTypeBuilderFlags_LightHinting;
    io.Fonts->Flags |= ImFontAtlasFlags_NoPowerOfTwoHeight;

    // Kept alive until the atlas is built; ImGui keeps pointers to ranges.
    static std::vector<ImWchar> extra;
    extra.clear();
    for (const uint32_t c : glyphs.wanted()) {
        extra.push_back(static_cast<ImWchar>(c));
        extra.push_back(static_cast<ImWchar>(c));
    }
    extra.push_back(0);
    const std::vector<std::string> system =
        extra.size() > 1 ? existing_system_fonts() : std::vector<std::string>();
    static const std::vector<ImWchar> none{0};

    const auto size = [scale](float units) { return std::round(units * scale); };
    fonts.body = add_face(assets::inter_regular(), size(15), extra, system);
    fonts.bold = add_face(assets::inter_semibold(), size(15), extra, system);
    fonts.italic = add_face(assets::inter_italic(), size(15), none, system);
    fonts.mono = add_face(assets::jetbrains_mono(), size(14), extra, system);
    fonts.small = add_face(assets::inter_regular(), size(13), extra, system);
    fonts.small_mono = add_face(assets::jetbrains_mono(), size(12.5F), none, system);
    fonts.heading = add_face(assets::inter_semibold(), size(18), extra, system);
    fonts.title = add_face(assets::inter_semibold(), size(28), none, system);
    fonts.scale = scale;
    fonts.generation++;
    io.FontDefault = fonts.body;
    for (ImFont* font : {fonts.body, fonts.bold, fonts.italic, fonts.mono, fonts.small,
                         fonts.small_mono, fonts.heading, fonts.title}) {
        font->FallbackChar = 0xFFFD;
    }
    io.Fonts->Build();
    glyphs.done();
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
    set(ImGuiCol_ScrollbarGrab, rgb(0x32363F));
    set(ImGuiCol_ScrollbarGrabHovered, rgb(0x434955));
    set(ImGuiCol_ScrollbarGrabActive, rgb(0x535A68));
    set(ImGuiCol_Button, colour::kChip);
    set(ImGuiCol_ButtonHovered, colour::kHover);
    set(ImGuiCol_ButtonActive, colour::kActive);
    set(ImGuiCol_Header, colour::kHover);
    set(ImGuiCol_HeaderHovered, colour::kHover);
    set(ImGuiCol_HeaderActive, colour::kActive);
    set(ImGuiCol_Separator, colour::kLine);
    set(ImGuiCol_TextSelectedBg, rgb(0x3A6BCB, 110));
    set(ImGuiCol_NavHighlight, colour::kAccent);
    set(ImGuiCol_ModalWindowDimBg, rgb(0x000000, 150));
    set(ImGuiCol_CheckMark, colour::kText);
    ImGui::GetStyle() = style;
}

}  // namespace app::window
