// Controller: carries out what the views ask for. Talks to the engine, the store, the settings, the
// desk of folders and a worker, and writes AppState between frames. The third of the four places
// that catch exceptions: what fails becomes a banner. Main thread.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/codebase/pack.h"
#include "app/conversation_store.h"
#include "app/options.h"
#include "app/prompt_count.h"
#include "app/settings.h"
#include "app/window/app_state.h"
#include "app/window/chats.h"
#include "app/window/models.h"
#include "app/window/pack_desk.h"
#include "app/window/preferences.h"
#include "app/window/remote_control.h"
#include "app/window/server_control.h"
#include "app/window/worker.h"
#include "runtime/engine/engine_thread.h"

namespace app::window {

struct ControllerPaths {
    std::filesystem::path settings, conversations, models, demo_model;  // demo_model may be empty
    std::filesystem::path cache;  // of token counts; empty: none is kept
};

class Controller final : public Actions {
public:
    // `wake` makes the main loop come round; it is called from any thread. `set_clipboard` and
    // `open_address` are the window system's.
    struct Hooks {
        std::function<void()> wake;
        std::function<void(const std::string&)> set_clipboard;
    };
    Controller(AppState& state,
               runtime::EngineThread& engine,
               const Options& options,
               ControllerPaths paths,
               Hooks hooks);
    ~Controller() override;  // stops and saves an answer that is being written

    // Opens the named model, or the last one, or the demo; none where another engine is to answer.
    void open_first_model(const std::string& named);
    // As attach(), once a model can count its tokens (or loading failed).
    void attach_when_loaded(std::vector<std::string> paths) { waiting_paths_ = std::move(paths); }
    // Takes in what happened since the last call. How many frames that is worth: 0, nothing that is
    // drawn changed; 1, a figure did.
    int tick();
    void banner(Banner::Kind kind, const std::string& text, uint64_t undo = 0);
    Settings& settings() { return settings_; }
    void save_settings_now();
    void start_server() { server_.start_first(); }

    void send() override;
    void stop() override;
    void toggle_thinking() override;
    void draft_changed() override;
    void new_conversation() override;
    void select_conversation(int64_t id) override;
    void rename_conversation(int64_t id, const std::string& title) override;
    void remove_conversation(int64_t id) override;
    void attach(const std::vector<std::string>& paths) override;
    void cancel_attach() override;
    void remove_attachment(size_t index) override;
    void load_model(const std::string& path) override;
    void cancel_load() override;
    void copy(const std::string& text) override;
    void copy_made(std::function<std::string()> make) override;
    void open_link(const std::string& address) override;
    void dismiss_banner(uint64_t id) override;
    void toggle_sidebar() override;
    void zoom(int steps) override;

private:
    bool follow_model();
    bool follow_memory();
    void recount();
    void want_count();
    bool store_call(const std::function<void()>& call);
    void open_own_model(const std::string& named);
    std::shared_ptr<AnswerSource> source();
    void other_source();

    AppState& state_;
    runtime::EngineThread& engine_;
    runtime::EngineOptions engine_options_;
    ControllerPaths paths_;
    Hooks hooks_;
    std::string settings_problem_;
    Settings settings_;
    ConversationStore store_;
    std::shared_ptr<const runtime::LoadedModel> model_;
    ModelView own_;            // what this program's engine holds or loads
    std::string first_model_;  // named at the start
    std::string loading_path_, last_load_error_;
    std::vector<std::string> waiting_paths_;
    uint64_t next_banner_ = 1;
    uint64_t count_serial_ = 0;
    std::optional<PromptCount> counted_;  // of all but the words; none: to be made
    std::vector<int64_t> counted_about_;
    bool count_wanted_ = false, counting_ = false;
    Chats chats_;
    PackDesk desk_;
    Models models_;
    ServerControl server_;
    Preferences preferences_;
    RemoteControl remote_;
    Page shown_page_ = Page::chat;
    uint64_t copies_ = 0;                  // the last one is what the clipboard gets
    std::unique_ptr<Worker> copy_worker_;  // from the first long copy on
    // Last: its thread ends before anything that its jobs point to.
    Worker prompt_worker_;
};

}  // namespace app::window
