// JSON schemas as grammars: texts that each must accept and refuse, schemas that must be refused
// with the place named, numbers between all kinds of bounds against arithmetic.
#include "app/server/schema_grammar.h"

#include <cmath>
#include <cstdio>
#include <ctime>
#include <memory>
#include <optional>
#include <random>
#include <regex>
#include <string>
#include <vector>

#include "app/server/api_error.h"
#include "app/server/tool_schema.h"
#include "runtime/model/synth_vocabulary.h"
#include "runtime/text/grammar/matcher.h"
#include "tests/support/catch.h"

using app::Json;
using runtime::GrammarStates;

namespace {

const runtime::Tokenizer& tokenizer() {
    static const runtime::Tokenizer made(runtime::synthetic_vocabulary(1024));
    return made;
}

std::shared_ptr<runtime::InnerMasks> inner_masks() {
    static const auto made = std::make_shared<runtime::InnerMasks>(
        std::make_shared<const runtime::TokenTrie>(tokenizer()));
    return made;
}

class Language {
public:
    explicit Language(const app::ReplyShape& shape)
        : states_(app::reply_grammar(shape, tokenizer()), inner_masks(), {}) {}

    // Bytes; the format's markers are their tokens.
    bool accepts(const std::string& text) {
        int32_t state = states_.start();
        for (size_t i = 0; i < text.size() && state != GrammarStates::kDead;) {
            const size_t end = text[i] == '<' ? text.find('>', i) : std::string::npos;
            const auto special = end == std::string::npos
                                     ? std::nullopt
                                     : tokenizer().find(text.substr(i, end - i + 1));
            if (special) {
                state = states_.after_token(state, *special);
                i = end + 1;
            } else {
                state = states_.after_byte(state, static_cast<uint8_t>(text[i++]));
            }
        }
        return state != GrammarStates::kDead && states_.may_end(state);
    }

private:
    GrammarStates states_;
};

Language of_schema(const std::string& text) {
    const Json schema = app::parse_json(text);
    return Language({&schema, {}, false, false});
}

}  // namespace

TEST_CASE("a schema's grammar accepts what satisfies it and refuses what does not") {
    struct Case {
        const char* schema;
        std::vector<const char*> good, bad;
    };
    const std::vector<Case> cases = {
        {R"({"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"string"}},"required":["a","b"],"additionalProperties":false})",
         {R"({"a":1,"b":"x"})", R"({"a": -20, "b": "é\n\"😀"})"},
         {R"({"a":1})", R"({"b":"x","a":1})", R"({"a":1.0,"b":"x"})", R"({"a":01,"b":""})",
          R"({"a":1,"b":"x","c":1})", "{}", ""}},
        {R"({"type":"object","properties":{"a":{},"b":{},"c":{}},"required":["b"]})",
         {R"({"b":1})", R"({"a":null,"b":[1,{"x":"y"}]})", R"({"b":1,"c":2})",
          R"({"a":1,"b":2,"c":3})"},
         {R"({"a":1})", R"({"a":1,"c":2})", R"({,"b":1})", R"({"b":1,})"}},
        {R"({"type":"object","additionalProperties":{"type":"boolean"},"properties":{"id":{"type":"integer"}},"required":["id"]})",
         {R"({"id":1})", R"({"id":1,"x":true,"idx":false,"i":true})"},
         {R"({"id":1,"id":true})", R"({"id":1,"x":1})", R"({"id":true})"}},
        {R"({"type":"array","items":{"type":"integer"},"minItems":1,"maxItems":3})",
         {"[1]", "[1, 2,3]"},
         {"[]", "[1,2,3,4]", "[1,]"}},
        {R"({"type":"array","prefixItems":[{"type":"string"},{"type":"integer"}],"items":false,"minItems":1})",
         {R"(["a"])", R"(["a",1])"},
         {"[]", R"(["a","b"])", R"(["a",1,2])"}},
        {R"({"enum":["a",1,null,{"k":[true]}]})",
         {R"("a")", "1", "null", R"({"k":[true]})"},
         {R"("b")", "2", "a"}},
        {R"({"const":"x<y"})", {R"("x<y")"}, {R"("x")"}},
        {R"({"type":["string","null"]})", {R"("")", "null"}, {"1"}},
        {R"({"type":"string","minLength":2,"maxLength":3})",
         {R"("ab")", R"("日本語")", R"("\u00e9\ud83d\ude00x")"},
         {R"("a")", R"("abcd")", R"("\ud83d")"}},
        {R"({"type":"string","pattern":"^\"\\d+$"})", {R"("\"12")"}, {R"("12")"}},
        {R"({"type":"string","pattern":"b"})", {R"("abc")", R"("b")"}, {R"("ac")"}},
        {R"({"type":"string","format":"date"})",
         {R"("2024-12-31")"},
         {R"("2024-13-01")", R"("2024-02-30")"}},
        {R"({"anyOf":[{"type":"integer"},{"type":"array","items":{"$ref":"#"}}]})",
         {"1", "[[1],[],2]"},
         {"[true]", "[[]"}},
        {R"({"$defs":{"n":{"type":"object","properties":{"next":{"anyOf":[{"$ref":"#/$defs/n"},{"type":"null"}]}},"required":["next"],
            "additionalProperties":false}},"$ref":"#/$defs/n"})",
         {R"({"next":{"next":null}})"},
         {R"({"next":{}})", "null"}},
        {R"({"allOf":[{"properties":{"a":{"type":"integer"}},"required":["a"]},{"type":"object","properties":{"b":{"type":"null"}},"required":["b"]}]})",
         {R"({"a":1,"b":null})"},
         {R"({"a":1})", R"({"a":"","b":null})"}},
        {R"({"allOf":[{"minimum":3},{"type":"integer","maximum":5}]})",
         {"3", "5"},
         {"2", "6", "3.5"}},
        {R"({"oneOf":[{"type":"string","enum":["a"]},{"type":"integer","minimum":7,"maximum":7}]})",
         {R"("a")", "7"},
         {R"("b")", "8"}},
        {R"({"type":"integer","multipleOf":7})", {"0", "7", "-14", "700"}, {"1", "-0", "07", "13"}},
        {R"({"type":"integer","multipleOf":5,"minimum":0,"maximum":100})",
         {"0", "5", "95", "100"},
         {"-5", "105", "7", "00", "05"}},
        {R"({"type":"number","multipleOf":0.25,"minimum":0.5,"exclusiveMaximum":20})",
         {"0.50", "0.75", "19", "19.25", "19.00", "19.75"},
         {"0.25", "20", "19.755", "0", "19.7"}},
        {R"({"type":"string","pattern":"a","maxLength":3})",
         {R"("a")", R"("bab")"},
         {R"("baab")", R"("b")"}},
        {R"({"type":"string","pattern":"^[a-z]+(-[a-z]+)*$","minLength":4,"maxLength":6})",
         {R"("abcd")", R"("a-b-cd")"},
         {R"("abc")", R"("a-b-cde")", R"("abc-")"}},
        {R"({"type":"string","format":"email","maxLength":10})",
         {R"("a@bc.de")"},
         {R"("abcdef@bc.de")", R"("a@b")"}},
        {R"({"type":"number","exclusiveMinimum":-1.5,"maximum":0.25})",
         {"-1.49", "0", "0.25", "0.2", "-1", "-0.001"},
         {"-1.5", "0.26", "0.251", "1", "-0", "-2"}},
        {R"({"minimum":10,"maximum":9,"type":["number","boolean"]})", {"true"}, {"9", "10"}},
        {R"({"type":"boolean"})", {"true", "false"}, {"True", "null"}},
        {R"({})",
         {"1e5", R"("x")", R"({"a": {"b": []}})", "-0.5"},
         {"01", "+1", "nul", R"({"a"})", "[1 ]"}},
        {R"({"type":"object","maxProperties":1,"additionalProperties":{"type":"integer"}})",
         {"{}", R"({"a":1})"},
         {R"({"a":1,"b":2})"}},
        {R"({"properties":{"é\"":{"type":"integer"}},"required":["é\""],"type":"object"})",
         {R"({"é\"":1})"},
         {R"({"é":1})"}},
        {R"({"enum":["a","b",3],"type":"string"})", {R"("a")"}, {"3"}},
    };
    for (const Case& c : cases) {
        Language language = of_schema(c.schema);
        for (const char* text : c.good) {
            INFO(c.schema << " should accept " << text);
            CHECK(language.accepts(text));
        }
        for (const char* text : c.bad) {
            INFO(c.schema << " should refuse " << text);
            CHECK_FALSE(language.accepts(text));
        }
    }
    const Json any = true;
    Language object({&any, {}, false, false});
    CHECK(object.accepts(R"({"a":[1]})"));
    CHECK_FALSE(object.accepts("[1]"));
}

TEST_CASE("a schema that cannot be honoured is refused, and the place is named") {
    const std::vector<std::pair<const char*, const char*>> cases = {
        {R"({"not":{"type":"null"}})", ".not"},
        {R"_({"type":"object","properties":{"a":{"type":"string","pattern":"(?=x)"}}})_",
         ".properties.a.pattern"},
        {R"({"type":"array","items":{"type":"array","uniqueItems":true}})", ".items.uniqueItems"},
        {R"({"type":"object","properties":{"a":{"type":"integr"}}})", ".properties.a.type"},
        {R"({"oneOf":[{"type":"object"},{"type":"object"}]})", ".oneOf"},
        {R"({"$ref":"other.json"})", ".$ref"},
        {R"({"$ref":"#/$defs/x"})", ".$ref"},
        {R"({"type":"string","minLength":200000})", ".minLength"},
        {R"({"type":"string","minLength":-1})", ".minLength"},
        {R"({"type":"integer","multipleOf":0})", ".multipleOf"},
        {R"({"anyOf":[]})", ".anyOf"},
        {R"({"type":"object","properties":[]})", ".properties"},
        {R"({"type":"object","required":"a"})", ".required"},
        {R"({"allOf":[{"pattern":"a"},{"pattern":"b"}],"type":"string"})", "schema"},
        {R"({"allOf":[{"$ref":"#"}]})", "schema"},
        {R"({"type":"object","properties":{"a":{"$ref":"#"}},"required":["a"]})",
         "nothing can satisfy"},
        {R"({"type":"integer","minimum":5,"maximum":4})", "nothing can satisfy"},
        {R"(false)", "nothing can satisfy"},
        {R"({"type":"string","pattern":"^(a{1,900}b){1,900}$","maxLength":30000})", ".pattern"},
        {R"({"type":"string","format":"email","maxLength":5})", "nothing can satisfy"},
        {R"({"type":"number","multipleOf":0.7})", ".multipleOf"},
        {R"({"type":"number","multipleOf":0.01})", ".multipleOf"},
        {R"({"type":"number","multipleOf":0.00001})", ".multipleOf"},
        {R"({"type":"integer","multipleOf":1001})", ".multipleOf"},
        {R"({"type":"string","format":"date","pattern":"^2"})", ".pattern"},
        {R"({"allOf":[{"type":"array","prefixItems":[{},{}]},{"items":{"type":"integer"}}]})",
         "prefixItems"},
        {R"({"allOf":[{"type":"array","uniqueItems":false},{"uniqueItems":true}]})",
         ".uniqueItems"},
        {R"({"allOf":[{"type":"object","properties":{"a":{}},"unevaluatedProperties":false},
                      {"properties":{"b":{}},"required":["b"]}]})",
         ".unevaluatedProperties"},
    };
    for (const auto& [schema, place] : cases) {
        INFO(schema);
        try {
            of_schema(schema);
            FAIL("accepted");
        } catch (const app::ApiError& error) {
            CHECK(error.status == 400);
            INFO(error.what());
            CHECK((std::string(error.what()) + error.param).find(place) != std::string::npos);
        }
    }
}

TEST_CASE("numbers between bounds are exactly those") {
    std::mt19937 random(4);
    const auto decimal = [&](int digits) {
        const double scale = std::pow(10, digits);
        return std::round((static_cast<double>(random() % 40001) - 20000) / 20000 * 30 * scale) /
               scale;
    };
    for (int round = 0; round < 300; round++) {
        Json schema;
        const bool whole = random() % 2 == 0;
        schema["type"] = whole ? "integer" : "number";
        const double low = decimal(static_cast<int>(random() % 3)),
                     high = low + std::abs(decimal(static_cast<int>(random() % 3))) + 1;
        const bool has_low = random() % 4 != 0, has_high = random() % 4 != 0,
                   open_low = random() % 2 == 0, open_high = random() % 2 == 0;
        if (has_low) {
            schema[open_low ? "exclusiveMinimum" : "minimum"] = low;
        }
        if (has_high) {
            schema[open_high ? "exclusiveMaximum" : "maximum"] = high;
        }
        Language language({&schema, {}, false, false});
        for (int i = 0; i < 60; i++) {
            const int places = whole ? 0 : static_cast<int>(random() % 4);
            double value = i < 4 ? (i % 2 == 0 ? low : high) : decimal(places);
            char text[64];
            std::snprintf(text, sizeof(text), "%.*f", i < 4 ? 3 : places, value);
            std::string plain = text;
            if (i < 4) {
                plain.erase(plain.find_last_not_of('0') + 1);
                plain.erase(plain.find_last_not_of('.') + 1);
            }
            if (plain == "-0" || plain.starts_with("-0.0") ||
                (whole && plain.find('.') != std::string::npos)) {
                continue;
            }
            value = std::stod(plain);
            const bool inside = (!has_low || (open_low ? value > low : value >= low)) &&
                                (!has_high || (open_high ? value < high : value <= high));
            INFO(schema.dump() << " and " << plain);
            CHECK(language.accepts(plain) == inside);
        }
    }
}

// Against the division that validators make: accepted is what comes out whole, and all of it.
TEST_CASE("multiples between bounds are all those that divide without a rest, or refused") {
    std::mt19937 random(5);
    int honoured = 0;
    for (int round = 0; round < 150; round++) {
        const int places = static_cast<int>(random() % 4);
        const double scale = std::pow(10, places);
        const double factor = static_cast<double>(1 + random() % 60) / scale;
        const bool whole = random() % 3 == 0;
        Json schema;
        schema["type"] = whole ? "integer" : "number";
        schema["multipleOf"] = factor;
        const double low = static_cast<double>(static_cast<int>(random() % 400) - 200) / 4,
                     high = low + static_cast<double>(random() % 400) / 8;
        const bool has_low = random() % 3 != 0, has_high = random() % 3 != 0,
                   open_low = random() % 2 == 0, open_high = random() % 2 == 0;
        if (has_low) {
            schema[open_low ? "exclusiveMinimum" : "minimum"] = low;
        }
        if (has_high) {
            schema[open_high ? "exclusiveMaximum" : "maximum"] = high;
        }
        std::optional<Language> language;
        try {
            language.emplace(app::ReplyShape{&schema, {}, false, false});
        } catch (const app::ApiError& error) {
            CHECK(error.status == 400);
            continue;
        }
        honoured++;
        for (int hundredth = -12'000; hundredth <= 12'000;
             hundredth += hundredth % 25 == 0 ? 1 : 4) {
            const double value = hundredth / 100.0;
            bool accepted = false;  // with as many zeros behind the point as it takes
            std::string text;
            for (int shown = 0; shown <= 3 && !accepted; shown++) {
                char written[32];
                std::snprintf(written, sizeof written, "%.*f", shown, value);
                text = written;
                accepted = std::stod(text) == value && text != "-0" && language->accepts(text);
            }
            if (hundredth == 0) {
                continue;
            }
            const double quotient = value / factor;
            const bool inside = (!has_low || (open_low ? value > low : value >= low)) &&
                                (!has_high || (open_high ? value < high : value <= high));
            const bool good = quotient == std::trunc(quotient) && inside;
            if (accepted != (good && (!whole || hundredth % 100 == 0))) {
                FAIL(schema.dump() << " and " << text);
            }
        }
    }
    CHECK(honoured > 40);
}

TEST_CASE("a pattern with a length accepts what has both") {
    const std::vector<std::string> patterns = {"^a*b?$", "^(ab|a)+$",       "^[ab]{2,9}$", "ba",
                                               "^a|b$",  "^((a|b){2})*c?$", "^(a?){3}b$",  "^$"};
    for (const std::string& pattern : patterns) {
        const std::regex regex(pattern);
        for (int least = 0; least < 5; least++) {
            for (int most = least - 1; most < 7; most++) {
                Json schema;
                schema["type"] = "string";
                schema["pattern"] = pattern;
                schema["minLength"] = least;
                if (most >= least) {
                    schema["maxLength"] = most;
                }
                std::optional<Language> language;
                try {
                    language.emplace(app::ReplyShape{&schema, {}, false, false});
                } catch (const app::ApiError& error) {
                    REQUIRE(std::string(error.what()).find("nothing can satisfy") !=
                            std::string::npos);
                }
                for (int length = 0; length <= 8; length++) {
                    for (int word = 0; word < 1 << length; word++) {
                        std::string text;
                        for (int i = 0; i < length; i++) {
                            text += (word >> i & 1) != 0 ? 'b' : 'a';
                        }
                        const bool good = std::regex_search(text, regex) && length >= least &&
                                          (most < least || length <= most);
                        if ((language && language->accepts("\"" + text + "\"")) != good) {
                            FAIL(schema.dump() << " and " << text);
                        }
                    }
                }
            }
        }
    }
}

TEST_CASE("one of many words is written once where they begin alike, and none is lost") {
    Json schema;
    std::vector<std::string> words;
    for (int i = 0; i < 3000; i++) {
        words.push_back("word" + std::to_string(i * 7));
        schema["enum"].push_back(words.back());
    }
    Language language({&schema, {}, false, false});
    for (int i = 0; i < 21'000; i++) {
        CHECK(language.accepts("\"word" + std::to_string(i) + "\"") == (i % 7 == 0));
    }
    CHECK_FALSE(language.accepts("\"word\""));
}

// What a client can send must be answered soon, whatever it is.
TEST_CASE("a schema that is made to be slow becomes a grammar or is refused within a second") {
    const auto nested = [](const std::string& open, const std::string& inside,
                           const std::string& close, int depth) {
        std::string text;
        for (int i = 0; i < depth; i++) {
            text += open;
        }
        text += inside;
        for (int i = 0; i < depth; i++) {
            text += close;
        }
        return text;
    };
    std::vector<std::string> schemas = {
        R"({"type":"string","pattern":"^(((((a{0,999}){0,999}){0,999}){0,999}){0,999})$"})",
        R"({"type":"string","pattern":"^(a|a|aa)*(a|aa)*(a|aa)*b$","maxLength":5000})",
        R"({"type":"string","pattern":"^((){999}){999}$","maxLength":3})",
        R"({"type":"array","items":{"type":"array","items":{"type":"string","maxLength":999999},"maxItems":999999},"minItems":99999,"maxItems":400000000})",
        R"({"type":"integer","multipleOf":997,"minimum":-999999999999999,"maximum":999999999999999})",
        nested(R"({"type":"array","items":)", "{}", "}", 90),
        nested(R"({"anyOf":[{"type":"null"},)", R"({"type":"integer"})", "]}", 60),
        nested(R"({"allOf":[{"minimum":1},)", R"({"type":"integer"})", "]}", 60),
        R"({"$defs":{"a":{"anyOf":[{"$ref":"#/$defs/b"},{"$ref":"#/$defs/b"}]},"b":{"anyOf":[{"$ref":"#/$defs/a"},{"type":"array","items":{"$ref":"#/$defs/a"}}]}},"$ref":"#/$defs/a"})",
    };
    std::string many = R"({"type":"object","additionalProperties":false,"properties":{)";
    for (int i = 0; i < 2000; i++) {
        many += (i > 0 ? "," : "") + std::string("\"p") + std::to_string(i) +
                R"(":{"type":"string","maxLength":99})";
    }
    schemas.push_back(many + "}}");
    std::string doubling = R"({"$defs":{"d0":{"type":"null"})";
    for (int i = 1; i < 60; i++) {
        const std::string before = R"({"$ref":"#/$defs/d)" + std::to_string(i - 1) + "\"}";
        doubling += ",\"d" + std::to_string(i) + R"(":{"type":"object","properties":{"a":)" +
                    before + ",\"b\":" + before + R"(},"required":["a","b"]})";
    }
    schemas.push_back(doubling + R"(},"$ref":"#/$defs/d59"})");
    std::string merging = R"({"$defs":{"d0":{"type":"integer"})";
    for (int i = 1; i < 40; i++) {
        const std::string before = R"({"$ref":"#/$defs/d)" + std::to_string(i - 1) + "\"}";
        merging += ",\"d" + std::to_string(i) + "\":{\"allOf\":[" + before + "," + before + "]}";
    }
    schemas.push_back(merging + R"(},"$ref":"#/$defs/d39"})");
    std::string ways = R"({"$defs":{"d0":{"type":"integer"})";
    for (int i = 1; i < 40; i++) {
        const std::string before = R"({"$ref":"#/$defs/d)" + std::to_string(i - 1) + "\"}";
        ways += ",\"d" + std::to_string(i) + "\":{\"minimum\":0,\"anyOf\":[" + before + "," +
                before + "]}";
    }
    schemas.push_back(ways + R"(},"$ref":"#/$defs/d39"})");
    for (const std::string& text : schemas) {
        INFO(text.substr(0, 200));
        const auto began = std::clock();
        std::string how = "honoured";
        try {
            Language language = of_schema(text);
            language.accepts("[[\"a\"]]");
        } catch (const app::ApiError& error) {
            CHECK(error.status == 400);
            how = error.what();
        }
        INFO(how);
#ifdef __SANITIZE_ADDRESS__
        constexpr double kMost = 10;  // instrumented code takes several times as long
#else
        constexpr double kMost = 1;
#endif
        CHECK(static_cast<double>(std::clock() - began) / CLOCKS_PER_SEC < kMost);
    }
}

TEST_CASE("forced calls have GLM's form, with arguments that satisfy their schemas") {
    const Json parameters = app::parse_json(
        R"({"type":"object","properties":{"city":{"type":"string"},"days":{"type":"integer","minimum":1,"maximum":9},
            "unit":{"type":"string","enum":["C","F"]},"tags":{"type":"array","items":{"type":"string"}},"note":{"type":["string","null"]}},
            "required":["city","days"]})");
    Language one({nullptr, {{"weather", &parameters, "p"}, {"now", nullptr, "p"}}, false, false});
    const auto argument = [](const std::string& key, const std::string& value) {
        return "<arg_key>" + key + "</arg_key><arg_value>" + value + "</arg_value>";
    };
    const std::string start =
        "<tool_call>weather" + argument("city", "Köln <x> \"q\"") + argument("days", "3");
    CHECK(one.accepts("<tool_call>now</tool_call>"));
    CHECK(one.accepts(start + "</tool_call>"));
    CHECK(one.accepts(start + argument("unit", "F") + argument("tags", R"(["a","\u003cb"])") +
                      "</tool_call>"));
    CHECK(one.accepts(start + argument("note", R"("x")") + "</tool_call>"));
    CHECK(one.accepts(start + argument("note", "null") + "</tool_call>"));
    CHECK_FALSE(one.accepts(start + argument("unit", "K") + "</tool_call>"));
    CHECK(one.accepts(start + argument("note", "bare") +
                      "</tool_call>"));  // what is no JSON is a string
    CHECK(one.accepts("<tool_call>weather" + argument("note", "x") + argument("days", "3") +
                      argument("city", "x") + "</tool_call>"));  // in any order
    CHECK_FALSE(one.accepts(start + argument("days", "3") + "</tool_call>"));
    CHECK_FALSE(one.accepts(start + argument("other", "3") + "</tool_call>"));
    CHECK_FALSE(one.accepts(start + argument("tags", R"(["<b"])") + "</tool_call>"));
    CHECK_FALSE(one.accepts("<tool_call>weather" + argument("city", "x") + "</tool_call>"));
    CHECK_FALSE(one.accepts("<tool_call>weather" + argument("city", "x") + argument("days", "0") +
                            "</tool_call>"));
    CHECK_FALSE(one.accepts("<tool_call>other</tool_call>"));
    CHECK_FALSE(one.accepts("words <tool_call>now</tool_call>"));
    CHECK_FALSE(one.accepts("<tool_call>now</tool_call><tool_call>now</tool_call>"));
    Language many({nullptr, {{"now", nullptr, "p"}}, true, false});
    CHECK(many.accepts("<tool_call>now</tool_call><tool_call>now</tool_call>"));
    Language opened({nullptr, {{"now", nullptr, "p"}}, true, true});
    CHECK(opened.accepts("now</tool_call>"));
}

TEST_CASE("arguments stand bare where text cannot be misread") {
    const auto argument = [](const std::string& schema, const std::string& value) {
        const Json parameters =
            app::parse_json(R"({"type":"object","properties":{"a":)" + schema +
                            R"(},"required":["a"],"$defs":{"word":{"type":"string"}}})");
        app::ToolSchemas tools;
        tools.add("f", &parameters);
        Language language({nullptr, {{"f", &parameters, "p"}}, false, true});
        return language.accepts("f<arg_key>a</arg_key><arg_value>" + value +
                                "</arg_value></tool_call>")
                   ? tools.value("f", "a", value, false)
                   : "no";
    };
    const std::string optional =
        R"({"anyOf":[{"$ref":"#/$defs/word"},{"type":"null"}],"default":null})";
    CHECK(argument(optional, "Paris, <France>") == R"("Paris, <France>")");
    CHECK(argument(optional, "null") == "null");
    CHECK(argument(optional, "12") == R"("12")");
    CHECK(argument(R"({"type":["string","integer"]})", "12") == "12");
    CHECK(argument(R"({"type":["integer","string"]})", "1.5") == R"("1.5")");
    CHECK(argument(R"({"enum":["a b",null]})", "a b") == R"("a b")");
    CHECK(argument(R"({"enum":["a b",null]})", "null") == "null");
    CHECK(argument(R"({"enum":["a b",null]})", "c") == "no");
    CHECK(argument("{}", "a b") == R"("a b")");
    CHECK(argument("{}", R"({"k":[1]})") == R"({"k":[1]})");
    CHECK(argument("true", "1") == "1");
    // Bare these would be read as something else.
    CHECK(argument(R"({"enum":["1",2]})", "1") == "no");
    CHECK(argument(R"({"enum":["1",2]})", R"("1")") == R"("1")");
    CHECK(argument(R"({"anyOf":[{"type":"string"},{"const":7}]})", "8") == "no");
    CHECK(argument(R"({"anyOf":[{"type":"string"},{"const":true}]})", "false") == "no");
    CHECK(argument(R"({"anyOf":[{"type":"string","minLength":4},{"type":"null"}]})", R"("a")") ==
          "no");
    CHECK(argument(R"({"anyOf":[{"type":"string"},{"type":"integer","minimum":5}]})", "3") == "no");
    CHECK(argument(R"({"anyOf":[{"type":"string"},{"type":"array","items":{"type":"integer"}}]})",
                   R"(["a"])") == "no");
    CHECK(argument(R"({"anyOf":[{"type":"string"},{"type":"array","items":{"type":"integer"}}]})",
                   "[1]") == "[1]");
}

TEST_CASE("of a tool that is not strict, what cannot be honoured is let go, and nothing else") {
    const auto argument = [](const std::string& key, const std::string& value) {
        return "<arg_key>" + key + "</arg_key><arg_value>" + value + "</arg_value>";
    };
    const Json parameters = app::parse_json(
        R"({"type":"object","minProperties":1,"properties":{"tags":{"type":"array","uniqueItems":true,"items":{"type":"string"}},
            "count":{"type":"integer"},"code":{"type":"string","pattern":"(?=a)b"},"deep":{"$ref":"#/nowhere"}},"required":["count"]})");
    Language loose({nullptr, {{"f", &parameters, "p", false}}, false, true});
    CHECK(loose.accepts("f" + argument("tags", R"(["a","a"])") + argument("count", "1") +
                        "</tool_call>"));
    CHECK(loose.accepts("f" + argument("count", "1") + argument("code", "what") +
                        argument("deep", "x y") + "</tool_call>"));
    CHECK_FALSE(
        loose.accepts("f" + argument("tags", "a") + argument("count", "1") + "</tool_call>"));
    CHECK_FALSE(loose.accepts("f" + argument("count", "one") + "</tool_call>"));
    CHECK_FALSE(loose.accepts("f" + argument("tags", "[]") + "</tool_call>"));
    CHECK_FALSE(
        loose.accepts("f" + argument("count", "1") + argument("other", "1") + "</tool_call>"));
    CHECK_FALSE(loose.accepts("g</tool_call>"));
    CHECK_THROWS_AS(Language({nullptr, {{"f", &parameters, "p", true}}, false, true}),
                    app::ApiError);
    // Arguments that no schema names: any, where the schema allows them.
    for (const char* text : {R"({"type":"object"})", "{}", R"({"$ref":"http://elsewhere"})",
                             R"({"type":"object","properties":{"a ":{}},"required":[]})",
                             R"({"properties":{},"required":["x"]})"}) {
        const Json open = app::parse_json(text);
        Language any({nullptr, {{"f", &open, "p", false}}, false, true});
        CHECK(any.accepts("f" + argument("anything", "1") + argument("b", "x") + "</tool_call>"));
        CHECK(any.accepts("f</tool_call>"));
    }
    const Json none = app::parse_json(R"({"type":"object","properties":{}})");
    for (const Json* given : {&none, static_cast<const Json*>(nullptr)}) {
        Language nothing({nullptr, {{"f", given, "p", false}}, false, true});
        CHECK(nothing.accepts("f</tool_call>"));
        CHECK_FALSE(nothing.accepts("f" + argument("a", "1") + "</tool_call>"));
    }
}
