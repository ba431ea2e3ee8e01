// TokenTrie: the byte strings of a vocabulary's ordinary tokens as a tree, laid out in the order a
// search visits it. Special tokens, padding and tokens without bytes are not in it. Immutable, any
// thread.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/text/tokenizer.h"

namespace runtime {

class TokenTrie {
public:
    struct Node {
        int32_t skip;         // the next node that is not below this one
        int32_t first_token;  // of tokens(): those that end here go on to the next node's
        uint16_t depth;       // of the root's children: 0
        uint8_t byte;
    };

    explicit TokenTrie(const Tokenizer& tokenizer);

    // Without the root; a node comes before what is below it. One more at the end, for first_token.
    const std::vector<Node>& nodes() const { return nodes_; }
    size_t size() const { return nodes_.size() - 1; }
    std::span<const TokenId> tokens_of(size_t node) const {
        return std::span(tokens_).subspan(
            static_cast<size_t>(nodes_[node].first_token),
            static_cast<size_t>(nodes_[node + 1].first_token - nodes_[node].first_token));
    }
    struct Match {
        TokenId token = 0;
        size_t bytes = 0;
    };
    // The longest token that `text` begins with; text is not empty, and has_all_bytes() holds.
    Match longest(std::string_view text) const;
    int64_t vocab_size() const { return vocab_size_; }
    size_t deepest() const { return deepest_; }  // bytes of the longest token
    // Every byte is a token by itself: any text can be written, so a reply never gets stuck.
    bool has_all_bytes() const { return has_all_bytes_; }

private:
    std::vector<Node> nodes_;
    std::vector<TokenId> tokens_;
    int64_t vocab_size_;
    size_t deepest_ = 0;
    bool has_all_bytes_ = false;
};

// The tree of a model's vocabulary, made by whoever needs it first: it takes half a second, which no
// step of the engine should wait for. Any thread.
class SharedTokenTrie {
public:
    explicit SharedTokenTrie(std::shared_ptr<const Tokenizer> tokenizer) : tokenizer_(std::move(tokenizer)) {}
    std::shared_ptr<const TokenTrie> get();

private:
    const std::shared_ptr<const Tokenizer> tokenizer_;
    std::mutex mutex_;
    std::shared_ptr<const TokenTrie> trie_;  // guarded by mutex_
};

}  // namespace runtime
