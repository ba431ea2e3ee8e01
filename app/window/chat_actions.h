// ChatActions: what a person can do with conversations and their turns, beside the few that Actions
// has for everybody. The views of conversations call these; Chats carries them out, tests record
// them. Main thread only; none of them blocks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace app::window {

enum class ExportFormat { markdown, html, json };

class ChatActions {
public:
    using Ids = std::vector<int64_t>;
    virtual ~ChatActions() = default;

    // Of the conversation on screen, by the index of a message.
    virtual void regenerate(size_t index) = 0;  // another answer beside this one
    virtual void continue_answer() = 0;         // the last one, where it ended
    virtual void begin_edit(size_t index) = 0;  // a question, in the composer
    virtual void cancel_edit() = 0;
    virtual void switch_branch(size_t index, int step) = 0;
    virtual void delete_turn(size_t index) = 0;
    virtual void undo(uint64_t id) = 0;  // as a banner offers it

    // Of the overflow card.
    virtual void choose_overflow(size_t choice) = 0;
    virtual void cancel_overflow() = 0;
    // Everything that was left out by a choice is read by the model again.
    virtual void show_all_to_model() = 0;

    // Of the composer: text that was typed or pasted becomes an attachment.
    virtual void attach_text(const std::string& text) = 0;
    virtual void recall(int step) = 0;  // an earlier (-1) or later (1) question into the composer

    // Of the list.
    virtual void search_changed() = 0;
    virtual void open_hit(size_t index) = 0;
    virtual void open_trash(bool open) = 0;
    virtual void set_pinned(const Ids& ids, bool pinned) = 0;
    virtual void move_to_folder(const Ids& ids, int64_t folder) = 0;  // 0: out of any
    virtual void add_folder(const std::string& name, const Ids& ids) = 0;
    virtual void rename_folder(int64_t folder, const std::string& name) = 0;
    virtual void remove_folder(int64_t folder) = 0;
    virtual void remove(const Ids& ids) = 0;   // to the trash, with an undo
    virtual void restore(const Ids& ids) = 0;  // from there
    virtual void erase(const Ids& ids) = 0;    // for good
    virtual void export_to_file(const Ids& ids, ExportFormat format) = 0;
    virtual void copy_as_markdown(int64_t id) = 0;
    virtual void import_file(const std::string& path) = 0;
};

}  // namespace app::window
