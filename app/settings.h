// Settings: what a person chose and the program remembers, in settings.json. One list of fields
// drives reading, writing and the dialog. Keys that are not known here (of a newer Keyhole) are
// kept. Main thread only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace app {

// A way of answering with a name. The figures are GLM-4.7-Flash's own defaults.
struct Preset {
    std::string name;
    std::string system_prompt;
    double temperature = 1.0;
    double top_p = 0.95;
    int64_t top_k = 0;  // 0: all
    double min_p = 0;
    double repetition_penalty = 1;
    bool operator==(const Preset&) const = default;
};

struct Settings {
    std::string last_model;                  // path; empty: the demo model
    std::vector<std::string> recent_models;  // newest first
    std::vector<std::string> model_folders;  // looked through beside the known ones
    int64_t context_tokens = 0;              // of the model loaded last; 0: what fits
    std::string cache_type;                  // likewise; empty: as the plan chooses
    std::string system_prompt;
    bool thinking = true;
    double temperature = 1.0;
    double top_p = 0.95;
    int64_t top_k = 0;
    double min_p = 0;
    double repetition_penalty = 1;
    std::string preset = "Chat";  // what the five above were taken from
    std::vector<Preset> presets;  // a person's own
    int64_t answer_reserve_tokens =
        4096;  // room that is kept for an answer; at most a quarter of the context
    bool sidebar = true;
    std::string theme = "dark";  // dark, light or high contrast
    double zoom = 1.0;
    std::string text_font, code_font;  // families of this machine; empty: the bundled faces
    bool enter_sends = true;
    int64_t window_width = 1440;
    int64_t window_height = 900;
    int64_t window_x = kNoPlace, window_y = kNoPlace;
    bool window_maximized = false;

    bool server_on = true;
    int64_t server_port = 8080;
    bool server_open = false;  // to the network, which then needs a key
    std::vector<std::string> server_keys;
    std::vector<std::string> server_origins;  // web pages that may ask

    bool remote_on = false;  // another engine answers
    std::string remote_url, remote_key, remote_model;

    static constexpr int64_t kNoPlace = -1'000'000;
    static constexpr size_t kMostListed = 200;  // entries of a list that are read

    std::string unknown = "{}";  // JSON of the keys that were not known when reading
};

// visit(key, member): the one list.
template <typename Visit>
void for_each_setting(Visit&& visit) {
    visit("last_model", &Settings::last_model);
    visit("recent_models", &Settings::recent_models);
    visit("model_folders", &Settings::model_folders);
    visit("context_tokens", &Settings::context_tokens);
    visit("cache_type", &Settings::cache_type);
    visit("system_prompt", &Settings::system_prompt);
    visit("thinking", &Settings::thinking);
    visit("temperature", &Settings::temperature);
    visit("top_p", &Settings::top_p);
    visit("top_k", &Settings::top_k);
    visit("min_p", &Settings::min_p);
    visit("repetition_penalty", &Settings::repetition_penalty);
    visit("preset", &Settings::preset);
    visit("presets", &Settings::presets);
    visit("answer_reserve_tokens", &Settings::answer_reserve_tokens);
    visit("sidebar", &Settings::sidebar);
    visit("theme", &Settings::theme);
    visit("zoom", &Settings::zoom);
    visit("window_width", &Settings::window_width);
    visit("text_font", &Settings::text_font);
    visit("code_font", &Settings::code_font);
    visit("enter_sends", &Settings::enter_sends);
    visit("window_height", &Settings::window_height);
    visit("window_x", &Settings::window_x);
    visit("window_y", &Settings::window_y);
    visit("window_maximized", &Settings::window_maximized);
    visit("server_on", &Settings::server_on);
    visit("server_port", &Settings::server_port);
    visit("server_open", &Settings::server_open);
    visit("server_keys", &Settings::server_keys);
    visit("server_origins", &Settings::server_origins);
    visit("remote_on", &Settings::remote_on);
    visit("remote_url", &Settings::remote_url);
    visit("remote_key", &Settings::remote_key);
    visit("remote_model", &Settings::remote_model);
}

// Never throws. A missing file gives the defaults; a file that is no JSON is moved aside and
// `problem` says so; a value of the wrong type or out of range gives that field's default.
Settings load_settings(const std::filesystem::path& path, std::string& problem);

// Replaces the file in one step; only its owner can read it, for it may hold keys. false: it could
// not be written, and `problem` says why.
[[nodiscard]] bool save_settings(const std::filesystem::path& path,
                                 const Settings& settings,
                                 std::string& problem);

}  // namespace app
