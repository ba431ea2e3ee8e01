// Where Keyhole keeps its files: XDG folders, all moved by KEYHOLE_HOME. Creates nothing.
#pragma once

#include <filesystem>
#include <optional>

namespace app {

std::filesystem::path settings_path();       // $XDG_CONFIG_HOME/keyhole/settings.json
std::filesystem::path conversations_path();  // $XDG_DATA_HOME/keyhole/conversations.db
std::filesystem::path models_folder();       // $XDG_DATA_HOME/keyhole/models
std::filesystem::path cache_folder();        // $XDG_CACHE_HOME/keyhole: may be deleted at any time

// The demo model: beside the installed program (../share/keyhole/demo), else in the source tree it
// was built from.
std::optional<std::filesystem::path> demo_model();

// One sentence for a person who is using the demo: how to get the real model.
inline constexpr const char* kRealModelHint =
    "get a GGUF of GLM-4.7-Flash (for example Q4_K_M, 18 GB, from Hugging Face) and name it: "
    "keyhole -m FILE.gguf";

}  // namespace app
