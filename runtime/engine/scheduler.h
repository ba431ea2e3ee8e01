// Scheduler: which sequences take part in the next pass, with how many tokens, and which pages hold
// them. Owns the sequences that wait and run, and the page bookkeeping. Computes nothing. Engine
// thread only.
//
// A pass takes one token of every sequence that decodes, then pieces of prompts:
//   alone            up to max_tokens: the larger a piece, the fewer times the weights are read
//   beside decoding  up to prefill_beside_decode tokens in all, so that a long prompt lengthens
//   each step of the others
//                    by a bounded time. 128: with 4 of 64 experts per token each expert already
//                    gets 8 rows
// Several prompts share that evenly; what one does not need goes to the others, in order of
// arrival.
// Owners (a key, a client, the window) take turns: of those that wait, the one with the fewest
// sequences running is next, then the one that was served longest ago; each owner's own requests
// keep their order. So nobody waits behind somebody else's hundred requests.
//
// Pages are taken as tokens arrive: a free one; else the cache grows; else the oldest cached page
// is evicted; else the youngest sequence, if younger than the one in need, is preempted: it gives
// up its pages and waits, keeps its tokens, and is computed again when there is room (its reader
// sees a pause). The oldest sequence can thus always go on, so all end; it fails only if it alone
// does not fit the memory there is.
//
// A sequence that begins like another one which is being computed waits for its pages instead of
// computing the same.
//
// What is computed once is not computed again, to the token: whole pages are shared, and the rows
// of a last, partly equal page are copied into a page of the sequence's own.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "runtime/cache/kv_cache.h"
#include "runtime/cache/memory_snapshot.h"
#include "runtime/cache/page_pool.h"
#include "runtime/engine/batch.h"
#include "runtime/engine/sequence.h"

namespace runtime {

struct SchedulerLimits {
    int64_t pool_pages = 0;
    int parallel = 8;          // sequences that run at once
    int64_t max_tokens = 512;  // of one pass; at least `parallel`
    int64_t prefill_beside_decode = 128;
    // Of one pass, of a prompt that is scored: a row of logits of the large vocabulary is 605 KiB.
    int64_t scored_tokens = 64;
};

// Copies the first rows of a page into another one, before anything else is computed.
using CopyRows = std::function<void(PagePool::PageId from, PagePool::PageId to, int64_t rows)>;

class Scheduler {
public:
    // One sequence's part in a pass: rows [first_row, first_row + n_tokens).
    struct Part {
        Sequence* sequence = nullptr;
        int64_t n_tokens = 0;
        int64_t first_row = 0;
    };

    // cache: null where pages have no memory (tests).
    Scheduler(const SchedulerLimits& limits,
              KvCache* cache,
              CopyRows copy_rows,
              uint64_t hash_seed);
    ~Scheduler();

    void add(std::unique_ptr<Sequence> sequence);
    // Takes the sequence out and releases its pages; what was computed stays in the cache for
    // later.
    std::unique_ptr<Sequence> remove(const Sequence& sequence);
    // All of them, without touching the pages: for an engine that is given up.
    std::vector<std::unique_ptr<Sequence>> take_all();

    // Of how many of a part's tokens the logits are computed: of the last, if the sequence is then
    // complete; of all, where a prompt is scored. The last ones of the part.
    static int64_t logit_rows(const Sequence& sequence, int64_t n_tokens);

    // Fills `batch`; the parts, in its order. None: nothing runs, or starved() says why.
    std::vector<Part> next(Batch& batch);
    // The sequence that cannot go on although it is alone with the memory: to be failed.
    Sequence* starved() const { return starved_; }
    // The pass was computed: the rows of these parts are in the cache.
    void advance(const std::vector<Part>& parts);

    // Gives back memory nobody needs: chunks past the last page in use at once; after `keep`,
    // cached pages too.
    void tidy(std::chrono::steady_clock::duration idle, std::chrono::steady_clock::duration keep);

    const std::vector<std::unique_ptr<Sequence>>& running() const { return running_; }
    const std::deque<std::unique_ptr<Sequence>>& waiting() const { return waiting_; }
    const PagePool& pool() const { return pool_; }

    // Counters since the start.
    uint64_t prefix_hit_tokens() const { return prefix_hit_tokens_; }
    uint64_t computed_prompt_tokens() const { return computed_prompt_tokens_; }
    // What the last requests found in the cache, oldest first.
    const std::deque<MemorySnapshot::Lookup>& lookups() const { return lookups_; }
    int64_t lookup_tokens() const { return lookup_tokens_; }
    int64_t found_tokens() const { return found_tokens_; }
    uint64_t preemptions() const { return preemptions_; }

private:
    Sequence* next_to_admit() const;
    void admit();
    std::vector<Part> share_out();
    void start_following(Sequence& sequence);
    bool waits_for_another(Sequence& sequence);
    void extend_from_cache(Sequence& sequence);
    void copy_from_cache(Sequence& sequence);
    PagePool::Rows rows_for(const Sequence& sequence) const;
    void note_lookup(const Sequence& sequence);
    void found_in_cache(Sequence& sequence, int64_t tokens);
    int64_t grant(Sequence& sequence, int64_t tokens, std::vector<Part>& parts);
    std::optional<PagePool::PageId> take_page();
    bool preempt_for(const Sequence& sequence, std::vector<Part>& parts);
    int64_t capacity_pages() const;

    SchedulerLimits limits_;
    KvCache* cache_;
    CopyRows copy_rows_;
    PagePool pool_;
    bool device_full_ = false;                        // the device refused to grow the cache
    std::deque<std::unique_ptr<Sequence>> waiting_;   // in order of arrival
    std::vector<std::unique_ptr<Sequence>> running_;  // in order of arrival
    Sequence* starved_ = nullptr;
    std::map<std::string, uint64_t, std::less<>>
        served_;  // owners that wait or run: turn of the last admission
    uint64_t turn_ = 0;
    std::deque<MemorySnapshot::Lookup> lookups_;
    int64_t lookup_tokens_ = 0, found_tokens_ = 0;
    uint64_t prefix_hit_tokens_ = 0, computed_prompt_tokens_ = 0, preemptions_ = 0;
};

}  // namespace runtime
