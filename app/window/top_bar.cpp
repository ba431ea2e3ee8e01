// The bar at the top: which model, on what device, and where other programs reach it.
#include <cmath>

#include "app/window/app_state.h"
#include "app/window/commands.h"
#include "app/window/controls.h"
#include "app/window/format.h"
#include "app/window/widgets.h"

namespace app::window {
namespace {

std::string model_label(const ModelView& model) {
    switch (model.state) {
        case ModelView::State::loading:
            return "Loading " + model.loading_name + "  " + fixed(model.load_progress * 100, 0) +
                   " %";
        case ModelView::State::ready:
            return model.name;
        case ModelView::State::failed:
            return "No model \u00B7 choose one";
        case ModelView::State::none:
            return "Choose a model";
    }
    return "";
}

}  // namespace

void draw_top_bar(AppState& state, ImVec2 at, ImVec2 size) {
    const float scale = state.fonts.scale;
    const auto px = [scale](float units) { return std::round(units * scale); };
    begin_region("top_bar", at, size);
    ImDrawList* list = ImGui::GetWindowDrawList();
    list->AddRectFilled(at, {at.x + size.x, at.y + size.y}, colour::kPanel);
    list->AddLine({at.x, at.y + size.y - 1}, {at.x + size.x, at.y + size.y - 1}, colour::kLine);
    const float chip_height = 27;
    const float y = at.y + std::round((size.y - px(chip_height)) / 2) - 1;
    float x = at.x + px(10);

    // Three short lines: show or hide the list.
    const Click menu = click_area("menu", {x, y}, {px(28), px(chip_height)});
    if (menu.clicked) {
        state.actions->toggle_sidebar();
    }
    if (menu.hovered) {
        list->AddRectFilled({x, y}, {x + px(28), y + px(chip_height)}, colour::kHover, px(6));
        tooltip(state, "Show or hide the conversations");
    }
    for (int i = -1; i <= 1; i++) {
        const float line = std::round(y + px(chip_height) / 2 + static_cast<float>(i) * px(4.5F));
        list->AddLine({x + px(8), line}, {x + px(20), line}, colour::kTextSoft,
                      std::max(1.0F, px(1.3F)));
    }
    x += px(36);
    draw_text(list, state.fonts.bold, {x, centred(state.fonts.bold, y, px(chip_height))},
              colour::kText, "Keyhole");
    x += text_width(state.fonts.bold, "Keyhole") + px(14);

    // What stands at the right has the right of way on narrow windows.
    const std::string address = state.server.address.empty() ? "server off" : state.server.address;
    const std::string clients = state.server.address.empty() ? ""
                                : state.server.clients == 1  ? " \u00B7 1 client"
                                : state.server.clients > 1
                                    ? " \u00B7 " + std::to_string(state.server.clients) + " clients"
                                    : "";
    const float chip_width = px(30) + text_width(state.fonts.body, address + clients) + px(12);
    const bool wide = size.x > px(760);
    float edge = at.x + size.x - px(12);

    // Commands and settings, at the right end.
    const float palette_width = text_width(state.fonts.small, "Ctrl K") + px(20);
    edge -= palette_width;
    const Click palette = click_area("palette", {edge, y}, {palette_width, px(chip_height)});
    list->AddRectFilled({edge, y}, {edge + palette_width, y + px(chip_height)},
                        palette.hovered ? colour::kHover : colour::kChip, px(6));
    list->AddRect({edge, y}, {edge + palette_width, y + px(chip_height)}, colour::kLine, px(6));
    draw_text(list, state.fonts.small,
              {edge + px(10), centred(state.fonts.small, y, px(chip_height))}, colour::kTextDim,
              "Ctrl K");
    if (palette.hovered) {
        tooltip(state, "Everything there is to do, by name");
    }
    if (palette.clicked) {
        open_palette(state);
    }
    edge -= px(8) + px(28);
    const Click settings = click_area("settings", {edge, y}, {px(28), px(chip_height)});
    if (settings.hovered || state.page == Page::settings) {
        list->AddRectFilled({edge, y}, {edge + px(28), y + px(chip_height)},
                            state.page == Page::settings ? colour::kActive : colour::kHover, px(6));
    }
    draw_icon(list, Icon::settings, {edge + px(14), y + px(chip_height) / 2}, px(14),
              colour::kTextSoft);
    if (settings.hovered) {
        tooltip(state, "Settings");
    }
    if (settings.clicked) {
        state.page = state.page == Page::settings ? Page::chat : Page::settings;
    }
    edge -= px(8);
    const float right = wide ? edge - chip_width : edge;

    const float room = right - x - px(20);
    const std::string label = ellipsize(state.fonts.body, model_label(state.model), room - px(90));
    std::string detail;
    if (!state.model.remote.empty()) {
        detail = " \u00B7 at " + state.model.remote;
    } else if (state.model.state == ModelView::State::ready && !state.model.type.empty()) {
        detail = " \u00B7 " + state.model.type + " \u00B7 MLA";
    }
    const bool badge = state.model.state == ModelView::State::ready && state.model.is_demo;
    const float badge_width = badge ? text_width(state.fonts.small, "demo") + px(20) : 0;
    if (text_width(state.fonts.body, label + detail) + badge_width + px(24) > room) {
        detail.clear();
    }
    const float model_width = text_width(state.fonts.body, label) +
                              text_width(state.fonts.body, detail) + badge_width + px(24);
    const Click model = click_area("model", {x, y}, {model_width, px(chip_height)});
    list->AddRectFilled({x, y}, {x + model_width, y + px(chip_height)},
                        model.hovered ? colour::kHover : colour::kChip, px(6));
    if (state.model.state == ModelView::State::loading) {
        list->AddRectFilled(
            {x, y},
            {x + model_width * static_cast<float>(state.model.load_progress), y + px(chip_height)},
            colour::kAccentCard, px(6));
    }
    list->AddRect({x, y}, {x + model_width, y + px(chip_height)}, colour::kLine, px(6));
    const float text_y = centred(state.fonts.body, y, px(chip_height));
    draw_text(list, state.fonts.body, {x + px(12), text_y}, colour::kText, label);
    const float after_label = x + px(12) + text_width(state.fonts.body, label);
    draw_text(list, state.fonts.body, {after_label, text_y}, colour::kTextDim, detail);
    if (badge) {
        const float badge_x = after_label + text_width(state.fonts.body, detail) + px(8);
        list->AddRectFilled({badge_x, y + px(5)},
                            {badge_x + badge_width - px(8), y + px(chip_height - 5)},
                            colour::kWarningCard, px(4));
        draw_text(list, state.fonts.small,
                  {badge_x + px(6), centred(state.fonts.small, y, px(chip_height))},
                  colour::kWarning, "demo");
    }
    if (model.clicked) {
        const Page page = state.model.remote.empty() ? Page::models : Page::remote;
        state.page = state.page == page ? Page::chat : page;
    }
    if (model.hovered) {
        std::string text = state.model.remote.empty()
                               ? "Choose a model"
                               : "Another engine answers; click for its models and to leave it";
        if (state.model.remote.empty() && state.model.state == ModelView::State::ready) {
            text +=
                "\n" + state.model.path +
                (state.model.file_bytes > 0 ? " \u00B7 " + bytes_text(state.model.file_bytes) : "");
            if (state.model.is_demo) {
                text += "\nThis is the demo model: to " + state.demo_hint;
            }
        }
        tooltip(state, text);
    }
    x += model_width + px(10);

    if (!state.device.empty() && wide && state.model.remote.empty()) {
        const std::string device = ellipsize(state.fonts.body, state.device, right - x - px(36));
        const float device_width = text_width(state.fonts.body, device) + px(24);
        if (x + device_width + px(10) < right) {
            list->AddRectFilled({x, y}, {x + device_width, y + px(chip_height)}, colour::kChip,
                                px(6));
            list->AddRect({x, y}, {x + device_width, y + px(chip_height)}, colour::kLine, px(6));
            draw_text(list, state.fonts.body, {x + px(12), text_y}, colour::kTextDim, device);
        }
    }

    if (wide) {
        const Click server = click_area("server", {right, y}, {chip_width, px(chip_height)});
        list->AddRectFilled({right, y}, {right + chip_width, y + px(chip_height)},
                            state.page == Page::server ? colour::kActive
                            : server.hovered           ? colour::kHover
                                                       : colour::kChip,
                            px(6));
        list->AddRect({right, y}, {right + chip_width, y + px(chip_height)}, colour::kLine, px(6));
        list->AddCircleFilled({right + px(15), y + px(chip_height) / 2}, 4.5F * scale,
                              state.server.address.empty() ? colour::kTextDim : colour::kGood);
        draw_text(list, state.fonts.body, {right + px(27), text_y}, colour::kTextSoft, address);
        draw_text(list, state.fonts.body,
                  {right + px(27) + text_width(state.fonts.body, address), text_y},
                  colour::kTextDim, clients);
        if (server.hovered) {
            tooltip(state, state.server.address.empty()
                               ? "The HTTP server does not run"
                               : "OpenAI API at http://" + state.server.address +
                                     "/v1\nClick for requests, keys and who may connect");
        }
        if (server.clicked) {
            state.page = state.page == Page::server ? Page::chat : Page::server;
        }
    }
    ImGui::EndChild();
}

}  // namespace app::window
