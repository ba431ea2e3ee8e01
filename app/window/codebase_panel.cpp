// The files that were dropped: what the model reads of each, and what it costs.
#include <algorithm>
#include <cmath>

#include "app/window/app_state.h"
#include "app/window/attachment_words.h"
#include "app/window/format.h"
#include "app/window/widgets.h"

namespace app::window {
namespace {

void draw_file(AppState& state,
               const AttachedFile& file,
               ImVec2 at,
               float width,
               float height,
               int64_t total) {
    const float scale = state.fonts.scale;
    const auto px = [scale](float units) { return std::round(units * scale); };
    ImDrawList* list = ImGui::GetWindowDrawList();
    const float box = px(13), box_y = std::round(at.y + (height - box) / 2);
    list->AddRectFilled({at.x, box_y}, {at.x + box, box_y + box},
                        file.included ? colour::kAccent : rgb(0, 0), px(3));
    if (file.included) {
        draw_check(list, {at.x + box / 2, box_y + box / 2}, px(7), colour::kOnAccent,
                   std::max(1.0F, 1.5F * scale));
    } else {
        list->AddRect({at.x, box_y}, {at.x + box, box_y + box}, colour::kOutlineStrong, px(3));
    }
    const float share_right = at.x + width, tokens_right = share_right - px(40);
    ImFont* mono = state.fonts.small_mono;
    if (file.included) {
        const bool counted = file.tokens >= 0;
        draw_text_right(list, mono, tokens_right, centred(mono, at.y, height), colour::kTextSoft,
                        counted ? with_commas(file.tokens) : "\u2026");
        draw_text_right(
            list, mono, share_right, centred(mono, at.y, height), colour::kTextDim,
            counted && total > 0 ? std::to_string((file.tokens * 100 + total / 2) / total) : "");
    }
    const float name_x = at.x + px(22);
    const float room = tokens_right - px(58) - name_x;
    const float reason_width =
        file.reason.empty() ? 0 : text_width(state.fonts.small, file.reason) + px(6);
    // The end of a path says more than its beginning.
    std::string name = file.path;
    const float name_room = std::max(room - (file.included ? 0 : reason_width - px(50)), px(60));
    if (text_width(state.fonts.body, name) > name_room) {
        size_t cut = 0;
        while (cut < name.size() &&
               ((static_cast<unsigned char>(name[cut]) & 0xC0) == 0x80 ||
                text_width(state.fonts.body, "\u2026" + name.substr(cut)) > name_room)) {
            cut++;
        }
        name = "\u2026" + name.substr(cut);
    }
    draw_text(list, state.fonts.body, {name_x, centred(state.fonts.body, at.y, height)},
              file.included ? colour::kText : colour::kTextDim, name);
    if (!file.included) {
        draw_text(list, state.fonts.small,
                  {name_x + text_width(state.fonts.body, name) + px(6),
                   centred(state.fonts.small, at.y, height)},
                  colour::kTextDim,
                  ellipsize(state.fonts.small, file.reason,
                            at.x + width - name_x - text_width(state.fonts.body, name) - px(6)));
    }
    if (ImGui::IsWindowHovered() && ImGui::IsMouseHoveringRect(at, {at.x + width, at.y + height})) {
        tooltip(state, file.path + (file.reason.empty() ? "" : "\n" + file.reason));
    }
}

}  // namespace

void draw_codebase(AppState& state, ImVec2 at, ImVec2 size) {
    const float scale = state.fonts.scale;
    const auto px = [scale](float units) { return std::round(units * scale); };
    begin_region("codebase", at, size);
    ImDrawList* list = ImGui::GetWindowDrawList();
    list->AddRectFilled(at, {at.x + size.x, at.y + size.y}, colour::kPanel);
    list->AddLine(at, {at.x, at.y + size.y}, colour::kLine);

    // Staged ones first: they are what can still be changed.
    std::vector<const Attachment*> shown;
    for (const Attachment& attachment : state.staged) {
        shown.push_back(&attachment);
    }
    if (state.packing.arriving) {
        shown.push_back(state.packing.arriving.get());
    }
    for (const Message& message : state.conversation.messages) {
        for (const Attachment& attachment : message.attachments) {
            shown.push_back(&attachment);
        }
    }
    int64_t tokens = 0;
    for (const Attachment* attachment : shown) {
        tokens += attachment->tokens;
    }
    const float left = at.x + px(14), right = at.x + size.x - px(14);
    draw_text(list, state.fonts.bold, {left, at.y + px(15)}, colour::kText, "Codebase");
    const bool fits = state.context.limit == 0 || state.context.used() <= state.context.limit;
    const std::string sum =
        state.packing.active ? reading_words(state.packing)
        : state.context.limit > 0
            ? with_commas(tokens) + " of " + with_commas(state.context.limit) + " tokens"
            : with_commas(tokens) + " tokens";
    draw_text_right(list, state.fonts.small, right, at.y + px(17),
                    fits ? colour::kTextDim : colour::kError, sum);
    draw_text(list, state.fonts.small, {left + px(22), at.y + px(46)}, colour::kTextDim, "file");
    draw_text_right(list, state.fonts.small, right - px(40), at.y + px(46), colour::kTextDim,
                    "tokens");
    draw_text_right(list, state.fonts.small, right, at.y + px(46), colour::kTextDim, "%");
    list->AddLine({left, at.y + px(68)}, {right, at.y + px(68)}, colour::kLine);

    float begin_y = at.y + px(70);
    if (state.changes.files > 0) {
        // Nothing is sent again by itself: what it would cost, and two ways on.
        const std::string what = with_commas(static_cast<int64_t>(state.changes.files)) +
                                 (state.changes.files == 1 ? " file has" : " files have") +
                                 " changed since";
        draw_text(list, state.fonts.small, {left, begin_y + px(8)}, colour::kWarning,
                  ellipsize(state.fonts.small, what, right - left));
        ButtonLook look;
        look.font = state.fonts.small;
        look.border = colour::kLine;
        ImVec2 taken;
        if (button(state, "append_changes", {left, begin_y + px(28)},
                   "Append (" + with_commas(state.changes.tokens) + " tokens)", look, &taken)
                .clicked) {
            state.picker.actions->append_changes();
        }
        if (button(state, "ignore_changes", {left + taken.x + px(8), begin_y + px(28)}, "Ignore",
                   look)
                .clicked) {
            state.picker.actions->ignore_changes();
        }
        begin_y += px(64);
    }
    const ImVec2 files_at{at.x + 1, begin_y};
    begin_region("files", files_at, {size.x - 1, at.y + size.y - begin_y}, true);
    const float row = px(25);
    const float begin = ImGui::GetCursorScreenPos().y;
    float y = begin;
    for (size_t i = 0; i < shown.size(); i++) {
        const Attachment* attachment = shown[i];
        const std::string name =
            ellipsize(state.fonts.bold, attachment->name, (right - left) * 0.5F);
        draw_text(ImGui::GetWindowDrawList(), state.fonts.bold, {left, y + px(8)}, colour::kText,
                  name);
        if (i < state.staged.size() && state.picker.actions) {
            ButtonLook look;
            look.font = state.fonts.small;
            look.text = colour::kAccentText;
            look.height = 22;
            ImGui::PushID(static_cast<int>(i));
            if (button(state, "choose",
                       {left + text_width(state.fonts.bold, name) + px(6), y + px(6)}, "choose",
                       look)
                    .clicked) {
                state.picker.actions->open_picker(i);
            }
            ImGui::PopID();
        }
        if (attachment != state.packing.arriving.get()) {
            draw_text_right(ImGui::GetWindowDrawList(), state.fonts.small_mono, right - px(40),
                            y + px(10), colour::kTextSoft, with_commas(attachment->tokens));
        }
        y += px(32);
        // Of thousands of files those in sight.
        const auto files = static_cast<float>(attachment->files.size());
        const auto first =
            static_cast<size_t>(std::clamp(std::floor((files_at.y - y) / row), 0.0F, files));
        const auto last =
            static_cast<size_t>(std::clamp(std::ceil((at.y + size.y - y) / row), 0.0F, files));
        for (size_t f = first; f < last; f++) {
            draw_file(state, attachment->files[f], {left, y + row * static_cast<float>(f)},
                      right - left, row, attachment->tokens);
        }
        y += row * files + px(8);
    }
    ImGui::SetCursorScreenPos({at.x + 1, begin});
    ImGui::Dummy({1, y - begin + px(8)});
    ImGui::EndChild();
    ImGui::EndChild();
}

}  // namespace app::window
