#include "app/cli/start.h"

#include <chrono>
#include <cstdio>
#include <thread>

#include "app/cli/terminal.h"
#include "app/paths.h"
#include "runtime/error.h"

namespace app {

std::string choose_model(const Options& options) {
    if (!options.model.empty()) {
        return options.model;
    }
    const auto demo = demo_model();
    if (!demo) {
        throw runtime::ModelError(
            "no model was named (-m FILE.gguf), and the demo model is not installed");
    }
    std::fprintf(stderr,
                 "no model was named, so this is the small demo model; for the real one, %s\n",
                 kRealModelHint);
    return demo->string();
}

void check_device(const Options& options) {
    const std::string& layers = options.gpu_layers;
    const bool card = options.engine.device != "cpu";
    if (!card && ((!layers.empty() && layers != "0" && layers != "auto") ||
                  options.engine.cpu_moe_layers.value_or(0) > 0)) {
        std::fprintf(stderr,
                     "note: the CPU computes; -ngl and -ncmoe say something with --device cuda\n");
    }
    if (card && !layers.empty() && layers != "all" && layers != "auto" && layers != "-1") {
        std::fprintf(stderr,
                     "note: every layer is on the card; -ngl %s has no effect, -ncmoe N leaves the "
                     "experts of N layers to the CPU\n",
                     layers.c_str());
    }
}

void load_and_wait(runtime::EngineThread& engine, const std::string& path, const Options& options) {
    engine.load(path, options.engine);
    ProgressBar bar("loading");
    for (;;) {
        const runtime::EngineStatus status = engine.status();
        if (status.state == runtime::EngineStatus::State::ready) {
            return;
        }
        if (status.state != runtime::EngineStatus::State::loading) {
            throw runtime::ModelError(status.error.empty() ? "the model could not be loaded"
                                                           : status.error);
        }
        bar.update(status.load_done_bytes, status.load_total_bytes);
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
}

}  // namespace app
