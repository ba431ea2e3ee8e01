#include "app/window/server_control.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <random>
#include <sstream>
#include <utility>

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>

#include "app/server/guard.h"
#include "runtime/error.h"

namespace app::window {
namespace {

constexpr std::chrono::milliseconds kGrace{500};
constexpr const char* kEverywhere = "0.0.0.0";

std::string random_key() {
    static constexpr char kLetters[] = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789";
    std::random_device device;
    std::uniform_int_distribution<size_t> letter(0, sizeof kLetters - 2);
    std::string key = "kh-";
    for (int i = 0; i < 40; i++) {
        key += kLetters[letter(device)];
    }
    return key;
}

std::vector<std::string> words_of(const std::string& text) {
    std::istringstream in(text);
    std::vector<std::string> words;
    for (std::string word; in >> word;) {
        words.push_back(word);
    }
    return words;
}

// Where others on the network reach this machine.
std::vector<std::string> own_addresses() {
    std::vector<std::string> found;
    ifaddrs* all = nullptr;
    if (::getifaddrs(&all) != 0) {
        return found;
    }
    for (const ifaddrs* one = all; one != nullptr; one = one->ifa_next) {
        if (one->ifa_addr == nullptr || one->ifa_addr->sa_family != AF_INET ||
            (one->ifa_flags & IFF_LOOPBACK) != 0 || (one->ifa_flags & IFF_UP) == 0) {
            continue;
        }
        char text[INET_ADDRSTRLEN] = "";
        const auto* address = reinterpret_cast<const sockaddr_in*>(one->ifa_addr);
        if (::inet_ntop(AF_INET, &address->sin_addr, text, sizeof text) != nullptr) {
            found.emplace_back(text);
        }
    }
    ::freeifaddrs(all);
    return found;
}

bool same(const ServerOptions& a, const ServerOptions& b) {
    return a.host == b.host && a.port == b.port && a.api_keys == b.api_keys &&
           a.allow_origins == b.allow_origins;
}

}  // namespace

ServerControl::ServerControl(Host host, const Options& options)
    : host_(std::move(host)),
      page_(host_.state.server_page),
      base_(ServerOptions::from(options)),
      port_given_(options.port_given),
      log_(std::make_shared<RequestLog>()),
      worker_(host_.wake) {
    Settings& settings = host_.settings;
    page_.actions = this;
    page_.log = log_.get();
    base_.log = log_;
    page_.on = settings.server_on;
    page_.port = std::to_string(port_given_ ? base_.port : settings.server_port);
    page_.open_to_network = settings.server_open || !is_loopback_host(base_.host);
    page_.keys = base_.api_keys;
    page_.fixed_keys = page_.keys.size();
    page_.keys.insert(page_.keys.end(), settings.server_keys.begin(), settings.server_keys.end());
    for (const std::string& origin : settings.server_origins) {
        page_.origins += (page_.origins.empty() ? "" : " ") + origin;
    }
    page_.addresses = own_addresses();
}

ServerControl::~ServerControl() {
    replay_.reset();
    if (server_) {
        server_->refuse_new_work();
        server_->stop();
    }
}

ServerOptions ServerControl::wanted() const {
    ServerOptions options = base_;
    options.port = -1;
    const std::string& port = page_.port;
    int number = 0;
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
    if (error == std::errc() && end == port.data() + port.size() && number >= 0 &&
        number <= 65535) {
        options.port = number;
    }
    if (page_.open_to_network) {
        options.host = is_loopback_host(base_.host) ? kEverywhere : base_.host;
    } else if (!is_loopback_host(base_.host)) {
        options.host = "127.0.0.1";
    }
    options.api_keys = page_.keys;
    for (const std::string& origin : words_of(page_.origins)) {
        options.allow_origins.push_back(origin);
    }
    return options;
}

void ServerControl::start_first() {
    if (page_.on || port_given_) {
        start_server();
    }
}

// Ends the present server and makes the next one, on the worker.
void ServerControl::change(std::function<std::shared_ptr<Server>(std::string& problem)> make) {
    page_.problem.clear();
    worker_.add([this, old = std::move(server_), make = std::move(make)]() mutable -> Worker::Done {
        if (old) {
            old->refuse_new_work();
            old->stop(kGrace);
            old.reset();
        }
        std::string problem;
        std::shared_ptr<Server> fresh = make(problem);
        return [this, fresh, problem] {
            server_ = fresh;
            page_.problem = problem;
            page_.state = fresh ? ServerPage::State::on : ServerPage::State::off;
            page_.url = fresh ? fresh->url() : "";
            host_.state.server.address =
                fresh ? (page_.open_to_network ? running_.host : std::string("127.0.0.1")) + ":" +
                            std::to_string(fresh->port())
                      : "";
            if (first_ && !problem.empty()) {
                host_.banner(fresh ? Banner::Kind::warning : Banner::Kind::error,
                             (fresh ? problem : "The HTTP server did not start: " + problem));
            }
            first_ = false;
            server_settings_changed();
        };
    });
}

void ServerControl::start_server() {
    if (page_.state == ServerPage::State::starting || page_.state == ServerPage::State::stopping) {
        return;
    }
    const ServerOptions options = wanted();
    if (options.port < 0) {
        page_.problem =
            "\"" + page_.port + "\" is no port: a number up to 65535, or 0 for a free one";
        return;
    }
    if (page_.open_to_network && page_.keys.empty()) {
        add_key();
        start_server();
        return;
    }
    page_.on = true;
    running_ = options;
    page_.state = ServerPage::State::starting;
    server_settings_changed();
    // At the start of the program another one may have the port: then a free one serves, and that
    // is said. Later the person is looking at the page and chooses.
    change([this, options, may_move = first_](std::string& problem) -> std::shared_ptr<Server> {
        ServerOptions with = options;
        for (int attempt = 0; attempt < (may_move ? 2 : 1); attempt++) {
            try {
                auto server = std::make_shared<Server>(host_.engine, with);
                server->start();
                if (attempt > 0) {
                    problem += ". The HTTP server uses port " + std::to_string(server->port()) +
                               " instead.";
                }
                return server;
            } catch (const std::exception& error) {
                problem = attempt == 0 ? error.what() : problem;
                with.port = 0;
            }
        }
        return nullptr;
    });
}

void ServerControl::stop_server() {
    if (page_.state != ServerPage::State::on) {
        return;
    }
    page_.on = false;
    page_.state = ServerPage::State::stopping;
    server_settings_changed();
    change([](std::string&) -> std::shared_ptr<Server> { return nullptr; });
}

void ServerControl::server_settings_changed() {
    Settings& settings = host_.settings;
    const ServerOptions options = wanted();
    settings.server_on = page_.on;
    if (options.port >= 0) {
        settings.server_port = options.port;
    }
    settings.server_open = page_.open_to_network;
    settings.server_keys.assign(page_.keys.begin() + static_cast<std::ptrdiff_t>(page_.fixed_keys),
                                page_.keys.end());
    settings.server_origins = words_of(page_.origins);
    page_.changed = page_.state == ServerPage::State::on && !same(options, running_);
    host_.save_settings();
}

void ServerControl::add_key() {
    page_.keys.push_back(random_key());
    server_settings_changed();
}

void ServerControl::remove_key(size_t index) {
    if (index >= page_.fixed_keys && index < page_.keys.size()) {
        page_.keys.erase(page_.keys.begin() + static_cast<std::ptrdiff_t>(index));
        server_settings_changed();
    }
}

void ServerControl::select_request(uint64_t id) {
    if (id != page_.selected) {
        stop_replay();
        page_.replay = {};
        page_.tokens_shown = page_.tokens_known = false;
        page_.tokens.clear();
    }
    page_.selected = 0;
    page_.prompt = nullptr;
    if (auto row = LogRows::row(*log_, id); id != 0 && row) {
        page_.selected = id;
        page_.row = std::move(*row);
        page_.prompt = log_->prompt(id);
    }
}

void ServerControl::show_tokens(bool show) {
    page_.tokens_shown = show;
    if (!show || page_.tokens_known || !page_.prompt || !host_.model) {
        return;
    }
    worker_.add([this, serial = ++tokens_serial_, text = page_.prompt,
                 model = host_.model]() -> Worker::Done {
        std::vector<std::pair<int32_t, std::string>> tokens;
        for (const runtime::TokenId id :
             model->tokenizer->encode(*text, runtime::Special::recognise)) {
            std::string piece(model->tokenizer->bytes(id, true));
            std::replace(piece.begin(), piece.end(), '\n', ' ');
            tokens.emplace_back(id, std::move(piece));
        }
        return [this, serial, tokens = std::move(tokens)]() mutable {
            if (serial == tokens_serial_) {
                page_.tokens = tokens;
                page_.tokens_known = true;
            }
        };
    });
}

void ServerControl::replay() {
    ReplayView& view = page_.replay;
    view = {};
    view.of = page_.selected;
    view.state = ReplayView::State::failed;
    if (!page_.prompt) {
        view.error = "The prompt of this request is not kept any more.";
    } else if (static_cast<int64_t>(page_.prompt->size()) != page_.row.prompt_bytes) {
        view.error = "Only the beginning and the end of this prompt are kept: it is too long.";
    } else if (!host_.model) {
        view.error = "No model is loaded.";
    }
    if (!view.error.empty()) {
        return;
    }
    view.state = ReplayView::State::running;
    worker_.add([this, serial = ++replay_serial_, text = page_.prompt, model = host_.model,
                 row = page_.row]() -> Worker::Done {
        auto tokens = model->tokenizer->encode(*text, runtime::Special::recognise);
        return [this, serial, row, tokens = std::move(tokens)]() mutable {
            if (serial != replay_serial_ || page_.replay.state != ReplayView::State::running) {
                return;
            }
            ReplayView& replay = page_.replay;
            const auto count = static_cast<int64_t>(tokens.size());
            if (row.choices == 1 && count != row.usage.prompt_tokens) {
                replay.remark = "The text of this prompt has " + std::to_string(count) +
                                " tokens by the loaded model, where the request had " +
                                std::to_string(row.usage.prompt_tokens) +
                                ": another model read it, or it held markers as plain text.";
            }
            replay.prompt_total = count;
            try {
                runtime::GenerationRequest request;
                request.prompt = std::move(tokens);
                request.sampling = row.sampling;
                request.max_tokens = row.max_tokens;
                request.parse_reply = false;
                request.owner = "replay";
                replay_ = host_.engine.submit(std::move(request));
            } catch (const std::exception& error) {
                replay.state = ReplayView::State::failed;
                replay.error = error.what();
            }
        };
    });
}

void ServerControl::stop_replay() {
    replay_serial_++;
    if (replay_) {
        replay_->cancel();
    } else if (page_.replay.state == ReplayView::State::running) {
        page_.replay.state = ReplayView::State::done;
    }
}

bool ServerControl::follow_replay() {
    using Kind = runtime::GenerationEvent::Kind;
    bool changed = false;
    ReplayView& view = page_.replay;
    while (replay_) {
        const auto event = replay_->try_next();
        if (!event) {
            break;
        }
        changed = true;
        view.usage = event->usage;
        view.timings = event->timings;
        if (event->kind == Kind::progress) {
            view.prompt_done = event->prompt_done;
            view.prompt_total = event->prompt_total;
        }
        for (const runtime::ReplyDelta& delta : event->deltas) {
            view.text += delta.text;
        }
        if (event->terminal()) {
            view.state =
                event->kind == Kind::failed ? ReplayView::State::failed : ReplayView::State::done;
            view.error = event->error;
            replay_.reset();
        }
    }
    return changed;
}

bool ServerControl::tick() {
    bool changed = worker_.deliver();
    changed = follow_replay() || changed;
    if (const uint64_t version = log_->version(); version != log_version_) {
        log_version_ = version;
        changed = changed || host_.state.page == Page::server;
    }
    return changed;
}

}  // namespace app::window
