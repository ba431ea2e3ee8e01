#include "runtime/text/detokenizer.h"

#include <random>

#include "runtime/text/unicode.h"
#include "tests/runtime/text_cases.h"
#include "tests/support/catch.h"

using namespace runtime;

namespace {

bool is_valid_utf8(std::string_view text) {
    while (!text.empty()) {
        const Utf8Unit unit = utf8_unit(text);
        if (unit.kind != Utf8Unit::Kind::character) {
            return false;
        }
        text.remove_prefix(unit.length);
    }
    return true;
}

// All bytes as one token each.
std::string streamed(const Tokenizer& tokenizer, const std::vector<TokenId>& ids) {
    Detokenizer detokenizer(tokenizer);
    std::string text;
    for (const TokenId id : ids) {
        const std::string piece = detokenizer.add(id);
        REQUIRE(is_valid_utf8(piece));
        text += piece;
    }
    text += detokenizer.flush();
    REQUIRE(detokenizer.flush().empty());
    return text;
}

std::vector<TokenId> byte_ids(const Tokenizer& tokenizer, const std::string& bytes) {
    std::vector<TokenId> ids;
    for (const char c : bytes) {
        ids.push_back(tokenizer.encode(std::string_view(&c, 1))[0]);
    }
    return ids;
}

}  // namespace

TEST_CASE("a character split over tokens comes out whole, at its last byte", "[detokenizer]") {
    const Tokenizer tokenizer(tests::small_vocabulary());
    Detokenizer detokenizer(tokenizer);
    const auto ids = byte_ids(tokenizer, "a\xF0\x9F\x99\x82z");
    std::vector<std::string> pieces;
    for (const TokenId id : ids) {
        pieces.push_back(detokenizer.add(id));
    }
    CHECK(pieces == std::vector<std::string>{"a", "", "", "", "\xF0\x9F\x99\x82", "z"});
    CHECK(detokenizer.flush().empty());
}

TEST_CASE("broken sequences become U+FFFD, one per maximal subpart", "[detokenizer]") {
    const Tokenizer tokenizer(tests::small_vocabulary());
    const std::string r = "\uFFFD";
    // The first row is the example of the Unicode standard, table 3-8; the others are its
    // neighbours 3-9 to 3-11.
    const std::pair<std::string, std::string> cases[] = {
        {"\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41", r + r + r + r + r + r + r + r + "A"},
        {"\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41", r + r + r + r + r + r + r + r + "A"},
        {"\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42", r + r + r + r + r + "A" + r + r + "B"},
        {"\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", r + r + r + r + "A"},
        {"\xE3\x83", r},
        {"ok\xF0\x9F\x99", "ok" + r},
        {"\x80\x80", r + r},
        {"", ""},
    };
    for (const auto& [bytes, text] : cases) {
        CHECK(streamed(tokenizer, byte_ids(tokenizer, bytes)) == text);
        CHECK(streamed(tokenizer, tokenizer.encode(bytes)) == text);
    }
}

TEST_CASE("the text does not depend on how the tokens cut it", "[detokenizer]") {
    const Tokenizer tokenizer(tests::small_vocabulary());
    std::mt19937 random(6);
    for (int round = 0; round < 3000; round++) {
        std::string bytes(random() % 24, '\0');
        for (char& c : bytes) {
            c = "\xE3\x83\x80\xF0\x9F\xC3\xA9\xED\xA0 a\xFF\xF4\x8F\xBF"[random() % 15];
        }
        const std::string text = streamed(tokenizer, byte_ids(tokenizer, bytes));
        REQUIRE(streamed(tokenizer, tokenizer.encode(bytes)) == text);
        REQUIRE(is_valid_utf8(text));
        if (is_valid_utf8(bytes)) {
            REQUIRE(text == bytes);
        }
    }
}

TEST_CASE("hidden tokens add nothing and do not disturb a character", "[detokenizer]") {
    const Tokenizer tokenizer(tests::small_vocabulary());
    Detokenizer detokenizer(tokenizer);
    CHECK(detokenizer.add(331) == "");
    CHECK(detokenizer.add(331, true) == "<|user|>");
    CHECK(detokenizer.add(345) == "<think>");
    CHECK(detokenizer.add(-1) == "");
    CHECK(detokenizer.add(1'000'000) == "");
}
