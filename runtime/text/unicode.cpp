#include "runtime/text/unicode.h"

#include <array>
#include <memory>

namespace runtime {
namespace {

constexpr uint32_t kCodePoints = 0x110000;
constexpr char32_t kReplacement = 0xFFFD;

constexpr uint32_t kChanges[] = {
#include "runtime/text/unicode_tables.inc"
};

// Two bits per code point: 272 KiB, of which a text touches a few cache lines.
using ClassTable = std::array<uint8_t, kCodePoints / 4>;

std::unique_ptr<const ClassTable> build_table() {
    auto table = std::make_unique<ClassTable>();
    table->fill(0);
    const size_t count = std::size(kChanges);
    for (size_t i = 0; i < count; i++) {
        const uint32_t first = kChanges[i] >> 2, kind = kChanges[i] & 3;
        const uint32_t end = i + 1 < count ? kChanges[i + 1] >> 2 : kCodePoints;
        for (uint32_t c = first; kind != 0 && c < end; c++) {
            (*table)[c / 4] |= static_cast<uint8_t>(kind << (c % 4 * 2));
        }
    }
    return table;
}

bool is_python_space(char32_t c) {
    return char_class(c) == CharClass::space || (c >= 0x1C && c <= 0x1F);
}

}  // namespace

Utf8Unit utf8_unit(std::string_view text) {
    using Kind = Utf8Unit::Kind;
    const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
    const uint8_t lead = byte(0);
    if (lead < 0x80) {
        return {Kind::character, 1, lead};
    }
    // The second byte's range excludes overlong forms, surrogates and what lies above U+10FFFF
    // (Unicode, table 3-7).
    uint8_t length = 0, low = 0x80, high = 0xBF;
    if (lead >= 0xC2 && lead <= 0xDF) {
        length = 2;
    } else if (lead >= 0xE0 && lead <= 0xEF) {
        length = 3;
        low = lead == 0xE0 ? 0xA0 : 0x80;
        high = lead == 0xED ? 0x9F : 0xBF;
    } else if (lead >= 0xF0 && lead <= 0xF4) {
        length = 4;
        low = lead == 0xF0 ? 0x90 : 0x80;
        high = lead == 0xF4 ? 0x8F : 0xBF;
    } else {
        return {Kind::invalid, 1, kReplacement};
    }
    char32_t value = lead & (0x7F >> length);
    for (uint8_t i = 1; i < length; i++) {
        if (i >= text.size()) {
            return {Kind::incomplete, i, kReplacement};
        }
        if (byte(i) < low || byte(i) > high) {
            return {Kind::invalid, i, kReplacement};
        }
        value = value << 6 | (byte(i) & 0x3F);
        low = 0x80;
        high = 0xBF;
    }
    return {Kind::character, length, value};
}

CharClass char_class(char32_t code_point) {
    static const std::unique_ptr<const ClassTable> table = build_table();
    if (code_point >= kCodePoints) {
        return CharClass::other;
    }
    return static_cast<CharClass>((*table)[code_point / 4] >> (code_point % 4 * 2) & 3);
}

std::string_view strip(std::string_view text) {
    while (!text.empty()) {
        const Utf8Unit unit = utf8_unit(text);
        if (!is_python_space(unit.code_point)) {
            break;
        }
        text.remove_prefix(unit.length);
    }
    while (!text.empty()) {
        // Back to the start of the last character: every white space is at most 3 bytes long.
        size_t start = text.size() - 1;
        while (start > 0 && text.size() - start < 3 && (text[start] & 0xC0) == 0x80) {
            start--;
        }
        const Utf8Unit unit = utf8_unit(text.substr(start));
        if (start + unit.length != text.size() || !is_python_space(unit.code_point)) {
            break;
        }
        text.remove_suffix(unit.length);
    }
    return text;
}

}  // namespace runtime
