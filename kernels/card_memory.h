// What a graphics card's memory goes to: the working arrays of the CUDA backend for the largest
// pass it will be asked for, and how allocations are rounded. Arithmetic alone, so that a plan for
// a card can be made where there is none; the backend allocates by the same functions.
#pragma once

#include <array>
#include <cstdint>

#include "kernels/backend.h"

namespace kernels {

// Driver, context and kernels: what a card has lost before the first allocation (466 MiB were
// measured on 24 GB cards of two generations; see tests/peers/README.md).
inline constexpr int64_t kCardOverheadBytes = int64_t{466} << 20;
// The driver hands out device memory in pieces of this size.
inline constexpr int64_t kCardGranuleBytes = int64_t{2} << 20;
// Of weights inside the one allocation that holds them.
inline constexpr int64_t kCardAlignment = 256;

inline constexpr int64_t round_up(int64_t bytes, int64_t step) {
    return (bytes + step - 1) / step * step;
}

inline constexpr int kTileTokens = 4;  // pairs of one expert that a block works on at a time
// The same where products go in tiles on tensor cores: in passes of so many tokens and more.
inline constexpr int kTileSlots = 128;
inline constexpr int kSmallTileSlots = 64;  // where most experts have no more
inline constexpr int64_t kTilesFrom = 32;

// The most work items that `pairs` pairs of `experts` experts can make.
inline int32_t most_items(int64_t pairs, int64_t experts, int64_t item = kTileTokens) {
    const int64_t full = (pairs + item - 1) / item;
    return static_cast<int32_t>(pairs < full + experts ? pairs : full + experts);
}

// Spans of more query tokens than this are attended in the expanded form (cuda/mla_expand.h), and
// the absorbed one holds so many tokens at a time. Up to here a token's bits do not depend on what
// is beside it, as backend.h promises.
inline constexpr int64_t kAbsorbedTokens = 512;
// Cached tokens whose keys and values exist at a time.
inline constexpr int64_t kPieceTokens = 4096;

// Of splits' sums at a time: a chunk of 512 tokens over 200,000 would take a gigabyte.
inline constexpr int64_t kPartBytes = int64_t{32} << 20;

// Cached tokens a split takes for a query at this position on a card of so many multiprocessors:
// short sequences in one piece, which needs no merge; from there on as many splits as there are
// multiprocessors, at least two tiles each. A function of the position, so that a token's sums do
// not depend on what else is in the pass; groups never hold two of its values.
inline constexpr int32_t kMostSplits = 192;
inline constexpr int32_t kWholeTokens = 256;  // up to these in one split
inline constexpr int32_t kLeastSplitTokens = 64;
inline int32_t split_tokens_at(int32_t position, int32_t processors) {
    constexpr int32_t kTile = 32;
    if (position < kWholeTokens) {
        return kWholeTokens;
    }
    const int32_t splits = processors < kMostSplits ? processors : kMostSplits;
    const int32_t even = (position / splits + kTile) / kTile * kTile;
    return even < kLeastSplitTokens ? kLeastSplitTokens : even;
}

// The splits a kept pass has room for: few sizes, so that few passes are kept.
inline constexpr int32_t split_room(int32_t splits) {
    int32_t room = 1;
    while (room < splits) {
        room += room < 16 ? room : 16;
    }
    return room;
}

// Passes of up to so many tokens are kept as graphs of launches, one for each shape; what differs
// from pass to pass reaches the card in one copy of `step`.
inline constexpr int64_t kStepTokens = 8;
inline constexpr int64_t kStepTokenBytes = 64;  // of a token's id, places and group; beside its row

// Working memory, one piece a purpose.
enum class CardSlot : uint8_t {
    zero,    // stays so
    ticket,  // of the last block of a launch: 0 between launches
    step,
    ids,
    rows,
    places,
    pages,
    groups,
    table_rows,
    turns,  // cosines and sines of the pass's positions
    norm,
    norm_2,
    bias,
    absorbed,
    part,
    weight,
    mixed,
    head_weights,
    latents,
    keys_values,
    span_state,
    gate,
    up,
    down,
    logits,
    chosen,
    weights,
    items,
    n_items,
    pairs,
    shared_gate,
    shared_up,
    shared_down,
    packed,  // activations as tiles read them
    count
};
inline constexpr size_t kCardSlots = static_cast<size_t>(CardSlot::count);

// Bytes of each slot, whole kCardAlignment.
std::array<int64_t, kCardSlots> card_slot_bytes(const WorkShape& shape);
int64_t card_work_bytes(const WorkShape& shape);

}  // namespace kernels
