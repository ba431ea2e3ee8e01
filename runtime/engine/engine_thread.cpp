#include "runtime/engine/engine_thread.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <iterator>
#include <mutex>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "kernels/check.h"
#include "runtime/engine/engine.h"
#include "runtime/engine/model_instance.h"
#include "runtime/error.h"
#include "runtime/log.h"

namespace runtime {
namespace {

using Clock = std::chrono::steady_clock;

// An idle engine looks up this often: to give memory back, and to renew what the device says of
// other programs.
constexpr auto kIdleLook = std::chrono::seconds(1);
// How often a load shows its progress.
constexpr auto kProgressEvery = std::chrono::milliseconds(50);

uint64_t random_number() {
    std::random_device device;
    return (static_cast<uint64_t>(device()) << 32) ^ device();
}

}  // namespace

struct EngineThread::State {
    using Phase = EngineStatus::State;

    struct Load {
        std::string path;
        EngineOptions options;
    };

    explicit State(std::function<void()> wake_up) : wake(std::move(wake_up)) {}

    // --- any thread
    const std::function<void()> wake;
    std::atomic<bool> give_up_load{false};  // of the load in progress
    std::atomic<uint64_t> next_id{1};

    mutable std::mutex mutex;
    std::condition_variable changed;                      // something for the engine thread to do
    std::condition_variable settled;                      // a load ended, or the thread
    EngineStatus status;                                  // guarded by mutex
    std::optional<Load> load_request;                     // guarded by mutex; the newest wins
    std::vector<std::unique_ptr<Sequence>> inbox;         // guarded by mutex
    bool stopping = false;                                // guarded by mutex
    Clock::time_point stop_deadline{};                    // guarded by mutex
    std::shared_ptr<const LoadedModel> model;             // guarded by mutex
    std::shared_ptr<const SampledVocabulary> vocabulary;  // guarded by mutex
    int64_t max_requests = 0;  // guarded by mutex; running and waiting together
    MemorySnapshot snapshot;   // guarded by mutex
    EngineCounters counters;   // guarded by mutex

    std::mutex join_mutex;
    std::thread thread;  // guarded by join_mutex once started

    // --- engine thread
    std::optional<ModelInstance> instance;
    Load last_load;  // what the instance was loaded by
    std::unique_ptr<Engine> engine;                  // uses the instance
    EngineCounters earlier;                          // of engines before this one
    std::vector<std::unique_ptr<Sequence>> orphans;  // of an engine that is gone: ended, not told

    void run();
    void run_load(const Load& load);
    void drop_engine(const std::string& why);
    void publish();
    void step();
};

namespace {

void add(EngineCounters& to, const EngineCounters& more) {
    to.steps += more.steps;
    to.prompt_tokens += more.prompt_tokens;
    to.prompt_tokens_computed += more.prompt_tokens_computed;
    to.prefix_cache_hit_tokens += more.prefix_cache_hit_tokens;
    to.generated_tokens += more.generated_tokens;
    to.finished += more.finished;
    to.cancelled += more.cancelled;
    to.failed += more.failed;
}

}  // namespace

// Makes the engine's present state readable, then tells the readers of what ended: whoever saw the
// end of a generation sees it in counters and memory too. Everything is put together before the
// lock is taken.
void EngineThread::State::publish() {
    MemorySnapshot now;
    EngineCounters counts = earlier;
    int running = 0;
    int waiting = 0;
    if (engine) {
        now = engine->snapshot();
        now.devices.push_back(instance->device());
        now.devices[0].kv_used_bytes = now.kv_cache.k_bytes;
        add(counts, engine->counters());
        running = engine->running();
        waiting = engine->waiting();
    }
    {
        const std::lock_guard lock(mutex);
        std::swap(snapshot, now);
        counters = counts;
        status.running = running;
        status.waiting = waiting + static_cast<int>(inbox.size());
    }
    if (engine) {
        engine->deliver_ends();
    }
    orphans.clear();
}

// Ends all requests, those that wait in the inbox too, and gives the memory back. Their readers
// learn it by publish().
void EngineThread::State::drop_engine(const std::string& why) {
    std::vector<std::unique_ptr<Sequence>> unseen;
    {
        const std::lock_guard lock(mutex);
        unseen.swap(inbox);
    }
    for (auto& sequence : unseen) {
        sequence->fail(why);
        earlier.prompt_tokens += static_cast<uint64_t>(sequence->prompt_tokens);
        earlier.failed++;
        orphans.push_back(std::move(sequence));
    }
    if (engine) {
        engine->fail_all(why);
        add(earlier, engine->counters());
        std::ranges::move(engine->take_ended(), std::back_inserter(orphans));
    }
    engine.reset();
    instance.reset();
}

void EngineThread::State::run_load(const Load& load) {
    drop_engine("another model is being loaded");
    publish();
    Clock::time_point shown{};
    const LoadProgress progress = [&](int64_t done, int64_t total) {
        const Clock::time_point now = Clock::now();
        if (done == total || now - shown >= kProgressEvery) {
            shown = now;
            {
                const std::lock_guard lock(mutex);
                status.load_done_bytes = done;
                status.load_total_bytes = total;
            }
            wake();
        }
        return !give_up_load.load(std::memory_order_relaxed);
    };
    std::string error;
    try {
        instance = load_model(load.path, load.options, progress);
        last_load = load;
        if (give_up_load.load(std::memory_order_relaxed)) {
            throw ModelError("loading was cancelled");
        }
        ModelInstance& loaded = *instance;
        auto sampled = std::make_shared<const SampledVocabulary>(*loaded.info->tokenizer,
                                                                 loaded.info->config.vocab);
        Engine::Setup setup;
        setup.forward = [&loaded](const Batch& batch) {
            return loaded.model->forward(batch, *loaded.cache);
        };
        setup.copy_rows = [&loaded](PagePool::PageId from, PagePool::PageId to, int64_t rows) {
            loaded.cache->copy_rows(from, to, rows);
        };
        setup.tokenizer = loaded.info->tokenizer;
        setup.trie = loaded.info->trie;
        setup.vocabulary = sampled;
        setup.cache = loaded.cache.get();
        setup.layout = loaded.cache->layout();
        setup.ctx_size = loaded.plan.ctx_size;
        setup.limits.pool_pages = loaded.plan.pool_pages;
        setup.limits.parallel = load.options.parallel;
        setup.limits.max_tokens = loaded.ubatch_tokens;
        setup.hash_seed = random_number();
        engine = std::make_unique<Engine>(std::move(setup));
        publish();
        const std::lock_guard lock(mutex);
        if (!load_request) {  // else: the next one is loading already, as far as anybody can see
            model = loaded.info;
            vocabulary = sampled;
            max_requests = load.options.parallel + load.options.queue_limit;
            status.state = Phase::ready;
        }
    } catch (const std::exception& e) {
        error = give_up_load.load(std::memory_order_relaxed) ? "loading was cancelled" : e.what();
    }
    if (!error.empty()) {
        drop_engine(error);
        publish();
        const std::lock_guard lock(mutex);
        if (!load_request) {
            status.state = Phase::failed;
            status.error = error;
        }
    }
    settled.notify_all();
    wake();
}

void EngineThread::State::step() {
    bool worked = false;
    try {
        worked = engine->step();
        if (!worked) {
            engine->tidy();
        }
    } catch (const std::exception& e) {
        // The device or an invariant is broken: nothing that is cached can be trusted. Of a card
        // the CPU can take over: who was reading learns of it, who asks later gets an answer.
        const bool card = instance->on_card && dynamic_cast<const kernels::DeviceError*>(&e);
        const std::string error = std::string("the engine stopped: ") + e.what() +
                                  (card ? "; the CPU takes over" : "");
        log(LogLevel::error, error);
        drop_engine(error);
        const std::lock_guard lock(mutex);
        if (!stopping && !load_request) {
            if (card) {
                last_load.options.device = "cpu";
                last_load.options.vram_bytes = 0;
                load_request = last_load;
                status.state = Phase::loading;
                status.load_done_bytes = status.load_total_bytes = 0;
            } else {
                status.state = Phase::failed;
                status.error = error;
            }
        }
        model.reset();
        worked = true;
    }
    publish();
    if (worked) {
        wake();
    }
}

void EngineThread::State::run() {
    bool idle = true;
    for (;;) {
        std::optional<Load> load;
        std::vector<std::unique_ptr<Sequence>> arrived;
        {
            std::unique_lock lock(mutex);
            if (idle) {
                changed.wait_for(lock, kIdleLook,
                                 [this] { return stopping || load_request || !inbox.empty(); });
            }
            if (stopping &&
                ((!engine || (idle && inbox.empty())) || Clock::now() >= stop_deadline)) {
                break;
            }
            load = std::exchange(load_request, std::nullopt);
            if (load) {
                give_up_load = stopping;
            }
            if (engine && !load) {
                arrived.swap(inbox);
            }
        }
        if (load) {
            run_load(*load);
        }
        for (auto& sequence : arrived) {
            engine->add(std::move(sequence));
        }
        if (engine) {
            step();
        }
        idle = !engine || engine->running() + engine->waiting() == 0;
    }
    drop_engine("Keyhole is closing");
    {
        const std::lock_guard lock(mutex);
        status.state = Phase::stopped;
        model.reset();
    }
    publish();
    settled.notify_all();
    wake();
}

EngineThread::EngineThread(std::function<void()> wake)
    : state_(std::make_unique<State>(wake ? std::move(wake) : [] {})) {
    state_->thread = std::thread([state = state_.get()] { state->run(); });
}

EngineThread::~EngineThread() {
    stop();
}

void EngineThread::load(const std::string& path, const EngineOptions& options) {
    {
        const std::lock_guard lock(state_->mutex);
        if (state_->stopping) {
            return;
        }
        state_->give_up_load = true;  // whatever is loading now
        state_->load_request = State::Load{path, options};
        state_->status.state = EngineStatus::State::loading;
        state_->status.error.clear();
        state_->status.load_done_bytes = state_->status.load_total_bytes = 0;
        state_->model.reset();
    }
    state_->changed.notify_one();
}

void EngineThread::cancel_load() {
    bool never_began = false;
    {
        const std::lock_guard lock(state_->mutex);
        if (state_->status.state != EngineStatus::State::loading) {
            return;
        }
        state_->give_up_load = true;
        never_began = state_->load_request.has_value();
        if (never_began) {
            state_->load_request.reset();
            state_->status.state = EngineStatus::State::failed;
            state_->status.error = "loading was cancelled";
        }
    }
    if (never_began) {
        state_->settled.notify_all();
        state_->wake();
    }
}

bool EngineThread::wait_ready() {
    std::unique_lock lock(state_->mutex);
    state_->settled.wait(lock,
                         [this] { return state_->status.state != EngineStatus::State::loading; });
    return state_->status.state == EngineStatus::State::ready;
}

EngineStatus EngineThread::status() const {
    const std::lock_guard lock(state_->mutex);
    return state_->status;
}

std::shared_ptr<const LoadedModel> EngineThread::model() const {
    const std::lock_guard lock(state_->mutex);
    return state_->model;
}

MemorySnapshot EngineThread::memory() const {
    const std::lock_guard lock(state_->mutex);
    return state_->snapshot;
}

EngineCounters EngineThread::counters() const {
    const std::lock_guard lock(state_->mutex);
    return state_->counters;
}

std::unique_ptr<GenerationStream> EngineThread::submit(GenerationRequest request) {
    using Kind = RequestError::Kind;
    std::shared_ptr<const LoadedModel> model;
    std::shared_ptr<const SampledVocabulary> vocabulary;
    const auto take_ready_model = [&] {  // requires mutex
        const EngineStatus& status = state_->status;
        if (state_->stopping || status.state == EngineStatus::State::stopped) {
            throw RequestError(Kind::unavailable, "Keyhole is closing");
        }
        if (status.state != EngineStatus::State::ready) {
            throw RequestError(Kind::unavailable, status.state == EngineStatus::State::loading
                                                      ? "the model is still loading"
                                                  : status.state == EngineStatus::State::failed
                                                      ? "no model is loaded: " + status.error
                                                      : "no model is loaded");
        }
        if (model && model != state_->model) {
            throw RequestError(Kind::unavailable, "another model was loaded meanwhile");
        }
        model = state_->model;
        vocabulary = state_->vocabulary;
        if (state_->status.running + state_->status.waiting >= state_->max_requests) {
            throw RequestError(Kind::queue_full, "too many requests are waiting (" +
                                                     std::to_string(status.waiting) +
                                                     "): try again later");
        }
    };
    {
        const std::lock_guard lock(state_->mutex);
        take_ready_model();
    }
    Engine::check(request, model->config.vocab, model->ctx_size);
    if (request.constraint) {
        model->trie->get();  // here rather than in a step
    }
    const auto channel = std::make_shared<Channel>(state_->next_id.fetch_add(1));
    auto sequence =
        std::make_unique<Sequence>(channel, std::move(request), model->tokenizer, vocabulary);
    std::unique_ptr<GenerationStream> stream = make_stream(channel);
    {
        const std::lock_guard lock(state_->mutex);
        take_ready_model();  // things may have changed meanwhile
        state_->inbox.push_back(std::move(sequence));
        state_->status.waiting++;
    }
    state_->changed.notify_one();
    return stream;
}

void EngineThread::stop(std::chrono::milliseconds grace) {
    {
        const std::lock_guard lock(state_->mutex);
        const Clock::time_point deadline =
            Clock::now() + std::clamp<std::chrono::milliseconds>(
                               grace, std::chrono::milliseconds(0), std::chrono::hours(24));
        state_->stop_deadline =
            state_->stopping ? std::min(state_->stop_deadline, deadline) : deadline;
        state_->stopping = true;
        state_->give_up_load = true;
    }
    state_->changed.notify_one();
    const std::lock_guard lock(state_->join_mutex);
    if (state_->thread.joinable()) {
        state_->thread.join();
    }
}

}  // namespace runtime
