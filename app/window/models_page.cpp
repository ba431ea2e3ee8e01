// The models page: on the left the files that were found, on the right what the chosen one is and
// where its bytes would go, before anything is loaded.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <sstream>

#include "app/window/app_state.h"
#include "app/window/compat.h"
#include "app/window/controls.h"
#include "app/window/format.h"
#include "app/window/text_field.h"
#include "app/window/text_run.h"

namespace app::window {
namespace {

constexpr int64_t kSmallestContext = 512;

class ModelsPage {
public:
    explicit ModelsPage(AppState& state)
        : state_(state), view_(state.models), scale_(state.fonts.scale) {}

    void list(ImVec2 at, ImVec2 size);
    void details(ImVec2 at, ImVec2 size);

private:
    float px(float units) const { return std::round(units * scale_); }
    ImDrawList* draw() const { return ImGui::GetWindowDrawList(); }
    bool is_loaded(const ModelEntry& entry) const {
        return entry.file.path == state_.model.path &&
               state_.model.state == ModelView::State::ready;
    }
    void section(const char* title);
    void row(const ModelEntry& entry, float width);
    float facts(const ModelEntry& entry, float x, float y, float width);
    float remarks(const ModelEntry& entry, float x, float y, float width);
    float choices(const ModelEntry& entry, float x, float y, float width);
    float plan(float x, float y, float width);
    float loading(const ModelEntry& entry, float x, float y, float width);
    void apply(const std::string& suggestion);

    AppState& state_;
    ModelsView& view_;
    float scale_;
};

std::string title_of(const ModelEntry& entry) {
    return entry.read && !entry.facts.name.empty() ? entry.facts.name : entry.file.name;
}

void ModelsPage::section(const char* title) {
    const ImVec2 at = ImGui::GetCursorScreenPos();
    draw_text(draw(), state_.fonts.small, {at.x + px(12), at.y + px(12)}, colour::kTextDim, title);
    ImGui::Dummy({1, px(32)});
}

void ModelsPage::row(const ModelEntry& entry, float width) {
    const ImVec2 at = ImGui::GetCursorScreenPos();
    const float height = px(56);
    ImGui::PushID(entry.file.path.c_str());
    const Click click = click_area("model", at, {width, height});
    if (click.clicked) {
        view_.actions->select_model(entry.file.path);
    }
    if (ImGui::IsItemHovered() && ImGui::IsMouseDoubleClicked(0) && entry.facts.usable) {
        view_.actions->load_selected();
    }
    ImGui::PopID();
    const bool chosen = entry.file.path == view_.selected;
    if (chosen || click.hovered) {
        draw()->AddRectFilled(at, {at.x + width, at.y + height},
                              chosen ? colour::kActive : colour::kHover, px(8));
    }
    const char* badge = nullptr;
    ImU32 ink = colour::kTextDim;
    if (is_loaded(entry)) {
        badge = "loaded";
        ink = colour::kGood;
    } else if (entry.file.bytes == 0) {
        badge = "gone";
        ink = colour::kError;
    } else if (entry.read && !entry.facts.usable) {
        badge = "cannot run";
        ink = colour::kError;
    } else if (entry.demo) {
        badge = "demo";
        ink = colour::kWarning;
    }
    const float badge_width = badge ? text_width(state_.fonts.small, badge) + px(12) : 0;
    draw_text(draw(), state_.fonts.body, {at.x + px(12), at.y + px(9)}, colour::kText,
              ellipsize(state_.fonts.body, title_of(entry), width - px(24) - badge_width));
    if (badge) {
        draw_text_right(draw(), state_.fonts.small, at.x + width - px(12), at.y + px(11), ink,
                        badge);
    }
    std::string detail;
    const auto add = [&](const std::string& word) {
        detail += (detail.empty() || word.empty() ? "" : " \u00B7 ") + word;
    };
    add(entry.read ? entry.facts.type : "");
    add(entry.file.bytes > 0 ? bytes_text(entry.file.bytes) : "");
    add(entry.read && entry.facts.mla ? "MLA" : "");
    add(entry.file.place == "recent" ? "" : entry.file.place);
    draw_text(draw(), state_.fonts.small, {at.x + px(12), at.y + px(31)}, colour::kTextDim,
              ellipsize(state_.fonts.small, detail, width - px(24)));
}

void ModelsPage::list(ImVec2 at, ImVec2 size) {
    draw()->AddRectFilled(at, {at.x + size.x, at.y + size.y}, colour::kPanel);
    draw()->AddLine({at.x + size.x - 1, at.y}, {at.x + size.x - 1, at.y + size.y}, colour::kLine);
    const float pad = px(12), inner = size.x - 2 * pad;
    float y = at.y + pad;
    ButtonLook look = secondary_look();
    look.height = 30;
    const float add_width = button_size(state_, "Add", look).x;
    ImGui::SetCursorScreenPos({at.x + pad, y});
    const bool entered = input_line(state_, "path", view_.typed, inner - add_width - px(8),
                                    "Path of a GGUF file or a folder", false);
    const bool pressed =
        button(state_, "add", {at.x + pad + inner - add_width, y}, "Add", look).clicked;
    if ((entered || pressed) && !view_.typed.empty()) {
        view_.actions->add_model_path(view_.typed);
    }
    y += px(40);
    if (!view_.problem.empty()) {
        y += note_card(state_, {at.x + pad, y}, inner, NoteKind::error, view_.problem) + px(8);
    }
    const float foot = px(44);
    begin_region("model_list", {at.x + px(4), y}, {size.x - px(5), at.y + size.y - foot - y}, true);
    const float width = size.x - px(20);
    ImGui::SetCursorPosX(px(4));
    const auto group = [&](const char* title, auto&& belongs) {
        bool first = true;
        for (const ModelEntry& entry : view_.entries) {
            if (!belongs(entry)) {
                continue;
            }
            if (first) {
                ImGui::SetCursorPosX(px(4));
                section(title);
                first = false;
            }
            ImGui::SetCursorPosX(px(4));
            row(entry, width);
        }
    };
    ImGui::PushStyleVar(ImGuiStyleVar_ItemSpacing, {0, 0});
    group("RECENT", [](const ModelEntry& e) { return e.recent; });
    group("FOUND ON THIS COMPUTER",
          [](const ModelEntry& e) { return !e.recent && !e.demo && (!e.read || e.facts.usable); });
    group("COMES WITH KEYHOLE", [](const ModelEntry& e) { return e.demo && !e.recent; });
    group("OTHER MODELS",
          [](const ModelEntry& e) { return !e.recent && !e.demo && e.read && !e.facts.usable; });
    ImGui::PopStyleVar();
    ImGui::EndChild();

    const float foot_y = at.y + size.y - foot;
    draw()->AddLine({at.x, foot_y}, {at.x + size.x - 1, foot_y}, colour::kLine);
    ButtonLook again;
    again.font = state_.fonts.small;
    again.text = colour::kAccentText;
    again.height = 28;
    again.pad_x = 8;
    const char* word = "Look again";
    const float again_width = view_.scanning ? 0 : button_size(state_, word, again).x;
    const std::string status = view_.scanning ? "Looking in " + view_.looking_in + "\u2026"
                               : view_.places.empty()
                                   ? "No folder of models is known here"
                                   : "Looked in " + std::to_string(view_.places.size()) +
                                         (view_.places.size() == 1 ? " folder" : " folders");
    draw_text(draw(), state_.fonts.small,
              {at.x + px(16), centred(state_.fonts.small, foot_y, foot)}, colour::kTextDim,
              ellipsize(state_.fonts.small, status, size.x - px(32) - again_width));
    const ImVec2 status_low{at.x + px(16), foot_y};
    if (ImGui::IsMouseHoveringRect(status_low, {status_low.x + size.x / 2, foot_y + foot}) &&
        !view_.places.empty()) {
        std::string all = "Looked through:";
        for (const std::string& place : view_.places) {
            all += "\n" + place;
        }
        tooltip(state_, all);
    }
    if (!view_.scanning &&
        button(state_, "again", {at.x + size.x - px(12) - again_width, foot_y + px(8)}, word, again)
            .clicked) {
        view_.actions->scan_models();
    }
}

// Two columns of what the file says.
float ModelsPage::facts(const ModelEntry& entry, float x, float y, float width) {
    const ModelFacts& f = entry.facts;
    std::vector<std::pair<std::string, std::string>> rows;
    rows.emplace_back("Type", f.type.empty() ? "not known" : f.type);
    rows.emplace_back(
        "Size",
        bytes_text(entry.file.bytes) +
            (entry.file.parts > 1 ? " in " + std::to_string(entry.file.parts) + " parts" : ""));
    rows.emplace_back("Attention", f.mla ? "MLA, " + bytes_text(f.bytes_per_token) + " a token"
                                         : "not the MLA of GLM-4.7-Flash");
    if (f.n_layers > 0) {
        rows.emplace_back("Layers",
                          with_commas(f.n_layers) +
                              (f.n_experts > 0 ? ", " + with_commas(f.n_experts) + " experts, " +
                                                     with_commas(f.n_experts_used) + " used"
                                               : ""));
        rows.emplace_back("Draft layer (MTP)", f.n_mtp_layers > 0
                                                   ? with_commas(f.n_mtp_layers) + ", set aside"
                                                   : "none");
        rows.emplace_back("Trained for", with_commas(f.context_length) + " tokens");
    }
    if (!f.dialect.empty()) {
        rows.emplace_back("Written by", f.dialect);
    }
    rows.emplace_back("Architecture", f.architecture.empty() ? "not known" : f.architecture);
    const bool two = width > px(560);
    const float column = two ? (width - px(32)) / 2 : width, line = px(24);
    const size_t per_column = two ? (rows.size() + 1) / 2 : rows.size();
    for (size_t i = 0; i < rows.size(); i++) {
        const float row_x = std::round(x + (i >= per_column ? column + px(32) : 0));
        const float row_y = y + line * static_cast<float>(i % per_column);
        draw_text(draw(), state_.fonts.small, {row_x, row_y + px(4)}, colour::kTextDim,
                  rows[i].first);
        draw_text(draw(), state_.fonts.small, {row_x + px(120), row_y + px(4)}, colour::kText,
                  ellipsize(state_.fonts.small, rows[i].second, column - px(120)));
    }
    return y + line * static_cast<float>(per_column);
}

float ModelsPage::remarks(const ModelEntry& entry, float x, float y, float width) {
    const auto card = [&](NoteKind kind, const std::string& text) {
        y += note_card(state_, {x, y}, width, kind, text) + px(8);
    };
    for (size_t i = 0; i < std::min<size_t>(entry.facts.problems.size(), 4); i++) {
        card(NoteKind::error, "Keyhole cannot run this file: " + entry.facts.problems[i]);
    }
    for (size_t i = 0; i < std::min<size_t>(entry.facts.notes.size(), 4); i++) {
        card(NoteKind::plain, entry.facts.notes[i]);
    }
    if (entry.read && !entry.facts.usable && entry.file.bytes > 0) {
        card(NoteKind::plain,
             "Keyhole runs GGUF files of GLM-4.7-Flash in F16, BF16, Q8_0, Q2_K to Q6_K, IQ4 and "
             "MXFP4. Another quantization of the same model will do.");
    }
    if (entry.demo) {
        card(
            NoteKind::warning,
            "This is the small demo model that comes with the program. It shows what Keyhole does; "
            "what it says is often wrong. For the real one, " +
                state_.demo_hint +
                ". Put it into any folder in the list on the left, or type its path above.");
    }
    return y;
}

void ModelsPage::apply(const std::string& suggestion) {
    std::istringstream words(suggestion);
    std::string flag, value;
    while (words >> flag) {
        if (flag == "-c" && words >> value) {
            std::from_chars(value.data(), value.data() + value.size(), view_.choice.ctx_size);
        } else if (flag == "-ctk" && words >> value) {
            view_.choice.cache_type = value;
        } else if (flag == "-ncmoe" && words >> value) {
            std::from_chars(value.data(), value.data() + value.size(), view_.choice.cpu_moe_layers);
        }
    }
    view_.actions->plan_changed();
}

float ModelsPage::choices(const ModelEntry& entry, float x, float y, float width) {
    LoadChoice& choice = view_.choice;
    const float label = px(132), track_x = x + label, right = px(156);
    const float track = std::max(px(120), width - label - right - px(16));
    const auto name = [&](const char* text) {
        draw_text(draw(), state_.fonts.body, {x, centred(state_.fonts.body, y, px(28))},
                  colour::kTextSoft, text);
    };

    // Equal steps of the slider are equal factors of the context.
    name("Context");
    const auto longest =
        static_cast<double>(std::max(entry.facts.context_length, kSmallestContext + 1));
    const double low = std::log(static_cast<double>(kSmallestContext)), high = std::log(longest);
    const int64_t shown = choice.ctx_size > 0 ? choice.ctx_size
                          : view_.planned     ? view_.plan.ctx_size
                                              : entry.facts.context_length;
    double value = std::clamp(
        (std::log(static_cast<double>(std::max<int64_t>(shown, 1))) - low) / (high - low), 0.0,
        1.0);
    if (slider(state_, "context", {track_x, y + px(2)}, track, value, 0.02)) {
        const double tokens = std::exp(low + value * (high - low));
        const int64_t step = tokens < 8192 ? 64 : 1024;
        choice.ctx_size =
            value >= 1
                ? entry.facts.context_length
                : std::max(
                      kSmallestContext,
                      static_cast<int64_t>(std::lround(tokens / static_cast<double>(step))) * step);
        view_.actions->plan_changed();
    }
    draw_text_right(draw(), state_.fonts.body, x + width, centred(state_.fonts.body, y, px(28)),
                    colour::kText, with_commas(shown) + " tokens");
    y += px(32);
    bool all = choice.ctx_size == 0;
    if (toggle(state_, "all", {track_x, y + px(4)}, all)) {
        choice.ctx_size = all ? 0 : std::max(shown, kSmallestContext);
        view_.actions->plan_changed();
    }
    draw_text(draw(), state_.fonts.small,
              {track_x + px(44), centred(state_.fonts.small, y, px(28))}, colour::kTextDim,
              "as much as fits");
    y += px(36);

    name("K cache");
    std::vector<std::string> types = view_.cache_types;
    size_t type = 0;
    for (size_t i = 0; i < types.size(); i++) {
        if (types[i] == choice.cache_type) {
            type = i;
        }
        if (types[i].empty()) {
            types[i] = "auto";
        }
    }
    if (segments(state_, "cache", {track_x, y}, types, type)) {
        choice.cache_type = view_.cache_types[type];
        view_.actions->plan_changed();
    }
    if (view_.planned) {
        draw_text_right(draw(), state_.fonts.body, x + width, centred(state_.fonts.body, y, px(28)),
                        colour::kText, bytes_text(view_.plan.bytes_per_token) + " a token");
    }
    y += px(36);

    name("Device");
    if (view_.devices.size() > 1) {
        size_t device = 0;
        for (size_t i = 0; i < view_.devices.size(); i++) {
            device = view_.devices[i] == choice.device ? i : device;
        }
        if (segments(state_, "device", {track_x, y}, view_.devices, device)) {
            choice.device = view_.devices[device];
            view_.actions->plan_changed();
        }
    } else {
        draw_text(draw(), state_.fonts.body, {track_x, centred(state_.fonts.body, y, px(28))},
                  colour::kText, "CPU");
        draw_text(draw(), state_.fonts.small,
                  {track_x + px(44), centred(state_.fonts.small, y, px(28))}, colour::kTextDim,
                  ellipsize(state_.fonts.small, "no card that this build can use was found",
                            width - label - px(44)));
    }
    y += px(36);
    if (choice.device != "cpu" && entry.facts.n_layers > 0) {
        // What a card has no room for are the routed experts, by far the most of a model.
        name("Layers on the card");
        const int64_t layers = entry.facts.n_layers;
        const int64_t off = choice.cpu_moe_layers >= 0 ? choice.cpu_moe_layers
                            : view_.planned            ? view_.plan.cpu_moe_layers
                                                       : 0;
        double part = static_cast<double>(layers - std::clamp<int64_t>(off, 0, layers)) /
                      static_cast<double>(layers);
        if (slider(state_, "layers", {track_x, y + px(2)}, track, part,
                   1.0 / static_cast<double>(layers))) {
            choice.cpu_moe_layers = layers - std::lround(part * static_cast<double>(layers));
            view_.actions->plan_changed();
        }
        draw_text_right(draw(), state_.fonts.body, x + width, centred(state_.fonts.body, y, px(28)),
                        colour::kText, with_commas(layers - off) + " of " + with_commas(layers));
        y += px(32);
        bool automatic = choice.cpu_moe_layers < 0;
        if (toggle(state_, "as many", {track_x, y + px(4)}, automatic)) {
            choice.cpu_moe_layers = automatic ? -1 : off;
            view_.actions->plan_changed();
        }
        draw_text(draw(), state_.fonts.small,
                  {track_x + px(44), centred(state_.fonts.small, y, px(28))}, colour::kTextDim,
                  "as many as fit; the CPU computes the others' experts");
        y += px(36);
    }
    return y;
}

// Where the bytes go: a bar per device, and its parts in words.
float ModelsPage::plan(float x, float y, float width) {
    const runtime::MemoryPlan& plan = view_.plan;
    if (!view_.plan_problem.empty()) {
        return y + note_card(state_, {x, y}, width, NoteKind::error, view_.plan_problem) + px(8);
    }
    if (!view_.planned) {
        draw_text(draw(), state_.fonts.small, {x, y}, colour::kTextDim, "Planning\u2026");
        return y + px(24);
    }
    for (const auto& device : plan.devices) {
        struct Part {
            const char* name;
            int64_t bytes;
            ImU32 ink;
        };
        const Part parts[] = {{"weights", device.weights_bytes, colour::kWeights},
                              {"K cache", device.kv_bytes, colour::kKeys},
                              {"compute", device.compute_bytes, colour::kCompute},
                              {"other programs", device.other_bytes, colour::kOthers},
                              {"free", device.free_bytes, colour::kTrack}};
        draw_text(draw(), state_.fonts.body, {x, y}, colour::kText,
                  ellipsize(state_.fonts.body, device.name, width - px(120)));
        draw_text_right(draw(), state_.fonts.body, x + width, y, colour::kTextSoft,
                        bytes_text(device.total_bytes));
        y += px(24);
        const float bar = px(16);
        draw()->AddRectFilled({x, y}, {x + width, y + bar}, colour::kTrack, px(4));
        int64_t sum = 0;
        for (const Part& part : parts) {
            sum += std::max<int64_t>(0, part.bytes);
        }
        const auto whole = static_cast<double>(std::max({device.total_bytes, sum, int64_t{1}}));
        double from = 0;
        for (const Part& part : parts) {
            const double to = from + static_cast<double>(std::max<int64_t>(0, part.bytes));
            const float left = x + std::round(static_cast<float>(from / whole) * width);
            const float right = x + std::round(static_cast<float>(to / whole) * width);
            if (part.ink != colour::kTrack && right > left) {
                draw()->AddRectFilled({left, y}, {right, y + bar}, part.ink, px(2));
            }
            from = to;
        }
        // What does not fit stands out behind the end of the memory.
        const float end =
            x +
            std::round(static_cast<float>(static_cast<double>(device.total_bytes) / whole) * width);
        if (sum > device.total_bytes && end < x + width) {
            draw_hatched(draw(), {end, y}, {x + width, y + bar}, colour::kErrorCard, colour::kError,
                         px(6));
        }
        y += bar + px(12);
        float word_x = x;
        for (const Part& part : parts) {
            const std::string words = std::string(part.name) + " " + bytes_text(part.bytes);
            const float word = text_width(state_.fonts.small, words) + px(36);
            if (word_x > x && word_x + word > x + width) {
                word_x = x;
                y += px(20);
            }
            draw()->AddRectFilled({word_x, y + px(3)}, {word_x + px(10), y + px(13)}, part.ink,
                                  px(2));
            draw_text(draw(), state_.fonts.small, {word_x + px(16), y}, colour::kTextSoft, words);
            word_x += word;
        }
        y += px(28);
    }
    draw_text(draw(), state_.fonts.small, {x, y}, colour::kTextDim,
              ellipsize(state_.fonts.small,
                        "V cache 0 B (" + bytes_text(plan.with_v_bytes - plan.k_bytes) +
                            " less than K and V beside each other) \u00B7 at most " +
                            with_commas(plan.max_ctx_size) + " tokens fit",
                        width));
    y += px(24);
    for (const runtime::MemoryPlan::Choice& decided : plan.choices) {
        y += note_card(state_, {x, y}, width, NoteKind::plain,
                       decided.what + ": " + decided.reason) +
             px(8);
    }
    for (const std::string& note : plan.notes) {
        y += note_card(state_, {x, y}, width, NoteKind::plain, note) + px(8);
    }
    if (!plan.fits) {
        std::string text = "Does not fit: " + plan.problem;
        if (view_.freed_bytes > 0) {
            text += ". The loaded model gives back " + bytes_text(view_.freed_bytes) +
                    " when this one is loaded.";
        }
        y += note_card(state_, {x, y}, width, NoteKind::error, text) + px(8);
        float button_x = x;
        for (size_t i = 0; i < plan.suggestions.size(); i++) {
            ButtonLook look = secondary_look();
            look.height = 28;
            ImGui::PushID(static_cast<int>(i));
            ImVec2 size;
            if (button(state_, "suggestion", {button_x, y}, "Use " + plan.suggestions[i], look,
                       &size)
                    .clicked) {
                apply(plan.suggestions[i]);
            }
            ImGui::PopID();
            button_x += size.x + px(8);
        }
        y += plan.suggestions.empty() ? 0 : px(36);
    }
    return y;
}

float ModelsPage::loading(const ModelEntry& entry, float x, float y, float width) {
    const bool under_way = state_.model.state == ModelView::State::loading;
    if (!view_.load_problem.empty() && !under_way) {
        y += note_card(state_, {x, y}, width, NoteKind::error,
                       "It was not loaded: " + view_.load_problem) +
             px(8);
    }
    if (under_way) {
        draw_text(draw(), state_.fonts.body, {x, centred(state_.fonts.body, y, px(32))},
                  colour::kText,
                  ellipsize(state_.fonts.body,
                            "Loading " + state_.model.loading_name + ", " +
                                fixed(state_.model.load_progress * 100, 0) + " %",
                            width - px(120)));
        const ButtonLook look = secondary_look();
        const float stop = button_size(state_, "Cancel", look).x;
        if (button(state_, "cancel", {x + width - stop, y}, "Cancel", look).clicked) {
            view_.actions->cancel_loading();
        }
        y += px(40);
        draw()->AddRectFilled({x, y}, {x + width, y + px(6)}, colour::kTrack, px(3));
        draw()->AddRectFilled(
            {x, y},
            {x + std::max(px(6), width * static_cast<float>(state_.model.load_progress)),
             y + px(6)},
            colour::kAccent, px(3));
        return y + px(24);
    }
    const bool can = entry.file.bytes > 0 && (!entry.read || entry.facts.usable);
    ImVec2 size{0, 0};
    if (can) {
        const std::string word = is_loaded(entry) ? "Load again with these" : "Load";
        ButtonLook look = primary_look();
        look.enabled = !view_.planned || view_.plan.fits;
        if (!look.enabled) {
            look.fill = colour::kChip;
        }
        if (button(state_, "load", {x, y}, word, look, &size).clicked) {
            view_.actions->load_selected();
        }
        if (is_loaded(entry)) {
            draw_text(draw(), state_.fonts.small,
                      {x + size.x + px(16), centred(state_.fonts.small, y, px(32))}, colour::kGood,
                      "This model is loaded");
        }
    }
    if (entry.recent && !is_loaded(entry)) {
        const ButtonLook look = secondary_look();
        if (button(state_, "forget", {x + size.x + (can ? px(8) : 0), y}, "Forget", look).clicked) {
            view_.actions->forget_model(entry.file.path);
        }
    }
    return y + px(48);
}

void ModelsPage::details(ImVec2 at, ImVec2 size) {
    begin_region("model_details", at, size, true);
    const ModelEntry* found = view_.find(view_.selected);
    const float pad = px(24), x = at.x + pad;
    const float width = std::min(px(760), size.x - 2 * pad - px(10));
    float y = ImGui::GetCursorScreenPos().y + px(20);
    if (!found) {
        const std::string lead =
            view_.entries.empty() ? "No model file was found yet" : "Choose a file on the left";
        draw_text(draw(), state_.fonts.heading, {x, y}, colour::kText, lead);
        y += px(32);
        draw_wrapped(draw(), state_.fonts.body, {x, y}, width, colour::kTextDim,
                     "To get the model: " + state_.demo_hint +
                         ". Keyhole looks into the folders of Hugging Face, LM Studio, llama.cpp, "
                         "Ollama and Jan, and into ~/models and Downloads.");
        ImGui::EndChild();
        return;
    }
    const ModelEntry entry = *found;  // what is pressed may change the list
    draw_text(draw(), state_.fonts.heading, {x, y}, colour::kText,
              ellipsize(state_.fonts.heading, title_of(entry), width));
    y += px(28);
    ButtonLook copy;
    copy.font = state_.fonts.small;
    copy.text = colour::kAccentText;
    copy.height = 24;
    copy.pad_x = 8;
    const char* word = just_copied(state_, "model path") ? "Copied" : "Copy path";
    const float copy_width = button_size(state_, word, copy).x;
    draw_text(draw(), state_.fonts.small, {x, centred(state_.fonts.small, y, px(24))},
              colour::kTextDim,
              ellipsize(state_.fonts.small, entry.file.path, width - copy_width - px(8)));
    if (button(state_, "copy", {x + width - copy_width, y}, word, copy).clicked) {
        copy_and_note(state_, entry.file.path, "model path");
    }
    y += px(36);
    if (entry.file.bytes == 0) {
        y += note_card(state_, {x, y}, width, NoteKind::error,
                       "This file is no longer there. If it was moved, type its new path on the "
                       "left; if not, forget it.") +
             px(12);
    } else if (!entry.read) {
        draw_text(draw(), state_.fonts.small, {x, y}, colour::kTextDim, "Reading the file\u2026");
        y += px(28);
    } else {
        y = facts(entry, x, y, width) + px(12);
        y = remarks(entry, x, y, width) + px(12);
    }
    if (entry.read && entry.facts.usable) {
        draw()->AddLine({x, y}, {x + width, y}, colour::kLine);
        y += px(16);
        draw_text(draw(), state_.fonts.bold, {x, y}, colour::kText, "Memory, before loading");
        y += px(32);
        y = choices(entry, x, y, width) + px(8);
        y = plan(x, y, width) + px(8);
    }
    y = loading(entry, x, y, width);
    ImGui::SetCursorScreenPos({x, y});
    ImGui::Dummy({1, px(12)});
    ImGui::EndChild();
}

}  // namespace

void draw_models_page(AppState& state, ImVec2 at, ImVec2 size) {
    const auto px = [&](float units) { return std::round(units * state.fonts.scale); };
    begin_region("models_page", at, size);
    const float head = draw_page_head(state, at, size.x, "Models");
    const float list = std::round(std::clamp(size.x * 0.32F, px(240), px(400)));
    ModelsPage page(state);
    page.list({at.x, at.y + head}, {list, size.y - head});
    page.details({at.x + list, at.y + head}, {size.x - list, size.y - head});
    ImGui::EndChild();
}

}  // namespace app::window
