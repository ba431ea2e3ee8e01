// keyhole serve: the HTTP server alone. Signals are taken by this thread alone, with sigtimedwait,
// so there is no handler and nothing that must be safe in one.
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <thread>

#include <unistd.h>

#include "app/cli/commands.h"
#include "app/cli/start.h"
#include "app/cli/terminal.h"
#include "app/server/server.h"
#include "runtime/error.h"
#include "runtime/log.h"

namespace app {
namespace {

// How long streams may take to finish after the first signal.
constexpr std::chrono::seconds kGrace{10};

class Signals {
public:
    // Before any other thread starts: they inherit the mask.
    Signals() {
        sigemptyset(&set_);
        sigaddset(&set_, SIGINT);
        sigaddset(&set_, SIGTERM);
        pthread_sigmask(SIG_BLOCK, &set_, &before_);
    }
    ~Signals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

    bool arrived(std::chrono::milliseconds timeout) {
        timespec wait{};
        wait.tv_sec = timeout.count() / 1000;
        wait.tv_nsec = (timeout.count() % 1000) * 1'000'000;
        return sigtimedwait(&set_, nullptr, &wait) > 0;
    }

private:
    sigset_t set_{};
    sigset_t before_{};
};

// Finishes in the background while the signals are watched: a second one ends the program at once.
int end_gracefully(Signals& signals, runtime::EngineThread& engine, Server& server) {
    std::fprintf(stderr, "stopping: answers under way have %d seconds\n",
                 static_cast<int>(kGrace.count()));
    std::atomic<bool> ended{false};
    std::thread ending([&] {
        server.refuse_new_work();
        engine.stop(kGrace);
        server.stop(std::chrono::seconds(2));
        ended = true;
    });
    while (!ended) {
        if (signals.arrived(std::chrono::milliseconds(20))) {
            std::_Exit(1);
        }
    }
    ending.join();
    return 0;
}

// Another engine answers; this program keeps the door.
int serve_remote(const Options& options, Signals& signals) {
    runtime::EngineThread engine;  // without a model
    const ServerOptions wanted = ServerOptions::from(options);
    const std::string warning = remote_warning(*RemoteOptions::from(options));
    if (!warning.empty()) {
        std::fprintf(stderr, "%s\n", warning.c_str());
    }
    Server server(engine, wanted);
    server.start();
    try {
        const std::string model = wanted.remote->model_for("");
        std::fprintf(stderr, "%s answers with %s\n", wanted.remote->url().text().c_str(),
                     printable(model).c_str());
    } catch (const RemoteError& error) {
        // It may be starting still: this is no reason to end.
        std::fprintf(stderr, "warning: %s Requests are refused until it answers.\n",
                     printable(error.what(), 2000).c_str());
    }
    std::printf("listening on %s\n", server.url().c_str());
    std::fflush(stdout);
    while (!signals.arrived(std::chrono::milliseconds(500))) {
    }
    std::fprintf(stderr, "stopping: answers under way have %d seconds\n",
                 static_cast<int>(kGrace.count()));
    std::atomic<bool> ended{false};
    std::thread ending([&] {
        server.stop(kGrace);
        ended = true;
    });
    while (!ended) {
        if (signals.arrived(std::chrono::milliseconds(20))) {
            std::_Exit(1);
        }
    }
    ending.join();
    return 0;
}

}  // namespace

int run_serve(const Options& options) {
    using State = runtime::EngineStatus::State;
    Signals signals;
    if (!options.remote.empty()) {
        return serve_remote(options, signals);
    }
    check_device(options);
    const std::string path = choose_model(options);

    runtime::EngineThread engine;
    Server server(engine, ServerOptions::from(options));
    engine.load(path, options.engine);
    server.start();

    ProgressBar bar("loading");
    bool announced = false;
    for (;;) {
        if (signals.arrived(std::chrono::milliseconds(announced ? 500 : 20))) {
            bar.clear();
            return end_gracefully(signals, engine, server);
        }
        if (announced) {
            continue;
        }
        const runtime::EngineStatus status = engine.status();
        if (status.state == State::loading) {
            bar.update(status.load_done_bytes, status.load_total_bytes);
        } else if (status.state == State::ready) {
            bar.clear();
            announced = true;
            std::printf("listening on %s\n", server.url().c_str());
            std::fflush(stdout);
        } else {
            bar.clear();
            throw runtime::ModelError(status.error.empty() ? "the model could not be loaded"
                                                           : status.error);
        }
    }
}

}  // namespace app
