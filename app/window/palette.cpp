// Themes: every colour of the palette in its three versions.
#include <algorithm>
#include <cmath>

#include "app/window/theme.h"

namespace app::window {
namespace {

struct Shades {
    ImU32* colour;
    ImU32 dark, light, high_contrast;
};

const Shades kPalette[] = {
    {&colour::kBackground, rgb(0x15171B), rgb(0xFBFBFC), rgb(0x000000)},
    {&colour::kPanel, rgb(0x191B20), rgb(0xF1F2F5), rgb(0x000000)},
    {&colour::kCard, rgb(0x1D2026), rgb(0xF4F5F7), rgb(0x0A0A0A)},
    {&colour::kUserCard, rgb(0x20242C), rgb(0xECEFF5), rgb(0x101418)},
    {&colour::kChip, rgb(0x22252C), rgb(0xE6E8ED), rgb(0x0E0E0E)},
    {&colour::kHover, rgb(0x262A33), rgb(0xDDE1E8), rgb(0x2A2A2A)},
    {&colour::kActive, rgb(0x2B303B), rgb(0xD3D9E4), rgb(0x003A8C)},
    {&colour::kLine, rgb(0x2A2D34), rgb(0xD9DCE2), rgb(0x9A9A9A)},
    {&colour::kText, rgb(0xE6E8EC), rgb(0x1B1E24), rgb(0xFFFFFF)},
    {&colour::kTextSoft, rgb(0xA6ABB5), rgb(0x474D58), rgb(0xF0F0F0)},
    {&colour::kTextDim, rgb(0x828894), rgb(0x5C636F), rgb(0xD6D6D6)},
    {&colour::kAccent, rgb(0x3A6BCB), rgb(0x2F62C4), rgb(0xFFE14D)},
    {&colour::kAccentHover, rgb(0x4A7CDD), rgb(0x2453AE), rgb(0xFFF3A6)},
    {&colour::kAccentText, rgb(0x7FB0FF), rgb(0x1F55B5), rgb(0x8CC8FF)},
    {&colour::kAccentCard, rgb(0x1C2738), rgb(0xE3ECFB), rgb(0x001C40)},
    {&colour::kAccentLine, rgb(0x2F4C7A), rgb(0x9DBBEA), rgb(0x8CC8FF)},
    {&colour::kGood, rgb(0x63C98B), rgb(0x1E8A4C), rgb(0x7CFF9B)},
    {&colour::kWarning, rgb(0xE0A54B), rgb(0x8A5A00), rgb(0xFFD24D)},
    {&colour::kWarningCard, rgb(0x2C2519), rgb(0xFBF2DF), rgb(0x1E1600)},
    {&colour::kWarningLine, rgb(0x5C4823), rgb(0xE3C88D), rgb(0xFFD24D)},
    {&colour::kError, rgb(0xF0847C), rgb(0xB3261E), rgb(0xFF9D95)},
    {&colour::kErrorCard, rgb(0x2F1F20), rgb(0xFBE9E8), rgb(0x2A0000)},
    {&colour::kErrorLine, rgb(0x653538), rgb(0xE5AFAB), rgb(0xFF9D95)},
    {&colour::kTrack, rgb(0x22252B), rgb(0xE0E3E8), rgb(0x1C1C1C)},
    {&colour::kWeights, rgb(0x5A6372), rgb(0x8C95A3), rgb(0xBDBDBD)},
    {&colour::kKeys, rgb(0x5B8DDE), rgb(0x3F78D0), rgb(0x4DA3FF)},
    {&colour::kKeysReserved, rgb(0x39557F), rgb(0x9DBCEB), rgb(0x2F6CB5)},
    {&colour::kCompute, rgb(0x8A6FC4), rgb(0x8A67C8), rgb(0xD08CFF)},
    {&colour::kOthers, rgb(0x3A3F49), rgb(0xB9BFC9), rgb(0x7A7A7A)},
    {&colour::kSystem, rgb(0x9CA3AF), rgb(0x7B8391), rgb(0xE0E0E0)},
    {&colour::kCodebase, rgb(0x5B8DDE), rgb(0x3F78D0), rgb(0x4DA3FF)},
    {&colour::kChat, rgb(0x7FB4FF), rgb(0x5E9BEF), rgb(0xA6D4FF)},
    {&colour::kDraft, rgb(0x4B6A96), rgb(0x98B8E6), rgb(0xFFE14D)},
    {&colour::kReserve, rgb(0x39404C), rgb(0xA5ACB8), rgb(0x9A9A9A)},
    {&colour::kKeyword, rgb(0xC49BEF), rgb(0x7A3DB8), rgb(0xE3B5FF)},
    {&colour::kString, rgb(0x93CF92), rgb(0x22733A), rgb(0xA8FFB0)},
    {&colour::kNumber, rgb(0xF39B7C), rgb(0xA23F14), rgb(0xFFB48C)},
    {&colour::kComment, rgb(0x6F7683), rgb(0x606876), rgb(0xC8C8C8)},
    {&colour::kType, rgb(0x82B1F7), rgb(0x1F58B0), rgb(0xA6D4FF)},
    {&colour::kOnAccent, rgb(0xFFFFFF), rgb(0xFFFFFF), rgb(0x000000)},
    {&colour::kOutline, rgb(0x363A43), rgb(0xBEC4CE), rgb(0xD0D0D0)},
    {&colour::kOutlineStrong, rgb(0x4A505B), rgb(0x99A1AE), rgb(0xFFFFFF)},
    {&colour::kSelection, rgb(0x3A6BCB, 120), rgb(0x2F62C4, 70), rgb(0x0060D0, 170)},
    {&colour::kShade, rgb(0xFFFFFF, 14), rgb(0x000000, 12), rgb(0xFFFFFF, 30)},
    {&colour::kHatch, rgb(0x26303F), rgb(0xE9EDF4), rgb(0x101010)},
    {&colour::kDimmed, rgb(0x000000, 150), rgb(0x20242C, 110), rgb(0x000000, 190)},
};

double luminance(ImU32 colour) {
    const auto linear = [&](int shift) {
        const double c = static_cast<double>(colour >> shift & 255) / 255;
        return c <= 0.04045 ? c / 12.92 : std::pow((c + 0.055) / 1.055, 2.4);
    };
    return 0.2126 * linear(0) + 0.7152 * linear(8) + 0.0722 * linear(16);
}

}  // namespace

void set_theme(Theme theme) {
    for (const Shades& shades : kPalette) {
        *shades.colour = theme == Theme::light           ? shades.light
                         : theme == Theme::high_contrast ? shades.high_contrast
                                                         : shades.dark;
    }
}

Theme next(Theme theme) {
    return static_cast<Theme>((static_cast<size_t>(theme) + 1) % std::size(kThemeNames));
}

const char* name_of(Theme theme) {
    return kThemeNames[static_cast<size_t>(theme)];
}

Theme theme_named(std::string_view name) {
    for (size_t i = 0; i < std::size(kThemeNames); i++) {
        if (name == kThemeNames[i]) {
            return static_cast<Theme>(i);
        }
    }
    return Theme::dark;
}

double contrast(ImU32 a, ImU32 b) {
    const double x = luminance(a), y = luminance(b);
    return (std::max(x, y) + 0.05) / (std::min(x, y) + 0.05);
}

}  // namespace app::window
