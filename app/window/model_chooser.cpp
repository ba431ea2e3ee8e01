// Choosing a model file: recent ones, a folder's GGUF files, or a path that is typed.
#include <algorithm>
#include <cmath>

#include <imgui.h>
#include <imgui_stdlib.h>

#include "app/window/app_state.h"
#include "app/window/compat.h"
#include "app/window/format.h"
#include "app/window/widgets.h"

namespace app::window {
namespace {

// One file; true when it was chosen.
bool draw_entry(AppState& state, const ChooserView::Entry& entry, float width) {
    const float scale = state.fonts.scale;
    const auto px = [scale](float units) { return std::round(units * scale); };
    const ImVec2 at = ImGui::GetCursorScreenPos();
    const float height = px(40);
    ImGui::PushID(entry.path.c_str());
    const Click click = click_area("entry", at, {width, height});
    ImGui::PopID();
    ImDrawList* list = ImGui::GetWindowDrawList();
    const bool current =
        entry.path == state.model.path && state.model.state == ModelView::State::ready;
    if (click.hovered || current) {
        list->AddRectFilled(at, {at.x + width, at.y + height},
                            click.hovered ? colour::kHover : colour::kChip, px(6));
    }
    const float detail_width = text_width(state.fonts.small, entry.detail);
    draw_text(list, state.fonts.body, {at.x + px(10), centred(state.fonts.body, at.y, height)},
              colour::kText,
              ellipsize(state.fonts.body, entry.name, width - detail_width - px(40)));
    draw_text_right(list, state.fonts.small, at.x + width - px(10),
                    centred(state.fonts.small, at.y, height),
                    current ? colour::kGood : colour::kTextDim, current ? "loaded" : entry.detail);
    return click.clicked;
}

}  // namespace

void draw_model_chooser(AppState& state) {
    const float scale = state.fonts.scale;
    const auto px = [scale](float units) { return std::round(units * scale); };
    ChooserView& chooser = state.chooser;
    if (chooser.requested) {
        ImGui::OpenPopup("Choose a model");
        chooser.requested = false;
    }
    const ImVec2 screen = ImGui::GetIO().DisplaySize;
    const ImVec2 size{std::min(px(620), screen.x - px(40)), std::min(px(520), screen.y - px(40))};
    ImGui::SetNextWindowSize(size);
    ImGui::SetNextWindowPos(
        {std::round((screen.x - size.x) / 2), std::round((screen.y - size.y) / 2)});
    ImGui::PushStyleVar(ImGuiStyleVar_WindowPadding, {px(20), px(18)});
    ImGui::PushStyleVar(ImGuiStyleVar_WindowRounding, px(12));
    ImGui::PushStyleColor(ImGuiCol_PopupBg, colour::kPanel);
    const bool open =
        ImGui::BeginPopupModal("Choose a model", nullptr,
                               ImGuiWindowFlags_NoTitleBar | ImGuiWindowFlags_NoResize |
                                   ImGuiWindowFlags_NoMove | ImGuiWindowFlags_NoSavedSettings);
    if (open) {
        const float width = ImGui::GetContentRegionAvail().x;
        ImGui::PushFont(state.fonts.heading);
        ImGui::TextUnformatted("Choose a model");
        ImGui::PopFont();
        ImGui::PushStyleColor(ImGuiCol_Text, colour::kTextDim);
        ImGui::PushTextWrapPos(0);
        ImGui::TextUnformatted(
            "A GGUF file of GLM-4.7-Flash. Type a file to load it, or a folder to see what is in "
            "it.");
        ImGui::PopTextWrapPos();
        ImGui::PopStyleColor();
        ImGui::Dummy({1, px(4)});

        ButtonLook go;
        go.fill = colour::kAccent;
        go.hover = colour::kAccentHover;
        go.text = colour::kOnAccent;
        go.height = 30;
        const float go_width = button_size(state, "Open", go).x;
        ImGui::SetNextItemWidth(width - go_width - px(10));
        if (ImGui::IsWindowAppearing()) {
            ImGui::SetKeyboardFocusHere();
        }
        const ImVec2 field = ImGui::GetCursorScreenPos();
        bool entered =
            ImGui::InputTextWithHint("##folder", "/path/to/models or /path/to/model.gguf",
                                     &chooser.folder, ImGuiInputTextFlags_EnterReturnsTrue);
        const float after_field = ImGui::GetCursorScreenPos().y;
        entered =
            button(state, "open", {field.x + width - go_width, field.y}, "Open", go).clicked ||
            entered;
        ImGui::SetCursorScreenPos({field.x, after_field});
        std::string chosen;
        if (entered && !chooser.folder.empty()) {
            if (chooser.folder.ends_with(".gguf")) {
                chosen = chooser.folder;
            } else {
                state.actions->list_models(chooser.folder);
            }
        }
        if (!chooser.problem.empty()) {
            ImGui::PushStyleColor(ImGuiCol_Text, colour::kError);
            ImGui::PushTextWrapPos(0);
            ImGui::TextUnformatted(chooser.problem.c_str());
            ImGui::PopTextWrapPos();
            ImGui::PopStyleColor();
        }
        ImGui::Dummy({1, px(2)});

        const float bottom = px(44);
        ImGui::BeginChild(
            "entries", {width, std::max(px(40), ImGui::GetContentRegionAvail().y - bottom)}, false);
        const float row_width = width - px(14);
        const auto section = [&](const char* title,
                                 const std::vector<ChooserView::Entry>& entries) {
            if (entries.empty()) {
                return;
            }
            ImGui::PushFont(state.fonts.small);
            ImGui::PushStyleColor(ImGuiCol_Text, colour::kTextDim);
            ImGui::TextUnformatted(title);
            ImGui::PopStyleColor();
            ImGui::PopFont();
            ImGui::PushID(title);
            for (const ChooserView::Entry& entry : entries) {
                if (draw_entry(state, entry, row_width)) {
                    chosen = entry.path;
                }
            }
            ImGui::PopID();
            ImGui::Dummy({1, px(6)});
        };
        section("RECENT", chooser.recent);
        section(chooser.listed.empty() ? "FILES" : chooser.listed.c_str(), chooser.entries);
        if (chooser.recent.empty() && chooser.entries.empty()) {
            ImGui::PushStyleColor(ImGuiCol_Text, colour::kTextDim);
            ImGui::TextUnformatted("No GGUF files here yet.");
            ImGui::PopStyleColor();
        }
        ImGui::EndChild();

        const bool loading = state.model.state == ModelView::State::loading;
        const ImVec2 foot = ImGui::GetCursorScreenPos();
        if (loading) {
            const float bar = width - px(180);
            ImDrawList* list = ImGui::GetWindowDrawList();
            list->AddRectFilled({foot.x, foot.y + px(16)}, {foot.x + bar, foot.y + px(22)},
                                colour::kTrack, px(3));
            list->AddRectFilled(
                {foot.x, foot.y + px(16)},
                {foot.x + bar * static_cast<float>(state.model.load_progress), foot.y + px(22)},
                colour::kKeys, px(3));
        }
        ButtonLook close;
        close.text = colour::kText;
        close.fill = colour::kChip;
        close.height = 30;
        close.pad_x = 16;
        const std::string label = loading ? "Stop loading" : "Close";
        const float close_width = button_size(state, label, close).x;
        const bool closed =
            button(state, "close", {foot.x + width - close_width, foot.y + px(4)}, label, close)
                .clicked;
        if (closed && loading) {
            state.actions->cancel_load();
        } else if (closed || key_pressed(ImGuiKey_Escape, false)) {
            ImGui::CloseCurrentPopup();
        }
        if (!chosen.empty()) {
            state.actions->load_model(chosen);
            ImGui::CloseCurrentPopup();
        }
        ImGui::EndPopup();
    }
    ImGui::PopStyleColor();
    ImGui::PopStyleVar(2);
}

}  // namespace app::window
