// GrammarMatcher: where one reply stands in its grammar, and which tokens may come next. Engine
// thread only.
//
// Places of the automaton are gathered in states, states and what follows from them by each byte
// are found as they are needed and shared by all replies of the same grammar (GrammarStates), and
// so are the masks: inside a string, say, the second mask costs nothing. Memory is bounded: when
// there are too many states all are forgotten, and the matchers find their own again.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "runtime/text/grammar/completion.h"
#include "runtime/text/grammar/grammar.h"
#include "runtime/text/grammar/token_trie.h"

namespace runtime {

// One bit per row of the vocabulary.
using TokenMask = std::vector<uint64_t>;

inline bool allows(const TokenMask& mask, TokenId id) {
    return (mask[static_cast<size_t>(id) / 64] >> (static_cast<size_t>(id) % 64) & 1) != 0;
}

class GrammarStates {
public:
    // Throws GrammarError where the vocabulary cannot write every byte.
    GrammarStates(std::shared_ptr<const Grammar> grammar,
                  std::shared_ptr<const TokenTrie> trie,
                  std::vector<TokenId> end_of_turn);

    static constexpr int32_t kDead = -1;

    int32_t start();
    int32_t after_byte(int32_t state, uint8_t byte);
    int32_t after_token(int32_t state, TokenId special);
    bool may_end(int32_t state) const { return states_[static_cast<size_t>(state)].may_end; }
    // Nothing but the end can follow.
    bool must_end(int32_t state) const {
        const State& s = states_[static_cast<size_t>(state)];
        return s.may_end && s.places.empty();
    }
    // The tokens that may follow; the end of the turn is among them where the grammar may end.
    // Valid until the next call.
    const TokenMask& mask(int32_t state);

    // Bytes and special tokens of the shortest text that finishes the grammar from here.
    int64_t shortest(int32_t state) const { return states_[static_cast<size_t>(state)].shortest; }
    // That text as tokens, at most `most` of them, as few as reading it from the left with the
    // longest tokens gives. Nothing: it has more. Visits states: see tidy().
    std::optional<std::vector<TokenId>> completion(int32_t state, int64_t most);

    // Grows whenever all states were forgotten.
    uint64_t age() const { return age_; }
    // Forgets everything if there is too much of it. Between steps.
    void tidy();

private:
    struct Place {
        int32_t at;      // an instruction that reads a byte or a token
        uint32_t stack;  // of frames_
        friend bool operator==(const Place&, const Place&) = default;
        friend auto operator<=>(const Place&, const Place&) = default;
    };
    struct Frame {
        uint32_t below;
        int32_t at;     // where a rule returns to, or the loop
        int32_t count;  // of a loop's turns so far; -1: a rule
        friend bool operator==(const Frame&, const Frame&) = default;
    };
    struct FrameHash {
        size_t operator()(const Frame& f) const;
    };
    struct PlacesHash {
        size_t operator()(const std::vector<Place>& places) const;
    };
    struct State {
        std::vector<Place> places;  // sorted
        bool may_end = false;
        std::unique_ptr<int32_t[]> next;  // by byte; kUnknown where not found out
        std::unique_ptr<TokenMask> mask;
        int32_t alike = -2;  // a state with the same mask; kUnknown where not found out
        int64_t shortest = 0;
    };

    int64_t shortest_of_found() const;
    uint32_t push(uint32_t below, int32_t at, int32_t count);
    void follow(Place from);
    int32_t state_of_followed();
    int32_t alike(int32_t state);
    uint32_t rounded(uint32_t stack);
    void forget();

    std::shared_ptr<const Grammar> grammar_;
    std::shared_ptr<const TokenTrie> trie_;
    std::vector<TokenId> end_of_turn_;
    std::vector<State> states_;
    std::unordered_map<std::vector<Place>, std::vector<int32_t>, PlacesHash> by_places_;
    const CompletionCosts costs_;
    std::vector<Frame> frames_;  // 0 is the bottom
    std::vector<int64_t> frame_costs_;  // from the end of what a frame stands for to the end of all
    std::unordered_map<Frame, uint32_t, FrameHash> by_frame_;
    uint64_t age_ = 0;
    size_t mask_count_ = 0;
    int32_t start_ = kDead;
    // Of the state being found:
    std::vector<Place> found_;
    std::vector<Place> seen_, todo_;
    std::vector<uint32_t> fresh_;  // loop frames made since the last byte
    bool found_end_ = false;
};

// What a reply is held to. With `begins_after` only from behind that token to the grammar's end, as often as the token comes,
// and the rest is free: tool calls that the model chooses to make.
struct Constraint {
    std::shared_ptr<const Grammar> grammar;
    TokenId begins_after = -1;  // -1: the whole reply
};

class GrammarMatcher {
public:
    GrammarMatcher(const Constraint& constraint,
                   std::shared_ptr<GrammarStates> states,
                   std::shared_ptr<const Tokenizer> tokenizer);

    // Null: any token.
    const TokenMask* mask();
    // The sampled token, or another one where after it the reply could no longer be finished with
    // `left` tokens, this one included: then the next one of the shortest way to the end. Where
    // even that does not fit, and where the reply is free, the sampled token.
    TokenId within(TokenId id, int64_t left);
    // within() took another token: the reply ends where it does because of a limit.
    bool shortened() const { return shortened_; }
    // The reply is whole if it ends here.
    bool may_end();
    // The sampled token; must be one that mask() allows.
    void accept(TokenId id);
    // Nothing can follow: the reply is whole.
    bool finished();

private:
    int32_t after(int32_t state, TokenId id);
    void recall();
    void begin();

    Constraint constraint_;
    std::shared_ptr<GrammarStates> states_;
    std::shared_ptr<const Tokenizer> tokenizer_;
    bool constrained_;
    int32_t state_ = GrammarStates::kDead;
    uint64_t age_ = 0;
    std::vector<TokenId> taken_;  // since the constraint holds
    std::vector<TokenId> plan_;   // a way from here to the end; empty: not looked for
    bool shortened_ = false;
};

}  // namespace runtime
