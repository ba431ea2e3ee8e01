// How the window looks: colours, sizes, fonts. Quiet greys, one accent. Main thread only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <imgui.h>

namespace app::window {

constexpr ImU32 rgb(uint32_t hex, uint32_t alpha = 255) {
    return (hex >> 16 & 255) | (hex >> 8 & 255) << 8 | (hex & 255) << 16 | alpha << 24;
}
// The palette in use: set_theme() writes it, between frames; views read it while they draw. What
// keeps a colour beyond a frame lays out again when Fonts::generation grows.
namespace colour {
inline ImU32 kBackground = rgb(0x15171B);  // behind the chat
inline ImU32 kPanel = rgb(0x191B20);       // bars, sidebar
inline ImU32 kCard = rgb(0x1D2026);        // code, composer
inline ImU32 kUserCard = rgb(0x20242C);
inline ImU32 kChip = rgb(0x22252C);
inline ImU32 kHover = rgb(0x262A33);
inline ImU32 kActive = rgb(0x2B303B);
inline ImU32 kLine = rgb(0x2A2D34);
inline ImU32 kText = rgb(0xE6E8EC);
inline ImU32 kTextSoft = rgb(0xA6ABB5);
inline ImU32 kTextDim = rgb(0x828894);
inline ImU32 kAccent = rgb(0x3A6BCB);  // buttons
inline ImU32 kAccentHover = rgb(0x4A7CDD);
inline ImU32 kAccentText = rgb(0x7FB0FF);  // links, words that act
inline ImU32 kAccentCard = rgb(0x1C2738);
inline ImU32 kAccentLine = rgb(0x2F4C7A);
inline ImU32 kGood = rgb(0x63C98B);
inline ImU32 kWarning = rgb(0xE0A54B);
inline ImU32 kWarningCard = rgb(0x2C2519);
inline ImU32 kWarningLine = rgb(0x5C4823);
inline ImU32 kError = rgb(0xF0847C);
inline ImU32 kErrorCard = rgb(0x2F1F20);
inline ImU32 kErrorLine = rgb(0x653538);
// The gauge: memory by part, context by part.
inline ImU32 kTrack = rgb(0x22252B);
inline ImU32 kWeights = rgb(0x5A6372);
inline ImU32 kKeys = rgb(0x5B8DDE);
inline ImU32 kKeysReserved = rgb(0x39557F);
inline ImU32 kCompute = rgb(0x8A6FC4);
inline ImU32 kOthers = rgb(0x3A3F49);
inline ImU32 kSystem = rgb(0x9CA3AF);
inline ImU32 kCodebase = rgb(0x5B8DDE);
inline ImU32 kChat = rgb(0x7FB4FF);
inline ImU32 kDraft = rgb(0x4B6A96);
inline ImU32 kReserve = rgb(0x39404C);
// Code.
inline ImU32 kKeyword = rgb(0xC49BEF);
inline ImU32 kString = rgb(0x93CF92);
inline ImU32 kNumber = rgb(0xF39B7C);
inline ImU32 kComment = rgb(0x6F7683);
inline ImU32 kType = rgb(0x82B1F7);
inline ImU32 kOnAccent = rgb(0xFFFFFF);  // words and marks on the accent
inline ImU32 kOutline = rgb(0x363A43);   // of what can be pressed or written in
inline ImU32 kOutlineStrong = rgb(0x4A505B);
inline ImU32 kSelection = rgb(0x3A6BCB, 120);
inline ImU32 kShade = rgb(0xFFFFFF, 14);    // over a card: slightly off its ground
inline ImU32 kHatch = rgb(0x26303F);        // ground of hatched parts
inline ImU32 kDimmed = rgb(0x000000, 150);  // over what a dialog covers
}  // namespace colour

enum class Theme { dark, light, high_contrast };
inline constexpr const char* kThemeNames[] = {"dark", "light", "high contrast"};

// Makes the palette that of `theme`. Follow it with apply_style() and a new Fonts::generation.
void set_theme(Theme theme);
Theme next(Theme theme);
const char* name_of(Theme theme);
Theme theme_named(std::string_view name);  // dark for a name that is none

// Contrast of two opaque colours as WCAG 2 defines it, 1 to 21.
double contrast(ImU32 a, ImU32 b);

struct Fonts {
    ImFont* body = nullptr;
    ImFont* bold = nullptr;
    ImFont* italic = nullptr;
    ImFont* mono = nullptr;
    ImFont* small = nullptr;
    ImFont* small_mono = nullptr;
    ImFont* heading = nullptr;
    ImFont* title = nullptr;
    float scale = 1;          // pixels per design unit; every size in the views is multiplied by it
    uint64_t generation = 0;  // grows when the faces are rebuilt: cached layouts are then void
};

// Families of this machine in place of the bundled faces; empty: these.
struct FontChoice {
    std::string text, code;
    bool operator==(const FontChoice&) const = default;
};

// Fills ImGui's atlas with the faces at `scale`; what they do not hold comes from the glyph cache.
// A family that is not there or cannot be drawn is left for the bundled face. The caller makes the
// texture.
void build_fonts(Fonts& fonts, float scale, const FontChoice& choice = {});
// The same into an atlas of the caller's, with its pixels; any thread. ImGui is told nothing.
void fill_atlas(ImFontAtlas& atlas, Fonts& fonts, float scale, const FontChoice& choice);

void apply_style(float scale);

}  // namespace app::window
