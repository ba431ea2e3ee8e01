// The frame around the views: who gets which part of the window.
#include <algorithm>
#include <cmath>

#include "app/window/app_state.h"
#include "app/window/compat.h"
#include "app/window/glyph_cache.h"
#include "app/window/text_field.h"
#include "app/window/widgets.h"

namespace app::window {
namespace {

constexpr float kTopBar = 43, kGauge = 85, kGaugeDetails = 440, kSidebar = 248, kCodebase = 330;
constexpr float kNarrow = 900;  // below this the sidebar is shown over the chat, on demand
constexpr float kTooNarrowForFiles = 1120;

bool shows_codebase(const AppState& state) {
    const auto has_files = [](const auto& attachments) { return !attachments.empty(); };
    return has_files(state.staged) || state.packing.active ||
           std::any_of(state.conversation.messages.begin(), state.conversation.messages.end(),
                       [&](const Message& message) { return has_files(message.attachments); });
}

void global_keys(AppState& state, bool typing) {
    if (key_pressed(ImGuiKey_Escape, false) && !state.reading.find.focused && !typing &&
        !state.picker.open && !state.viewer.open &&
        !ImGui::IsPopupOpen("", ImGuiPopupFlags_AnyPopupId)) {
        if (state.page != Page::chat) {
            state.page = Page::chat;
            state.composer_focused = true;
        } else if (state.generation.busy()) {
            state.actions->stop();
        } else if (state.chat.overflow) {
            state.chat.actions->cancel_overflow();
        } else if (state.chat.edit.message != 0 && state.composer_focused) {
            state.chat.actions->cancel_edit();
        } else if (state.packing.active) {
            state.actions->cancel_attach();
        } else {
            state.gauge.open = false;
        }
    }
}

}  // namespace

void draw_window(AppState& state) {
    const ImGuiIO& io = ImGui::GetIO();
    const float scale = state.fonts.scale;
    const auto px = [scale](float units) { return std::round(units * scale); };
    state.wants_caret = false;
    state.wants_frame = false;
    // Escape and the arrows are then the text's.
    const bool typing =
        input_line_active() || (state.page == Page::settings && state.settings_page.editing_prompt);
    // Pages are walked through with the arrow keys; in the chat these are the text's.
    ImGuiConfigFlags& flags = ImGui::GetIO().ConfigFlags;
    flags = state.page == Page::chat || typing ? flags & ~ImGuiConfigFlags_NavEnableKeyboard
                                               : flags | ImGuiConfigFlags_NavEnableKeyboard;
    if (GlyphCache* glyphs = GlyphCache::current()) {
        glyphs->begin_frame(state.fonts);
    }

    ImGui::SetNextWindowPos({0, 0});
    ImGui::SetNextWindowSize(io.DisplaySize);
    // No background: the frame begins with its colour, and where a processor draws, filling a
    // million pixels once more costs as much as everything else on them.
    ImGui::Begin("keyhole", nullptr,
                 ImGuiWindowFlags_NoDecoration | ImGuiWindowFlags_NoBackground |
                     ImGuiWindowFlags_NoMove | ImGuiWindowFlags_NoSavedSettings |
                     ImGuiWindowFlags_NoBringToFrontOnFocus | ImGuiWindowFlags_NoScrollWithMouse);
    const float width = io.DisplaySize.x, height = io.DisplaySize.y;
    const float top = px(kTopBar), gauge_top = height - px(kGauge);
    const float details =
        state.gauge.open ? std::min(px(kGaugeDetails), std::round((gauge_top - top) * 0.6F)) : 0;
    const float bottom = gauge_top - details;
    const bool narrow = width < px(kNarrow);
    const bool side_by_side = state.sidebar && !narrow;
    const float left = side_by_side ? px(kSidebar) : 0;
    const bool codebase = shows_codebase(state) && width >= px(kTooNarrowForFiles);
    const float right = codebase ? width - px(kCodebase) : width;
    const float composer = std::max(state.composer_height, px(90));

    draw_top_bar(state, {0, 0}, {width, top});
    if (side_by_side) {
        draw_sidebar(state, {0, top}, {left, bottom - top});
    }
    if (state.picker.open) {
        state.composer_focused = false;
        draw_picker(state, {left, top}, {width - left, bottom - top});
    } else if (state.viewer.open) {
        draw_file_viewer(state, {left, top}, {width - left, bottom - top});
    } else if (state.page == Page::models) {
        draw_models_page(state, {left, top}, {width - left, bottom - top});
    } else if (state.page == Page::remote) {
        draw_remote_page(state, {left, top}, {width - left, bottom - top});
    } else if (state.page == Page::server) {
        draw_server_page(state, {left, top}, {width - left, bottom - top});
    } else if (state.page == Page::settings) {
        draw_settings_page(state, {left, top}, {width - left, bottom - top});
    } else {
        draw_chat(state, {left, top}, {right - left, bottom - top - composer});
        draw_composer(state, {left, bottom - composer}, {right - left, composer});
        if (codebase) {
            draw_codebase(state, {right, top}, {width - right, bottom - top});
        }
    }
    if (details > 0) {
        draw_gauge_details(state, {0, bottom}, {width, details});
    }
    draw_gauge(state, {0, gauge_top}, {width, height - gauge_top});
    if (narrow && state.sidebar_overlay) {
        draw_sidebar(state, {0, top}, {std::min(px(kSidebar), width - px(60)), bottom - top});
    }
    ImGui::SetCursorScreenPos({0, 0});
    ImGui::Dummy({1, 1});
    global_keys(state, typing);
    draw_command_palette(state);
    draw_drag_card(state);
    ImGui::End();
}

}  // namespace app::window
