// Models: finds model files, learns what each is, and plans the memory of the next load - all on
// workers of its own - and writes ModelsView. Loading itself is the controller's. Main thread.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "app/settings.h"
#include "app/window/app_state.h"
#include "app/window/models_view.h"
#include "app/window/worker.h"
#include "runtime/engine/engine_thread.h"

namespace app::window {

class Models final : public ModelsActions {
public:
    struct Host {
        AppState& state;
        Settings& settings;
        std::string own_folder, demo;  // demo may be empty
        std::function<void()> wake;    // any thread
        std::function<void()> save_settings;
        std::function<void(const std::string& path, const runtime::EngineOptions&)> load;
        std::function<void()> cancel_load;
    };
    // `base`: what the command line says of loading; a choice is laid over it.
    Models(Host host, const runtime::EngineOptions& base);
    ~Models() override;

    // The options of the last load, kept for the next start.
    void remember(const runtime::EngineOptions& options);
    runtime::EngineOptions remembered() const;

    // The page is shown: what is not known yet is found out.
    void opened();
    // Takes in what the workers did. true: something that is drawn changed.
    bool tick();
    // A model was loaded, or failed to.
    void loaded(const std::string& path);
    void failed(const std::string& error);

    void scan_models() override;
    void select_model(const std::string& path) override;
    void plan_changed() override;
    void load_selected() override;
    void cancel_loading() override;
    void add_model_path(const std::string& path) override;
    void forget_model(const std::string& path) override;

private:
    struct PlanJob;
    void add_entry(const ModelFile& file, bool recent);
    void add_known();
    void read_facts(const std::string& path);
    void start_plan();

    runtime::EngineOptions options_for(const LoadChoice& choice) const;

    Host host_;
    runtime::EngineOptions base_;
    ModelsView& view_;
    bool scanned_ = false;
    int scans_left_ = 0;
    std::atomic<bool> cancel_{false};
    uint64_t wanted_plan_ = 0, made_plan_ = 0;  // serials
    bool planning_ = false;
    std::shared_ptr<PlanJob> plan_job_;  // the open file, kept from one plan to the next
    // Last: their threads end before what their jobs point to.
    Worker scan_worker_, plan_worker_;
};

}  // namespace app::window
