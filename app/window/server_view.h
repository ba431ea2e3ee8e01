// What the server page draws, and what can be done there. Plain data but for the log, which is read
// row by row; the doer is ServerControl. Main thread only.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "app/server/request_log.h"
#include "app/window/log_rows.h"

namespace app::window {

class ServerActions {
public:
    virtual ~ServerActions() = default;
    virtual void start_server() = 0;  // with what the page says; one that runs is ended first
    virtual void stop_server() = 0;
    virtual void server_settings_changed() = 0;
    virtual void add_key() = 0;
    virtual void remove_key(size_t index) = 0;
    virtual void select_request(uint64_t id) = 0;  // 0: none
    virtual void show_tokens(bool show) = 0;       // of the selected one's prompt
    virtual void replay() = 0;                     // the selected one, by the model that is loaded
    virtual void stop_replay() = 0;
};

struct ReplayView {
    enum class State { none, running, done, failed };
    State state = State::none;
    uint64_t of = 0;
    std::string text, error, remark;
    int64_t prompt_done = 0, prompt_total = 0;
    runtime::Usage usage;
    runtime::Timings timings;
};

struct ServerPage {
    ServerActions* actions = nullptr;
    enum class State { off, starting, on, stopping };
    State state = State::off;
    std::string url;       // while it is on
    std::string problem;   // why it does not run
    bool changed = false;  // what the page says is not what runs

    bool on = true;  // at start of the program
    bool open_to_network = false;
    std::string port;
    std::vector<std::string> keys;
    size_t fixed_keys = 0;  // the first so many come from the command line or the environment
    std::string origins;    // separated by blanks
    std::vector<std::string> addresses;  // of this machine, where it is open to the network

    const RequestLog* log = nullptr;
    LogRows rows;
    uint64_t selected = 0;
    RequestRow row;  // the selected one
    std::shared_ptr<const std::string> prompt;
    bool tokens_shown = false;
    bool tokens_known = false;
    std::vector<std::pair<int32_t, std::string>> tokens;
    ReplayView replay;

    // Lines of the prompt as they were wrapped last, a part of it each frame.
    struct Wrapped {
        uint64_t id = 0;
        float width = 0;
        uint64_t fonts = 0;
        size_t done = 0;
        std::vector<std::pair<uint32_t, uint32_t>> lines;
    } wrapped;
};

}  // namespace app::window
