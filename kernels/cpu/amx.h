// What the files for the matrix unit (AMX) share: its configuration, the permission to use it, and
// the transposition that makes a tile's other operand. Included by files compiled for AVX-512 and
// AMX: everything is in an anonymous namespace (see matmul_variants.h).
#pragma once

#include <cstdint>

#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace kernels::cpu {
namespace {

constexpr int kSide = 16;  // rows of a tile, and its columns of 4 bytes

// gcc's tile intrinsics do not say which memory they read: what was written must be written by now.
inline void finish_writing() {
    asm volatile("" : : : "memory");
}

struct TileConfig {
    uint8_t palette = 1;
    uint8_t start_row = 0;
    uint8_t reserved[14] = {};
    uint16_t row_bytes[16] = {};
    uint8_t rows[16] = {};

    void set(int tile, int n_rows, int bytes) {
        rows[tile] = static_cast<uint8_t>(n_rows);
        row_bytes[tile] = static_cast<uint16_t>(bytes);
    }
};

inline void load_config(const TileConfig& config) {
    finish_writing();
    _tile_loadconfig(&config);
}

// 16 rows of 16 words of 4 bytes, the other way round.
inline void transpose(__m512i* v) {
    __m512i a[kSide];
    for (int i = 0; i < kSide; i += 2) {
        a[i] = _mm512_unpacklo_epi32(v[i], v[i + 1]);
        a[i + 1] = _mm512_unpackhi_epi32(v[i], v[i + 1]);
    }
    for (int i = 0; i < kSide; i += 4) {
        for (int h = 0; h < 2; h++) {
            v[i + 2 * h] = _mm512_unpacklo_epi64(a[i + h], a[i + 2 + h]);
            v[i + 2 * h + 1] = _mm512_unpackhi_epi64(a[i + h], a[i + 2 + h]);
        }
    }
    // v[4 b + c]: quarter q holds word 4 q + c of rows 4 b .. 4 b + 3
    for (int c = 0; c < 4; c++) {
        const __m512i even = _mm512_shuffle_i32x4(v[c], v[4 + c], 0x44),
                      odd = _mm512_shuffle_i32x4(v[c], v[4 + c], 0xEE);
        const __m512i even_2 = _mm512_shuffle_i32x4(v[8 + c], v[12 + c], 0x44),
                      odd_2 = _mm512_shuffle_i32x4(v[8 + c], v[12 + c], 0xEE);
        a[c] = _mm512_shuffle_i32x4(even, even_2, 0x88);
        a[4 + c] = _mm512_shuffle_i32x4(even, even_2, 0xDD);
        a[8 + c] = _mm512_shuffle_i32x4(odd, odd_2, 0x88);
        a[12 + c] = _mm512_shuffle_i32x4(odd, odd_2, 0xDD);
    }
    for (int i = 0; i < kSide; i++) {
        v[i] = a[i];
    }
}

// Whether the processor has the tiles and all `features` (bits of EDX of leaf 7), and the system
// lets this program use them.
inline bool tiles_granted(unsigned features) {
    constexpr unsigned kAmxTile = 1U << 24;
    unsigned a = 0, b = 0, c = 0, d = 0;
    const unsigned wanted = features | kAmxTile;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0 || (d & wanted) != wanted) {
        return false;
    }
    constexpr int kRequestPermission = 0x1023,
                  kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
    return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

}  // namespace
}  // namespace kernels::cpu
