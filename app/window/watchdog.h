// Watchdog: who took the main thread's time. A part of a frame's work is timed by a Timed object;
// what takes more than 4 ms is remembered by name, and builds with assertions say so in the log.
// Main thread only.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace app::window {

class Watchdog {
public:
    static constexpr double kLimitMs = 4;

    struct Late {
        const char* name;
        double ms;  // its own: without the parts inside it
    };

    // The main thread's.
    static Watchdog& instance();

    void enter(const char* name);
    void leave();
    // What was over the limit since the last call, the longest first.
    std::vector<Late> take_late();

    uint64_t parts() const { return parts_; }
    double longest_ms() const { return longest_ms_; }

private:
    using Clock = std::chrono::steady_clock;
    struct Open {
        const char* name;
        Clock::time_point began;
        double inside_ms = 0;
    };
    std::vector<Open> open_;
    std::vector<Late> late_;
    uint64_t parts_ = 0;
    double longest_ms_ = 0;
};

class Timed {
public:
    explicit Timed(const char* name) { Watchdog::instance().enter(name); }
    ~Timed() { Watchdog::instance().leave(); }
    Timed(const Timed&) = delete;
    Timed& operator=(const Timed&) = delete;
};

// One line: "sidebar took 7.2 ms on the main thread"; empty where nothing was late.
std::string late_text(const std::vector<Watchdog::Late>& late);

}  // namespace app::window
