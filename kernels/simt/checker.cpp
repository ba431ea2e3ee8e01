// The access checker. Kernel files are compiled with -fsanitize=thread, which makes the compiler
// call __tsan_read4(p) and its kind at each plain access; this file supplies those functions
// instead of libtsan. This file and the runtime are compiled without that flag, and nothing is
// linked with it.
//
// A shadow cell per byte of shared memory knows its last writer and readers; barriers start a new
// epoch, __syncwarp joins the vector clocks of a warp's lanes, shuffles and mma order nothing (as
// CUDA says).
#include <algorithm>
#include <atomic>
#include <map>
#include <tuple>
#include <unordered_map>

#include <dlfcn.h>

#include "kernels/simt/runtime.h"

namespace simt::cpu {

namespace {
struct Cell {  // one a byte of shared memory
    uint32_t gen, w_ep, w_clk, r_ep, r_warps, r_clk, r_clk2;
    uint16_t w_lane, r_lane, r_lane2;
    bool init, inflight, atomic;
    const void *w_pc, *r_pc;
};
struct Shadow {
    unsigned char* base = nullptr;
    size_t cap = 0;
    uint32_t gen = 0, ep = 1;
    std::unique_ptr<Cell[]> cells;
    uint32_t vc[32][32][32];  // per warp: vector clocks over its lanes
};
thread_local Shadow* sh = nullptr;
thread_local uintptr_t t_base = 0;
thread_local size_t t_cap = 0;

std::string where(const void* pc) {
    Dl_info di;
    char cmd[512], line[512] = "?";
    if (pc && dladdr(pc, &di) && di.dli_fbase) {
        std::snprintf(cmd, sizeof cmd,
                      "addr2line -i -e %s %#zx 2>/dev/null | grep -v '/simt/[a-z_]*\\.h:'",
                      di.dli_fname, size_t((const char*)pc - (const char*)di.dli_fbase) - 1);
        if (FILE* f = popen(cmd, "r")) {
            if (!std::fgets(line, sizeof line, f))
                std::strcpy(line, "?");
            pclose(f);
        }
    }
    std::string s(line);
    while (!s.empty() && (s.back() == '\n' || s.back() == ' '))
        s.pop_back();
    if (auto p = s.rfind(" (disc"); p != s.npos)
        s.resize(p);
    if (auto p = s.rfind('/'); p != s.npos)
        s.erase(0, p + 1);
    return s;
}
[[noreturn]] void bad(const char* what,
                      const void* p,
                      const void* pc,
                      const char* verb,
                      unsigned other,
                      const char* overb,
                      const void* opc) {
    size_t off;
    const char* nm = shared_name(p, &off);
    const std::string a = where(pc), b = where(opc);
    if (overb)
        fail("%s: thread %u %s byte %zu of %s at %s; thread %u %s it at %s", what, cur->linear,
             verb, off, nm, a.c_str(), other, overb, b.c_str());
    fail("%s: thread %u %s byte %zu of %s at %s", what, cur->linear, verb, off, nm, a.c_str());
}
bool ordered(unsigned other,
             uint32_t clk) {  // has `other`'s event been seen by this lane in this block epoch?
    if (other == cur->linear)
        return true;
    if (other / 32 != cur->linear / 32)
        return false;
    return sh->vc[other / 32][cur->lane][other % 32] >= clk;
}
void access(const void* p,
            unsigned n,
            int kind,
            const void* pc) {  // 0 read, 1 write, 2 atomic, 3 async issue, 4 async done
    if (!cur || !sh)
        return;
    size_t off = uintptr_t(p) - t_base;
    if (off >= t_cap)
        return;
    if (!shared_object(p, n))
        bad("out of bounds of shared memory", p, pc, kind == 0 ? "reads" : "writes", 0, nullptr,
            nullptr);
    const unsigned self = cur->linear, warp = self / 32;
    const uint32_t clk = sh->vc[warp][cur->lane][cur->lane], ep = sh->ep;
    for (unsigned i = 0; i < n; i++) {
        Cell& c = sh->cells[off + i];
        const auto* bp = static_cast<const char*>(p) + i;
        if (c.gen != sh->gen)
            c = Cell{sh->gen, 0,      0,     0,     0,     0,       0,      0xffff,
                     0xffff,  0xffff, false, false, false, nullptr, nullptr};
        if (kind == 0) {
            if (c.inflight)
                bad("read before the asynchronous copy was waited for", bp, pc, "reads", c.w_lane,
                    "issued a cp.async to", c.w_pc);
            if (!c.init)
                bad("uninitialised shared memory", bp, pc, "reads", 0, nullptr, nullptr);
            if (c.w_ep == ep && !ordered(c.w_lane, c.w_clk))
                bad("race (no barrier between write and read)", bp, pc, "reads", c.w_lane, "wrote",
                    c.w_pc);
            if (c.r_ep != ep)
                c.r_ep = ep, c.r_warps = 0, c.r_lane = c.r_lane2 = 0xffff;
            if (c.r_lane != self)
                c.r_lane2 = c.r_lane, c.r_clk2 = c.r_clk;
            c.r_lane = uint16_t(self), c.r_clk = clk, c.r_pc = pc, c.r_warps |= 1u << warp;
            continue;
        }
        if (kind == 4) {
            c.inflight = false, c.init = true, c.w_ep = ep, c.w_clk = clk,
            c.w_lane = uint16_t(self);
            continue;
        }
        const char* verb = kind == 3   ? "issues a cp.async to"
                           : kind == 2 ? "atomically updates"
                                       : "writes";
        if (c.inflight)
            bad("write over an asynchronous copy in flight", bp, pc, verb, c.w_lane,
                "issued a cp.async to", c.w_pc);
        if (kind == 2 && !c.init)
            bad("uninitialised shared memory", bp, pc, "atomically updates", 0, nullptr, nullptr);
        if (c.w_ep == ep && !(kind == 2 && c.atomic) && !ordered(c.w_lane, c.w_clk))
            bad("race (two writes without a barrier)", bp, pc, verb, c.w_lane, "wrote", c.w_pc);
        if (c.r_ep == ep &&
            ((c.r_warps & ~(1u << warp)) || (c.r_lane != 0xffff && !ordered(c.r_lane, c.r_clk)) ||
             (c.r_lane2 != 0xffff && !ordered(c.r_lane2, c.r_clk2))))
            bad("race (write after read without a barrier)", bp, pc, verb, c.r_lane, "read",
                c.r_pc);
        c.w_ep = ep, c.w_clk = clk, c.w_lane = uint16_t(self), c.w_pc = pc;
        c.atomic = kind == 2, c.inflight = kind == 3, c.init = c.init || kind != 3;
    }
}
// Device memory that launches wrote, a bit for 16 bytes: a launch that starts early must not look
// at it before it waited, nor write anything.
struct Page {
    static constexpr uintptr_t kBytes = 4096;
    std::atomic<uint64_t> written[kBytes / 16 / 64];
};
std::mutex pages_mutex;
std::unordered_map<uintptr_t, std::unique_ptr<Page>> pages;  // guarded by pages_mutex; none goes
thread_local uintptr_t last_number = 0;
thread_local Page* last_page = nullptr;

Page& page_of(uintptr_t address) {
    const uintptr_t number = address / Page::kBytes;
    if (last_page == nullptr || last_number != number) {
        const std::lock_guard lock(pages_mutex);
        std::unique_ptr<Page>& page = pages[number];
        if (page == nullptr)
            page = std::make_unique<Page>();
        last_number = number, last_page = page.get();
    }
    return *last_page;
}
void fresh_memory(const void* p, size_t n) {
    const uintptr_t end = uintptr_t(p) + n;
    const std::lock_guard lock(pages_mutex);
    for (uintptr_t at = uintptr_t(p) / 16 * 16; at < end; at += 16) {
        const auto found = pages.find(at / Page::kBytes);
        if (found == pages.end()) {
            at = (at / Page::kBytes + 1) * Page::kBytes - 16;
            continue;
        }
        const uintptr_t line = at % Page::kBytes / 16;
        found->second->written[line / 64] &= ~(uint64_t{1} << line % 64);
    }
}
void global_access(const void* p, unsigned n, bool write, const void* pc) {
    const LaneX* l = me();
    const auto* c = static_cast<const char*>(p);
    if (c >= l->stack_lo && c < l->stack_lo + kStack)
        return;  // a variable of the thread
    const bool too_early = l->block->early && !l->waited;
    if (!write && !too_early)
        return;
    if (write && too_early)
        fail("launch may start early: thread %u writes device memory before it waited, at %s",
             l->linear, where(pc).c_str());
    for (uintptr_t at = uintptr_t(p) / 16 * 16; at < uintptr_t(p) + n; at += 16) {
        const uintptr_t line = at % Page::kBytes / 16;
        std::atomic<uint64_t>& word = page_of(at).written[line / 64];
        const uint64_t bit = uint64_t{1} << line % 64;
        if (write)
            word |= bit;
        else if ((word & bit) != 0)
            fail(
                "launch may start early: thread %u reads what an earlier launch wrote before it "
                "waited, at %s",
                l->linear, where(pc).c_str());
    }
}

// Requests: what the lanes of a warp access at one instruction, each for the n-th time, is one
// request. A lane's n-th time at an instruction stands for the n-th turn of its loop.
struct Request {
    uint32_t lanes = 0;
    bool shared = false;
    std::vector<uintptr_t> units;  // 32-byte sectors, or 4-byte words of shared memory
};
struct Traffic {
    std::map<std::pair<const void*, unsigned>, uint32_t> turns;  // of a thread at an instruction
    std::map<std::tuple<const void*, unsigned, uint32_t>, Request> open;
};
thread_local Traffic traffic;

void finish(const Request& r) {
    if (!r.shared) {
        count(&Counters::global_requests, 1);
        count(&Counters::global_sectors, r.units.size());
        return;
    }
    unsigned banks[32] = {}, most = 0;
    for (uintptr_t word : r.units)
        most = std::max(most, ++banks[word % 32]);
    // Wide accesses take several wavefronts by nature: 128 bytes each.
    const auto least = unsigned((r.units.size() + 31) / 32);
    count(&Counters::shared_requests, std::max(1u, least));
    count(&Counters::shared_wavefronts, most);
}
void note_traffic(const void* p, unsigned n, bool shared, const void* pc) {
    const LaneX* l = me();
    const auto* c = static_cast<const char*>(p);
    if (c >= l->stack_lo && c < l->stack_lo + kStack)
        return;  // a variable of the thread
    const uint32_t turn = traffic.turns[{pc, l->linear}]++;
    Request& r = traffic.open[{pc, l->warp->index, turn}];
    r.lanes |= 1u << l->lane;
    r.shared = shared;
    const uintptr_t unit = shared ? 4 : 32;
    for (uintptr_t u = uintptr_t(p) / unit; u <= (uintptr_t(p) + n - 1) / unit; u++)
        if (std::find(r.units.begin(), r.units.end(), u) == r.units.end())
            r.units.push_back(u);
    if (r.lanes == l->warp->exist) {
        finish(r);
        traffic.open.erase({pc, l->warp->index, turn});
    }
}
void block_start(unsigned char* base, size_t cap) {
    static thread_local std::unique_ptr<Shadow> own;
    if (!own || sh->cap < cap) {
        own = std::make_unique<Shadow>();
        sh = own.get();
        sh->cells = std::make_unique<Cell[]>(cap);
        sh->cap = cap;
    }
    for (const auto& [key, request] : traffic.open)
        finish(request);  // of warps not all of whose lanes took part
    traffic = {};
    sh->base = base, sh->gen++, sh->ep = 1;
    t_base = uintptr_t(base), t_cap = cap;
    for (auto& w : sh->vc)
        for (int l = 0; l < 32; l++)
            for (int k = 0; k < 32; k++)
                w[l][k] = l == k;
}
void warp_sync(Warp* w, unsigned mask) {
    auto& v = sh->vc[w->index];
    uint32_t j[32] = {};
    for (unsigned m = mask; m; m &= m - 1)
        for (int k = 0; k < 32; k++)
            j[k] = std::max(j[k], v[std::countr_zero(m)][k]);
    for (unsigned m = mask; m; m &= m - 1) {
        int l = std::countr_zero(m);
        std::memcpy(v[l], j, sizeof j);
        v[l][l]++;
    }
}
void block_sync() {
    sh->ep++;
}
const Hooks table = {block_start,
                     [](const void* p, unsigned n, int kind, const void* pc) {
                         if (uintptr_t(p) - t_base < t_cap)
                             access(p, n, kind, pc);
                         else if (cur)
                             global_access(p, n, kind != 0, pc);
                     },
                     [](const void* to, const void* from, unsigned n, const void* pc) {
                         global_access(from, n, false, pc);
                         access(to, n, 3, pc);
                     },
                     [](const void* p, unsigned n, const void* pc) { access(p, n, 4, pc); },
                     warp_sync,
                     block_sync,
                     fresh_memory};
struct Install {
    Install() { hooks = &table; }
} install;

inline void tsan(void* p, unsigned n, int kind, const void* pc) {
    const bool shared = uintptr_t(p) - t_base < t_cap;
    if (shared)
        access(p, n, kind, pc);
    else if (cur)
        global_access(p, n, kind != 0, pc);
    if (cur && mode().count_traffic) [[unlikely]]
        note_traffic(p, n, shared, pc);
}
}  // namespace
}  // namespace simt::cpu

#define PC __builtin_return_address(0)
#define HOOK(name, n, kind)              \
    extern "C" void name(void* p) {      \
        simt::cpu::tsan(p, n, kind, PC); \
    }
#define PAIR(n) HOOK(__tsan_read##n, n, 0) HOOK(__tsan_write##n, n, 1)
#define UPAIR(n) HOOK(__tsan_unaligned_read##n, n, 0) HOOK(__tsan_unaligned_write##n, n, 1)
PAIR(1) PAIR(2) PAIR(4) PAIR(8) PAIR(16) UPAIR(2) UPAIR(4) UPAIR(8) UPAIR(16) extern "C" {
    void __tsan_init() {}
    void __tsan_atomic_thread_fence(int) {
        std::atomic_thread_fence(std::memory_order_seq_cst);
    }
    void __tsan_func_entry(void*) {}
    void __tsan_func_exit() {}
    void __tsan_vptr_update(void*, void*) {}
    void __tsan_vptr_read(void*) {}
    void __tsan_read_range(void* p, unsigned long n) {
        simt::cpu::tsan(p, unsigned(n), 0, PC);
    }
    void __tsan_write_range(void* p, unsigned long n) {
        simt::cpu::tsan(p, unsigned(n), 1, PC);
    }
}
