#include "app/cli/start.h"

#include <chrono>
#include <cstdio>
#include <thread>

#include "app/cli/terminal.h"
#include "app/paths.h"
#include "kernels/check.h"
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
    if (options.engine.device != "cpu") {
        throw kernels::DeviceError(
            "--device " + options.engine.device +
            ": this build computes on the CPU; use --device cpu or leave the flag out");
    }
    const bool wants_gpu =
        !options.gpu_layers.empty() && options.gpu_layers != "0" && options.gpu_layers != "auto";
    if (wants_gpu || options.cpu_moe_layers > 0) {
        std::fprintf(stderr,
                     "note: this build computes on the CPU; -ngl and -ncmoe have no effect\n");
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
