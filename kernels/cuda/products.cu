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
#include <span>

#include "kernels/check.h"
#include "kernels/cuda/decode.cuh"
#include "kernels/cuda/products.h"
#include "kernels/cuda/route.cuh"
#include "kernels/cuda/slots.cuh"
#include "kernels/cuda/tiles.h"
#include "kernels/simt/last_block.h"
#include "kernels/simt/warp_matrix.h"

namespace kernels::cuda {
namespace {

constexpr int kWarps = kProductThreads / 32;
constexpr unsigned kAll = 0xFFFFFFFFU;
constexpr size_t kMostShared = simt::kSharedBytes - 1024;  // the rest is for the norm's sums
constexpr int kDepth = 4;                                  // steps of a warp that are on their way

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

// What the norm multiplies rows by, from this thread's part of their sums of squares.
template <int Tokens>
__device__ __forceinline__ void norm_factors(const Products& p, float (&factor)[Tokens]) {
    SIMT_SHARED(float, squares, [Tokens][kWarps]);
    const int t = threadIdx.x;
    SIMT_UNROLL
    for (int i = 0; i < Tokens; i++) {
        const float sum = warp_sum(factor[i]);
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

// Eight lanes a group of 32, four numbers a lane. Those of the first columns stay in registers
// between the norm and the rounding: one wait for memory instead of two.
template <DType type, int Tokens>
__device__ __forceinline__ void stage(const Products& p, const Share& share, Unit* units, int n) {
    constexpr int kGroups = kProductThreads / 8, kHeld = 2;
    const int t = threadIdx.x, groups = p.cols / 32, part = t & 7;
    float held[Tokens][kHeld][4] = {}, factor[Tokens] = {};
    SIMT_UNROLL
    for (int i = 0; i < Tokens; i++) {
        SIMT_UNROLL
        for (int h = 0; h < kHeld; h++) {
            const int g = h * kGroups + t / 8;
            if (i < share.count && g < groups) {
                const int32_t row = slot_of(p, share.first, i, share.expert).source;
                four_inputs(p, row, g * 32 + part * 4, held[i][h]);
            }
        }
    }
    if (p.input == InputForm::normed) {
        SIMT_UNROLL
        for (int i = 0; i < Tokens; i++) {
            SIMT_UNROLL
            for (int h = 0; h < kHeld; h++) {
                SIMT_UNROLL
                for (int k = 0; k < 4; k++) {
                    factor[i] += held[i][h][k] * held[i][h][k];
                }
            }
            if (i < share.count) {
                const int32_t row = slot_of(p, share.first, i, share.expert).source;
                for (int g = kHeld * kGroups + t / 8; g < groups; g += kGroups) {
                    float v[4];
                    four(p.x.row(row) + g * 32 + part * 4, v);
                    SIMT_UNROLL
                    for (int k = 0; k < 4; k++) {
                        factor[i] += v[k] * v[k];
                    }
                }
            }
        }
        norm_factors(p, factor);
    }
    // Rounds four numbers of a group; of one past the last, which is a half unit, zeros.
    const auto put = [&](int i, int g, float(&v)[4]) {
        if (p.input == InputForm::normed && g < groups) {
            float norm[4];
            four(p.norm + g * 32 + part * 4, norm);
            SIMT_UNROLL
            for (int k = 0; k < 4; k++) {
                v[k] = v[k] * factor[i] * norm[k];
            }
        }
        float largest = 0;
        SIMT_UNROLL
        for (int k = 0; k < 4; k++) {
            const float a = fabsf(v[k]);
            largest = a > largest || a != a ? a : largest;  // keeps NaN
        }
        SIMT_UNROLL
        for (int o = 4; o > 0; o >>= 1) {
            const float a = __shfl_xor_sync(kAll, largest, o);
            largest = a > largest || a != a ? a : largest;
        }
        const float d = largest / 127.0F;
        const float inverse = d > 0 && d <= 3.0e38F ? 1.0F / d : 0;
        uint32_t word = 0;
        SIMT_UNROLL
        for (int k = 0; k < 4; k++) {
            const int q = inverse != 0 ? __float2int_rn(v[k] * inverse) : 0;
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
    };
    SIMT_UNROLL
    for (int i = 0; i < Tokens; i++) {
        if (i >= share.count) {
            break;
        }
        SIMT_UNROLL
        for (int h = 0; h < kHeld; h++) {
            if (h * kGroups < 2 * n) {
                put(i, h * kGroups + t / 8, held[i][h]);
            }
        }
        const int32_t row = slot_of(p, share.first, i, share.expert).source;
        for (int first = kHeld * kGroups; first < 2 * n; first += kGroups) {
            const int g = first + t / 8;
            float v[4] = {};
            if (g < groups) {
                four_inputs(p, row, g * 32 + part * 4, v);
            }
            put(i, g, v);
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

// One or two products of a launch: the shares of slots of the one, then those of the other.
struct Both {
    Products p[2];
    Cut cut[2];
    int32_t first_shares = 0;
};

// grid (shares of slots, blocks of rows over all parts): of shares there may be more than a grid is
// tall
template <DType type, int Tokens>
__global__ void __launch_bounds__(kProductThreads, 2) products_kernel(Both both) {
    SIMT_DYNAMIC_SHARED(bytes);
    const int which = static_cast<int32_t>(blockIdx.x) >= both.first_shares;
    const Products& p = both.p[which];
    const Cut& cut = both.cut[which];
    // Weights do not wait for the launches before, but for the choice of experts.
    const bool chosen = p.slots == SlotForm::routed;
    if (chosen) {
        simt::wait_for_before();
    }
    const Share share = share_of<Tokens>(
        p, static_cast<int32_t>(blockIdx.x) - (which == 1 ? both.first_shares : 0));
    const int32_t block_rows = kWarps * cut.steps * (32 / cut.lanes);
    if (share.count == 0 || static_cast<int32_t>(blockIdx.y) * block_rows >= cut.rows) {
        if (!chosen) {
            simt::wait_for_before();
        }
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
        (static_cast<int64_t>(blockIdx.y) * kWarps * cut.steps + warp) * rows_a_step + mine;
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
            const std::byte* end =
                p.parts[part_row(p, static_cast<int32_t>(row_of(step))).part].end;
            const auto offset = static_cast<int>(reinterpret_cast<uintptr_t>(from) & 15);
            const int blocks = (min(64, groups - step % chunks * 64) + kParts - 1) / kParts;
            const int size = offset + blocks * static_cast<int>(sizeof(Block));
            unsigned char* to = places + step % kDepth * rows_a_step * cut.room;
            for (int i = at * 16; i < size; i += cut.lanes * 16) {
                if (from - offset + i + 16 <= end) {
                    simt::cp_async16(to + i, from - offset + i);
                } else {
                    for (int k = i; k < i + 16; k++) {
                        to[k] = k < size ? static_cast<unsigned char>(from[k - offset]) : 0;
                    }
                }
            }
        }
        simt::cp_async_commit();
    };
    SIMT_UNROLL
    for (int i = 0; i < kDepth - 1; i++) {
        issue(i);
    }
    simt::let_next_start();
    if (!chosen) {
        simt::wait_for_before();
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

// Columns of a thread that stay in its registers; wider rows are staged in shared memory.
constexpr int kHeldColumns = 8;
constexpr int kHeldWidth = kHeldColumns * kProductThreads;

// grid (shares of slots, blocks of rows over all parts): of shares there may be more than a grid is
// tall
template <DType type, int Tokens, bool Wide, bool Routes>
__global__ void __launch_bounds__(kProductThreads, 2) float_products_kernel(
    Products p, int32_t all_rows, int32_t rows, Route route, unsigned* ticket) {
    SIMT_DYNAMIC_SHARED(bytes);
    SIMT_SHARED(float, sums, [2][Tokens][kWarps]);
    auto* staged = reinterpret_cast<float*>(bytes);  // [Tokens][C], where Wide
    const bool chosen = p.slots == SlotForm::routed;
    simt::let_next_start();
    if (chosen) {
        simt::wait_for_before();
    }
    const Share share = share_of<Tokens>(p, blockIdx.x);
    const int t = threadIdx.x, lane = t & 31, warp = t >> 5;
    const int32_t first = static_cast<int32_t>(blockIdx.y) * rows;
    const auto weight_of = [&](int32_t of_all) {
        const auto [part, row] = part_row(p, of_all);
        const ProductPart& w = p.parts[part];
        return w.weight + share.expert * w.expert_bytes + row * w.row_bytes;
    };
    // Of a narrow row this thread's weights are on their way a row ahead, the first one's before
    // the launches before have ended.
    float ahead[kHeldColumns] = {};
    const auto fetch = [&](int32_t of_all) {
        if (!Wide && share.count > 0 && of_all < min(all_rows, first + rows)) {
            const std::byte* weight = weight_of(of_all);
            SIMT_UNROLL
            for (int c = 0; c < kHeldColumns; c++) {
                const int column = c * kProductThreads + t;
                ahead[c] = column < p.cols ? element<type>(weight, column) : 0;
            }
        }
    };
    fetch(first);
    if (!chosen) {
        simt::wait_for_before();
    }
    if (share.count == 0) {
        return;
    }
    float held[Tokens][kHeldColumns] = {}, factor[Tokens] = {};
    // Calls f(token, column, the number there) for this thread's columns.
    const auto each = [&](auto f) {
        SIMT_UNROLL
        for (int i = 0; i < Tokens; i++) {
            if constexpr (Wide) {
                for (int c = t; i < share.count && c < p.cols; c += kProductThreads) {
                    f(i, c, staged[i * p.cols + c]);
                }
            } else {
                SIMT_UNROLL
                for (int k = 0; k < kHeldColumns; k++) {
                    const int c = k * kProductThreads + t;
                    if (i < share.count && c < p.cols) {
                        f(i, c, held[i][k]);
                    }
                }
            }
        }
    };
    each([&](int i, int c, float& v) {
        const int32_t row = slot_of(p, share.first, i, share.expert).source;
        v = p.x.row(row)[c];
        if (p.input == InputForm::gated) {
            v = v / (1.0F + expf(-v)) * p.up.row(row)[c];
        }
    });
    if (p.input == InputForm::normed) {
        each([&](int i, int, float& v) { factor[i] += v * v; });
        norm_factors(p, factor);
        each([&](int i, int c, float& v) { v = v * factor[i] * p.norm[c]; });
    }
    for (int k = 0; k < rows; k++) {
        const int32_t of_all = first + k;
        if (of_all >= all_rows) {
            break;
        }
        const auto [part, row] = part_row(p, of_all);
        const ProductPart& w = p.parts[part];
        float sum[Tokens] = {};
        if constexpr (Wide) {
            const std::byte* weight = weight_of(of_all);
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
        } else {
            float now[kHeldColumns];
            SIMT_UNROLL
            for (int c = 0; c < kHeldColumns; c++) {
                now[c] = ahead[c];
            }
            fetch(of_all + 1);
            SIMT_UNROLL
            for (int c = 0; c < kHeldColumns; c++) {
                if (c * kProductThreads + t < p.cols) {
                    SIMT_UNROLL
                    for (int i = 0; i < Tokens; i++) {
                        sum[i] += now[c] * held[i][c];
                    }
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
    if constexpr (Routes) {
        if (simt::last_block(ticket)) {
            route_few(route, reinterpret_cast<float*>(bytes));
        }
    }
}

int32_t shares_of(const Products& p, int tokens) {
    const int32_t tiles = (p.n_slots + tokens - 1) / tokens;
    return p.slots == SlotForm::routed  ? p.n_slots  // most_items()
           : p.slots == SlotForm::heads ? tiles * p.n_heads
                                        : tiles;
}

// As many as run at the same time: what a launch takes is then one wave.
int64_t wanted_blocks() {
    return 2 * simt::multiprocessors();
}

// Rounds up `n / by` to at least 1 and at most `most`.
int32_t shared_out(int64_t n, int64_t by, int64_t most) {
    return static_cast<int32_t>(std::clamp<int64_t>((n + by - 1) / by, 1, most));
}

// work: rows of the whole launch, each as often as there are shares.
template <DType type>
Cut cut_of(const Products& p, int32_t rows, int64_t work) {
    using Block = BlockOf<type>;
    Cut cut;
    cut.rows = rows;
    cut.units = (p.cols + 63) / 64;
    cut.lanes = static_cast<int32_t>(std::bit_ceil(static_cast<unsigned>(std::min(32, cut.units))));
    cut.chunk = std::min(2048, p.cols) / Block::kElements * static_cast<int32_t>(sizeof(Block));
    cut.room = static_cast<int32_t>(round_up(cut.chunk + 15, 16));
    const int32_t rows_a_step = 32 / cut.lanes;
    cut.steps = shared_out(work, wanted_blocks() * kWarps * rows_a_step, 256);
    return cut;
}

size_t shared_bytes(const Cut& cut, int tokens) {
    return sizeof(Unit) * static_cast<size_t>(tokens) * static_cast<size_t>(cut.units) +
           static_cast<size_t>(kWarps) * kDepth * static_cast<size_t>(32 / cut.lanes) *
               static_cast<size_t>(cut.room);
}

int32_t all_rows(const Products& p) {
    int32_t rows = 0;
    for (int i = 0; i < p.n_parts; i++) {
        rows += p.parts[i].rows;
    }
    return rows;
}

// Does every share have one slot?
bool single(const Products& p) {
    return (p.slots == SlotForm::routed ? p.item_slots : p.n_slots) == 1;
}

unsigned blocks_of(int32_t rows, int32_t rows_a_block) {
    return static_cast<unsigned>((rows + rows_a_block - 1) / rows_a_block);
}

// With a route: few_pairs() of up to kHeldWidth columns.
template <DType type, int Tokens>
void launch_floats(const Products& p,
                   simt::Stream stream,
                   const Route* route = nullptr,
                   unsigned* ticket = nullptr) {
    const bool wide = p.cols > kHeldWidth;
    size_t bytes = wide ? static_cast<size_t>(p.cols) * sizeof(float) * Tokens : 0;
    if (route != nullptr) {
        bytes = 2 * sizeof(float) * static_cast<size_t>(route->n_tokens * route->n_experts);
    }
    ENSURE(bytes <= kMostShared, "rows of ", p.cols, " numbers are too wide");
    const int32_t rows = all_rows(p), shares = shares_of(p, Tokens);
    const int32_t a_block = shared_out(static_cast<int64_t>(rows) * shares, wanted_blocks(), 32);
    simt::launch({dim3(static_cast<unsigned>(shares), blocks_of(rows, a_block)), kProductThreads,
                  bytes, stream, true},
                 route != nullptr ? float_products_kernel<type, Tokens, false, true>
                 : wide           ? float_products_kernel<type, Tokens, true, false>
                                  : float_products_kernel<type, Tokens, false, false>,
                 p, rows, a_block, route != nullptr ? *route : Route{}, ticket);
}

template <DType type, int Tokens>
void launch_blocks(std::span<const Products> list, simt::Stream stream) {
    Both both;
    int64_t work = 0;
    for (const Products& p : list) {
        work += static_cast<int64_t>(all_rows(p)) * shares_of(p, Tokens);
    }
    size_t bytes = 0;
    unsigned blocks = 0, shares = 0;
    for (size_t i = 0; i < list.size(); i++) {
        both.p[i] = list[i];
        const Cut& cut = both.cut[i] = cut_of<type>(list[i], all_rows(list[i]), work);
        bytes = std::max(bytes, shared_bytes(cut, Tokens));
        blocks = std::max(blocks, blocks_of(cut.rows, kWarps * cut.steps * (32 / cut.lanes)));
        shares += static_cast<unsigned>(shares_of(list[i], Tokens));
    }
    both.first_shares = shares_of(list[0], Tokens);
    ENSURE(bytes <= kMostShared, "rows of ", list[0].cols, " numbers are too wide");
    simt::launch({dim3(shares, blocks), kProductThreads, bytes, stream, true},
                 products_kernel<type, Tokens>, both);
}

template <DType type>
bool fits(const Products& p, int tokens) {
    if constexpr (kIsFloat<type>) {
        return static_cast<size_t>(p.cols) * sizeof(float) * static_cast<size_t>(tokens) <=
               kMostShared;
    } else {
        return shared_bytes(cut_of<type>(p, all_rows(p), 1), tokens) <= kMostShared;
    }
}

template <DType type>
void launch(std::span<const Products> list, simt::Stream stream) {
    // Rows too wide for several at a time go one by one; those of an expert cannot.
    bool one = true;
    for (const Products& p : list) {
        one = one && (single(p) || (p.slots != SlotForm::routed && !fits<type>(p, kTileTokens)));
    }
    if constexpr (kIsFloat<type>) {
        if (one) {
            launch_floats<type, 1>(list[0], stream);
        } else {
            launch_floats<type, kTileTokens>(list[0], stream);
        }
    } else if (one) {
        launch_blocks<type, 1>(list, stream);
    } else {
        launch_blocks<type, kTileTokens>(list, stream);
    }
}

void launch_few(DType type, std::span<const Products> list, simt::Stream stream) {
    switch (type) {
#define KERNELS_X(enumerator, ...)                       \
    case DType::enumerator:                              \
        if constexpr (DType::enumerator != DType::i32) { \
            launch<DType::enumerator>(list, stream);     \
        }                                                \
        break;
        KERNELS_DTYPES(KERNELS_X)
#undef KERNELS_X
    }
}

bool nothing(const Products& p) {
    return p.n_slots == 0 || p.cols == 0;
}

}  // namespace

void launch_products(DType type, const Products& p, simt::Stream stream) {
    if (nothing(p)) {
        return;
    }
    if (p.packed != nullptr && has_tiles(type)) {
        launch_pack(p, stream);
        launch_tiles(type, p, stream);
        return;
    }
    launch_few(type, {&p, 1}, stream);
}

bool launch_router(
    DType type, const Products& p, const Route& route, unsigned* ticket, simt::Stream stream) {
    if (type != DType::f32 || nothing(p) || p.cols > kHeldWidth || !few_pairs(route)) {
        return false;
    }
    if (single(p)) {
        launch_floats<DType::f32, 1>(p, stream, &route, ticket);
    } else {
        launch_floats<DType::f32, kTileTokens>(p, stream, &route, ticket);
    }
    return true;
}

void launch_products(DType type,
                     const Products& first,
                     const Products& second,
                     simt::Stream stream) {
    const bool together = has_tiles(type) && first.packed == nullptr && second.packed == nullptr &&
                          !nothing(first) && !nothing(second) && single(first) == single(second);
    if (!together) {
        launch_products(type, first, stream);
        launch_products(type, second, stream);
        return;
    }
    const Products both[] = {first, second};
    launch_few(type, both, stream);
}

}  // namespace kernels::cuda
