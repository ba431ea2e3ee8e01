// How the gauge's figures are put together. Every row's parts sum to its total.
#include <algorithm>
#include <cmath>

#include "app/window/app_state.h"
#include "app/window/format.h"
#include "app/window/gauge_view.h"

namespace app::window {
namespace {

using Snapshot = runtime::MemorySnapshot;

int64_t staged_tokens(const AppState& state) {
    int64_t tokens = 0;
    for (const Attachment& attachment : state.staged) {
        tokens += attachment.tokens;
    }
    return tokens;
}

// The window's own part of what the engine does not hold, and no more than that.
int64_t window_bytes(const AppState& state, const Snapshot::Device& device, bool first) {
    if (!first) {
        return 0;
    }
    const bool on_card = device.name.find("CPU") == std::string::npos;
    int64_t bytes = state.gauge.graphics_bytes;
    if (!on_card && state.gauge.process.anonymous_bytes >= 0) {
        // The caches and buffers of the engine are anonymous memory too.
        bytes =
            state.gauge.process.anonymous_bytes - device.kv_reserved_bytes - device.compute_bytes;
    }
    return std::clamp<int64_t>(bytes, 0, std::max<int64_t>(0, device.other_bytes));
}

GaugeRow device_row(const AppState& state, const Snapshot::Device& device, bool first) {
    GaugeRow row;
    row.name = device.name;
    row.total = device.total_bytes;
    const int64_t window = window_bytes(state, device, first);
    row.parts = {
        {GaugeKind::weights, "weights", device.weights_bytes},
        {GaugeKind::kv_used, "K used", device.kv_used_bytes},
        {GaugeKind::kv_reserved, "K reserved", device.kv_reserved_bytes - device.kv_used_bytes},
        {GaugeKind::compute, "compute", device.compute_bytes},
        {GaugeKind::window, "this window", window},
        {GaugeKind::others, "other programs", device.other_bytes - window},
        {GaugeKind::free, "free", device.free_bytes},
    };
    return row;
}

const Snapshot::Sequence* own_sequence(const AppState& state) {
    for (const Snapshot::Sequence& sequence : state.memory.sequences) {
        if (sequence.owner == "window") {
            return &sequence;
        }
    }
    return nullptr;
}

GaugeRow context_row(const AppState& state, int64_t pending) {
    const ContextView& context = state.context;
    GaugeRow row;
    row.name = "context";
    row.total = std::max<int64_t>(0, context.limit);
    if (row.total == 0) {
        return row;
    }
    const int64_t staged = std::min(staged_tokens(state), context.codebase);
    const Snapshot::Sequence* own = state.generation.busy() ? own_sequence(state) : nullptr;
    const int64_t answer = own ? std::max<int64_t>(0, own->tokens - own->prompt_tokens) : 0;
    const int64_t held = context.system + context.codebase - staged + context.chat +
                         context.thinking + answer + pending;
    const int64_t wanted = std::max<int64_t>(0, context.reserve - answer);
    const int64_t reserve = std::clamp<int64_t>(row.total - held, 0, wanted);
    row.excess = std::max<int64_t>(0, held - row.total);
    row.parts = {
        {GaugeKind::system, "system", context.system},
        {GaugeKind::codebase, "codebase", context.codebase - staged},
        {GaugeKind::chat, "chat", context.chat},
        {GaugeKind::thinking, "thinking", context.thinking},
        {GaugeKind::answer, "answer", answer},
        {GaugeKind::pending, "not sent yet", pending},
        {GaugeKind::reserve, "answer reserve", reserve},
        {GaugeKind::context_free, "free", std::max<int64_t>(0, row.total - held - reserve)},
    };
    return row;
}

// Tokens of the next prompt that an earlier turn of this conversation left in the cache, if nothing
// evicted them.
int64_t expected_cached(const AppState& state) {
    const auto answered =
        std::any_of(state.conversation.messages.begin(), state.conversation.messages.end(),
                    [](const Message& m) { return m.stats.prompt_tokens > 0; });
    if (!answered || state.memory.kv_cache.pages_cached == 0) {
        return 0;
    }
    const int64_t page = std::max<int64_t>(1, state.memory.kv_cache.page_tokens);
    const ContextView& context = state.context;
    const int64_t tokens = context.system + context.codebase -
                           std::min(staged_tokens(state), context.codebase) + context.chat;
    return std::min(tokens, state.memory.kv_cache.pages_cached * page) / page * page;
}

}  // namespace

int64_t GaugeRow::of(GaugeKind kind) const {
    for (const GaugePart& part : parts) {
        if (part.kind == kind) {
            return part.amount;
        }
    }
    return 0;
}

Gauge make_gauge(const AppState& state) {
    Gauge gauge;
    const Snapshot& memory = state.memory;
    if (memory.loaded) {
        for (size_t i = 0; i < memory.devices.size(); i++) {
            gauge.devices.push_back(device_row(state, memory.devices[i], i == 0));
        }
    }
    const ContextView& context = state.context;
    gauge.pending_tokens = context.draft + std::min(staged_tokens(state), context.codebase) +
                           (state.packing.active ? state.packing.tokens : 0) +
                           state.gauge.dragged_tokens;
    gauge.context = context_row(state, gauge.pending_tokens);
    if (memory.loaded && context.limit > 0 && state.model.remote.empty()) {
        const int64_t all = gauge.context.total + gauge.context.excess -
                            gauge.context.of(GaugeKind::reserve) -
                            gauge.context.of(GaugeKind::context_free);
        gauge.pending_bytes =
            memory.cost(all).bytes - memory.cost(all - gauge.pending_tokens).bytes;
        gauge.pending_eats_reserve = gauge.pending_tokens > 0 &&
                                     gauge.context.of(GaugeKind::reserve) < context.reserve &&
                                     !state.generation.busy();
        const int64_t cached = expected_cached(state);
        gauge.first_token_ms = state.gauge.prefill.ms(cached, std::max<int64_t>(1, all - cached));
    }
    const auto& cache = memory.kv_cache;
    if (!state.model.remote.empty()) {
        gauge.facts.push_back("answers come from " + state.model.remote +
                              ": the model's memory is that machine's");
    } else if (memory.loaded && cache.bytes_per_token > 0) {
        gauge.facts.push_back("K " + bytes_text(cache.bytes_per_token) + "/token");
        gauge.facts.push_back("V cache " + bytes_text(cache.v_bytes) + " (saved " +
                              bytes_text(cache.saved_bytes) + ")");
    }
    if (state.prefix_cached >= 0) {
        gauge.facts.push_back("prefix cached " + percent_text(state.prefix_cached));
    }
    if (gauge.pending_tokens > 0 && memory.loaded && state.model.remote.empty()) {
        gauge.facts.push_back("+" + with_commas(gauge.pending_tokens) + " tokens, +" +
                              bytes_text(gauge.pending_bytes));
    }
    if (gauge.first_token_ms && state.generation.phase == GenerationView::Phase::idle) {
        gauge.facts.push_back("next first token \u2248 " + seconds_text(*gauge.first_token_ms));
    }
    return gauge;
}

std::string lookup_text(const AppState& state, size_t index) {
    const Snapshot::Lookup& lookup = state.memory.lookups.at(index);
    using End = Snapshot::Lookup::End;
    std::string text = lookup.owner + " #" + std::to_string(lookup.id) + ": " +
                       with_commas(lookup.cached_tokens) + " of " +
                       with_commas(lookup.prompt_tokens) + " cached, ";
    switch (lookup.end) {
        case End::complete:
            return text + "all that could be";
        case End::nothing:
            return text + "the cache was empty";
        case End::differs:
            return text + "another text from token " + with_commas(lookup.position) + " on";
        case End::not_kept:
            return text + "nothing kept from token " + with_commas(lookup.position) + " on";
    }
    return text;
}

std::string gauge_text(const AppState& state) {
    const Gauge gauge = make_gauge(state);
    std::string text;
    const auto line = [&](const std::string& name, const std::string& value) {
        text += name + std::string(name.size() < 24 ? 24 - name.size() : 1, ' ') + value + "\n";
    };
    for (const GaugeRow& row : gauge.devices) {
        line(row.name, bytes_text(row.total));
        for (const GaugePart& part : row.parts) {
            line("  " + part.name,
                 bytes_text(part.amount) + " (" + std::to_string(part.amount) + " B)");
        }
    }
    const auto& cache = state.memory.kv_cache;
    if (state.memory.loaded) {
        line("K cache", cache.type + ", " + with_commas(cache.bytes_per_token) +
                            " B a token, pages of " + std::to_string(cache.page_tokens) +
                            " tokens");
        line("  pages", with_commas(cache.pages_used) + " used (" +
                            with_commas(cache.pages_shared) + " shared), " +
                            with_commas(cache.pages_cached) + " kept for later, " +
                            with_commas(cache.pages_reserved) + " reserved, " +
                            with_commas(cache.pages_limit) + " at most");
        line("V cache", bytes_text(cache.v_bytes) + ", saved " + bytes_text(cache.saved_bytes) +
                            " against storing K and V at this type");
    }
    if (gauge.context.total > 0) {
        line("context", with_commas(gauge.context.total) + " tokens");
        for (const GaugePart& part : gauge.context.parts) {
            line("  " + part.name, with_commas(part.amount));
        }
        if (gauge.context.excess > 0) {
            line("  too many", with_commas(gauge.context.excess));
        }
    }
    for (const std::string& fact : gauge.facts) {
        text += fact + "\n";
    }
    for (const Snapshot::Sequence& sequence : state.memory.sequences) {
        line(sequence.owner + " #" + std::to_string(sequence.id),
             with_commas(sequence.tokens) + " tokens, " + with_commas(sequence.cached_tokens) +
                 " of the prompt cached, " + with_commas(sequence.pages) + " pages");
    }
    for (size_t i = 0; i < state.memory.lookups.size(); i++) {
        text += lookup_text(state, i) + "\n";
    }
    const ProcessMemory& process = state.gauge.process;
    line("this process", process.resident_bytes < 0
                             ? "the system's figure is not available"
                             : bytes_text(process.resident_bytes) + " resident, " +
                                   bytes_text(process.file_bytes) + " of it mapped files");
    return text;
}

bool sample_gauge(AppState& state, double now) {
    auto& timeline = state.gauge.timeline;
    if (!state.memory.loaded || state.memory.devices.empty()) {
        return false;
    }
    const Snapshot::Device& d = state.memory.devices.front();
    const GaugeView::Sample fresh{
        now,           d.weights_bytes, d.kv_used_bytes, d.kv_reserved_bytes, d.compute_bytes,
        d.other_bytes, d.total_bytes};
    const auto alike = [](const GaugeView::Sample& a, const GaugeView::Sample& b) {
        return a.weights == b.weights && a.kv_used == b.kv_used && a.kv_reserved == b.kv_reserved &&
               a.compute == b.compute && a.other == b.other && a.total == b.total;
    };
    while (!timeline.empty() && now - timeline.front().time > GaugeView::kTimelineSeconds) {
        timeline.pop_front();
    }
    if (!timeline.empty()) {
        GaugeView::Sample& last = timeline.back();
        if (alike(last, fresh) || now - last.time < 1) {
            // Within a second the highest use stays: a short peak is what one looks for.
            last.kv_used = std::max(last.kv_used, fresh.kv_used);
            last.kv_reserved = std::max(last.kv_reserved, fresh.kv_reserved);
            return false;
        }
    }
    timeline.push_back(fresh);
    return true;
}

}  // namespace app::window
