// CompletionCosts: how little is needed to finish, from anywhere in a grammar: in bytes, a special
// token counting as one. A reply of B bytes needs at most B tokens, since every byte is a token, so
// this is what a limit of tokens can be held against (matcher.h). Immutable, any thread.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/text/grammar/grammar.h"

namespace runtime {

class CompletionCosts {
public:
    static constexpr int64_t kNever = int64_t{1} << 40;  // sums stay below twice of it

    // Each cost follows from smaller ones, so the cheapest is settled first (Knuth's generalization
    // of Dijkstra's algorithm, 1977): n log n in the grammar, recursive or not.
    explicit CompletionCosts(const Grammar& grammar);

    // From an instruction to the end of the rule or of the loop's turn that it stands in.
    int64_t of(int32_t at) const { return costs_[static_cast<size_t>(at)]; }
    // From the end of a loop's turn to the end of what the loop stands in; `count` as in the frame of that turn: how many were
    // done before it, or which ways were taken.
    int64_t after_turn(int32_t loop, int32_t count) const;

private:
    const std::vector<Grammar::Loop> loops_;
    std::vector<int64_t> costs_;
    std::vector<int32_t> loop_ends_;  // by loop: behind its loop_end
};

}  // namespace runtime
