// DragScan: counts what is dragged over the window while it is still in the air, and keeps the card
// that says so (AppState::drag). Reads on a thread of its own and keeps the counts, so that the
// drop finds them. Main thread.
#pragma once

#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "app/codebase/scan.h"
#include "app/window/app_state.h"
#include "app/window/worker.h"
#include "runtime/engine/engine_thread.h"

namespace app::window {

class DragScan {
public:
    DragScan(AppState& state,
             runtime::EngineThread& engine,
             std::filesystem::path cache,
             std::function<void()> wake);
    ~DragScan() { end(); }

    void begin(const std::vector<std::string>& paths);
    void end();
    bool tick();  // true: what the card says changed

private:
    struct Job {
        codebase::ScanProgress progress;
        std::atomic<bool> done{false};
        std::string error, note;  // read once it is done
    };
    AppState& state_;
    runtime::EngineThread& engine_;
    std::filesystem::path cache_;
    std::shared_ptr<Job> job_;
    std::chrono::steady_clock::time_point began_;
    bool logged_first_ = false, logged_exact_ = false;
    Worker worker_;
};

}  // namespace app::window
