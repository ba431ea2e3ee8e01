// Server: the engine over HTTP. Listens on one address with threads of its own; works beside the
// window or alone. Owns no model: while the engine loads one, it answers 503; it may be started
// before and outlive any load.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "app/options.h"
#include "app/remote/remote_engine.h"
#include "app/server/request_log.h"
#include "runtime/engine/engine_thread.h"

namespace app {

struct ServerOptions {
    std::string host = "127.0.0.1";
    int port = 8080;  // 0: a free one
    std::vector<std::string> api_keys;
    std::vector<std::string> allow_origins;
    std::vector<std::string> allow_hosts;
    int max_requests_per_client = 0;  // under way at once, waiting ones included; 0: no limit
    std::string alias;  // the model's name towards clients; empty: its own
    std::shared_ptr<RemoteEngine> remote;  // another engine answers; null: the server's own
    std::shared_ptr<RequestLog> log;  // goes on with this one; null: one of its own
    int64_t max_body_bytes = 32 << 20;
    std::chrono::milliseconds ping_interval{15'000};  // comment lines in a silent stream

    // From the command line and KEYHOLE_API_KEY.
    static ServerOptions from(const Options& options);
};

class Server {
public:
    // Throws std::runtime_error, one line: an address other than loopback without a key.
    Server(runtime::EngineThread& engine, ServerOptions options);
    ~Server();  // stop()

    // Binds and answers from then on. Throws std::runtime_error, one line: the address cannot be
    // had.
    void start();
    int port() const;         // the real one, after start()
    std::string url() const;  // "http://127.0.0.1:8080"
    int clients() const;      // open connections
    const RequestLog& log() const;  // what was answered; as long as the server lives

    // New requests get 503; those under way go on. The first half of a graceful end, before
    // EngineThread::stop().
    void refuse_new_work();
    // Ends every connection, after at most `grace` for answers under way, and the threads.
    void stop(std::chrono::milliseconds grace = std::chrono::milliseconds(0));

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace app
