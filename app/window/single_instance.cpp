#include "app/window/single_instance.h"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace app::window {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxRequest = 1 << 20;
constexpr int kPatience_ms = 2000;

// A socket's name is short; the display is part of it, so that each has a window of its own.
fs::path socket_path(const fs::path& folder, const std::string& display) {
    std::string name = "window";
    for (const char c : display) {
        name += std::isalnum(static_cast<unsigned char>(c)) ? c : '-';
    }
    return folder / (name.substr(0, 40) + ".sock");
}

std::optional<sockaddr_un> address_of(const fs::path& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.string().size() >= sizeof address.sun_path) {
        return std::nullopt;
    }
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    return address;
}

bool is_ours(int connection) {
    ucred peer{};
    socklen_t size = sizeof peer;
    return ::getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
           peer.uid == ::getuid();
}

bool ready(int file, short what) {
    pollfd one{file, what, 0};
    return ::poll(&one, 1, kPatience_ms) == 1;
}

// Model and paths, each ended by a zero byte, up to the end of what the other writes.
std::optional<SingleInstance::Request> read_request(int connection) {
    std::string text;
    char part[4096];
    for (;;) {
        if (!ready(connection, POLLIN)) {
            return std::nullopt;
        }
        const ssize_t got = ::read(connection, part, sizeof part);
        if (got < 0 || text.size() > kMaxRequest) {
            return std::nullopt;
        }
        if (got == 0) {
            break;
        }
        text.append(part, static_cast<size_t>(got));
    }
    SingleInstance::Request request;
    bool first = true;
    for (size_t at = 0; at < text.size();) {
        const size_t end = text.find('\0', at);
        if (end == std::string::npos) {
            return std::nullopt;
        }
        (first ? request.model : request.paths.emplace_back()) = text.substr(at, end - at);
        first = false;
        at = end + 1;
    }
    return first ? std::nullopt : std::optional(std::move(request));
}

}  // namespace

SingleInstance::SingleInstance(const fs::path& folder,
                               const std::string& display,
                               std::function<void()> wake)
    : wake_(std::move(wake)), socket_(socket_path(folder, display)) {
    std::error_code error;
    fs::create_directories(folder, error);
    const auto address = address_of(socket_);
    // The lock says who is first, also after a crash; the socket's file may be an old one's.
    lock_ = ::open((socket_.string() + ".lock").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    if (!address || lock_ < 0 || ::flock(lock_, LOCK_EX | LOCK_NB) != 0) {
        return;
    }
    ::unlink(socket_.c_str());
    listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    stop_ = ::eventfd(0, EFD_CLOEXEC);
    if (listener_ < 0 || stop_ < 0 ||
        ::bind(listener_, reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0 ||
        ::chmod(socket_.c_str(), 0600) != 0 || ::listen(listener_, 8) != 0) {
        if (listener_ >= 0) {
            ::close(listener_);
        }
        listener_ = -1;
        return;
    }
    thread_ = std::thread([this] { serve(); });
}

SingleInstance::~SingleInstance() {
    if (thread_.joinable()) {
        const uint64_t one = 1;
        [[maybe_unused]] const ssize_t written = ::write(stop_, &one, sizeof one);
        thread_.join();
        ::close(listener_);
        ::unlink(socket_.c_str());
    }
    if (stop_ >= 0) {
        ::close(stop_);
    }
    if (lock_ >= 0) {
        ::close(lock_);
    }
}

void SingleInstance::serve() {
    for (;;) {
        pollfd wait[] = {{listener_, POLLIN, 0}, {stop_, POLLIN, 0}};
        if (::poll(wait, 2, -1) < 0 && errno != EINTR) {
            return;
        }
        if (wait[1].revents != 0) {
            return;
        }
        if ((wait[0].revents & POLLIN) == 0) {
            continue;
        }
        const int connection = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
        if (connection < 0) {
            continue;
        }
        if (is_ours(connection)) {
            if (auto request = read_request(connection)) {
                {
                    const std::lock_guard lock(mutex_);
                    requests_.push_back(std::move(*request));
                }
                wake_();
                [[maybe_unused]] const ssize_t written =
                    ::send(connection, "taken", 5, MSG_NOSIGNAL);
            }
        }
        ::close(connection);
    }
}

std::vector<SingleInstance::Request> SingleInstance::take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(requests_, {});
}

bool SingleInstance::hand_over(const fs::path& folder,
                               const std::string& display,
                               const Request& request) {
    const auto address = address_of(socket_path(folder, display));
    const int connection = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (!address || connection < 0) {
        return false;
    }
    bool taken = false;
    if (::connect(connection, reinterpret_cast<const sockaddr*>(&*address), sizeof *address) == 0 &&
        is_ours(connection)) {
        std::string text = request.model + '\0';
        for (const std::string& path : request.paths) {
            text += path + '\0';
        }
        size_t sent = 0;
        while (sent < text.size()) {
            const ssize_t part =
                ::send(connection, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
            if (part <= 0) {
                break;
            }
            sent += static_cast<size_t>(part);
        }
        ::shutdown(connection, SHUT_WR);
        char answer[8] = "";
        taken = sent == text.size() && ready(connection, POLLIN) &&
                ::read(connection, answer, sizeof answer - 1) == 5;
    }
    ::close(connection);
    return taken;
}

}  // namespace app::window
