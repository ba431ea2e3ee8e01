// WakeUps: how other threads make the main loop come round, at most 30 times a second however many
// tokens and files they report. The first wake after a quiet time is passed on at once; those
// within the next 33 ms are not, and the loop looks once more when these are over, so none is lost.
// wake() from any thread, the rest from the main one.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <utility>

namespace app::window {

class WakeUps {
public:
    static constexpr double kInterval = 1.0 / 30;

    // clock: seconds, monotonic, any thread. post: ends the main loop's sleep, any thread.
    WakeUps(std::function<double()> clock, std::function<void()> post)
        : clock_(std::move(clock)), post_(std::move(post)) {}

    void wake() {
        const double now = clock_();
        double last = last_.load();
        while (now - last >= kInterval) {
            if (last_.compare_exchange_weak(last, now)) {
                posts_.fetch_add(1);
                post_();
                return;
            }
        }
    }

    // How long the loop may sleep at most: to the end of the interval of the last wake that was
    // passed on, unless that is over and was looked at.
    double longest_sleep(double now) {
        const double last = last_.load();
        if (last == settled_) {
            return 1e9;
        }
        if (now - last >= kInterval) {
            settled_ = last;
            return 1e9;
        }
        return last + kInterval - now;
    }

    // When the last wake that was passed on was asked for.
    double last() const { return last_.load(); }

    uint64_t posts() const { return posts_.load(); }

private:
    std::function<double()> clock_;
    std::function<void()> post_;
    std::atomic<double> last_{-1e9};
    std::atomic<uint64_t> posts_{0};
    double settled_ = -1e9;  // main thread
};

}  // namespace app::window
