#include "app/codebase/watch.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

namespace app::codebase {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kQuiet = std::chrono::milliseconds(300), kLongest = std::chrono::milliseconds(2000);

int milliseconds_until(Clock::time_point when) {
    return static_cast<int>(std::max<int64_t>(
        0, std::chrono::ceil<std::chrono::milliseconds>(when - Clock::now()).count()));
}

}  // namespace

FolderWatch::FolderWatch(std::filesystem::path root,
                         std::vector<std::string> folders,
                         std::function<void()> on_change,
                         size_t limit)
    : on_change_(std::move(on_change)),
      notify_(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)),
      stop_(::eventfd(0, EFD_CLOEXEC)) {
    polls_ = notify_ < 0 || folders.size() > limit;
    for (size_t i = 0; i < std::min(folders.size(), limit) && notify_ >= 0; i++) {
        const auto folder = folders[i].empty() ? root : root / folders[i];
        const int watch = ::inotify_add_watch(notify_, folder.c_str(),
                                              IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO |
                                                  IN_CREATE | IN_DELETE | IN_DELETE_SELF |
                                                  IN_MOVE_SELF | IN_ONLYDIR | IN_EXCL_UNLINK);
        polls_ = polls_ || watch < 0;
    }
    thread_ = std::thread([this] { run(); });
}

FolderWatch::~FolderWatch() {
    const uint64_t one = 1;
    while (::write(stop_, &one, sizeof one) < 0 && errno == EINTR) {
    }
    thread_.join();
    if (notify_ >= 0) {
        ::close(notify_);
    }
    ::close(stop_);
}

void FolderWatch::run() {
    bool pending = false;
    Clock::time_point first, last, next_poll = Clock::now() + kLongest;
    for (;;) {
        int wait = -1;
        if (pending) {
            wait = milliseconds_until(std::min(last + kQuiet, first + kLongest));
        } else if (polls_) {
            wait = milliseconds_until(next_poll);
        }
        pollfd descriptors[] = {{stop_, POLLIN, 0}, {notify_, POLLIN, 0}};
        if (::poll(descriptors, notify_ >= 0 ? 2 : 1, wait) > 0) {
            if (descriptors[0].revents != 0) {
                return;
            }
            if (descriptors[1].revents != 0) {
                char events[4096];
                while (::read(notify_, events, sizeof events) > 0) {
                }
                last = Clock::now();
                first = pending ? first : last;
                pending = true;
            }
        }
        const auto now = Clock::now();
        const bool quiet = pending && (now >= last + kQuiet || now >= first + kLongest);
        const bool by_clock = polls_ && now >= next_poll;
        if (quiet || by_clock) {
            pending = false;
            next_poll = now + kLongest;
            on_change_();
        }
    }
}

}  // namespace app::codebase
