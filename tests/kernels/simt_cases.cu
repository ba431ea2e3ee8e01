#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <random>
#include <stdexcept>

#include "kernels/float16.h"
#include "kernels/simt/warp_matrix.h"
#include "tests/kernels/simt_cases.h"

namespace tests {
namespace {

constexpr unsigned kAll = 0xffffffffu;

float number(__half h) {
    return __half2float(h);
}
float number(__nv_bfloat16 h) {
    return __bfloat162float(h);
}
void assign(__half& h, float f) {
    h = __float2half(f);
}
void assign(__nv_bfloat16& h, float f) {
    h = __float2bfloat16(f);
}

// ------------------------------------------------------------------ matrix fragments
// Element (lane, value) -> offset in a column-major matrix, from the stride lists that CUTLASS's
// CuTe publishes for SM80_16x8x16: a source independent of the PTX tables in warp_matrix.cpp.
__device__ int offset_a(int l, int v) {
    return l % 4 * 32 + l / 4 + v % 2 * 16 + v / 2 % 2 * 8 + v / 4 * 128;
}
__device__ int offset_b(int l, int v) {
    return l % 4 * 16 + l / 4 + v % 2 * 8 + v / 2 * 64;
}
__device__ int offset_c(int l, int v) {
    return l % 4 * 32 + l / 4 + v % 2 * 16 + v / 2 * 8;
}

template <class T>
__device__ uint32_t pair_of(T low, T high) {
    T both[2] = {low, high};
    uint32_t word;
    memcpy(&word, both, 4);
    return word;
}

// A, D column-major 16 x K; B (n, k) column-major 8 x 16.
template <class T>
__global__ void mma_direct(const T* A, const T* B, float* D) {
    const int l = threadIdx.x;
    uint32_t a[4], b[2];
    for (int r = 0; r < 4; r++) {
        a[r] = pair_of(A[offset_a(l, 2 * r)], A[offset_a(l, 2 * r + 1)]);
    }
    for (int r = 0; r < 2; r++) {
        b[r] = pair_of(B[offset_b(l, 2 * r)], B[offset_b(l, 2 * r + 1)]);
    }
    float d[4];
    for (int v = 0; v < 4; v++) {
        d[v] = D[offset_c(l, v)];
    }
    simt::Mma<T>::run(d, a, b);
    for (int v = 0; v < 4; v++) {
        D[offset_c(l, v)] = d[v];
    }
}

// The same by ldmatrix: A row-major in shared memory, B as [n][k] (plain) or [k][n] (transposed
// load).
template <class T, bool Transposed>
__global__ void mma_loaded(const T* A, const T* B, float* D) {
    SIMT_SHARED(uint4, shared_a, [16 * 3]);
    SIMT_SHARED(uint4, shared_b, [16 * 3]);
    T* sa = reinterpret_cast<T*>(&shared_a[0]);
    T* sb = reinterpret_cast<T*>(&shared_b[0]);  // 24 numbers from row to row in both
    const int l = threadIdx.x;
    for (int i = l; i < 256; i += 32) {
        sa[i % 16 * 24 + i / 16] = A[i];
    }
    for (int i = l; i < 128; i += 32) {
        const int n = i % 8, k = i / 8;
        sb[Transposed ? k * 24 + n : n * 24 + k] = B[i];
    }
    __syncwarp();
    uint32_t a[4], b[2];
    simt::ldmatrix(a, sa + (l & 15) * 24 + 8 * (l >> 4));
    if constexpr (Transposed) {
        simt::ldmatrix<true>(b, sb + (l & 15) * 24);
    } else {
        simt::ldmatrix(b, sb + (l & 7) * 24 + 8 * (l >> 3 & 1));
    }
    float d[4];
    for (int v = 0; v < 4; v++) {
        d[v] = D[offset_c(l, v)];
    }
    simt::Mma<T>::run(d, a, b);
    for (int v = 0; v < 4; v++) {
        D[offset_c(l, v)] = d[v];
    }
}

template <class T>
double mma_difference(void (*kernel)(const T*, const T*, float*)) {
    std::mt19937 engine(7);
    std::normal_distribution<float> normal;
    std::vector<T> A(256), B(128);
    std::vector<float> C(128);
    for (T& x : A)
        assign(x, normal(engine));
    for (T& x : B)
        assign(x, normal(engine));
    for (float& x : C)
        x = normal(engine);
    simt::Buffer<T> a(A), b(B);
    simt::Buffer<float> d(C);
    simt::launch({1, 32}, kernel, a.get(), b.get(), d.get());
    const std::vector<float> got = d.download();
    double worst = 0;
    for (int m = 0; m < 16; m++) {
        for (int n = 0; n < 8; n++) {
            double sum = C[n * 16 + m];
            for (int k = 0; k < 16; k++) {
                sum += double(number(A[k * 16 + m])) * number(B[k * 8 + n]);
            }
            worst = std::max(worst, std::abs(sum - got[n * 16 + m]));
        }
    }
    return worst;
}

// A int8 [16][32], B int8 [8][32] (a column of B per row), D int32 [16][8]: registers loaded as
// 32-bit words, which by the layout hold four neighbours along k.
__global__ void mma_int8(const int8_t* A, const int8_t* B, int32_t* D) {
    const int l = threadIdx.x, g = l / 4, t = l % 4;
    const auto* wa = reinterpret_cast<const uint32_t*>(A);
    const auto* wb = reinterpret_cast<const uint32_t*>(B);
    const uint32_t a[4] = {wa[g * 8 + t], wa[(g + 8) * 8 + t], wa[g * 8 + t + 4],
                           wa[(g + 8) * 8 + t + 4]};
    const uint32_t b[2] = {wb[g * 8 + t], wb[g * 8 + t + 4]};
    int32_t d[4] = {D[g * 8 + 2 * t], D[g * 8 + 2 * t + 1], D[(g + 8) * 8 + 2 * t],
                    D[(g + 8) * 8 + 2 * t + 1]};
    simt::mma_s8(d, a, b);
    D[g * 8 + 2 * t] = d[0];
    D[g * 8 + 2 * t + 1] = d[1];
    D[(g + 8) * 8 + 2 * t] = d[2];
    D[(g + 8) * 8 + 2 * t + 1] = d[3];
}

double mma_int8_difference() {
    std::mt19937 engine(8);
    std::vector<int8_t> A(16 * 32), B(8 * 32);
    std::vector<int32_t> C(16 * 8);
    for (int8_t& x : A)
        x = static_cast<int8_t>(engine());
    for (int8_t& x : B)
        x = static_cast<int8_t>(engine());
    for (int32_t& x : C)
        x = static_cast<int32_t>(engine() % 1000);
    simt::Buffer<int8_t> a(A), b(B);
    simt::Buffer<int32_t> d(C);
    simt::launch({1, 32}, mma_int8, a.get(), b.get(), d.get());
    const std::vector<int32_t> got = d.download();
    double worst = 0;
    for (int m = 0; m < 16; m++) {
        for (int n = 0; n < 8; n++) {
            int sum = C[m * 8 + n];
            for (int k = 0; k < 32; k++) {
                sum += A[m * 32 + k] * B[n * 32 + k];
            }
            worst = std::max(worst, std::abs(double(sum) - got[m * 8 + n]));
        }
    }
    return worst;
}

// ------------------------------------------------------------------ words
// Every collective against arithmetic on the lane's own index.
__global__ void collectives(int* wrong) {
    const int l = threadIdx.x;
    int bad = 0;
    bad += __shfl_sync(kAll, l * 3, 5) != 15;
    bad += __shfl_sync(kAll, l, l & 7, 8) != (l & ~7) + (l & 7);
    bad += __shfl_up_sync(kAll, l, 3) != (l < 3 ? l : l - 3);
    bad += __shfl_down_sync(kAll, l, 3) != (l > 28 ? l : l + 3);
    bad += __shfl_xor_sync(kAll, l, 21) != (l ^ 21);
    bad += __ballot_sync(kAll, l % 3 == 0) != 0x49249249u;
    bad += __any_sync(kAll, l == 9) != 1;
    bad += __all_sync(kAll, l < 31) != 0;
    bad += __syncthreads_count(l % 2) != 16;
    bad += __dp4a(static_cast<int>(0x807f01ffu), 0x02030405, 7) !=
           7 + -128 * 2 + 127 * 3 + 1 * 4 + -1 * 5;
    bad += __dp4a(0x807f01ffu, 0x02030405u, 7u) != 7u + 128 * 2 + 127 * 3 + 1 * 4 + 255 * 5;
    bad += __byte_perm(0x33221100u, 0x77665544u, 0x7140u) != 0x77114400u;
    bad += __funnelshift_r(0x33221100u, 0x77665544u, 16) != 0x55443322u;
    bad += __funnelshift_r(0x33221100u, 0x77665544u, 0) != 0x33221100u;
    wrong[l] = bad;
}

__global__ void atomics(int* out) {
    SIMT_SHARED(int, sum);
    if (threadIdx.x == 0) {
        sum = 0;
    }
    __syncthreads();
    atomicAdd(&sum, static_cast<int>(threadIdx.x));
    atomicMax(&sum, -1);
    __syncthreads();
    if (threadIdx.x == 0) {
        atomicAdd(out, sum);
    }
}

// Shared memory of a block is its own; blocks and threads have their indices.
__global__ void indices(int* out) {
    SIMT_SHARED(int, s, [64]);
    const int l = threadIdx.y * blockDim.x + threadIdx.x;
    s[l] = blockIdx.x * 1000 + blockIdx.y * 100 + l;
    __syncthreads();
    out[(blockIdx.y * gridDim.x + blockIdx.x) * 64 + l] = s[63 - l];
}

__global__ void copy_with_zeros(const float* x, float* y) {
    SIMT_DYNAMIC_SHARED(bytes);
    auto* s = reinterpret_cast<float*>(bytes);
    const unsigned l = threadIdx.x;
    simt::cp_async16(s + 4 * l, x + 4 * l, l % 2 == 0 ? 16 : 8);
    simt::cp_async_commit();
    simt::cp_async16(s + 4 * (32 + l), x + 4 * l);
    simt::cp_async_commit();
    simt::cp_async_wait<1>();
    __syncthreads();
    const float first = s[4 * (31 - l) + 3];
    simt::cp_async_wait<0>();
    __syncthreads();
    y[l] = first + s[4 * (32 + 31 - l) + 3] * 1000;
}

// Three bytes of each word, zero behind them, turned around.
__global__ void copy_words(const uint32_t* x, uint32_t* y) {
    SIMT_SHARED(uint32_t, s, [64]);
    const unsigned l = threadIdx.x;
    simt::cp_async4(s + l, x + l, 3);
    simt::cp_async4(s + 32 + l, x + l);
    simt::cp_async_commit();
    simt::cp_async_wait<0>();
    __syncthreads();
    y[l] = s[31 - l] ^ s[63 - l];
}

// ------------------------------------------------------------------ planted bugs
enum class Bug {
    none,
    no_barrier,
    out_of_bounds_shared,
    out_of_bounds_global,
    barrier_by_some,
    shuffle_in_branch,
    two_lines_of_shuffle,
    no_syncwarp,
    read_before_wait,
    wait_without_barrier,
    copy_never_waited,
    tail_not_filled,
    write_during_copy,
    uninitialised,
    two_writers,
    shuffle_is_no_barrier,
    misaligned_copy,
    barrier_after_exit,
    too_much_shared,
    deep_stack,
    deadlock,
};

// Sum of a row of n floats by 64 threads, through shared memory and asynchronous copies: the
// victim. n <= 60.
template <Bug bug>
__global__ void victim(const float* x, float* y, int n) {
    SIMT_SHARED(float4, tile4, [16]);
    SIMT_SHARED(float, part, [2]);
    float* tile = reinterpret_cast<float*>(&tile4[0]);
    const int t = threadIdx.x, lane = t & 31, warp = t >> 5;
    for (int turn = 0; turn < 2; turn++) {
        if (t < 16) {
            const int left = n - 4 * t;
            const unsigned bytes = left >= 4 ? 16 : left > 0 ? 4 * left : 0;
            simt::cp_async16(bug == Bug::misaligned_copy ? tile + 4 * t + (t < 15) : tile + 4 * t,
                             bytes > 0 ? x + 4 * t : x, bug == Bug::tail_not_filled ? 16 : bytes);
            if (bug == Bug::write_during_copy) {
                tile[4 * t] = 0;
            }
        }
        simt::cp_async_commit();
        if (bug != Bug::read_before_wait && bug != Bug::copy_never_waited) {
            simt::cp_async_wait<0>();
        }
        if (bug != Bug::wait_without_barrier) {
            __syncthreads();
        }
        float v = tile[t];
        if (bug == Bug::copy_never_waited) {
            v = x[t < n ? t : 0] * (t < n);
        }
        if (bug == Bug::read_before_wait) {
            simt::cp_async_wait<0>();
        }
        if (bug == Bug::two_lines_of_shuffle && (lane & 1)) {
            v += __shfl_xor_sync(kAll, v, 16);
        } else {
            v += __shfl_xor_sync(kAll, v, 16);
        }
        for (int o = 8; o > 0; o >>= 1) {
            v += __shfl_xor_sync(kAll, v, o);
        }
        if (lane == 0) {
            part[bug == Bug::out_of_bounds_shared ? warp + 1
                 : bug == Bug::two_writers        ? 0
                                                  : warp] = v;
        }
        if (bug == Bug::barrier_by_some ? t < 40 : bug != Bug::no_barrier) {
            __syncthreads();
        }
        v = lane < 2 ? part[lane] : 0;
        if (bug == Bug::shuffle_in_branch ? lane < 2 : true) {
            v += __shfl_xor_sync(kAll, v, 1);
        }
        if (t == 0) {
            y[bug == Bug::out_of_bounds_global ? 4 : turn] = v;
        }
    }
}

template <bool Synced>
__global__ void warp_tree(const float* x, float* y) {
    SIMT_SHARED(float, s, [32]);
    const int l = threadIdx.x;
    s[l] = x[l];
    for (int o = 16; o > 0; o >>= 1) {
        if (Synced)
            __syncwarp();
        const float t = l < o ? s[l + o] : 0.0f;
        if (Synced)
            __syncwarp();
        if (l < o)
            s[l] += t;
    }
    if (l == 0)
        y[0] = y[1] = s[0];
}

__global__ void reads_nothing_written(float* y) {
    SIMT_SHARED(float, s, [32]);
    if (threadIdx.x > 0)
        s[threadIdx.x] = 1;
    __syncthreads();
    if (threadIdx.x == 0)
        y[0] = s[0] == 1 ? 1.0f : 2.0f;
}
__global__ void shuffle_as_barrier(float* y) {
    SIMT_SHARED(int, s, [32]);
    s[threadIdx.x] = threadIdx.x;
    const int one = __shfl_sync(kAll, 1, 0);
    y[threadIdx.x % 2] = float(s[threadIdx.x ^ 1] * one);
}
__global__ void overwrites_what_others_read(float* y) {
    SIMT_SHARED(float, s, [64]);
    const int t = threadIdx.x;
    s[t] = float(t);
    __syncthreads();
    const float v = s[63 - t];
    s[t] = -1;
    y[t] = v;
}
__global__ void barrier_after_exit(float* y) {
    if (threadIdx.x == 3)
        return;
    __syncthreads();
    y[0] = y[1] = 0;
}
__global__ void half_waits_for_half(float* y) {
    float v = 0;
    if (threadIdx.x != 32) {
        __syncthreads();
    } else {
        v = __shfl_sync(kAll, v, 0);
    }
    y[0] = v;
}
__device__ int deep(int n, volatile int* sink) {
    volatile int room[64];
    room[n & 63] = n;
    *sink = *sink + room[n & 63];
    return n != 0 ? deep(n - 1, sink) + room[n & 63] : 0;
}
__global__ void deep_stack(float* y) {
    volatile int sink = 0;
    y[0] = float(deep(3000, &sink));
}
__global__ void nothing(float*) {}

__global__ void waits_for_before(float*) {
    simt::let_next_start();
    simt::wait_for_before();
}

__global__ void some_wait_for_before(float*) {
    if (threadIdx.x < 16) {
        simt::wait_for_before();
    }
}

// Of early launches, the wrong ways: `early` was written by a launch before.
__global__ void reads_before_it_waits(float* y) {
    const float early = y[threadIdx.x];
    simt::wait_for_before();
    y[threadIdx.x] = early + 1;
}
__global__ void copies_before_it_waits(float* y) {
    SIMT_SHARED(float, s, [4 * 32]);
    simt::cp_async16(s + 4 * threadIdx.x, y + 4 * threadIdx.x);
    simt::cp_async_commit();
    simt::wait_for_before();
    simt::cp_async_wait<0>();
    y[4 * threadIdx.x] = s[4 * threadIdx.x] + 1;
}
__global__ void writes_before_it_waits(float* y) {
    y[threadIdx.x] = 1;
    simt::wait_for_before();
}
__global__ void counts_up(float* y) {
    simt::wait_for_before();
    y[threadIdx.x] = static_cast<float>(threadIdx.x);
}
// 40 KiB of static shared memory.
__global__ void holds_much(float* y) {
    SIMT_SHARED(float, much, [10 * 1024]);
    much[threadIdx.x] = 1;
    y[0] = much[threadIdx.x];
}

// Every signed byte as a half by permuted bytes and one difference, then a product: wrong ones.
__global__ void half_pairs(int* wrong) {
    const int l = threadIdx.x;
    int bad = 0;
    for (int code = l * 8 - 128; code < l * 8 - 120; code++) {
        const uint32_t biased =
            __byte_perm(static_cast<uint32_t>(code & 255) ^ 0x80U, 0x64U, 0x4040);
        const uint32_t bias = 0x64806480U;
        __half2 a, b;
        memcpy(&a, &biased, 4);
        memcpy(&b, &bias, 4);
        const __half2 number = __hsub2(a, b);
        const __half2 third = __hmul2(number, __floats2half2_rn(0.333251953125F, 2));
        bad += __low2float(number) != static_cast<float>(code);
        bad += __high2float(number) != static_cast<float>(code);
        bad += __low2float(third) !=
               __half2float(__float2half(0.333251953125F * static_cast<float>(code)));
        bad += __high2float(third) != static_cast<float>(2 * code);
    }
    wrong[l] = bad;
}

using Bytes = simt::Buffer<float>;

template <Bug bug>
bool victim_sums_right() {
    std::vector<float> x(64, kernels::f16_to_f32(0x7e00));  // NaN beyond the n numbers of the row
    double sum = 0;
    for (int i = 0; i < 57; i++) {
        sum += x[static_cast<size_t>(i)] = float(i * i % 7 + 1);
    }
    const Bytes in(x);
    const Bytes out(4);
    simt::launch({1, 64}, victim<bug>, static_cast<const float*>(in.get()), out.get(), 57);
    const std::vector<float> y = out.download();
    return y[0] == float(sum) && y[1] == float(sum);
}

template <class Kernel>
bool runs(Kernel kernel, unsigned threads, size_t shared = 0, bool early = false) {
    const Bytes out(4);
    simt::launch({1, threads, shared, nullptr, early}, kernel, out.get());
    return true;
}

// Behind a launch that writes what it looks at.
template <class Kernel>
bool runs_behind(Kernel kernel) {
    const Bytes out(128);
    simt::launch({1, 128, 0, nullptr, true}, counts_up, out.get());
    simt::launch({1, 32, 0, nullptr, true}, kernel, out.get());
    return true;
}

bool runs_in(dim3 grid, unsigned threads) {
    const Bytes out(4);
    simt::launch({grid, threads}, nothing, out.get());
    return true;
}

template <bool Synced>
bool tree_sums_right() {
    std::vector<float> x(32);
    float sum = 0;
    for (size_t i = 0; i < 32; i++) {
        sum += x[i] = float(i * i % 7 + 1);
    }
    const Bytes in(x), out(2);
    simt::launch({1, 32}, warp_tree<Synced>, static_cast<const float*>(in.get()), out.get());
    return out.download()[0] == sum;
}

double words_difference() {
    const simt::Buffer<int> wrong(32);
    simt::launch({1, 32}, collectives, wrong.get());
    double sum = 0;
    for (int bad : wrong.download()) {
        sum += bad;
    }
    simt::launch({1, 32}, half_pairs, wrong.get());
    for (int bad : wrong.download()) {
        sum += bad;
    }
    const simt::Buffer<int> total(std::vector<int>{5});
    simt::launch({7, 96}, atomics, total.get());
    sum += std::abs(total.download()[0] - (5 + 7 * 95 * 96 / 2));
    const simt::Buffer<int> places(6 * 64);
    simt::launch({dim3(3, 2), dim3(16, 4)}, indices, places.get());
    const std::vector<int> got = places.download();
    for (int b = 0; b < 6; b++) {
        for (int i = 0; i < 64; i++) {
            sum += got[static_cast<size_t>(b * 64 + i)] != b % 3 * 1000 + b / 3 * 100 + 63 - i;
        }
    }
    return sum;
}

double copied_words_difference() {
    std::vector<uint32_t> x(32);
    for (size_t i = 0; i < x.size(); i++) {
        x[i] = 0x81828384U + 0x01010101U * static_cast<uint32_t>(i);
    }
    const simt::Buffer<uint32_t> in(x), out(32);
    simt::launch({1, 32}, copy_words, static_cast<const uint32_t*>(in.get()), out.get());
    const std::vector<uint32_t> y = out.download();
    int wrong = 0;
    for (size_t l = 0; l < 32; l++) {
        wrong += y[l] != (x[31 - l] & 0xFF000000U);  // the fourth byte was not copied
    }
    return wrong;
}

double copy_difference() {
    std::vector<float> x(128);
    for (size_t i = 0; i < x.size(); i++) {
        x[i] = float(i + 1);
    }
    const Bytes in(x), out(32);
    simt::launch({1, 32, 1024}, copy_with_zeros, static_cast<const float*>(in.get()), out.get());
    const std::vector<float> y = out.download();
    double worst = 0;
    for (int l = 0; l < 32; l++) {
        const int from = 31 - l;
        const double last = 4 * from + 4;
        worst = std::max(worst, std::abs(y[static_cast<size_t>(l)] -
                                         ((from % 2 == 0 ? last : 0) + 1000 * last)));
    }
    return worst;
}

}  // namespace

double layer_difference(const std::string& name) {
    const std::map<std::string, std::function<double()>> cases = {
        {"mma f16", [] { return mma_difference<__half>(mma_direct<__half>); }},
        {"mma bf16", [] { return mma_difference<__nv_bfloat16>(mma_direct<__nv_bfloat16>); }},
        {"ldmatrix f16", [] { return mma_difference<__half>(mma_loaded<__half, false>); }},
        {"ldmatrix transposed f16",
         [] { return mma_difference<__half>(mma_loaded<__half, true>); }},
        {"ldmatrix transposed bf16",
         [] { return mma_difference<__nv_bfloat16>(mma_loaded<__nv_bfloat16, true>); }},
        {"mma int8", mma_int8_difference},
        {"words", words_difference},
        {"cp.async", copy_difference},
        {"cp.async of words", copied_words_difference},
        {"victim without a bug", [] { return victim_sums_right<Bug::none>() ? 0.0 : 1.0; }},
        {"warp tree", [] { return tree_sums_right<true>() ? 0.0 : 1.0; }},
        {"early start",
         [] { return runs(waits_for_before, 32, 0, true) && runs_behind(counts_up) ? 0.0 : 1.0; }},
    };
    return cases.at(name)();
}

bool bug_goes_unnoticed(const std::string& name) {
    const std::map<std::string, std::function<bool()>> cases = {
        {"no barrier", victim_sums_right<Bug::no_barrier>},
        {"write after read",
         [] {
             const Bytes out(64);
             simt::launch({1, 64}, overwrites_what_others_read, out.get());
             const std::vector<float> y = out.download();
             for (int t = 0; t < 64; t++) {
                 if (y[static_cast<size_t>(t)] != float(63 - t))
                     return false;
             }
             return true;
         }},
        {"out of bounds, shared", victim_sums_right<Bug::out_of_bounds_shared>},
        {"out of bounds, global", victim_sums_right<Bug::out_of_bounds_global>},
        {"barrier by some", victim_sums_right<Bug::barrier_by_some>},
        {"shuffle in a branch", victim_sums_right<Bug::shuffle_in_branch>},
        {"two lines of shuffle", victim_sums_right<Bug::two_lines_of_shuffle>},
        {"read before the wait", victim_sums_right<Bug::read_before_wait>},
        {"wait without a barrier", victim_sums_right<Bug::wait_without_barrier>},
        {"copy never waited for", victim_sums_right<Bug::copy_never_waited>},
        {"tail not filled", victim_sums_right<Bug::tail_not_filled>},
        {"write during a copy", victim_sums_right<Bug::write_during_copy>},
        {"two writers", victim_sums_right<Bug::two_writers>},
        {"misaligned copy", victim_sums_right<Bug::misaligned_copy>},
        {"no __syncwarp", tree_sums_right<false>},
        {"uninitialised", [] { return runs(reads_nothing_written, 32); }},
        {"shuffle is no barrier", [] { return runs(shuffle_as_barrier, 32); }},
        {"barrier after exit", [] { return runs(barrier_after_exit, 32); }},
        {"deadlock", [] { return runs(half_waits_for_half, 64); }},
        {"too much shared", [] { return runs(nothing, 32, 101377); }},
        {"early without a wait", [] { return runs(some_wait_for_before, 32, 0, true); }},
        {"early read", [] { return runs_behind(reads_before_it_waits); }},
        {"early copy", [] { return runs_behind(copies_before_it_waits); }},
        {"early write", [] { return runs_behind(writes_before_it_waits); }},
        {"static beside dynamic shared", [] { return runs(holds_much, 32, 16 * 1024); }},
        {"tall grid", [] { return runs_in(dim3(1, 65536), 32); }},
        {"large block", [] { return runs_in(dim3(1), 1025); }},
        {"no blocks", [] { return runs_in(dim3(1, 0), 32); }},
        {"deep stack", [] { return runs(deep_stack, 32); }},
    };
    return cases.at(name)();
}

}  // namespace tests
