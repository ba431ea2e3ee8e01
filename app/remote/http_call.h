// HttpCall: one request to another server, on a thread of its own, so that whoever waits for the
// answer can look after other things and give up at any time. The answer's bytes are handed over as
// they arrive; past a bound the sender is made to wait. Redirects are not followed. Certificates of
// https are verified against the system's. Knows neither JSON nor models.
//
// wait_head() and read() from one thread; cancel() from any.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "app/remote/remote_url.h"

namespace app {

class HttpCall {
public:
    using Headers = std::vector<std::pair<std::string, std::string>>;

    struct Request {
        RemoteUrl url;
        std::string method = "GET";
        std::string path;  // "/v1/models"; url.prefix is put before it
        Headers headers;
        std::string body;  // JSON; of a GET: none
    };
    struct Limits {
        std::chrono::milliseconds connect{5'000};
        std::chrono::milliseconds silence{600'000};  // between two bytes, and before the first
    };
    struct Head {
        int status = 0;
        std::string content_type;
        std::string retry_after;
    };
    enum class Trouble { none, unreachable, silent, broken, cancelled };

    HttpCall(Request request, Limits limits);
    ~HttpCall();  // cancels, and waits for the thread: at most as long as connecting may take
    HttpCall(const HttpCall&) = delete;
    HttpCall& operator=(const HttpCall&) = delete;

    // True: head() is there, or there will be none and its status is 0.
    bool wait_head(std::chrono::milliseconds timeout);
    const Head& head() const;
    // The next bytes of the answer. Nothing: none came in time, or the answer ended.
    std::optional<std::string> read(std::chrono::milliseconds timeout);
    bool ended() const;  // all bytes were read; whole unless trouble() says otherwise
    Trouble trouble() const;
    std::string reason() const;  // of the trouble, for a person: "connection refused"
    void cancel();

private:
    struct State;
    std::shared_ptr<State> state_;
    std::thread thread_;
};

}  // namespace app
