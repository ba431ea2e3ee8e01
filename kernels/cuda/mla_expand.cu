// Keys and values of a piece of cached rows: weights and rows to f16, and their product.
//
// The product is [count, 512] . [512, H * 448], 18 FLOP per byte of its result at the least: tiles
// of 128 x 128, eight warps of 64 x 32, three stages of 32 columns.
#include "kernels/check.h"
#include "kernels/cuda/k_row.cuh"
#include "kernels/cuda/mla_expand.h"
#include "kernels/simt/warp_matrix.h"

namespace kernels::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kTile = 128;  // rows, and columns, of a block's result
constexpr int kDepth = 32;  // columns of both operands in a stage
constexpr int kStages = 3;
constexpr int kPitch = kDepth + 8;  // 80 bytes: eight rows of a matrix in different banks
constexpr int kLatentRow = kExpandLatent + kExpandRotary;

__device__ __forceinline__ uint32_t two_halves(float a, float b) {
    const __half2 both = __floats2half2_rn(a, b);
    uint32_t bits;
    memcpy(&bits, &both, 4);
    return bits;
}

// Weights 32 j .. 32 j + 31 of a row.
template <DType type>
__device__ __forceinline__ void read_weights(const std::byte* row, int j, float (&v)[32]) {
    if constexpr (kIsFloat<type>) {
        SIMT_UNROLL
        for (int i = 0; i < 32; i++) {
            v[i] = element<type>(row, j * 32 + i);
        }
    } else {
        using Block = BlockOf<type>;
        constexpr int kParts = Block::kElements / 32;
        Group group;
        read_group<type>(reinterpret_cast<const Block*>(row)[j / kParts], j % kParts, group);
        SIMT_UNROLL
        for (int i = 0; i < 32; i++) {
            const auto code = static_cast<int8_t>(group.q[i / 4] >> (i % 4 * 8) & 255);
            v[i] = group.scale[i / 16] * static_cast<float>(code);
            if constexpr (Decoder<type>::kMinimum) {
                v[i] += group.minimum[i / 16];
            }
        }
    }
}

// One thread 32 weights of a row. k_b goes to columns: neighbouring threads take neighbouring rows.
template <DType type, bool Keys>
__global__ void __launch_bounds__(kThreads)
    expand_weights_kernel(HeadWeight from, uint16_t* weights, int32_t n_heads) {
    constexpr int kRows = Keys ? kExpandLatent : kExpandValue;
    constexpr int kGroups = (Keys ? kExpandNope : kExpandLatent) / 32;
    const int32_t i = static_cast<int32_t>(blockIdx.x) * kThreads + threadIdx.x;
    if (i >= n_heads * kRows * kGroups) {
        return;
    }
    const int32_t head = i / (kRows * kGroups), rest = i % (kRows * kGroups);
    const int32_t row = Keys ? rest % kRows : rest / kGroups;
    const int32_t group = Keys ? rest / kRows : rest % kGroups;
    float v[32];
    read_weights<type>(from.data + head * from.head_bytes + row * from.row_bytes, group, v);
    uint16_t* to = weights + static_cast<int64_t>(head) * kExpandRow * kExpandLatent;
    if constexpr (Keys) {
        SIMT_UNROLL
        for (int k = 0; k < 32; k++) {
            to[(group * 32 + k) * kExpandLatent + row] = __half_as_ushort(__float2half(v[k]));
        }
    } else {
        auto* words =
            reinterpret_cast<uint32_t*>(to + (kExpandNope + row) * kExpandLatent) + group * 16;
        SIMT_UNROLL
        for (int k = 0; k < 16; k++) {
            words[k] = two_halves(v[2 * k], v[2 * k + 1]);
        }
    }
}

// A thread two numbers of a row.
__global__ void __launch_bounds__(kThreads) unpack_rows_kernel(Expand w) {
    constexpr int kPairs = kLatentRow / 2;
    const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
    if (i >= static_cast<int64_t>(w.count) * kPairs) {
        return;
    }
    const auto r = static_cast<int32_t>(i / kPairs), pair = static_cast<int32_t>(i % kPairs);
    const int32_t position = w.first + r;
    const std::byte* row =
        w.pages[position / 64] + w.rows.layer_offset_bytes + position % 64 * w.rows.row_bytes;
    reinterpret_cast<uint32_t*>(w.latents)[i] =
        two_halves(k_element(w.rows, row, 2 * pair), k_element(w.rows, row, 2 * pair + 1));
}

struct Stages {
    alignas(16) __half a[kStages][kTile][kPitch];
    alignas(16) __half b[kStages][kTile][kPitch];
};

// Past the last row and column those again: their results are not stored.
__device__ __forceinline__ void issue(const Expand& w, int row, int column, int k, Stages& s) {
    constexpr int kChunks = kDepth / 8;
    const int turn = k / kDepth % kStages, t = threadIdx.x;
    const int last_row = w.count - 1, last_column = w.n_heads * kExpandRow - 1;
    SIMT_UNROLL
    for (int i = 0; i < kTile * kChunks / kThreads; i++) {
        const int r = (i * kThreads + t) / kChunks, c = (i * kThreads + t) % kChunks * 8;
        simt::cp_async16(
            &s.a[turn][r][c],
            w.latents + static_cast<int64_t>(min(row + r, last_row)) * kLatentRow + k + c);
        simt::cp_async16(
            &s.b[turn][r][c],
            w.weights + static_cast<int64_t>(min(column + r, last_column)) * kExpandLatent + k + c);
    }
    simt::cp_async_commit();
}

// grid (row tiles, column tiles)
__global__ void __launch_bounds__(kThreads) project_kernel(Expand w) {
    SIMT_DYNAMIC_SHARED(bytes);
    Stages& s = *reinterpret_cast<Stages*>(bytes);
    const int t = threadIdx.x, lane = t & 31, warp = t >> 5, g = lane >> 2, q4 = lane & 3;
    const int row = static_cast<int>(blockIdx.x) * kTile;
    const int column = static_cast<int>(blockIdx.y) * kTile;
    const int warp_row = (warp & 1) * 64, warp_column = (warp >> 1) * 32;
    for (int i = 0; i < kStages - 1; i++) {
        issue(w, row, column, i * kDepth, s);
    }
    float sum[4][4][4] = {};
    for (int k = 0; k < kExpandLatent; k += kDepth) {
        if (k + kDepth < kExpandLatent) {
            simt::cp_async_wait<kStages - 2>();
        } else {
            simt::cp_async_wait<0>();
        }
        __syncthreads();  // this stage is there for all, and all have done with the one before
        if (k + (kStages - 1) * kDepth < kExpandLatent) {
            issue(w, row, column, k + (kStages - 1) * kDepth, s);
        }
        const int turn = k / kDepth % kStages;
        SIMT_UNROLL
        for (int step = 0; step < kDepth; step += 16) {
            uint32_t a[4][4], b[2][4];
            SIMT_UNROLL
            for (int m = 0; m < 4; m++) {
                simt::ldmatrix(a[m],
                               &s.a[turn][warp_row + m * 16 + (lane & 15)][step + 8 * (lane >> 4)]);
            }
            SIMT_UNROLL
            for (int n = 0; n < 2; n++) {
                simt::ldmatrix(b[n], &s.b[turn][warp_column + n * 16 + (lane & 7) + 8 * (lane >> 4)]
                                         [step + 8 * (lane >> 3 & 1)]);
            }
            SIMT_UNROLL
            for (int m = 0; m < 4; m++) {
                SIMT_UNROLL
                for (int n = 0; n < 4; n++) {
                    const uint32_t both[2] = {b[n / 2][n % 2 * 2], b[n / 2][n % 2 * 2 + 1]};
                    simt::mma_f16(sum[m][n], a[m], both);
                }
            }
        }
    }
    SIMT_UNROLL
    for (int n = 0; n < 4; n++) {
        // Eight columns of one head: 448 is a multiple of 8.
        const int c = column + warp_column + n * 8 + 2 * q4, head = c / kExpandRow;
        if (head >= w.n_heads) {
            continue;
        }
        // Values are finite whatever the row: queries that do not see it have weights of 0 there,
        // and 0 times infinity or NaN would reach them. Those that do see it have it by its keys.
        const bool value = c - head * kExpandRow >= kExpandNope;
        SIMT_UNROLL
        for (int m = 0; m < 4; m++) {
            SIMT_UNROLL
            for (int half = 0; half < 2; half++) {
                const int r = row + warp_row + m * 16 + g + 8 * half;
                if (r < w.count) {
                    uint16_t* to = w.keys_values +
                                   (static_cast<int64_t>(head) * w.piece_tokens + r) * kExpandRow +
                                   (c - head * kExpandRow);
                    float a = sum[m][n][2 * half], b = sum[m][n][2 * half + 1];
                    if (value) {
                        a = fminf(fmaxf(a, -65504.0F), 65504.0F);
                        b = fminf(fmaxf(b, -65504.0F), 65504.0F);
                    }
                    *reinterpret_cast<uint32_t*>(to) = two_halves(a, b);
                }
            }
        }
    }
}

template <bool Keys>
void expand(const HeadWeight& from, const Expand& w, simt::Stream stream) {
    constexpr int kPieces =
        Keys ? kExpandLatent * kExpandNope / 32 : kExpandValue * kExpandLatent / 32;
    const auto blocks = static_cast<unsigned>((w.n_heads * kPieces + kThreads - 1) / kThreads);
    switch (from.type) {
#define KERNELS_X(enumerator, ...)                                                        \
    case DType::enumerator:                                                               \
        if constexpr (DType::enumerator != DType::i32) {                                  \
            simt::launch({blocks, kThreads, 0, stream},                                   \
                         expand_weights_kernel<DType::enumerator, Keys>, from, w.weights, \
                         w.n_heads);                                                      \
        }                                                                                 \
        break;
        KERNELS_DTYPES(KERNELS_X)
#undef KERNELS_X
    }
}

}  // namespace

bool has_mla_prefill(const KRows& rows, int64_t nope, int64_t value) {
    return rows.latent == kExpandLatent && rows.rotary == kExpandRotary && nope == kExpandNope &&
           value == kExpandValue && (rows.int8_latent || rows.dtype != DType::f32);
}

void launch_expand_weights(const Expand& w, simt::Stream stream) {
    expand<true>(w.k_b, w, stream);
    expand<false>(w.v_b, w, stream);
}

void launch_unpack_rows(const Expand& w, simt::Stream stream) {
    const int64_t pairs = static_cast<int64_t>(w.count) * kLatentRow / 2;
    simt::launch({static_cast<unsigned>((pairs + kThreads - 1) / kThreads), kThreads, 0, stream},
                 unpack_rows_kernel, w);
}

void launch_project(const Expand& w, simt::Stream stream) {
    static_assert(sizeof(Stages) <= simt::kSharedBytes);
    const auto tiles = [](int n) { return static_cast<unsigned>((n + kTile - 1) / kTile); };
    simt::launch(
        {dim3(tiles(w.count), tiles(w.n_heads * kExpandRow)), kThreads, sizeof(Stages), stream},
        project_kernel, w);
}

}  // namespace kernels::cuda
