#include "app/remote/http_call.h"

#include <algorithm>
#include <condition_variable>
#include <functional>
#include <mutex>

#include <httplib.h>
namespace app {
namespace {

// What may wait to be read; the sender is held up past it.
constexpr size_t kMaxWaitingBytes = 4 << 20;

}  // namespace

struct HttpCall::State {
    mutable std::mutex mutex;
    std::condition_variable changed;
    // guarded by mutex
    Head head;
    bool has_head = false;
    bool connected = false;
    bool cancelled = false;
    bool done = false;
    std::string bytes;
    Trouble trouble = Trouble::none;
    std::string reason;
    httplib::ClientImpl* client = nullptr;  // while its thread is in send(), once connected

    void run(const Request& request, const Limits& limits);
    void send(httplib::ClientImpl& http, const Request& request, const Limits& limits);
    void fail(Trouble what, const std::string& why);
};

void HttpCall::State::fail(Trouble what, const std::string& why) {
    const std::lock_guard lock(mutex);
    trouble = cancelled ? Trouble::cancelled : what;
    reason = cancelled ? "cancelled" : why;
}

void HttpCall::State::run(const Request& request, const Limits& limits) {
    const RemoteUrl& url = request.url;
    try {
        if (url.https) {
#ifdef CPPHTTPLIB_OPENSSL_SUPPORT
            httplib::SSLClient http(url.host, url.port);
            http.enable_server_certificate_verification(true);
            send(http, request, limits);
#else
            fail(Trouble::unreachable, "this build cannot speak https");
#endif
        } else {
            httplib::ClientImpl http(url.host, url.port);
            send(http, request, limits);
        }
    } catch (const std::exception& error) {
        fail(Trouble::broken, error.what());
    }
    const std::lock_guard lock(mutex);
    done = true;
    changed.notify_all();
}

void HttpCall::State::send(httplib::ClientImpl& http,
                           const Request& request,
                           const Limits& limits) {
    using Clock = std::chrono::steady_clock;
    http.set_connection_timeout(limits.connect);
    http.set_read_timeout(limits.silence);
    http.set_write_timeout(std::chrono::seconds(30));
    http.set_tcp_nodelay(true);
    http.set_follow_location(false);
    http.set_keep_alive(false);
    http.set_url_encode(false);

    httplib::Request out;
    out.method = request.method;
    out.path = request.url.prefix + request.path;
    for (const auto& [name, value] : request.headers) {
        out.set_header(name, value);
    }
    out.set_header("Accept-Encoding", "identity");
    auto last_byte = Clock::now();
    if (request.method != "GET") {
        // Given piece by piece, which tells when the connection stands: from then on it can be cut.
        out.set_header("Content-Type", "application/json");
        out.content_length_ = request.body.size();
        out.content_provider_ = [&](size_t offset, size_t length, httplib::DataSink& sink) {
            {
                const std::lock_guard lock(mutex);
                if (cancelled) {
                    return false;
                }
                connected = true;
                client = &http;
            }
            const size_t piece = std::min<size_t>(length, 64 << 10);
            last_byte = Clock::now();
            return sink.write(request.body.data() + offset, piece);
        };
    }
    out.response_handler = [&](const httplib::Response& response) {
        last_byte = Clock::now();
        const std::lock_guard lock(mutex);
        head = {response.status, response.get_header_value("Content-Type"),
                response.get_header_value("Retry-After")};
        has_head = true;
        connected = true;
        client = &http;
        changed.notify_all();
        return !cancelled;
    };
    out.content_receiver = [&](const char* data, size_t size, uint64_t, uint64_t) {
        last_byte = Clock::now();
        std::unique_lock lock(mutex);
        changed.wait(lock, [&] { return cancelled || bytes.size() < kMaxWaitingBytes; });
        bytes.append(data, size);
        changed.notify_all();
        return !cancelled;
    };

    httplib::Response response;
    httplib::Error error = httplib::Error::Success;
    const bool good = http.send(out, response, error);
    {
        const std::lock_guard lock(mutex);
        client = nullptr;
    }
    if (good) {
        return;
    }
    const bool too_quiet =
        Clock::now() - last_byte + std::chrono::milliseconds(50) >= limits.silence;
    switch (error) {
        case httplib::Error::Connection:
            fail(Trouble::unreachable, "no connection; is it running, and is the address right?");
            break;
        case httplib::Error::ConnectionTimeout:
            fail(Trouble::unreachable, "no connection in time");
            break;
        case httplib::Error::SSLConnection:
            fail(Trouble::unreachable, "no TLS connection");
            break;
        case httplib::Error::SSLLoadingCerts:
        case httplib::Error::SSLServerVerification:
            fail(Trouble::unreachable, "its certificate cannot be verified");
            break;
        default: {
            std::unique_lock lock(mutex);
            const bool begun = connected;
            lock.unlock();
            if (too_quiet) {
                fail(Trouble::silent,
                     "nothing came for " + std::to_string(limits.silence.count() / 1000) + " s");
            } else {
                fail(begun ? Trouble::broken : Trouble::unreachable, "the connection broke off");
            }
        }
    }
}

HttpCall::HttpCall(Request request, Limits limits) : state_(std::make_shared<State>()) {
    thread_ = std::thread(
        [state = state_, request = std::move(request), limits] { state->run(request, limits); });
}

HttpCall::~HttpCall() {
    cancel();
    thread_.join();
}

void HttpCall::cancel() {
    const std::lock_guard lock(state_->mutex);
    state_->cancelled = true;
    // Not while it connects: that would wait for the connection.
    if (state_->client != nullptr) {
        state_->client->stop();
    }
    state_->changed.notify_all();
}

bool HttpCall::wait_head(std::chrono::milliseconds timeout) {
    std::unique_lock lock(state_->mutex);
    return state_->changed.wait_for(lock, timeout,
                                    [&] { return state_->has_head || state_->done; });
}

const HttpCall::Head& HttpCall::head() const {
    return state_->head;
}

std::optional<std::string> HttpCall::read(std::chrono::milliseconds timeout) {
    std::unique_lock lock(state_->mutex);
    state_->changed.wait_for(lock, timeout, [&] { return !state_->bytes.empty() || state_->done; });
    if (state_->bytes.empty()) {
        return std::nullopt;
    }
    std::string bytes = std::exchange(state_->bytes, {});
    state_->changed.notify_all();
    return bytes;
}

bool HttpCall::ended() const {
    const std::lock_guard lock(state_->mutex);
    return state_->done && state_->bytes.empty();
}

HttpCall::Trouble HttpCall::trouble() const {
    const std::lock_guard lock(state_->mutex);
    return state_->trouble;
}

std::string HttpCall::reason() const {
    const std::lock_guard lock(state_->mutex);
    return state_->reason;
}

}  // namespace app
