#include "runtime/text/reply_parser.h"

#include <ctime>
#include <random>

#include "runtime/text/json_scan.h"
#include "tests/support/catch.h"

using namespace runtime;

namespace {

ReplyParserOptions with_tools(bool thinking, std::vector<std::string> stop = {}) {
    ReplyParserOptions options;
    options.starts_in_reasoning = thinking;
    options.stop = std::move(stop);
    options.tools = {
        {"get_weather", {{"city", true, true}, {"days", false, false}, {"raw", true, false}}},
        {"get", {}},
        {"now", {}}};
    return options;
}

ReplyParserOptions plain(bool thinking, std::vector<std::string> stop = {}) {
    ReplyParserOptions options = with_tools(thinking, std::move(stop));
    options.tools.clear();
    return options;
}

// What a reply was read as, in one line: R{reasoning} C{content} name(key="string", key=json) and
// "!" for a call without end.
class Reading {
public:
    void take(const std::vector<ReplyDelta>& deltas) {
        for (const ReplyDelta& delta : deltas) {
            using Kind = ReplyDelta::Kind;
            switch (delta.kind) {
                case Kind::reasoning:
                case Kind::content: {
                    const char letter = delta.kind == Kind::reasoning ? 'R' : 'C';
                    if (open_ != letter) {
                        close();
                        text_ += std::string(1, letter) + "{";
                        open_ = letter;
                    }
                    text_ += delta.text;
                    break;
                }
                case Kind::tool_call_begin:
                    close();
                    REQUIRE(delta.call_index == calls_++);
                    text_ += delta.text + "(";
                    key_.clear();
                    open_ = '(';
                    break;
                case Kind::tool_argument:
                    REQUIRE(open_ == '(');
                    REQUIRE(delta.call_index == calls_ - 1);
                    if (text_.back() == '"' && delta.key == key_) {  // a string that goes on
                        text_.pop_back();
                        text_ += delta.text + "\"";
                    } else {
                        text_ += (text_.back() == '(' ? "" : ", ") + delta.key + "=" +
                                 (delta.is_string ? "\"" + delta.text + "\"" : delta.text);
                    }
                    key_ = delta.key;
                    break;
                case Kind::tool_call_end:
                    REQUIRE(open_ == '(');
                    text_ += ")";
                    open_ = 0;
                    break;
            }
        }
    }
    std::string result() {
        close();
        return text_;
    }

private:
    void close() {
        text_ += open_ == '(' ? "!" : open_ != 0 ? "}" : "";
        open_ = 0;
    }
    std::string text_, key_;
    char open_ = 0;
    int calls_ = 0;
};

// Pieces end at `cuts`, in ascending order.
std::string read(const ReplyParserOptions& options,
                 const std::string& text,
                 const std::vector<size_t>& cuts,
                 bool complete = true) {
    ReplyParser parser(options);
    Reading reading;
    size_t at = 0;
    for (const size_t cut : cuts) {
        reading.take(parser.add(text.substr(at, cut - at)));
        at = cut;
    }
    reading.take(parser.add(text.substr(at)));
    reading.take(parser.finish(complete));
    REQUIRE(parser.finish(complete).empty());
    return reading.result() + (parser.stopped() ? " stop:" + parser.stop_string() : "");
}

// However it is cut: once at every place, at every place at once, and at random.
std::string read_all_ways(const ReplyParserOptions& options,
                          const std::string& text,
                          bool complete = true) {
    const std::string whole = read(options, text, {}, complete);
    std::vector<size_t> every;
    for (size_t i = 1; i < text.size(); i++) {
        REQUIRE(read(options, text, {i}, complete) == whole);
        every.push_back(i);
    }
    REQUIRE(read(options, text, every, complete) == whole);
    std::mt19937 random(7);
    for (int round = 0; round < 20; round++) {
        std::vector<size_t> cuts;
        for (const size_t i : every) {
            if (random() % 4 == 0) {
                cuts.push_back(i);
            }
        }
        REQUIRE(read(options, text, cuts, complete) == whole);
    }
    return whole;
}

const std::string kCity = "<arg_key>city</arg_key><arg_value>Rome</arg_value>";

}  // namespace

TEST_CASE("the request tells where a reply begins", "[reply_parser]") {
    CHECK(read_all_ways(plain(true), "think</think>say") == "R{think}C{say}");
    CHECK(read_all_ways(plain(true), "think") == "R{think}");
    CHECK(read_all_ways(plain(true), "</think>say") == "C{say}");
    CHECK(read_all_ways(plain(true), "<think>think</think>say") == "R{think}C{say}");
    CHECK(read_all_ways(plain(true), " \n<think>think <think> more</think>say") ==
          "R{think <think> more}C{say}");
    CHECK(read_all_ways(plain(true), "a </thin b</think>c </think> d") ==
          "R{a </thin b}C{c </think> d}");
    CHECK(read_all_ways(plain(true), "<thi") == "R{<thi}");
    CHECK(read_all_ways(plain(false), "say") == "C{say}");
    CHECK(read_all_ways(plain(false), "</think>say") == "C{say}");
    CHECK(read_all_ways(plain(false), "<think></think>say") == "C{say}");
    CHECK(read_all_ways(plain(false), "\n</think>\n\nsay </think>") == "C{say </think>}");
    CHECK(read_all_ways(plain(false), "say <think>x</think>") == "C{say <think>x</think>}");
    CHECK(read_all_ways(plain(false), "") == "");
    CHECK(read_all_ways(plain(true), "") == "");
}

TEST_CASE("line ends around the reasoning are dropped, other space is kept", "[reply_parser]") {
    CHECK(read_all_ways(plain(true), "\n\n a\n\nb \n\n</think>\n\n  say\n\n") ==
          "R{ a\n\nb }C{  say\n\n}");
    CHECK(read_all_ways(plain(true), "a\n\n") == "R{a\n\n}");
    CHECK(read_all_ways(plain(true), "\n\n</think>\n\n") == "");
    CHECK(read_all_ways(plain(false), "\n\nsay \n") == "C{say \n}");
}

TEST_CASE("plain replies are content to the letter", "[reply_parser]") {
    ReplyParserOptions options = with_tools(true, {"END"});
    options.plain = true;
    CHECK(read_all_ways(options, "\n<think>a</think> <tool_call>get</tool_call>\n") ==
          "C{\n<think>a</think> <tool_call>get</tool_call>\n}");
    CHECK(read_all_ways(options, "\n\nENEND x") == "C{\n\nEN} stop:END");
}

TEST_CASE("well-formed tool calls", "[reply_parser]") {
    const auto o = with_tools(true);
    CHECK(read_all_ways(o, "t</think><tool_call>get_weather" + kCity + "</tool_call>") ==
          "R{t}get_weather(city=\"Rome\")");
    CHECK(read_all_ways(o, "t</think>Let me see.\n\n<tool_call>get</tool_call>") ==
          "R{t}C{Let me see.}get()");
    CHECK(read_all_ways(o, "</think>\n<tool_call>get</tool_call><tool_call>now</tool_call>\n") ==
          "get()now()");
    CHECK(read_all_ways(
              o, "</think><tool_call>get</tool_call>\n \nDone. \n<tool_call>now</tool_call>") ==
          "get()C{Done.}now()");
    CHECK(read_all_ways(o,
                        "</think><tool_call>\n get_weather \n<arg_key> city "
                        "</arg_key>\n<arg_value>  Rome\n</arg_value>\n</tool_call>") ==
          "get_weather(city=\"  Rome\n\")");
    CHECK(read_all_ways(o, "</think>a\n b\n ") == "C{a\n b\n }");
}

TEST_CASE("values are exact, and typed by the schema, not by their looks", "[reply_parser]") {
    const auto value = [](const std::string& key, const std::string& text) {
        return read_all_ways(with_tools(false), "<tool_call>get_weather<arg_key>" + key +
                                                    "</arg_key><arg_value>" + text +
                                                    "</arg_value></tool_call>");
    };
    for (const std::string text :
         {"123", "true", "null", "{\"a\":1}", "", " \n x \n", "a < b && \"c\" &lt; \\n",
          "</tool_call>", "<tool_call>get</tool_call>", "<arg_key>k</arg_key>", "</arg_key>",
          "if (x<arg_values) </arg_valu", "<arg_value> opens", "日本\U0001f642"}) {
        CHECK(value("city", text) == "get_weather(city=\"" + text + "\")");
    }
    CHECK(value("days", " 3\n") == "get_weather(days=3)");
    CHECK(value("days", "{\"a\": [1, true, null]}") ==
          "get_weather(days={\"a\": [1, true, null]})");
    CHECK(value("days", "\"3\"") == "get_weather(days=\"3\")");
    CHECK(value("days", "three ") == "get_weather(days=\"three \")");
    CHECK(value("days", "{'a': 1}") == "get_weather(days=\"{'a': 1}\")");
    CHECK(value("days", "") == "get_weather(days=\"\")");
    CHECK(value("unknown", "7") == "get_weather(unknown=7)");
    CHECK(value("unknown", "x") == "get_weather(unknown=\"x\")");
}

TEST_CASE("a tool call ends the reasoning", "[reply_parser]") {
    const auto o = with_tools(true);
    CHECK(read_all_ways(o, "I will look.\n<tool_call>get_weather" + kCity + "</tool_call>") ==
          "R{I will look.}get_weather(city=\"Rome\")");
    CHECK(read_all_ways(o, "a<tool_call>get</tool_call></think>say </think>") ==
          "R{a}get()C{say </think>}");
    CHECK(read_all_ways(o, "a <tool_call> b <tool_call>nothing</tool_call> c</think>d") ==
          "R{a <tool_call> b <tool_call>nothing</tool_call> c}C{d}");
    CHECK(read_all_ways(plain(true), "a<tool_call>get</tool_call></think>d") ==
          "R{a<tool_call>get</tool_call>}C{d}");
}

TEST_CASE("what is not a call of a declared tool stays text", "[reply_parser]") {
    const auto same = [](const std::string& text) {
        CHECK(read_all_ways(with_tools(false), text) == "C{" + text + "}");
    };
    same("<tool_call>get_weathers</tool_call>");
    same("<tool_call>ge</tool_call>");
    same("<tool_call></tool_call>");
    same("<tool_call>get it</tool_call>");
    same("<tool_call>get</arg_value></tool_call>");
    same("<tool_call>{\"name\": \"get\"}</tool_call>");
    same("a <tool_call> b");
    same("<tool_call>get_weather<arg_key>city</tool_call>");
    same("<tool_call>get_weather<arg_key>city</arg_key></tool_call>");
    const std::string days = "<arg_key>days</arg_key><arg_value>3</arg_value>";
    same("<tool_call>get_weather" + days + "and so on</tool_call>");
    same("<tool_call>get_weather" + days + " and so on");
    same("<tool_ca");
    same("<");
    CHECK(read_all_ways(plain(false), "<tool_call>get</tool_call>") ==
          "C{<tool_call>get</tool_call>}");
    CHECK(read_all_ways(with_tools(false), "x <tool_call>no <tool_call>get</tool_call>") ==
          "C{x <tool_call>no}get()");
}

TEST_CASE("what began as a call, and goes on as none, has no end", "[reply_parser]") {
    const auto o = with_tools(false);
    const std::string begun = "<tool_call>get_weather" + kCity, rome = "get_weather(city=\"Rome\"!";
    CHECK(read_all_ways(o, begun + "and so on</tool_call>") == rome + "C{and so on</tool_call>}");
    CHECK(read_all_ways(o, begun + " and so on") == rome + "C{and so on}");
    CHECK(read_all_ways(o, begun + "<arg_value>x<tool_call>get</tool_call>") ==
          rome + "C{<arg_value>x}get()");
    CHECK(read_all_ways(o, begun + "<arg_key>n</arg_key><arg_value>x") == rome + "C{x}");
    CHECK(read_all_ways(o, "<tool_call>get_weather<arg_key>city</arg_key><arg_value>Ro") ==
          "get_weather(city=\"Ro\"!");
    CHECK(read_all_ways(o, begun + kCity + "<arg_key>raw</arg_key><arg_value>a</arg_value></tool_call>") ==
          "get_weather(city=\"Rome\", raw=\"a\")");
    CHECK(read_all_ways(o, begun + "<arg_key>city</arg_key><arg_value>Oslo</arg_value></tool_call>") ==
          "get_weather(city=\"Rome\")");
}

TEST_CASE("missing and mismatched tags are repaired", "[reply_parser]") {
    const auto o = with_tools(false);
    const std::string rome = "get_weather(city=\"Rome\")",
                      both = "get_weather(city=\"Rome\", days=3)";
    const std::string days = "<arg_key>days</arg_key><arg_value>3</arg_value>";
    const auto call = [&](const std::string& inside) {
        return read_all_ways(o, "<tool_call>get_weather" + inside);
    };
    CHECK(call("<arg_key>city<arg_value>Rome</arg_value></tool_call>") == rome);
    CHECK(call("<arg_key>city</arg_value><arg_value>Rome</arg_value></tool_call>") == rome);
    CHECK(call("<arg_key>city</arg_key>Rome</arg_value></tool_call>") == rome);
    CHECK(call("<arg_key>city</arg_key><arg_value>Rome</tool_call>") == rome);
    CHECK(call("<arg_key>city</arg_key><arg_value>Rome</arg_key></tool_call>") == rome);
    CHECK(call("<arg_key>city</arg_key><arg_value>Rome" + days + "</tool_call>") == both);
    CHECK(call(kCity + "days</arg_key><arg_value>3</arg_value></tool_call>") == both);
    CHECK(call(kCity + "</arg_value>" + days + "</tool_call>") == both);
    CHECK(call("<arg_key>city</arg_key><arg_value>Rome</tool_call><tool_call>get_weather" + kCity +
               "</tool_call>") == rome + rome);
    CHECK(call(kCity + "<tool_call>get</tool_call>") == rome + "get()");
    CHECK(call(kCity + kCity + "</tool_call>") == rome);
}

TEST_CASE("at the end only the outer tag may be missing", "[reply_parser]") {
    const auto o = with_tools(false);
    CHECK(read_all_ways(o, "<tool_call>get_weather" + kCity) == "get_weather(city=\"Rome\")");
    CHECK(read_all_ways(o, "<tool_call>get_weather" + kCity + "\n</tool_c") ==
          "get_weather(city=\"Rome\")");
    CHECK(read_all_ways(o, "<tool_call>get") == "get()");
    for (const std::string text :
         {"<tool_call>get_weather",
          "<tool_call>get_weather<arg_key>days</arg_key><arg_value>3</arg_value>"}) {
        CHECK(read_all_ways(o, text) == "C{" + text + "}");
    }
    // Cut by a limit: what is whole and how far a string came, and no end.
    CHECK(read_all_ways(o, "a <tool_call>get_weather" + kCity, false) ==
          "C{a}get_weather(city=\"Rome\"!");
    CHECK(read_all_ways(o,
                        "<tool_call>get_weather" + kCity + "<arg_key>raw</arg_key><arg_value>abc",
                        false) == "get_weather(city=\"Rome\", raw=\"abc\"!");
    CHECK(read_all_ways(o, "<tool_call>get_weather" + kCity + "<arg_key>days</arg_key><arg_value>3",
                        false) == "get_weather(city=\"Rome\"!");
    CHECK(read_all_ways(o, "<tool_call>get_weather<arg_key>ci", false) == "get_weather(!");
    CHECK(read_all_ways(o, "<tool_call>get_w", false) == "C{<tool_call>get_w}");
    CHECK(read_all_ways(with_tools(true), "hm <tool_ca", false) == "R{hm <tool_ca}");
}

TEST_CASE("stop strings cut content, wherever the pieces end", "[reply_parser]") {
    CHECK(read_all_ways(plain(false, {"END"}), "a END b") == "C{a } stop:END");
    CHECK(read_all_ways(plain(false, {"END"}), "a ENEND b") == "C{a EN} stop:END");
    CHECK(read_all_ways(plain(false, {"END"}), "a EN") == "C{a EN}");
    CHECK(read_all_ways(plain(false, {"END"}), "a EN", false) == "C{a EN}");
    CHECK(read_all_ways(plain(true, {"END"}), "END</think>\nb END c") == "R{END}C{b } stop:END");
    CHECK(read_all_ways(plain(false, {"\n\n", "\n"}), "\n\na\n\nb") == "C{a} stop:\n");
    CHECK(read_all_ways(plain(false, {"cd", "abcd", "bcd"}), "xabcdx") == "C{x} stop:abcd");
    CHECK(read_all_ways(plain(false, {"abcd", "bc"}), "xabcdx") == "C{xa} stop:bc");
    CHECK(read_all_ways(plain(false, {"aab"}), "aaaab") == "C{aa} stop:aab");
    CHECK(read_all_ways(plain(false, {""}), "abc") == "C{abc}");
    CHECK(read_all_ways(plain(false, {"é"}), "è é") == "C{è } stop:é");
    CHECK(read_all_ways(with_tools(false, {"\n\n"}), "a\n\nb") == "C{a} stop:\n\n");
    CHECK(read_all_ways(with_tools(false, {"\n\n"}), "a \n\n<tool_call>get</tool_call>") ==
          "C{a } stop:\n\n");
    CHECK(read_all_ways(with_tools(false, {"ab"}), "a<tool_call>get</tool_call>b") ==
          "C{a}get()C{b}");
    CHECK(read_all_ways(with_tools(false, {"Rome"}),
                        "<tool_call>get_weather" + kCity + "</tool_call>Rome") ==
          "get_weather(city=\"Rome\") stop:Rome");
    CHECK(read_all_ways(with_tools(false, {"<"}), "a<tool_call>get</tool_call>b<c") ==
          "C{a}get()C{b} stop:<");
}

TEST_CASE("what is certain comes out at once", "[reply_parser]") {
    ReplyParser parser(with_tools(true, {"STOP"}));
    const auto text = [&](const char* piece) {
        std::string all;
        for (const ReplyDelta& delta : parser.add(piece)) {
            all += delta.text;
        }
        return all;
    };
    CHECK(text("Well") == "Well");
    CHECK(parser.in_reasoning());
    CHECK(text(" <") == " ");
    CHECK(text("b") == "<b");
    CHECK(text("</think>") == "");
    CHECK(!parser.in_reasoning());
    CHECK(text("say S") == "say");
    CHECK(text("o") == " So");
    CHECK(text("<tool_call>ge") == "");
    CHECK(text("m") == "<tool_call>gem");
    CHECK(text("<tool_call>get</tool_call>") == "get");
    CHECK(parser.tool_calls() == 1);
    CHECK(text("STOP") == "");
    CHECK(parser.stopped());
    CHECK(text("more") == "");
}

TEST_CASE("any mixture of tags is read the same however it is cut", "[reply_parser]") {
    const std::string parts[] = {"<tool_call>", "</tool_call>",
                                 "<arg_key>",   "</arg_key>",
                                 "<arg_value>", "</arg_value>",
                                 "<think>",     "</think>",
                                 "get_weather", "get",
                                 "city",        "days",
                                 "3",           " ",
                                 "\n",          "text",
                                 "<",           "STOP",
                                 "ST",          "é"};
    std::mt19937 random(8);
    for (int round = 0; round < 1500; round++) {
        std::string text;
        for (size_t n = random() % 24; n > 0; n--) {
            text += parts[random() % std::size(parts)];
        }
        const bool thinking = random() % 2 != 0, tools = random() % 4 != 0,
                   complete = random() % 2 != 0;
        const std::vector<std::string> stop = random() % 2 != 0
                                                  ? std::vector<std::string>{"STOP", "\n\n"}
                                                  : std::vector<std::string>{};
        const auto options = tools ? with_tools(thinking, stop) : plain(thinking, stop);
        INFO(text);
        read_all_ways(options, text, complete);
    }
}

TEST_CASE("a megabyte of anything is read in linear time", "[reply_parser]") {
    const std::string units[] = {
        "a",
        " ",
        "\n",
        "<",
        "<tool_call>",
        "<tool_call>get",
        "<tool_call>get_weather<arg_key>",
        "<tool_call>get_weather<arg_key>city</arg_key>x",
        "<tool_call>get_weather<arg_key>city</arg_key><arg_value>1</tool_call>",
        "<tool_call>get_weather<arg_key>city</arg_key><arg_value>",
        "<tool_call>get</tool_call>",
        kCity,
        "<arg_value>",
        "</arg_value>",
        "</think>",
        "STO",
        "aab",
        "<arg_key>city</arg_key><arg_value><tool_call>get_weather</arg_value>"};
    const std::string heads[] = {"", "</think>", "<tool_call>get_weather",
                                 "<tool_call>get_weather<arg_key>city</arg_key><arg_value>"};
    for (const std::string& head : heads) {
        for (const std::string& unit : units) {
            std::string text = head;
            while (text.size() < 1'000'000) {
                text += unit;
            }
            INFO(head << " " << unit);
            const std::clock_t start =
                std::clock();  // of this process: a busy machine does not count
            ReplyParser parser(with_tools(true, {"STOP", "aaab"}));
            for (size_t at = 0; at < text.size(); at += 4) {
                parser.add(text.substr(at, 4));
            }
            parser.finish(true);
            const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
            CHECK(seconds < 30);  // quadratic would be hours; this bears a slow, sanitized build
        }
    }
}

TEST_CASE("JSON is told from what only resembles it", "[json_scan]") {
    for (const char* text : {"0", "-0.5e+10", " [1, 2.5, []] ", "{}", "[]",
                             "{\"a\": {\"b\": [true, false, null]}, \"c\": \"\\u00e9\\n\"}",
                             "\"é\"", "\"\\ud83d\\ude42\"", "null", "[{},{}]"}) {
        INFO(text);
        CHECK(is_json(text));
    }
    for (const char* text : {"",
                             " ",
                             "01",
                             "1.",
                             ".5",
                             "+1",
                             "1e",
                             "-",
                             "nul",
                             "True",
                             "NaN",
                             "Infinity",
                             "1e999",
                             "'a'",
                             "{a: 1}",
                             "{\"a\"}",
                             "{\"a\":}",
                             "[1,]",
                             "[,1]",
                             "{\"a\":1,}",
                             "[1 2]",
                             "[",
                             "]",
                             "{\"a\": 1",
                             "[1}",
                             "\"a",
                             "\"\\x\"",
                             "\"\\u12\"",
                             "\"\\ud83d\"",
                             "\"\\ude42\"",
                             "\"\\ud83d\\u0041\"",
                             "\"a\nb\"",
                             "1 2",
                             "{} {}",
                             "[1]]",
                             "truefalse"}) {
        INFO(text);
        CHECK(!is_json(text));
    }
    CHECK(!is_json(std::string_view("1\0", 2)));
    CHECK(!is_json(std::string_view("\"\\\0\"", 4)));
    CHECK(is_json(std::string(200, '[') + std::string(200, ']')));
    CHECK(!is_json(std::string(201, '[') + std::string(201, ']')));
    CHECK(!is_json(std::string(1'000'000, '[')));
}
