// InnerMasks: which tokens the inside of one rule allows, whoever called the rule. Most of what a
// token can be is decided there: the inside of a string is the same at any depth of a tree, in
// every property, in every schema. So it is looked up, and only tokens that leave the rule are
// read on by whoever knows what stands around it (grammar_states.h). Kept for one vocabulary,
// across grammars; found again by what the program says, wherever in a grammar it stands. One
// thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "runtime/text/grammar/automaton.h"
#include "runtime/text/grammar/token_trie.h"

namespace runtime {

// One bit per row of the vocabulary.
using TokenMask = std::vector<uint64_t>;

inline bool allows(const TokenMask& mask, TokenId id) {
    return (mask[static_cast<size_t>(id) / 64] >> (static_cast<size_t>(id) % 64) & 1) != 0;
}
inline void allow(TokenMask& mask, TokenId id) {
    mask[static_cast<size_t>(id) / 64] |= uint64_t{1} << (static_cast<size_t>(id) % 64);
}

// What masks cost, whatever the machine: looks at nodes of the trie, and transitions of automata that
// were not known yet.
struct GrammarWork {
    uint64_t nodes = 0, transitions = 0;
};

// Some tokens, as numbers while they are few.
class TokenSet {
public:
    TokenSet() = default;
    TokenSet(std::vector<TokenId> tokens, int64_t vocab_size);
    void add_to(TokenMask& mask) const;
    size_t bytes() const { return few_.size() * sizeof(TokenId) + many_.size() * 8; }

private:
    std::vector<TokenId> few_;
    TokenMask many_;
};

// Where in a rule: places that stand on the same stack, and the stack's frames down to the one that
// returns from the rule. `counted`: the bounds of that loop are known to the caller, and its count is not
// part of the question.
struct InnerPlaces {
    std::vector<int32_t> at;               // sorted
    std::vector<Automaton::Frame> frames;  // from the top down; `below` says nothing
    int32_t counted = -1;                  // of frames; -1: none
};

class InnerMask {
public:
    InnerMask(const std::shared_ptr<const Grammar>& grammar,
              const TokenTrie& trie,
              const InnerPlaces& places,
              GrammarWork& work);

    // So much goes on outside that it is less work to look at all at once.
    bool diffuse() const { return diffuse_; }

    // Adds the tokens that stay inside, or end where the rule does. The counted loop may take up to
    // `most` turns more, the one that stands open included, and at least `least` before it is left.
    void add_to(TokenMask& mask, int32_t least, int32_t most);

    // Below these nodes of the trie the text goes on behind the rule. In order of their bytes.
    struct Beyond {
        uint8_t byte;   // of the node
        int32_t turns;  // that the counted loop took; Automaton::kAlways: none is counted
        int32_t node;
    };
    const std::vector<Beyond>& beyond() const { return beyond_; }
    static bool holds(int32_t turns, int32_t least, int32_t most) {
        return turns == Automaton::kAlways || (turns >= least && turns <= most);
    }
    size_t bytes() const;

private:
    using Counted = std::vector<std::pair<int32_t, TokenId>>;  // turns, token

    struct Reach;
    void read(Automaton& automaton, int32_t start, const TokenTrie& trie, GrammarWork& work);
    void give_up();
    static void sort_by_turns(Counted& counted);
    void add_inside(TokenMask& mask, int32_t turns);

    bool diffuse_ = false;
    const bool counting_;
    int64_t vocab_size_;
    TokenSet all_;             // where the bounds are far enough
    int32_t most_turns_ = 0;   // that a token takes
    int32_t first_left_ = 0;   // the fewest turns with which a token leaves the loop
    Counted inside_;           // tokens that stay in the loop, by the turns they begin
    Counted left_;             // that leave it, the rule or not, by the turns it took
    std::vector<Beyond> beyond_;
    std::vector<std::pair<int32_t, TokenMask>> up_to_;  // of inside_, if it is large, as needed: by most turns
};

class InnerMasks {
public:
    explicit InnerMasks(std::shared_ptr<const TokenTrie> trie) : trie_(std::move(trie)) {}

    const TokenTrie& trie() const { return *trie_; }
    std::shared_ptr<InnerMask> of(const std::shared_ptr<const Grammar>& grammar,
                                  const InnerPlaces& places);
    GrammarWork work;  // since the beginning

private:
    std::shared_ptr<const TokenTrie> trie_;
    std::unordered_map<std::string, std::shared_ptr<InnerMask>> known_;
    size_t bytes_ = 0;
};

}  // namespace runtime
