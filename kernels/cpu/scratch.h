// Scratch: the working memory of the CPU backend's operations, one block per purpose, kept between
// calls. A block grows when a larger batch needs it for the first time and then stays: a steady
// step allocates nothing. Blocks come out of one reserved piece of memory (pages of it that are
// never touched cost nothing); what does not fit there is allocated beside it. Counted as
// MemoryUse::compute. Blocks are 64-byte aligned; their contents are what the last user left.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "kernels/buffer.h"

namespace kernels::cpu {

enum class Slot : uint8_t {
    packed_f32,
    packed_q8_32,  // activation rows, one slot per ActivationFormat
    packed_2_f32,
    packed_2_q8_32,  // of the second product of a feed-forward block
    pointers,
    pointers_2,
    indices,
    rows,
    jobs,
    vector,
    vector_2,
    worker,  // rows private to a thread
    hidden,
    result,
    scores,
    queries,
    tiled_queries,
    mixed,
    partials,
    keys_values,
    weights,
    running,
    count
};

class Scratch {
public:
    using Allocate = std::function<Buffer(int64_t bytes)>;
    explicit Scratch(Allocate allocate) : allocate_(std::move(allocate)) {}

    // Before the first bytes(): blocks will lie in a piece of this size.
    void reserve(int64_t bytes);

    std::byte* bytes(Slot slot, int64_t bytes);

    template <typename T>
    T* get(Slot slot, int64_t count) {
        return reinterpret_cast<T*>(bytes(slot, count * static_cast<int64_t>(sizeof(T))));
    }

private:
    struct Block {
        std::byte* data = nullptr;
        int64_t bytes = 0;
        Buffer beside;  // its memory, where the reserved piece had no room
    };
    struct Gap {
        int64_t begin = 0, end = 0;
    };
    void give_back(Block& block);

    Allocate allocate_;
    Buffer reserved_;
    std::vector<Gap> gaps_;  // of reserved_, in order, never touching
    std::array<Block, static_cast<size_t>(Slot::count)> blocks_;
};

}  // namespace kernels::cpu
