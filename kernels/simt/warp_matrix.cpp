// CPU bodies of the warp matrix instructions, from the fragment tables of the PTX ISA.
#include "kernels/simt/warp_matrix.h"

#include "kernels/simt/runtime.h"

namespace simt::cpu {

typedef float v8 __attribute__((vector_size(32)));

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__)
#    define SIMT_WIDE __attribute__((target_clones("avx2", "default")))
#else
#    define SIMT_WIDE
#endif

// The numbers that 16 bits of each kind stand for: of f16 looked up.
struct Halves {
    float of[65536];
    Halves() {
        for (unsigned i = 0; i < 65536; i++)
            of[i] = h2f(uint16_t(i));
    }
};
struct FromF16 {
    const float* table = [] {
        static const Halves halves;
        return halves.of;
    }();
    float operator()(uint32_t bits) const { return table[bits & 0xffff]; }
};
struct FromBf16 {
    float operator()(uint32_t bits) const { return std::bit_cast<float>(bits << 16); }
};

// C += A B, in order of k: a product of two of these numbers is exact in a float.
SIMT_WIDE void multiply(const float (&A)[16][16], const float (&B)[16][8], float (&C)[16][8]) {
    for (int i = 0; i < 16; i++) {
        v8 acc = *reinterpret_cast<v8*>(C[i]);
        for (int k = 0; k < 16; k++)
            acc += A[i][k] * *reinterpret_cast<const v8*>(B[k]);
        *reinterpret_cast<v8*>(C[i]) = acc;
    }
}

// Fragment element -> matrix position, lane = 4*g + t:
//   A (16x16): register r holds row g + 8*(r&1), columns 2t + 8*(r>>1) and the next one
//   B (16x8):  register r holds rows k = 2t + 8*r and the next one, column g
//   C/D (16x8): register r holds row g + 8*(r>>1), column 2t + (r&1)
template <class Number>
static inline void mma_all(unsigned mask, void* const* args) {
    if (mask != ~0u)
        fail("mma.sync needs all 32 lanes, the mask is %08x", mask);
    const Number number;
    alignas(32) float A[16][16], B[16][8], C[16][8];
    for (int l = 0; l < 32; l++) {
        auto& x = *static_cast<const MmaArg*>(args[l]);
        const int g = l >> 2, t = l & 3;
        for (int r = 0; r < 4; r++) {
            A[g + 8 * (r & 1)][2 * t + 8 * (r >> 1)] = number(x.a[r]);
            A[g + 8 * (r & 1)][2 * t + 8 * (r >> 1) + 1] = number(x.a[r] >> 16);
            C[g + 8 * (r >> 1)][2 * t + (r & 1)] = x.d[r];
        }
        for (int r = 0; r < 2; r++) {
            B[2 * t + 8 * r][g] = number(x.b[r]);
            B[2 * t + 8 * r + 1][g] = number(x.b[r] >> 16);
        }
    }
    count(&Counters::mma, 1);
    if (mode().chopped_accumulators) [[unlikely]] {  // pessimistic model of the hardware's
                                                     // accumulator: exact sum of 16, chopped to f32
        for (int i = 0; i < 16; i++)
            for (int n = 0; n < 8; n++) {
                double s = C[i][n];
                for (int k = 0; k < 16; k++)
                    s += double(A[i][k]) * B[k][n];
                float f = float(s);
                if (std::fabs(double(f)) > std::fabs(s))
                    f = std::nextafter(f, 0.0f);
                C[i][n] = f;
            }
    } else
        multiply(A, B, C);
    for (int l = 0; l < 32; l++) {
        auto& x = *static_cast<const MmaArg*>(args[l]);
        const int g = l >> 2, t = l & 3;
        for (int r = 0; r < 4; r++)
            x.d[r] = C[g + 8 * (r >> 1)][2 * t + (r & 1)];
    }
}
void mma_f16_all(unsigned m, void* const* a) {
    mma_all<FromF16>(m, a);
}
void mma_bf16_all(unsigned m, void* const* a) {
    mma_all<FromBf16>(m, a);
}

// m16n8k32, four signed bytes a register: A register r holds row g + 8*(r&1), columns 4t +
// 16*(r>>1) on; B register r rows 4t + 16*r on, column g; C/D as above.
void mma_s8_all(unsigned mask, void* const* args) {
    if (mask != ~0u)
        fail("mma.sync needs all 32 lanes, the mask is %08x", mask);
    count(&Counters::mma, 1);
    int A[16][32], B[32][8], C[16][8];
    const auto byte = [](uint32_t r, int i) { return int(int8_t(r >> (8 * i))); };
    for (int l = 0; l < 32; l++) {
        auto& x = *static_cast<const MmaIntArg*>(args[l]);
        const int g = l >> 2, t = l & 3;
        for (int r = 0; r < 4; r++) {
            for (int i = 0; i < 4; i++)
                A[g + 8 * (r & 1)][4 * t + 16 * (r >> 1) + i] = byte(x.a[r], i);
            C[g + 8 * (r >> 1)][2 * t + (r & 1)] = x.d[r];
        }
        for (int r = 0; r < 2; r++)
            for (int i = 0; i < 4; i++)
                B[4 * t + 16 * r + i][g] = byte(x.b[r], i);
    }
    for (int i = 0; i < 16; i++)
        for (int k = 0; k < 32; k++)
            for (int n = 0; n < 8; n++)
                C[i][n] += A[i][k] * B[k][n];
    for (int l = 0; l < 32; l++) {
        auto& x = *static_cast<const MmaIntArg*>(args[l]);
        const int g = l >> 2, t = l & 3;
        for (int r = 0; r < 4; r++)
            x.d[r] = C[g + 8 * (r >> 1)][2 * t + (r & 1)];
    }
}
Fragment fragment(const uint32_t (&b)[2], Loc loc) {
    return faulty(Fault::swap_fragments, loc) ? Fragment{{b[1], b[0]}} : Fragment{{b[0], b[1]}};
}

void ldmatrix_check(const void* row, int n, Loc loc) {
    if (int(cur->lane) >= 8 * n)
        return;  // lanes past 8n supply no address
    if (uintptr_t(row) % 16)
        fail("ldmatrix at %s:%u: row address is not 16-byte aligned", loc.file_name(), loc.line());
    if (!in_shared(row, 16))
        fail("ldmatrix at %s:%u: row address is not in the block's shared memory", loc.file_name(),
             loc.line());
    if (hooks)
        hooks->access(row, 16, 0, __builtin_return_address(0));
}
// Shared-memory wavefronts of a load: 8 rows of 16 bytes are one when they hit 8 bank groups.
static void count_waves(void* const* args, int n) {
    uint64_t w = 0;
    for (int i = 0; i < n; i++) {
        const void* seen[8];
        int per[8] = {}, most = 0, ns = 0;
        for (int j = 0; j < 8; j++) {
            const void* a = static_cast<LdArg*>(args[8 * i + j])->row;
            bool dup = false;
            for (int k = 0; k < ns; k++)
                dup |= seen[k] == a;
            if (dup)
                continue;
            seen[ns++] = a;
            most = std::max(most, ++per[uintptr_t(a) / 16 % 8]);
        }
        w += uint64_t(most);
    }
    count(&Counters::ldmatrix_matrices, uint64_t(n));
    count(&Counters::ldmatrix_wavefronts, w);
}
// Matrix i has its row j at lane 8i+j's address. Lane 4g+t gets (g, 2t), (g, 2t+1); transposed (2t,
// g), (2t+1, g).
template <int N, bool Trans>
void ldmatrix_all(unsigned mask, void* const* args) {
    if (mask != ~0u)
        fail("ldmatrix needs all 32 lanes, the mask is %08x", mask);
    count_waves(args, N);
    for (int i = 0; i < N; i++) {
        uint16_t m[8][8];
        for (int j = 0; j < 8; j++)
            std::memcpy(m[j], static_cast<LdArg*>(args[8 * i + j])->row, 16);
        for (int l = 0; l < 32; l++) {
            const int g = l >> 2, t = l & 3;
            uint32_t lo = Trans ? m[2 * t][g] : m[g][2 * t],
                     hi = Trans ? m[2 * t + 1][g] : m[g][2 * t + 1];
            static_cast<LdArg*>(args[l])->r[i] = lo | hi << 16;
        }
    }
}
template void ldmatrix_all<1, false>(unsigned, void* const*);
template void ldmatrix_all<2, false>(unsigned, void* const*);
template void ldmatrix_all<4, false>(unsigned, void* const*);
template void ldmatrix_all<1, true>(unsigned, void* const*);
template void ldmatrix_all<2, true>(unsigned, void* const*);
template void ldmatrix_all<4, true>(unsigned, void* const*);
}  // namespace simt::cpu
