#include "app/paths.h"

#include <cstdlib>
#include <string>
#include <system_error>

namespace app {
namespace {

namespace fs = std::filesystem;

// The XDG specification: a relative or empty value is as good as none.
fs::path folder_from(const char* variable, const char* below_home) {
    const char* value = std::getenv(variable);
    if (value != nullptr && fs::path(value).is_absolute()) {
        return fs::path(value) / "keyhole";
    }
    const char* home = std::getenv("HOME");
    const fs::path base = home != nullptr && *home != '\0' ? fs::path(home) : fs::current_path();
    return base / below_home / "keyhole";
}

std::optional<fs::path> keyhole_home() {
    const char* value = std::getenv("KEYHOLE_HOME");
    if (value == nullptr || *value == '\0') {
        return std::nullopt;
    }
    return fs::absolute(value);
}

}  // namespace

fs::path settings_path() {
    const auto home = keyhole_home();
    return (home ? *home : folder_from("XDG_CONFIG_HOME", ".config")) / "settings.json";
}

fs::path conversations_path() {
    const auto home = keyhole_home();
    return (home ? *home : folder_from("XDG_DATA_HOME", ".local/share")) / "conversations.db";
}

fs::path models_folder() {
    const auto home = keyhole_home();
    return (home ? *home : folder_from("XDG_DATA_HOME", ".local/share")) / "models";
}

fs::path cache_folder() {
    const auto home = keyhole_home();
    return home ? *home / "cache" : folder_from("XDG_CACHE_HOME", ".cache");
}

std::optional<fs::path> demo_model() {
    std::error_code error;
    const fs::path program = fs::read_symlink("/proc/self/exe", error);
    if (!error) {
        const fs::path installed = program.parent_path().parent_path() / "share" / "keyhole" /
                                   "demo" / "keyhole-demo.gguf";
        if (fs::is_regular_file(installed, error)) {
            return installed;
        }
    }
    const fs::path in_source = fs::path(KEYHOLE_DEMO_MODEL);
    if (fs::is_regular_file(in_source, error)) {
        return in_source;
    }
    return std::nullopt;
}

}  // namespace app
