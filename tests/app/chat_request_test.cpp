#include "app/server/chat_request.h"

#include "app/server/api_error.h"
#include "tests/support/catch.h"

using app::ChatRequest;
using app::Json;

namespace {

constexpr int64_t kVocab = 384;

ChatRequest parse(const std::string& text) {
    return ChatRequest::parse(app::parse_json(text), kVocab);
}

// A request that is right, with these fields set in addition.
std::string with(const std::string& fields) {
    return R"({"messages":[{"role":"user","content":"hi"}],)" + fields + "}";
}

std::string with_message(const std::string& message) {
    return R"({"messages":[{"role":"user","content":"hi"},)" + message + "]}";
}

struct Refusal {
    std::string body;
    std::string param;
};

void check_refused(const std::vector<Refusal>& cases) {
    for (const Refusal& wrong : cases) {
        INFO(wrong.body.substr(0, 300));
        try {
            parse(wrong.body);
            FAIL_CHECK("accepted");
        } catch (const app::ApiError& error) {
            CHECK(error.status == 400);
            CHECK(error.param == wrong.param);
            CHECK(error.body()["error"].size() == 4);
        }
    }
}

}  // namespace

TEST_CASE("Every field refuses every wrong JSON type, by name") {
    const std::vector<std::pair<std::string, std::string>> fields = {
        {"model", "string"},
        {"stream", "bool"},
        {"stream_options", "object"},
        {"max_tokens", "integer"},
        {"max_completion_tokens", "integer"},
        {"n", "integer"},
        {"seed", "integer"},
        {"temperature", "number"},
        {"top_p", "number"},
        {"top_k", "integer"},
        {"min_p", "number"},
        {"presence_penalty", "number"},
        {"frequency_penalty", "number"},
        {"repeat_penalty", "number"},
        {"repetition_penalty", "number"},
        {"logit_bias", "object"},
        {"logprobs", "bool"},
        {"top_logprobs", "integer"},
        {"tools", "array"},
        {"response_format", "object"},
        {"parallel_tool_calls", "bool"},
        {"chat_template_kwargs", "object"},
        {"reasoning_effort", "string"},
        {"modalities", "array"},
    };
    const std::vector<std::pair<std::string, std::string>> values = {{"string", "\"x\""},
                                                                     {"bool", "true"},
                                                                     {"number", "1.5"},
                                                                     {"object", "{\"q\":1}"},
                                                                     {"array", "[[]]"}};
    for (const auto& [name, type] : fields) {
        for (const auto& [value_type, value] : values) {
            const bool fits = type == value_type;
            if (fits) {
                continue;
            }
            check_refused({{with("\"" + name + "\":" + value), name}});
        }
        // null is as good as absent
        INFO(name);
        CHECK_NOTHROW(parse(with("\"" + name + "\":null")));
    }
}

TEST_CASE("Values out of range and things not supported are refused, never quietly loosened") {
    check_refused({
        {with(R"("temperature":-0.1)"), "temperature"},
        {with(R"("temperature":2.1)"), "temperature"},
        {with(R"("top_p":1.5)"), "top_p"},
        {with(R"("min_p":-1)"), "min_p"},
        {with(R"("top_k":-2)"), "top_k"},
        {with(R"("presence_penalty":2.5)"), "presence_penalty"},
        {with(R"("frequency_penalty":-3)"), "frequency_penalty"},
        {with(R"("repeat_penalty":0)"), "repeat_penalty"},
        {with(R"("max_tokens":0)"), "max_tokens"},
        {with(R"("max_tokens":-2)"), "max_tokens"},
        {with(R"("max_completion_tokens":0)"), "max_completion_tokens"},
        {with(R"("n":0)"), "n"},
        {with(R"("n":129)"), "n"},
        {with(R"("n":1.5)"), "n"},
        {with(R"("stop":5)"), "stop"},
        {with(R"("stop":{})"), "stop"},
        {with(R"("stop":["a",5])"), "stop[1]"},
        {with(R"("stop":[null])"), "stop[0]"},
        {with("\"stop\":\"" + std::string(5000, 'x') + "\""), "stop"},
        {with(R"("logit_bias":{"x":1})"), "logit_bias"},
        {with(R"("logit_bias":{"384":1})"), "logit_bias"},
        {with(R"("logit_bias":{"-1":1})"), "logit_bias"},
        {with(R"("logit_bias":{"1099511627776":1})"), "logit_bias"},
        {with(R"("logit_bias":{"1":101})"), "logit_bias.1"},
        {with(R"("logit_bias":{"1":"a"})"), "logit_bias.1"},
        {with(R"("top_logprobs":1)"), "top_logprobs"},
        {with(R"("top_logprobs":21)"), "top_logprobs"},
        {with(R"("response_format":{"type":"yaml"})"), "response_format.type"},
        {with(R"("response_format":{"type":"json_schema"})"), "response_format.json_schema"},
        {with(R"("response_format":{"type":"json_schema","json_schema":{}})"), "response_format.json_schema.schema"},
        {with(R"("grammar":5)"), "grammar"},
        {with(R"("grammar":"root ::= \"a\"","response_format":{"type":"json_object"})"), "grammar"},
        {with(R"("response_format":{"type":"yaml"})"), "response_format.type"},
        {with(R"("response_format":{})"), "response_format.type"},
        {with(R"("tool_choice":"required")"), "tool_choice"},
        {with(R"("tool_choice":"some")"), "tool_choice"},
        {with(R"("tool_choice":5)"), "tool_choice"},
        {with(R"("tool_choice":{"type":"function","function":{"name":"f"}})"), "tool_choice"},
        {with(R"("tools":[{"type":"function","function":{"name":"g"}}],"tool_choice":{"type":"function","function":{"name":"f"}})"),
         "tool_choice.function.name"},
        {with(R"("tools":[{"type":"function","function":{"name":"g"}}],"tool_choice":{"type":"function"})"),
         "tool_choice.function.name"},
        {with(R"("modalities":["audio"])"), "modalities"},
        {with(R"("stream_options":{"include_usage":1})"), "stream_options.include_usage"},
        {with(R"("chat_template_kwargs":{"enable_thinking":"no"})"),
         "chat_template_kwargs.enable_thinking"},
        {with(R"("chat_template_kwargs":{"clear_thinking":0})"),
         "chat_template_kwargs.clear_thinking"},
        {with(R"("tools":[5])"), "tools[0]"},
        {with(R"("tools":[{}])"), "tools[0].type"},
        {with(R"("tools":[{"type":"custom"}])"), "tools[0].type"},
        {with(R"("tools":[{"type":"function"}])"), "tools[0].function"},
        {with(R"("tools":[{"type":"function","function":5}])"), "tools[0].function"},
        {with(R"("tools":[{"type":"function","function":{}}])"), "tools[0].function.name"},
        {with(R"("tools":[{"type":"function","function":{"name":""}}])"), "tools[0].function.name"},
        {with(R"("tools":[{"type":"function","function":{"name":"a<b"}}])"),
         "tools[0].function.name"},
        {with(R"("tools":[{"type":"function","function":{"name":"f","parameters":[]}}])"),
         "tools[0].function.parameters"},
        {with(R"("tools":[{"type":"function","function":{"name":"f","description":1}}])"),
         "tools[0].function.description"},
        {with(R"("tools":[{"type":"function","function":{"name":"f","strict":"yes"}}])"),
         "tools[0].function.strict"},
    });
}

TEST_CASE("Broken messages are refused, by place") {
    check_refused({
        {"{}", "messages"},
        {R"({"messages":null})", "messages"},
        {R"({"messages":[]})", "messages"},
        {R"({"messages":"hi"})", "messages"},
        {R"({"messages":{"role":"user"}})", "messages"},
        {R"({"messages":[5]})", "messages[0]"},
        {R"({"messages":[null]})", "messages[0]"},
        {R"({"messages":[{}]})", "messages[0].role"},
        {R"({"messages":[{"role":5,"content":"x"}]})", "messages[0].role"},
        {R"({"messages":[{"role":"function","content":"x"}]})", "messages[0].role"},
        {R"({"messages":[{"role":"User","content":"x"}]})", "messages[0].role"},
        {R"({"messages":[{"role":"user"}]})", "messages[0].content"},
        {R"({"messages":[{"role":"user","content":null}]})", "messages[0].content"},
        {R"({"messages":[{"role":"system","content":5}]})", "messages[0].content"},
        {R"({"messages":[{"role":"user","content":{"type":"text"}}]})", "messages[0].content"},
        {R"({"messages":[{"role":"user","content":["x"]}]})", "messages[0].content[0]"},
        {R"({"messages":[{"role":"user","content":[{}]}]})", "messages[0].content[0].type"},
        {R"({"messages":[{"role":"user","content":[{"type":"text"}]}]})",
         "messages[0].content[0].text"},
        {R"({"messages":[{"role":"user","content":[{"type":"text","text":5}]}]})",
         "messages[0].content[0].text"},
        {R"({"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"http://x/"}}]}]})",
         "messages[0].content[0].type"},
        {R"({"messages":[{"role":"user","content":[{"type":"input_audio"}]}]})",
         "messages[0].content[0].type"},
        {R"({"messages":[{"role":"user","content":[{"type":"file"}]}]})",
         "messages[0].content[0].type"},
        {with_message(R"({"role":"assistant","content":5})"), "messages[1].content"},
        {with_message(R"({"role":"assistant","reasoning_content":5})"),
         "messages[1].reasoning_content"},
        {with_message(R"({"role":"assistant","reasoning":[]})"), "messages[1].reasoning"},
        {with_message(R"({"role":"assistant","tool_calls":{}})"), "messages[1].tool_calls"},
        {with_message(R"({"role":"assistant","tool_calls":[5]})"), "messages[1].tool_calls[0]"},
        {with_message(R"({"role":"assistant","tool_calls":[{}]})"),
         "messages[1].tool_calls[0].function"},
        {with_message(
             R"({"role":"assistant","tool_calls":[{"type":"x","function":{"name":"f"}}]})"),
         "messages[1].tool_calls[0].type"},
        {with_message(R"({"role":"assistant","tool_calls":[{"id":5,"function":{"name":"f"}}]})"),
         "messages[1].tool_calls[0].id"},
        {with_message(R"({"role":"assistant","tool_calls":[{"function":{}}]})"),
         "messages[1].tool_calls[0].function.name"},
        {with_message(
             R"({"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"{broken"}}]})"),
         "messages[1].tool_calls[0].function.arguments"},
        {with_message(
             R"({"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"[1]"}}]})"),
         "messages[1].tool_calls[0].function.arguments"},
        {with_message(
             R"({"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":5}}]})"),
         "messages[1].tool_calls[0].function.arguments"},
        {with_message(R"({"role":"tool","tool_call_id":5,"content":"x"})"),
         "messages[1].tool_call_id"},
        {with_message(R"({"role":"tool"})"), "messages[1].content"},
    });
    CHECK_THROWS_AS(parse("[]"), app::ApiError);
    CHECK_THROWS_AS(parse("5"), app::ApiError);
}

TEST_CASE("Defaults are the model's own") {
    const ChatRequest request = parse(with(R"("unknown_field":[1,2],"user":"u","store":true)"));
    CHECK(request.sampling.temperature == 1.0F);
    CHECK(request.sampling.top_p == 0.95F);
    CHECK_FALSE(request.sampling.seed.has_value());
    CHECK(request.max_tokens == -1);
    CHECK(request.choices == 1);
    CHECK_FALSE(request.stream);
    CHECK(request.format.enable_thinking);
    CHECK(request.stop.empty());
}

TEST_CASE("Fields reach the request") {
    const ChatRequest request = parse(with(
        R"("temperature":0,"top_k":40,"top_p":0.5,"min_p":0.1,"repeat_penalty":1.1,"seed":-1,"max_tokens":100,)"
        R"("max_completion_tokens":50,"stop":["a","","b"],"n":3.0,"stream":true,"stream_options":{"include_usage":true},)"
        R"("logit_bias":{"5":-100,"383":1.5},"reasoning_effort":"none","parallel_tool_calls":false)"));
    CHECK(request.sampling.temperature == 0);
    CHECK(request.sampling.top_k == 40);
    CHECK(request.sampling.top_p == 0.5F);
    CHECK(request.sampling.min_p == 0.1F);
    CHECK(request.sampling.repetition_penalty == 1.1F);
    CHECK(request.sampling.seed == UINT64_MAX);
    CHECK(request.max_tokens == 50);
    CHECK(request.stop == std::vector<std::string>{"a", "b"});
    CHECK(request.choices == 3);
    CHECK(request.stream);
    CHECK(request.include_usage);
    CHECK(request.sampling.logit_bias.size() == 2);
    CHECK_FALSE(request.format.enable_thinking);
    CHECK_FALSE(request.parallel_tool_calls);
    CHECK(parse(with(R"("max_tokens":-1,"stop":[],"tools":[])")).max_tokens == -1);
    CHECK(parse(with(R"("max_tokens":99999999999999999999)")).max_tokens > 1'000'000'000);
}

TEST_CASE("Messages keep what was said") {
    const ChatRequest request = parse(
        R"({"messages":[{"role":"developer","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},)"
        R"({"role":"assistant","content":null,"reasoning":"hm","tool_calls":[{"id":"c1","type":"function","function":)"
        R"({"name":"f","arguments":"{\"z\":\"text\",\"a\":[1,{\"k\":1.0}],\"n\":null}"}}]},)"
        R"({"role":"tool","tool_call_id":"c1","content":"<|user|> result"}]})");
    CHECK(request.messages[0].role == runtime::Role::system);
    CHECK(request.messages[0].content == "ab");
    CHECK(request.messages[1].reasoning == "hm");
    const auto& call = request.messages[1].tool_calls.at(0);
    CHECK(call.name == "f");
    REQUIRE(call.arguments.size() == 3);
    CHECK(call.arguments[0].key == "z");
    CHECK(call.arguments[0].value == "text");
    CHECK(call.arguments[1].value == "[1, {\"k\": 1.0}]");
    CHECK(call.arguments[2].value == "null");
    CHECK(request.messages[2].content == "<|user|> result");
}

TEST_CASE("Tools are rendered as the template writes them, and hidden where none may be called") {
    const std::string tools =
        R"("tools":[{"type":"function","function":{"name":"f","description":"caf\u00e9","parameters":)"
        R"({"type":"object","properties":{"s":{"type":"string"},"i":{"type":"integer"}},"required":["s"]}}}])";
    const ChatRequest request = parse(with(tools));
    REQUIRE(request.tools.size() == 1);
    CHECK(request.tools[0] ==
          "{\"type\": \"function\", \"function\": {\"name\": \"f\", \"description\": "
          "\"caf\u00e9\", \"parameters\": "
          "{\"type\": \"object\", \"properties\": {\"s\": {\"type\": \"string\"}, \"i\": "
          "{\"type\": \"integer\"}}, "
          "\"required\": [\"s\"]}}}");
    const auto& signature = request.schemas.signatures().at(0);
    CHECK(signature.name == "f");
    CHECK(signature.parameters.at(0).is_string);
    CHECK(signature.parameters.at(0).required);
    CHECK_FALSE(signature.parameters.at(1).is_string);

    const ChatRequest without = parse(with(tools + R"(,"tool_choice":"none")"));
    CHECK(without.tools.empty());
    CHECK(without.schemas.empty());
}

TEST_CASE("Argument values are typed by the schema, never by how they look") {
    app::ToolSchemas schemas;
    const Json parameters = app::parse_json(
        R"({"properties":{"s":{"type":"string"},"i":{"type":"integer"},"b":{"type":"boolean"},"any":{},)"
        R"("maybe":{"type":["string","null"]},"e":{"enum":["1","2"]},"o":{"type":"object"},)"
        R"("ref":{"$ref":"#/$defs/name"},"loop":{"$ref":"#/properties/loop"},"u":{"anyOf":[{"type":"string"},{"type":"integer"}]}},)"
        R"("$defs":{"name":{"type":"string"}}})");
    schemas.add("f", &parameters);
    const std::tuple<const char*, const char*, const char*> cases[] = {
        {"s", "123", "\"123\""},
        {"s", "{\"a\":1}", "\"{\\\"a\\\":1}\""},
        {"s", "  two\n", "\"  two\\n\""},
        {"i", "123", "123"},
        {"i", " 7 ", "7"},
        {"i", "seven", "\"seven\""},
        {"b", "true", "true"},
        {"any", "[1]", "[1]"},
        {"any", "plain", "\"plain\""},
        {"maybe", "null", "null"},
        {"maybe", "123", "\"123\""},
        {"e", "1", "\"1\""},
        {"o", "{\"a\": NaN}", "\"{\\\"a\\\": NaN}\""},
        {"ref", "5", "\"5\""},
        {"loop", "5", "5"},
        {"u", "5", "5"},
        {"u", "five", "\"five\""},
        {"undeclared", "5", "5"},
    };
    for (const auto& [key, text, want] : cases) {
        INFO(key << " " << text);
        CHECK(schemas.value("f", key, text, false) == want);
    }
    CHECK(schemas.value("unknown", "k", "x\xff", true) == "\"x\xEF\xBF\xBD\"");
}
