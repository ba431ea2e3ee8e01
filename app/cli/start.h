// What all commands that use a model share: which file it is, and an engine with that model loaded.
#pragma once

#include <string>

#include "app/options.h"
#include "runtime/engine/engine_thread.h"

namespace app {

// The model named on the command line, else the demo model, which is said on standard error in one
// line. Throws runtime::ModelError when there is neither.
std::string choose_model(const Options& options);

// Says on standard error where -ngl or -ncmoe has no effect.
void check_device(const Options& options);

// Loads and waits, with a progress bar on a terminal. Throws runtime::ModelError with the engine's
// reason.
void load_and_wait(runtime::EngineThread& engine, const std::string& path, const Options& options);

}  // namespace app
