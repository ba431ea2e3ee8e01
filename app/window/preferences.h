// Preferences: carries out what the settings page and the palette change, and writes the file - a
// moment later, so that a slider does not write it fifty times. Main thread.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "app/settings.h"
#include "app/window/app_state.h"
#include "app/window/worker.h"

namespace app::window {

class Preferences final : public SettingsActions {
public:
    struct Host {
        AppState& state;
        Settings& settings;
        std::function<void()> wake;     // any thread
        std::function<void()> save;     // now
        std::function<void()> recount;  // the next prompt changed
    };
    explicit Preferences(Host host);

    // true: something that is drawn changed.
    bool tick();

    void settings_changed() override;
    void choose_preset(const std::string& name) override;
    void save_preset(const std::string& name) override;
    void delete_preset(const std::string& name) override;
    void list_fonts() override;

private:
    void taken();

    Host host_;
    bool unsaved_ = false;
    std::chrono::steady_clock::time_point changed_at_;
    bool listing_ = false;
    Worker worker_;
};

}  // namespace app::window
