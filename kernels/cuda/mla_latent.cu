// MLA decode over q8_latent rows (k_type.h): as mla_decode.cuh, but the codes stay bytes in shared
// memory and become halves in registers, on the way to the tensor cores. A scale belongs to a whole
// slice of a row, so it multiplies a token's scores, and for the values its weights.
//
//   codes      byte ^ 128 under 0x64 is the half 1024 + code + 128; one subtraction makes the code
//   scores     numbers 4 q, 4 q + 1 | 4 q + 2, 4 q + 3 of sixteen stand where the fragment has 2 q,
//              2 q + 1 | 2 q + 8, 2 q + 9: the same for queries, so that a thread reads whole words
//   values     a transposed ldmatrix of byte pairs: rows g and g + 8 of a fragment are numbers 2 g
//              and 2 g + 1
//   tiles      scores of a tile go with the values of the one before: two barriers a tile
#include "kernels/check.h"
#include "kernels/cuda/mla_columns.cuh"
#include "kernels/k_type.h"

namespace kernels::cuda {
namespace {

using namespace mla;

constexpr int kRowBytes = static_cast<int>(LatentRow(kLatent, kRotary).bytes);
constexpr int kRotaryAt = static_cast<int>(LatentRow(kLatent, kRotary).rotary_at);
constexpr int kScalesAt = static_cast<int>(LatentRow(kLatent, kRotary).scales_at);
static_assert(kRowBytes % 32 == 16, "eight rows lie in different banks");
static_assert(kLatent == kSlices * kCodesPerScale);
constexpr int kLatentSteps = 8;  // of 16 numbers, a slice
constexpr float kCodes = 127;
constexpr float kMostScale = 65504.0F / kCodes;  // times kCodes still a half

template <int Columns>
struct Shared {
    // Tiles: one whose scores are made, the one before, and those on their way.
    static constexpr int kTiles = Columns <= 24 ? 4 : 3;
    alignas(16) unsigned char tile[kTiles][kTile][kRowBytes];
    float scores[kSlices][Columns][kScorePitch];
    alignas(16) __half p[Columns][kWeightPitch];
    float rescale[Columns];
};

// Copies the rows [first, first + 32); those from `end` on become zeros: 0 * NaN would reach the
// sums.
template <int Columns>
__device__ __forceinline__ void issue(
    const Attend& w, const Part& part, int first, int turn, Shared<Columns>& s) {
    if (first < part.end) {
        const std::byte* from = w.batch.pages[part.group.table + first / 64] +
                                w.rows.layer_offset_bytes +
                                first % 64 * static_cast<int64_t>(kRowBytes);
        unsigned char* to = &s.tile[turn][0][0];
        for (int i = threadIdx.x * 16; i < kRowBytes * kTile; i += kThreads * 16) {
            simt::cp_async16(to + i, from + i, first + i / kRowBytes < part.end ? 16 : 0);
        }
    }
    simt::cp_async_commit();
}

// Two of four codes, as halves: bytes 0 and 1, 2 and 3, 0 and 2, or 1 and 3.
template <unsigned Selector>
__device__ __forceinline__ uint32_t two_codes(uint32_t flipped) {
    const uint32_t biased = __byte_perm(flipped, 0x64646464U, Selector);
    const __half2 codes = __hsub2(half2_of(biased), half2_of(0x64806480U));
    return bits_of(codes);
}
constexpr unsigned kLow = 0x4140, kHigh = 0x4342, kEven = 0x4240, kOdd = 0x4341;

// grid (splits, groups)
template <int Columns>
__global__ void __launch_bounds__(kThreads, 1) mla_latent_kernel(Attend w) {
    using Memory = Shared<Columns>;
    constexpr int kN = Columns / 8;
    constexpr int kTiles = Memory::kTiles;
    simt::let_next_start();
    simt::wait_for_before();
    SIMT_DYNAMIC_SHARED(bytes);
    Memory& s = *reinterpret_cast<Memory*>(bytes);
    const int t = threadIdx.x, lane = t & 31, warp = t >> 5, g = lane >> 2, q4 = lane & 3;
    const Part part = part_of(w);
    if (part.begin >= part.end) {
        leave_nothing(w, part);
        return;
    }
    SIMT_UNROLL
    for (int i = 0; i < kTiles - 2; i++) {
        issue<Columns>(w, part, part.begin + i * kTile, i, s);
    }

    // Queries in registers, as the B operand: this warp's slice, scaled for exp2. No branch, so
    // that the loads go out together.
    const int tokens16 = warp & 1, slice = warp >> 1;
    uint32_t queries[kLatentSteps + 1][kN][2];
    const float scale = w.scale * 1.4426950408889634F;
    SIMT_UNROLL
    for (int n = 0; n < kN; n++) {
        const int32_t c = real_column(part, n * 8 + g);
        const float* latent =
            w.absorbed.row(static_cast<int32_t>(part.first_column) + c) + slice * 128 + 4 * q4;
        const float* rotary =
            w.q.row(part.group.first_row * w.n_heads + c) + w.head - kRotary + slice * 16 + 2 * q4;
        SIMT_UNROLL
        for (int step = 0; step < kLatentSteps; step++) {
            const float4 four = *reinterpret_cast<const float4*>(latent + step * 16);
            queries[step][n][0] = pack(__half{}, four.x * scale, four.y * scale);
            queries[step][n][1] = pack(__half{}, four.z * scale, four.w * scale);
        }
        SIMT_UNROLL
        for (int r = 0; r < 2; r++) {
            const float2 both = *reinterpret_cast<const float2*>(rotary + 8 * r);
            queries[kLatentSteps][n][r] = pack(__half{}, both.x * scale, both.y * scale);
        }
    }

    Softmax<__half, Columns> softmax;
    softmax.begin();
    // 64 rows of O^T in tiles of 16, all columns: of tile m, rows g and g + 8 are numbers
    // warp * 64 + m * 16 + 2 g and the next.
    float out[4][kN][4] = {};

    const int n_tiles = (part.end - part.begin + kTile - 1) / kTile;
    int now = 0, before = kTiles - 1, next = kTiles - 2;  // turns
    for (int j = 0; j <= n_tiles; j++) {
        simt::cp_async_wait<kTiles - 3>();
        __syncthreads();  // tile j is there for all, and the weights of tile j - 1
        issue<Columns>(w, part, part.begin + (j + kTiles - 2) * kTile, next, s);
        if (j < n_tiles) {
            float score[kN][4] = {};
            const unsigned char* low = s.tile[now][tokens16 * 16 + g];
            const unsigned char* high = s.tile[now][tokens16 * 16 + g + 8];
            SIMT_UNROLL
            for (int step = 0; step < kLatentSteps; step++) {
                const int at = slice * 128 + step * 16 + 4 * q4;
                const uint32_t a_low = *reinterpret_cast<const uint32_t*>(low + at) ^ 0x80808080U;
                const uint32_t a_high = *reinterpret_cast<const uint32_t*>(high + at) ^ 0x80808080U;
                const uint32_t a[4] = {two_codes<kLow>(a_low), two_codes<kLow>(a_high),
                                       two_codes<kHigh>(a_low), two_codes<kHigh>(a_high)};
                SIMT_UNROLL
                for (int n = 0; n < kN; n++) {
                    simt::mma_f16(score[n], a, queries[step][n]);
                }
            }
            const float scale_low = reinterpret_cast<const float*>(low + kScalesAt)[slice];
            const float scale_high = reinterpret_cast<const float*>(high + kScalesAt)[slice];
            SIMT_UNROLL
            for (int n = 0; n < kN; n++) {
                score[n][0] *= scale_low;
                score[n][1] *= scale_low;
                score[n][2] *= scale_high;
                score[n][3] *= scale_high;
            }
            uint32_t a[4];
            simt::ldmatrix(a, s.tile[now][tokens16 * 16 + (lane & 15)] + kRotaryAt + slice * 32 +
                                  16 * (lane >> 4));
            SIMT_UNROLL
            for (int n = 0; n < kN; n++) {
                simt::mma_f16(score[n], a, queries[kLatentSteps][n]);
                SIMT_UNROLL
                for (int r = 0; r < 4; r++) {
                    s.scores[slice][n * 8 + 2 * q4 + (r & 1)][tokens16 * 16 + g + 8 * (r >> 1)] =
                        score[n][r];
                }
            }
        }
        if (j > 0) {
            rescale_columns(out, s.rescale);
            SIMT_UNROLL
            for (int step = 0; step < kTile / 16; step++) {
                // Weights times scales; the scales as the largest number of a row, since codes go
                // up to 127.
                uint32_t p[kN][2];
                SIMT_UNROLL
                for (int r = 0; r < 2; r++) {
                    const int token = step * 16 + 2 * q4 + 8 * r;
                    const float one =
                        reinterpret_cast<const float*>(s.tile[before][token] + kScalesAt)[warp / 2];
                    const float other = reinterpret_cast<const float*>(s.tile[before][token + 1] +
                                                                       kScalesAt)[warp / 2];
                    const __half2 scales = __floats2half2_rn(one * kCodes, other * kCodes);
                    SIMT_UNROLL
                    for (int n = 0; n < kN; n++) {
                        const uint32_t weights =
                            *reinterpret_cast<const uint32_t*>(&s.p[n * 8 + g][token]);
                        p[n][r] = bits_of(__hmul2(half2_of(weights), scales));
                    }
                }
                SIMT_UNROLL
                for (int pair = 0; pair < 2; pair++) {
                    // Matrices of byte pairs: tokens 0-7 | 8-15 of numbers 0-15, then of 16-31.
                    uint32_t v[4];
                    simt::ldmatrix<true>(
                        v, s.tile[before][step * 16 + (lane & 7) + 8 * (lane >> 3 & 1)] +
                               warp * 64 + pair * 32 + 16 * (lane >> 4));
                    SIMT_UNROLL
                    for (int half = 0; half < 2; half++) {
                        const uint32_t first = v[2 * half] ^ 0x80808080U,
                                       second = v[2 * half + 1] ^ 0x80808080U;
                        const uint32_t a[4] = {two_codes<kEven>(first), two_codes<kOdd>(first),
                                               two_codes<kEven>(second), two_codes<kOdd>(second)};
                        SIMT_UNROLL
                        for (int n = 0; n < kN; n++) {
                            simt::mma_f16(out[2 * pair + half][n], a, p[n]);
                        }
                    }
                }
            }
        }
        __syncthreads();  // the scores of tile j are there, the weights of tile j - 1 used
        if (j < n_tiles) {
            const int first = part.begin + j * kTile;
            softmax.tile(w, part, first, s.scores, s.p, s.rescale);
            const RowRange some = seen_by_some(part, first);
            const int r = some.begin + t / kSlices;
            if (r < some.end) {
                float& scale_of = reinterpret_cast<float*>(s.tile[now][r] + kScalesAt)[t % kSlices];
                scale_of = scale_of == scale_of ? fminf(scale_of, kMostScale) : 0.0F;
            }
        }
        before = now;
        now = now + 1 == kTiles ? 0 : now + 1;
        next = next + 1 == kTiles ? 0 : next + 1;
    }

    float(&inverse)[Columns] = s.rescale;
    softmax.end(w, part, inverse);
    __syncthreads();
    SIMT_UNROLL
    for (int n = 0; n < kN; n++) {
        SIMT_UNROLL
        for (int side = 0; side < 2; side++) {
            const int c = n * 8 + 2 * q4 + side;
            if (c >= part.n_columns) {
                continue;
            }
            const float factor = inverse[c] * (1 / kCodes);
            const int at = warp * 64 + 2 * g;
            if (part.whole) {
                float* to = w.mixed + (part.first_column + c) * kLatent + at;
                SIMT_UNROLL
                for (int m = 0; m < 4; m++) {
                    *reinterpret_cast<float2*>(to + m * 16) =
                        make_float2(out[m][n][side] * factor, out[m][n][2 + side] * factor);
                }
            } else {
                uint16_t* to =
                    w.part + ((part.first_column + c) * w.n_splits + part.split) * kLatent + at;
                SIMT_UNROLL
                for (int m = 0; m < 4; m++) {
                    *reinterpret_cast<uint32_t*>(to + m * 16) =
                        pack(__half{}, out[m][n][side] * factor, out[m][n][2 + side] * factor);
                }
            }
        }
    }
}

template <int Columns>
void launch(const Attend& w, simt::Stream stream) {
    static_assert(sizeof(Shared<Columns>) <= simt::kSharedBytes);
    simt::launch({dim3(static_cast<unsigned>(w.n_splits), static_cast<unsigned>(w.n_groups)),
                  kThreads, sizeof(Shared<Columns>), stream, true},
                 mla_latent_kernel<Columns>, w);
}

}  // namespace

void launch_mla_latent(const Attend& w, simt::Stream stream) {
    const int32_t columns = w.group_tokens * w.n_heads;
    ENSURE(columns <= 40, w.group_tokens, " tokens of ", w.n_heads, " heads");
    if (columns <= 8) {
        launch<8>(w, stream);
    } else if (columns <= 24) {
        launch<24>(w, stream);
    } else {
        launch<40>(w, stream);
    }
}

}  // namespace kernels::cuda
