#include "app/window/chats.h"

#include <algorithm>
#include <ctime>
#include <utility>

namespace app::window {
namespace {

constexpr size_t kMaxUndo = 20;

}  // namespace

Chats::Chats(ChatHost host) : host_(std::move(host)), turns_(host_) {
    host_.list_changed = [this] { refresh_list(); };
    host_.state.chat.actions = this;
}

Chats::~Chats() = default;

bool Chats::tick() {
    return turns_.tick();
}

void Chats::refresh_list() {
    AppState& state = host_.state;
    host_.store_call([&] { state.conversations = host_.store.list(); });
    const std::time_t now = std::time(nullptr);
    state.now = static_cast<int64_t>(now);
    std::tm local{};
    localtime_r(&now, &local);
    state.utc_offset = local.tm_gmtoff;
}

void Chats::show(Conversation conversation) {
    AppState& state = host_.state;
    cancel_edit();
    state.conversation = std::move(conversation);
    state.conversation_generation++;
    state.overflow.reset();
    state.composer_focused = true;
    host_.recount();
}

void Chats::new_conversation() {
    show({});
}

void Chats::select(int64_t id) {
    if (id == host_.state.conversation.id) {
        return;
    }
    if (const Conversation* running = turns_.conversation(); running && running->id == id) {
        show(*running);
        return;
    }
    std::optional<Conversation> loaded;
    if (!host_.store_call([&] { loaded = host_.store.load(id); }) || !loaded) {
        refresh_list();
        return;
    }
    show(std::move(*loaded));
}

// The place in the conversation stays: only what is shown of it changed.
void Chats::reload() {
    AppState& state = host_.state;
    std::optional<Conversation> loaded;
    if (host_.store_call([&] { loaded = host_.store.load(state.conversation.id); }) && loaded) {
        state.conversation = std::move(*loaded);
        state.layouts.clear();
        host_.recount();
    }
}

void Chats::rename(int64_t id, const std::string& title) {
    host_.store_call([&] { host_.store.rename(id, title); });
    if (host_.state.conversation.id == id) {
        host_.state.conversation.title = title;
    }
    refresh_list();
}

void Chats::remove(const std::vector<int64_t>& ids) {
    AppState& state = host_.state;
    const auto among = [&](int64_t id) {
        return std::find(ids.begin(), ids.end(), id) != ids.end();
    };
    if (turns_.running() && among(turns_.conversation()->id)) {
        turns_.stop();
    }
    std::string what = std::to_string(ids.size()) + " conversations";
    if (ids.size() == 1) {
        const auto item = std::find_if(state.conversations.begin(), state.conversations.end(),
                                       [&](const auto& c) { return c.id == ids[0]; });
        what = "\u201C" + (item == state.conversations.end() ? "" : item->title) + "\u201D";
    }
    if (host_.store_call([&] { host_.store.remove(ids); })) {
        host_.banner(Banner::Kind::info,
                     "Moved " + what + " to the trash, where it stays for " +
                         std::to_string(ConversationStore::kTrashDays) + " days.",
                     can_be_undone([this, ids] {
                         host_.store_call([&] { host_.store.restore(ids); });
                         refresh_list();
                     }));
    }
    if (among(state.conversation.id)) {
        new_conversation();
    }
    refresh_list();
}

void Chats::regenerate(size_t index) {
    turns_.regenerate(index);
}

void Chats::continue_answer() {
    turns_.continue_answer();
}

void Chats::begin_edit(size_t index) {
    AppState& state = host_.state;
    if (turns_.running() || index >= state.conversation.messages.size() ||
        state.conversation.messages[index].role != runtime::Role::user) {
        return;
    }
    cancel_edit();
    const Message& message = state.conversation.messages[index];
    state.chat.edit = {message.id, {state.draft.text(), state.draft.cursor(), state.staged}};
    state.draft.set(message.content);
    state.staged = message.attachments;
    state.composer_focused = true;
    host_.recount();
}

void Chats::cancel_edit() {
    AppState& state = host_.state;
    if (state.chat.edit.message != 0) {
        state.draft.set(state.chat.edit.kept.text);
        state.staged = std::move(state.chat.edit.kept.staged);
        state.chat.edit = {};
        host_.recount();
    }
}

void Chats::switch_branch(size_t index, int step) {
    AppState& state = host_.state;
    if (index >= state.conversation.messages.size() ||
        (turns_.running() && turns_.conversation()->id == state.conversation.id)) {
        return;
    }
    cancel_edit();
    bool switched = false;
    if (host_.store_call([&] {
            switched = host_.store.switch_branch(state.conversation.id,
                                                 state.conversation.messages[index].id, step);
        }) &&
        switched) {
        reload();
    }
}

void Chats::delete_turn(size_t index) {
    AppState& state = host_.state;
    if (index >= state.conversation.messages.size() ||
        (turns_.running() && turns_.conversation()->id == state.conversation.id)) {
        return;
    }
    cancel_edit();
    DeletedMessages deleted;
    if (!host_.store_call([&] { deleted = host_.store.remove_turn(state.conversation, index); })) {
        return;
    }
    reload();
    host_.banner(Banner::Kind::info, "Deleted a part of this conversation.",
                 can_be_undone([this, deleted] {
                     host_.store_call([&] { host_.store.restore(deleted); });
                     if (host_.state.conversation.id == deleted.conversation) {
                         reload();
                     }
                 }));
}

uint64_t Chats::can_be_undone(std::function<void()> how) {
    undo_[next_undo_] = std::move(how);
    if (undo_.size() > kMaxUndo) {
        undo_.erase(undo_.begin());
    }
    return next_undo_++;
}

void Chats::undo(uint64_t id) {
    if (const auto at = undo_.find(id); at != undo_.end()) {
        const auto how = std::move(at->second);
        undo_.erase(at);
        how();
    }
}

}  // namespace app::window
