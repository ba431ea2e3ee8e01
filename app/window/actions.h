// Actions: everything a person can make the window do. Views call these and nothing else; the
// controller carries them out, tests record them. Main thread only; none of them blocks.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace app::window {

// What the middle of the window shows.
enum class Page { chat, models, remote, server, settings };

class Actions {
public:
    virtual ~Actions() = default;

    virtual void send() = 0;  // the draft and what is staged
    virtual void stop() = 0;
    virtual void toggle_thinking() = 0;
    virtual void draft_changed() = 0;

    virtual void new_conversation() = 0;
    virtual void select_conversation(int64_t id) = 0;
    virtual void rename_conversation(int64_t id, const std::string& title) = 0;
    virtual void remove_conversation(int64_t id) = 0;

    virtual void attach(
        const std::vector<std::string>& paths) = 0;  // dropped, typed or named on the command line
    virtual void cancel_attach() = 0;
    virtual void remove_attachment(size_t index) = 0;  // of the staged ones

    virtual void load_model(const std::string& path) = 0;
    virtual void cancel_load() = 0;

    virtual void copy(const std::string& text) = 0;
    // As copy(), of a text that takes long to put together: `make` touches nothing that changes and
    // may run elsewhere; the clipboard has the text when it is done.
    virtual void copy_made(std::function<std::string()> make) { copy(make()); }
    virtual void open_link(const std::string& address) = 0;
    virtual void dismiss_banner(uint64_t id) = 0;
    virtual void toggle_sidebar() = 0;
    virtual void zoom(int steps) = 0;  // 0: back to 100 %
};

}  // namespace app::window
