// MemorySnapshot: every byte, as the allocators count them, at one moment. Copied out by EngineThread::memory() on any
// thread without stopping a step. The gauge, GET /v1/memory and the tests read this and nothing else.
// Holds at any moment: used + cached <= reserved <= limit (pages); v_bytes == 0; parts sum to totals.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

namespace runtime {

struct MemorySnapshot {
    struct Device {
        std::string name;
        int64_t total_bytes = 0;
        int64_t weights_bytes = 0;
        int64_t kv_used_bytes = 0;       // pages that sequences hold
        int64_t kv_reserved_bytes = 0;   // backed by memory, used ones included
        int64_t kv_limit_bytes = 0;
        int64_t compute_bytes = 0;
        int64_t other_bytes = 0;         // other programs, and this one's own beside the engine
        int64_t free_bytes = 0;
    };
    struct KvCache {
        std::string type;                // "f16"
        int64_t bytes_per_token = 0;
        int64_t page_tokens = 64;
        int64_t pages_used = 0;          // held by at least one sequence
        int64_t pages_shared = 0;        // held by more than one
        int64_t pages_cached = 0;        // held by none, kept for a next turn
        int64_t pages_reserved = 0;
        int64_t pages_limit = 0;
        int64_t k_bytes = 0;             // of the used pages
        int64_t v_bytes = 0;             // always 0
        int64_t saved_bytes = 0;         // what V rows for the used pages would take
    };
    struct Sequence {
        uint64_t id = 0;
        std::string owner;               // as the request named it: "window", "http", ...
        int64_t tokens = 0;
        int64_t prompt_tokens = 0;
        int64_t cached_tokens = 0;       // of the prompt, taken from the cache
        int64_t pages = 0;
    };
    // One page of the K cache: what it is for, and whose.
    struct Page {
        enum class State : uint8_t { free, cached, used, shared };
        State state = State::free;
        int16_t sequence = -1;           // index into `sequences` of its first holder
        bool operator==(const Page&) const = default;
    };
    // What a request's prompt found in the cache, and why not more.
    struct Lookup {
        enum class End : uint8_t {
            complete,    // all but the last token, which is always computed
            nothing,     // the cache was empty
            differs,     // at `position` the tokens are others than those that are kept
            not_kept,    // from `position` on nothing is kept: new text, or given up for other pages
        };
        uint64_t id = 0;
        std::string owner;
        int64_t prompt_tokens = 0;
        int64_t cached_tokens = 0;
        End end = End::nothing;
        int64_t position = 0;            // of the first token that was not found
    };
    // What a sequence of so many tokens takes.
    struct Cost {
        int64_t pages = 0;
        int64_t bytes = 0;
        int64_t excess_tokens = 0;       // past what one sequence may hold; 0: it fits
        bool fits() const { return excess_tokens == 0; }
    };
    Cost cost(int64_t tokens) const {
        const int64_t page = std::max<int64_t>(1, kv_cache.page_tokens);
        const int64_t needed = (std::max<int64_t>(0, tokens) + page - 1) / page;
        return {needed, needed * page * kv_cache.bytes_per_token, std::max<int64_t>(0, tokens - ctx_size)};
    }

    bool loaded = false;
    int64_t ctx_size = 0;                // tokens one sequence may hold
    std::vector<Device> devices;
    KvCache kv_cache;
    std::vector<Sequence> sequences;
    std::vector<Page> pages;             // of the reserved ones, by id
    std::vector<Lookup> lookups;         // of the last requests, newest last
    int64_t lookup_tokens = 0;           // of all prompts so far: tokens asked for, and those found
    int64_t found_tokens = 0;
};

}  // namespace runtime
