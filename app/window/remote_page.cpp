// The page of another engine: its address and key, connecting, and which of its models answers.
#include <algorithm>
#include <cmath>

#include "app/window/app_state.h"
#include "app/window/controls.h"
#include "app/window/format.h"
#include "app/window/text_field.h"
#include "app/window/text_run.h"

namespace app::window {
namespace {

constexpr float kColumn = 640, kMargin = 24, kRow = 40;

class RemotePage {
public:
    explicit RemotePage(AppState& state)
        : state_(state), view_(state.remote), scale_(state.fonts.scale) {}

    float draw(float x, float y, float width);

private:
    float px(float units) const { return std::round(units * scale_); }
    ImDrawList* list() const { return ImGui::GetWindowDrawList(); }
    void words(float x, float& y, ImU32 ink, const char* text);
    void fields(float x, float& y, float width);
    void models(float x, float& y, float width);

    AppState& state_;
    RemoteView& view_;
    float scale_;
};

void RemotePage::words(float x, float& y, ImU32 ink, const char* text) {
    draw_text(list(), state_.fonts.small, {x, centred(state_.fonts.small, y, px(20))}, ink, text);
    y += px(24);
}

void RemotePage::fields(float x, float& y, float width) {
    words(x, y, colour::kTextDim, "ADDRESS");
    ImGui::SetCursorScreenPos({x, y});
    bool connect = input_line(state_, "remote_url", view_.url, width, "http://host:8000", false);
    y += px(44);
    words(x, y, colour::kTextDim, "KEY");
    ButtonLook forget = secondary_look();
    forget.height = 30;
    const float beside = view_.key_kept ? button_size(state_, "Forget it", forget).x + px(8) : 0;
    ImGui::SetCursorScreenPos({x, y});
    connect = input_line(state_, "remote_key", view_.key, width - beside,
                         view_.key_kept ? "one is kept; type another to replace it"
                                        : "where it asks for one",
                         false, true) ||
              connect;
    if (view_.key_kept &&
        button(state_, "forget_key", {x + width - beside + px(8), y}, "Forget it", forget)
            .clicked) {
        view_.actions->forget_remote_key();
    }
    y += px(48);

    const bool asking = view_.state == RemoteView::State::asking;
    const bool on = view_.state == RemoteView::State::on;
    ButtonLook look = on ? secondary_look() : primary_look();
    look.enabled = !asking && !view_.url.empty();
    ImVec2 size;
    connect = button(state_, "connect", {x, y},
                     asking ? "Connecting \u2026"
                     : on   ? "Connect again"
                            : "Connect",
                     look, &size)
                  .clicked ||
              connect;
    if (connect && look.enabled) {
        view_.actions->connect_remote();
    }
    if (on || asking) {
        const char* label = asking ? "Cancel" : "Disconnect";
        if (button(state_, "disconnect", {x + size.x + px(8), y}, label, secondary_look(), &size)
                .clicked) {
            view_.actions->disconnect_remote();
        }
    }
    y += px(44);
}

void RemotePage::models(float x, float& y, float width) {
    words(x, y, colour::kTextDim, "MODEL THAT ANSWERS");
    for (const RemoteView::Model& model : view_.models) {
        ImGui::PushID(model.id.c_str());
        const Click click = click_area("remote_model", {x, y}, {width, px(kRow)});
        ImGui::PopID();
        const bool chosen = model.id == view_.model;
        if (chosen || click.hovered) {
            list()->AddRectFilled({x, y}, {x + width, y + px(kRow)},
                                  chosen ? colour::kActive : colour::kHover, px(8));
        }
        const std::string context = model.context_tokens > 0
                                        ? with_commas(model.context_tokens) + " tokens of context"
                                        : "";
        const float room = width - px(36) - text_width(state_.fonts.small, context) - px(16);
        if (chosen) {
            draw_check(list(), {x + px(16), y + px(kRow / 2)}, px(9), colour::kAccentText,
                       std::max(1.0F, 1.5F * scale_));
        }
        draw_text(list(), state_.fonts.body, {x + px(32), centred(state_.fonts.body, y, px(kRow))},
                  colour::kText, ellipsize(state_.fonts.body, model.id, room));
        draw_text_right(list(), state_.fonts.small, x + width - px(12),
                        centred(state_.fonts.small, y, px(kRow)), colour::kTextDim, context);
        if (click.clicked) {
            view_.actions->choose_remote_model(model.id);
        }
        y += px(kRow);
    }
    y += px(16);
}

float RemotePage::draw(float x, float y, float width) {
    const float top = y;
    y +=
        note_card(state_, {x, y}, width, NoteKind::plain,
                  "Any engine with OpenAI's API can answer in place of this program's model: vLLM, "
                  "SGLang, another Keyhole. What you write, and what you attach, is then sent to "
                  "it. Its memory is not shown by the gauge here, and its tokens are counted by "
                  "itself.") +
        px(20);
    fields(x, y, width);
    if (!view_.problem.empty()) {
        y += note_card(state_, {x, y}, width, NoteKind::error, view_.problem) + px(16);
    }
    if (!view_.warning.empty()) {
        y += note_card(state_, {x, y}, width, NoteKind::warning, view_.warning) + px(16);
    }
    if (view_.state == RemoteView::State::on) {
        models(x, y, width);
    }
    return y - top;
}

}  // namespace

void draw_remote_page(AppState& state, ImVec2 at, ImVec2 size) {
    const auto px = [&](float units) { return std::round(units * state.fonts.scale); };
    begin_region("remote_page", at, size);
    ImGui::GetWindowDrawList()->AddRectFilled(at, {at.x + size.x, at.y + size.y},
                                              colour::kBackground);
    const float head = draw_page_head(state, at, size.x, "Another engine");
    begin_region("remote_body", {at.x, at.y + head}, {size.x, size.y - head}, true);
    const float width = std::max(px(80), std::min(px(kColumn), size.x - px(2 * kMargin)));
    const ImVec2 begin = ImGui::GetCursorScreenPos();
    const float height =
        RemotePage(state).draw(at.x + px(kMargin), begin.y + px(24), width) + px(48);
    ImGui::SetCursorScreenPos(begin);
    ImGui::Dummy({1, height});
    ImGui::EndChild();
    ImGui::EndChild();
}

}  // namespace app::window
