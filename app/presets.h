// Presets: named ways of answering - system prompt and sampling - as the settings keep them.
#pragma once

#include <string>
#include <vector>

#include "app/settings.h"

namespace app {

// Those that come with the program, with what the model's makers recommend, then a person's own.
std::vector<Preset> all_presets(const Settings& settings);
bool is_built_in(const std::string& name);

// What is set now, as a preset of the current name.
Preset current_preset(const Settings& settings);
void use_preset(Settings& settings, const Preset& preset);
// Whether what is set differs from the preset of the current name.
bool preset_changed(const Settings& settings);

// Keeps what is set now under `name`; false: the name is one of the program's own, or empty.
bool save_preset(Settings& settings, const std::string& name);
void delete_preset(Settings& settings, const std::string& name);

}  // namespace app
