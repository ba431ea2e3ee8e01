// Small things for programs that speak to a terminal.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace app {

bool is_terminal(int descriptor);

// A bar on standard error, on a terminal only; redrawn at most ten times a second, erased at the
// end.
class ProgressBar {
public:
    explicit ProgressBar(std::string label);
    ~ProgressBar() { clear(); }
    ProgressBar(const ProgressBar&) = delete;
    ProgressBar& operator=(const ProgressBar&) = delete;

    void update(int64_t done, int64_t total);
    void clear();

private:
    std::string label_;
    bool enabled_;
    bool drawn_ = false;
    std::chrono::steady_clock::time_point last_{};
};

// Text from a file or model, safe for a terminal: control characters as \xNN, cut at `limit` bytes
// with "...".
std::string printable(std::string_view text, size_t limit = 200);

// "17.1 GiB"
std::string human_bytes(int64_t bytes);

}  // namespace app
