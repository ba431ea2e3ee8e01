#include "runtime/text/grammar/matcher.h"

namespace runtime {

GrammarMatcher::GrammarMatcher(const Constraint& constraint,
                               std::shared_ptr<GrammarStates> states,
                               std::shared_ptr<const Tokenizer> tokenizer)
    : constraint_(constraint),
      states_(std::move(states)),
      tokenizer_(std::move(tokenizer)),
      constrained_(constraint.begins_after < 0) {
    states_->hold(&state_);
    if (constrained_) {
        begin();
    }
}

void GrammarMatcher::begin() {
    constrained_ = true;
    plan_.clear();
    state_ = states_->start();
}

const TokenMask* GrammarMatcher::mask() {
    if (!constrained_) {
        return nullptr;
    }
    states_->tidy();
    return &states_->mask(state_);
}

int32_t GrammarMatcher::after(int32_t state, TokenId id) {
    if (tokenizer_->is_special(id)) {
        return states_->after_token(state, id);
    }
    for (const char c : tokenizer_->bytes(id)) {
        state = states_->after_byte(state, static_cast<uint8_t>(c));
        if (state == GrammarStates::kDead) {
            break;
        }
    }
    return state;
}

TokenId GrammarMatcher::within(TokenId id, int64_t left) {
    if (!constrained_ || constraint_.begins_after >= 0 || tokenizer_->is_end_of_turn(id) ||
        tokenizer_->end_of_turn().empty()) {
        return id;
    }
    const int32_t next = after(state_, id);
    if (next == GrammarStates::kDead || states_->shortest(next) < left ||
        (!plan_.empty() && plan_.front() == id)) {
        return id;
    }
    // By bytes there is no room. By tokens there may be.
    if (auto plan = states_->completion(next, left - 1)) {
        plan_ = std::move(*plan);
        plan_.insert(plan_.begin(), id);
        return id;
    }
    if (plan_.empty() || static_cast<int64_t>(plan_.size()) > left) {
        auto found = states_->completion(state_, left);
        if (!found) {
            return id;
        }
        plan_ = std::move(*found);
    }
    shortened_ = true;
    return plan_.empty() ? tokenizer_->end_of_turn().front() : plan_.front();
}

bool GrammarMatcher::may_end() {
    if (!constrained_) {
        return false;
    }
    return states_->may_end(state_);
}

void GrammarMatcher::accept(TokenId id) {
    if (!constrained_) {
        if (id == constraint_.begins_after) {
            begin();
        }
        return;
    }
    if (!plan_.empty() && plan_.front() == id) {
        plan_.erase(plan_.begin());
    } else {
        plan_.clear();
    }
    state_ = after(state_, id);
    if (state_ == GrammarStates::kDead) {
        throw GrammarError("the model was left no token that the grammar allows");
    }
    if (constraint_.begins_after >= 0 && states_->must_end(state_)) {
        constrained_ = false;
    }
}

bool GrammarMatcher::finished() {
    if (!constrained_) {
        return false;
    }
    return states_->must_end(state_);
}

}  // namespace runtime
