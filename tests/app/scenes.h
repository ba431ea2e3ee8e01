// The fixed scenes: states of the window that are drawn for pictures and measured, with times,
// figures and texts that never change.
#pragma once

#include <string>
#include <vector>

#include "app/window/app_state.h"

namespace scenes {

struct Scene {
    const char* name;
    void (*prepare)(app::window::AppState& state);
};

// All of them.
const std::vector<Scene>& all();

// A state with nothing in it but fixed time and device.
void reset(app::window::AppState& state);
void load_model(app::window::AppState& state);
void converse(app::window::AppState& state);
void find_models(app::window::AppState& state);
void serve(app::window::AppState& state);
// A table, code in six languages, lists, a formula, and scripts that the machine's own fonts draw.
void show_text(app::window::AppState& state);

}  // namespace scenes
