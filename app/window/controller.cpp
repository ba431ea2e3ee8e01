// Models, attachments, figures. What concerns conversations and their turns is passed on to Chats.
#include "app/window/controller.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <utility>

#include "app/codebase/decode.h"
#include "app/window/format.h"
#include "app/window/turn_settings.h"
#include "runtime/error.h"

namespace app::window {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxBanners = 8, kMaxRecent = 8;

std::string home_relative(const std::string& path) {
    const char* home = std::getenv("HOME");
    return home && *home && path.starts_with(std::string(home) + "/")
               ? "~" + path.substr(std::string(home).size())
               : path;
}

std::string expanded(const std::string& path) {
    const char* home = std::getenv("HOME");
    return home && (path == "~" || path.starts_with("~/")) ? home + path.substr(1) : path;
}

// What a count is of, beside the words of the draft.
std::vector<int64_t> counted_about(const AppState& state) {
    std::vector<int64_t> about = {
        state.conversation.id, static_cast<int64_t>(state.conversation_generation),
        static_cast<int64_t>(state.conversation.messages.size()), state.chat.edit.message};
    for (const Attachment& attachment : state.staged) {
        about.insert(about.end(), {attachment.tokens, static_cast<int64_t>(attachment.text.size()),
                                   static_cast<int64_t>(attachment.text_hash[0])});
    }
    return about;
}

}  // namespace

Controller::Controller(AppState& state,
                       runtime::EngineThread& engine,
                       const Options& options,
                       ControllerPaths paths,
                       Hooks hooks)
    : state_(state),
      engine_(engine),
      engine_options_(options.engine),
      paths_(std::move(paths)),
      hooks_(std::move(hooks)),
      settings_(load_settings(paths_.settings, settings_problem_)),
      store_(paths_.conversations),
      chats_(ChatHost{state_,
                      settings_,
                      store_,
                      prompt_worker_,
                      model_,
                      [this] { return source(); },
                      [this](Banner::Kind kind, const std::string& text, uint64_t undo) {
                          banner(kind, text, undo);
                      },
                      [this](const std::function<void()>& call) { return store_call(call); },
                      hooks_.wake,
                      [this](int64_t tokens) {
                          if (model_) {
                              engine_options_.ctx_size = tokens;
                              load_model(model_->path);
                          }
                      },
                      [this] { want_count(); },
                      {}}),
      desk_({state_, model_, paths_.cache,
             paths_.conversations.empty() ? fs::path()
                                          : paths_.conversations.parent_path() / "codebases",
             [this](Banner::Kind kind, const std::string& text) { banner(kind, text); },
             [this] {
                 chats_.draft_changed();
                 want_count();
             },
             hooks_.wake,
             [this](int64_t tokens) {
                 if (model_) {
                     engine_options_.ctx_size = tokens;
                     load_model(model_->path);
                 }
             }}),
      models_({state_, settings_, paths_.models.string(), paths_.demo_model.string(), hooks_.wake,
               [this] { save_settings_now(); },
               [this](const std::string& path, const runtime::EngineOptions& with) {
                   engine_options_ = with;
                   load_model(path);
               },
               [this] { cancel_load(); }},
              engine_options_),
      server_({state_, settings_, engine_, model_, hooks_.wake, [this] { save_settings_now(); },
               [this](Banner::Kind kind, const std::string& text) { banner(kind, text); }},
              options),
      preferences_({state_, settings_, hooks_.wake, [this] { save_settings_now(); },
                    [this] { want_count(); }}),
      remote_({state_, settings_, hooks_.wake, [this] { save_settings_now(); },
               [this] { other_source(); }},
              options),
      prompt_worker_(hooks_.wake) {
    state_.actions = this;
    if (!settings_problem_.empty()) {
        banner(Banner::Kind::warning, settings_problem_);
    }
    state_.settings_page.file = paths_.settings.string();
    state_.settings_page.conversations = paths_.conversations.string();
    state_.settings_page.models = paths_.models.string();
    if (!store_.problem().empty()) {
        banner(store_.in_memory() ? Banner::Kind::error : Banner::Kind::warning, store_.problem());
    }
    state_.thinking = settings_.thinking;
    state_.sidebar = settings_.sidebar;
    chats_.refresh_list();
    chats_.restore_last();
}

Controller::~Controller() {
    save_settings_now();
}

void Controller::save_settings_now() {
    std::string problem;
    if (!save_settings(paths_.settings, settings_, problem)) {
        banner(Banner::Kind::warning, problem);
    }
}

void Controller::banner(Banner::Kind kind, const std::string& text, uint64_t undo) {
    const bool known =
        std::any_of(state_.banners.begin(), state_.banners.end(),
                    [&](const Banner& b) { return b.text == text && b.undo == undo; });
    if (!known) {
        state_.banners.push_front({next_banner_++, kind, text, undo});
        if (state_.banners.size() > kMaxBanners) {
            state_.banners.pop_back();
        }
    }
}

// Runs what writes or reads the store; a failure is said and the program goes on in memory.
bool Controller::store_call(const std::function<void()>& call) {
    try {
        call();
        return true;
    } catch (const StoreError& error) {
        banner(Banner::Kind::error,
               std::string("The conversation could not be saved: ") + error.what());
        return false;
    }
}

int Controller::tick() {
    bool changed = desk_.tick();
    changed = prompt_worker_.deliver() || changed;
    if (copy_worker_) {
        copy_worker_->deliver();
    }
    changed = remote_.tick() || changed;
    changed = follow_model() || changed;
    changed = chats_.tick() || changed;
    changed = models_.tick() || changed;
    changed = server_.tick() || changed;
    changed = preferences_.tick() || changed;
    if (shown_page_ != state_.page) {
        shown_page_ = state_.page;
        if (shown_page_ == Page::models) {
            models_.opened();
        }
        changed = true;
    }
    const bool figures = follow_memory();
    if (!waiting_paths_.empty() && state_.model.state != ModelView::State::loading) {
        attach(std::exchange(waiting_paths_, {}));
        changed = true;
    }
    if (count_wanted_ && !counting_) {
        recount();
    }
    return changed ? 3 : figures ? 1 : 0;
}

bool Controller::follow_model() {
    const runtime::EngineStatus status = engine_.status();
    ModelView& view = own_;
    const ModelView before = state_.model;
    using EngineState = runtime::EngineStatus::State;
    switch (status.state) {
        case EngineState::loading:
            view.state = ModelView::State::loading;
            view.load_progress =
                status.load_total_bytes > 0
                    ? std::floor(200.0 * static_cast<double>(status.load_done_bytes) /
                                 static_cast<double>(status.load_total_bytes)) /
                          200
                    : 0;
            break;
        case EngineState::ready:
            if (const auto loaded = engine_.model(); loaded && loaded != model_) {
                model_ = loaded;
                view.name = loaded->config.name;
                view.type = loaded->config.file_type;
                view.path = loaded->path;
                view.is_demo = loaded->is_demo;
                view.file_bytes = loaded->file_bytes;
                auto& recent = settings_.recent_models;
                std::erase(recent, loaded->path);
                if (loaded->path != paths_.demo_model) {
                    recent.insert(recent.begin(), loaded->path);
                    recent.resize(std::min(recent.size(), kMaxRecent));
                }
                settings_.last_model = loaded->path == paths_.demo_model ? "" : loaded->path;
                save_settings_now();
                last_load_error_.clear();
                models_.loaded(loaded->path);
                if (!loaded->is_demo) {
                    models_.remember(engine_options_);
                }
                want_count();
            }
            view.state = ModelView::State::ready;
            break;
        case EngineState::failed:
            view.state = ModelView::State::failed;
            if (status.error != last_load_error_) {
                last_load_error_ = status.error;
                models_.failed(status.error);
                banner(Banner::Kind::error, status.error);
            }
            break;
        case EngineState::empty:
        case EngineState::stopped:
            view.state = ModelView::State::none;
            break;
    }
    state_.model = remote_.on() ? remote_.model_view() : own_;
    if (state_.model.state != ModelView::State::ready &&
        state_.model.state != ModelView::State::loading) {
        state_.context = {};
    }
    const int clients =
        std::max(0, status.running + status.waiting - (chats_.turns().streaming() ? 1 : 0));
    const bool clients_changed = clients != state_.server.clients;
    state_.server.clients = clients;
    return clients_changed || before.state != state_.model.state ||
           before.load_progress != state_.model.load_progress || before.path != state_.model.path;
}

bool Controller::follow_memory() {
    const runtime::MemorySnapshot fresh = engine_.memory();
    const auto& old = state_.memory;
    bool changed = fresh.loaded != old.loaded || fresh.devices.size() != old.devices.size() ||
                   fresh.kv_cache.pages_used != old.kv_cache.pages_used ||
                   fresh.kv_cache.pages_reserved != old.kv_cache.pages_reserved ||
                   fresh.kv_cache.pages_cached != old.kv_cache.pages_cached;
    // Free memory flickers with every program on the machine: only what would change a figure on
    // screen counts.
    for (size_t i = 0; !changed && i < fresh.devices.size(); i++) {
        const auto &a = fresh.devices[i], &b = old.devices[i];
        changed = a.weights_bytes != b.weights_bytes || a.compute_bytes != b.compute_bytes ||
                  std::abs(a.other_bytes - b.other_bytes) > a.total_bytes / 100;
    }
    if (changed) {
        state_.memory = fresh;
        state_.device = fresh.devices.empty() ? "" : fresh.devices.front().name;
    }
    if (state_.context.limit != fresh.ctx_size && fresh.loaded && !remote_.on() && !counting_) {
        want_count();
    }
    return changed;
}

// The next prompt, counted with the model's own tokenizer, by where its tokens come from.
void Controller::recount() {
    count_wanted_ = false;
    if (remote_.on()) {
        // Its tokens are not ours to count: what it said of the last prompt and answer.
        state_.context = {};
        state_.context.limit = remote_.source()->context_tokens();
        state_.context.known = state_.context.limit > 0;
        for (const Message& message : state_.conversation.messages) {
            if (message.stats.prompt_tokens > 0) {
                state_.context.chat = message.stats.prompt_tokens + message.stats.completion_tokens;
            }
        }
        return;
    }
    if (!model_) {
        return;
    }
    counting_ = true;
    const int64_t limit = state_.memory.ctx_size > 0 ? state_.memory.ctx_size : model_->ctx_size;
    // As it will be sent: with what this conversation has of its own.
    TurnSettings turn = turn_settings(settings_, state_.conversation, state_.thinking, limit);
    const auto take = [this, limit, reserve = turn.reserve](const PromptCount& count) {
        counting_ = false;
        if (remote_.on()) {
            count_wanted_ = true;
            return;
        }
        state_.context = {true,       limit,       count.system, count.codebase,
                          count.chat, count.draft, reserve,      count.thinking};
    };
    if (std::vector<int64_t> about = counted_about(state_); counted_about_ != about) {
        counted_about_ = std::move(about);
        want_count();
        count_wanted_ = false;
    }
    if (counted_) {
        prompt_worker_.add([this, take, model = model_, before = *counted_,
                            words = state_.draft.text(),
                            settings = std::move(turn.prompt)]() -> Worker::Done {
            return [this, take, count = recount_words(*model->tokenizer, before, words, settings)] {
                if (count) {
                    take(*count);
                } else {
                    counting_ = false;
                    want_count();
                }
            };
        });
        return;
    }
    Conversation conversation = state_.conversation;
    // An edited question begins a branch of its own: what followed it is not in it.
    if (const int64_t edited = state_.chat.edit.message; edited != 0) {
        auto& messages = conversation.messages;
        messages.erase(std::find_if(messages.begin(), messages.end(),
                                    [edited](const Message& m) { return m.id == edited; }),
                       messages.end());
    }
    prompt_worker_.add([this, take, model = model_, conversation = std::move(conversation),
                        draft = Draft{state_.draft.text(), 0, state_.staged},
                        settings = std::move(turn.prompt),
                        serial = count_serial_]() mutable -> Worker::Done {
        return [this, take, serial,
                count = count_prompt(*model->tokenizer, std::move(conversation), draft, settings)] {
            if (serial == count_serial_) {
                counted_ = count;
            }
            take(count);
        };
    });
}

// Something of the prompt is other than it was, beside the words of the draft.
void Controller::want_count() {
    count_wanted_ = true;
    counted_.reset();
    count_serial_++;
}

void Controller::draft_changed() {
    chats_.draft_changed();
    count_wanted_ = true;
}

void Controller::toggle_thinking() {
    state_.thinking = !state_.thinking;
    settings_.thinking = state_.thinking;
    save_settings_now();
    want_count();
}

void Controller::send() {
    if (!desk_.reading()) {
        chats_.send();
    }
}

void Controller::stop() {
    chats_.turns().stop();
}

void Controller::new_conversation() {
    state_.page = Page::chat;
    chats_.new_conversation();
}

void Controller::select_conversation(int64_t id) {
    state_.page = Page::chat;
    chats_.select(id);
}

void Controller::rename_conversation(int64_t id, const std::string& title) {
    chats_.rename(id, title);
}

void Controller::remove_conversation(int64_t id) {
    chats_.remove({id});
}

void Controller::attach(const std::vector<std::string>& paths) {
    state_.page = Page::chat;
    if (desk_.reading()) {
        banner(Banner::Kind::info,
               "One folder is being read already; drop the next one when it is done.");
        return;
    }
    if (paths.empty()) {
        return;
    }
    std::vector<fs::path> real;
    for (const std::string& path : paths) {
        real.emplace_back(expanded(path));
    }
    desk_.attach(real);
}

void Controller::cancel_attach() {
    desk_.cancel();
}

void Controller::remove_attachment(size_t index) {
    if (index < state_.staged.size()) {
        state_.staged.erase(state_.staged.begin() + static_cast<std::ptrdiff_t>(index));
        draft_changed();
        want_count();
    }
}

void Controller::open_first_model(const std::string& named) {
    first_model_ = named;
    if (!remote_.start_first()) {
        open_own_model(named);
    }
}

std::shared_ptr<AnswerSource> Controller::source() {
    return remote_.on() ? remote_.source() : model_ ? local_source(engine_, model_) : nullptr;
}

// Another engine answers from now on, or this program's own again.
void Controller::other_source() {
    if (!remote_.on() && !model_ && own_.state != ModelView::State::loading) {
        open_own_model(first_model_);
    }
    state_.context = {};
    want_count();
}

void Controller::open_own_model(const std::string& named) {
    std::error_code error;
    std::string path = named;
    if (path.empty() && !settings_.last_model.empty()) {
        if (fs::is_regular_file(settings_.last_model, error)) {
            path = settings_.last_model;
            engine_options_ = models_.remembered();
        } else {
            banner(Banner::Kind::warning,
                   "The model used last is gone: " + home_relative(settings_.last_model));
        }
    }
    if (path.empty()) {
        path = paths_.demo_model.string();
    }
    if (!path.empty()) {
        load_model(path);
    }
}

void Controller::load_model(const std::string& path) {
    stop();
    own_.state = ModelView::State::loading;
    remote_.disconnect_remote();  // who loads a model wants answers from it
    loading_path_ = fs::absolute(expanded(path)).string();
    last_load_error_.clear();
    own_.loading_name = codebase::printable_path(fs::path(loading_path_).filename().string());
    model_.reset();
    state_.context = {};
    engine_.load(loading_path_, engine_options_);
}

void Controller::cancel_load() {
    engine_.cancel_load();
}

void Controller::copy(const std::string& text) {
    copies_++;
    hooks_.set_clipboard(text);
}

void Controller::copy_made(std::function<std::string()> make) {
    if (!copy_worker_) {
        copy_worker_ = std::make_unique<Worker>(hooks_.wake);
    }
    copy_worker_->add([this, make = std::move(make), serial = ++copies_]() -> Worker::Done {
        return [this, serial, text = make()] {
            if (serial == copies_) {
                hooks_.set_clipboard(text);
            }
        };
    });
}

void Controller::open_link(const std::string& address) {
    if (desk_.open(address)) {
        return;
    }
    // A model's link is never opened by itself: what it points to is the person's decision, made in
    // their browser.
    hooks_.set_clipboard(address);
    banner(Banner::Kind::info, "Copied the address " + address);
}

void Controller::dismiss_banner(uint64_t id) {
    std::erase_if(state_.banners, [&](const Banner& banner) { return banner.id == id; });
}

void Controller::toggle_sidebar() {
    state_.sidebar_overlay = !state_.sidebar_overlay;
    state_.sidebar = !state_.sidebar;
    settings_.sidebar = state_.sidebar;
}

void Controller::zoom(int steps) {
    settings_.zoom = steps == 0 ? 1.0 : std::clamp(settings_.zoom + 0.1 * steps, 0.5, 3.0);
    preferences_.settings_changed();
}

}  // namespace app::window
