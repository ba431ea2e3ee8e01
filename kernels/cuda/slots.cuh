// Which rows a block of a product works on. Shared by the kernels of few rows and of many.
#pragma once

#include "kernels/cuda/products.h"

namespace kernels::cuda {

struct Slot {
    int32_t source;
    int32_t target;
};

__device__ __forceinline__ Slot slot_of(const Products& p,
                                        int32_t first,
                                        int32_t i,
                                        int32_t expert) {
    if (p.slots == SlotForm::tokens) {
        const int32_t s = first + i;
        return {p.list != nullptr ? p.list[s] : s, s};
    }
    if (p.slots == SlotForm::heads) {
        const int32_t r = (first + i) * p.n_heads + expert;
        return {r, r};
    }
    const int32_t pair = p.pairs[first + i];
    return {pair / p.pairs_a_row, pair};
}

// Which slots this block works on: `count` from `first`, all of one expert. 0 where there is
// nothing to do.
struct Share {
    int32_t expert = 0, first = 0, count = 0;
};

template <int Tokens>
__device__ __forceinline__ Share share_of(const Products& p, int32_t y) {
    Share s;
    if (p.slots == SlotForm::routed) {
        if (y < *p.n_items) {
            s = {p.items[y].expert, p.items[y].begin, p.items[y].count};
        }
        return s;
    }
    const int32_t tiles = (p.n_slots + Tokens - 1) / Tokens;
    s.expert = y / tiles;
    s.first = y % tiles * Tokens;
    s.count = min(Tokens, p.n_slots - s.first);
    return s;
}

// A row of all parts, one part after the other.
struct PartRow {
    int32_t part = 0;
    int32_t row = 0;
};
__device__ __forceinline__ PartRow part_row(const Products& p, int32_t row) {
    PartRow r{0, row};
    while (r.row >= p.parts[r.part].rows) {
        r.row -= p.parts[r.part].rows;
        r.part++;
    }
    return r;
}

// The activation at column c of a slot's row, before rounding.
__device__ __forceinline__ float activation(
    const Products& p, const float* x, const float* up, float factor, int c) {
    if (p.input == InputForm::normed) {
        return x[c] * factor * p.norm[c];
    }
    if (p.input == InputForm::gated) {
        return x[c] / (1.0F + expf(-x[c])) * up[c];
    }
    return x[c];
}

}  // namespace kernels::cuda
