// Matrix times a few vectors, for every element type. The bandwidth of the weights is the limit (at
// one token and Q4_K: 3.5 FLOP per byte), and latency where a matrix is small, so weights are on
// their way before anything else is done.
//
// Weights in blocks: a block of threads stages up to kTileTokens rows of activations in shared
// memory, normed or gated and rounded to int8 in groups of 32. Each of its warps works on rows of
// its own, which it copies, packed as they are and kDepth steps ahead, to a place in shared memory
// that no other warp touches. A lane takes units of 64 columns, two groups of 32.
//
// Float weights: exact, and mostly small (a router): all threads of a block share each row.
#include <algorithm>
#include <bit>

#include "kernels/check.h"
#include "kernels/cuda/decode.cuh"
#include "kernels/cuda/products.h"
#include "kernels/cuda/slots.cuh"
#include "kernels/cuda/tiles.h"
#include "kernels/simt/warp_matrix.h"

namespace kernels::cuda {
namespace {

constexpr int kWarps = kProductThreads / 32;
constexpr unsigned kAll = 0xFFFFFFFFU;
constexpr size_t kMostShared = simt::kSharedBytes - 1024;  // the rest is for the norm's sums
constexpr int kDepth = 4;                                  // steps of a warp that are on their way
constexpr int kBlocks = 264;  // wanted in a launch: two for each of the many processors of a card

// The activations of a unit of 64 columns: two groups, whose columns are those of groups 2 u and
// 2 u + 1, or where two others share bytes, of those. 80 bytes: neighbouring lanes read 16 bytes
// each without bank conflicts.
struct alignas(16) Unit {
    uint32_t q[2][8];
    float d[2];
    float total[2];  // d times the sum of the codes
};
static_assert(sizeof(Unit) == 80);

// Q6_K has two groups 64 columns apart in the nibbles of one byte.
template <DType type>
__host__ __device__ constexpr int unit_of(int group) {
    return type == DType::q6_k ? group / 4 * 2 + group % 2 : group / 2;
}
template <DType type>
__host__ __device__ constexpr int side_of(int group) {
    return type == DType::q6_k ? group / 2 % 2 : group % 2;
}
template <DType type>
__host__ __device__ constexpr int group_of(int unit, int side) {
    return type == DType::q6_k ? unit / 2 * 4 + unit % 2 + 2 * side : 2 * unit + side;
}

__device__ __forceinline__ float warp_sum(float v) {
    SIMT_UNROLL
    for (int o = 16; o > 0; o >>= 1) {
        v += __shfl_xor_sync(kAll, v, o);
    }
    return v;
}

// What the norm multiplies the rows of a share by; 1 where there is none.
template <int Tokens>
__device__ __forceinline__ void norm_factors(const Products& p,
                                             const Share& share,
                                             float (&factor)[Tokens]) {
    SIMT_SHARED(float, squares, [Tokens][kWarps]);
    const int t = threadIdx.x;
    if (p.input != InputForm::normed) {
        return;
    }
    SIMT_UNROLL
    for (int i = 0; i < Tokens; i++) {
        float sum = 0;
        if (i < share.count) {
            const float* x = p.x.row(slot_of(p, share.first, i, share.expert).source);
            for (int c = t; c < p.cols; c += kProductThreads) {
                sum += x[c] * x[c];
            }
        }
        sum = warp_sum(sum);
        if (t % 32 == 0) {
            squares[i][t / 32] = sum;
        }
    }
    __syncthreads();
    SIMT_UNROLL
    for (int i = 0; i < Tokens; i++) {
        float sum = 0;
        SIMT_UNROLL
        for (int w = 0; w < kWarps; w++) {
            sum += squares[i][w];
        }
        factor[i] = 1.0F / sqrtf(sum / static_cast<float>(p.cols) + p.eps);
    }
}

// ---------------------------------------------------------------- weights in blocks

// How a launch cuts the rows of its weights.
struct Cut {
    int32_t rows = 0;    // of all parts
    int32_t lanes = 32;  // of a warp that share a row, a power of two; the others take the next
    int32_t steps = 1;   // of a warp: each 32 / lanes rows
    int32_t chunk = 0;   // bytes of up to 32 units of a row
    int32_t room = 0;    // for a chunk that begins anywhere, in shared memory
    int32_t units = 0;   // of a row, the last may be half one
};

template <DType type, int Tokens>
__device__ __forceinline__ void stage(const Products& p, const Share& share, Unit* units, int n) {
    float factor[Tokens] = {};
    norm_factors(p, share, factor);
    const int t = threadIdx.x, groups = p.cols / 32, part = t & 7;
    SIMT_UNROLL
    for (int i = 0; i < Tokens; i++) {
        if (i >= share.count) {
            break;
        }
        const int32_t row = slot_of(p, share.first, i, share.expert).source;
        const float* x = p.x.row(row);
        const float* up = p.input == InputForm::gated ? p.up.row(row) : nullptr;
        // Eight lanes a group of 32, four numbers a lane. A group past the last is zeros.
        for (int first = 0; first < 2 * n; first += kProductThreads / 8) {
            const int g = first + t / 8;
            float v[4] = {}, largest = 0;
            if (g < groups) {
                SIMT_UNROLL
                for (int k = 0; k < 4; k++) {
                    v[k] = activation(p, x, up, factor[i], g * 32 + part * 4 + k);
                    const float a = fabsf(v[k]);
                    largest = a > largest || a != a ? a : largest;  // keeps NaN
                }
            }
            SIMT_UNROLL
            for (int o = 4; o > 0; o >>= 1) {
                const float a = __shfl_xor_sync(kAll, largest, o);
                largest = a > largest || a != a ? a : largest;
            }
            const float d = largest / 127.0F;
            const bool usable = d > 0 && d <= 3.0e38F;
            uint32_t word = 0;
            SIMT_UNROLL
            for (int k = 0; k < 4; k++) {
                const int q = usable ? __float2int_rn(v[k] / d) : 0;
                word |= static_cast<uint32_t>(q & 255) << (8 * k);
            }
            int total = __dp4a(0x01010101, static_cast<int>(word), 0);
            SIMT_UNROLL
            for (int o = 4; o > 0; o >>= 1) {
                total += __shfl_xor_sync(kAll, total, o);
            }
            if (g < 2 * n) {
                Unit& u = units[i * n + unit_of<type>(g)];
                const int side = side_of<type>(g);
                u.q[side][part] = word;
                if (part == 0) {
                    u.d[side] = d;  // infinite or NaN: so is every result
                    u.total[side] = d * static_cast<float>(total);
                }
            }
        }
    }
    __syncthreads();
}

// This lane's unit of a row times the staged rows.
template <DType type, int Tokens>
__device__ __forceinline__ void unit_sums(const unsigned char* row,
                                          const Unit* x,
                                          int unit,
                                          int groups,
                                          int n,
                                          int count,
                                          float (&sum)[Tokens]) {
    using Block = BlockOf<type>;
    constexpr int kParts = Block::kElements / 32;
    SIMT_UNROLL
    for (int side = 0; side < 2; side++) {
        const int g = group_of<type>(unit, side);
        if (kParts == 1 && g >= groups) {  // larger blocks hold whole units
            break;
        }
        Group w;
        read_group<type>(reinterpret_cast<const Block*>(row)[g / kParts], g % kParts, w);
        SIMT_UNROLL
        for (int i = 0; i < Tokens; i++) {
            if (i >= count) {
                break;
            }
            const Unit& u = x[i * n];
            uint32_t q[8];
            words<16>(u.q[side], q);
            int dot[2] = {};
            SIMT_UNROLL
            for (int k = 0; k < 8; k++) {
                dot[k / 4] = __dp4a(static_cast<int>(w.q[k]), static_cast<int>(q[k]), dot[k / 4]);
            }
            float part =
                w.scale[0] * static_cast<float>(dot[0]) + w.scale[1] * static_cast<float>(dot[1]);
            if constexpr (type == DType::q2_k) {  // a minimum for each half
                int total[2] = {};
                SIMT_UNROLL
                for (int k = 0; k < 8; k++) {
                    total[k / 4] = __dp4a(0x01010101, static_cast<int>(q[k]), total[k / 4]);
                }
                part += w.minimum[0] * static_cast<float>(total[0]) +
                        w.minimum[1] * static_cast<float>(total[1]);
                sum[i] += u.d[side] * part;
            } else {
                sum[i] += u.d[side] * part;
                if constexpr (Decoder<type>::kMinimum) {
                    sum[i] += u.total[side] * w.minimum[0];
                }
            }
        }
    }
}

// grid (blocks of rows over all parts, shares of slots)
template <DType type, int Tokens>
__global__ void __launch_bounds__(kProductThreads) products_kernel(Products p, Cut cut) {
    SIMT_DYNAMIC_SHARED(bytes);
    const Share share = share_of<Tokens>(p, blockIdx.y);
    if (share.count == 0) {
        return;
    }
    using Block = BlockOf<type>;
    constexpr int kParts = Block::kElements / 32;
    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
    const int rows_a_step = 32 / cut.lanes, mine = lane / cut.lanes, at = lane % cut.lanes;
    const int chunks = (cut.units + 31) / 32, groups = p.cols / 32;
    auto* units = reinterpret_cast<Unit*>(bytes);
    unsigned char* places =
        bytes + sizeof(Unit) * Tokens * cut.units + (warp * kDepth * rows_a_step + mine) * cut.room;

    // Steps are rows of the warp times chunks of a row.
    const int64_t first_row =
        (static_cast<int64_t>(blockIdx.x) * kWarps * cut.steps + warp) * rows_a_step + mine;
    const auto row_of = [&](int step) {
        return first_row + static_cast<int64_t>(step / chunks) * kWarps * rows_a_step;
    };
    const auto weight_of = [&](int step) {
        const auto [part, row] = part_row(p, static_cast<int32_t>(row_of(step)));
        const ProductPart& w = p.parts[part];
        return w.weight + share.expert * w.expert_bytes + row * w.row_bytes +
               static_cast<int64_t>(step % chunks) * cut.chunk;
    };
    const int steps = cut.steps * chunks;
    const auto issue = [&](int step) {
        if (step < steps && row_of(step) < cut.rows) {
            const std::byte* from = weight_of(step);
            const auto offset = static_cast<int>(reinterpret_cast<uintptr_t>(from) & 15);
            const int blocks = (min(64, groups - step % chunks * 64) + kParts - 1) / kParts;
            const int size = offset + blocks * static_cast<int>(sizeof(Block));
            unsigned char* to = places + step % kDepth * rows_a_step * cut.room;
            for (int i = at * 16; i < size; i += cut.lanes * 16) {
                simt::cp_async16(to + i, from - offset + i,
                                 static_cast<unsigned>(min(16, size - i)));
            }
        }
        simt::cp_async_commit();
    };
    SIMT_UNROLL
    for (int i = 0; i < kDepth - 1; i++) {
        issue(i);
    }
    stage<type, Tokens>(p, share, units, cut.units);

    float sum[Tokens] = {};
    for (int step = 0; step < steps; step++) {
        const bool there = row_of(step) < cut.rows;
        simt::cp_async_wait<kDepth - 2>();
        __syncwarp();  // the others' copies too; and all have done with the place that comes next
        issue(step + kDepth - 1);
        const int unit = step % chunks * 32 + at;
        if (there && unit < cut.units) {
            const auto offset = static_cast<int>(reinterpret_cast<uintptr_t>(weight_of(step)) & 15);
            const unsigned char* row = places + step % kDepth * rows_a_step * cut.room + offset;
            unit_sums<type, Tokens>(row, units + unit, at, groups - step % chunks * 64, cut.units,
                                    share.count, sum);
        }
        if (step % chunks != chunks - 1) {
            continue;
        }
        SIMT_UNROLL
        for (int i = 0; i < Tokens; i++) {
            for (int o = cut.lanes / 2; o > 0; o >>= 1) {
                sum[i] += __shfl_xor_sync(kAll, sum[i], o);
            }
        }
        if (there && at == 0) {
            const auto [part, row] = part_row(p, static_cast<int32_t>(row_of(step)));
            SIMT_UNROLL
            for (int i = 0; i < Tokens; i++) {
                if (i >= share.count) {
                    break;
                }
                float* out =
                    p.parts[part].out.row(slot_of(p, share.first, i, share.expert).target) + row;
                *out = p.add ? *out + sum[i] : sum[i];
            }
        }
        SIMT_UNROLL
        for (int i = 0; i < Tokens; i++) {
            sum[i] = 0;
        }
    }
}

// ---------------------------------------------------------------- float weights

// grid (blocks of rows over all parts, shares of slots)
template <DType type, int Tokens>
__global__ void __launch_bounds__(kProductThreads)
    float_products_kernel(Products p, int32_t all_rows, int32_t rows) {
    SIMT_DYNAMIC_SHARED(bytes);
    SIMT_SHARED(float, sums, [2][Tokens][kWarps]);
    auto* staged = reinterpret_cast<float*>(bytes);  // [Tokens][C]
    const Share share = share_of<Tokens>(p, blockIdx.y);
    if (share.count == 0) {
        return;
    }
    const int t = threadIdx.x, lane = t & 31, warp = t >> 5;
    float factor[Tokens] = {};
    norm_factors(p, share, factor);
    SIMT_UNROLL
    for (int i = 0; i < Tokens; i++) {
        if (i >= share.count) {
            break;
        }
        const int32_t row = slot_of(p, share.first, i, share.expert).source;
        const float* x = p.x.row(row);
        const float* up = p.input == InputForm::gated ? p.up.row(row) : nullptr;
        for (int c = t; c < p.cols; c += kProductThreads) {  // read by this thread alone
            staged[i * p.cols + c] = activation(p, x, up, factor[i], c);
        }
    }
    for (int k = 0; k < rows; k++) {
        const int32_t of_all = static_cast<int32_t>(blockIdx.x) * rows + k;
        if (of_all >= all_rows) {
            return;
        }
        const auto [part, row] = part_row(p, of_all);
        const ProductPart& w = p.parts[part];
        const std::byte* weight = w.weight + share.expert * w.expert_bytes + row * w.row_bytes;
        float sum[Tokens] = {};
        SIMT_UNROLL_BY(4)
        for (int c = t; c < p.cols; c += kProductThreads) {
            const float v = element<type>(weight, c);
            SIMT_UNROLL
            for (int i = 0; i < Tokens; i++) {
                if (i < share.count) {
                    sum[i] += v * staged[i * p.cols + c];
                }
            }
        }
        SIMT_UNROLL
        for (int i = 0; i < Tokens; i++) {
            sum[i] = warp_sum(sum[i]);
            if (lane == 0) {
                sums[k & 1][i][warp] = sum[i];
            }
        }
        __syncthreads();  // the sums of the row before the last have been read: hence two of them
        if (t < share.count) {
            float all = 0;
            SIMT_UNROLL
            for (int i = 0; i < kWarps; i++) {
                all += sums[k & 1][t][i];
            }
            float* out = w.out.row(slot_of(p, share.first, t, share.expert).target) + row;
            *out = p.add ? *out + all : all;
        }
    }
}

int32_t shares_of(const Products& p, int tokens) {
    const int32_t tiles = (p.n_slots + tokens - 1) / tokens;
    return p.slots == SlotForm::routed  ? p.n_slots  // most_items()
           : p.slots == SlotForm::heads ? tiles * p.n_heads
                                        : tiles;
}

// Rounds up `n / by` to at least 1 and at most `most`.
int32_t shared_out(int64_t n, int64_t by, int64_t most) {
    return static_cast<int32_t>(std::clamp<int64_t>((n + by - 1) / by, 1, most));
}

template <DType type>
Cut cut_of(const Products& p, int32_t rows, int32_t shares) {
    using Block = BlockOf<type>;
    Cut cut;
    cut.rows = rows;
    cut.units = (p.cols + 63) / 64;
    cut.lanes = static_cast<int32_t>(std::bit_ceil(static_cast<unsigned>(std::min(32, cut.units))));
    cut.chunk = std::min(2048, p.cols) / Block::kElements * static_cast<int32_t>(sizeof(Block));
    cut.room = static_cast<int32_t>(round_up(cut.chunk + 15, 16));
    const int32_t rows_a_step = 32 / cut.lanes;
    cut.steps = shared_out(static_cast<int64_t>(rows) * shares,
                           static_cast<int64_t>(kBlocks) * kWarps * rows_a_step, 64);
    return cut;
}

size_t shared_bytes(const Cut& cut, int tokens) {
    return sizeof(Unit) * static_cast<size_t>(tokens) * static_cast<size_t>(cut.units) +
           static_cast<size_t>(kWarps) * kDepth * static_cast<size_t>(32 / cut.lanes) *
               static_cast<size_t>(cut.room);
}

template <DType type>
void launch(const Products& p, simt::Stream stream) {
    int32_t rows = 0;
    for (int i = 0; i < p.n_parts; i++) {
        rows += p.parts[i].rows;
    }
    bool one = p.slots != SlotForm::routed && p.n_slots == 1;
    const auto grid = [&](int32_t rows_a_block) {
        return dim3(static_cast<unsigned>((rows + rows_a_block - 1) / rows_a_block),
                    static_cast<unsigned>(shares_of(p, one ? 1 : kTileTokens)));
    };
    if constexpr (kIsFloat<type>) {
        const size_t bytes = static_cast<size_t>(p.cols) * sizeof(float);
        one = one || bytes * kTileTokens > kMostShared;
        ENSURE(!one || p.slots != SlotForm::routed, "rows of ", p.cols, " numbers are too wide");
        const int32_t a_block = shared_out(
            static_cast<int64_t>(rows) * shares_of(p, one ? 1 : kTileTokens), kBlocks, 32);
        if (one) {
            simt::launch({grid(a_block), kProductThreads, bytes, stream},
                         float_products_kernel<type, 1>, p, rows, a_block);
        } else {
            simt::launch({grid(a_block), kProductThreads, bytes * kTileTokens, stream},
                         float_products_kernel<type, kTileTokens>, p, rows, a_block);
        }
    } else {
        Cut cut = cut_of<type>(p, rows, shares_of(p, one ? 1 : kTileTokens));
        if (!one && shared_bytes(cut, kTileTokens) > kMostShared) {
            one = true;
            cut = cut_of<type>(p, rows, shares_of(p, 1));
            ENSURE(p.slots != SlotForm::routed, "rows of ", p.cols, " numbers are too wide");
        }
        const int32_t a_block = kWarps * cut.steps * (32 / cut.lanes);
        if (one) {
            simt::launch({grid(a_block), kProductThreads, shared_bytes(cut, 1), stream},
                         products_kernel<type, 1>, p, cut);
        } else {
            simt::launch({grid(a_block), kProductThreads, shared_bytes(cut, kTileTokens), stream},
                         products_kernel<type, kTileTokens>, p, cut);
        }
    }
}

}  // namespace

void launch_products(DType type, const Products& p, simt::Stream stream) {
    if (p.n_slots == 0 || p.cols == 0) {
        return;
    }
    if (p.packed != nullptr && has_tiles(type)) {
        launch_pack(p, stream);
        launch_tiles(type, p, stream);
        return;
    }
    switch (type) {
#define KERNELS_X(enumerator, ...)                       \
    case DType::enumerator:                              \
        if constexpr (DType::enumerator != DType::i32) { \
            launch<DType::enumerator>(p, stream);        \
        }                                                \
        break;
        KERNELS_DTYPES(KERNELS_X)
#undef KERNELS_X
    }
}

}  // namespace kernels::cuda
