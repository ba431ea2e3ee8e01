// Memory of the CPU execution: a block's shared memory, device buffers with an inaccessible page
// behind them, and the queues of asynchronous copies.
#include <algorithm>

#include <signal.h>
#include <sys/mman.h>

#include "kernels/simt/runtime.h"

namespace simt::cpu {

bool in_shared(const void* p, size_t n) {
    auto* c = static_cast<const unsigned char*>(p);
    Block& b = *cur->block;
    return c >= b.arena && c + n <= b.arena + b.used;
}
unsigned char* shared_dynamic() {
    return cur->block->arena;
}
void* shared_static(const void* key, size_t size, size_t align, const char* name) {
    Block& b = *cur->block;
    for (auto& s : b.statics)
        if (s.key == key)
            return s.p;
    size_t off =
        (b.used + kRed + std::max<size_t>(align, 16) - 1) & ~(std::max<size_t>(align, 16) - 1);
    if (off + size > kArena)
        fail("too much shared memory");
    unsigned char* p = b.arena + off;
    ASAN_UNPOISON_MEMORY_REGION(p, size);
    std::memset(p, 0xff, size);
    b.used = off + size;
    b.statics.push_back({key, p, size, name});
    // As a card counts: the dynamic part begins at a multiple of 1024 behind the static one.
    size_t all = 0;
    for (const auto& s : b.statics)
        all += (s.size + 15) / 16 * 16;
    if (b.dyn > 0)
        all = (all + 1023) / 1024 * 1024 + b.dyn;
    const size_t limit = b.dyn > kUnaskedBytes ? mode().shared_limit : 48 * 1024;
    if (all > limit)
        fail("launch: %zu bytes of shared memory with the static part, the limit is %zu", all,
             limit);
    return p;
}
const char* shared_name(const void* p, size_t* off) {
    Block& b = *cur->block;
    auto* c = static_cast<const unsigned char*>(p);
    for (auto& s : b.statics)
        if (c >= s.p && c < s.p + s.size)
            return *off = size_t(c - s.p), s.name;
    *off = size_t(c - b.arena);
    return *off < b.dyn ? "dynamic shared memory" : "(between shared arrays)";
}
bool shared_object(const void* p, size_t n) {
    Block& b = *cur->block;
    auto* c = static_cast<const unsigned char*>(p);
    if (c >= b.arena && c + n <= b.arena + b.dyn)
        return true;
    for (auto& s : b.statics)
        if (c >= s.p && c + n <= s.p + s.size)
            return true;
    return false;
}

#if SIMT_ASAN
void* device_alloc(size_t n) {
    void* p;
    if (posix_memalign(&p, 256, n))
        fail("out of memory");
    std::memset(p, 0xff, n);
    return p;
}
void device_free(void* p) {
    std::free(p);
}
void arm_fault_handler() {}  // ASan has its own
void stack_region(unsigned, char*, size_t) {}
#else
// The end of every device buffer lies against an inaccessible page (to 16 bytes), so a kernel that
// runs past it faults in any build; the fault handler says which buffer it was.
struct DevBuf {
    char *map, *user;
    size_t len, n;
};
static char* stacks_lo[64];
static size_t stacks_len[64];
void stack_region(unsigned worker, char* low, size_t bytes) {
    stacks_lo[worker % 64] = low, stacks_len[worker % 64] = bytes;
}
static std::vector<DevBuf> bufs;
static std::mutex bufs_mutex;
static void on_fault(int, siginfo_t* si, void*) {
    auto* a = static_cast<char*>(si->si_addr);
    for (int i = 0; i < 64; i++)
        if (a >= stacks_lo[i] && a < stacks_lo[i] + stacks_len[i])
            fail("stack overflow of an emulated thread (over %zu KiB)", kStack / 1024);
    for (auto& d : bufs)
        if (a >= d.map && a < d.map + d.len)
            fail("out of bounds of device memory: byte %td of a buffer of %zu bytes", a - d.user,
                 d.n);
    fail("bad address %p", static_cast<void*>(a));
}
void arm_fault_handler() {
    // At every launch: a test framework may have put its own handler in place since.
    static thread_local const std::unique_ptr<char[]> alt(new char[65536]);
    stack_t ss{};
    ss.ss_sp = alt.get(), ss.ss_size = 65536;
    sigaltstack(&ss, nullptr);
    struct sigaction sa {};
    sa.sa_sigaction = on_fault;
    sa.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigaction(SIGSEGV, &sa, nullptr);
}
void* device_alloc(size_t n) {
    const size_t r = (n + 15) & ~size_t(15), body = (r + 4095) & ~size_t(4095),
                 len = body + 2 * 65536;
    char* m = static_cast<char*>(
        mmap(nullptr, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    if (m == MAP_FAILED || mprotect(m + 65536, body, PROT_READ | PROT_WRITE))
        fail("out of memory");
    char* u = m + 65536 + body - r;
    std::memset(m + 65536, 0xff, body);
    if (hooks)
        hooks->fresh_memory(u, r);
    std::lock_guard g(bufs_mutex);
    bufs.push_back({m, u, len, n});
    return u;
}
void device_free(void* p) {
    std::lock_guard g(bufs_mutex);
    for (auto& d : bufs)
        if (d.user == p) {
            munmap(d.map, d.len);
            d = bufs.back();
            bufs.pop_back();
            return;
        }
}
#endif

// ------------------------------------------------------------------ cp.async
static void land(void* dst, const void* src, unsigned bytes, unsigned src_bytes) {
    if (src_bytes)
        std::memcpy(dst, src, src_bytes);
    std::memset(static_cast<char*>(dst) + src_bytes, 0, bytes - src_bytes);
}
void cp_async(void* dst, const void* src, unsigned bytes, unsigned src_bytes, Loc loc) {
    LaneX* l = me();
    if (bytes != 4 && bytes != 8 && bytes != 16)
        fail("cp.async of %u bytes at %s:%u", bytes, loc.file_name(), loc.line());
    if (uintptr_t(dst) % bytes || uintptr_t(src) % bytes)
        fail("cp.async at %s:%u: address not aligned to %u", loc.file_name(), loc.line(), bytes);
    if (!in_shared(dst, bytes))
        fail("cp.async at %s:%u: destination is not in the block's shared memory", loc.file_name(),
             loc.line());
    if (src_bytes < bytes && faulty(Fault::ignore_zero_fill, loc))
        src_bytes = bytes;
    if (hooks)
        hooks->async_issue(dst, src, bytes, __builtin_return_address(0));
    count(&Counters::async_bytes, bytes);
    if (mode().copies == Copies::eager) {
        land(dst, src, bytes, src_bytes);
    } else {
        std::memset(dst, 0xff, bytes);  // until waited for, the bytes are garbage
    }
    l->copies.push_back({dst, src, bytes, src_bytes, l->groups});
}
void cp_async_commit() {
    me()->groups++;
}
void cp_async_wait(unsigned leave, Loc loc) {
    LaneX* l = me();
    if (faulty(Fault::skip_wait, loc))
        leave++;
    const unsigned done = leave == ~0u        ? ~0u
                          : l->groups > leave ? l->groups - leave
                                              : 0;  // groups < done are complete
    while (l->copy_head < l->copies.size() && l->copies[l->copy_head].group < done) {
        Copy& c = l->copies[l->copy_head++];
        if (hooks)
            hooks->async_done(c.dst, c.bytes, __builtin_return_address(0));
        if (mode().copies == Copies::lazy)
            land(c.dst, c.src, c.bytes, c.src_bytes);
    }
    if (l->copy_head == l->copies.size())
        l->copies.clear(), l->copy_head = 0;
}

}  // namespace simt::cpu
