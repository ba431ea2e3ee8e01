// MaskAhead: a thread beside the engine's that finds out which tokens may come next while the model
// computes the step. Work that it has not begun when the step is done is left to the engine, so
// that it never holds a step up for longer than the work itself takes.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace runtime {

class MaskAhead {
public:
    MaskAhead() = default;
    ~MaskAhead();
    MaskAhead(const MaskAhead&) = delete;
    MaskAhead& operator=(const MaskAhead&) = delete;

    // Engine thread. Until finish() nobody else touches what the work touches; it does not throw.
    void start(std::vector<std::function<void()>> work);
    // What was begun is done, the rest is dropped.
    void finish();

private:
    void run();

    std::thread thread_;  // made with the first work
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::function<void()>> work_;  // guarded by mutex_, from the back
    bool working_ = false, closing_ = false;   // guarded by mutex_
};

}  // namespace runtime
