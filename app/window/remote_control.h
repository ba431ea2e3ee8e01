// RemoteControl: another engine in the place of this program's model - its address and key, its
// list of models, connecting and taking leave - and writes RemoteView. The network is asked on a
// thread that nobody waits for. Main thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "app/options.h"
#include "app/settings.h"
#include "app/window/answer_source.h"
#include "app/window/app_state.h"
#include "app/window/remote_view.h"

namespace app::window {

class RemoteControl final : public RemoteActions {
public:
    struct Host {
        AppState& state;
        Settings& settings;
        std::function<void()> wake;  // any thread
        std::function<void()> save_settings;
        std::function<void()> changed;  // who answers is another one now
    };
    // `options`: --remote and its company go before what is in the settings, and are not kept.
    RemoteControl(Host host, const Options& options);
    ~RemoteControl() override;

    // Connects where the command line or the last time says so. false: neither does.
    bool start_first();
    // Takes in what the other engine said. true: something that is drawn changed.
    bool tick();
    bool on() const { return source_ != nullptr; }
    std::shared_ptr<AnswerSource> source() const { return source_; }
    // As the bar shows it; on() only.
    ModelView model_view() const;

    void connect_remote() override;
    void disconnect_remote() override;
    void choose_remote_model(const std::string& id) override;
    void forget_remote_key() override;

private:
    struct Inquiry;
    void use(const std::string& model);

    Host host_;
    RemoteView& view_;
    std::string given_url_, given_key_;  // by the command line and the environment
    std::string wanted_model_;
    bool kept_ = false;  // what is connected is in the settings
    HttpCall::Limits limits_;
    std::shared_ptr<Inquiry> inquiry_;  // under way
    std::shared_ptr<RemoteEngine> engine_;
    std::vector<RemoteModel> models_;
    std::shared_ptr<AnswerSource> source_;
};

}  // namespace app::window
