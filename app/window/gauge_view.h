// The gauge's figures as plain data: made from the engine's snapshot, the counted context and what
// the system says of the process; drawn as a strip and as details, copied as text. No figure has
// another source. Main thread.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "app/prefill_estimator.h"
#include "app/process_memory.h"

namespace app::window {

struct AppState;

// What the shell keeps for the gauge beside the engine's snapshot.
struct GaugeView {
    struct Sample {  // of the timeline
        double time = 0;
        int64_t weights = 0, kv_used = 0, kv_reserved = 0, compute = 0, other = 0, total = 0;
    };
    static constexpr double kTimelineSeconds = 600;

    bool open = false;           // the details
    int64_t dragged_tokens = 0;  // what hangs over the window, while it does
    std::string dragged_name;
    ProcessMemory process;
    int64_t graphics_bytes = 0;  // font atlas and frame buffers
    std::deque<Sample> timeline;
    PrefillEstimator prefill;
    double shown_at = 0;  // seconds, by the timeline's clock
};

enum class GaugeKind {
    weights,
    kv_used,
    kv_reserved,
    compute,
    window,
    others,
    free,  // memory
    system,
    codebase,
    chat,
    thinking,
    answer,
    pending,
    reserve,
    context_free  // context
};

struct GaugePart {
    GaugeKind kind;
    std::string name;
    int64_t amount = 0;
};

struct GaugeRow {
    std::string name;
    int64_t total = 0;
    std::vector<GaugePart> parts;  // sum to total + excess
    int64_t excess = 0;            // what does not fit; 0 on memory rows
    int64_t of(GaugeKind kind) const;
};

struct Gauge {
    std::vector<GaugeRow> devices;
    GaugeRow context;            // in tokens; total 0: not known
    int64_t pending_tokens = 0;  // typed, staged, being read or dragged
    int64_t pending_bytes = 0;   // K pages that these add
    bool pending_eats_reserve = false;
    std::optional<double> first_token_ms;  // of the next answer
    std::vector<std::string> facts;
};

Gauge make_gauge(const AppState& state);
// All of it, and the details too, for the clipboard and for who cannot see the strip.
std::string gauge_text(const AppState& state);

// One line per reason a prefix was not found in the cache.
std::string lookup_text(const AppState& state, size_t index);

// Adds a sample where a second passed or a figure changed; forgets what is older than the timeline.
// True: the picture of the timeline is another one.
bool sample_gauge(AppState& state, double now);

}  // namespace app::window
