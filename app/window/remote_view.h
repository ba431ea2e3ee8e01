// What the page of another engine draws, and what can be done there. The doer is RemoteControl.
// Plain state; main thread only.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace app::window {

class RemoteActions {
public:
    virtual ~RemoteActions() = default;
    virtual void connect_remote() = 0;     // to what is typed; asks for its models
    virtual void disconnect_remote() = 0;  // the model of this program answers again
    virtual void choose_remote_model(const std::string& id) = 0;
    virtual void forget_remote_key() = 0;
};

struct RemoteView {
    RemoteActions* actions = nullptr;
    enum class State { off, asking, on };
    State state = State::off;
    std::string url, key;   // typed
    bool key_kept = false;  // one is in the settings; it is not shown again
    std::string problem;    // of the last try; empty: none
    std::string warning;    // the way there can be read by others
    std::string host;       // on: "cluster:8000"
    struct Model {
        std::string id;
        int64_t context_tokens = 0;  // 0: it does not say
    };
    std::vector<Model> models;  // on
    std::string model;          // on: the one that answers
};

}  // namespace app::window
