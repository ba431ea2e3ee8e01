// GET /v1/memory: the memory snapshot as the gauge sees it.
#include "app/server/server_context.h"

namespace app {
namespace {

Json memory_json(const runtime::MemorySnapshot& memory) {
    Json devices = Json::array();
    for (const auto& device : memory.devices) {
        Json entry;
        entry["name"] = device.name;
        entry["total_bytes"] = device.total_bytes;
        entry["weights_bytes"] = device.weights_bytes;
        entry["kv_used_bytes"] = device.kv_used_bytes;
        entry["kv_reserved_bytes"] = device.kv_reserved_bytes;
        entry["kv_limit_bytes"] = device.kv_limit_bytes;
        entry["compute_bytes"] = device.compute_bytes;
        entry["other_bytes"] = device.other_bytes;
        entry["free_bytes"] = device.free_bytes;
        devices.push_back(std::move(entry));
    }
    Json cache;
    cache["type"] = memory.kv_cache.type;
    cache["bytes_per_token"] = memory.kv_cache.bytes_per_token;
    cache["page_tokens"] = memory.kv_cache.page_tokens;
    cache["pages_used"] = memory.kv_cache.pages_used;
    cache["pages_shared"] = memory.kv_cache.pages_shared;
    cache["pages_cached"] = memory.kv_cache.pages_cached;
    cache["pages_reserved"] = memory.kv_cache.pages_reserved;
    cache["pages_limit"] = memory.kv_cache.pages_limit;
    cache["k_bytes"] = memory.kv_cache.k_bytes;
    cache["v_bytes"] = memory.kv_cache.v_bytes;
    cache["saved_bytes"] = memory.kv_cache.saved_bytes;
    Json sequences = Json::array();
    for (const auto& sequence : memory.sequences) {
        Json entry;
        entry["id"] = sequence.id;
        entry["owner"] = sequence.owner;
        entry["tokens"] = sequence.tokens;
        entry["prompt_tokens"] = sequence.prompt_tokens;
        entry["cached_tokens"] = sequence.cached_tokens;
        entry["pages"] = sequence.pages;
        sequences.push_back(std::move(entry));
    }
    static constexpr const char* kStates[] = {"free", "cached", "used", "shared"};
    static constexpr const char* kEnds[] = {"complete", "nothing_cached", "differs", "not_kept"};
    // The page map in runs: [state, index into sequences or -1, pages].
    Json pages = Json::array();
    for (size_t i = 0; i < memory.pages.size();) {
        size_t end = i + 1;
        while (end < memory.pages.size() && memory.pages[end] == memory.pages[i]) {
            end++;
        }
        pages.push_back(Json::array({kStates[static_cast<size_t>(memory.pages[i].state)],
                                     memory.pages[i].sequence, end - i}));
        i = end;
    }
    Json lookups = Json::array();
    for (const auto& lookup : memory.lookups) {
        Json entry;
        entry["id"] = lookup.id;
        entry["owner"] = lookup.owner;
        entry["prompt_tokens"] = lookup.prompt_tokens;
        entry["cached_tokens"] = lookup.cached_tokens;
        entry["end"] = kEnds[static_cast<size_t>(lookup.end)];
        entry["position"] = lookup.position;
        lookups.push_back(std::move(entry));
    }
    Json prefix;
    prefix["prompt_tokens"] = memory.lookup_tokens;
    prefix["found_tokens"] = memory.found_tokens;
    prefix["last"] = std::move(lookups);
    Json out;
    out["devices"] = std::move(devices);
    out["kv_cache"] = std::move(cache);
    out["sequences"] = std::move(sequences);
    out["page_map"] = std::move(pages);
    out["prefix_cache"] = std::move(prefix);
    out["ctx_size"] = memory.ctx_size;
    return out;
}

}  // namespace

void add_memory(Router& router, ServerContext& context) {
    router.get("/v1/memory", [&context](const httplib::Request&, httplib::Response& response) {
        send_json(response, memory_json(context.engine.memory()));
    });
}

}  // namespace app
