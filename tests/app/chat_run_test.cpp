// ChatRun and ChoiceAnswer over generations that are played from a list: no engine, no socket.
#include "app/server/chat_run.h"

#include <deque>

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
