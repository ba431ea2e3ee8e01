// The settings page: how answers are made, how the window looks, which keys do what, and where it
// all is kept. What is changed applies at once.
#include <algorithm>
#include <cmath>

#include "app/presets.h"
#include "app/window/app_state.h"
#include "app/window/commands.h"
#include "app/window/controls.h"
#include "app/window/format.h"
#include "app/window/text_field.h"
#include "app/window/text_run.h"

namespace app::window {
namespace {

class SettingsView {
public:
    SettingsView(AppState& state, Settings& settings)
        : state_(state),
          page_(state.settings_page),
          settings_(settings),
          scale_(state.fonts.scale) {}

    void sections(ImVec2 at, ImVec2 size);
    void content(ImVec2 at, ImVec2 size);

private:
    float px(float units) const { return std::round(units * scale_); }
    ImDrawList* draw() const { return ImGui::GetWindowDrawList(); }
    void changed() { page_.actions->settings_changed(); }
    void title(const char* text);
    void words(const std::string& text);
    // A value from `low` to `high`; `shown` is what stands at the right.
    bool value(const char* name,
               double& value,
               double low,
               double high,
               double step,
               const std::string& shown);
    void answers();
    void presets();
    void appearance();
    void font(const char* name, std::string& family, bool mono);
    void keyboard();
    void files();

    AppState& state_;
    SettingsPage& page_;
    Settings& settings_;
    float scale_;
    float x_ = 0, y_ = 0, width_ = 0;
};

void SettingsView::sections(ImVec2 at, ImVec2 size) {
    draw()->AddRectFilled(at, {at.x + size.x, at.y + size.y}, colour::kPanel);
    draw()->AddLine({at.x + size.x - 1, at.y}, {at.x + size.x - 1, at.y + size.y}, colour::kLine);
    static constexpr const char* kNames[] = {"Answers", "Appearance", "Keyboard", "Files"};
    float y = at.y + px(12);
    for (size_t i = 0; i < std::size(kNames); i++) {
        const ImVec2 low{at.x + px(8), y};
        const ImVec2 box{size.x - px(17), px(36)};
        ImGui::PushID(static_cast<int>(i));
        const Click click = click_area("section", low, box);
        ImGui::PopID();
        const bool is = static_cast<size_t>(page_.section) == i;
        if (is || click.hovered) {
            draw()->AddRectFilled(low, {low.x + box.x, low.y + box.y},
                                  is ? colour::kActive : colour::kHover, px(6));
        }
        draw_text(draw(), state_.fonts.body,
                  {low.x + px(12), centred(state_.fonts.body, low.y, box.y)}, colour::kText,
                  kNames[i]);
        if (click.clicked) {
            page_.section = static_cast<SettingsPage::Section>(i);
        }
        y += px(40);
    }
}

void SettingsView::title(const char* text) {
    draw_text(draw(), state_.fonts.bold, {x_, y_}, colour::kText, text);
    y_ += px(28);
}

void SettingsView::words(const std::string& text) {
    y_ +=
        draw_wrapped(draw(), state_.fonts.small, {x_, y_}, width_, colour::kTextDim, text) + px(12);
}

bool SettingsView::value(const char* name,
                         double& value,
                         double low,
                         double high,
                         double step,
                         const std::string& shown) {
    const float label = px(168), right = px(108);
    draw_text(draw(), state_.fonts.body, {x_, centred(state_.fonts.body, y_, px(28))},
              colour::kTextSoft, name);
    double part = std::clamp((value - low) / (high - low), 0.0, 1.0);
    const bool moved = slider(state_, name, {x_ + label, y_ + px(2)},
                              std::max(px(80), width_ - label - right), part, step / (high - low));
    if (moved) {
        value = low + std::round(part * (high - low) / step) * step;
    }
    draw_text_right(draw(), state_.fonts.body, x_ + width_, centred(state_.fonts.body, y_, px(28)),
                    colour::kText, shown);
    y_ += px(36);
    return moved;
}

void SettingsView::presets() {
    title("Preset");
    const std::vector<Preset> all = all_presets(settings_);
    float x = x_;
    for (const Preset& preset : all) {
        ButtonLook look = secondary_look();
        const bool is = preset.name == settings_.preset;
        if (is) {
            look.fill = colour::kAccent;
            look.hover = colour::kAccentHover;
            look.border = colour::kAccent;
            look.text = colour::kOnAccent;
        }
        const std::string name = ellipsize(state_.fonts.body, preset.name, px(200));
        const float button_width = button_size(state_, name, look).x;
        if (x > x_ && x + button_width > x_ + width_) {
            x = x_;
            y_ += px(40);
        }
        ImGui::PushID(preset.name.c_str());
        if (button(state_, "preset", {x, y_}, name, look).clicked) {
            page_.actions->choose_preset(preset.name);
        }
        ImGui::PopID();
        x += button_width + px(8);
    }
    y_ += px(40);
    if (is_built_in(settings_.preset) && !preset_changed(settings_)) {
        words(settings_.preset == "Chat"
                  ? "What the model's makers recommend for most tasks."
                  : "What the model's makers recommend for agents that call tools and write code.");
    }
    if (preset_changed(settings_)) {
        // Under the same name, if that is a person's own; under another one always.
        ImGui::SetCursorScreenPos({x_, y_});
        const bool entered =
            input_line(state_, "preset_name", page_.preset_name, std::min(px(220), width_ * 0.4F),
                       "Name of a preset", false);
        float right = x_ + std::min(px(220), width_ * 0.4F) + px(8);
        ButtonLook look = secondary_look();
        look.height = 30;
        ImVec2 size;
        const std::string name = page_.preset_name.empty() && !is_built_in(settings_.preset)
                                     ? settings_.preset
                                     : page_.preset_name;
        look.enabled = !name.empty() && !is_built_in(name);
        if (button(state_, "save", {right, y_}, "Save", look, &size).clicked ||
            (entered && look.enabled)) {
            page_.actions->save_preset(name);
            page_.preset_name.clear();
        }
        right += size.x + px(8);
        look.enabled = true;
        if (button(state_, "reset", {right, y_}, "Back to \u201C" + settings_.preset + "\u201D",
                   look)
                .clicked) {
            page_.actions->choose_preset(settings_.preset);
        }
        y_ += px(44);
    } else if (!is_built_in(settings_.preset)) {
        ButtonLook look = secondary_look();
        look.height = 28;
        if (button(state_, "delete", {x_, y_}, "Delete this preset", look).clicked) {
            page_.actions->delete_preset(settings_.preset);
        }
        y_ += px(40);
    }
    y_ += px(8);
}

void SettingsView::answers() {
    presets();
    title("System prompt");
    const float height = px(132);
    if (text_area(state_, "system_prompt", page_.system_prompt, page_.editing_prompt,
                  page_.prompt_scroll, {x_, y_}, {width_, height},
                  "Stands before every conversation. Empty: none.")) {
        settings_.system_prompt = page_.system_prompt.text();
        changed();
    }
    y_ += height + px(8);
    words(
        "Applies from the next question on. It stands at the beginning, so a conversation is "
        "read anew when it changes.");
    y_ += px(8);
    title("Sampling");
    if (value("Temperature", settings_.temperature, 0, 2, 0.05,
              settings_.temperature == 0 ? "0: always the likeliest"
                                         : fixed(settings_.temperature, 2))) {
        changed();
    }
    if (value("Top p", settings_.top_p, 0.05, 1, 0.01,
              settings_.top_p >= 1 ? "off" : fixed(settings_.top_p, 2))) {
        changed();
    }
    auto top_k = static_cast<double>(settings_.top_k);
    if (value("Top k", top_k, 0, 200, 1,
              settings_.top_k == 0 ? "off" : std::to_string(settings_.top_k))) {
        settings_.top_k = std::lround(top_k);
        changed();
    }
    if (value("Min p", settings_.min_p, 0, 0.5, 0.01,
              settings_.min_p <= 0 ? "off" : fixed(settings_.min_p, 2))) {
        changed();
    }
    if (value("Repetition penalty", settings_.repetition_penalty, 1, 1.5, 0.01,
              settings_.repetition_penalty <= 1 ? "off" : fixed(settings_.repetition_penalty, 2))) {
        changed();
    }
    y_ += px(8);
    title("Answer");
    bool thinking = state_.thinking;
    draw_text(draw(), state_.fonts.body, {x_, centred(state_.fonts.body, y_, px(28))},
              colour::kTextSoft, "Think first");
    if (toggle(state_, "thinking", {x_ + px(168), y_ + px(4)}, thinking)) {
        state_.actions->toggle_thinking();
    }
    y_ += px(36);
    auto reserve = static_cast<double>(settings_.answer_reserve_tokens);
    if (value("Kept free for it", reserve, 256, 32'768, 256,
              with_commas(settings_.answer_reserve_tokens) + " tokens")) {
        settings_.answer_reserve_tokens = std::lround(reserve);
        changed();
    }
    words(
        "At most a quarter of the context. A prompt that would reach into it is asked about "
        "before it is sent.");
}

void SettingsView::font(const char* name, std::string& family, bool mono) {
    draw_text(draw(), state_.fonts.body, {x_, centred(state_.fonts.body, y_, px(32))},
              colour::kTextSoft, name);
    const std::string own =
        mono ? "JetBrains Mono (comes with Keyhole)" : "Inter (comes with Keyhole)";
    const ButtonLook look = secondary_look();
    const std::string label =
        ellipsize(state_.fonts.body, family.empty() ? own : family, width_ - px(200));
    if (button(state_, name, {x_ + px(168), y_}, label, look).clicked) {
        std::vector<PaletteItem> items;
        const auto add = [&](const std::string& title, const std::string& value) {
            items.push_back(
                {title, value == family ? "in use" : "", [value, mono](AppState& state) {
                     Settings& settings = *state.settings_page.settings;
                     (mono ? settings.code_font : settings.text_font) = value;
                     state.settings_page.actions->settings_changed();
                 }});
        };
        add(own, "");
        for (const std::string& one : mono ? page_.mono_families : page_.families) {
            add(one, one);
        }
        open_palette(state_, mono ? "Font for code" : "Font for text", std::move(items));
    }
    y_ += px(40);
}

void SettingsView::appearance() {
    if (!page_.fonts_listed) {
        page_.actions->list_fonts();
    }
    title("Theme");
    size_t theme = static_cast<size_t>(theme_named(settings_.theme));
    if (segments(state_, "theme", {x_, y_}, {"Dark", "Light", "High contrast"}, theme)) {
        settings_.theme = kThemeNames[theme];
        changed();
    }
    y_ += px(48);
    title("Size");
    // Faces are made anew for every size: when the slider is let go.
    double zoom = page_.zoom > 0 ? page_.zoom : settings_.zoom;
    if (value("Zoom", zoom, 0.5, 3, 0.1, fixed(zoom * 100, 0) + " %")) {
        page_.zoom = zoom;
    }
    if (page_.zoom > 0 && !ImGui::IsMouseDown(0)) {
        settings_.zoom = page_.zoom;
        page_.zoom = 0;
        changed();
    }
    y_ += px(8);
    title("Fonts");
    font("Text", settings_.text_font, false);
    font("Code", settings_.code_font, true);
    words(page_.fonts_listed
              ? "Other scripts and emoji come from this computer's fonts by themselves."
              : "Looking for this computer's fonts\u2026");
    y_ += px(8);
    title("Conversations");
    draw_text(draw(), state_.fonts.body, {x_, centred(state_.fonts.body, y_, px(28))},
              colour::kTextSoft, "Show the list");
    bool sidebar = state_.sidebar;
    if (toggle(state_, "sidebar", {x_ + px(168), y_ + px(4)}, sidebar)) {
        state_.actions->toggle_sidebar();
    }
    y_ += px(36);
}

void SettingsView::keyboard() {
    title("Writing");
    draw_text(draw(), state_.fonts.body, {x_, centred(state_.fonts.body, y_, px(28))},
              colour::kTextSoft, "Enter sends");
    bool sends = settings_.enter_sends;
    if (toggle(state_, "enter", {x_ + px(168), y_ + px(4)}, sends)) {
        settings_.enter_sends = sends;
        changed();
    }
    draw_text(draw(), state_.fonts.small, {x_ + px(220), centred(state_.fonts.small, y_, px(28))},
              colour::kTextDim,
              settings_.enter_sends ? "Shift+Enter begins a new line"
                                    : "Shift+Enter sends, Enter begins a new line");
    y_ += px(44);
    title("Shortcuts");
    const auto row = [&](const std::string& keys, const std::string& what) {
        draw_text(draw(), state_.fonts.body, {x_, centred(state_.fonts.body, y_, px(28))},
                  colour::kText, ellipsize(state_.fonts.body, what, width_ - px(176)));
        const float keys_width = text_width(state_.fonts.small_mono, keys) + px(16);
        const float left = x_ + width_ - keys_width;
        draw()->AddRectFilled({left, y_ + px(2)}, {x_ + width_, y_ + px(26)}, colour::kChip, px(4));
        draw()->AddRect({left, y_ + px(2)}, {x_ + width_, y_ + px(26)}, colour::kLine, px(4));
        draw_text(draw(), state_.fonts.small_mono,
                  {left + px(8), centred(state_.fonts.small_mono, y_, px(28))}, colour::kTextSoft,
                  keys);
        y_ += px(32);
    };
    for (const Command& command : commands()) {
        if (command.shortcut.key != 0) {
            row(shortcut_text(command.shortcut), command.title);
        }
    }
    y_ += px(12);
    title("Keys");
    for (const KeyNote& note : key_notes()) {
        row(note.keys, note.what);
    }
}

void SettingsView::files() {
    title("Where it is kept");
    const auto row = [&](const char* what, const std::string& path) {
        ButtonLook look;
        look.font = state_.fonts.small;
        look.text = colour::kAccentText;
        look.height = 24;
        look.pad_x = 8;
        const char* word = just_copied(state_, path) ? "Copied" : "Copy path";
        const float button_width = button_size(state_, word, look).x;
        draw_text(draw(), state_.fonts.body, {x_, centred(state_.fonts.body, y_, px(24))},
                  colour::kTextSoft, what);
        draw_text(draw(), state_.fonts.small_mono,
                  {x_ + px(168), centred(state_.fonts.small_mono, y_, px(24))}, colour::kText,
                  ellipsize(state_.fonts.small_mono, path, width_ - px(176) - button_width));
        ImGui::PushID(what);
        if (button(state_, "copy", {x_ + width_ - button_width, y_}, word, look).clicked) {
            copy_and_note(state_, path, path);
        }
        ImGui::PopID();
        y_ += px(32);
    };
    row("Settings", page_.file);
    row("Conversations", page_.conversations);
    row("Models", page_.models);
    words(
        "Everything on these pages is in the settings file, as JSON; keys that this version does "
        "not know are kept. KEYHOLE_HOME moves all three.");
}

void SettingsView::content(ImVec2 at, ImVec2 size) {
    ImGui::PushID(static_cast<int>(page_.section));
    begin_region("settings_content", at, size, true);
    x_ = at.x + px(24);
    width_ = std::min(px(680), size.x - px(60));
    y_ = ImGui::GetCursorScreenPos().y + px(20);
    switch (page_.section) {
        case SettingsPage::Section::answers:
            answers();
            break;
        case SettingsPage::Section::appearance:
            appearance();
            break;
        case SettingsPage::Section::keyboard:
            keyboard();
            break;
        case SettingsPage::Section::files:
            files();
            break;
    }
    ImGui::SetCursorScreenPos({x_, y_});
    ImGui::Dummy({1, px(12)});
    ImGui::EndChild();
    ImGui::PopID();
}

}  // namespace

void draw_settings_page(AppState& state, ImVec2 at, ImVec2 size) {
    const auto px = [&](float units) { return std::round(units * state.fonts.scale); };
    begin_region("settings_page", at, size);
    const float head = draw_page_head(state, at, size.x, "Settings");
    const float list = std::round(std::clamp(size.x * 0.2F, px(128), px(220)));
    if (state.settings_page.settings) {
        SettingsView view(state, *state.settings_page.settings);
        view.sections({at.x, at.y + head}, {list, size.y - head});
        view.content({at.x + list, at.y + head}, {size.x - list, size.y - head});
    }
    ImGui::EndChild();
}

}  // namespace app::window
