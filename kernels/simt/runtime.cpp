// The CPU execution: fibres, the choice of who runs next, barriers and warp collectives, and the
// blocks of a launch. A block's threads are fibres of one OS thread; blocks are handed to OS
// threads by a counter.
#include "kernels/simt/runtime.h"

#include <algorithm>
#include <thread>

#include <sys/mman.h>

namespace simt::cpu {

constinit thread_local Lane* cur = nullptr;
const Hooks* hooks = nullptr;

// ------------------------------------------------------------------ failure report
static std::mutex report_mutex;
static void print_lanes(Block& b) {
    unsigned i = 0;
    while (i < b.n) {
        LaneX& a = b.lanes[i];
        unsigned j = i + 1;
        while (j < b.n && b.lanes[j].state == a.state &&
               (a.state == READY || a.state == EXITED || b.lanes[j].loc.line() == a.loc.line()))
            j++;
        std::fprintf(stderr, "simt:   threads %u-%u: ", i, j - 1);
        switch (a.state) {
            case READY:
                std::fprintf(stderr, "running\n");
                break;
            case EXITED:
                std::fprintf(stderr, "have left the kernel\n");
                break;
            case AT_BARRIER:
                std::fprintf(stderr, "wait at %s, %s:%u\n", a.what, a.loc.file_name(),
                             a.loc.line());
                break;
            case AT_COLLECTIVE:
                std::fprintf(stderr, "wait at %s(mask %08x), %s:%u\n", a.what, a.wait_mask,
                             a.loc.file_name(), a.loc.line());
        }
        i = j;
    }
}
void fail(const char* fmt, ...) {
    report_mutex.lock();
    std::fprintf(stderr, "simt: ERROR: ");
    va_list ap;
    va_start(ap, fmt);
    std::vfprintf(stderr, fmt, ap);
    va_end(ap);
    if (cur) {
        Block& b = *cur->block;
        std::fprintf(stderr, "\nsimt:   in block (%u,%u,%u) thread (%u,%u,%u)\n", b.ids.bid.x,
                     b.ids.bid.y, b.ids.bid.z, cur->tid.x, cur->tid.y, cur->tid.z);
        print_lanes(b);
    } else
        std::fputc('\n', stderr);
    std::fflush(stderr);
    std::_Exit(86);  // no unwinding: other fibers and OS threads are mid-kernel
}

// ------------------------------------------------------------------ stack switch
#ifndef SIMT_UCONTEXT
extern "C" void simt_switch(void** save, void* load);
asm(R"(
.text
.p2align 4
.globl simt_switch
.hidden simt_switch
.type simt_switch,@function
simt_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size simt_switch,.-simt_switch
)");
#endif

static inline void resume(LaneX* from, LaneX* to) {
    cur = to;
#if SIMT_ASAN
    __sanitizer_start_switch_fiber(&from->fake, to->stack_lo, kStack);
#endif
#ifdef SIMT_UCONTEXT
    swapcontext(&from->ctx, &to->ctx);
#else
    simt_switch(&from->sp, to->sp);
#endif
#if SIMT_ASAN
    __sanitizer_finish_switch_fiber(from->fake, nullptr, nullptr);
#endif
}

// ------------------------------------------------------------------ choosing who runs next
static inline uint64_t rnd(Block& b) {
    b.rng ^= b.rng << 13;
    b.rng ^= b.rng >> 7;
    b.rng ^= b.rng << 17;
    return b.rng;
}
static inline int nth_bit(unsigned m, unsigned k) {
    while (k--)
        m &= m - 1;
    return std::countr_zero(m);
}
static LaneX* pick(Block& b, LaneX* from) {
    if (!b.ready_warps)
        return nullptr;
    unsigned wi = from ? from->warp->index : 0, li = from ? from->lane : 31;
    if (b.policy == Schedule::random) {
        wi = unsigned(
            nth_bit(b.ready_warps, unsigned(rnd(b) % unsigned(std::popcount(b.ready_warps)))));
        Warp& w = b.warps[wi];
        li = unsigned(nth_bit(w.ready, unsigned(rnd(b) % unsigned(std::popcount(w.ready)))));
        return &b.lanes[wi * 32 + li];
    }
    if (b.policy == Schedule::forward) {  // stay in the warp while it can run, lanes ascending
        if (!b.warps[wi].ready) {
            unsigned s = (wi + 1) & 31;
            wi = (unsigned(std::countr_zero(std::rotr(b.ready_warps, int(s)))) + s) & 31;
            li = 31;
        }
        unsigned s = (li + 1) & 31;
        li = (unsigned(std::countr_zero(std::rotr(b.warps[wi].ready, int(s)))) + s) & 31;
    } else if (b.policy ==
               Schedule::greedy) {  // one warp as far as it can, then another that is drawn
        if (!b.warps[wi].ready)
            wi = unsigned(
                nth_bit(b.ready_warps, unsigned(rnd(b) % unsigned(std::popcount(b.ready_warps)))));
        li = unsigned(std::countr_zero(b.warps[wi].ready));
    } else {  // reverse: highest warp first, highest lane first
        if (!b.warps[wi].ready)
            wi = 31 - unsigned(std::countl_zero(b.ready_warps));
        li = 31 - unsigned(std::countl_zero(b.warps[wi].ready));
    }
    return &b.lanes[wi * 32 + li];
}
static inline void unready(Block& b, LaneX* l) {
    if (!(l->warp->ready &= ~(1u << l->lane)))
        b.ready_warps &= ~(1u << l->warp->index);
}
static inline void wait_here(Block& b, LaneX* l) {
    unready(b, l);
    LaneX* to = pick(b, l);
    if (!to)
        fail("deadlock: no thread of the block can go on");
    resume(l, to);
}
void yield_now() {
    LaneX* l = me();
    Block& b = *l->block;
    unready(b, l);
    LaneX* to = pick(b, l);
    l->warp->ready |= 1u << l->lane;
    b.ready_warps |= 1u << l->warp->index;
    if (to)
        resume(l, to);
}

// ------------------------------------------------------------------ block barrier
static void arrive(const char* what, Loc loc) {
    if (faulty(Fault::skip_barrier, loc))
        return;
    LaneX* l = me();
    Block& b = *l->block;
    if (b.bar_arrived == 0) {
        b.bar_what = what;
        b.bar_loc = loc;
    } else if (b.bar_loc.line() != loc.line() ||
               (b.bar_what != what && std::strcmp(b.bar_what, what))) {
        fail(
            "divergent barrier: this thread is at %s, %s:%u, but others of its block wait at %s, "
            "%s:%u",
            what, loc.file_name(), loc.line(), b.bar_what, b.bar_loc.file_name(), b.bar_loc.line());
    }
    if (b.alive != b.n)
        fail("%s at %s:%u can never be reached by all threads: %u of %u have left the kernel", what,
             loc.file_name(), loc.line(), b.n - b.alive, b.n);
    if (++b.bar_arrived < b.n) {
        l->state = AT_BARRIER;
        l->what = what;
        l->loc = loc;
        wait_here(b, l);
        return;
    }
    b.bar_arrived = 0;
    count(&Counters::barriers, b.nw);
    for (int i = 0; i < 3; i++)
        b.result[i] = b.acc[i];
    b.acc[0] = 0, b.acc[1] = 1, b.acc[2] = 0;
    for (unsigned i = 0; i < b.n; i++)
        b.lanes[i].state = READY;
    for (unsigned i = 0; i < b.nw; i++)
        b.warps[i].ready = b.warps[i].exist;
    b.ready_warps = unsigned((1ull << b.nw) - 1);
    if (hooks)
        hooks->block_sync();
}
void block_barrier(const char* what, Loc loc) {
    arrive(what, loc);
}
int block_reduce(int kind, int v, const char* what, Loc loc) {
    Block& b = *me()->block;
    b.acc[0] += v != 0;
    b.acc[1] &= v != 0;
    b.acc[2] |= v != 0;
    arrive(what, loc);
    return b.result[kind];
}

// ------------------------------------------------------------------ warp collectives
void collective(unsigned mask, const char* what, Loc loc, CollFn fn, void* arg, bool orders) {
    if (orders && faulty(Fault::skip_barrier, loc))
        return;
    LaneX* l = me();
    Block& b = *l->block;
    Warp& w = *l->warp;
    const unsigned bit = 1u << l->lane;
    mask &= w.exist;
    if (!(mask & bit))
        fail("%s at %s:%u: the calling lane %u is not in its own mask %08x", what, loc.file_name(),
             loc.line(), l->lane, mask);
    if (mask & w.exited)
        fail("%s at %s:%u: mask %08x names lanes %08x that have left the kernel", what,
             loc.file_name(), loc.line(), mask, mask & w.exited);
    Pending* p = nullptr;
    for (unsigned i = 0; i < w.npend; i++) {
        Pending& q = w.p[i];
        if (q.mask == mask && q.what == what && q.loc.line() == loc.line()) {
            p = &q;
            break;
        }
        if (q.mask == mask || (q.arrived & mask))
            fail(
                "divergent warp: lane %u is at %s(mask %08x), %s:%u, but lanes %08x wait at "
                "%s(mask %08x), %s:%u",
                l->lane, what, mask, loc.file_name(), loc.line(), q.arrived, q.what, q.mask,
                q.loc.file_name(), q.loc.line());
    }
    if (!p) {
        p = &w.p[w.npend++];
        p->mask = mask, p->arrived = 0, p->what = what, p->loc = loc, p->fn = fn;
    }
    p->arrived |= bit;
    p->args[l->lane] = arg;
    if (p->arrived != mask) {
        l->state = AT_COLLECTIVE;
        l->what = what;
        l->loc = loc;
        l->wait_mask = mask;
        wait_here(b, l);
        l->state = READY;
        return;
    }
    count(&Counters::collectives, 1);
    fn(mask, p->args);
    *p = w.p[--w.npend];
    w.ready |= mask;
    if (orders && hooks)
        hooks->warp_sync(&w, mask);
}

// ------------------------------------------------------------------ running a block
static void lane_exit() {
    LaneX* l = me();
    Block& b = *l->block;
    Warp& w = *l->warp;
    if (l->copy_head < l->copies.size())
        fail("thread leaves the kernel with cp.async copies it never waited for");
    l->state = EXITED;
    w.exited |= 1u << l->lane;
    b.alive--;
    unready(b, l);
    for (unsigned i = 0; i < w.npend; i++)
        if (w.p[i].mask >> l->lane & 1)
            fail("lane %u leaves the kernel while lanes %08x wait for it at %s(mask %08x), %s:%u",
                 l->lane, w.p[i].arrived, w.p[i].what, w.p[i].mask, w.p[i].loc.file_name(),
                 w.p[i].loc.line());
    LaneX* to = b.alive ? pick(b, l) : nullptr;
    if (b.alive && !to)
        fail("deadlock: threads wait for others that have left the kernel");
#if SIMT_ASAN
    __sanitizer_start_switch_fiber(nullptr, to ? to->stack_lo : b.main_lo,
                                   to ? kStack : b.main_size);
#endif
    cur = to;
#ifdef SIMT_UCONTEXT
    setcontext(to ? &to->ctx : &b.main_ctx);
#else
    void* dummy;
    simt_switch(&dummy, to ? to->sp : b.main_sp);
#endif
    __builtin_unreachable();
}
extern "C" void simt_lane_start() {
#if SIMT_ASAN
    const void* lo;
    size_t sz;
    __sanitizer_finish_switch_fiber(nullptr, &lo, &sz);
    Block& b0 = *cur->block;
    if (!b0.main_lo)
        b0.main_lo = lo, b0.main_size = sz;
#endif
    Block* b = cur->block;
    b->entry(b->arg);
    lane_exit();
}

struct Worker {
    Block block;
    std::unique_ptr<LaneX[]> lanes;
    unsigned cap = 0;
    char* stacks = nullptr;
    Worker() { block.arena = static_cast<unsigned char*>(std::aligned_alloc(1024, kArena)); }
    ~Worker() {
        std::free(block.arena);
        if (stacks)
            munmap(stacks, cap * (kStack + 4096));
    }
    void grow(unsigned n, unsigned wi) {
        if (n <= cap)
            return;
        if (stacks)
            munmap(stacks, cap * (kStack + 4096));
        stacks = static_cast<char*>(mmap(nullptr, n * (kStack + 4096), PROT_READ | PROT_WRITE,
                                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
        if (stacks == MAP_FAILED)
            fail("cannot map %u fiber stacks", n);
        lanes.reset(new LaneX[n]);
        for (unsigned i = 0; i < n; i++) {
            char* g = stacks + i * (kStack + 4096);
            mprotect(g, 4096, PROT_NONE);
            lanes[i].stack_lo = g + 4096;
            // Without this stagger all stack tops fall into the same cache sets.
            lanes[i].stack_top = g + 4096 + kStack - (i * 5 % 61) * 64;
        }
        cap = n;
        stack_region(wi, stacks, n * (kStack + 4096));
    }
    void run(unsigned wi,
             uint3 bid,
             dim3 bdim,
             dim3 gdim,
             size_t smem,
             bool early,
             void (*entry)(void*),
             void* arg,
             Schedule pol,
             uint64_t seed) {
        Block& b = block;
        b.n = bdim.x * bdim.y * bdim.z;
        b.nw = (b.n + 31) / 32;
        grow(b.n, wi);
        b.ids = {bid, bdim, gdim};
        b.lanes = lanes.get();
        b.entry = entry, b.arg = arg, b.policy = pol, b.rng = seed | 1;
        b.alive = b.n, b.bar_arrived = 0;
        b.acc[0] = 0, b.acc[1] = 1, b.acc[2] = 0;
        b.dyn = b.used = smem;
        b.statics.clear();
        ASAN_POISON_MEMORY_REGION(b.arena, kArena);
        ASAN_UNPOISON_MEMORY_REGION(b.arena, smem);
        std::memset(b.arena, 0xff, smem);
        if (hooks)
            hooks->block_start(b.arena, kArena);
        for (unsigned i = 0; i < b.nw; i++) {
            Warp& w = b.warps[i];
            unsigned cnt = std::min(32u, b.n - 32 * i);
            w.index = i, w.exist = w.ready = unsigned((1ull << cnt) - 1), w.exited = 0, w.npend = 0;
        }
        b.ready_warps = unsigned((1ull << b.nw) - 1);
        b.early = early, b.waited = 0;
        for (unsigned i = 0; i < b.n; i++) {
            LaneX& l = lanes[i];
            l.tid = {i % bdim.x, i / bdim.x % bdim.y, i / bdim.x / bdim.y};
            l.block = &b, l.warp = &b.warps[i / 32], l.lane = i % 32, l.linear = i, l.state = READY;
            l.waited = false;
            l.copies.clear(), l.copy_head = 0, l.groups = 0;
#ifdef SIMT_UCONTEXT
            getcontext(&l.ctx);
            l.ctx.uc_stack.ss_sp = l.stack_lo;
            l.ctx.uc_stack.ss_size = size_t(l.stack_top - l.stack_lo);
            l.ctx.uc_link = nullptr;
            makecontext(&l.ctx, simt_lane_start, 0);
#else
            void** t = reinterpret_cast<void**>(l.stack_top);
            t[-1] = nullptr;
            t[-2] = reinterpret_cast<void*>(&simt_lane_start);
            for (int k = 3; k <= 8; k++)
                t[-k] = nullptr;
            l.sp = t - 8;
#endif
        }
        LaneX* first = pick(b, nullptr);
        cur = first;
#if SIMT_ASAN
        b.main_lo = nullptr;
        __sanitizer_start_switch_fiber(&b.main_fake, first->stack_lo, kStack);
#endif
#ifdef SIMT_UCONTEXT
        swapcontext(&b.main_ctx, &first->ctx);
#else
        simt_switch(&b.main_sp, first->sp);
#endif
#if SIMT_ASAN
        __sanitizer_finish_switch_fiber(b.main_fake, nullptr, nullptr);
        ASAN_UNPOISON_MEMORY_REGION(b.arena, kArena);
#endif
        cur = nullptr;
    }
};

LaunchList* launch_list = nullptr;

void note_wait_for_before() {
    LaneX* l = me();
    l->block->waited += l->waited ? 0 : 1;
    l->waited = true;
}

// What a card refuses, whatever the kernel does.
static void check_launch(dim3 grid, dim3 block, size_t smem) {
    const unsigned n = block.x * block.y * block.z;
    if (n == 0 || n > 1024 || block.z > 64 || grid.x == 0 || grid.y == 0 || grid.z == 0)
        fail("launch: bad shape: %u threads a block, %u x %u x %u blocks", n, grid.x, grid.y,
             grid.z);
    if (grid.x > 0x7FFFFFFFu || grid.y > 65535 || grid.z > 65535)
        fail("launch: %u x %u x %u blocks, a grid ends at 2147483647 x 65535 x 65535", grid.x,
             grid.y, grid.z);
    if (smem > mode().shared_limit)
        fail("launch: %zu bytes of dynamic shared memory, the device's limit is %zu", smem,
             mode().shared_limit);
}

void run_grid(dim3 grid, dim3 block, size_t smem, bool early, void (*entry)(void*), void* arg) {
    static std::vector<std::unique_ptr<Worker>> workers;
    const unsigned n = block.x * block.y * block.z;
    const uint64_t total = uint64_t(grid.x) * grid.y * grid.z;
    check_launch(grid, block, smem);
    count(&Counters::launches, 1);
    launches++;
    const Schedule pol = mode().schedule;
    const uint64_t seed = 0x9e3779b97f4a7c15ull * (2 * mode().seed + 1);
    unsigned nw = mode().threads != 0 ? mode().threads : std::thread::hardware_concurrency();
    nw = unsigned(std::min<uint64_t>(std::max(1u, nw), total));
    while (workers.size() < nw)
        workers.push_back(std::make_unique<Worker>());
    std::atomic<uint64_t> next{0};
    auto work = [&](unsigned wi) {
        arm_fault_handler();
        for (uint64_t i; (i = next.fetch_add(1)) < total;) {
            uint64_t j = pol == Schedule::reverse ? total - 1 - i : i;
            uint3 bid{unsigned(j % grid.x), unsigned(j / grid.x % grid.y),
                      unsigned(j / grid.x / grid.y)};
            workers[wi]->run(wi, bid, block, grid, smem, early, entry, arg, pol,
                             seed ^ (j + 1) * 0xD1B54A32D192ED03ull);
            if (early && workers[wi]->block.waited < n)
                fail(
                    "launch: may start early, but %u of %u threads of a block never waited for "
                    "what is before it",
                    n - workers[wi]->block.waited, n);
        }
        hand_in_counters();
    };
    std::vector<std::thread> ts;
    for (unsigned i = 1; i < nw; i++)
        ts.emplace_back(work, i);
    work(0);
    for (auto& t : ts)
        t.join();
}

}  // namespace simt::cpu
