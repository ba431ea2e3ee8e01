// EngineThread: the one thread that owns model, cache and sequences. Everything here may be called
// from any thread. A model is loaded by request, with progress; a failure leaves the thread ready
// for another try.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "kernels/k_type.h"
#include "runtime/cache/memory_snapshot.h"
#include "runtime/engine/generation.h"
#include "runtime/model/model_config.h"
#include "runtime/text/grammar/token_trie.h"
#include "runtime/text/tokenizer.h"

namespace runtime {

struct EngineOptions {
    int64_t ctx_size = 0;  // tokens a sequence may hold; 0 = what fits, at most the model's own
    int64_t batch_tokens = 2048;  // -b: tokens of one step at most
    int64_t ubatch_tokens = 0;    // -ub: tokens of one forward pass at most; 0 = chosen by the plan
    int parallel = 8;             // -np: sequences that run at once
    int64_t queue_limit = 256;    // requests that may wait; more are refused (queue_full)
    std::optional<kernels::KType> cache_type;  // -ctk; nothing = chosen by the plan
    std::optional<int64_t> cpu_moe_layers;     // -ncmoe; nothing = chosen by the plan
    int threads = 0;             // 0 = physical cores
    int threads_batch = 0;       // 0 = threads
    std::string device = "cpu";  // cpu, cuda, cuda:N
    int64_t vram_bytes = 0;      // --vram; 0 = as the device says
    bool mmap = true;
    bool mlock = false;  // --mlock: the file stays in memory
};

// What is known of the loaded model; immutable, shared, outlives a later load.
struct LoadedModel {
    std::string path;
    ModelConfig config;
    std::shared_ptr<const Tokenizer> tokenizer;
    std::shared_ptr<SharedTokenTrie> trie;  // of constrained replies
    int64_t ctx_size = 0;
    int64_t file_bytes = 0;
    int parallel = 0;      // sequences that run at once
    bool is_demo = false;  // general.description says so
};

struct EngineStatus {
    enum class State { empty, loading, ready, failed, stopped };
    State state = State::empty;
    int64_t load_done_bytes = 0, load_total_bytes = 0;
    std::string error;             // failed
    int running = 0, waiting = 0;  // requests
};

// Counters since start, for /metrics and tests.
struct EngineCounters {
    uint64_t steps = 0;
    uint64_t prompt_tokens = 0;  // of all requests
    uint64_t prompt_tokens_computed =
        0;  // that went through the model; the rest came from the cache
    uint64_t prefix_cache_hit_tokens = 0;
    uint64_t generated_tokens = 0;
    uint64_t finished = 0, cancelled = 0, failed = 0;
};

class EngineThread {
public:
    // `wake` is called, from the engine thread, whenever events or a status change wait (the window
    // passes glfwPostEmptyEvent); it must return at once.
    explicit EngineThread(std::function<void()> wake = {});
    ~EngineThread();  // stop()

    // Loads in the background; running requests fail with a clear error. See status().
    void load(const std::string& path, const EngineOptions& options);
    void cancel_load();
    // Waits until loading ended, well or not. true: ready.
    bool wait_ready();

    EngineStatus status() const;
    std::shared_ptr<const LoadedModel> model() const;  // null until one is ready
    MemorySnapshot memory() const;
    EngineCounters counters() const;

    // Queues the request. Throws RequestError at once: no model (unavailable), queue full, empty
    // prompt, a token id outside the vocabulary, or a prompt that does not fit, with both numbers
    // (too_long, code context_length_exceeded).
    std::unique_ptr<GenerationStream> submit(GenerationRequest request);

    // Refuses new work, gives running requests `grace` to finish, fails the rest with a clear
    // error, ends the thread.
    void stop(std::chrono::milliseconds grace = std::chrono::milliseconds(0));

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace runtime
