// GrammarStates: the states of one grammar and the tokens that may follow in each. Shared by all
// replies of that grammar. Memory is bounded: when there is too much of it all is forgotten but the
// states that replies stand in. One thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "runtime/text/grammar/automaton.h"
#include "runtime/text/grammar/inner_masks.h"

namespace runtime {

class GrammarStates {
public:
    // Throws GrammarError where the vocabulary cannot write every byte.
    GrammarStates(std::shared_ptr<const Grammar> grammar,
                  std::shared_ptr<InnerMasks> inner,
                  std::vector<TokenId> end_of_turn);

    static constexpr int32_t kDead = Automaton::kDead;

    int32_t start();
    int32_t after_byte(int32_t state, uint8_t byte) { return automaton_.after_byte(state, byte); }
    int32_t after_token(int32_t state, TokenId special) {
        return automaton_.after_token(state, special);
    }
    bool may_end(int32_t state) const { return automaton_.state(state).may_end; }
    // Nothing but the end can follow.
    bool must_end(int32_t state) const {
        const Automaton::State& s = automaton_.state(state);
        return s.may_end && s.places.empty();
    }
    // The tokens that may follow; the end of the turn is among them where the grammar may end.
    // Valid until the next call.
    const TokenMask& mask(int32_t state);
    // mask() costs nothing.
    bool has_mask(int32_t state) const {
        return static_cast<size_t>(state) < masks_.size() &&
               masks_[static_cast<size_t>(state)] != nullptr;
    }

    // Of all grammars of this vocabulary, and this one's own transitions.
    GrammarWork work() const {
        GrammarWork all = inner_->work;
        all.transitions += automaton_.found_out();
        return all;
    }

    // Bytes and special tokens of the shortest text that finishes the grammar from here.
    int64_t shortest(int32_t state) const { return automaton_.state(state).shortest; }
    // That text as tokens, at most `most` of them, as few as reading it from the left with the
    // longest tokens gives. Nothing: it has more.
    std::optional<std::vector<TokenId>> completion(int32_t state, int64_t most);

    // Keeps *state valid, by changing it where states are forgotten; kDead is left alone.
    void hold(int32_t* state) { held_.push_back(state); }
    void release(int32_t* state) { std::erase(held_, state); }
    // Forgets what nobody stands in, if there is too much of it. Between steps.
    void tidy();

private:
    struct Around {  // what stands around some places: see InnerPlaces
        InnerPlaces inner;
        uint32_t rule = 0;                // the frame that returns from the rule; 0: the end of all
        int32_t least = 0, most = 0;      // turns that the counted loop still takes
    };

    bool is_small(int32_t rule);
    int32_t longest(int32_t at, int depth);
    Around around(uint32_t stack);
    InnerMask& inner_of(const InnerPlaces& places);
    bool add_inner(int32_t state, TokenMask& mask);
    void walk(int32_t state, size_t begin, size_t end, TokenMask& mask);
    int32_t returned(uint32_t rule);

    const std::shared_ptr<const Grammar> grammar_;
    const std::shared_ptr<InnerMasks> inner_;
    const std::vector<TokenId> end_of_turn_;
    const CompletionCosts costs_;
    Automaton automaton_;
    int32_t start_ = kDead;
    int32_t match_ = 0;  // the instruction that ends the grammar
    std::vector<std::unique_ptr<TokenMask>> masks_;  // by state
    size_t mask_count_ = 0;
    std::vector<int32_t*> held_;
    std::unordered_map<uint32_t, int32_t> returned_;        // by frame
    std::unordered_map<std::string, std::shared_ptr<InnerMask>> by_places_;
    std::unordered_map<int32_t, int32_t> longest_;          // by instruction
    std::vector<int32_t> path_;
};

}  // namespace runtime
