#include "app/settings.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <set>

#include <nlohmann/json.hpp>
#include <unistd.h>

namespace app {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

bool read(const Json& json, std::string& value) {
    return json.is_string() && (value = json.get<std::string>(), true);
}
bool read(const Json& json, bool& value) {
    return json.is_boolean() && (value = json.get<bool>(), true);
}
bool read(const Json& json, int64_t& value) {
    return json.is_number_integer() && (value = json.get<int64_t>(), true);
}
bool read(const Json& json, double& value) {
    return json.is_number() && std::isfinite(json.get<double>()) &&
           (value = json.get<double>(), true);
}
bool read(const Json& json, std::vector<std::string>& value) {
    if (!json.is_array() ||
        !std::all_of(json.begin(), json.end(), [](const Json& item) { return item.is_string(); })) {
        return false;
    }
    value = json.get<std::vector<std::string>>();
    return true;
}

// visit(key, member) of a preset.
template <typename Visit>
void for_each_of_preset(Visit&& visit) {
    visit("name", &Preset::name);
    visit("system_prompt", &Preset::system_prompt);
    visit("temperature", &Preset::temperature);
    visit("top_p", &Preset::top_p);
    visit("top_k", &Preset::top_k);
    visit("min_p", &Preset::min_p);
    visit("repetition_penalty", &Preset::repetition_penalty);
}

bool read(const Json& json, std::vector<Preset>& value) {
    if (!json.is_array()) {
        return false;
    }
    value.clear();
    for (const Json& item : json) {
        Preset preset;
        if (item.is_object()) {
            for_each_of_preset([&](const char* key, auto member) {
                if (const auto at = item.find(key); at != item.end()) {
                    read(*at, preset.*member);
                }
            });
        }
        if (!preset.name.empty()) {
            value.push_back(std::move(preset));
        }
    }
    return true;
}

template <typename Value>
Json written(const Value& value) {
    return value;
}
Json written(const std::vector<Preset>& presets) {
    Json list = Json::array();
    for (const Preset& preset : presets) {
        Json item;
        for_each_of_preset([&](const char* key, auto member) { item[key] = preset.*member; });
        list.push_back(std::move(item));
    }
    return list;
}

void keep_in_range(Settings& settings) {
    const Settings standard;
    const auto within = [](auto& value, auto low, auto high, auto otherwise) {
        if (value < low || value > high) {
            value = otherwise;
        }
    };
    within(settings.temperature, 0.0, 5.0, standard.temperature);
    within(settings.top_p, 0.0, 1.0, standard.top_p);
    within(settings.top_k, int64_t{0}, int64_t{1} << 20, standard.top_k);
    within(settings.min_p, 0.0, 1.0, standard.min_p);
    within(settings.repetition_penalty, 0.5, 3.0, standard.repetition_penalty);
    for (Preset& preset : settings.presets) {
        within(preset.temperature, 0.0, 5.0, standard.temperature);
        within(preset.top_p, 0.0, 1.0, standard.top_p);
        within(preset.top_k, int64_t{0}, int64_t{1} << 20, standard.top_k);
        within(preset.min_p, 0.0, 1.0, standard.min_p);
        within(preset.repetition_penalty, 0.5, 3.0, standard.repetition_penalty);
    }
    const auto shorten = [](auto& list) {
        list.resize(std::min(list.size(), Settings::kMostListed));
    };
    shorten(settings.recent_models);
    shorten(settings.model_folders);
    shorten(settings.presets);
    shorten(settings.server_keys);
    shorten(settings.server_origins);
    within(settings.server_port, int64_t{0}, int64_t{65535}, standard.server_port);
    within(settings.answer_reserve_tokens, int64_t{16}, int64_t{1} << 20,
           standard.answer_reserve_tokens);
    within(settings.context_tokens, int64_t{0}, int64_t{1} << 30, standard.context_tokens);
    within(settings.zoom, 0.5, 3.0, standard.zoom);
    within(settings.window_width, int64_t{400}, int64_t{16384}, standard.window_width);
    within(settings.window_height, int64_t{300}, int64_t{16384}, standard.window_height);
}

}  // namespace

Settings load_settings(const fs::path& path, std::string& problem) {
    Settings settings;
    std::ifstream in(path, std::ios::binary);
    if (!in) {
        return settings;
    }
    const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    in.close();
    Json json = Json::parse(text, nullptr, false, true);
    if (!json.is_object()) {
        const fs::path aside = path.string() + ".damaged";
        std::error_code error;
        fs::rename(path, aside, error);
        problem = path.string() + " is not a settings file" +
                  (error ? "" : "; it is kept as " + aside.string()) + ". Defaults are in use.";
        return settings;
    }
    for_each_setting([&](const char* key, auto member) {
        if (const auto at = json.find(key); at != json.end()) {
            read(*at, settings.*member);
            json.erase(at);
        }
    });
    settings.unknown = json.dump(-1, ' ', false, Json::error_handler_t::replace);
    keep_in_range(settings);
    return settings;
}

bool save_settings(const fs::path& path, const Settings& settings, std::string& problem) {
    Json json;
    for_each_setting([&](const char* key, auto member) { json[key] = written(settings.*member); });
    const Json unknown = Json::parse(settings.unknown, nullptr, false);
    if (unknown.is_object()) {
        json.update(unknown);
    }
    std::error_code error;
    fs::create_directories(path.parent_path(), error);
    // Another Keyhole may save at the same time: each writes a file of its own, the later rename
    // wins whole.
    const fs::path fresh = path.string() + "." + std::to_string(::getpid());
    {
        std::ofstream out(fresh, std::ios::binary);
        out << json.dump(4, ' ', false, Json::error_handler_t::replace) << '\n';
        out.flush();
        if (!out) {
            problem = "settings were not saved: cannot write " + fresh.string();
            fs::remove(fresh, error);
            return false;
        }
    }
    fs::permissions(fresh, fs::perms::owner_read | fs::perms::owner_write, error);
    fs::rename(fresh, path, error);
    if (error) {
        problem = "settings were not saved: " + path.string() + ": " + error.message();
        return false;
    }
    return true;
}

}  // namespace app
