// Settings: what a person chose and the program remembers, in settings.json. One list of fields
// drives reading, writing and the dialog. Keys that are not known here (of a newer Keyhole) are
// kept. Main thread only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace app {

struct Settings {
    std::string last_model;                  // path; empty: the demo model
    std::vector<std::string> recent_models;  // newest first
    std::string models_folder;  // where the chooser looked last; empty: the data folder's models/
    std::string system_prompt;
    bool thinking = true;
    double temperature = 1.0;
    double top_p = 0.95;
    int64_t answer_reserve_tokens =
        4096;  // room that is kept for an answer; at most a quarter of the context
    bool sidebar = true;
    std::string theme = "dark";  // dark, light or high contrast
    double zoom = 1.0;
    int64_t window_width = 1440;
    int64_t window_height = 900;

    std::string unknown = "{}";  // JSON of the keys that were not known when reading
};

// visit(key, member): the one list.
template <typename Visit>
void for_each_setting(Visit&& visit) {
    visit("last_model", &Settings::last_model);
    visit("recent_models", &Settings::recent_models);
    visit("models_folder", &Settings::models_folder);
    visit("system_prompt", &Settings::system_prompt);
    visit("thinking", &Settings::thinking);
    visit("temperature", &Settings::temperature);
    visit("top_p", &Settings::top_p);
    visit("answer_reserve_tokens", &Settings::answer_reserve_tokens);
    visit("sidebar", &Settings::sidebar);
    visit("theme", &Settings::theme);
    visit("zoom", &Settings::zoom);
    visit("window_width", &Settings::window_width);
    visit("window_height", &Settings::window_height);
}

// Never throws. A missing file gives the defaults; a file that is no JSON is moved aside and
// `problem` says so; a value of the wrong type or out of range gives that field's default.
Settings load_settings(const std::filesystem::path& path, std::string& problem);

// Replaces the file in one step. false: it could not be written, and `problem` says why.
[[nodiscard]] bool save_settings(const std::filesystem::path& path,
                                 const Settings& settings,
                                 std::string& problem);

}  // namespace app
