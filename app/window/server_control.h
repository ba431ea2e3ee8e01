// ServerControl: the HTTP server inside the window - started, ended and changed by a worker of its
// own, for ending waits for clients - and what the server page says of it. The log outlives the
// server. Main thread.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "app/server/server.h"
#include "app/settings.h"
#include "app/window/app_state.h"
#include "app/window/server_view.h"
#include "app/window/worker.h"
#include "runtime/engine/engine_thread.h"

namespace app::window {

class ServerControl final : public ServerActions {
public:
    struct Host {
        AppState& state;
        Settings& settings;
        runtime::EngineThread& engine;
        const std::shared_ptr<const runtime::LoadedModel>& model;  // null: none is loaded
        std::function<void()> wake;                                // any thread
        std::function<void()> save_settings;
        std::function<void(Banner::Kind, const std::string&)> banner;
    };
    ServerControl(Host host, const Options& options);
    ~ServerControl() override;  // ends the server

    // At the start of the program, if it is to run.
    void start_first();
    // true: something that is drawn changed.
    bool tick();

    void start_server() override;
    void stop_server() override;
    void server_settings_changed() override;
    void add_key() override;
    void remove_key(size_t index) override;
    void select_request(uint64_t id) override;
    void show_tokens(bool show) override;
    void replay() override;
    void stop_replay() override;

private:
    ServerOptions wanted() const;
    void change(std::function<std::shared_ptr<Server>(std::string& problem)> make);
    bool follow_replay();

    Host host_;
    ServerPage& page_;
    ServerOptions base_;  // of the command line
    bool port_given_ = false;
    std::shared_ptr<RequestLog> log_;
    std::shared_ptr<Server> server_;
    ServerOptions running_;
    bool first_ = true;
    std::unique_ptr<runtime::GenerationStream> replay_;
    uint64_t replay_serial_ = 0, tokens_serial_ = 0;
    uint64_t log_version_ = 0;
    Worker worker_;  // last: its thread ends before what its jobs point to
};

}  // namespace app::window
