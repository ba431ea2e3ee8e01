#include "kernels/cpu/scratch.h"

#include <algorithm>

namespace kernels::cpu {

std::byte* Scratch::bytes(Slot slot, int64_t bytes) {
    Buffer& block = blocks_[static_cast<size_t>(slot)];
    if (static_cast<int64_t>(block.size_bytes()) < bytes || !block) {
        // The old block goes first: the two together are never needed.
        block.reset();
        constexpr int64_t kPage = 4096;
        block = allocate_((std::max<int64_t>(bytes, 1) + kPage - 1) / kPage * kPage);
    }
    return block.data();
}

}  // namespace kernels::cpu
