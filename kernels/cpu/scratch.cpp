#include "kernels/cpu/scratch.h"

#include <algorithm>

#include "kernels/check.h"

namespace kernels::cpu {

void Scratch::reserve(int64_t bytes) {
    for (const Block& block : blocks_) {
        ENSURE(block.data == nullptr, "working memory is reserved after its first use");
    }
    gaps_.clear();
    reserved_.reset();
    if (bytes > 0) {
        reserved_ = allocate_(bytes);
        gaps_ = {{0, bytes}};
    }
}

void Scratch::give_back(Block& block) {
    if (block.data != nullptr && !block.beside) {
        const int64_t begin = block.data - reserved_.data();
        const auto after =
            std::ranges::find_if(gaps_, [&](const Gap& g) { return g.begin > begin; });
        auto gap = gaps_.insert(after, {begin, begin + block.bytes});
        if (gap + 1 != gaps_.end() && gap->end == (gap + 1)->begin) {
            gap->end = (gap + 1)->end;
            gap = gaps_.erase(gap + 1) - 1;
        }
        if (gap != gaps_.begin() && (gap - 1)->end == gap->begin) {
            (gap - 1)->end = gap->end;
            gaps_.erase(gap);
        }
    }
    block = Block();
}

std::byte* Scratch::bytes(Slot slot, int64_t bytes) {
    Block& block = blocks_[static_cast<size_t>(slot)];
    if (block.bytes < bytes || block.data == nullptr) {
        // The old block goes first: the two together are never needed.
        give_back(block);
        constexpr int64_t kPage = 4096;
        block.bytes = (std::max<int64_t>(bytes, 1) + kPage - 1) / kPage * kPage;
        const auto gap = std::ranges::find_if(
            gaps_, [&](const Gap& g) { return g.end - g.begin >= block.bytes; });
        if (gap != gaps_.end()) {
            block.data = reserved_.data() + gap->begin;
            gap->begin += block.bytes;
            if (gap->begin == gap->end) {
                gaps_.erase(gap);
            }
        } else {
            block.beside = allocate_(block.bytes);
            block.data = block.beside.data();
        }
    }
    return block.data;
}

}  // namespace kernels::cpu
