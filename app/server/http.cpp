#include "app/server/http.h"

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <functional>
#include <string_view>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace app {
namespace {

thread_local Connection* current_connection = nullptr;

int milliseconds_left(std::chrono::steady_clock::time_point deadline) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    return static_cast<int>(std::clamp<int64_t>(left.count(), 0, 1 << 30));
}

// poll() for one socket; 0 on time-out, < 0 on an error, also when a signal keeps coming.
int wait_for(int socket, short events, int timeout_ms) {
    pollfd entry{socket, events, 0};
    int result = -1;
    for (int tries = 0; tries < 100; tries++) {
        result = ::poll(&entry, 1, timeout_ms);
        if (result >= 0 || errno != EINTR) {
            break;
        }
    }
    return result;
}

void address_of(int socket, bool remote, std::string& ip, int& port) {
    sockaddr_storage storage{};
    socklen_t size = sizeof storage;
    auto* address = reinterpret_cast<sockaddr*>(&storage);
    if ((remote ? ::getpeername(socket, address, &size) : ::getsockname(socket, address, &size)) !=
        0) {
        return;
    }
    char text[INET6_ADDRSTRLEN] = "";
    if (storage.ss_family == AF_INET) {
        const auto* v4 = reinterpret_cast<const sockaddr_in*>(&storage);
        ::inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text);
        port = ntohs(v4->sin_port);
    } else if (storage.ss_family == AF_INET6) {
        const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&storage);
        ::inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text);
        port = ntohs(v6->sin6_port);
    }
    ip = text;
}

// A thread more whenever a connection waits and none is idle. enqueue() returns void in cpp-httplib
// 0.11, bool later.
class WorkerPool : public httplib::TaskQueue {
    using EnqueueResult =
        decltype(std::declval<httplib::TaskQueue&>().enqueue(std::function<void()>()));

public:
    explicit WorkerPool(size_t max_threads) : max_threads_(max_threads) {}

    EnqueueResult enqueue(std::function<void()> job) override {
        {
            const std::lock_guard lock(mutex_);
            jobs_.push_back(std::move(job));
            if (jobs_.size() > idle_ && threads_.size() < max_threads_) {
                threads_.emplace_back([this] { work(); });
            }
        }
        wake_.notify_one();
        return static_cast<EnqueueResult>(true);
    }

    void shutdown() override {
        {
            const std::lock_guard lock(mutex_);
            shutdown_ = true;
        }
        wake_.notify_all();
        for (std::thread& thread : threads_) {
            thread.join();
        }
    }

private:
    void work() {
        for (;;) {
            std::function<void()> job;
            {
                std::unique_lock lock(mutex_);
                idle_++;
                wake_.wait(lock, [this] { return !jobs_.empty() || shutdown_; });
                idle_--;
                if (jobs_.empty()) {
                    return;
                }
                job = std::move(jobs_.front());
                jobs_.pop_front();
            }
            job();
        }
    }

    const size_t max_threads_;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<std::function<void()>> jobs_;  // guarded by mutex_, like all below
    std::vector<std::thread> threads_;        // only enqueue() adds to it, before shutdown()
    size_t idle_ = 0;
    bool shutdown_ = false;
};

}  // namespace

// --- Connection

Connection::Connection(int socket, const HttpLimits& limits, const std::atomic<bool>& stopping)
    : socket_(socket), limits_(limits), stopping_(stopping) {}

Connection* Connection::current() {
    return current_connection;
}

bool Connection::peer_gone() {
    if (begin_ < end_) {
        return false;  // a pipelined request waits
    }
    char byte = 0;
    const ssize_t got = ::recv(socket_, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return got == 0 || (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

bool Connection::wait_for_request() {
    const auto until = Clock::now() + limits_.keep_alive;
    // In slices, so that stopping is noticed.
    while (begin_ == end_) {
        const int left = milliseconds_left(until);
        if (left == 0 || stopping_) {
            return false;
        }
        const int ready = wait_for(socket_, POLLIN, std::min(left, 250));
        if (ready < 0) {
            return false;
        }
        if (ready > 0) {
            break;
        }
    }
    in_body_ = answered_ = false;
    left_bytes_ = limits_.max_head_bytes;
    deadline_ = Clock::now() + limits_.head_time;
    return true;
}

void Connection::head_done() {
    in_body_ = true;
    // Chunked bodies carry their own framing: at most a few bytes per chunk of one byte would
    // multiply, a few per cent for any real client.
    left_bytes_ = limits_.max_body_bytes + limits_.max_body_bytes / 8 + 4096;
    deadline_ = Clock::now() + limits_.body_time;
}

void Connection::linger() {
    ::shutdown(socket_, SHUT_WR);
    const auto until = Clock::now() + std::chrono::milliseconds(1000);
    while (const int left = milliseconds_left(until)) {
        if (wait_for(socket_, POLLIN, left) <= 0 ||
            ::recv(socket_, buffer_, sizeof buffer_, MSG_DONTWAIT) <= 0) {
            return;
        }
    }
}

bool Connection::is_readable() const {
    return begin_ < end_ ||
           wait_for(socket_, POLLIN, static_cast<int>(limits_.stall_time.count())) > 0;
}

bool Connection::is_writable() const {
    return wait_for(socket_, POLLOUT, static_cast<int>(limits_.stall_time.count())) > 0;
}

ssize_t Connection::read(char* to, size_t size) {
    if (left_bytes_ <= 0) {
        body_too_large_ = in_body_;
        return -1;
    }
    if (begin_ == end_) {
        const int patience =
            std::min(milliseconds_left(deadline_), static_cast<int>(limits_.stall_time.count()));
        const int ready = patience == 0 ? 0 : wait_for(socket_, POLLIN, patience);
        if (ready <= 0) {
            too_slow_ = too_slow_ || ready == 0;
            return -1;
        }
        const ssize_t got = ::recv(socket_, buffer_, sizeof buffer_, 0);
        if (got <= 0) {
            return got;
        }
        begin_ = 0;
        end_ = static_cast<size_t>(got);
    }
    const size_t count = std::min({size, end_ - begin_, static_cast<size_t>(left_bytes_)});
    std::memcpy(to, buffer_ + begin_, count);
    begin_ += count;
    left_bytes_ -= static_cast<int64_t>(count);
    return static_cast<ssize_t>(count);
}

ssize_t Connection::write(const char* from, size_t size) {
    answered_ = true;
    for (int tries = 0; tries < 100; tries++) {
        const ssize_t sent = ::send(socket_, from, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent >= 0) {
            return sent;
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK) {
            if (!is_writable()) {
                return -1;
            }
        } else if (errno != EINTR) {
            return -1;
        }
    }
    return -1;
}

void Connection::get_remote_ip_and_port(std::string& ip, int& port) const {
    address_of(socket_, true, ip, port);
}

void Connection::get_local_ip_and_port(std::string& ip, int& port) const {
    address_of(socket_, false, ip, port);
}

// --- HttpServer

HttpServer::HttpServer(const HttpLimits& limits) : limits_(limits) {
    const size_t max_threads = limits_.max_threads;
    new_task_queue = [max_threads] {
        return new WorkerPool(max_threads);
    };  // the library deletes it
    set_payload_max_length(static_cast<size_t>(limits_.max_body_bytes));
    set_socket_options([](socket_t socket) {
        const int on = 1;
        ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    });
}

int HttpServer::bind(const std::string& host, int port) {
    errno = 0;
    if (port == 0) {
        port = bind_to_any_port(host);
    } else if (!bind_to_port(host, port)) {
        port = -1;
    }
    if (port > 0) {
        ::listen(svr_sock_, 1024);
    }
    return port;
}

void HttpServer::cut() {
    const std::lock_guard lock(mutex_);
    for (const int socket : sockets_) {
        ::shutdown(socket, SHUT_RDWR);
    }
}

void HttpServer::set_header(httplib::Response& response,
                            const std::string& name,
                            const std::string& value) {
    response.headers.erase(name);
    response.set_header(name, value);
}

bool HttpServer::process_and_close_socket(socket_t socket) {
    const int on = 1;
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    {
        const std::lock_guard lock(mutex_);
        sockets_.insert(socket);
    }
    connections_++;
    Connection connection(socket, limits_, stopping_);
    current_connection = &connection;

    // process_request() takes the addresses from cpp-httplib 0.16 on. A generic lambda, so that the
    // other branch is not compiled.
    const auto process = [&](auto& server, bool& closed) {
        const bool last = stopping_;
        if constexpr (requires { server.process_request(connection, last, closed, nullptr); }) {
            return server.process_request(connection, last, closed, nullptr);
        } else {
            std::string remote, local;
            int remote_port = 0, local_port = 0;
            connection.get_remote_ip_and_port(remote, remote_port);
            connection.get_local_ip_and_port(local, local_port);
            return server.process_request(connection, remote, remote_port, local, local_port, last,
                                          closed, nullptr);
        }
    };
    bool ok = true;
    while (ok && connection.wait_for_request()) {
        bool closed = false;
        ok = process(*this, closed);
        if (closed || connection.closing()) {
            break;
        }
    }
    if (connection.unanswered()) {
        constexpr std::string_view kTooSlow =
            "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        connection.write(kTooSlow.data(), kTooSlow.size());
        connection.close_after_answer();
    }
    if (connection.closing()) {
        connection.linger();
    }

    current_connection = nullptr;
    connections_--;
    {
        const std::lock_guard lock(mutex_);
        sockets_.erase(socket);
    }
    ::shutdown(socket, SHUT_RDWR);
    ::close(socket);
    return ok;
}

}  // namespace app
