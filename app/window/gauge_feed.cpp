#include "app/window/gauge_feed.h"

namespace app::window {

bool GaugeFeed::tick(AppState& state, double now) {
    GaugeView& gauge = state.gauge;
    gauge.shown_at = now;
    if (model_ != state.model.path) {
        model_ = state.model.path;
        gauge.prefill.clear();
    }
    // An answer has ended: its prompt was read in a measured time.
    if (was_busy_ && !state.generation.busy() && !state.conversation.messages.empty()) {
        const AnswerStats& stats = state.conversation.messages.back().stats;
        if (stats.prompt_tokens > 0) {
            gauge.prefill.add(stats.cached_tokens, stats.prompt_tokens - stats.cached_tokens,
                              stats.first_token_ms);
        }
    }
    was_busy_ = state.generation.busy();
    if (now >= next_look_) {
        next_look_ = now + 2;
        gauge.process = process_memory();
        const ImGuiIO& io = ImGui::GetIO();
        // The atlas as RGBA, and two frame buffers of colour and depth.
        gauge.graphics_bytes =
            int64_t{io.Fonts->TexWidth} * io.Fonts->TexHeight * 4 +
            static_cast<int64_t>(io.DisplaySize.x) * static_cast<int64_t>(io.DisplaySize.y) * 2 * 8;
    }
    return sample_gauge(state, now) && gauge.open;
}

}  // namespace app::window
