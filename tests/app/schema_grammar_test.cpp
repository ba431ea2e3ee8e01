// JSON schemas as grammars: texts that each must accept and refuse, schemas that must be refused
// with the place named, numbers between all kinds of bounds against arithmetic.
#include "app/server/schema_grammar.h"

#include <cmath>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "app/server/api_error.h"
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
        : states_(app::reply_grammar(shape, tokenizer()),
                  inner_masks(),
                  {}) {}

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
        {R"({"type":"string","pattern":"a","maxLength":3})", ".pattern"},
        {R"({"type":"string","format":"email","maxLength":10})", ".format"},
        {R"({"type":"string","format":"date","pattern":"^2"})", ".pattern"},
        {R"({"allOf":[{"type":"array","prefixItems":[{},{}]},{"items":{"type":"integer"}}]})",
         "prefixItems"},
        {R"({"allOf":[{"type":"array","uniqueItems":false},{"uniqueItems":true}]})", ".uniqueItems"},
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
    CHECK_FALSE(one.accepts(start + argument("note", "bare") + "</tool_call>"));
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
