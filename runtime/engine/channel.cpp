#include "runtime/engine/channel.h"

#include <algorithm>
#include <iterator>

namespace runtime {
namespace {

class ChannelStream : public GenerationStream {
public:
    explicit ChannelStream(std::shared_ptr<Channel> channel) : channel_(std::move(channel)) {}
    ~ChannelStream() override { channel_->cancel(); }

    std::optional<GenerationEvent> next(std::chrono::milliseconds timeout) override {
        return channel_->next(timeout);
    }
    std::optional<GenerationEvent> try_next() override {
        return channel_->next(std::chrono::milliseconds(0));
    }
    void cancel() override { channel_->cancel(); }
    bool done() const override { return channel_->given(); }
    uint64_t id() const override { return channel_->id(); }

private:
    std::shared_ptr<Channel> channel_;
};

}  // namespace

void Channel::push(GenerationEvent event) {
    {
        const std::lock_guard lock(mutex_);
        if (finished_.load(std::memory_order_relaxed)) {
            return;
        }
        if (event.terminal()) {
            finished_.store(true, std::memory_order_release);
        }
        if (event.kind == GenerationEvent::Kind::progress && !events_.empty() &&
            events_.back().kind == GenerationEvent::Kind::progress) {
            // What the older one had to say of the prompt's tokens is not said again.
            auto& unread = events_.back().logprobs;
            unread.insert(unread.end(), std::make_move_iterator(event.logprobs.begin()),
                          std::make_move_iterator(event.logprobs.end()));
            event.logprobs = std::move(unread);
            events_.back() = std::move(event);
        } else {
            events_.push_back(std::move(event));
        }
    }
    ready_.notify_one();
}

std::optional<GenerationEvent> Channel::next(std::chrono::milliseconds timeout) {
    std::unique_lock lock(mutex_);
    if (given_.load(std::memory_order_relaxed)) {
        return std::nullopt;
    }
    if (events_.empty() && timeout.count() > 0) {
        // A day at most: the largest durations overflow when added to the clock.
        ready_.wait_for(lock, std::min<std::chrono::milliseconds>(timeout, std::chrono::hours(24)),
                        [this] { return !events_.empty(); });
    }
    if (events_.empty()) {
        return std::nullopt;
    }
    GenerationEvent event = std::move(events_.front());
    events_.pop_front();
    if (event.terminal()) {
        given_.store(true, std::memory_order_release);
    }
    return event;
}

std::unique_ptr<GenerationStream> make_stream(std::shared_ptr<Channel> channel) {
    return std::make_unique<ChannelStream>(std::move(channel));
}

}  // namespace runtime
