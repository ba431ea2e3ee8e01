// Channel: the queue between the engine and whoever reads one generation. The engine pushes and
// never waits; the reader waits, cancels, or goes away, which cancels. Accepts exactly one terminal
// event and gives one to a reader in any case: a channel that is dropped unfinished fails. Engine
// thread and one reader; cancel() from any thread.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>

#include "runtime/engine/generation.h"

namespace runtime {

class Channel {
public:
    explicit Channel(uint64_t id) : id_(id) {}

    uint64_t id() const { return id_; }

    // Events after the terminal one are dropped. Progress that nobody read yet is replaced by newer
    // progress.
    void push(GenerationEvent event);
    bool finished() const {
        return finished_.load(std::memory_order_acquire);
    }  // the terminal event was pushed

    std::optional<GenerationEvent> next(std::chrono::milliseconds timeout);
    bool given() const {
        return given_.load(std::memory_order_acquire);
    }  // the terminal event was read

    void cancel() { cancelled_.store(true, std::memory_order_release); }
    bool cancelled() const { return cancelled_.load(std::memory_order_acquire); }

private:
    const uint64_t id_;
    mutable std::mutex mutex_;
    std::condition_variable ready_;
    std::deque<GenerationEvent> events_;  // guarded by mutex_
    std::atomic<bool> finished_{false}, given_{false}, cancelled_{false};
};

// What the reader holds.
std::unique_ptr<GenerationStream> make_stream(std::shared_ptr<Channel> channel);

}  // namespace runtime
