// Worker: one thread that does what would make the window wait - reading folders, counting tokens,
// rendering prompts. A job runs there; what it returns runs on the main thread, at the next call of
// deliver().
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "app/thread_priority.h"

namespace app::window {

class Worker {
public:
    using Done = std::function<void()>;  // on the main thread
    using Job = std::function<Done()>;   // on the worker; must not throw

    static constexpr int kStepsBehind = 5;  // of nice: the window draws first

    explicit Worker(std::function<void()> wake)
        : wake_(std::move(wake)), thread_([this] { run(); }) {}
    // Finishes the job in work, drops the others; nothing is delivered any more.
    ~Worker() {
        {
            const std::lock_guard lock(mutex_);
            stop_ = true;
            jobs_.clear();
        }
        ready_.notify_one();
        thread_.join();
    }
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

    void add(Job job) {
        {
            const std::lock_guard lock(mutex_);
            jobs_.push_back(std::move(job));
        }
        ready_.notify_one();
    }

    // Runs what is done. true: there was something.
    bool deliver() {
        std::vector<Done> done;
        {
            const std::lock_guard lock(mutex_);
            done.swap(done_);
        }
        for (const Done& each : done) {
            each();
        }
        return !done.empty();
    }

private:
    void run() {
        lower_thread_priority(kStepsBehind);
        std::unique_lock lock(mutex_);
        for (;;) {
            ready_.wait(lock, [this] { return stop_ || !jobs_.empty(); });
            if (stop_) {
                return;
            }
            Job job = std::move(jobs_.front());
            jobs_.pop_front();
            lock.unlock();
            Done done = job();
            job = nullptr;  // with all it held, while nobody waits for the lock
            lock.lock();
            if (done) {
                done_.push_back(std::move(done));
                lock.unlock();
                wake_();
                lock.lock();
            }
        }
    }

    std::function<void()> wake_;
    std::mutex mutex_;
    std::condition_variable ready_;
    std::deque<Job> jobs_;    // guarded by mutex_
    std::vector<Done> done_;  // guarded by mutex_
    bool stop_ = false;       // guarded by mutex_
    std::thread thread_;
};

}  // namespace app::window
