#include "app/window/watchdog.h"

#include <algorithm>
#include <utility>

#include "app/window/format.h"

namespace app::window {

Watchdog& Watchdog::instance() {
    static Watchdog watchdog;
    return watchdog;
}

void Watchdog::enter(const char* name) {
    open_.push_back({name, Clock::now()});
}

void Watchdog::leave() {
    const Open part = open_.back();
    open_.pop_back();
    const double all = std::chrono::duration<double, std::milli>(Clock::now() - part.began).count();
    const double own = all - part.inside_ms;
    if (!open_.empty()) {
        open_.back().inside_ms += all;
    }
    parts_++;
    longest_ms_ = std::max(longest_ms_, own);
    constexpr size_t kKept = 32;
    if (own > kLimitMs && late_.size() < kKept) {
        late_.push_back({part.name, own});
    }
}

std::vector<Watchdog::Late> Watchdog::take_late() {
    std::vector<Late> late = std::exchange(late_, {});
    std::sort(late.begin(), late.end(), [](const Late& a, const Late& b) { return a.ms > b.ms; });
    return late;
}

std::string late_text(const std::vector<Watchdog::Late>& late) {
    std::string text;
    for (const Watchdog::Late& part : late) {
        text +=
            (text.empty() ? "" : ", ") + std::string(part.name) + " " + fixed(part.ms, 1) + " ms";
    }
    return text.empty() ? text : text + " on the main thread";
}

}  // namespace app::window
