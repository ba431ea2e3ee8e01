// Chats, the part about the conversation on screen and its turns; the list is in chat_list.cpp.
#include "app/window/chats.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <ctime>
#include <sstream>
#include <utility>

#include "app/conversation_json.h"
#include "app/window/format.h"

namespace app::window {
namespace {

constexpr size_t kMaxUndo = 20;
constexpr std::chrono::milliseconds kDraftRests{700};
constexpr const char* kOpen = "open_conversation";

// Between marks that are derived from the text and checked not to occur in it: nothing in it can
// close the element.
std::string pasted_text(const std::string& text) {
    uint64_t hash = 1469598103934665603ULL;
    for (const char c : text) {
        hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
    }
    std::string tag;
    do {
        char digits[9];
        std::snprintf(digits, sizeof digits, "%08x", static_cast<unsigned>(hash++));
        tag = std::string("pasted-") + digits;
    } while (text.find(tag) != std::string::npos);
    return "<" + tag + ">\n" + text + (text.ends_with('\n') ? "" : "\n") + "</" + tag + ">\n";
}

}  // namespace

Chats::Chats(ChatHost host) : host_(std::move(host)), turns_(host_), search_worker_(host_.wake) {
    host_.list_changed = [this] { refresh_list(); };
    host_.state.chat.actions = this;
}

Chats::~Chats() {
    save_draft();
    save_place();
}

void Chats::restore_last() {
    std::string open;
    host_.store_call([&] { open = host_.store.value(kOpen); });
    const int64_t id = std::strtoll(open.c_str(), nullptr, 10);
    if (id > 0) {
        select(id);
    }
    if (host_.state.conversation.id == 0) {
        load_draft();
    }
}

bool Chats::tick() {
    bool changed = turns_.tick();
    changed = search_worker_.deliver() || changed;
    if (draft_dirty_ && Clock::now() - draft_changed_at_ >= kDraftRests) {
        save_draft();
    }
    if (indexing_ && !turns_.running()) {
        // A few milliseconds at a time, until an older file is in the index.
        indexing_ = false;
        host_.store_call([&] { indexing_ = host_.store.index_some(); });
        if (indexing_) {
            host_.wake();
        }
    }
    if (when_loaded_ && host_.model && !turns_.running() &&
        host_.state.model.state == ModelView::State::ready &&
        host_.state.memory.ctx_size >= when_loaded_->report.prompt_tokens) {
        const OverflowView view = std::move(*when_loaded_);
        when_loaded_.reset();
        ask_again(view, {});
        changed = true;
    }
    return changed;
}

void Chats::refresh_list() {
    AppState& state = host_.state;
    SidebarView& view = state.chat.sidebar;
    host_.store_call([&] {
        state.conversations = host_.store.list();
        view.folders = host_.store.folders();
        view.trash = view.trash_open ? host_.store.trash() : std::vector<ConversationSummary>();
    });
    view.list_changed = true;
    const std::time_t now = std::time(nullptr);
    state.now = static_cast<int64_t>(now);
    std::tm local{};
    localtime_r(&now, &local);
    state.utc_offset = local.tm_gmtoff;
}

bool Chats::is_running(int64_t conversation) const {
    return turns_.running() && turns_.conversation()->id == conversation;
}

void Chats::draft_changed() {
    host_.state.chat.overflow.reset();
    draft_dirty_ = true;
    draft_changed_at_ = Clock::now();
}

void Chats::save_draft() {
    AppState& state = host_.state;
    draft_dirty_ = false;
    Draft draft = state.chat.edit.message != 0
                      ? state.chat.edit.kept
                      : Draft{state.draft.text(), state.draft.cursor(), state.staged};
    host_.store_call(
        [&] { host_.store.save_draft_later(state.conversation.id, std::move(draft)); });
}

void Chats::load_draft() {
    AppState& state = host_.state;
    Draft draft;
    host_.store_call([&] { draft = host_.store.draft(state.conversation.id); });
    state.draft.start(draft.text, draft.cursor);
    state.staged = std::move(draft.staged);
    recalled_.clear();
}

// As four numbers: message, part, place in its text, distance from the upper edge.
void Chats::save_place() {
    const AppState& state = host_.state;
    const ReadingView::Anchor& anchor = state.reading.anchor;
    const auto at = static_cast<size_t>(std::max(anchor.message, 0));
    if (state.conversation.id == 0 ||
        state.reading.shown_generation != state.conversation_generation) {
        return;
    }
    std::string place;
    if (!state.follow && anchor.message >= 0 && at < state.conversation.messages.size()) {
        place = std::to_string(state.conversation.messages[at].id) + " " +
                std::to_string(anchor.part) + " " + std::to_string(anchor.source) + " " +
                std::to_string(std::lround(anchor.screen_y));
    }
    host_.store_call([&] { host_.store.save_scroll(state.conversation.id, place); });
}

void Chats::load_place() {
    AppState& state = host_.state;
    state.chat.restore.reset();
    std::string text;
    host_.store_call([&] { text = host_.store.scroll(state.conversation.id); });
    std::istringstream numbers(text);
    ChatView::Place place;
    if (numbers >> place.message >> place.part >> place.source >> place.y) {
        state.chat.restore = place;
    }
}

void Chats::show(Conversation conversation) {
    AppState& state = host_.state;
    cancel_edit();
    save_draft();
    save_place();
    host_.store_call([&] { host_.store.set_value(kOpen, std::to_string(conversation.id)); });
    state.conversation = std::move(conversation);
    state.conversation_generation++;
    state.chat.overflow.reset();
    load_place();
    state.composer_focused = true;
    load_draft();
    host_.recount();
}

void Chats::new_conversation() {
    if (host_.state.conversation.id != 0 || !host_.state.conversation.messages.empty()) {
        show({});
    }
    host_.state.composer_focused = true;
}

void Chats::select(int64_t id) {
    if (id == host_.state.conversation.id) {
        return;
    }
    if (is_running(id)) {
        show(*turns_.conversation());
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

void Chats::send() {
    recalled_.clear();
    turns_.send({});
}

void Chats::regenerate(size_t index) {
    turns_.regenerate(index, {});
}

void Chats::continue_answer() {
    turns_.continue_answer({});
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
    state.draft.start(message.content, message.content.size());
    state.staged = message.attachments;
    state.composer_focused = true;
    state.chat.overflow.reset();
    host_.recount();
}

void Chats::cancel_edit() {
    AppState& state = host_.state;
    if (state.chat.edit.message != 0) {
        state.draft.start(state.chat.edit.kept.text, state.chat.edit.kept.cursor);
        state.staged = std::move(state.chat.edit.kept.staged);
        state.chat.edit = {};
        state.chat.overflow.reset();
        host_.recount();
    }
}

void Chats::switch_branch(size_t index, int step) {
    AppState& state = host_.state;
    if (index >= state.conversation.messages.size() || is_running(state.conversation.id)) {
        return;
    }
    cancel_edit();
    state.chat.overflow.reset();
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
    if (index >= state.conversation.messages.size() || is_running(state.conversation.id)) {
        return;
    }
    cancel_edit();
    state.chat.overflow.reset();
    const bool version = state.conversation.messages[index].branches > 1;
    DeletedMessages deleted;
    if (!host_.store_call([&] { deleted = host_.store.remove_turn(state.conversation, index); })) {
        return;
    }
    reload();
    host_.banner(Banner::Kind::info,
                 version ? "Deleted this version and what followed it."
                         : "Deleted one turn of this conversation.",
                 can_be_undone([this, deleted] {
                     host_.store_call([&] { host_.store.restore(deleted); });
                     if (host_.state.conversation.id == deleted.conversation &&
                         !is_running(deleted.conversation)) {
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

void Chats::change_view(const std::vector<ConversationStore::ViewChange>& changes,
                        const std::string& what) {
    const int64_t conversation = host_.state.conversation.id;
    if (changes.empty() || !host_.store_call([&] { host_.store.change_view(changes); })) {
        return;
    }
    reload();
    host_.banner(Banner::Kind::info, what, can_be_undone([this, changes, conversation] {
                     auto back = changes;
                     for (auto& change : back) {
                         change.left_out = !change.left_out;
                     }
                     host_.store_call([&] { host_.store.change_view(back); });
                     if (host_.state.conversation.id == conversation && !is_running(conversation)) {
                         reload();
                     }
                 }));
}

void Chats::choose_overflow(size_t index) {
    AppState& state = host_.state;
    if (!state.chat.overflow || index >= state.chat.overflow->report.choices.size() ||
        turns_.running()) {
        return;
    }
    const OverflowView view = std::move(*state.chat.overflow);
    state.chat.overflow.reset();
    const OverflowChoice& choice = view.report.choices[index];
    const std::string freed = with_commas(choice.freed_tokens) + " tokens";
    TurnRunner::Decision decision;
    // What does not fit even now is counted, and asked, again.
    decision.promised_tokens = choice.fits ? choice.prompt_tokens : 0;
    const auto& messages = view.conversation.messages;
    switch (choice.kind) {
        case OverflowChoice::Kind::trim_turns: {
            std::vector<ConversationStore::ViewChange> changes;
            for (const size_t at : choice.messages) {
                changes.push_back({messages[at].id, 0, true});
            }
            change_view(changes, "The model no longer sees the oldest turns: " + freed +
                                     " are free. You still see them.");
            break;
        }
        case OverflowChoice::Kind::drop_attachment: {
            const auto [at, which] = choice.attachment;
            const Attachment& attachment = messages[at].attachments[which];
            if (view.of == OverflowView::Of::question && at + 1 == messages.size()) {
                const Draft before{state.draft.text(), state.draft.cursor(), state.staged};
                if (which < state.staged.size()) {
                    state.staged.erase(state.staged.begin() + static_cast<std::ptrdiff_t>(which));
                }
                host_.banner(Banner::Kind::info,
                             attachment.name + " was not sent: " + freed + " are free.",
                             can_be_undone([this, before] {
                                 host_.state.draft.start(before.text, before.cursor);
                                 host_.state.staged = before.staged;
                                 host_.recount();
                             }));
            } else {
                change_view(
                    {{0, attachment.id, true}},
                    "The model no longer reads " + attachment.name + ": " + freed + " are free.");
            }
            break;
        }
        case OverflowChoice::Kind::drop_thinking: {
            const std::string before = state.conversation.settings;
            Json own = parse_json(before);
            own = own.is_object() ? own : Json::object();
            own["keep_thinking"] = false;
            const int64_t id = state.conversation.id;
            const auto set = [this, id](const std::string& settings) {
                host_.store_call([&] { host_.store.set_settings(id, settings); });
                if (host_.state.conversation.id == id) {
                    host_.state.conversation.settings = settings;
                    host_.recount();
                }
            };
            set(dump(own));
            host_.banner(Banner::Kind::info,
                         "Earlier thinking is no longer in the prompt: " + freed + " are free.",
                         can_be_undone([set, before] { set(before); }));
            break;
        }
        case OverflowChoice::Kind::less_room:
            decision.less_room = true;
            break;
        case OverflowChoice::Kind::raise_limit: {
            const int64_t before = view.report.limit;
            when_loaded_ = view;
            host_.raise_context(choice.limit);
            host_.banner(Banner::Kind::info,
                         "The model is loaded again, with a context of " +
                             with_commas(choice.limit) + " tokens; then the question is asked.",
                         can_be_undone([this, before] {
                             when_loaded_.reset();
                             host_.raise_context(before);
                         }));
            return;
        }
        case OverflowChoice::Kind::new_conversation: {
            Conversation fresh = view.conversation;
            PromptSettings unused;
            apply_choice(choice, fresh, unused);
            if (view.of == OverflowView::Of::question) {
                state.draft.start("", 0);
                state.staged.clear();
            }
            new_conversation();
            state.conversation.settings = view.conversation.settings;
            state.draft.start(fresh.messages.back().content, fresh.messages.back().content.size());
            state.staged = std::move(fresh.messages.back().attachments);
            turns_.send(decision);
            return;
        }
    }
    ask_again(view, decision);
}

void Chats::ask_again(const OverflowView& view, TurnRunner::Decision decision) {
    switch (view.of) {
        case OverflowView::Of::question:
            turns_.send(decision);
            break;
        case OverflowView::Of::another_answer:
            turns_.regenerate(view.index, decision);
            break;
        case OverflowView::Of::continuation:
            turns_.continue_answer(decision);
            break;
    }
}

void Chats::cancel_overflow() {
    host_.state.chat.overflow.reset();
}

void Chats::show_all_to_model() {
    std::vector<ConversationStore::ViewChange> changes;
    for (const Message& message : host_.state.conversation.messages) {
        if (message.left_out) {
            changes.push_back({message.id, 0, false});
        }
        for (const Attachment& attachment : message.attachments) {
            if (attachment.left_out) {
                changes.push_back({0, attachment.id, false});
            }
        }
    }
    if (!is_running(host_.state.conversation.id)) {
        change_view(changes, "The model sees all of this conversation again.");
    }
}

void Chats::attach_text(const std::string& text) {
    // Megabytes may be pasted: looked through, and counted, elsewhere.
    host_.worker.add([this, text, model = host_.model]() -> Worker::Done {
        Attachment attachment;
        attachment.name = "Pasted text";
        attachment.text = pasted_text(text);
        if (model) {
            attachment.tokens = model->tokenizer->count(attachment.text);
        }
        attachment.files = {{"pasted text", "", attachment.tokens, true}};
        return [this, attachment = std::move(attachment)] {
            host_.state.staged.push_back(attachment);
            draft_changed();
            host_.recount();
        };
    });
}

void Chats::recall(int step) {
    AppState& state = host_.state;
    std::vector<const Message*> questions;
    for (const Message& message : state.conversation.messages) {
        if (message.role == runtime::Role::user && !message.content.empty()) {
            questions.push_back(&message);
        }
    }
    // Only through what was recalled and not changed since: a draft is never lost to an arrow key.
    const bool recalling = !recalled_.empty() && state.draft.text() == recalled_;
    if ((!recalling && !state.draft.empty()) || state.chat.edit.message != 0 || questions.empty()) {
        return;
    }
    size_t at = recalling ? std::min(recall_at_, questions.size()) : questions.size();
    if (step < 0 && at > 0) {
        at--;
    } else if (step > 0 && at < questions.size()) {
        at++;
    } else {
        return;
    }
    recall_at_ = at;
    recalled_ = at < questions.size() ? questions[at]->content : "";
    state.draft.set(recalled_);
    state.actions->draft_changed();
}

}  // namespace app::window
