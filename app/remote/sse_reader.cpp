#include "app/remote/sse_reader.h"

#include <stdexcept>
#include <utility>

namespace app {

std::vector<SseReader::Event> SseReader::add(std::string_view bytes) {
    std::vector<Event> out;
    for (const char c : bytes) {
        if (c == '\n' && std::exchange(after_cr_, false)) {
            continue;
        }
        after_cr_ = c == '\r';
        if (c == '\n' || c == '\r') {
            end_line(out);
            continue;
        }
        line_ += c;
        if (line_.size() + event_.data.size() > kMaxEventBytes) {
            throw std::runtime_error("an event of the stream is too large");
        }
    }
    return out;
}

void SseReader::end_line(std::vector<Event>& out) {
    if (line_.empty()) {
        if (has_data_) {
            out.push_back(std::move(event_));
        }
        event_ = {};
        begun_ = has_data_ = false;
        return;
    }
    const std::string line = std::exchange(line_, {});
    begun_ = true;
    const size_t colon = line.find(':');
    const std::string field = line.substr(0, colon);
    std::string value = colon == std::string::npos ? "" : line.substr(colon + 1);
    if (value.starts_with(' ')) {
        value.erase(0, 1);
    }
    if (field == "data") {
        event_.data += (has_data_ ? "\n" : "") + value;
        has_data_ = true;
    } else if (field == "event") {
        event_.name = value;
    }
}

}  // namespace app
