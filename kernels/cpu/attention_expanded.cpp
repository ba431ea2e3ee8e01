// Attention over the paged K rows, expanded form: for each tile of 256 positions the keys and
// values of every head are computed once for the whole chunk, then it is ordinary attention with
// heads of N + R and V.
//
// Multiplications per query token and cached position and head: absorbed 2 L + R, expanded N + R +
// V (1,088 and 512 for GLM-4.7-Flash), plus L (N + V) once per position (229,376): the gain begins
// where a chunk has some 400 tokens.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/check.h"
#include "kernels/cpu/attention.h"
#include "kernels/quants/quants.h"

namespace kernels::cpu {
namespace {

constexpr int64_t kTilePages = 4;
constexpr int64_t kTileTokens = kTilePages * kPageTokens;
constexpr int64_t kQueryTokens = 64;  // queries that a thread takes through a tile at a time

}  // namespace

void CpuBackend::attend_expanded(const Attention& a, const SequenceSpan& span) {
    const int64_t heads = a.n_heads(), nope = a.nope(), latent = a.latent(), value = a.value(),
                  rotary = a.rotary();
    const int64_t row = a.row();
    const int64_t k_cols = padded(nope), k_row = padded(nope + rotary), v_cols = padded(value),
                  z_cols = padded(latent);

    // The two weights as floats, rows padded with zeros: k_b [H, L, k_cols], v_b [H, V, z_cols].
    auto* k_b = scratch_.get<float>(Slot::weights, heads * (latent * k_cols + value * z_cols));
    float* v_b = k_b + heads * latent * k_cols;
    const auto widen = [&](float* dst, int64_t dst_cols, const TensorView& weight) {
        const int64_t per_head = weight.size[1], cols = weight.size[2];
        parallel(heads * per_head, 16, [&](int64_t begin, int64_t end, int) {
            for (int64_t i = begin; i < end; i++) {
                const std::byte* src = weight.data + i / per_head * weight.stride_bytes[0] +
                                       i % per_head * weight.stride_bytes[1];
                dequantize_row(weight.dtype, src, dst + i * dst_cols, cols);
                std::fill(dst + i * dst_cols + cols, dst + (i + 1) * dst_cols, 0.0F);
            }
        });
    };
    widen(k_b, k_cols, a.k_b);
    widen(v_b, z_cols, a.v_b);

    auto* keys = scratch_.get<float>(Slot::keys_values,
                                     heads * kTileTokens * (k_row + v_cols));  // [H, 256, k_row]
    float* values = keys + heads * kTileTokens * k_row;                        // [H, 256, v_cols]
    // Largest score and sum of weights so far [H, T]; the sums of values so far stand in a.heads.
    auto* running = scratch_.get<float>(Slot::running, 2 * heads * span.n_tokens);
    const int64_t private_size =
        std::max(kPageTokens * row, kQueryTokens * (k_row + v_cols + kPageTokens));
    auto* private_rows = scratch_.get<float>(Slot::worker, private_size * active_);

    const int64_t positions = span.start + span.n_tokens;
    const int64_t blocks = (span.n_tokens + kQueryTokens - 1) / kQueryTokens;
    for (int64_t tile = 0; tile < positions; tile += kTileTokens) {
        const int64_t tile_end = std::min(tile + kTileTokens, positions);
        const int64_t pages = (tile_end - tile + kPageTokens - 1) / kPageTokens;

        parallel(pages * heads, 1, [&](int64_t begin, int64_t end, int worker) {
            float* z = private_rows + worker * private_size;
            int64_t in_z = -1;
            for (int64_t i = begin; i < end; i++) {
                const int64_t page = i / heads, h = i % heads;
                const int64_t first = tile + page * kPageTokens,
                              count = std::min(kPageTokens, tile_end - first);
                if (page != in_z) {
                    a.read_page(rows_, span, first / kPageTokens, count, z);
                    in_z = page;
                }
                float* k = keys + (h * kTileTokens + page * kPageTokens) * k_row;
                float* v = values + (h * kTileTokens + page * kPageTokens) * v_cols;
                rows_.mix(k, k_row, nullptr, z, row, count, k_b + h * latent * k_cols, k_cols,
                          latent, k_cols);
                for (int64_t r = 0; r < count; r++) {
                    std::copy_n(z + r * row + latent, rotary, k + r * k_row + nope);
                    std::fill(k + r * k_row + nope + rotary, k + (r + 1) * k_row, 0.0F);
                }
                rows_.dot(v, v_cols, z, row, count, v_b + h * value * z_cols, z_cols, value,
                          z_cols);
                for (int64_t r = 0; r < count; r++) {
                    std::fill(v + r * v_cols + value, v + (r + 1) * v_cols, 0.0F);
                }
            }
        });

        parallel(heads * blocks, 1, [&](int64_t begin, int64_t end, int worker) {
            float* queries = private_rows + worker * private_size;  // [64, k_row]
            float* sums = queries + kQueryTokens * k_row;           // [64, v_cols]
            float* scores = sums + kQueryTokens * v_cols;           // [64, 64]
            for (int64_t i = begin; i < end; i++) {
                const int64_t h = i / blocks, first = i % blocks * kQueryTokens;
                const int64_t count = std::min(kQueryTokens, span.n_tokens - first);
                if (span.start + first + count <= tile) {
                    continue;  // the tile lies behind all of them
                }
                float* max = running + (h * span.n_tokens + first) * 2;
                for (int64_t t = 0; t < count; t++) {
                    const int64_t token = span.first_row + first + t;
                    std::copy_n(a.query(token, h), nope + rotary, queries + t * k_row);
                    std::fill(queries + t * k_row + nope + rotary, queries + (t + 1) * k_row, 0.0F);
                    float* sum = sums + t * v_cols;
                    if (tile == 0) {
                        std::fill(sum, sum + v_cols, 0.0F);
                        max[2 * t] = -INFINITY;
                        max[2 * t + 1] = 0;
                    } else {
                        std::copy_n(a.result(token, h), value, sum);
                        std::fill(sum + value, sum + v_cols, 0.0F);
                    }
                }
                for (int64_t page = 0; page < pages; page++) {
                    const int64_t page_begin = tile + page * kPageTokens;
                    const float* k = keys + (h * kTileTokens + page * kPageTokens) * k_row;
                    const float* v = values + (h * kTileTokens + page * kPageTokens) * v_cols;
                    // Tokens [t, t + n) see the first `seen` rows of the page: one by one at the
                    // diagonal, behind it all the rest at once.
                    for (int64_t t = 0, n = 1; t < count; t += n) {
                        const int64_t seen =
                            std::min(kPageTokens, span.start + first + t + 1 - page_begin);
                        n = seen == kPageTokens ? count - t : 1;
                        if (seen <= 0) {
                            continue;
                        }
                        rows_.dot(scores, kPageTokens, queries + t * k_row, k_row, n, k, k_row,
                                  seen, k_row);
                        float factors[kQueryTokens];
                        for (int64_t j = 0; j < n; j++) {
                            factors[j] =
                                rows_.softmax_step(scores + j * kPageTokens, seen, a.scale,
                                                   max + 2 * (t + j), max + 2 * (t + j) + 1);
                        }
                        rows_.mix(sums + t * v_cols, v_cols, factors, scores, kPageTokens, n, v,
                                  v_cols, seen, v_cols);
                    }
                }
                for (int64_t t = 0; t < count; t++) {
                    const int64_t position = span.start + first + t;
                    // In the tile that holds the token itself the sum is complete; a later one is
                    // not touched again.
                    const bool before = position < tile, last = position < tile_end;
                    if (!before) {
                        rows_.multiply(a.result(span.first_row + first + t, h), sums + t * v_cols,
                                       last ? 1.0F / max[2 * t + 1] : 1.0F, value);
                    }
                }
            }
        });
    }
}

}  // namespace kernels::cpu
