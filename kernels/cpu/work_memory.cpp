// How much working memory the operations of the CPU take at most: the sizes that they ask Scratch
// for, for the largest pass. A bound that holds whichever formats the weights want; what is never
// touched is never given by the system.
#include <algorithm>

#include "kernels/cpu/attention.h"

namespace kernels::cpu {

int64_t CpuBackend::work_bytes(const WorkShape& s) const {
    constexpr int64_t kFloat = 4, kPointer = 8;
    constexpr int64_t kUpRows = 64;       // of a feed-forward block, private to a thread
    constexpr int64_t kExpandTile = 256;  // positions whose keys and values are expanded at a time
    const int64_t threads = std::max(threads_, threads_batch_);
    const int64_t n = std::min(s.n_tokens, kBlockTokens), pairs = n * s.n_used;
    const int64_t rows = pairs + (s.shared_ff > 0 ? n : 0),
                  attended = std::min(s.n_tokens, kAbsorbTokens);
    const int64_t row = padded(s.latent + s.rotary), mix = padded(s.latent) + kLanes;
    const auto packed = [](int64_t cols) {  // of both formats
        int64_t bytes = 0;
        for (int f = 0; f < kActivationFormats; f++) {
            bytes += (activation_row_bytes(static_cast<ActivationFormat>(f), cols) + 63) / 64 * 64;
        }
        return bytes;
    };

    int64_t bytes = 0;
    // Activations as products want them, of a norm's input and inside feed-forward blocks.
    const int64_t widest = std::max({s.hidden, s.q_latent, s.n_heads * s.value});
    bytes += n * packed(widest) + attended * s.n_heads * packed(std::max(s.nope, s.latent));
    bytes += std::max(n * packed(s.dense_ff), rows * packed(std::max(s.expert_ff, s.shared_ff)));
    bytes += 2 * kPointer * (3 * std::max(n, rows) + attended * s.n_heads) + kPointer * s.n_tokens;
    // Feed-forward blocks: hidden numbers, results, routing.
    bytes += std::max(n * s.dense_ff, rows * std::max(s.expert_ff, s.shared_ff)) * kFloat;
    bytes += std::max(n, rows) * s.hidden * kFloat;
    bytes += 2 * n * s.n_experts * kFloat + (2 * pairs + 2 * s.n_experts + 1 + pairs) * kFloat;
    bytes += (s.n_experts + 1) * static_cast<int64_t>(sizeof(GluJob));
    // Attention: queries as floats and in three parts as tiles of 16 columns, of as many groups as
    // sequences and tokens can make; mixed latents; sums of parts; a thread's rows, scores and
    // sums.
    const int64_t columns = (kTiledGroupTokens * s.n_heads + kLanes - 1) / kLanes * kLanes;
    const int64_t groups = attended / kTiledGroupTokens + std::min(s.n_sequences, attended) + 1;
    const int64_t wide = row + 2 * kLanes;
    bytes += attended * s.n_heads * (row + mix) * kFloat + 16 * 1024;
    bytes += groups * (columns + kLanes) * wide * 6;
    bytes += threads * kPartTokensPerThread * s.n_heads * mix * kFloat;
    const int64_t attending = 2 * kPageTokens * 3 * wide * kFloat +
                              columns * (mix + 16 * kPageTokens) * kFloat +
                              (s.n_heads + 2 * kLanes) * wide * 6 + 32 * 1024;
    int64_t worker =
        std::max({attending, n * kUpRows * kFloat, (padded(widest) + 2 * row) * kFloat});
    if (s.n_tokens >= kBlockTokens) {  // long chunks expand keys and values
        const int64_t k = padded(s.nope + s.rotary), v = padded(s.value);
        bytes += s.n_heads * kFloat *
                 (kExpandTile * (k + v) + s.latent * padded(s.nope) + s.value * padded(s.latent));
        bytes += 2 * s.n_heads * s.n_tokens * kFloat;
        worker = std::max(worker, kPageTokens * (k + v + kPageTokens) * kFloat);
    }
    bytes += threads * worker;
    // Blocks are whole pages, and one that grew leaves a gap: an eighth.
    constexpr int64_t kPage = 4096;
    bytes += bytes / 8 + static_cast<int64_t>(Slot::count) * kPage;
    return (bytes + kPage - 1) / kPage * kPage;
}

void CpuBackend::reserve_work(const WorkShape& shape) {
    scratch_.reserve(work_bytes(shape));
}

}  // namespace kernels::cpu
