// Chats: what a person does with conversations - choose, name, branch, delete and take back - and
// who runs the answer. Main thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "app/window/chat_actions.h"
#include "app/window/chat_host.h"
#include "app/window/turn_runner.h"

namespace app::window {

class Chats final : public ChatActions {
public:
    explicit Chats(ChatHost host);
    ~Chats() override;

    TurnRunner& turns() { return turns_; }
    // What happened since the last call. true: something that is drawn changed.
    bool tick();

    void refresh_list();
    void new_conversation();
    void select(int64_t id);
    void rename(int64_t id, const std::string& title);
    void remove(const std::vector<int64_t>& ids);  // to the trash, with an undo

    void regenerate(size_t index) override;
    void continue_answer() override;
    void begin_edit(size_t index) override;
    void cancel_edit() override;
    void switch_branch(size_t index, int step) override;
    void delete_turn(size_t index) override;
    void undo(uint64_t id) override;

private:
    void show(Conversation conversation);
    void reload();  // the conversation on screen, after its tree changed
    uint64_t can_be_undone(std::function<void()> how);

    ChatHost host_;
    TurnRunner turns_;
    std::map<uint64_t, std::function<void()>> undo_;
    uint64_t next_undo_ = 1;
};

}  // namespace app::window
