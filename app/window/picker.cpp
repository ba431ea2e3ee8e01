// The picker: the tree of a staged folder with ticks, tokens, shares and reasons. All of it works
// by keys: arrows move and open, Space ticks, F O N choose full text, outline or name, B puts a
// file before the question, M says what becomes of secrets, S sorts, L shows the ten largest, /
// filters, Escape closes.
#include <algorithm>
#include <cmath>

#include "app/window/app_state.h"
#include "app/window/compat.h"
#include "app/window/format.h"
#include "app/window/text_field.h"
#include "app/window/text_run.h"
#include "app/window/widgets.h"

namespace app::window {
namespace {

constexpr const char* kSortNames[] = {"by path", "by tokens", "by reason"};

struct Columns {
    float name, level, tokens, share, reason, right;
};

void draw_tick(ImDrawList* list, ImVec2 at, float box, Tick tick, bool enabled, float scale) {
    const float round = std::round(3 * scale), thick = std::max(1.0F, 1.5F * scale);
    const ImVec2 end{at.x + box, at.y + box}, middle{at.x + box / 2, at.y + box / 2};
    if (tick == Tick::off || !enabled) {
        list->AddRect(at, end, enabled ? colour::kOutlineStrong : colour::kLine, round);
        return;
    }
    list->AddRectFilled(at, end, colour::kAccent, round);
    if (tick == Tick::on) {
        draw_check(list, middle, std::round(7 * scale), colour::kOnAccent, thick);
    } else {
        list->AddLine({at.x + box * 0.25F, middle.y}, {at.x + box * 0.75F, middle.y},
                      colour::kOnAccent, thick);
    }
}

const char* level_name(const PickerFile& file) {
    switch (file.level) {
        case PickerLevel::full:
            return file.focus ? "full, last" : "full";
        case PickerLevel::outline:
            return "outline";
        case PickerLevel::name:
            return "name";
        case PickerLevel::left_out:
            return "left out";
    }
    return "";
}

void tick(PickerView& picker, const PickerRow& row) {
    if (const auto files = files_of(picker, row); !files.empty()) {
        picker.actions->set_level(files, level_after_tick(row));
    }
}

// Masked, then left out, then shown once: of all below a folder what the first one's next is.
void next_secrets(PickerView& picker, const PickerRow& row) {
    if (const auto files = secret_files_of(picker, row); !files.empty()) {
        const auto now = static_cast<int>(picker.files[files.front()].secrets);
        picker.actions->set_secrets(files, static_cast<PickerSecrets>((now + 1) % 3));
    }
}

std::string reason_of(const PickerFile& file) {
    if (file.found_secrets == 0 || file.secrets == PickerSecrets::mask) {
        return file.reason;
    }
    return file.secrets == PickerSecrets::allow
               ? std::to_string(file.found_secrets) +
                     (file.found_secrets == 1 ? " secret shown" : " secrets shown")
               : "left out: holds a secret";
}

void keys(PickerView& picker, const std::vector<PickerRow>& rows, size_t at) {
    if (picker.filter_focused) {
        return;
    }
    if (key_pressed(ImGuiKey_Escape, false)) {
        picker.actions->close_picker();
        return;
    }
    const auto typed = [](char c) {
        for (const ImWchar each : ImGui::GetIO().InputQueueCharacters) {
            if (each == static_cast<ImWchar>(c)) {
                return true;
            }
        }
        return false;
    };
    if (typed('/')) {
        picker.filter_focused = true;
        picker.filter.select_all();
        return;
    }
    if (typed('s')) {
        picker.sort = static_cast<PickerSort>((static_cast<int>(picker.sort) + 1) % 3);
    }
    if (typed('l')) {
        picker.largest = !picker.largest;
    }
    if (rows.empty()) {
        return;
    }
    const auto move_to = [&](size_t row) {
        picker.cursor = rows[std::min(row, rows.size() - 1)].path;
        picker.scroll_to_cursor = true;
    };
    constexpr size_t kPage = 16;
    if (key_pressed(ImGuiKey_DownArrow)) {
        move_to(at + 1);
    } else if (key_pressed(ImGuiKey_UpArrow)) {
        move_to(at == 0 ? 0 : at - 1);
    } else if (key_pressed(ImGuiKey_PageDown)) {
        move_to(at + kPage);
    } else if (key_pressed(ImGuiKey_PageUp)) {
        move_to(at < kPage ? 0 : at - kPage);
    } else if (key_pressed(ImGuiKey_Home)) {
        move_to(0);
    } else if (key_pressed(ImGuiKey_End)) {
        move_to(rows.size() - 1);
    }
    const PickerRow& row = rows[at];
    if (key_pressed(ImGuiKey_LeftArrow)) {
        if (row.file < 0 && !picker.closed.contains(row.path)) {
            picker.closed.insert(row.path);
        } else if (const size_t up = row.path.rfind('/', row.path.size() - 2);
                   row.path.size() > 2 && up != std::string::npos) {
            picker.cursor = row.path.substr(0, up + 1);
            picker.scroll_to_cursor = true;
        }
    } else if (key_pressed(ImGuiKey_RightArrow) && row.file < 0) {
        picker.closed.erase(row.path);
    }
    const auto set = [&](PickerLevel level) {
        if (const auto files = files_of(picker, row); !files.empty()) {
            picker.actions->set_level(files, level);
        }
    };
    if (key_pressed(ImGuiKey_Space, false)) {
        tick(picker, row);
    } else if (typed('f')) {
        set(PickerLevel::full);
    } else if (typed('o')) {
        set(PickerLevel::outline);
    } else if (typed('n')) {
        set(PickerLevel::name);
    } else if (typed('b') && row.file >= 0) {
        picker.actions->toggle_focus(static_cast<size_t>(row.file));
    } else if (typed('m')) {
        next_secrets(picker, row);
    }
}

void draw_row(AppState& state,
              const PickerRow& row,
              const Columns& columns,
              float y,
              float height,
              bool at_cursor) {
    PickerView& picker = state.picker;
    const float scale = state.fonts.scale;
    const auto px = [scale](float units) { return std::round(units * scale); };
    ImDrawList* list = ImGui::GetWindowDrawList();
    const bool folder = row.file < 0;
    const PickerFile* file = folder ? nullptr : &picker.files[static_cast<size_t>(row.file)];
    const bool selectable = folder || file->selectable;
    ImGui::PushID(row.path.c_str());
    const float left = columns.name - px(8);
    const Click click = click_area("row", {left, y}, {columns.right - left + px(8), height});
    if (at_cursor || click.hovered) {
        list->AddRectFilled({left, y}, {columns.right + px(8), y + height},
                            at_cursor ? colour::kActive : colour::kHover, px(5));
    }
    float x = columns.name + px(18) * static_cast<float>(row.depth);
    if (folder) {
        draw_triangle(list, {x + px(5), y + height / 2}, px(4), !picker.closed.contains(row.path),
                      colour::kTextDim);
    }
    x += px(16);
    const float box = px(14);
    draw_tick(list, {x, std::round(y + (height - box) / 2)}, box, row.tick, selectable, scale);
    if (click.clicked) {
        picker.cursor = row.path;
        const float mouse = ImGui::GetIO().MousePos.x;
        if (folder && mouse < x) {
            if (!picker.closed.erase(row.path)) {
                picker.closed.insert(row.path);
            }
        } else {
            tick(picker, row);
        }
    }
    x += px(22);
    const bool tree = picker.sort == PickerSort::path && !picker.largest;
    std::string name = row.path;
    if (tree) {
        const size_t slash = name.rfind('/', name.size() - (folder ? 2 : 1));
        name = slash == std::string::npos ? name : name.substr(slash + 1);
    }
    ImFont* font = folder ? state.fonts.bold : state.fonts.body;
    const ImU32 ink = row.tick == Tick::off ? colour::kTextDim : colour::kText;
    draw_text(list, font, {x, centred(font, y, height)}, ink,
              ellipsize(font, name, columns.level - px(12) - x));
    ImFont* small = state.fonts.small;
    ImFont* mono = state.fonts.small_mono;
    if (folder) {
        draw_text(list, small, {columns.level, centred(small, y, height)}, colour::kTextDim,
                  std::to_string(row.files) + (row.files == 1 ? " file" : " files"));
    } else {
        draw_text(list, small, {columns.level, centred(small, y, height)},
                  file->level == PickerLevel::full ? colour::kTextSoft : colour::kTextDim,
                  level_name(*file));
        const std::string reason = reason_of(*file);
        const bool shown = file->found_secrets > 0 && file->secrets == PickerSecrets::allow;
        draw_text(list, small, {columns.reason, centred(small, y, height)},
                  shown ? colour::kWarning : colour::kTextDim,
                  ellipsize(small, reason, columns.right - columns.reason));
        if (click.hovered && !reason.empty()) {
            tooltip(state, file->path + "\n" + reason +
                               (file->found_secrets > 0 ? "\nM: mask, leave out, show once" : ""));
        }
    }
    const bool counts = row.tick != Tick::off;
    const int64_t tokens = counts || folder ? row.tokens : file->tokens;
    if (tokens >= 0 && (counts || (!folder && file->tokens > 0))) {
        draw_text_right(list, mono, columns.tokens, centred(mono, y, height),
                        counts ? colour::kTextSoft : colour::kTextDim, with_commas(tokens));
    }
    if (counts && picker.tokens > 0) {
        const double share = static_cast<double>(row.tokens) / static_cast<double>(picker.tokens);
        const float width = px(44), full = std::round(width * static_cast<float>(share));
        const float bar = std::round(y + height / 2 - px(2));
        list->AddRectFilled({columns.share, bar}, {columns.share + width, bar + px(4)},
                            colour::kTrack, px(2));
        if (full >= 1) {
            list->AddRectFilled({columns.share, bar}, {columns.share + full, bar + px(4)},
                                colour::kCodebase, px(2));
        }
        draw_text_right(list, mono, columns.share + width + px(38), centred(mono, y, height),
                        colour::kTextDim, fixed(share * 100, 1));
    }
    ImGui::PopID();
}

float draw_head(AppState& state, ImVec2 at, float width) {
    PickerView& picker = state.picker;
    const float scale = state.fonts.scale;
    const auto px = [scale](float units) { return std::round(units * scale); };
    ImDrawList* list = ImGui::GetWindowDrawList();
    const float left = at.x + px(24), right = at.x + width - px(24);
    draw_text(list, state.fonts.bold, {left, at.y + px(16)}, colour::kText,
              ellipsize(state.fonts.bold, "What the model reads of " + picker.root, width * 0.5F));
    const bool over = picker.budget > 0 && picker.tokens > picker.budget;
    std::string sum = with_commas(picker.tokens) + " tokens";
    if (picker.budget > 0) {
        sum = with_commas(picker.tokens) + " of " + with_commas(picker.budget) + " tokens" +
              (over ? ", " + with_commas(picker.tokens - picker.budget) + " too many" : "");
    }
    if (picker.bytes_per_token > 0) {
        sum += " \u00B7 " + bytes_text(picker.tokens * picker.bytes_per_token) + " of K cache";
    }
    if (picker.working) {
        sum = "counting \u00B7 " + sum;
    }
    draw_text_right(list, state.fonts.body, right, at.y + px(16),
                    over ? colour::kError : colour::kTextSoft, sum);
    // How full it is, as a bar over the whole width.
    const float bar = at.y + px(42);
    list->AddRectFilled({left, bar}, {right, bar + px(6)}, colour::kTrack, px(3));
    if (picker.budget > 0) {
        const double part =
            std::min(1.0, static_cast<double>(picker.tokens) / static_cast<double>(picker.budget));
        list->AddRectFilled(
            {left, bar},
            {left + std::round((right - left) * static_cast<float>(part)), bar + px(6)},
            over ? colour::kError : colour::kCodebase, px(3));
    }
    float y = at.y + px(60);
    for (size_t i = 0; i < picker.proposals.size(); i++) {
        const PickerProposal& proposal = picker.proposals[i];
        ImGui::PushID(static_cast<int>(i));
        ButtonLook look;
        look.font = state.fonts.small;
        look.text = colour::kAccentText;
        look.border = colour::kLine;
        look.height = 24;
        ImVec2 size;
        if (button(state, "proposal", {left, y}, "Use this", look, &size).clicked) {
            picker.actions->take_proposal(i);
        }
        draw_text(list, state.fonts.small,
                  {left + size.x + px(10), centred(state.fonts.small, y, px(24))},
                  colour::kTextSoft,
                  ellipsize(state.fonts.small,
                            proposal.text + ": " + with_commas(proposal.tokens) + " tokens, " +
                                (proposal.fits ? "fits" : "still too many"),
                            right - left - size.x - px(10)));
        ImGui::PopID();
        y += px(28);
    }
    // The filter, the order, and the way out.
    const float field = px(320);
    list->AddRectFilled({left, y}, {left + field, y + px(30)}, colour::kCard, px(6));
    list->AddRect({left, y}, {left + field, y + px(30)},
                  picker.filter_focused ? colour::kAccent : colour::kOutline, px(6));
    const FieldEvent event = text_field(state, "picker_filter", picker.filter,
                                        picker.filter_focused, {left + px(10), y + px(4)},
                                        {field - px(20), px(22)}, "filter: *.cpp tokens>5k -tests");
    if (event == FieldEvent::entered || event == FieldEvent::escaped) {
        if (event == FieldEvent::escaped) {
            picker.filter.set("");
        }
        picker.filter_focused = false;
    }
    ButtonLook look;
    look.font = state.fonts.small;
    look.border = colour::kLine;
    ImVec2 size;
    float x = left + field + px(10);
    if (button(state, "picker_sort", {x, y + px(1)}, kSortNames[static_cast<size_t>(picker.sort)],
               look, &size)
            .clicked) {
        picker.sort = static_cast<PickerSort>((static_cast<int>(picker.sort) + 1) % 3);
    }
    x += size.x + px(8);
    if (button(state, "picker_largest", {x, y + px(1)},
               picker.largest ? "all files" : "ten largest", look, &size)
            .clicked) {
        picker.largest = !picker.largest;
    }
    ButtonLook done = look;
    done.fill = colour::kAccent;
    done.hover = colour::kAccentHover;
    done.text = colour::kOnAccent;
    size = button_size(state, "Done", done);
    if (button(state, "picker_done", {right - size.x, y + px(1)}, "Done", done).clicked) {
        picker.actions->close_picker();
    }
    return y + px(40) - at.y;
}

}  // namespace

void draw_picker(AppState& state, ImVec2 at, ImVec2 size) {
    PickerView& picker = state.picker;
    const float scale = state.fonts.scale;
    const auto px = [scale](float units) { return std::round(units * scale); };
    begin_region("picker", at, size);
    ImDrawList* list = ImGui::GetWindowDrawList();
    const float head = draw_head(state, at, size.x);
    const std::vector<PickerRow>& rows = current_rows(picker);

    const float left = at.x + px(24), right = at.x + size.x - px(36);
    const Columns columns{left, right - px(470), right - px(310), right - px(296), right - px(190),
                          right};
    ImFont* small = state.fonts.small;
    const float titles = at.y + head;
    draw_text(list, small, {columns.name + px(38), titles}, colour::kTextDim, "file");
    draw_text(list, small, {columns.level, titles}, colour::kTextDim, "shown as");
    draw_text_right(list, small, columns.tokens, titles, colour::kTextDim, "tokens");
    draw_text_right(list, small, columns.share + px(82), titles, colour::kTextDim, "% of pack");
    draw_text(list, small, {columns.reason, titles}, colour::kTextDim, "why");
    list->AddLine({left, titles + px(22)}, {right, titles + px(22)}, colour::kLine);

    const float foot = px(30);
    const ImVec2 list_at{at.x, titles + px(26)};
    const float list_height = size.y - (list_at.y - at.y) - foot;
    const auto found = std::find_if(
        rows.begin(), rows.end(), [&](const PickerRow& row) { return row.path == picker.cursor; });
    const auto cursor = found == rows.end() ? size_t{0} : static_cast<size_t>(found - rows.begin());
    keys(picker, rows, cursor);
    begin_region("picker_rows", list_at, {size.x, list_height}, true);
    const float row_height = px(26);
    const float begin = ImGui::GetCursorScreenPos().y;
    if (picker.scroll_to_cursor) {
        picker.scroll_to_cursor = false;
        const auto moved = std::find_if(rows.begin(), rows.end(), [&](const PickerRow& row) {
            return row.path == picker.cursor;
        });
        const float top = row_height * static_cast<float>(moved - rows.begin());
        const float scroll = ImGui::GetScrollY();
        if (top < scroll) {
            ImGui::SetScrollY(top);
        } else if (top + row_height > scroll + list_height) {
            ImGui::SetScrollY(top + row_height - list_height);
        }
    }
    // Rows that are out of sight cost nothing.
    const auto first = static_cast<size_t>(std::max(0.0F, (list_at.y - begin) / row_height));
    const size_t last =
        std::min(rows.size(), first + static_cast<size_t>(std::ceil(list_height / row_height)) + 1);
    for (size_t i = std::min(first, rows.size()); i < last; i++) {
        draw_row(state, rows[i], columns, begin + row_height * static_cast<float>(i), row_height,
                 i == cursor);
    }
    ImGui::SetCursorScreenPos({at.x, begin});
    ImGui::Dummy({1, row_height * static_cast<float>(rows.size())});
    ImGui::EndChild();
    draw_text(
        list, small, {left, at.y + size.y - foot + px(6)}, colour::kTextDim,
        ellipsize(small,
                  "Space ticks \u00B7 F full  O outline  N name only  B before the question \u00B7 "
                  "\u2190 \u2192 folders \u00B7 / filter \u00B7 S order \u00B7 L ten largest "
                  "\u00B7 M secrets \u00B7 Esc done",
                  right - left));
    ImGui::EndChild();
}

}  // namespace app::window
