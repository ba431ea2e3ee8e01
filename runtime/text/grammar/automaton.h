// Automaton: the states of a grammar's program, and what follows from them by each byte, found as
// they are needed and kept. Knows no vocabulary. One thread at a time.
//
// A state is a set of places (instruction, stack). The bottom of all stacks is the end of the
// grammar, or an edge: then the automaton is of one rule's inside alone, whoever called it. What
// leaves the rule is an exit of the state, and with a counting edge the turns of one loop are counted
// from here, without bounds: those say from outside which exits hold (inner_masks.h).
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "runtime/text/grammar/completion.h"
#include "runtime/text/grammar/grammar.h"

namespace runtime {

class Automaton {
public:
    static constexpr int32_t kDead = -1, kUnknown = -2;
    // Of Frame::count, where it counts no turns:
    static constexpr int32_t kRule = -1, kEdge = -2, kLeft = -3;
    static constexpr int32_t kAlways = -1;  // of State::exits: whatever the count is

    struct Place {
        int32_t at;      // an instruction that reads a byte or a token
        uint32_t stack;  // of frame()
        friend bool operator==(const Place&, const Place&) = default;
        friend auto operator<=>(const Place&, const Place&) = default;
    };
    struct Frame {
        uint32_t below;
        int32_t at;     // where a rule returns to, the loop, or (kLeft) the turns it took
        int32_t count;  // of a loop's turns so far, or those of its ways that were taken, as bits
        friend bool operator==(const Frame&, const Frame&) = default;
    };
    struct State {
        std::vector<Place> places;   // sorted
        std::vector<int32_t> exits;  // of the edge's rule, sorted: by the turns its loop took, or kAlways
        bool may_end = false;
        int64_t shortest = 0;             // bytes and tokens to the end; with costs only
        std::unique_ptr<int32_t[]> next;  // by class of bytes; kUnknown where not found out
    };
    enum class Bottom { end, edge, counting_edge };

    // `costs`: null, or those of this grammar.
    Automaton(std::shared_ptr<const Grammar> grammar, Bottom bottom, const CompletionCosts* costs);

    // What can be read from these places on. Throws GrammarError where that is too much.
    int32_t state_of(const std::vector<Place>& from);
    int32_t after_byte(int32_t state, uint8_t byte) {
        const State& s = states_[static_cast<size_t>(state)];
        const int32_t known = s.next ? s.next[classes_[byte]] : kUnknown;
        return known != kUnknown ? known : find_after(state, byte);
    }
    int32_t after_token(int32_t state, TokenId special);

    const State& state(int32_t id) const { return states_[static_cast<size_t>(id)]; }
    const Frame& frame(uint32_t stack) const { return frames_[stack]; }
    uint32_t push(uint32_t below, int32_t at, int32_t count);
    // With a counting edge, before anything is asked: the loop whose turns are counted stands on this.
    void count_above(uint32_t stack, int32_t loop);
    uint32_t counted_above() const { return base_; }
    const Grammar& grammar() const { return *grammar_; }

    size_t states() const { return states_.size(); }
    size_t frames() const { return frames_.size(); }
    int64_t cost_from(const Place& p) const { return costs_->of(p.at) + frame_costs_[p.stack]; }
    void forget();
    // Transitions that were found out, over all time: the costly part of the work.
    uint64_t found_out() const { return found_out_; }

private:
    struct FrameHash {
        size_t operator()(const Frame& f) const;
    };
    int32_t find_after(int32_t state, uint8_t byte);
    void follow(Place from);
    void leave_turn(const Place& p);
    void next_way(uint32_t below, int32_t loop, int32_t taken);
    bool seen(const Place& p);
    void drop_followed();
    int32_t state_of_followed();

    std::shared_ptr<const Grammar> grammar_;
    const Bottom bottom_;
    const CompletionCosts* costs_;
    const uint8_t* const classes_;  // by byte
    uint64_t found_out_ = 0;
    uint32_t base_ = 0;  // what the counted loop stands on, and its frames from the bottom up
    std::vector<Frame> lower_;
    int32_t counted_ = -1;
    std::vector<State> states_;
    std::unordered_map<uint64_t, std::vector<int32_t>> by_content_;
    std::vector<Frame> frames_;         // 0 is the bottom
    std::vector<int64_t> frame_costs_;  // from the end of what a frame stands for to the end of all
    std::unordered_map<Frame, uint32_t, FrameHash> by_frame_;
    // Of the state being found:
    std::vector<Place> found_, todo_;
    std::vector<Place> seen_;     // a hash table, for as long as seen_count_ is less than half of it
    std::vector<uint32_t> marks_;  // of its entries: the round they are of
    uint32_t round_ = 1;
    size_t seen_count_ = 0;
    std::vector<uint32_t> fresh_;  // loop frames made since the last byte
    std::vector<int32_t> exits_;
    bool found_end_ = false;
};

}  // namespace runtime
