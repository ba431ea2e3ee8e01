// The gauge: parts that sum to totals whatever the state, exact excess, and an estimate that
// follows what was measured.
#include <random>

#include "app/window/app_state.h"
#include "app/window/gauge_view.h"
#include "tests/app/scenes.h"
#include "tests/app/stage.h"
#include "tests/support/catch.h"

using namespace app;
using namespace app::window;

namespace {

int64_t sum(const GaugeRow& row) {
    int64_t total = 0;
    for (const GaugePart& part : row.parts) {
        CHECK(part.amount >= 0);
        total += part.amount;
    }
    return total;
}

}  // namespace

TEST_CASE("the parts of every row sum to its total, in 20,000 random states") {
    std::mt19937_64 random(7);
    const auto upto = [&](int64_t n) {
        return static_cast<int64_t>(random() % static_cast<uint64_t>(n + 1));
    };
    for (int i = 0; i < 20'000; i++) {
        AppState state;
        auto& memory = state.memory;
        memory.loaded = true;
        memory.ctx_size = 1 + upto(200'000);
        memory.kv_cache = {"f16", 1 + upto(60'000), 64, 0, 0, 0, 0, 0, 0, 0, 0};
        runtime::MemorySnapshot::Device device;
        device.name = upto(1) ? "CPU, 2 threads" : "RTX 4090";
        device.weights_bytes = upto(1 << 30);
        device.kv_reserved_bytes = upto(1 << 28);
        device.kv_used_bytes = upto(device.kv_reserved_bytes);
        device.compute_bytes = upto(1 << 26);
        device.other_bytes = upto(1 << 30);
        device.free_bytes = upto(1 << 30);
        device.total_bytes = device.weights_bytes + device.kv_reserved_bytes +
                             device.compute_bytes + device.other_bytes + device.free_bytes;
        memory.devices = {device, device};
        state.gauge.process.anonymous_bytes = upto(1) ? -1 : upto(1 << 30);
        state.gauge.graphics_bytes = upto(1 << 26);
        ContextView& context = state.context;
        context = {true,         memory.ctx_size, upto(500),   upto(90'000),
                   upto(90'000), upto(9'000),     upto(5'000), upto(2'000)};
        for (int64_t k = upto(3); k > 0; k--) {
            state.staged.push_back({"f", "", upto(40'000), {}});
        }
        if (upto(3) == 0) {
            state.packing = {true, "x", 1, upto(300'000)};
        }
        if (upto(2) == 0) {
            state.generation.phase = GenerationView::Phase::writing;
            memory.sequences = {{1, "http", 9, 3, 0, 1},
                                {2, "window", 100 + upto(4000), 100, 0, 2}};
        }
        const Gauge gauge = make_gauge(state);
        for (const GaugeRow& row : gauge.devices) {
            REQUIRE(sum(row) == row.total);
        }
        REQUIRE(sum(gauge.context) == gauge.context.total + gauge.context.excess);
        REQUIRE(gauge.context.total == memory.ctx_size);
        REQUIRE((gauge.context.excess == 0 || gauge.context.of(GaugeKind::context_free) == 0));
        REQUIRE(gauge.context.of(GaugeKind::pending) == gauge.pending_tokens);
        REQUIRE(gauge.pending_bytes % (64 * memory.kv_cache.bytes_per_token) == 0);
        REQUIRE_FALSE(gauge_text(state).empty());
    }
}

TEST_CASE(
    "what is typed, staged, being read or dragged is a part of its own, with the exact excess") {
    AppState state;
    scenes::reset(state);
    scenes::load_model(state);
    state.context.draft = 0;
    const Gauge before = make_gauge(state);
    CHECK(before.pending_tokens == 0);
    state.gauge.dragged_tokens = 1000;
    const Gauge dragged = make_gauge(state);
    CHECK(dragged.pending_tokens == 1000);
    CHECK(dragged.context.excess == 0);
    const int64_t used = state.context.system + state.context.codebase + state.context.chat;
    CHECK(dragged.pending_bytes == ((used + 1000 + 63) / 64 - (used + 63) / 64) * 64 * 54'144);
    state.gauge.dragged_tokens = 65'536 - used + 1204;
    const Gauge over = make_gauge(state);
    CHECK(over.context.excess == 1204);
    CHECK(over.context.of(GaugeKind::reserve) == 0);
    // Just into the reserve: fits, and says that the reserve gives way.
    state.gauge.dragged_tokens = 65'536 - used - 4095;
    CHECK(make_gauge(state).context.excess == 0);
    CHECK(make_gauge(state).pending_eats_reserve);
    state.gauge.dragged_tokens = 65'536 - used - 4096;
    CHECK_FALSE(make_gauge(state).pending_eats_reserve);
    const std::string text = gauge_text(state);
    CHECK(text.find("V cache") != std::string::npos);
    CHECK(text.find("54,144 B a token") != std::string::npos);
}

TEST_CASE(
    "the time of a prompt is learned: depth costs, noise is averaged, another model starts anew") {
    PrefillEstimator estimator;
    CHECK_FALSE(estimator.ms(0, 100));
    // 0.2 ms a token and 1e-5 ms more for each token before it.
    const auto truth = [](double depth, double tokens) {
        return 0.2 * tokens + 1e-5 * tokens * (depth + tokens / 2);
    };
    std::mt19937 random(3);
    for (int i = 0; i < 40; i++) {
        const auto depth = static_cast<int64_t>(random() % 60'000),
                   tokens = static_cast<int64_t>(50 + random() % 4000);
        const double noise = 0.95 + 0.1 * static_cast<double>(random() % 1000) / 1000;
        estimator.add(depth, tokens,
                      truth(static_cast<double>(depth), static_cast<double>(tokens)) * noise);
    }
    for (const auto& [depth, tokens] :
         {std::pair<int64_t, int64_t>{0, 1000}, {0, 30'000}, {50'000, 500}}) {
        const double expected = truth(static_cast<double>(depth), static_cast<double>(tokens));
        CHECK(estimator.ms(depth, tokens).value() == Approx(expected).epsilon(0.1));
    }
    CHECK(estimator.ms(100, 0).value() == 0);
    estimator.clear();
    CHECK_FALSE(estimator.ms(0, 100));
    estimator.add(0, 100, 50);  // one reading: in proportion
    CHECK(estimator.ms(0, 200).value() == Approx(100));
}

TEST_CASE("the timeline keeps ten minutes, at most a sample a second, and the peak within it") {
    AppState state;
    scenes::load_model(state);
    auto& device = state.memory.devices[0];
    state.gauge.timeline.clear();
    for (int i = 0; i < 8000; i++) {
        device.kv_used_bytes = i % 10 == 5 ? 900'000 : i;
        sample_gauge(state, i * 0.1);
    }
    const auto& timeline = state.gauge.timeline;
    CHECK(timeline.size() <= 601);
    CHECK(timeline.size() >= 590);
    CHECK(timeline.front().time >= 799.9 - 601);
    for (size_t i = 0; i + 1 < timeline.size(); i++) {
        REQUIRE(timeline[i].kv_used == 900'000);
    }
    // Nothing changes: nothing is added.
    sample_gauge(state, 802);
    const double newest = timeline.back().time;
    CHECK_FALSE(sample_gauge(state, 805));
    CHECK(timeline.back().time == newest);
    device.kv_used_bytes++;
    CHECK(sample_gauge(state, 806));
    CHECK(timeline.back().time == 806);
}

TEST_CASE("a click on the strip opens the details, and their text can be copied") {
    Stage stage;
    AppState state;
    state.fonts = stage.fonts;
    scenes::reset(state);
    scenes::load_model(state);
    stage.draw = [&] { draw_window(state); };
    stage.frames(3);
    stage.click({400, 870});
    CHECK(state.gauge.open);
    stage.frames(2);
    stage.click({400, 870});
    CHECK_FALSE(state.gauge.open);
}
