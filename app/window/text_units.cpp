#include "app/window/text_units.h"

#include <algorithm>
#include <iterator>

#include "app/window/utf8.h"

namespace app::window {
namespace {

struct Range {
    uint32_t low, high;
};

template <size_t N>
bool within(const Range (&ranges)[N], uint32_t c) {
    const auto* found = std::upper_bound(std::begin(ranges), std::end(ranges), c,
                                         [](uint32_t x, const Range& r) { return x < r.low; });
    return found != std::begin(ranges) && c <= std::prev(found)->high;
}

constexpr Range kCombining[] = {
    {0x0300, 0x036F}, {0x0483, 0x0489}, {0x0591, 0x05BD},   {0x05BF, 0x05BF},   {0x05C1, 0x05C2},
    {0x0610, 0x061A}, {0x064B, 0x065F}, {0x0E31, 0x0E31},   {0x0E34, 0x0E3A},   {0x0E47, 0x0E4E},
    {0x1AB0, 0x1AFF}, {0x1DC0, 0x1DFF}, {0x20D0, 0x20FF},   {0x302A, 0x302F},   {0x3099, 0x309A},
    {0xFE00, 0xFE0F}, {0xFE20, 0xFE2F}, {0x1F3FB, 0x1F3FF}, {0xE0020, 0xE007F}, {0xE0100, 0xE01EF}};
constexpr Range kIgnorable[] = {
    {0x00AD, 0x00AD}, {0x034F, 0x034F}, {0x061C, 0x061C}, {0x180B, 0x180F}, {0x200B, 0x200F},
    {0x202A, 0x202E}, {0x2060, 0x206F}, {0xFE00, 0xFE0F}, {0xFEFF, 0xFEFF}, {0xE0000, 0xE0FFF}};
constexpr Range kWide[] = {
    {0x1100, 0x115F}, {0x2E80, 0x303E}, {0x3041, 0x33FF},   {0x3400, 0x4DBF},   {0x4E00, 0x9FFF},
    {0xA000, 0xA4CF}, {0xA960, 0xA97C}, {0xAC00, 0xD7A3},   {0xF900, 0xFAFF},   {0xFE30, 0xFE4F},
    {0xFF00, 0xFF60}, {0xFFE0, 0xFFE6}, {0x16FE0, 0x18AFF}, {0x1B000, 0x1B2FF}, {0x20000, 0x3FFFD}};
// Characters whose usual form is the picture.
constexpr Range kEmoji[] = {
    {0x231A, 0x231B},   {0x23E9, 0x23EC},   {0x23F0, 0x23F0},   {0x23F3, 0x23F3},
    {0x25FD, 0x25FE},   {0x2614, 0x2615},   {0x2648, 0x2653},   {0x267F, 0x267F},
    {0x2693, 0x2693},   {0x26A1, 0x26A1},   {0x26AA, 0x26AB},   {0x26BD, 0x26BE},
    {0x26C4, 0x26C5},   {0x26CE, 0x26CE},   {0x26D4, 0x26D4},   {0x26EA, 0x26EA},
    {0x26F2, 0x26F3},   {0x26F5, 0x26F5},   {0x26FA, 0x26FA},   {0x26FD, 0x26FD},
    {0x2705, 0x2705},   {0x270A, 0x270B},   {0x2728, 0x2728},   {0x274C, 0x274C},
    {0x274E, 0x274E},   {0x2753, 0x2755},   {0x2757, 0x2757},   {0x2795, 0x2797},
    {0x27B0, 0x27B0},   {0x27BF, 0x27BF},   {0x2B1B, 0x2B1C},   {0x2B50, 0x2B50},
    {0x2B55, 0x2B55},   {0x1F004, 0x1F004}, {0x1F0CF, 0x1F0CF}, {0x1F18E, 0x1F18E},
    {0x1F191, 0x1F19A}, {0x1F1E6, 0x1F202}, {0x1F21A, 0x1F21A}, {0x1F22F, 0x1F22F},
    {0x1F232, 0x1F23A}, {0x1F250, 0x1F251}, {0x1F300, 0x1F320}, {0x1F32D, 0x1F335},
    {0x1F337, 0x1F37C}, {0x1F37E, 0x1F393}, {0x1F3A0, 0x1F3CA}, {0x1F3CF, 0x1F3D3},
    {0x1F3E0, 0x1F3F0}, {0x1F3F4, 0x1F3F4}, {0x1F3F8, 0x1F43E}, {0x1F440, 0x1F440},
    {0x1F442, 0x1F4FC}, {0x1F4FF, 0x1F53D}, {0x1F54B, 0x1F54E}, {0x1F550, 0x1F567},
    {0x1F57A, 0x1F57A}, {0x1F595, 0x1F596}, {0x1F5A4, 0x1F5A4}, {0x1F5FB, 0x1F64F},
    {0x1F680, 0x1F6C5}, {0x1F6CC, 0x1F6CC}, {0x1F6D0, 0x1F6D2}, {0x1F6D5, 0x1F6D7},
    {0x1F6DC, 0x1F6DF}, {0x1F6EB, 0x1F6EC}, {0x1F6F4, 0x1F6FC}, {0x1F7E0, 0x1F7EB},
    {0x1F7F0, 0x1F7F0}, {0x1F90C, 0x1F93A}, {0x1F93C, 0x1F945}, {0x1F947, 0x1FAFF}};
// Scripts whose letters join or move: only a whole word can be drawn.
constexpr Range kJoining[] = {
    {0x0590, 0x08FF}, {0x0900, 0x0DFF},   {0x0E00, 0x0EFF},   {0x0F00, 0x0FFF},
    {0x1000, 0x109F}, {0x1780, 0x17FF},   {0x1800, 0x18AF},   {0x1A20, 0x1AAF},
    {0x1B00, 0x1BFF}, {0xA840, 0xA8FF},   {0xA980, 0xAAFF},   {0xFB1D, 0xFDFF},
    {0xFE70, 0xFEFC}, {0x10800, 0x10FFF}, {0x11000, 0x11FFF}, {0x1E900, 0x1EFFF}};

constexpr uint32_t kJoiner = 0x200D, kPicture = 0xFE0F, kKeycap = 0x20E3;

bool is_flag_letter(uint32_t c) {
    return c >= 0x1F1E6 && c <= 0x1F1FF;
}

}  // namespace

bool is_combining(uint32_t c) {
    return c >= 0x300 && within(kCombining, c);
}
bool is_ignorable(uint32_t c) {
    return c >= 0xAD && within(kIgnorable, c);
}
bool is_wide(uint32_t c) {
    return c >= 0x1100 && within(kWide, c);
}
bool is_emoji(uint32_t c) {
    return c >= 0x231A && within(kEmoji, c);
}
bool breaks_anywhere(uint32_t c) {
    return c >= 0x2E80 && (is_wide(c) || is_emoji(c));
}

TextUnit next_unit(std::string_view text, size_t at) {
    constexpr int kLongestWord = 24;
    constexpr size_t kLongestUnit = 128;  // bytes; marks without end are no character of any script
    TextUnit unit;
    size_t next = 0;
    unit.first = decode_utf8(text, at, next);
    unit.end = next;
    // Most text: one ASCII character and another behind it.
    if (unit.first < 0x80 &&
        (next >= text.size() || static_cast<unsigned char>(text[next]) < 0xC0)) {
        return unit;
    }
    // What is no UTF-8: a sign by itself, mostly among others of the kind.
    if (unit.first == 0xFFFD &&
        (next >= text.size() || static_cast<unsigned char>(text[next]) < 0xC0)) {
        return unit;
    }
    unit.emoji = is_emoji(unit.first);
    if (unit.first >= 0x590 && within(kJoining, unit.first)) {
        int length = 1;
        while (unit.end < text.size() && length < kLongestWord) {
            const uint32_t c = decode_utf8(text, unit.end, next);
            if (!within(kJoining, c) && !is_combining(c) && c != kJoiner && c != 0x200C) {
                break;
            }
            unit.end = next;
            unit.single = false;
            length++;
        }
        return unit;
    }
    if (is_flag_letter(unit.first) && unit.end < text.size()) {
        const uint32_t c = decode_utf8(text, unit.end, next);
        if (is_flag_letter(c)) {
            unit.end = next;
            unit.single = false;
            return unit;
        }
    }
    while (unit.end < text.size() && unit.end - at < kLongestUnit && unit.first >= 0x20) {
        const uint32_t c = decode_utf8(text, unit.end, next);
        if (c == kJoiner && next < text.size()) {
            size_t behind = 0;
            const uint32_t joined = decode_utf8(text, next, behind);
            if (!is_emoji(joined) && (joined < 0x2190 || joined > 0x2BFF)) {
                unit.end = next;
                unit.single = false;
                break;
            }
            unit.end = behind;
            unit.single = false;
            continue;
        }
        if (!is_combining(c) && c != kKeycap && c != kJoiner) {
            break;
        }
        unit.emoji = unit.emoji || c == kPicture || c == kKeycap;
        if (c == 0xFE0E) {
            unit.emoji = false;
        }
        unit.end = next;
        unit.single = false;
    }
    return unit;
}

size_t unit_before(std::string_view text, size_t at) {
    if (at == 0) {
        return 0;
    }
    size_t begin = at - 1;
    // Plain text: the byte before is the unit.
    if (static_cast<unsigned char>(text[begin]) < 0x80) {
        return begin;
    }
    constexpr size_t kFarthest = 256;
    const size_t floor = at > kFarthest ? at - kFarthest : 0;
    while (begin > floor && static_cast<unsigned char>(text[begin]) >= 0x80) {
        begin--;
    }
    begin = character_begin(text, begin);
    for (size_t i = begin; i < at;) {
        const size_t end = next_unit(text, i).end;
        if (end >= at) {
            return i;
        }
        i = end;
    }
    return begin;
}

}  // namespace app::window
