// Warp matrix instructions and asynchronous copies: inline PTX under nvcc, the same data movement
// on the CPU. With simt.h the only place that holds PTX. Fragment layouts: PTX ISA, "Matrix
// fragments for mma.m16n8k16" and ".m16n8k32".
#pragma once
#include "kernels/simt/simt.h"
#if SIMT_GPU
#    define SIMT_WHERE
#    define SIMT_HERE
#else
#    define SIMT_WHERE , ::simt::cpu::Loc loc = ::simt::cpu::Loc::current()
#    define SIMT_WHERE0 ::simt::cpu::Loc loc = ::simt::cpu::Loc::current()
#endif

namespace simt {

#if SIMT_GPU
// ------------------------------------------------------------------------------------------------
// GPU
__device__ __forceinline__ uint32_t smem_addr(const void* p) {
    return uint32_t(__cvta_generic_to_shared(p));
}

__device__ __forceinline__ void mma_f16(float (&d)[4],
                                        const uint32_t (&a)[4],
                                        const uint32_t (&b)[2]) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
        "{%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
__device__ __forceinline__ void mma_bf16(float (&d)[4],
                                         const uint32_t (&a)[4],
                                         const uint32_t (&b)[2]) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "
        "{%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
__device__ __forceinline__ void mma_s8(int32_t (&d)[4],
                                       const uint32_t (&a)[4],
                                       const uint32_t (&b)[2]) {
    asm volatile(
        "mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
        "{%0,%1,%2,%3};"
        : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
template <bool Trans = false>
__device__ __forceinline__ void ldmatrix(uint32_t (&r)[4], const void* row) {
    if constexpr (Trans)
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                     : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                     : "r"(smem_addr(row))
                     : "memory");
    else
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                     : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                     : "r"(smem_addr(row))
                     : "memory");
}
template <bool Trans = false>
__device__ __forceinline__ void ldmatrix(uint32_t (&r)[2], const void* row) {
    if constexpr (Trans)
        asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0,%1}, [%2];"
                     : "=r"(r[0]), "=r"(r[1])
                     : "r"(smem_addr(row))
                     : "memory");
    else
        asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0,%1}, [%2];"
                     : "=r"(r[0]), "=r"(r[1])
                     : "r"(smem_addr(row))
                     : "memory");
}
// 16-byte copy, bypassing L1; bytes past src_bytes are written as zero.
__device__ __forceinline__ void cp_async16(void* dst, const void* src, unsigned src_bytes = 16) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(smem_addr(dst)), "l"(src),
                 "r"(src_bytes)
                 : "memory");
}
// 4 bytes, the same way but through L1.
__device__ __forceinline__ void cp_async4(void* dst, const void* src, unsigned src_bytes = 4) {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(smem_addr(dst)), "l"(src),
                 "r"(src_bytes)
                 : "memory");
}
__device__ __forceinline__ void cp_async_commit() {
    asm volatile("cp.async.commit_group;" ::: "memory");
}
template <int N>
__device__ __forceinline__ void cp_async_wait() {
    asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}

#else
// ------------------------------------------------------------------------------------------------
// CPU
namespace cpu {
struct MmaArg {
    const uint32_t *a, *b;
    float* d;
};
struct MmaIntArg {
    const uint32_t *a, *b;
    int32_t* d;
};
// b, with its registers exchanged where that fault is planted here
struct Fragment {
    uint32_t r[2];
};
Fragment fragment(const uint32_t (&b)[2], Loc loc);
struct LdArg {
    const void* row;
    uint32_t r[4];
    Loc loc;
};
void mma_f16_all(unsigned, void* const*);
void mma_bf16_all(unsigned, void* const*);
void mma_s8_all(unsigned, void* const*);
template <int N, bool Trans>
void ldmatrix_all(unsigned, void* const*);
void ldmatrix_check(const void* row, int n, Loc loc);
}  // namespace cpu

inline void mma_f16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2] SIMT_WHERE) {
    const cpu::Fragment f = cpu::fragment(b, loc);
    cpu::MmaArg x{a, f.r, d};
    cpu::collective(~0u, "mma.m16n8k16.f16", loc, &cpu::mma_f16_all, &x);
}
inline void mma_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2] SIMT_WHERE) {
    const cpu::Fragment f = cpu::fragment(b, loc);
    cpu::MmaArg x{a, f.r, d};
    cpu::collective(~0u, "mma.m16n8k16.bf16", loc, &cpu::mma_bf16_all, &x);
}
inline void mma_s8(int32_t (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2] SIMT_WHERE) {
    const cpu::Fragment f = cpu::fragment(b, loc);
    cpu::MmaIntArg x{a, f.r, d};
    cpu::collective(~0u, "mma.m16n8k32.s8", loc, &cpu::mma_s8_all, &x);
}
template <bool Trans = false, int N>
inline void ldmatrix(uint32_t (&r)[N], const void* row SIMT_WHERE) {
    cpu::LdArg x;
    x.row = row;
    x.loc = loc;
    cpu::ldmatrix_check(row, N, loc);
    cpu::collective(~0u, "ldmatrix", loc, &cpu::ldmatrix_all<N, Trans>, &x);
    for (int i = 0; i < N; i++)
        r[i] = x.r[i];
}
inline void cp_async16(void* dst, const void* src, unsigned src_bytes = 16 SIMT_WHERE) {
    cpu::cp_async(dst, src, 16, src_bytes, loc);
}
inline void cp_async4(void* dst, const void* src, unsigned src_bytes = 4 SIMT_WHERE) {
    cpu::cp_async(dst, src, 4, src_bytes, loc);
}
inline void cp_async_commit() {
    cpu::cp_async_commit();
}
template <int N>
inline void cp_async_wait(SIMT_WHERE0) {
    cpu::cp_async_wait(N, loc);
}
#endif

template <class T>
struct Mma;
template <>
struct Mma<__half> {
    static __device__ __forceinline__ void run(float (&d)[4],
                                               const uint32_t (&a)[4],
                                               const uint32_t (&b)[2] SIMT_WHERE) {
#if SIMT_GPU
        mma_f16(d, a, b);
#else
        mma_f16(d, a, b, loc);
#endif
    }
};
template <>
struct Mma<__nv_bfloat16> {
    static __device__ __forceinline__ void run(float (&d)[4],
                                               const uint32_t (&a)[4],
                                               const uint32_t (&b)[2] SIMT_WHERE) {
#if SIMT_GPU
        mma_bf16(d, a, b);
#else
        mma_bf16(d, a, b, loc);
#endif
    }
};

}  // namespace simt
