// One kernel source, two builds: nvcc for the GPU, a C++ compiler for an execution on the CPU in
// which every CUDA thread is a fibre. Kernels include this header and warp_matrix.h and use nothing
// else of CUDA: no <<<>>>, no raw
// __shared__, no inline assembly, no cooperative groups.
//
//   SIMT_SHARED(float, s, [4][32])   shared memory of the block; scalars: SIMT_SHARED(int, n)
//   SIMT_DYNAMIC_SHARED(bytes)       the launch's dynamic shared memory
//   simt::launch({grid, block, shared_bytes}, kernel, arguments...)
//
// On the CPU (words.h, runtime.cpp): barriers that not all threads reach, collectives in a branch,
// shared memory read before it is written or before its copy was waited for, accesses beyond an
// array: each ends the process with a report (exit status 86). Schedules, copies, planted faults
// and counters are set and read in namespace simt::cpu.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "kernels/check.h"

#ifdef __CUDACC__
#    define SIMT_GPU 1
#    include <cuda_bf16.h>
#    include <cuda_fp16.h>
#    include <cuda_runtime.h>
#    define SIMT_UNROLL _Pragma("unroll")
#    define SIMT_UNROLL_BY(n) SIMT_PRAGMA(unroll n)
#    define SIMT_PRAGMA(text) _Pragma(#text)
// Block-shared storage. Scalars: SIMT_SHARED(int, n);  arrays: SIMT_SHARED(float, s, [4][32]);
#    define SIMT_SHARED(T, name, ...) __shared__ T name __VA_ARGS__
// The launch-time (dynamic) block storage, always the same type and name underneath.
#    define SIMT_DYNAMIC_SHARED(name)                                \
        extern __shared__ __align__(1024) unsigned char simt_dyn_[]; \
        unsigned char* const name = simt_dyn_
#else
#    define SIMT_GPU 0
#    include "kernels/simt/words.h"
#endif

namespace simt {

#if SIMT_GPU
using Stream = cudaStream_t;
#else
using Stream = void*;
#endif

// Dynamic shared memory a block may have on every card from compute capability 8.0 on.
inline constexpr size_t kSharedBytes = 101376;
// Without being asked for more a card gives a block 48 KiB, and the dynamic part begins at a multiple
// of 1024 behind the static one. Dynamic memory beyond this is asked for.
inline constexpr size_t kUnaskedBytes = 32 * 1024;

struct Config {
    dim3 grid, block;
    size_t smem = 0;
    Stream stream = nullptr;
    // Blocks may start while the launch before is still running, on cards that can (from compute
    // capability 9.0 on): every block calls wait_for_before() ahead of touching memory that any
    // earlier launch writes or reads. What is constant (weights) may be fetched before it.
    bool early = false;
};

// By this process.
inline std::atomic<int64_t> launches = 0;

// What a launch may hand over as arguments on every driver.
inline constexpr size_t kArgumentBytes = 4096;

#if SIMT_GPU
// Called around every launch while they are timed.
struct LaunchWatch {
    virtual ~LaunchWatch() = default;
    virtual void before(const void* kernel, Stream stream) = 0;
    virtual void after(Stream stream) = 0;
};
inline LaunchWatch* launch_watch = nullptr;

// The card can start launches early; set when the device is opened.
inline bool early_starts = false;

// In a kernel: everything that earlier launches did is done and can be seen.
__device__ __forceinline__ void wait_for_before() {
#    if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    cudaGridDependencySynchronize();
#    endif
}
// In a kernel: a condition that keeps what is out of bounds, or not to be seen, away from results.
__device__ __forceinline__ bool bound(bool inside) {
    return inside;
}
// In a kernel: blocks of the next launch, if it is an early one, may take the room that is left.
__device__ __forceinline__ void let_next_start() {
#    if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    cudaTriggerProgrammaticLaunchCompletion();
#    endif
}

inline void check(cudaError_t error, const char* what) {
    if (error != cudaSuccess) {
        throw kernels::DeviceError(std::string("the CUDA device refuses (") + what +
                                   "): " + cudaGetErrorString(error));
    }
}
inline void check_launch(cudaError_t error, const Config& c, const void* kernel) {
    if (error != cudaSuccess) {
        const char* name = nullptr;
#    if CUDART_VERSION >= 12030
        cudaFuncGetName(&name, kernel);
#    endif
        throw kernels::DeviceError(kernels::describe(
            "the CUDA device refuses a launch of ", name != nullptr ? name : "a kernel", ", ",
            c.grid.x, " x ", c.grid.y, " x ", c.grid.z, " blocks of ",
            c.block.x * c.block.y * c.block.z, " threads, ", c.smem,
            " bytes of dynamic shared memory: ", cudaGetErrorString(error)));
    }
}
template <class... P, class... A>
void launch(const Config& c, void (*kernel)(P...), A&&... a) {
    static_assert((sizeof(P) + ... + size_t{0}) <= kArgumentBytes);
    if (c.smem > kUnaskedBytes)
        check(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                                   cudaFuncAttributeMaxDynamicSharedMemorySize, int(c.smem)),
              "cudaFuncSetAttribute");
    if (launch_watch != nullptr) {
        launch_watch->before(reinterpret_cast<const void*>(kernel), c.stream);
    }
    if (c.early && early_starts) {
        cudaLaunchAttribute attribute{};
        attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
        attribute.val.programmaticStreamSerializationAllowed = 1;
        cudaLaunchConfig_t config{};
        config.gridDim = c.grid;
        config.blockDim = c.block;
        config.dynamicSmemBytes = c.smem;
        config.stream = c.stream;
        config.attrs = &attribute;
        config.numAttrs = 1;
        check_launch(
            cudaLaunchKernelEx(&config, kernel, static_cast<P>(std::forward<A>(a))...), c,
            reinterpret_cast<const void*>(kernel));
    } else {
        kernel<<<c.grid, c.block, c.smem, c.stream>>>(static_cast<P>(std::forward<A>(a))...);
        check_launch(cudaGetLastError(), c, reinterpret_cast<const void*>(kernel));
    }
    launches++;
    if (launch_watch != nullptr) {
        launch_watch->after(c.stream);
    }
}
inline void sync() {
    check(cudaDeviceSynchronize(), "sync");
}
inline int multiprocessors() {
    int device = 0, count = 0;
    check(cudaGetDevice(&device), "cudaGetDevice");
    check(cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device),
          "cudaDeviceGetAttribute");
    return count;
}
#else
template <class... P, class... A>
void launch(const Config& c, void (*kernel)(P...), A&&... a) {
    static_assert((sizeof(P) + ... + size_t{0}) <= kArgumentBytes);
    std::tuple<P...> args(static_cast<P>(std::forward<A>(a))...);
    struct Call {
        void (*k)(P...);
        std::tuple<P...>* t;
    } call{kernel, &args};
    if (cpu::launch_list != nullptr) {  // to be run later, like the launches of a graph
        cpu::launch_list->push_back([c, kernel, args]() mutable {
            std::apply([&](auto&&... p) { launch(c, kernel, p...); }, args);
        });
        return;
    }
    // every emulated thread runs this: parameters are copied per thread, as on the GPU
    cpu::run_grid(
        c.grid, c.block, c.smem, c.early,
        [](void* p) {
            auto* q = static_cast<Call*>(p);
            std::apply(q->k, *q->t);
        },
        &call);
}
inline void sync() {}
inline void wait_for_before() {
    cpu::note_wait_for_before();
}
inline void let_next_start() {}
inline bool bound(bool inside, cpu::Loc loc = cpu::Loc::current()) {
    return inside || cpu::faulty(cpu::Fault::ignore_bound, loc);
}
inline int multiprocessors() {
    return 132;  // as many as an H200 has: work is cut as it is there
}
#endif

// Device memory for tests: cudaMalloc, or memory of exactly this size with an inaccessible page
// behind it. Poisoned.
template <class T>
class Buffer {
public:
    explicit Buffer(size_t n) : n_(n) {
#if SIMT_GPU
        void* p;
        // Readable up to a multiple of 16 bytes, as on the CPU and as all memory of a backend.
        check(cudaMalloc(&p, (n * sizeof(T) + 15) / 16 * 16), "cudaMalloc");
        p_ = static_cast<T*>(p);
        check(cudaMemset(p_, 0xff, n * sizeof(T)), "cudaMemset");
#else
        p_ = static_cast<T*>(cpu::device_alloc(n * sizeof(T)));
#endif
    }
    explicit Buffer(const std::vector<T>& v) : Buffer(v.size()) {
        upload(v);
    }
    Buffer(const Buffer&) = delete;
    ~Buffer() {
#if SIMT_GPU
        cudaFree(p_);
#else
        cpu::device_free(p_);
#endif
    }
    void upload(const std::vector<T>& v) {
#if SIMT_GPU
        check(cudaMemcpy(p_, v.data(), v.size() * sizeof(T), cudaMemcpyHostToDevice), "upload");
#else
        if (!v.empty()) {
            std::memcpy(static_cast<void*>(p_), v.data(), v.size() * sizeof(T));
        }
#endif
    }
    std::vector<T> download() const {
        std::vector<T> v(n_);
#if SIMT_GPU
        check(cudaMemcpy(v.data(), p_, n_ * sizeof(T), cudaMemcpyDeviceToHost), "download");
#else
        if (n_ > 0) {
            std::memcpy(static_cast<void*>(v.data()), p_, n_ * sizeof(T));
        }
#endif
        return v;
    }
    T* get() const {
        return p_;
    }
    size_t size() const {
        return n_;
    }

private:
    T* p_;
    size_t n_;
};

}  // namespace simt
