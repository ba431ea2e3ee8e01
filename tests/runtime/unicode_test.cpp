#include "runtime/text/unicode.h"

#include <string>

#include "tests/support/catch.h"

using runtime::char_class;
using runtime::CharClass;
using runtime::utf8_unit;
using Kind = runtime::Utf8Unit::Kind;

TEST_CASE("code points have the class of their general category", "[unicode]") {
    for (const char32_t c :
         {U'a', U'Z', U'é', U'\u017f', U'\u02b0', U'漢', U'か', U'\U0001d400', U'\U000323af'}) {
        CHECK(char_class(c) == (c == U'\U000323af' ? CharClass::other : CharClass::letter));
    }
    for (const char32_t c : {U'0', U'9', U'\u0663', U'\u00bd', U'\u2163', U'\U0001d7ff'}) {
        CHECK(char_class(c) == CharClass::number);
    }
    for (const char32_t c :
         {U' ', U'\t', U'\v', U'\u0085', U'\u00a0', U'\u1680', U'\u2028', U'\u3000'}) {
        CHECK(char_class(c) == CharClass::space);
    }
    for (const char32_t c : {U'\0', U'\u001c', U'!', U'\u0301', U'\u200b', U'\ufeff', U'\U0001f642',
                             char32_t{0x10FFFF}, char32_t{0x110000}, char32_t{0xFFFFFFFF}}) {
        CHECK(char_class(c) == CharClass::other);
    }
}

TEST_CASE("every code point survives UTF-8, and nothing else is a character", "[unicode]") {
    for (char32_t c = 0; c < 0x120000; c++) {
        // Encoded by the scheme of RFC 3629, also where it is forbidden.
        std::string text;
        if (c < 0x80) {
            text = {static_cast<char>(c)};
        } else if (c < 0x800) {
            text = {static_cast<char>(0xC0 | c >> 6), static_cast<char>(0x80 | (c & 63))};
        } else if (c < 0x10000) {
            text = {static_cast<char>(0xE0 | c >> 12), static_cast<char>(0x80 | (c >> 6 & 63)),
                    static_cast<char>(0x80 | (c & 63))};
        } else {
            text = {static_cast<char>(0xF0 | c >> 18), static_cast<char>(0x80 | (c >> 12 & 63)),
                    static_cast<char>(0x80 | (c >> 6 & 63)), static_cast<char>(0x80 | (c & 63))};
        }
        const bool legal = c < 0x110000 && (c < 0xD800 || c > 0xDFFF);
        const auto unit = utf8_unit(text + "x");
        if (legal != (unit.kind == Kind::character) ||
            (legal && (unit.code_point != c || unit.length != text.size())) ||
            (!legal && unit.length != 1)) {
            FAIL("code point " << static_cast<uint32_t>(c));
        }
    }
}

TEST_CASE("broken UTF-8 is cut into maximal subparts", "[unicode]") {
    struct Case {
        std::string text;
        Kind kind;
        int length;
    };
    const Case cases[] = {
        {"\x80", Kind::invalid, 1},
        {"\xC0\xAF", Kind::invalid, 1},
        {"\xC1\xBF", Kind::invalid, 1},
        {"\xE0\x80\x80", Kind::invalid, 1},
        {"\xED\xA0\x80", Kind::invalid, 1},
        {"\xF0\x80\x80\x80", Kind::invalid, 1},
        {"\xF4\x90\x80", Kind::invalid, 1},
        {"\xF5\x80", Kind::invalid, 1},
        {"\xFF", Kind::invalid, 1},
        {"\xE3\x83z", Kind::invalid, 2},
        {"\xF0\x9F\x99z", Kind::invalid, 3},
        {"\xE3\x83\xC3", Kind::invalid, 2},
        {"\xC3", Kind::incomplete, 1},
        {"\xE3\x83", Kind::incomplete, 2},
        {"\xF0\x9F\x99", Kind::incomplete, 3},
    };
    for (const Case& c : cases) {
        const auto unit = utf8_unit(c.text);
        CHECK(unit.kind == c.kind);
        CHECK(unit.length == c.length);
        CHECK(unit.code_point == 0xFFFD);
    }
}

TEST_CASE("strip removes what Python's str.strip removes", "[unicode]") {
    CHECK(runtime::strip("") == "");
    CHECK(runtime::strip(" \t\r\n\v\f\x1c\x1d\x1e\x1f") == "");
    CHECK(runtime::strip("\u00a0\u3000\u2028 a b\u0085\u2009\u1680") == "a b");
    CHECK(runtime::strip("\u200b a \ufeff") == "\u200b a \ufeff");
    CHECK(runtime::strip("\x80 a\xe3\x80") == "\x80 a\xe3\x80");
    CHECK(runtime::strip(" \x80 ") == "\x80");
    CHECK(runtime::strip("é ") == "é");
}
