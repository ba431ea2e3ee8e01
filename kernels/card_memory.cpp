#include "kernels/card_memory.h"

#include <algorithm>
#include <numeric>

namespace kernels {

std::array<int64_t, kCardSlots> card_slot_bytes(const WorkShape& s) {
    constexpr int64_t kFloat = 4;
    const int64_t tokens = s.n_tokens, pairs = tokens * s.n_used,
                  absorbed = std::min(tokens, kAbsorbedTokens),
                  group = std::max<int64_t>(1, 40 / s.n_heads);

    // The most splits of a token, wherever it stands and whatever the card.
    const int64_t splits =
        s.context <= kWholeTokens
            ? 1
            : split_room(static_cast<int32_t>(std::min<int64_t>(
                  kMostSplits, (s.context + kLeastSplitTokens - 1) / kLeastSplitTokens)));
    // Splits' sums are held for as many tokens as kPartBytes has room for, and at least for one
    // group.
    const int64_t token_sums = s.n_heads * splits;
    const int64_t held =
        std::min(absorbed * token_sums,
                 std::max(kPartBytes / (s.latent * 2), std::min(group, tokens) * token_sums));

    std::array<int64_t, kCardSlots> bytes{};
    const auto set = [&](CardSlot slot, int64_t size) {
        bytes[static_cast<size_t>(slot)] = round_up(std::max<int64_t>(size, 1), kCardAlignment);
    };
    for (size_t i = 0; i < kCardSlots; i++) {
        set(static_cast<CardSlot>(i), 0);
    }
    set(CardSlot::step, std::min(tokens, kStepTokens) * (kStepTokenBytes + s.hidden * kFloat));
    set(CardSlot::ids, tokens * 4);
    set(CardSlot::rows, tokens * 4);
    set(CardSlot::places, tokens * 8);
    set(CardSlot::pages,
        std::min(s.n_sequences, tokens) * ((s.context + kPageTokens - 1) / kPageTokens) * 8);
    set(CardSlot::groups, tokens * 20);
    set(CardSlot::table_rows, tokens * s.hidden * kFloat);
    set(CardSlot::turns, tokens * s.rotary * kFloat);
    set(CardSlot::absorbed, absorbed * s.n_heads * s.latent * kFloat);
    set(CardSlot::part, held * s.latent * 2);
    set(CardSlot::weight, held * 8);
    set(CardSlot::mixed, absorbed * s.n_heads * s.latent * kFloat);
    if (tokens > kAbsorbedTokens) {
        const int64_t piece = std::min(kPieceTokens, s.context), row = s.nope + s.value;
        set(CardSlot::head_weights, s.n_heads * row * s.latent * 2);
        set(CardSlot::latents, piece * (s.latent + s.rotary) * 2);
        set(CardSlot::keys_values, s.n_heads * piece * row * 2);
        set(CardSlot::span_state, tokens * s.n_heads * 8);
    }
    set(CardSlot::gate, std::max(tokens * s.dense_ff, pairs * s.expert_ff) * kFloat);
    set(CardSlot::up, std::max(tokens * s.dense_ff, pairs * s.expert_ff) * kFloat);
    set(CardSlot::down, pairs * s.hidden * kFloat);
    set(CardSlot::logits, tokens * s.n_experts * kFloat);
    set(CardSlot::chosen, pairs * 4);
    set(CardSlot::weights, pairs * kFloat);
    set(CardSlot::items, most_items(pairs, s.n_experts) * 12);
    set(CardSlot::n_items, 4);
    set(CardSlot::pairs, pairs * 4);
    set(CardSlot::shared_gate, tokens * s.shared_ff * kFloat);
    set(CardSlot::shared_up, tokens * s.shared_ff * kFloat);
    set(CardSlot::shared_down, tokens * s.hidden * kFloat);
    if (tokens >= kTilesFrom) {
        // The widest rows that a product reads; 64: what they are rounded up to.
        int64_t widest = 0;
        for (const int64_t numbers :
             {s.hidden, s.q_latent, s.dense_ff, s.shared_ff, s.n_used * round_up(s.expert_ff, 64),
              s.n_heads * round_up(s.nope, 64), s.n_heads * round_up(s.latent, 64),
              s.n_heads * s.value}) {
            widest = std::max(widest, round_up(numbers, 64));
        }
        set(CardSlot::packed, tokens * widest * 2);
    }
    return bytes;
}

int64_t card_work_bytes(const WorkShape& shape) {
    const auto slots = card_slot_bytes(shape);
    return std::accumulate(slots.begin(), slots.end(), int64_t{0});
}

}  // namespace kernels
