// Engine: continuous batching on one thread. step() chooses who takes part, runs one forward pass,
// samples, and emits events. Knows a forward function rather than a Model, so that the tests can
// give it a toy. EngineThread runs it.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "runtime/cache/memory_snapshot.h"
#include "runtime/engine/engine_thread.h"
#include "runtime/engine/mask_ahead.h"
#include "runtime/engine/scheduler.h"

namespace runtime {

class Engine {
public:
    // Logits [batch.logit_rows.size(), W], valid until the next call.
    using Forward = std::function<std::span<const float>(const Batch&)>;

    struct Setup {
        Forward forward;
        CopyRows copy_rows;
        std::shared_ptr<const Tokenizer> tokenizer;
        std::shared_ptr<SharedTokenTrie> trie;  // null: the engine makes its own
        std::shared_ptr<const SampledVocabulary> vocabulary;
        KvCache* cache = nullptr;  // null: pages have no memory (tests)
        KvLayout layout;           // for the snapshot
        int64_t ctx_size = 0;      // tokens a sequence may hold
        SchedulerLimits limits;
        uint64_t hash_seed = 0;
        // Cached prefixes of an idle engine are kept this long: somebody who reads an answer and
        // comes back should not wait for the whole conversation to be read again.
        std::chrono::steady_clock::duration keep_cached = std::chrono::minutes(10);
    };

    explicit Engine(Setup setup);
    ~Engine();

    // Throws RequestError where the request can never run: empty prompt, an id outside the
    // vocabulary, parameters out of range, or a prompt that leaves no room for a token. Any thread.
    static void check(const GenerationRequest& request, int64_t vocab, int64_t ctx_size);

    void add(std::unique_ptr<Sequence> sequence);

    // One forward pass and what follows from it. false: there is nothing to do. Sequences that
    // ended are kept until deliver_ends(), which gives their readers the terminal event. An
    // exception of the forward function leaves the engine for fail_all() and nothing else.
    bool step();
    std::vector<std::unique_ptr<Sequence>> take_ended() { return std::exchange(ended_, {}); }
    void deliver_ends() { ended_.clear(); }
    // Ends every request. The engine is of no further use: after an exception its bookkeeping may
    // be broken.
    void fail_all(const std::string& error);
    // While there is nothing to do, every second or so: gives memory back.
    void tidy();

    int running() const { return static_cast<int>(scheduler_.running().size()); }
    int waiting() const { return static_cast<int>(scheduler_.waiting().size()); }
    EngineCounters counters() const;
    const Scheduler& scheduler() const { return scheduler_; }

    // All but the devices.
    MemorySnapshot snapshot() const;

private:
    enum class End { finished, cancelled, failed };
    void end(const Sequence& sequence, End how);
    void drop_what_is_over();
    void take_token(Sequence& sequence, std::span<const float> logits);
    int64_t tokens_left(const Sequence& sequence) const;  // until a limit ends it
    GrammarMatcher* matcher_of(Sequence& sequence);  // null: a free reply
    std::vector<std::function<void()>> masks_needed(const std::vector<Scheduler::Part>& parts);
    std::shared_ptr<GrammarStates> states_of(const std::shared_ptr<const Grammar>& grammar);

    Setup setup_;
    Scheduler scheduler_;
    std::vector<std::unique_ptr<Sequence>> ended_;
    Batch batch_;
    // Of constrained replies: what is known of the vocabulary, and of the last grammars.
    std::shared_ptr<InnerMasks> inner_masks_;
    std::deque<std::pair<std::shared_ptr<const Grammar>, std::shared_ptr<GrammarStates>>> grammars_;
    MaskAhead mask_ahead_;
    EngineCounters counters_;
    std::chrono::steady_clock::time_point last_work_ = std::chrono::steady_clock::now();
};

}  // namespace runtime
