// Who waits for whom where cores are few: threads that count, read or compute give way to the one
// that draws. Any thread.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstdint>

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace app {

// How long the calling thread, and those that it starts from now on, run before others have their
// turn, in nanoseconds; 0: the system's own measure. A thread with short turns does not wait for
// the end of a longer one when it wakes (Linux 6.12 and newer; before that nothing changes).
inline void set_thread_turn(uint64_t nanoseconds) {
    struct {  // the kernel's sched_attr in its first form
        uint32_t size = sizeof(*this), policy = 0;
        uint64_t flags = 0;
        int32_t nice = 0;
        uint32_t priority = 0;
        uint64_t runtime = 0, deadline = 0, period = 0;
    } attributes;
    if (::syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) == 0 &&
        attributes.policy == 0) {
        attributes.runtime = nanoseconds;
        ::syscall(SYS_sched_setattr, 0, &attributes, 0);
    }
}

// The calling thread, and those that it starts from now on, come after others by so many steps of
// nice (Linux has it by thread), and have the system's turns again. There is no way back from the
// first without privileges.
inline void lower_thread_priority(int steps) {
    set_thread_turn(0);
    const auto self = static_cast<id_t>(::gettid());
    errno = 0;
    const int now = ::getpriority(PRIO_PROCESS, self);
    if (errno == 0) {
        ::setpriority(PRIO_PROCESS, self, std::min(19, now + steps));
    }
}

}  // namespace app
