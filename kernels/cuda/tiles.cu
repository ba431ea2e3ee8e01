// Products of many rows on tensor cores. A block makes 128 rows of the result for up to 128 slots
// of one expert, in steps of 64 columns.
//
// Weights: a thread widens 32 of a row a step to bf16 in shared memory. Of types whose blocks lie
// on 16 bytes (Q4_K, Q5_K) those of the next step are on their way in registers while this step is
// multiplied. The others would be loads of two bytes here and there, which take longer than the
// product: four steps' worth of packed bytes of all rows is copied to shared memory, word by word,
// and read there.
//
// Activations: rounded to bf16 beforehand, copied asynchronously, two steps in turn.
//
// Product: m16n8k16 with weights as M and slots as N. A warp owns 64 rows and a quarter of the
// slots; warps without a slot or a row leave the multiplication out. Rows in shared memory are 128
// bytes, their 16-byte pieces exchanged by the row's number: ldmatrix and the writes of what was
// widened have no bank conflicts.
//
// Weights and activations lose 2^-9 of their size at most, which is a tenth of the error of int8
// activations; bf16 has the range of f32, so no scale and no outlier can overflow.
#include "kernels/check.h"
#include "kernels/cuda/decode.cuh"
#include "kernels/cuda/slots.cuh"
#include "kernels/cuda/tiles.h"
#include "kernels/simt/warp_matrix.h"

namespace kernels::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kRows = 128;  // of a block
constexpr int kStep = kTileColumns;
constexpr unsigned kAll = 0xFFFFFFFFU;
static_assert(kRows * kStep == kThreads * 32);  // a thread widens 32 weights a step

template <DType type>
constexpr bool kStaged = type != DType::q4_k&& type != DType::q5_k;
constexpr int kStagedSteps = 4;  // of 256 columns, a block of the larger types

// Words for the packed bytes of those columns from any address on: an odd number, so that threads
// that read the same word of different rows meet different banks.
template <DType type>
constexpr int kRawWords = ((kStagedSteps * kStep / BlockOf<type>::kElements *
                                static_cast<int>(sizeof(BlockOf<type>)) +
                            3 + 3) /
                               4 |
                           1);

template <DType type, int Slots>
struct Shared {
    alignas(16) uint16_t weights[2][kRows][kStep];
    alignas(16) uint16_t slots[2][Slots][kStep];
    int32_t rows[Slots];  // of Products::packed
    uint32_t raw[kStaged<type> ? kRows : 1][kStaged<type> ? kRawWords<type> : 1];
};

// Blocks of a multiprocessor: two, where that leaves registers enough.
template <DType type>
constexpr int kResident = type == DType::q2_k || type == DType::q5_k ? 1 : 2;

// Where piece `piece` of eight numbers of a row lies in it.
__device__ __forceinline__ int piece_at(int row, int piece) {
    return (piece ^ (row & 7)) * 8;
}

__device__ __forceinline__ uint32_t two(float a, float b) {
    const __nv_bfloat162 pair = __floats2bfloat162_rn(a, b);
    uint32_t bits;
    memcpy(&bits, &pair, 4);
    return bits;
}

// Number i of a word of signed bytes, as q + 2^15 + 128: the byte, with its sign turned, in the
// middle of a float's mantissa.
__device__ __forceinline__ float offset_number(uint32_t turned, int i) {
    return __uint_as_float(
        __byte_perm(turned, 0x47000000U, 0x7604U | static_cast<unsigned>(i) << 4));
}

// 32 numbers, to the left or right half of a row.
template <DType type>
__device__ __forceinline__ void widen(const Group& w, uint16_t* to, int row, int half) {
    SIMT_UNROLL
    for (int h = 0; h < 2; h++) {
        const float s = w.scale[h];
        float offset = -32896.0F * s;
        if constexpr (Decoder<type>::kMinimum) {
            offset += w.minimum[h];
        }
        SIMT_UNROLL
        for (int k = 0; k < 2; k++) {
            uint32_t out[4];
            SIMT_UNROLL
            for (int i = 0; i < 2; i++) {
                const uint32_t q = w.q[4 * h + 2 * k + i] ^ 0x80808080U;
                float v[4];
                SIMT_UNROLL
                for (int n = 0; n < 4; n++) {
                    v[n] = __fmaf_rn(offset_number(q, n), s, offset);
                }
                out[2 * i] = two(v[0], v[1]);
                out[2 * i + 1] = two(v[2], v[3]);
            }
            *reinterpret_cast<uint4*>(to + piece_at(row, 4 * half + 2 * h + k)) =
                make_uint4(out[0], out[1], out[2], out[3]);
        }
    }
}

// grid (row tiles over all parts, shares of slots)
template <DType type, int Slots>
__global__ void __launch_bounds__(kThreads, kResident<type>)
    tiles_kernel(Products p, int32_t all_rows) {
    constexpr int kParts = BlockOf<type>::kElements / 32;
    constexpr int kWarpSlots = Slots / 4, kM = 4, kN = kWarpSlots / 8;  // 2 x 4 warps
    SIMT_DYNAMIC_SHARED(bytes);
    auto& s = *reinterpret_cast<Shared<type, Slots>*>(bytes);
    simt::let_next_start();
    simt::wait_for_before();
    const Share share = share_of<Slots>(p, blockIdx.y);
    if (share.count == 0) {
        return;
    }
    const int t = threadIdx.x, lane = t & 31, warp = t >> 5;
    const int steps = (p.cols + kStep - 1) / kStep, pitch = steps * kStep;

    // The row whose weights this thread widens, two threads a row: neighbours, or, where lanes
    // should read different rows, far ones.
    const int widened = kStaged<type> ? t % kRows : t >> 1,
              half = kStaged<type> ? t / kRows : t & 1;
    const int groups = p.cols / 32;
    const auto weights_of = [&](int r) -> const std::byte* {
        const int32_t of_all = blockIdx.x * kRows + r;
        if (of_all >= all_rows) {
            return nullptr;
        }
        const auto [part, row] = part_row(p, of_all);
        const ProductPart& w = p.parts[part];
        return w.weight + share.expert * w.expert_bytes + row * w.row_bytes;
    };
    const std::byte* weights = weights_of(widened);
    // Where in a word that row begins; negative: there is none.
    const int begins =
        weights == nullptr ? -1 : static_cast<int>(reinterpret_cast<uintptr_t>(weights) & 3);

    // Past the last slot: that one again, its sums are not stored.
    if (t < Slots) {
        const Slot of = slot_of(p, share.first, min(t, share.count - 1), share.expert);
        s.rows[t] = p.slots == SlotForm::tokens ? of.target : of.source;
    }
    __syncthreads();
    // A thread copies 16 bytes of every 32nd slot a step.
    const auto copy = [&](int step, int turn) {
        SIMT_UNROLL
        for (int i = 0; i < Slots / (kThreads / 8); i++) {
            const int slot = i * (kThreads / 8) + (t >> 3);
            simt::cp_async16(
                &s.slots[turn][slot][piece_at(slot, t & 7)],
                p.packed + s.rows[slot] * static_cast<int64_t>(pitch) + step * kStep + (t & 7) * 8);
        }
        simt::cp_async_commit();
    };
    // Packed bytes of the steps from this one on, from the word on that holds the first: a warp
    // copies rows, its lanes their words.
    constexpr int kRawBlocks = kStagedSteps * kStep / BlockOf<type>::kElements;
    const auto copy_raw = [&](int step) {
        if constexpr (kStaged<type>) {
            const int first = step * 2 / kParts;
            const int size = min(kRawBlocks, (groups + kParts - 1) / kParts - first) *
                             static_cast<int>(sizeof(BlockOf<type>));
            for (int r = warp; r < kRows; r += kThreads / 32) {
                const std::byte* row = weights_of(r);
                if (row == nullptr) {
                    break;
                }
                row += first * static_cast<int64_t>(sizeof(BlockOf<type>));
                const auto offset = static_cast<int>(reinterpret_cast<uintptr_t>(row) & 3);
                const std::byte* end = p.parts[part_row(p, blockIdx.x * kRows + r).part].end;
                for (int i = lane; 4 * i < offset + size; i += 32) {
                    const std::byte* word = row - offset + 4 * i;
                    if (word + 4 <= end) {
                        simt::cp_async4(&s.raw[r][i], word);
                    } else {
                        auto* to = reinterpret_cast<std::byte*>(&s.raw[r][i]);
                        for (int k = 0; word + k < end; k++) {
                            to[k] = word[k];
                        }
                    }
                }
            }
        }
    };
    Coming<type> coming;
    const auto there = [&](int step) { return begins >= 0 && 2 * step + half < groups; };
    const auto fetch = [&](int step) {
        if (!kStaged<type> && there(step)) {
            const int g = 2 * step + half;
            coming.load(reinterpret_cast<const BlockOf<type>*>(weights)[g / kParts], g % kParts);
        }
    };
    const auto put = [&](int step, int turn) {
        uint16_t* to = s.weights[turn][widened];
        if (there(step)) {
            const int g = 2 * step + half;
            if constexpr (kStaged<type>) {
                const int first = step / kStagedSteps * kRawBlocks;
                const auto* raw = reinterpret_cast<const std::byte*>(s.raw[widened]) +
                                  (begins + first * static_cast<int>(sizeof(BlockOf<type>))) % 4;
                coming.load(reinterpret_cast<const BlockOf<type>*>(raw)[g / kParts - first],
                            g % kParts);
            }
            Group w;
            coming.finish(g % kParts, w);
            widen<type>(w, to, widened, half);
        } else {
            SIMT_UNROLL
            for (int k = 0; k < 4; k++) {
                *reinterpret_cast<uint4*>(to + piece_at(widened, 4 * half + k)) =
                    make_uint4(0, 0, 0, 0);
            }
        }
    };

    const int warp_row = (warp & 1) * 64, warp_slot = (warp >> 1) * kWarpSlots;
    const bool busy =
        warp_slot < share.count && static_cast<int32_t>(blockIdx.x * kRows) + warp_row < all_rows;
    float sum[kM][kN][4] = {};

    copy_raw(0);
    copy(0, 0);
    fetch(0);
    if (kStaged<type>) {
        simt::cp_async_wait<0>();
        __syncthreads();
    }
    put(0, 0);
    for (int step = 0; step < steps; step++) {
        const int turn = step & 1;
        // The packed bytes of this step and those before it are used up.
        const bool new_raw = kStaged<type> && (step + 1) % kStagedSteps == 0 && step + 1 < steps;
        simt::cp_async_wait<0>();
        __syncthreads();  // this step is there for all, and all have done with the one before
        if (step + 1 < steps) {
            if (new_raw) {
                copy_raw(step + 1);
            }
            copy(step + 1, turn ^ 1);
            fetch(step + 1);
        }
        if (busy) {
            // Lanes 0 to 15 and 16 to 31 hold the addresses of two neighbouring pieces of 16 rows;
            // of slots, groups of eight lanes: the first eight slots' two pieces, then the others'.
            const int a_row = warp_row + (lane & 15), a_piece = lane >> 4;
            const int b_row = warp_slot + (lane & 7) + 8 * (lane >> 4), b_piece = lane >> 3 & 1;
            SIMT_UNROLL
            for (int k = 0; k < kStep / 16; k++) {
                uint32_t a[kM][4], b[kN][2];
                SIMT_UNROLL
                for (int n = 0; n < kN; n += 2) {
                    uint32_t four[4];
                    simt::ldmatrix(four,
                                   &s.slots[turn][b_row + n * 8][piece_at(b_row, 2 * k + b_piece)]);
                    b[n][0] = four[0], b[n][1] = four[1];
                    b[n + 1][0] = four[2], b[n + 1][1] = four[3];
                }
                SIMT_UNROLL
                for (int m = 0; m < kM; m++) {
                    simt::ldmatrix(
                        a[m], &s.weights[turn][a_row + m * 16][piece_at(a_row, 2 * k + a_piece)]);
                }
                SIMT_UNROLL
                for (int m = 0; m < kM; m++) {
                    SIMT_UNROLL
                    for (int n = 0; n < kN; n++) {
                        simt::mma_bf16(sum[m][n], a[m], b[n]);
                    }
                }
            }
        }
        if (step + 1 < steps) {
            if (new_raw) {
                simt::cp_async_wait<0>();
                __syncthreads();
            }
            put(step + 1, turn ^ 1);
        }
    }
    if (!busy) {
        return;
    }
    // Where the slots' results go: rows of which parts know the stride alone, see launch_tiles().
    const bool by_head = p.slots == SlotForm::heads && p.parts[0].out.inner > 1;
    int32_t target[kN][2];  // negative: no slot
    SIMT_UNROLL
    for (int n = 0; n < kN; n++) {
        SIMT_UNROLL
        for (int side = 0; side < 2; side++) {
            const int slot = warp_slot + n * 8 + (lane & 3) * 2 + side;
            target[n][side] = slot >= share.count ? -1
                              : by_head           ? share.first + slot
                                        : slot_of(p, share.first, slot, share.expert).target;
        }
    }
    SIMT_UNROLL
    for (int m = 0; m < kM; m++) {
        SIMT_UNROLL
        for (int r = 0; r < 2; r++) {
            const int32_t row = blockIdx.x * kRows + warp_row + m * 16 + r * 8 + (lane >> 2);
            if (row >= all_rows) {
                continue;
            }
            const auto [part, of_part] = part_row(p, row);
            const Rows& out = p.parts[part].out;
            float* to = out.data + (by_head ? share.expert * out.inner_stride : 0) + of_part;
            const int64_t stride = out.outer_stride;
            SIMT_UNROLL
            for (int n = 0; n < kN; n++) {
                SIMT_UNROLL
                for (int side = 0; side < 2; side++) {
                    if (target[n][side] >= 0) {
                        float* place = to + target[n][side] * stride;
                        const float value = sum[m][n][2 * r + side];
                        *place = p.add ? *place + value : value;
                    }
                }
            }
        }
    }
}

// A warp a row.
__global__ void __launch_bounds__(kThreads) pack_kernel(Products p) {
    simt::let_next_start();
    simt::wait_for_before();
    const int lane = threadIdx.x & 31;
    const int32_t r = static_cast<int32_t>(blockIdx.x * (kThreads / 32) + (threadIdx.x >> 5));
    if (r >= p.packed_rows()) {
        return;
    }
    const int32_t row = p.slots == SlotForm::tokens && p.list != nullptr ? p.list[r] : r;
    const float* x = p.x.row(row);
    const float* up = p.input == InputForm::gated ? p.up.row(row) : nullptr;
    float factor = 1;
    if (p.input == InputForm::normed) {
        float sum = 0;
        for (int c = lane; c < p.cols; c += 32) {
            sum += x[c] * x[c];
        }
        SIMT_UNROLL
        for (int o = 16; o > 0; o >>= 1) {
            sum += __shfl_xor_sync(kAll, sum, o);
        }
        factor = 1.0F / sqrtf(sum / static_cast<float>(p.cols) + p.eps);
    }
    const int pitch = packed_pitch(p.cols);
    auto* out = reinterpret_cast<uint32_t*>(p.packed + static_cast<int64_t>(r) * pitch);
    for (int c = 2 * lane; c < pitch; c += 64) {
        const bool there = c < p.cols;  // columns are whole groups of 32
        out[c / 2] =
            there ? two(activation(p, x, up, factor, c), activation(p, x, up, factor, c + 1)) : 0;
    }
}

template <DType type, int Slots>
void launch(const Products& p, simt::Stream stream) {
    static_assert(sizeof(Shared<type, Slots>) <= simt::kSharedBytes);
    int32_t rows = 0;
    for (int i = 0; i < p.n_parts; i++) {
        rows += p.parts[i].rows;
    }
    int32_t shares = (p.n_slots + Slots - 1) / Slots;
    if (p.slots == SlotForm::heads) {
        shares *= p.n_heads;
    } else if (p.slots == SlotForm::routed) {
        shares = p.n_slots;  // the most items
    }
    const dim3 grid(static_cast<unsigned>((rows + kRows - 1) / kRows),
                    static_cast<unsigned>(shares));
    simt::launch({grid, kThreads, sizeof(Shared<type, Slots>), stream, true},
                 tiles_kernel<type, Slots>, p, rows);
}

template <DType type>
constexpr bool kHasTiles = type != DType::i32 && !kIsFloat<type>;

}  // namespace

bool has_tiles(DType type) {
    switch (type) {
#define KERNELS_X(enumerator, ...) \
    case DType::enumerator:        \
        return kHasTiles<DType::enumerator>;
        KERNELS_DTYPES(KERNELS_X)
#undef KERNELS_X
    }
    return false;
}

void launch_pack(const Products& p, simt::Stream stream) {
    const int32_t rows = p.packed_rows();
    constexpr int kWarps = kThreads / 32;
    simt::launch({static_cast<unsigned>((rows + kWarps - 1) / kWarps), kThreads, 0, stream, true},
                 pack_kernel, p);
}

void launch_tiles(DType type, const Products& p, simt::Stream stream) {
    ENSURE(p.packed != nullptr && p.cols % 32 == 0, p.cols);
    ENSURE(p.item_slots == kTileSlots || p.item_slots == kSmallTileSlots, p.item_slots);
    for (int i = 0; i < p.n_parts; i++) {
        const int32_t inner = p.parts[i].out.inner;
        ENSURE(inner == 1 || (p.slots == SlotForm::heads && inner == p.n_heads && p.n_parts == 1),
               "rows of ", inner, " heads");
    }
    switch (type) {
#define KERNELS_X(enumerator, ...)                                     \
    case DType::enumerator:                                            \
        if constexpr (kHasTiles<DType::enumerator>) {                  \
            if (p.item_slots == kSmallTileSlots) {                     \
                launch<DType::enumerator, kSmallTileSlots>(p, stream); \
            } else {                                                   \
                launch<DType::enumerator, kTileSlots>(p, stream);      \
            }                                                          \
        }                                                              \
        break;
        KERNELS_DTYPES(KERNELS_X)
#undef KERNELS_X
    }
}

}  // namespace kernels::cuda
