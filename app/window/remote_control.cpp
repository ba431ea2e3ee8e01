#include "app/window/remote_control.h"

#include <algorithm>
#include <mutex>
#include <thread>
#include <utility>

namespace app::window {

// Shared with the thread that asks: it may be heard when nobody is interested any more.
struct RemoteControl::Inquiry {
    std::shared_ptr<RemoteEngine> engine;
    std::string key;    // it goes into the settings when it was taken
    bool kept = false;  // all of it does: it is not the command line's
    std::mutex mutex;
    std::function<void()> wake;       // guarded by mutex; empty: the window is gone
    bool done = false;                // guarded by mutex
    std::vector<RemoteModel> models;  // guarded by mutex
    std::string problem;              // guarded by mutex
};

namespace {

std::string trimmed(const std::string& text) {
    const size_t begin = text.find_first_not_of(" \t\r\n");
    const size_t end = text.find_last_not_of(" \t\r\n");
    return begin == std::string::npos ? "" : text.substr(begin, end - begin + 1);
}

bool is_key(const std::string& key) {
    return std::ranges::all_of(key, [](char c) { return c > ' ' && c < 0x7F; });
}

// As a person at this window can act on it.
std::string in_words(const RemoteError& error) {
    if (error.code == "remote_key_refused") {
        return "It refuses the key. Type the right one and connect again.";
    }
    return error.what();
}

std::string host_of(const RemoteUrl& url) {
    const std::string text = url.text();
    return text.substr(text.find("://") + 3);
}

}  // namespace

RemoteControl::RemoteControl(Host host, const Options& options)
    : host_(std::move(host)), view_(host_.state.remote) {
    view_.actions = this;
    const Settings& settings = host_.settings;
    view_.url = settings.remote_url;
    view_.key_kept = !settings.remote_key.empty();
    wanted_model_ = settings.remote_model;
    if (const auto given = RemoteOptions::from(options)) {
        view_.url = given_url_ = given->url.text();
        given_key_ = given->key;
        wanted_model_ = given->model;
        limits_ = given->limits;
    }
}

RemoteControl::~RemoteControl() {
    if (inquiry_) {
        const std::lock_guard lock(inquiry_->mutex);
        inquiry_->wake = nullptr;
    }
}

bool RemoteControl::start_first() {
    if (given_url_.empty() && (!host_.settings.remote_on || view_.url.empty())) {
        return false;
    }
    connect_remote();
    return true;
}

void RemoteControl::connect_remote() {
    view_.problem.clear();
    view_.warning.clear();
    const Settings& settings = host_.settings;
    RemoteOptions options;
    options.limits = limits_;
    try {
        options.url = RemoteUrl::parse(trimmed(view_.url));
    } catch (const std::exception& error) {
        view_.problem = error.what();
        return;
    }
    // A key goes to the address that it was given for, and to no other.
    const std::string url = options.url.text();
    const std::string typed = trimmed(view_.key);
    const bool given = url == given_url_ && typed.empty();
    options.key = !typed.empty()               ? typed
                  : given                      ? given_key_
                  : url == settings.remote_url ? settings.remote_key
                                               : "";
    if (!is_key(options.key)) {
        view_.problem = "The key holds characters that no key has; paste it again.";
        return;
    }
    view_.warning = remote_warning(options);
    inquiry_ = std::make_shared<Inquiry>();
    inquiry_->engine = std::make_shared<RemoteEngine>(options);
    inquiry_->key = options.key;
    inquiry_->kept = !given;
    inquiry_->wake = host_.wake;
    view_.state = RemoteView::State::asking;
    std::thread([inquiry = inquiry_] {
        std::vector<RemoteModel> models;
        std::string problem;
        try {
            models = inquiry->engine->models();
        } catch (const RemoteError& error) {
            problem = in_words(error);
        } catch (const std::exception& error) {
            problem = error.what();
        }
        const std::lock_guard lock(inquiry->mutex);
        inquiry->models = std::move(models);
        inquiry->problem = std::move(problem);
        inquiry->done = true;
        if (inquiry->wake) {
            inquiry->wake();
        }
    }).detach();
}

bool RemoteControl::tick() {
    if (!inquiry_) {
        return false;
    }
    {
        const std::lock_guard lock(inquiry_->mutex);
        if (!inquiry_->done) {
            return false;
        }
        models_ = std::move(inquiry_->models);
        view_.problem = std::move(inquiry_->problem);
    }
    const auto inquiry = std::exchange(inquiry_, nullptr);
    if (!view_.problem.empty()) {
        // What answered before goes on answering.
        view_.state = on() ? RemoteView::State::on : RemoteView::State::off;
        return true;
    }
    engine_ = inquiry->engine;
    view_.state = RemoteView::State::on;
    view_.host = host_of(engine_->url());
    view_.models.clear();
    for (const RemoteModel& model : models_) {
        view_.models.push_back({model.id, model.context_tokens});
    }
    Settings& settings = host_.settings;
    kept_ = inquiry->kept;
    if (kept_) {
        settings.remote_on = true;
        settings.remote_url = engine_->url().text();
        settings.remote_key = inquiry->key;
    }
    view_.key.clear();
    view_.key_kept = !settings.remote_key.empty();
    use(wanted_model_);
    return true;
}

// The model of this name, else its first.
void RemoteControl::use(const std::string& model) {
    const auto found = std::ranges::find(models_, model, &RemoteModel::id);
    const RemoteModel& chosen = found != models_.end() ? *found : models_.front();
    view_.model = wanted_model_ = chosen.id;
    source_ = remote_source(engine_, chosen, host_.wake);
    if (kept_) {
        host_.settings.remote_model = chosen.id;
        host_.save_settings();
    }
    host_.changed();
}

void RemoteControl::choose_remote_model(const std::string& id) {
    if (on() && id != view_.model) {
        use(id);
    }
}

void RemoteControl::disconnect_remote() {
    inquiry_.reset();
    view_.state = RemoteView::State::off;
    view_.problem.clear();
    view_.warning.clear();
    view_.models.clear();
    view_.model.clear();
    if (host_.settings.remote_on && kept_) {
        host_.settings.remote_on = false;
        host_.save_settings();
    }
    if (on()) {
        source_.reset();
        engine_.reset();  // an answer that still comes holds it
        host_.changed();
    }
}

void RemoteControl::forget_remote_key() {
    host_.settings.remote_key.clear();
    view_.key_kept = false;
    host_.save_settings();
}

ModelView RemoteControl::model_view() const {
    ModelView view;
    view.state = ModelView::State::ready;
    view.name = view_.model;
    view.path = engine_->url().text() + " " + view_.model;
    view.remote = view_.host;
    return view;
}

}  // namespace app::window
