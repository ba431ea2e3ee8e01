#include "app/window/preferences.h"

#include <utility>

#include "app/presets.h"
#include "app/window/font_files.h"

namespace app::window {

constexpr std::chrono::milliseconds kSaveDelay{400};

Preferences::Preferences(Host host) : host_(std::move(host)), worker_(host_.wake) {
    SettingsPage& page = host_.state.settings_page;
    page.actions = this;
    page.settings = &host_.settings;
    taken();
}

// The settings are other ones: what is edited follows.
void Preferences::taken() {
    host_.state.settings_page.system_prompt.start(host_.settings.system_prompt,
                                                  host_.settings.system_prompt.size());
}

void Preferences::settings_changed() {
    unsaved_ = true;
    changed_at_ = std::chrono::steady_clock::now();
    host_.recount();
}

void Preferences::choose_preset(const std::string& name) {
    for (const Preset& preset : all_presets(host_.settings)) {
        if (preset.name == name) {
            use_preset(host_.settings, preset);
            taken();
            settings_changed();
            return;
        }
    }
}

void Preferences::save_preset(const std::string& name) {
    if (app::save_preset(host_.settings, name)) {
        settings_changed();
    }
}

void Preferences::delete_preset(const std::string& name) {
    app::delete_preset(host_.settings, name);
    taken();
    settings_changed();
}

void Preferences::list_fonts() {
    if (listing_ || host_.state.settings_page.fonts_listed) {
        return;
    }
    listing_ = true;
    worker_.add([this]() -> Worker::Done {
        FontFamilies families = font_families();
        return [this, families = std::move(families)] {
            SettingsPage& page = host_.state.settings_page;
            page.families = families.all;
            page.mono_families = families.mono;
            page.fonts_listed = true;
        };
    });
}

bool Preferences::tick() {
    if (unsaved_ && std::chrono::steady_clock::now() - changed_at_ > kSaveDelay) {
        unsaved_ = false;
        host_.save();
    }
    return worker_.deliver();
}

}  // namespace app::window
