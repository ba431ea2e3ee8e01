// What the settings page draws, and what can be done there. The page writes into the settings
// themselves and then says so; the doer is Preferences. Main thread only.
#pragma once

#include <string>
#include <vector>

#include "app/settings.h"
#include "app/window/edit_buffer.h"

namespace app::window {

class SettingsActions {
public:
    virtual ~SettingsActions() = default;
    virtual void settings_changed() = 0;  // saved soon; what is drawn follows at once
    virtual void choose_preset(const std::string& name) = 0;
    virtual void save_preset(const std::string& name) = 0;  // what is set now, under this name
    virtual void delete_preset(const std::string& name) = 0;
    virtual void list_fonts() = 0;  // fills the families
};

struct SettingsPage {
    SettingsActions* actions = nullptr;
    Settings* settings = nullptr;
    enum class Section { answers, appearance, keyboard, files };
    Section section = Section::answers;
    EditBuffer system_prompt;
    bool editing_prompt = false;  // the keyboard is its own
    float prompt_scroll = 0;
    std::string preset_name;  // typed
    double zoom = 0;          // while the slider is held; 0: it is not
    bool fonts_listed = false;
    std::vector<std::string> families, mono_families;
    std::string file, conversations, models;  // paths
};

}  // namespace app::window
