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

// Four numbers from anywhere, in one load where they lie on 16 bytes.
__device__ __forceinline__ void four(const float* from, float (&v)[4]) {
    if ((reinterpret_cast<uintptr_t>(from) & 15) == 0) {
        const float4 all = *reinterpret_cast<const float4*>(from);
        v[0] = all.x, v[1] = all.y, v[2] = all.z, v[3] = all.w;
    } else {
        SIMT_UNROLL
        for (int k = 0; k < 4; k++) {
            v[k] = from[k];
        }
    }
}

// Four numbers of a row before the norm.
__device__ __forceinline__ void four_inputs(const Products& p, int32_t row, int c, float (&v)[4]) {
    four(p.x.row(row) + c, v);
    if (p.input == InputForm::gated) {
        float up[4];
        four(p.up.row(row) + c, up);
        SIMT_UNROLL
        for (int k = 0; k < 4; k++) {
            v[k] = v[k] / (1.0F + expf(-v[k])) * up[k];
        }
    }
}

}  // namespace kernels::cuda
