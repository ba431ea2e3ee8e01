// Who waits for whom where cores are few: threads that count, read or compute give way to the one
// that draws. Any thread.
#pragma once

#include <algorithm>
#include <cerrno>

#include <sys/resource.h>
#include <unistd.h>

namespace app {

// The calling thread, and those that it starts from now on, come after others by so many steps of
// nice (Linux has it by thread). There is no way back without privileges.
inline void lower_thread_priority(int steps) {
    const auto self = static_cast<id_t>(::gettid());
    errno = 0;
    const int now = ::getpriority(PRIO_PROCESS, self);
    if (errno == 0) {
        ::setpriority(PRIO_PROCESS, self, std::min(19, now + steps));
    }
}

}  // namespace app
