#include "app/server/sse.h"

#include "app/server/http.h"

namespace app {

std::string sse_event(std::string_view data) {
    std::string out;
    for (size_t at = 0; at <= data.size();) {
        const size_t end = std::min(data.find('\n', at), data.size());
        out += "data: ";
        out += data.substr(at, end - at);
        out += '\n';
        at = end + 1;
    }
    return out + '\n';
}

void send_event_stream(const httplib::Request& request,
                       httplib::Response& response,
                       std::function<void(SseWriter&)> produce) {
    response.set_header("Cache-Control", "no-cache");
    response.set_header("X-Accel-Buffering", "no");
    const auto provider = [produce = std::move(produce)](size_t, httplib::DataSink& sink) {
        SseWriter writer(sink);
        produce(writer);
        sink.done();
        return true;
    };
    if (request.version == "HTTP/1.0") {
        if (Connection* connection = Connection::current()) {
            connection->close_after_answer();
        }
        response.set_content_provider("text/event-stream", provider);
    } else {
        response.set_chunked_content_provider("text/event-stream", provider);
    }
}

}  // namespace app
