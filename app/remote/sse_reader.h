// SseReader: bytes of an event stream, in pieces of any size, to its events. Lines may end with
// LF, CR LF or CR. Knows no JSON. One thread at a time.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace app {

class SseReader {
public:
    struct Event {
        std::string name;  // of "event:"; empty: none was given
        std::string data;
    };

    // More than this without the end of an event is no event stream.
    static constexpr size_t kMaxEventBytes = 16 << 20;

    // The events that are whole by now. Throws std::runtime_error past kMaxEventBytes.
    std::vector<Event> add(std::string_view bytes);

    // Nothing is held: the bytes so far end between two events.
    bool between_events() const { return line_.empty() && !begun_; }

private:
    void end_line(std::vector<Event>& out);

    std::string line_;
    Event event_;
    bool begun_ = false;  // a line of this event came
    bool has_data_ = false;
    bool after_cr_ = false;  // an LF that follows belongs to the line that ended
};

}  // namespace app
