// How the window looks: colours, sizes, fonts. Quiet greys, one accent. Main thread only.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include <imgui.h>

namespace app::window {

constexpr ImU32 rgb(uint32_t hex, uint32_t alpha = 255) {
    return (hex >> 16 & 255) | (hex >> 8 & 255) << 8 | (hex & 255) << 16 | alpha << 24;
}

namespace colour {
inline constexpr ImU32 kBackground = rgb(0x15171B);  // behind the chat
inline constexpr ImU32 kPanel = rgb(0x191B20);       // bars, sidebar
inline constexpr ImU32 kCard = rgb(0x1D2026);        // code, composer
inline constexpr ImU32 kUserCard = rgb(0x20242C);
inline constexpr ImU32 kChip = rgb(0x22252C);
inline constexpr ImU32 kHover = rgb(0x262A33);
inline constexpr ImU32 kActive = rgb(0x2B303B);
inline constexpr ImU32 kLine = rgb(0x2A2D34);
inline constexpr ImU32 kText = rgb(0xE6E8EC);
inline constexpr ImU32 kTextSoft = rgb(0xA6ABB5);
inline constexpr ImU32 kTextDim = rgb(0x828894);
inline constexpr ImU32 kAccent = rgb(0x3A6BCB);  // buttons
inline constexpr ImU32 kAccentHover = rgb(0x4A7CDD);
inline constexpr ImU32 kAccentText = rgb(0x7FB0FF);  // links, words that act
inline constexpr ImU32 kAccentCard = rgb(0x1C2738);
inline constexpr ImU32 kAccentLine = rgb(0x2F4C7A);
inline constexpr ImU32 kGood = rgb(0x63C98B);
inline constexpr ImU32 kWarning = rgb(0xE0A54B);
inline constexpr ImU32 kWarningCard = rgb(0x2C2519);
inline constexpr ImU32 kWarningLine = rgb(0x5C4823);
inline constexpr ImU32 kError = rgb(0xF0847C);
inline constexpr ImU32 kErrorCard = rgb(0x2F1F20);
inline constexpr ImU32 kErrorLine = rgb(0x653538);
// The gauge: memory by part, context by part.
inline constexpr ImU32 kTrack = rgb(0x22252B);
inline constexpr ImU32 kWeights = rgb(0x5A6372);
inline constexpr ImU32 kKeys = rgb(0x5B8DDE);
inline constexpr ImU32 kKeysReserved = rgb(0x39557F);
inline constexpr ImU32 kCompute = rgb(0x8A6FC4);
inline constexpr ImU32 kOthers = rgb(0x3A3F49);
inline constexpr ImU32 kSystem = rgb(0x9CA3AF);
inline constexpr ImU32 kCodebase = rgb(0x5B8DDE);
inline constexpr ImU32 kChat = rgb(0x7FB4FF);
inline constexpr ImU32 kDraft = rgb(0x4B6A96);
inline constexpr ImU32 kReserve = rgb(0x39404C);
// Code.
inline constexpr ImU32 kKeyword = rgb(0xC49BEF);
inline constexpr ImU32 kString = rgb(0x93CF92);
inline constexpr ImU32 kNumber = rgb(0xF39B7C);
inline constexpr ImU32 kComment = rgb(0x6F7683);
inline constexpr ImU32 kType = rgb(0x82B1F7);
}  // namespace colour

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

// Fills ImGui's atlas with the bundled faces at `scale`; what they do not hold comes from the glyph
// cache. The caller makes the texture.
void build_fonts(Fonts& fonts, float scale);

void apply_style(float scale);

}  // namespace app::window
