#include "app/presets.h"

#include <algorithm>

namespace app {
namespace {

// Z.ai's figures for GLM-4.7-Flash: most tasks, and agents that call tools or write code.
const std::vector<Preset>& built_in() {
    static const std::vector<Preset> presets = [] {
        Preset chat, tools;
        chat.name = "Chat";
        tools.name = "Tools and code";
        tools.temperature = 0.7;
        tools.top_p = 1.0;
        return std::vector<Preset>{chat, tools};
    }();
    return presets;
}

}  // namespace

std::vector<Preset> all_presets(const Settings& settings) {
    std::vector<Preset> all = built_in();
    for (const Preset& preset : settings.presets) {
        if (!preset.name.empty() && !is_built_in(preset.name)) {
            all.push_back(preset);
        }
    }
    return all;
}

bool is_built_in(const std::string& name) {
    return std::any_of(built_in().begin(), built_in().end(),
                       [&](const Preset& preset) { return preset.name == name; });
}

Preset current_preset(const Settings& settings) {
    return {settings.preset, settings.system_prompt, settings.temperature,       settings.top_p,
            settings.top_k,  settings.min_p,         settings.repetition_penalty};
}

void use_preset(Settings& settings, const Preset& preset) {
    settings.preset = preset.name;
    settings.system_prompt = preset.system_prompt;
    settings.temperature = preset.temperature;
    settings.top_p = preset.top_p;
    settings.top_k = preset.top_k;
    settings.min_p = preset.min_p;
    settings.repetition_penalty = preset.repetition_penalty;
}

bool preset_changed(const Settings& settings) {
    for (const Preset& preset : all_presets(settings)) {
        if (preset.name == settings.preset) {
            return !(preset == current_preset(settings));
        }
    }
    return true;
}

bool save_preset(Settings& settings, const std::string& name) {
    if (name.find_first_not_of(' ') == std::string::npos || is_built_in(name)) {
        return false;
    }
    settings.preset = name;
    const Preset fresh = current_preset(settings);
    for (Preset& preset : settings.presets) {
        if (preset.name == name) {
            preset = fresh;
            return true;
        }
    }
    settings.presets.push_back(fresh);
    return true;
}

void delete_preset(Settings& settings, const std::string& name) {
    std::erase_if(settings.presets, [&](const Preset& preset) { return preset.name == name; });
    if (settings.preset == name) {
        use_preset(settings, built_in().front());
    }
}

}  // namespace app
