// Inside of the CPU execution: the block that an OS thread runs, its warps and lanes (fibres), and
// what runtime.cpp, memory.cpp, modes.cpp, warp_matrix.cpp and checker.cpp share. A block never
// leaves its OS thread.
#pragma once

#include <cstdarg>
#include <memory>
#include <mutex>

#include "kernels/simt/simt.h"

#if defined(__SANITIZE_ADDRESS__)
#    define SIMT_ASAN 1
#    include <sanitizer/asan_interface.h>
#    include <sanitizer/common_interface_defs.h>
#else
#    define SIMT_ASAN 0
#    define ASAN_POISON_MEMORY_REGION(a, n) ((void)0)
#    define ASAN_UNPOISON_MEMORY_REGION(a, n) ((void)0)
#endif
#if !defined(__x86_64__) && !defined(SIMT_UCONTEXT)
#    define SIMT_UCONTEXT 1
#endif
#ifdef SIMT_UCONTEXT
#    include <ucontext.h>
#endif

namespace simt::cpu {

struct Pending {
    unsigned mask, arrived;
    const char* what;
    Loc loc;
    CollFn fn;
    void* args[32];
};
struct Warp {
    unsigned index, exist, ready, exited, npend;
    Pending p[32];
};
struct Copy {
    void* dst;
    const void* src;
    unsigned bytes, src_bytes, group;
};
enum State : uint8_t { READY, AT_BARRIER, AT_COLLECTIVE, EXITED };
struct LaneX : Lane {
    State state;
    bool waited;  // for the launches before
    unsigned wait_mask;
    const char* what;
    Loc loc;
    char *stack_lo, *stack_top;
    std::vector<Copy> copies;
    size_t copy_head;
    unsigned groups;
#if SIMT_ASAN
    void* fake = nullptr;
#endif
#ifdef SIMT_UCONTEXT
    ucontext_t ctx;
#endif
};
struct Static {
    const void* key;
    unsigned char* p;
    size_t size;
    const char* name;
};
struct Block {
    BlockIds ids;  // first member: see ids() in words.h
    unsigned n, nw, ready_warps, alive, bar_arrived;
    bool early;       // the launch may start before those before it have ended
    unsigned waited;  // threads that waited for them
    const char* bar_what;
    Loc bar_loc;
    int acc[3], result[3];
    void* main_sp;
    void (*entry)(void*);
    void* arg;
    Schedule policy;
    uint64_t rng;
    unsigned char* arena;
    size_t dyn, used;
    std::vector<Static> statics;
    Warp warps[32];
    LaneX* lanes;
#if SIMT_ASAN
    void* main_fake = nullptr;
    const void* main_lo = nullptr;
    size_t main_size = 0;
#endif
#ifdef SIMT_UCONTEXT
    ucontext_t main_ctx;
#endif
};
constexpr size_t kArena = 320 * 1024, kRed = 64;
#if SIMT_ASAN
constexpr size_t kStack = 256 * 1024;
#else
constexpr size_t kStack = 64 * 1024;
#endif

inline LaneX* me() {
    return static_cast<LaneX*>(cur);
}

// memory.cpp
void arm_fault_handler();
void stack_region(unsigned worker, char* low, size_t bytes);  // named in reports of overflows
const char* shared_name(const void* p, size_t* offset);
bool shared_object(const void* p, size_t n);
// modes.cpp
void count(uint64_t Counters::*counter, uint64_t n);
void hand_in_counters();  // of this OS thread, at the end of a launch

}  // namespace simt::cpu
