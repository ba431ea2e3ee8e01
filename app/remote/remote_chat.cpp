#include "app/remote/remote_chat.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <tuple>
#include <utility>

#include "app/remote/sse_reader.h"

namespace app {
namespace {

using Event = runtime::GenerationEvent;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr milliseconds kGlance{50};
constexpr size_t kMaxErrorBytes = 1 << 20;

const char* role_name(runtime::Role role) {
    switch (role) {
        case runtime::Role::system:
            return "system";
        case runtime::Role::user:
            return "user";
        case runtime::Role::assistant:
            return "assistant";
        case runtime::Role::tool:
            return "tool";
    }
    return "user";
}

double ms_between(Clock::time_point from, Clock::time_point to) {
    return std::chrono::duration<double, std::milli>(to - from).count();
}

class RemoteChatStream final : public runtime::GenerationStream {
public:
    RemoteChatStream(RemoteEngine& engine, RemoteEngine::Chat chat)
        : engine_(engine), chat_(std::move(chat)), thread_([this] { run(); }) {}

    ~RemoteChatStream() override {
        cancel();
        thread_.join();
    }

    std::optional<Event> next(milliseconds timeout) override {
        std::unique_lock lock(mutex_);
        changed_.wait_for(lock, timeout, [this] { return !events_.empty() || given_; });
        return take_locked();
    }

    std::optional<Event> try_next() override {
        const std::lock_guard lock(mutex_);
        return take_locked();
    }

    void cancel() override { cancelled_ = true; }

    bool done() const override {
        const std::lock_guard lock(mutex_);
        return given_;
    }

    uint64_t id() const override { return 0; }  // no sequence of this engine

private:
    std::optional<Event> take_locked() {
        if (events_.empty()) {
            return std::nullopt;
        }
        Event event = std::move(events_.front());
        events_.pop_front();
        given_ = event.terminal();
        return event;
    }

    void push(Event event) {
        event.usage = usage_;
        event.timings = timings_;
        {
            const std::lock_guard lock(mutex_);
            events_.push_back(std::move(event));
        }
        changed_.notify_all();
        if (chat_.wake) {
            chat_.wake();
        }
    }

    void fail(const std::string& why) {
        Event event;
        event.kind = cancelled_ ? Event::Kind::cancelled : Event::Kind::failed;
        event.error = why;
        push(std::move(event));
    }

    void run() {
        try {
            const std::string model = engine_.model_for(chat_.model);
            if (!cancelled_) {
                converse(model);
                return;
            }
            fail("");
        } catch (const std::exception& error) {
            fail(error.what());
        }
    }

    void converse(const std::string& model) {
        const auto began = Clock::now();
        const auto call =
            engine_.post("/v1/chat/completions", to_text(remote_chat_body(chat_, model)),
                         {{"Accept", "text/event-stream"}});
        while (!call->wait_head(kGlance)) {
            if (cancelled_) {
                call->cancel();
                fail("");
                return;
            }
        }
        const bool refused = call->head().status != 0 && call->head().status != 200;
        std::string body;
        bool over = false;
        while (!over && !call->ended()) {
            const auto bytes = call->read(kGlance);
            if (cancelled_) {
                call->cancel();
                fail("");
                return;
            }
            if (!bytes) {
                continue;
            }
            if (refused) {
                body.append(*bytes, 0, kMaxErrorBytes - std::min(kMaxErrorBytes, body.size()));
                continue;
            }
            if (usage_.completion_tokens == 0 && timings_.prompt_ms == 0) {
                timings_.prompt_ms = ms_between(began, Clock::now());
                first_ = Clock::now();
            }
            for (const SseReader::Event& event : reader_.add(*bytes)) {
                over = over || event.data == "[DONE]" || take(event.data);
            }
        }
        if (failed_) {
            return;
        }
        if (!over && call->trouble() != HttpCall::Trouble::none) {
            throw RemoteError::from_trouble(call->trouble(), call->reason());
        }
        if (refused) {
            throw RemoteError::from_answer(call->head(), body);
        }
        if (!reason_) {
            throw RemoteError(502, "The remote engine's answer ended without saying why.",
                              "remote_broken_off");
        }
        timings_.generation_ms = ms_between(first_, Clock::now());
        Event event;
        event.kind = Event::Kind::finished;
        event.reason = *reason_;
        push(std::move(event));
    }

    // One chunk. True: it was an error, and nothing more comes.
    bool take(const std::string& data) {
        const Json chunk = parse_json(data);
        if (!chunk.is_object()) {
            return false;
        }
        if (chunk.contains("error")) {
            failed_ = true;
            fail(RemoteError::from_answer({500, "", ""}, data).what());
            return true;
        }
        if (const auto usage = chunk.find("usage"); usage != chunk.end() && usage->is_object()) {
            usage_.prompt_tokens = usage->value("prompt_tokens", int64_t{0});
            usage_.completion_tokens = usage->value("completion_tokens", int64_t{0});
            for (const auto& [outer, inner, to] :
                 {std::tuple{"prompt_tokens_details", "cached_tokens", &usage_.cached_tokens},
                  std::tuple{"completion_tokens_details", "reasoning_tokens",
                             &usage_.reasoning_tokens}}) {
                const auto details = usage->find(outer);
                if (details != usage->end() && details->is_object()) {
                    *to = details->value(inner, int64_t{0});
                }
            }
        }
        const auto choices = chunk.find("choices");
        if (choices == chunk.end() || !choices->is_array() || choices->empty() ||
            !choices->front().is_object()) {
            return false;
        }
        const Json& choice = choices->front();
        Event event;
        const auto add = [&event](const Json& delta, const char* name,
                                  runtime::ReplyDelta::Kind kind) {
            const auto found = delta.find(name);
            if (found != delta.end() && found->is_string() &&
                !found->get_ref<const std::string&>().empty()) {
                event.deltas.push_back({kind, found->get<std::string>(), 0, "", false});
                return true;
            }
            return false;
        };
        if (const auto delta = choice.find("delta"); delta != choice.end() && delta->is_object()) {
            using Kind = runtime::ReplyDelta::Kind;
            // The same thing under the names that different engines gave it; some send both.
            add(*delta, "reasoning_content", Kind::reasoning) ||
                add(*delta, "reasoning", Kind::reasoning);
            add(*delta, "content", Kind::content);
        }
        if (!event.deltas.empty()) {
            push(std::move(event));
        }
        if (const auto reason = choice.find("finish_reason");
            reason != choice.end() && reason->is_string()) {
            const std::string name = reason->get<std::string>();
            reason_ = name == "length"       ? runtime::FinishReason::length
                      : name == "tool_calls" ? runtime::FinishReason::tool_calls
                                             : runtime::FinishReason::stop;
        }
        return false;
    }

    RemoteEngine& engine_;
    const RemoteEngine::Chat chat_;
    std::atomic<bool> cancelled_{false};

    // Of the thread:
    SseReader reader_;
    runtime::Usage usage_;
    runtime::Timings timings_;
    std::optional<runtime::FinishReason> reason_;
    Clock::time_point first_;
    bool failed_ = false;

    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Event> events_;  // guarded by mutex_
    bool given_ = false;        // guarded by mutex_: the terminal event was
    std::thread thread_;        // last: it uses all of the above
};

}  // namespace

Json remote_chat_body(const RemoteEngine::Chat& chat, const std::string& model) {
    Json body;
    body["model"] = model;
    body["messages"] = Json::array();
    for (const runtime::ChatMessage& message : chat.messages) {
        Json entry;
        entry["role"] = role_name(message.role);
        entry["content"] = message.content;
        body["messages"].push_back(std::move(entry));
    }
    body["stream"] = true;
    body["stream_options"]["include_usage"] = true;
    body["temperature"] = chat.sampling.temperature;
    body["top_p"] = chat.sampling.top_p;
    // What is not OpenAI's is sent only where it was asked for: some servers refuse what they do
    // not know.
    if (chat.sampling.top_k > 0) {
        body["top_k"] = chat.sampling.top_k;
    }
    if (chat.sampling.min_p > 0) {
        body["min_p"] = chat.sampling.min_p;
    }
    if (chat.sampling.seed) {
        body["seed"] = static_cast<int64_t>(*chat.sampling.seed & INT64_MAX);
    }
    if (chat.max_tokens >= 0) {
        body["max_tokens"] = chat.max_tokens;
    }
    if (!chat.stop.empty()) {
        body["stop"] = chat.stop;
    }
    if (!chat.thinking) {
        body["chat_template_kwargs"]["enable_thinking"] = false;
    }
    return body;
}

std::unique_ptr<runtime::GenerationStream> make_remote_chat(RemoteEngine& engine,
                                                            RemoteEngine::Chat chat) {
    return std::make_unique<RemoteChatStream>(engine, std::move(chat));
}

}  // namespace app
