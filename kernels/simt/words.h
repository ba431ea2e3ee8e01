// CUDA's device words for a C++ compiler: qualifiers, vector types, indices, barriers, shuffles,
// votes, atomics and scalar intrinsics, as far as kernels/cuda uses them. Included by simt.h alone,
// and only where nvcc does not compile. Each word means what the CUDA programming guide says; where
// hardware leaves something open, the emulation is strict.
#pragma once
#include <atomic>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

#include "kernels/float16.h"

#define __global__
#define __device__
#define __host__
#define __launch_bounds__(...)
#define __forceinline__ inline __attribute__((always_inline))
#define __align__(n) alignas(n)
#define __constant__ static
#define __grid_constant__
// NOT defined on purpose: __noinline__ (libstdc++ writes __attribute__((__noinline__))).
// __shared__ is absent on purpose: SIMT_SHARED and SIMT_DYNAMIC_SHARED are poisoned and checked.
#define SIMT_UNROLL
#define SIMT_UNROLL_BY(n)
#define SIMT_CAT2(a, b) a##b
#define SIMT_CAT(a, b) SIMT_CAT2(a, b)
#define SIMT_SHARED(T, name, ...)                                                          \
    static constexpr char SIMT_CAT(name, _key_) = 0;                                       \
    using SIMT_CAT(name, _type_) = T __VA_ARGS__;                                          \
    SIMT_CAT(name, _type_)& name = *static_cast<SIMT_CAT(name, _type_)*>(                  \
        ::simt::cpu::shared_static(&SIMT_CAT(name, _key_), sizeof(SIMT_CAT(name, _type_)), \
                                   alignof(SIMT_CAT(name, _type_)), #name))
#define SIMT_DYNAMIC_SHARED(name) unsigned char* const name = ::simt::cpu::shared_dynamic()

// ---------------------------------------------------------------- vector types
struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};
struct uint3 {
    unsigned x, y, z;
};
#define SIMT_VEC(T, N)                                             \
    struct alignas(2 * sizeof(T)) N##2 {                           \
        T x, y;                                                    \
    };                                                             \
    struct N##3 {                                                  \
        T x, y, z;                                                 \
    };                                                             \
    struct alignas(4 * sizeof(T) < 16 ? 4 * sizeof(T) : 16) N##4 { \
        T x, y, z, w;                                              \
    };                                                             \
    inline N##2 make_##N##2(T a, T b) {                            \
        return {a, b};                                             \
    }                                                              \
    inline N##4 make_##N##4(T a, T b, T c, T d) {                  \
        return {a, b, c, d};                                       \
    }
SIMT_VEC(float, float)
SIMT_VEC(int, int)
SIMT_VEC(short, short)
SIMT_VEC(signed char, char)
SIMT_VEC(unsigned char, uchar)
#undef SIMT_VEC
struct alignas(8) uint2 {
    unsigned x, y;
};
struct alignas(16) uint4 {
    unsigned x, y, z, w;
};
inline uint2 make_uint2(unsigned a, unsigned b) {
    return {a, b};
}
inline uint4 make_uint4(unsigned a, unsigned b, unsigned c, unsigned d) {
    return {a, b, c, d};
}

// ---------------------------------------------------------------- runtime interface
namespace simt::cpu {
struct Loc {  // std::source_location needs clang 16; these builtins work everywhere
    const char* f;
    unsigned l;
    static constexpr Loc current(const char* f = __builtin_FILE(), unsigned l = __builtin_LINE()) {
        return {f, l};
    }
    constexpr const char* file_name() const { return f; }
    constexpr unsigned line() const { return l; }
};
struct Block;
struct Warp;
struct Lane {
    void* sp;   // saved stack pointer (or ucontext*)
    uint3 tid;  // threadIdx
    Block* block;
    Warp* warp;
    unsigned lane;    // index in the warp
    unsigned linear;  // index in the block
};
// constinit: without it each use of threadIdx goes through g++'s TLS wrapper (slow, and a false
// UBSan report)
extern constinit thread_local Lane* cur;  // the emulated thread now running
struct BlockIds {
    uint3 bid;
    dim3 bdim, gdim;
};
inline const BlockIds& ids(const Lane* l) {
    return *reinterpret_cast<const BlockIds*>(l->block);
}

void run_grid(dim3 grid, dim3 block, size_t smem, bool early, void (*entry)(void*), void* arg);
// An early launch of which a thread never does is reported; so is, in the checker build, one that
// before it writes device memory or reads there what a launch wrote.
void note_wait_for_before();

// --- how kernels are run; set between launches, from one thread
enum class Schedule : uint8_t {
    forward,  // a warp runs until all its lanes wait; lanes, warps and blocks ascend
    reverse,  // the same, descending
    random,   // the next lane is drawn at each switch; the seed decides
    greedy,  // one warp runs ahead as far as barriers let it, then the next; the first is drawn per
             // block
};
enum class Copies : uint8_t {
    lazy,   // an asynchronous copy lands at the wait that covers it; until then its bytes are NaN
    eager,  // it lands at once
};
struct Mode {
    Schedule schedule = Schedule::forward;
    Copies copies = Copies::lazy;
    uint64_t seed = 1;
    unsigned threads = 0;  // of the operating system; 0: as many as there are cores
    size_t shared_limit =
        101376;  // bytes of dynamic shared memory a launch may ask for: sm_86, 89 and 120
    bool count_traffic = false;  // global sectors and bank conflicts, in the checker build; slow
    bool chopped_accumulators = false;  // mma adds exactly and cuts, the worst a tensor core may do
};
void set_mode(const Mode& mode);
const Mode& mode();

// Where not null, launches are put there instead of being run.
using LaunchList = std::vector<std::function<void()>>;
extern LaunchList* launch_list;

// --- faults: the planted bugs of the tests. One site of a kernel is made wrong while it runs, the
// source stays whole.
enum class Fault : uint8_t {
    none,
    skip_barrier,      // a __syncthreads or __syncwarp is not there
    skip_wait,         // a cp_async_wait leaves one group more than it says
    swap_fragments,    // the two registers of an mma's B operand change places
    ignore_zero_fill,  // a cp_async copies where it should fill with zeros
    ignore_bound,      // a bound() lets everything through
};
struct Site {
    Fault fault = Fault::none;
    std::string file;
    unsigned line = 0;
    bool operator==(const Site&) const = default;
};
void plant(const Site& site);  // Fault::none: nothing planted
bool faulty(Fault fault, Loc loc);  // is it planted here? Notes the place while sites are recorded
void record_sites(bool on);    // while on, every place that a fault could be planted at is noted
std::vector<Site> recorded_sites();

// --- counters, of everything that ran since reset_counters()
struct Counters {
    uint64_t barriers = 0;     // warps that passed a __syncthreads
    uint64_t collectives = 0;  // warp-wide operations: shuffles, votes, ldmatrix, mma
    uint64_t mma = 0;
    uint64_t ldmatrix_matrices =
        0;  // 8 x 8 matrices loaded, and the wavefronts they took: 1 each without conflicts
    uint64_t ldmatrix_wavefronts = 0;
    uint64_t async_bytes = 0;  // copied to shared memory
    uint64_t launches = 0;
    // Only in the checker build, which sees plain accesses: those of one warp at one instruction
    // count as one request.
    uint64_t global_requests = 0;
    uint64_t global_sectors = 0;  // of 32 bytes
    uint64_t shared_requests = 0;
    uint64_t shared_wavefronts = 0;  // 1 a request without bank conflicts
};
void reset_counters();
Counters counters();
bool checking();  // the checker build
void* shared_static(const void* key, size_t size, size_t align, const char* name);
unsigned char* shared_dynamic();
void* device_alloc(size_t n);
void device_free(void* p);
[[noreturn]] void fail(const char* fmt, ...) __attribute__((format(printf, 1, 2)));

void block_barrier(const char* what, Loc loc);
int block_reduce(int kind, int v, const char* what, Loc loc);  // 0 count, 1 and, 2 or
// All lanes of `mask` must call with the same `what` at the same source line; the last to arrive
// runs fn(mask, args) with every lane's argument pointer, then all continue.
using CollFn = void (*)(unsigned mask, void* const* args);
void collective(
    unsigned mask, const char* what, Loc loc, CollFn fn, void* arg, bool orders_memory = false);

// async copies (per thread, performed only at the wait)
void cp_async(void* dst, const void* src, unsigned bytes, unsigned src_bytes, Loc loc);
void cp_async_commit();
void cp_async_wait(unsigned leave_pending, Loc loc);
// the access checker (checker.cpp); null where it is not linked in
struct Hooks {
    void (*block_start)(unsigned char* base, size_t cap);
    void (*access)(const void* p, unsigned n, int kind, const void* pc);  // 0 read 1 write 2 atomic
    void (*async_issue)(const void* to, const void* from, unsigned n, const void* pc);
    void (*async_done)(const void* p, unsigned n, const void* pc);
    void (*warp_sync)(Warp* w, unsigned mask);
    void (*block_sync)();
    void (*fresh_memory)(const void* p, size_t n);  // nothing there was written by a launch
};
extern const Hooks* hooks;
inline void note(const void* p, unsigned n, int kind) {
    if (hooks) [[unlikely]]
        hooks->access(p, n, kind, __builtin_return_address(0));
}
bool in_shared(const void* p, size_t n);
void yield_now();

// atomics run in the runtime so that the access checker sees them as atomics
template <class T, class F>
__attribute__((no_sanitize("thread"))) inline T atomic_rmw(T* p, F f) {
    note(p, sizeof(T), 2);
    T old, neu;
    __atomic_load(p, &old, __ATOMIC_RELAXED);
    do
        neu = f(old);
    while (!__atomic_compare_exchange(p, &old, &neu, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
    return old;
}

template <class T>
struct ShflArg {
    T in, out;
    int param, width;
};
template <class T, int Kind>
inline void shfl_all(unsigned mask, void* const* args) {
    for (unsigned m = mask; m; m &= m - 1) {
        int l = std::countr_zero(m);
        auto* a = static_cast<ShflArg<T>*>(args[l]);
        int w = a->width, base = l & ~(w - 1), sub = l & (w - 1), s;
        if constexpr (Kind == 0)
            s = base + (a->param & (w - 1));
        else if constexpr (Kind == 1) {
            s = sub - a->param;
            s = s < 0 ? l : base + s;
        } else if constexpr (Kind == 2) {
            s = sub + a->param;
            s = s >= w ? l : base + s;
        } else {
            s = l ^ a->param;
            s = s >= base + w ? l : s;
        }
        if (!(mask >> s & 1))
            fail(
                "shuffle: lane %d reads from lane %d, which is not in the mask %08x or does not "
                "exist",
                l, s, mask);
        a->out = static_cast<ShflArg<T>*>(args[s])->in;
    }
}
template <class T, int Kind>
inline T shfl(unsigned mask, T v, int param, int width, const char* what, Loc loc) {
    static_assert(std::is_trivially_copyable_v<T> && (sizeof(T) == 4 || sizeof(T) == 8));
    ShflArg<T> a{v, v, param, width};
    collective(mask, what, loc, &shfl_all<T, Kind>, &a);
    return a.out;
}
struct VoteArg {
    unsigned in, out;
};
}  // namespace simt::cpu

#define threadIdx (::simt::cpu::cur->tid)
#define blockIdx (::simt::cpu::ids(::simt::cpu::cur).bid)
#define blockDim (::simt::cpu::ids(::simt::cpu::cur).bdim)
#define gridDim (::simt::cpu::ids(::simt::cpu::cur).gdim)
inline constexpr int warpSize = 32;

// ---------------------------------------------------------------- synchronisation, warp
// collectives
#define SIMT_LOC ::simt::cpu::Loc loc = ::simt::cpu::Loc::current()
inline void __syncthreads(SIMT_LOC) {
    simt::cpu::block_barrier("__syncthreads", loc);
}
inline int __syncthreads_count(int p, SIMT_LOC) {
    return simt::cpu::block_reduce(0, p, "__syncthreads_count", loc);
}
inline int __syncthreads_and(int p, SIMT_LOC) {
    return simt::cpu::block_reduce(1, p, "__syncthreads_and", loc);
}
inline int __syncthreads_or(int p, SIMT_LOC) {
    return simt::cpu::block_reduce(2, p, "__syncthreads_or", loc);
}
inline void __syncwarp(unsigned mask = ~0u, SIMT_LOC) {
    simt::cpu::collective(
        mask, "__syncwarp", loc, [](unsigned, void* const*) {}, nullptr, true);
}
template <class T>
T __shfl_sync(unsigned m, T v, int src, int w = 32, SIMT_LOC) {
    return simt::cpu::shfl<T, 0>(m, v, src, w, "__shfl_sync", loc);
}
template <class T>
T __shfl_up_sync(unsigned m, T v, unsigned d, int w = 32, SIMT_LOC) {
    return simt::cpu::shfl<T, 1>(m, v, int(d), w, "__shfl_up_sync", loc);
}
template <class T>
T __shfl_down_sync(unsigned m, T v, unsigned d, int w = 32, SIMT_LOC) {
    return simt::cpu::shfl<T, 2>(m, v, int(d), w, "__shfl_down_sync", loc);
}
template <class T>
T __shfl_xor_sync(unsigned m, T v, int x, int w = 32, SIMT_LOC) {
    return simt::cpu::shfl<T, 3>(m, v, x, w, "__shfl_xor_sync", loc);
}
inline unsigned __ballot_sync(unsigned mask, int pred, SIMT_LOC) {
    simt::cpu::VoteArg a{unsigned(pred != 0), 0};
    simt::cpu::collective(
        mask, "__ballot_sync", loc,
        [](unsigned m, void* const* args) {
            unsigned r = 0;
            for (unsigned k = m; k; k &= k - 1) {
                int l = std::countr_zero(k);
                r |= static_cast<simt::cpu::VoteArg*>(args[l])->in << l;
            }
            for (unsigned k = m; k; k &= k - 1)
                static_cast<simt::cpu::VoteArg*>(args[std::countr_zero(k)])->out = r;
        },
        &a);
    return a.out;
}
inline int __any_sync(unsigned m, int p, SIMT_LOC) {
    return __ballot_sync(m, p, loc) != 0;
}
inline int __all_sync(unsigned m, int p, SIMT_LOC) {
    return __ballot_sync(m, !p, loc) == 0;
}
inline void __threadfence() {
    std::atomic_thread_fence(std::memory_order_seq_cst);
}
inline void __threadfence_block() {}
inline float __int2float_rn(int x) {
    return float(x);
}
inline void __nanosleep(unsigned) {
    simt::cpu::yield_now();
}
// __activemask() deliberately absent: its answer has no meaning without a hardware scheduler.

// ---------------------------------------------------------------- atomics
template <class T>
__attribute__((no_sanitize("thread"))) inline T atomicAdd(T* p, std::type_identity_t<T> v) {
    return simt::cpu::atomic_rmw(p, [=](T o) { return T(o + v); });
}
template <class T>
__attribute__((no_sanitize("thread"))) inline T atomicMax(T* p, std::type_identity_t<T> v) {
    return simt::cpu::atomic_rmw(p, [=](T o) { return o > v ? o : v; });
}
template <class T>
__attribute__((no_sanitize("thread"))) inline T atomicMin(T* p, std::type_identity_t<T> v) {
    return simt::cpu::atomic_rmw(p, [=](T o) { return o < v ? o : v; });
}
template <class T>
__attribute__((no_sanitize("thread"))) inline T atomicExch(T* p, std::type_identity_t<T> v) {
    return simt::cpu::atomic_rmw(p, [=](T) { return v; });
}
template <class T>
__attribute__((no_sanitize("thread"))) inline T atomicCAS(T* p,
                                                          std::type_identity_t<T> c,
                                                          std::type_identity_t<T> v) {
    return simt::cpu::atomic_rmw(p, [=](T o) { return o == c ? v : o; });
}
inline unsigned atomicInc(unsigned* p, unsigned lim) {
    return simt::cpu::atomic_rmw(p, [=](unsigned o) { return o >= lim ? 0u : o + 1; });
}

// ---------------------------------------------------------------- scalar intrinsics
template <class T>
inline T __ldg(const T* p) {
    return *p;
}
template <class T>
inline T __ldcg(const T* p) {
    return *p;
}
template <class T>
inline T __ldcs(const T* p) {
    return *p;
}
inline int __dp4a(int a, int b, int c) {
    for (int i = 0; i < 4; i++)
        c += int(int8_t(unsigned(a) >> (8 * i))) * int(int8_t(unsigned(b) >> (8 * i)));
    return c;
}
inline unsigned __dp4a(unsigned a, unsigned b, unsigned c) {
    for (int i = 0; i < 4; i++)
        c += (a >> (8 * i) & 255u) * (b >> (8 * i) & 255u);
    return c;
}
inline float __uint_as_float(unsigned u) {
    return std::bit_cast<float>(u);
}
inline float __int_as_float(int u) {
    return std::bit_cast<float>(u);
}
inline unsigned __float_as_uint(float f) {
    return std::bit_cast<unsigned>(f);
}
inline int __float_as_int(float f) {
    return std::bit_cast<int>(f);
}
inline int __popc(unsigned x) {
    return std::popcount(x);
}
inline int __clz(int x) {
    return std::countl_zero(unsigned(x));
}
inline int __ffs(int x) {
    return __builtin_ffs(x);
}
inline float __expf(float x) {
    return std::exp(x);
}
inline float __logf(float x) {
    return std::log(x);
}
inline float rsqrtf(float x) {
    return 1.0f / std::sqrt(x);
}
inline float __fdividef(float a, float b) {
    return a / b;
}
inline float __fmaf_rn(float a, float b, float c) {
    return std::fma(a, b, c);
}
inline float __frcp_rn(float a) {
    return 1.0f / a;
}
inline float __saturatef(float x) {
    return x < 0 || x != x ? 0 : x > 1 ? 1 : x;
}
inline int __float2int_rn(float x) {
    return int(std::nearbyint(x));
}
inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned shift) {
    return unsigned((uint64_t(high) << 32 | low) >> (shift & 31));
}
inline unsigned __byte_perm(unsigned a, unsigned b, unsigned s) {
    uint64_t v = uint64_t(b) << 32 | a;
    unsigned r = 0;
    for (int i = 0; i < 4; i++) {
        unsigned sel = s >> (4 * i), by = unsigned(v >> (8 * (sel & 7))) & 255;
        if (sel & 8)
            by = by & 128 ? 255 : 0;
        r |= by << (8 * i);
    }
    return r;
}
using std::max;
using std::min;
inline size_t __cvta_generic_to_shared(const void* p) {
    return size_t(p);
}

// ---------------------------------------------------------------- f16 / bf16 (storage plus
// conversions)
namespace simt::cpu {
inline float h2f(uint16_t h) {
    return kernels::f16_to_f32(h);
}
inline uint16_t f2h(float f) {
    return kernels::f32_to_f16(f);
}
inline float bf2f(uint16_t h) {
    return kernels::bf16_to_f32(h);
}
inline uint16_t f2bf(float f) {
    return kernels::f32_to_bf16(f);
}
}  // namespace simt::cpu
struct __half {
    uint16_t bits;
};
struct __nv_bfloat16 {
    uint16_t bits;
};
struct alignas(4) __half2 {
    __half x, y;
};
struct alignas(4) __nv_bfloat162 {
    __nv_bfloat16 x, y;
};
using half = __half;
using half2 = __half2;
inline float __half2float(__half h) {
    return simt::cpu::h2f(h.bits);
}
inline __half __float2half(float f) {
    return {simt::cpu::f2h(f)};
}
inline __half __float2half_rn(float f) {
    return {simt::cpu::f2h(f)};
}
inline __half __ushort_as_half(unsigned short u) {
    return {u};
}
inline unsigned short __half_as_ushort(__half h) {
    return h.bits;
}
inline __half2 __floats2half2_rn(float a, float b) {
    return {__float2half(a), __float2half(b)};
}
inline __half2 __hsub2(__half2 a,
                       __half2 b) {  // a difference in float is exact but for its rounding
    return __floats2half2_rn(__half2float(a.x) - __half2float(b.x),
                             __half2float(a.y) - __half2float(b.y));
}
inline __half2 __hmul2(__half2 a, __half2 b) {  // a product in float is exact
    return __floats2half2_rn(__half2float(a.x) * __half2float(b.x),
                             __half2float(a.y) * __half2float(b.y));
}
inline float2 __half22float2(__half2 h) {
    return {__half2float(h.x), __half2float(h.y)};
}
inline float __low2float(__half2 h) {
    return __half2float(h.x);
}
inline float __high2float(__half2 h) {
    return __half2float(h.y);
}
inline unsigned short __bfloat16_as_ushort(__nv_bfloat16 h) {
    return h.bits;
}
inline float __bfloat162float(__nv_bfloat16 h) {
    return simt::cpu::bf2f(h.bits);
}
inline __nv_bfloat16 __float2bfloat16(float f) {
    return {simt::cpu::f2bf(f)};
}
inline __nv_bfloat16 __float2bfloat16_rn(float f) {
    return {simt::cpu::f2bf(f)};
}
inline __nv_bfloat162 __floats2bfloat162_rn(float a, float b) {
    return {__float2bfloat16(a), __float2bfloat16(b)};
}
inline float2 __bfloat1622float2(__nv_bfloat162 h) {
    return {__bfloat162float(h.x), __bfloat162float(h.y)};
}
