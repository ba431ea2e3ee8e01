// Server-sent events over an httplib sink: "data: ...\n\n". Knows no JSON and no model.
#pragma once

#include <string>
#include <string_view>

#include <httplib.h>

namespace app {

// The text of one event. A line break inside `data` would end the field: each line gets its own
// "data: ".
std::string sse_event(std::string_view data);

// A comment: clients ignore it, proxies see that the connection lives.
inline constexpr std::string_view kSsePing = ": ping\n\n";

// Sends `produce`'s output as an event stream with the right headers; HTTP/1.0 clients get it
// without chunks and a closed connection. `produce` runs once, on this thread, after the headers
// are out; it writes until it is done or write() returns false, and must not throw.
class SseWriter {
public:
    explicit SseWriter(httplib::DataSink& sink) : sink_(sink) {}
    // name empty: no "event:" line.
    bool event(std::string_view name, std::string_view data) {
        return raw((name.empty() ? "" : "event: " + std::string(name) + "\n") + sse_event(data));
    }
    bool ping() { return raw(kSsePing); }
    bool raw(std::string_view text) { return sink_.write(text.data(), text.size()); }

private:
    httplib::DataSink& sink_;
};

void send_event_stream(const httplib::Request& request,
                       httplib::Response& response,
                       std::function<void(SseWriter&)> produce);

}  // namespace app
