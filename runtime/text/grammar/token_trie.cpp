#include "runtime/text/grammar/token_trie.h"

#include <algorithm>
#include <bitset>
#include <string_view>
#include <utility>

namespace runtime {

TokenTrie::TokenTrie(const Tokenizer& tokenizer) : vocab_size_(tokenizer.vocab_size()) {
    std::vector<std::pair<std::string_view, TokenId>> sorted;
    std::bitset<256> single;
    for (int64_t i = 0; i < vocab_size_; i++) {
        const auto id = static_cast<TokenId>(i);
        const std::string_view bytes = tokenizer.bytes(id);
        if (tokenizer.can_be_sampled(id) && !tokenizer.is_special(id) &&
            !tokenizer.is_end_of_turn(id) && !bytes.empty()) {
            sorted.emplace_back(bytes, id);
            deepest_ = std::max(deepest_, bytes.size());
            if (bytes.size() == 1) {
                single.set(static_cast<unsigned char>(bytes[0]));
            }
        }
    }
    has_all_bytes_ = single.all();
    std::sort(sorted.begin(), sorted.end());
    std::vector<size_t> path;  // nodes from the root to the last one
    std::string_view before;
    const auto close = [&](size_t depth) {
        while (path.size() > depth) {
            nodes_[path.back()].skip = static_cast<int32_t>(nodes_.size());
            path.pop_back();
        }
    };
    for (const auto& [bytes, id] : sorted) {
        const auto differs =
            std::mismatch(bytes.begin(), bytes.end(), before.begin(), before.end());
        const auto common = static_cast<size_t>(differs.first - bytes.begin());
        close(common);
        for (size_t d = common; d < bytes.size(); d++) {
            path.push_back(nodes_.size());
            nodes_.push_back({0, static_cast<int32_t>(tokens_.size()), static_cast<uint16_t>(d),
                              static_cast<uint8_t>(bytes[d])});
        }
        tokens_.push_back(id);
        before = bytes;
    }
    close(0);
    nodes_.push_back({0, static_cast<int32_t>(tokens_.size()), 0, 0});
}

std::shared_ptr<const TokenTrie> SharedTokenTrie::get() {
    const std::lock_guard lock(mutex_);
    if (!trie_) {
        trie_ = std::make_shared<const TokenTrie>(*tokenizer_);
    }
    return trie_;
}

TokenTrie::Match TokenTrie::longest(std::string_view text) const {
    Match best;
    size_t n = 0, end = size(), depth = 0;
    while (n < end && depth < text.size()) {
        const Node& node = nodes_[n];
        if (node.byte != static_cast<uint8_t>(text[depth])) {
            n = static_cast<size_t>(node.skip);
            continue;
        }
        depth++;
        if (!tokens_of(n).empty()) {
            best = {tokens_of(n).front(), depth};
        }
        end = static_cast<size_t>(node.skip);
        n++;
    }
    return best;
}

}  // namespace runtime
