// HttpServer: cpp-httplib with the transport that a server for strangers needs. This file and its
// .cpp are the only ones that know which version of cpp-httplib is installed (0.11 on Debian 12,
// 0.18 on Debian 13).
//
// What the library does not do by itself and is done here:
//   - idle connections wait in poll() instead of waking every 10 ms; pipelined requests are not
//   lost between two requests
//   - a head must arrive within 10 s and be small, a body within its limit and time, chunked ones
//   too
//   - a handler can ask whether its client is still there (cpp-httplib 0.11 has no way to)
//   - after an answer given before the body was read the connection is closed, and closed so that
//   the answer arrives
//   - threads are started when they are needed, so that a few hundred idle connections cost little
//   and block nobody
//   - a longer accept queue than the five that are compiled in; TCP_NODELAY; no SO_REUSEPORT, which
//   would let a second
//     server take the same port in silence
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <set>
#include <string>

#include <httplib.h>

namespace app {

struct HttpLimits {
    int64_t max_head_bytes = 64 << 10;
    int64_t max_body_bytes = 32 << 20;
    std::chrono::milliseconds keep_alive{20'000};  // between two requests of a connection
    std::chrono::milliseconds head_time{10'000};   // from its first byte
    std::chrono::milliseconds body_time{120'000};  // in all
    std::chrono::milliseconds stall_time{30'000};  // without a byte, either way
    size_t max_threads = 512;
};

// One connection, as the thread that serves it sees it. httplib calls the Stream part.
class Connection : public httplib::Stream {
public:
    Connection(int socket, const HttpLimits& limits, const std::atomic<bool>& stopping);

    // The connection that the calling thread is serving; handlers and content providers run there.
    // Null elsewhere.
    static Connection* current();

    // The client closed its side, or is gone: what is computed for it is for nobody.
    bool peer_gone();
    // The answer being made is the last one on this connection.
    void close_after_answer() { closing_ = true; }
    bool closing() const { return closing_; }
    bool body_too_large() const { return body_too_large_; }
    bool too_slow() const { return too_slow_; }  // a head or body did not arrive in time

    // A request too slow for the library to have noticed that it is one.
    bool unanswered() const { return too_slow_ && !answered_; }

    // Called by the server: false when no further request came.
    bool wait_for_request();
    // Called once a request's head is complete.
    void head_done();
    // The client may still be sending: reads on for a moment, so that closing does not destroy the
    // answer on its way.
    void linger();

    bool is_readable() const override;
    bool is_writable() const override;
    ssize_t read(char* to, size_t size) override;
    ssize_t write(const char* from, size_t size) override;
    void get_remote_ip_and_port(std::string& ip, int& port) const override;
    void get_local_ip_and_port(std::string& ip, int& port) const override;
    socket_t socket() const override { return socket_; }

private:
    using Clock = std::chrono::steady_clock;

    int socket_;
    const HttpLimits& limits_;
    const std::atomic<bool>& stopping_;
    char buffer_[16 << 10];
    size_t begin_ = 0, end_ = 0;  // unread bytes of buffer_
    int64_t left_bytes_ = 0;      // that the current part (head or body) may still have
    Clock::time_point deadline_;  // of the current part
    bool in_body_ = false;
    bool body_too_large_ = false;
    bool too_slow_ = false;
    bool answered_ = false;  // something was written since the request began
    bool closing_ = false;
};

class HttpServer : public httplib::Server {
public:
    explicit HttpServer(const HttpLimits& limits);

    // Binds and starts to queue connections. 0 takes a free port. The port; -1 with errno set where
    // it cannot be had.
    int bind(const std::string& host, int port);
    void serve() { listen_after_bind(); }  // until stop(); then all workers are done
    // No further requests are read; answers under way go on.
    void close_idle() { stopping_ = true; }
    // Cuts every connection.
    void cut();
    int connections() const { return connections_; }

    static void set_header(httplib::Response& response,
                           const std::string& name,
                           const std::string& value);

private:
    bool process_and_close_socket(socket_t socket) override;

    HttpLimits limits_;
    std::atomic<bool> stopping_{false};
    std::atomic<int> connections_{0};
    std::mutex mutex_;
    std::set<int> sockets_;  // guarded by mutex_
};

}  // namespace app
