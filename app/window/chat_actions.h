// ChatActions: what a person can do with conversations and their turns, beside the few that Actions
// has for everybody. The views of conversations call these; Chats carries them out, tests record
// them. Main thread only; none of them blocks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace app::window {

class ChatActions {
public:
    virtual ~ChatActions() = default;

    // Of the conversation on screen, by the index of a message.
    virtual void regenerate(size_t index) = 0;  // another answer beside this one
    virtual void continue_answer() = 0;         // the last one, where it ended
    virtual void begin_edit(size_t index) = 0;  // a question, in the composer
    virtual void cancel_edit() = 0;
    virtual void switch_branch(size_t index, int step) = 0;
    virtual void delete_turn(size_t index) = 0;
    virtual void undo(uint64_t id) = 0;  // as a banner offers it
};

}  // namespace app::window
