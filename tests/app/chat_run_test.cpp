// ChatRun and ChoiceAnswer over generations that are played from a list: no engine, no socket.
#include "app/server/chat_run.h"

#include <deque>
#include <random>

#include "app/server/sse.h"
#include "tests/support/catch.h"

using app::ChatRun;
using app::Json;
using Delta = runtime::ReplyDelta;
using Event = runtime::GenerationEvent;

namespace {

class Played : public runtime::GenerationStream {
public:
    explicit Played(std::deque<Event> events, bool* cancelled = nullptr)
        : events_(std::move(events)), cancelled_(cancelled) {}

    std::optional<Event> next(std::chrono::milliseconds) override { return try_next(); }
    std::optional<Event> try_next() override {
        if (events_.empty()) {
            return std::nullopt;
        }
        Event event = events_.front();
        events_.pop_front();
        done_ = event.terminal();
        return event;
    }
    void cancel() override {
        if (cancelled_ != nullptr) {
            *cancelled_ = true;
        }
    }
    bool done() const override { return done_; }
    uint64_t id() const override { return 1; }

private:
    std::deque<Event> events_;
    bool* cancelled_;
    bool done_ = false;
};

Event pieces(std::vector<Delta> deltas) {
    Event event;
    event.deltas = std::move(deltas);
    return event;
}

Event finished(runtime::FinishReason reason, int64_t completion = 3) {
    Event event;
    event.kind = Event::Kind::finished;
    event.reason = reason;
    event.usage = {10, 4, completion, 1};
    return event;
}

Delta text(Delta::Kind kind, const std::string& value) {
    Delta delta;
    delta.kind = kind;
    delta.text = value;
    return delta;
}

Delta argument(int call, const std::string& key, const std::string& value, bool is_string) {
    Delta delta;
    delta.kind = Delta::Kind::tool_argument;
    delta.call_index = call;
    delta.key = key;
    delta.text = value;
    delta.is_string = is_string;
    return delta;
}

Delta call_edge(Delta::Kind kind, int call, const std::string& name = "") {
    Delta delta;
    delta.kind = kind;
    delta.call_index = call;
    delta.text = name;
    return delta;
}

std::unique_ptr<ChatRun> play(std::vector<std::deque<Event>> choices,
                              bool parallel = true,
                              bool* cancelled = nullptr) {
    app::ChatRequest request;
    request.parallel_tool_calls = parallel;
    std::vector<std::unique_ptr<runtime::GenerationStream>> streams;
    for (auto& events : choices) {
        streams.push_back(std::make_unique<Played>(std::move(events), cancelled));
    }
    return std::make_unique<ChatRun>(std::move(request), app::AnswerHead{"id", 1, "m"},
                                     std::move(streams));
}

std::vector<Json> drain(ChatRun& run) {
    std::vector<Json> chunks;
    for (int i = 0; i < 1000 && !run.done(); i++) {
        for (app::StreamEvent& event : run.poll(std::chrono::milliseconds(1))) {
            chunks.push_back(std::move(event.data));
        }
    }
    return chunks;
}

}  // namespace

TEST_CASE("The joined deltas of a stream are the whole message") {
    using Kind = Delta::Kind;
    const auto run =
        play({{pieces({text(Kind::reasoning, "think"), text(Kind::reasoning, "ing")}),
               pieces({text(Kind::content, " a\n")}), pieces({}),
               pieces({text(Kind::content, "b \"")}), finished(runtime::FinishReason::stop)}});
    std::string content, reasoning, reason;
    for (const Json& chunk : drain(*run)) {
        CHECK(chunk["object"] == "chat.completion.chunk");
        const Json& choice = chunk["choices"][0];
        content += choice["delta"].value("content", "");
        reasoning += choice["delta"].value("reasoning_content", "");
        if (!choice["finish_reason"].is_null()) {
            reason = choice["finish_reason"];
            CHECK(choice["delta"].empty());
        }
    }
    const Json whole = run->whole();
    CHECK(content == " a\nb \"");
    CHECK(reasoning == "thinking");
    CHECK(reason == "stop");
    CHECK(whole["choices"][0]["message"]["content"] == content);
    CHECK(whole["choices"][0]["message"]["reasoning_content"] == reasoning);
    CHECK(whole["usage"]["total_tokens"] == 13);
    CHECK(whole["usage"]["prompt_tokens_details"]["cached_tokens"] == 4);
    CHECK(whole["usage"]["completion_tokens_details"]["reasoning_tokens"] == 1);
}

TEST_CASE("Tool-call deltas: id, type and name once, then pieces that join to valid JSON") {
    using Kind = Delta::Kind;
    const auto run = play(
        {{pieces({call_edge(Kind::tool_call_begin, 0, "now"), call_edge(Kind::tool_call_end, 0)}),
          pieces({call_edge(Kind::tool_call_begin, 1, "edit"),
                  argument(1, "path", "a \"b\"\n", true)}),
          pieces({argument(1, "lines", "[1, 2]", false), call_edge(Kind::tool_call_end, 1)}),
          finished(runtime::FinishReason::tool_calls)}});
    std::vector<std::string> names(2), arguments(2), ids(2);
    for (const Json& chunk : drain(*run)) {
        const Json& delta = chunk["choices"][0]["delta"];
        if (!delta.contains("tool_calls")) {
            continue;
        }
        const Json& call = delta["tool_calls"][0];
        const size_t index = call["index"];
        if (call.contains("id")) {
            CHECK(names[index].empty());
            CHECK(call["type"] == "function");
            ids[index] = call["id"];
            names[index] = call["function"]["name"];
        } else {
            CHECK_FALSE(call["function"].contains("name"));
        }
        arguments[index] += call["function"]["arguments"].get<std::string>();
    }
    CHECK(names == std::vector<std::string>{"now", "edit"});
    CHECK(arguments[0] == "{}");
    CHECK(Json::parse(arguments[1]) == Json::parse(R"({"path":"a \"b\"\n","lines":[1,2]})"));
    CHECK(ids[0] != ids[1]);
    const Json message = run->whole()["choices"][0]["message"];
    CHECK(message["content"].is_null());
    for (size_t i = 0; i < 2; i++) {
        CHECK(message["tool_calls"][i]["id"] == ids[i]);
        CHECK(message["tool_calls"][i]["function"]["arguments"] == arguments[i]);
    }
    CHECK(run->whole()["choices"][0]["finish_reason"] == "tool_calls");
}

TEST_CASE("parallel_tool_calls false ends the answer at the second call") {
    using Kind = Delta::Kind;
    bool cancelled = false;
    const auto run = play(
        {{pieces({call_edge(Kind::tool_call_begin, 0, "a"), call_edge(Kind::tool_call_end, 0)}),
          pieces({call_edge(Kind::tool_call_begin, 1, "b")}),
          pieces({text(Kind::content, "more")})}},
        false, &cancelled);
    drain(*run);
    CHECK(cancelled);
    const Json choice = run->whole()["choices"][0];
    CHECK(choice["message"]["tool_calls"].size() == 1);
    CHECK(choice["finish_reason"] == "tool_calls");
}

TEST_CASE(
    "Several choices are drained together; their completions are summed, the prompt counted once") {
    using Kind = Delta::Kind;
    const auto run =
        play({{pieces({text(Kind::content, "one")}), finished(runtime::FinishReason::stop)},
              {pieces({text(Kind::content, "two")}), finished(runtime::FinishReason::length, 5)}});
    drain(*run);
    const Json whole = run->whole();
    CHECK(whole["choices"][0]["message"]["content"] == "one");
    CHECK(whole["choices"][1]["message"]["content"] == "two");
    CHECK(whole["choices"][1]["finish_reason"] == "length");
    CHECK(whole["usage"]["prompt_tokens"] == 10);
    CHECK(whole["usage"]["completion_tokens"] == 8);
}

TEST_CASE("A failed generation is a failure of the answer and cancels the others") {
    bool cancelled = false;
    Event failed;
    failed.kind = Event::Kind::failed;
    failed.error = "no memory";
    const auto run = play({{failed}, {}}, true, &cancelled);
    drain(*run);
    CHECK(run->failure() == "no memory");
    CHECK(cancelled);
}

TEST_CASE("An event cannot be ended early by what it holds") {
    CHECK(app::sse_event("{}") == "data: {}\n\n");
    CHECK(app::sse_event("a\nb") == "data: a\ndata: b\n\n");
    CHECK(app::sse_event("") == "data: \n\n");
}

namespace {

// The arguments of each call, as the deltas of a stream join to them, and how many there were.
struct Streamed {
    std::vector<std::string> arguments;
    size_t deltas = 0;
};

Streamed stream_calls(const app::ToolSchemas& schemas,
                      const std::string& text,
                      const std::vector<size_t>& cuts,
                      app::ChoiceAnswer& answer) {
    runtime::ReplyParserOptions options;
    options.starts_in_reasoning = false;
    options.tools = schemas.signatures();
    runtime::ReplyParser parser(options);
    Streamed out;
    const auto take = [&](const std::vector<Delta>& deltas) {
        for (const Json& delta : answer.add(deltas)) {
            if (!delta.contains("tool_calls")) {
                continue;
            }
            const Json& call = delta["tool_calls"][0];
            const auto index = call["index"].get<size_t>();
            if (call.contains("id")) {
                REQUIRE(index == out.arguments.size());
                out.arguments.emplace_back();
            }
            out.arguments.at(index) += call["function"]["arguments"].get<std::string>();
            out.deltas++;
        }
    };
    size_t at = 0;
    for (const size_t cut : cuts) {
        take(parser.add(std::string_view(text).substr(at, cut - at)));
        at = cut;
    }
    take(parser.add(std::string_view(text).substr(at)));
    take(parser.finish(true));
    return out;
}

}  // namespace

TEST_CASE("Arguments come as they are written, and are the same however the reply is cut") {
    app::ToolSchemas schemas;
    const Json parameters = app::parse_json(R"({"properties": {"path": {"type": "string"}, "text": {"type": "string"},
        "count": {"type": "integer"}, "options": {"type": "object"}, "either": {"type": ["string", "integer"]}}})");
    schemas.add("write", &parameters);
    const std::vector<std::string> keys = {"path", "text", "count", "options", "either"};
    const std::vector<std::string> pieces = {"a",  " ",  "\n", "<",       "</",     "</arg",  "<arg_key", "\"", "\\",
                                             "é", "😀", "\t", "</tool_", "{\"b\":", "1", "long words "};
    std::mt19937 random(11);
    const auto below = [&random](size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(random); };
    for (int round = 0; round < 300; round++) {
        std::string text = below(2) == 0 ? "" : "Some words first. ";
        std::vector<Json> expected;
        const size_t calls = 1 + below(3);
        for (size_t c = 0; c < calls; c++) {
            text += "<tool_call>write";
            Json arguments = Json::object();
            std::vector<std::string> left = keys;
            for (size_t n = below(keys.size() + 1); n > 0; n--) {
                const size_t which = below(left.size());
                const std::string key = left[which];
                left.erase(left.begin() + static_cast<std::ptrdiff_t>(which));
                std::string value;
                if (key == "count") {
                    value = std::to_string(below(1000));
                    arguments[key] = app::parse_json(value);
                } else if (key == "options") {
                    value = R"({"deep": ["<x>", 1]})";
                    arguments[key] = app::parse_json(value);
                } else {
                    value = key == "either" ? "x" : "";
                    for (size_t p = below(12); p > 0; p--) {
                        value += pieces[below(pieces.size())];
                    }
                    arguments[key] = value;
                }
                text += "<arg_key>" + key + "</arg_key><arg_value>" + value + "</arg_value>";
            }
            text += "</tool_call>";
            expected.push_back(std::move(arguments));
        }
        std::vector<size_t> all, some;
        for (size_t i = 1; i < text.size(); i++) {
            if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) {
                all.push_back(i);
                if (below(6) == 0) {
                    some.push_back(i);
                }
            }
        }
        INFO(text);
        app::ChoiceAnswer whole(schemas, true), by_letters(schemas, true), cut(schemas, true);
        const Streamed at_once = stream_calls(schemas, text, {}, whole);
        REQUIRE(at_once.arguments.size() == calls);
        for (size_t c = 0; c < calls; c++) {
            CHECK(app::parse_json(at_once.arguments[c]) == expected[c]);
            CHECK(whole.message()["tool_calls"][c]["function"]["arguments"] == at_once.arguments[c]);
        }
        CHECK(stream_calls(schemas, text, all, by_letters).arguments == at_once.arguments);
        CHECK(stream_calls(schemas, text, some, cut).arguments == at_once.arguments);
    }
    // Long text is not held back until its end.
    std::string text = "<tool_call>write<arg_key>text</arg_key><arg_value>";
    std::vector<size_t> cuts;
    for (int i = 0; i < 50; i++) {
        text += "line\n";
        cuts.push_back(text.size());
    }
    app::ChoiceAnswer answer(schemas, true);
    const Streamed streamed = stream_calls(schemas, text, cuts, answer);
    CHECK(streamed.deltas >= 50);
    // The model ended in the middle of it: nothing closes what was not closed.
    CHECK(streamed.arguments.at(0).starts_with("{\"text\": \"line\\n"));
    CHECK_THROWS_AS(app::parse_json(streamed.arguments.at(0)), app::JsonError);
}
