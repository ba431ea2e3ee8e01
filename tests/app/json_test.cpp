#include "app/json/json.h"

#include "app/json/cut_json.h"
#include "app/json/python_json.h"
#include "tests/support/catch.h"

TEST_CASE("Text from strangers is refused before it can do harm") {
    CHECK_THROWS_AS(app::parse_json(std::string(100'000, '[')), app::JsonError);
    CHECK_THROWS_AS(app::parse_json(std::string(100'000, '{')), app::JsonError);
    std::string deep;
    for (int i = 0; i < 100'000; i++) {
        deep += "{\"a\":";
    }
    CHECK_THROWS_AS(app::parse_json(deep), app::JsonError);
    for (const char* bad : {"",
                            " ",
                            "nul",
                            "{",
                            "[1,]",
                            "{\"a\":1,}",
                            "NaN",
                            "[Infinity]",
                            "1e999",
                            "-1e999",
                            "01",
                            "'a'",
                            "\"\\x\"",
                            "\"\xff\"",
                            "\"\xc3\"",
                            "\"\xed\xa0\x80\"",
                            "\"\\ud800\"",
                            "[1] 2",
                            "\"a\nb\"",
                            "/* */ 1"}) {
        INFO(bad);
        CHECK_THROWS_AS(app::parse_json(bad), app::JsonError);
    }
    // Brackets in strings do not count.
    CHECK(app::parse_json("\"" + std::string(1000, '[') + "\\\"" + std::string(1000, '[') + "\"")
              .is_string());
    CHECK(app::parse_json(std::string(100, '[') + std::string(100, ']')).is_array());
}

TEST_CASE("An object with very many keys is refused: finding a key is linear") {
    std::string text = "{";
    for (int i = 0; i < 100'000; i++) {
        text += (i > 0 ? ",\"" : "\"") + std::to_string(i) + "\":1";
    }
    CHECK_THROWS_AS(app::parse_json(text + "}"), app::JsonError);
}

TEST_CASE("Writing never throws, and its result is valid UTF-8") {
    CHECK(app::to_text(app::Json(std::string("a\xff"))) == "\"a\xEF\xBF\xBD\"");
}

// Right-hand sides: Python 3.11, json.dumps(json.loads(left), ensure_ascii=False).
TEST_CASE("python_json writes what json.dumps writes") {
    const std::pair<const char*, const char*> cases[] = {
        {"{}", "{}"},
        {"[]", "[]"},
        {"[1,2,[3]]", "[1, 2, [3]]"},
        {"{\"b\":1,\"a\":{\"z\":null,\"y\":true,\"x\":false}}",
         "{\"b\": 1, \"a\": {\"z\": null, \"y\": true, \"x\": false}}"},
        {"\"\\u00e9\\u4e2d\\ud83d\\ude00\"", "\"\u00e9\u4e2d\U0001F600\""},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\\u007f\"",
         "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\""},
        {"1.0", "1.0"},
        {"-0.0", "-0.0"},
        {"-0", "0"},
        {"0.1", "0.1"},
        {"100.0", "100.0"},
        {"1e5", "100000.0"},
        {"1e15", "1000000000000000.0"},
        {"1e16", "1e+16"},
        {"123456789012345678.0", "1.2345678901234568e+17"},
        {"9007199254740993.0", "9007199254740992.0"},
        {"0.0001", "0.0001"},
        {"0.00001", "1e-05"},
        {"1.5e-7", "1.5e-07"},
        {"5e-324", "5e-324"},
        {"1.7976931348623157e308", "1.7976931348623157e+308"},
        {"3.141592653589793", "3.141592653589793"},
        {"1e22", "1e+22"},
        {"-2.5", "-2.5"},
        {"18446744073709551615", "18446744073709551615"},
        {"-9223372036854775808", "-9223372036854775808"},
        {"{\"a\":1,\"a\":2}", "{\"a\": 2}"},
    };
    for (const auto& [text, want] : cases) {
        INFO(text);
        CHECK(app::python_json(app::parse_json(text)) == want);
    }
}

TEST_CASE("what was cut of a JSON object is read wherever it was cut") {
    const std::string whole =
        R"({"text": "a\"b\\ \u00e9 \ud83d\ude00 x", "list": [1, -2.5e3, true, [null]], "o": {"k": "v", "last": false}})";
    for (size_t n = 1; n <= whole.size(); n++) {
        INFO(whole.substr(0, n));
        const auto cut = app::parse_cut_json(std::string_view(whole).substr(0, n));
        REQUIRE(cut);
        REQUIRE(cut->is_object());
        if (n > whole.find("x\"")) {
            CHECK((*cut)["text"].get<std::string>().starts_with("a\"b\\ é 😀"));
        }
    }
    CHECK(app::parse_cut_json(whole) == app::parse_json(whole));
    CHECK(app::parse_cut_json(R"({"a": "x)")->dump() == R"({"a":"x"})");
    CHECK(app::parse_cut_json(R"({"a": [1, tr)")->dump() == R"({"a":[1]})");
    CHECK(app::parse_cut_json(R"({"a)")->dump() == R"({"a":null})");
    for (const std::string& bad :
         {std::string(), std::string("{broken"), std::string("{x"), std::string("[1}"),
          std::string("}"), std::string(R"({"a" 1)"), std::string(R"({"a": 1}})"),
          std::string(R"({"a": 1} x)"), std::string(1'000'000, '[')}) {
        CHECK_FALSE(app::parse_cut_json(bad));
    }
}
