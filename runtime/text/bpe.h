// Byte-level BPE over one piece of text: the merge of lowest rank first, leftmost among equals,
// until none applies (as llama.cpp's llm_tokenizer_bpe does). Knows ids only, no spelling.
// Immutable after construction: any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace runtime {

class Bpe {
public:
    struct Merge {
        int32_t left, right,
            result;  // rank = position in the list; the first of two equal pairs counts
    };

    Bpe(const std::array<int32_t, 256>& byte_ids, std::span<const Merge> merges);

    // Appends the ids of a piece. O(n log n) in its length; memory 28 bytes per byte of the longest
    // piece.
    void encode(std::string_view piece, std::vector<int32_t>& append_to) const;

private:
    static constexpr uint32_t kNoRank = UINT32_MAX;

    struct Rule {
        uint32_t rank = kNoRank;
        int32_t result = 0;
    };
    struct Slot {
        uint64_t pair = 0;
        Rule rule;  // rank kNoRank: empty
    };

    Rule find(int32_t left, int32_t right) const;
    void encode_short(std::string_view piece, std::vector<int32_t>& append_to) const;
    void encode_long(std::string_view piece, std::vector<int32_t>& append_to) const;

    std::array<int32_t, 256> byte_ids_;
    std::vector<Rule> byte_rules_;  // [256, 256] by bytes: where every piece starts
    std::vector<Slot> slots_;       // open addressing, a power of two, at most half full
    uint64_t mask_ = 0;
};

}  // namespace runtime
