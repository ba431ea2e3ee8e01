// Chats: what a person does with conversations - choose, search, name, branch, delete and take back
// - and who runs the answer. What is on screen is kept as it is, draft and place included, so that
// the next start shows the same. Main thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "app/conversation_export.h"
#include "app/conversation_import.h"
#include "app/window/chat_actions.h"
#include "app/window/chat_host.h"
#include "app/window/turn_runner.h"

namespace app::window {

class Chats final : public ChatActions {
public:
    explicit Chats(ChatHost host);
    ~Chats() override;  // an answer that is being written is stopped and stored; the draft as well

    TurnRunner& turns() { return turns_; }
    // What happened since the last call. true: something that is drawn changed.
    bool tick();
    // The conversation that was open when the program ended, with its draft.
    void restore_last();

    void refresh_list();
    void new_conversation();
    void select(int64_t id);
    void rename(int64_t id, const std::string& title);
    void draft_changed();
    void send();

    void regenerate(size_t index) override;
    void continue_answer() override;
    void begin_edit(size_t index) override;
    void cancel_edit() override;
    void switch_branch(size_t index, int step) override;
    void delete_turn(size_t index) override;
    void undo(uint64_t id) override;
    void choose_overflow(size_t choice) override;
    void cancel_overflow() override;
    void show_all_to_model() override;
    void attach_text(const std::string& text) override;
    void recall(int step) override;

    void search_changed() override;
    void open_hit(size_t index) override;
    void open_trash(bool open) override;
    void set_pinned(const Ids& ids, bool pinned) override;
    void move_to_folder(const Ids& ids, int64_t folder) override;
    void add_folder(const std::string& name, const Ids& ids) override;
    void rename_folder(int64_t folder, const std::string& name) override;
    void remove_folder(int64_t folder) override;
    void remove(const Ids& ids) override;
    void restore(const Ids& ids) override;
    void erase(const Ids& ids) override;
    void export_to_file(const Ids& ids, ExportFormat format) override;
    void copy_as_markdown(int64_t id) override;
    void import_file(const std::string& path) override;

private:
    using Clock = std::chrono::steady_clock;

    void show(Conversation conversation);
    void reload();  // the conversation on screen, after its tree changed
    bool is_running(int64_t conversation) const;
    void save_draft();
    void load_draft();
    void save_place();
    void load_place();
    uint64_t can_be_undone(std::function<void()> how);
    void change_view(const std::vector<ConversationStore::ViewChange>& changes,
                     const std::string& what);
    void ask_again(const OverflowView& view, TurnRunner::Decision decision);
    void start_search();
    std::optional<ExportedTree> exported(int64_t id);
    void take_import(const ImportedFile& file, const std::string& path);

    ChatHost host_;
    TurnRunner turns_;
    std::map<uint64_t, std::function<void()>> undo_;
    uint64_t next_undo_ = 1;
    bool draft_dirty_ = false;
    Clock::time_point draft_changed_at_{};
    std::optional<OverflowView> when_loaded_;  // asked again once the larger context is there
    bool search_wanted_ = false, searching_ = false;
    bool indexing_ = true;  // an older file's messages may not be in the search index yet
    std::string recalled_;
    size_t recall_at_ = 0;
    Worker search_worker_;  // last: its thread ends first
};

}  // namespace app::window
