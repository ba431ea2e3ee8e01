// RemoteEngine: another engine that speaks OpenAI's API (vLLM, SGLang, another Keyhole): its
// address, its key, its models, and answers from it. The window, the terminal and the endpoint use
// it in the place of runtime::EngineThread: chat() gives the same stream of events, so whoever
// shows an answer does not see where it is computed. Knows no window and no server. Any thread;
// what may wait for the network says so.
//
//     RemoteEngine remote({RemoteUrl::parse("http://cluster:8000"), key});
//     for (const RemoteModel& model : remote.models()) ...           // waits; throws RemoteError
//     auto stream = remote.chat({.messages = messages});             // at once
//     while (!stream->done()) { auto event = stream->next(100ms); ... stream->cancel(); }
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "app/json/json.h"
#include "app/remote/http_call.h"
#include "app/remote/remote_url.h"
#include "runtime/engine/generation.h"

namespace app {

struct Options;

// What went wrong with the other engine; one line for a person. `status` is the one that a server
// in between answers with: the other's own where it refused the request, 502 or 504 where it is at
// fault.
class RemoteError : public std::runtime_error {
public:
    RemoteError(int http_status, const std::string& message, std::string error_code)
        : std::runtime_error(message), status(http_status), code(std::move(error_code)) {}

    // The other's answer that is no 2xx: `body` in whatever shape it sends errors.
    static RemoteError from_answer(const HttpCall::Head& head, std::string_view body);
    static RemoteError from_trouble(HttpCall::Trouble trouble, const std::string& reason);

    int status;
    std::string type;   // empty: the usual one of the status
    std::string param;  // empty: none
    std::string code;   // empty: none
    std::string retry_after;
};

struct RemoteModel {
    std::string id;
    int64_t context_tokens = 0;  // 0: it does not say
    Json entry;                  // as it came
};

struct RemoteOptions {
    RemoteUrl url;
    std::string key;    // sent as a bearer token; empty: none
    std::string model;  // empty: the first of its list
    HttpCall::Limits limits;

    // From --remote, --remote-model, --remote-timeout, and --remote-key or KEYHOLE_REMOTE_KEY.
    // Nothing without --remote. Throws std::runtime_error, one line.
    static std::optional<RemoteOptions> from(const Options& options);
};

class RemoteEngine {
public:
    explicit RemoteEngine(RemoteOptions options);

    const RemoteUrl& url() const { return options_.url; }

    // Its models, asked for again after a few seconds. Waits up to ten. Throws RemoteError.
    std::vector<RemoteModel> models();
    // `wanted` if it has such a model, else the one from the options, else its first. Waits as
    // models() does; throws RemoteError.
    std::string model_for(std::string_view wanted);

    struct Chat {
        std::vector<runtime::ChatMessage> messages;
        bool thinking = true;
        runtime::SamplingParams sampling;
        int64_t max_tokens = -1;
        std::vector<std::string> stop;
        std::string model;  // empty: the default
        std::function<void()> wake;  // after every event, from the stream's thread; may be empty
    };
    // The answer as it comes: what fails, fails as the stream's terminal event. Does not wait.
    std::unique_ptr<runtime::GenerationStream> chat(Chat chat);

    // Any request, for the endpoint: `path` with its "/v1". The key is added. Does not wait.
    std::unique_ptr<HttpCall> post(const std::string& path,
                                   std::string body,
                                   HttpCall::Headers headers = {}) const;

private:
    std::unique_ptr<HttpCall> call(HttpCall::Request request, HttpCall::Limits limits) const;

    const RemoteOptions options_;
    std::mutex mutex_;
    std::vector<RemoteModel> models_;                    // guarded by mutex_
    std::chrono::steady_clock::time_point models_from_;  // guarded by mutex_
};

// A log line or warning where what is sent could be read on its way; empty: nothing to say.
std::string remote_warning(const RemoteOptions& options);

}  // namespace app
