// GrammarMatcher: where one reply stands in its grammar, and which tokens may come next. One thread
// at a time, with all others of the same GrammarStates.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "runtime/text/grammar/grammar.h"
#include "runtime/text/grammar/grammar_states.h"

namespace runtime {

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
    ~GrammarMatcher() { states_->release(&state_); }
    GrammarMatcher(const GrammarMatcher&) = delete;
    GrammarMatcher& operator=(const GrammarMatcher&) = delete;

    // Null: any token.
    const TokenMask* mask();
    // mask() has something to find out.
    bool needs_mask() const { return constrained_ && !states_->has_mask(state_); }
    // The sampled token, or another one where after it the reply could no longer be finished with
    // `left` tokens, this one included: then the next one of the shortest way to the end. Where
    // even that does not fit, where the reply is free, and of what the model began by itself (begins_after), the sampled token:
    // a call with made-up arguments would be worse than one that was cut.
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
    void begin();

    Constraint constraint_;
    std::shared_ptr<GrammarStates> states_;
    std::shared_ptr<const Tokenizer> tokenizer_;
    bool constrained_;
    int32_t state_ = GrammarStates::kDead;
    std::vector<TokenId> plan_;   // a way from here to the end; empty: not looked for
    bool shortened_ = false;
};

}  // namespace runtime
