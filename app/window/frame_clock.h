// FrameClock: when to draw. A frame is drawn for a reason only (input, news from the engine, a
// caret that blinks), and each reason is good for a few frames because menus and scrolling settle
// over two or three. Knows no window.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace app::window {

class FrameClock {
public:
    // Something changed that a person may see.
    void request(int frames = kFramesPerReason) { pending_ = std::max(pending_, frames); }

    // Whether there is a frame to draw, now or when the time for it has come.
    bool pending() const { return pending_ > 0; }
    // Whether to draw now. `interval` is the least time between frames that are only drawn because
    // text streams in.
    bool due(double now, double interval) const { return pending_ > 0 && now - last_ >= interval; }
    void drawn(double now) {
        pending_ = std::max(0, pending_ - 1);
        last_ = now;
        frames_++;
    }

    // How long the loop may sleep. Events and the engine wake it sooner. `caret_since`: when the
    // blinking caret last moved, negative without one.
    double wait(double now, double interval, double caret_since) const {
        if (pending_ > 0) {
            return std::max(0.0, last_ + interval - now);
        }
        double wait = kLongest;
        if (caret_since >= 0) {
            const double phase = std::fmod(now - caret_since, kBlink);
            wait = std::min(wait, kBlink - phase + 0.002);
        }
        return wait;
    }

    uint64_t frames() const { return frames_; }

    static constexpr int kFramesPerReason = 3;
    static constexpr double kBlink = 0.5;  // a caret is shown and hidden this long
    static constexpr double kLongest =
        0.5;  // how often figures that nobody announces are looked at

private:
    int pending_ = kFramesPerReason;
    double last_ = -1e9;
    uint64_t frames_ = 0;
};

}  // namespace app::window
