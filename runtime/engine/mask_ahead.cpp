#include "runtime/engine/mask_ahead.h"

#include <algorithm>
#include <utility>

namespace runtime {

MaskAhead::~MaskAhead() {
    finish();
    {
        const std::lock_guard lock(mutex_);
        closing_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) {
        thread_.join();
    }
}

void MaskAhead::start(std::vector<std::function<void()>> work) {
    if (work.empty()) {
        return;
    }
    std::reverse(work.begin(), work.end());
    {
        const std::lock_guard lock(mutex_);
        work_ = std::move(work);
    }
    if (!thread_.joinable()) {
        thread_ = std::thread([this] { run(); });
    } else {
        changed_.notify_all();
    }
}

void MaskAhead::finish() {
    std::unique_lock lock(mutex_);
    work_.clear();
    changed_.wait(lock, [this] { return !working_; });
}

void MaskAhead::run() {
    std::unique_lock lock(mutex_);
    for (;;) {
        changed_.wait(lock, [this] { return closing_ || !work_.empty(); });
        if (closing_) {
            return;
        }
        const std::function<void()> one = std::move(work_.back());
        work_.pop_back();
        working_ = true;
        lock.unlock();
        one();
        lock.lock();
        working_ = false;
        changed_.notify_all();
    }
}

}  // namespace runtime
