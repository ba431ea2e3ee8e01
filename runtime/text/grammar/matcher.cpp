#include "runtime/text/grammar/matcher.h"

#include <algorithm>

namespace runtime {
namespace {

constexpr int32_t kUnknown = -2;
constexpr size_t kMaxStates = 20'000, kMaxFrames = 400'000;
constexpr size_t kMaxMaskBytes = size_t{96} << 20;
// Ways to read one text at the same time. An ambiguous grammar can have ever more of them.
constexpr size_t kMaxPlaces = 20'000;
// A way to the end that is longer is not looked for: it would be looked for at every token.
constexpr int64_t kMaxPlanBytes = 8'192;

size_t mix(size_t hash, uint64_t value) {
    value = (value ^ hash) * 0x9E3779B97F4A7C15U;
    return value ^ value >> 29;
}

}  // namespace

size_t GrammarStates::FrameHash::operator()(const Frame& f) const {
    return mix(mix(mix(0, f.below), static_cast<uint32_t>(f.at)), static_cast<uint32_t>(f.count));
}

size_t GrammarStates::PlacesHash::operator()(const std::vector<Place>& places) const {
    size_t hash = places.size();
    for (const Place& p : places) {
        hash = mix(mix(hash, static_cast<uint32_t>(p.at)), p.stack);
    }
    return hash;
}

GrammarStates::GrammarStates(std::shared_ptr<const Grammar> grammar,
                             std::shared_ptr<const TokenTrie> trie,
                             std::vector<TokenId> end_of_turn)
    : grammar_(std::move(grammar)),
      trie_(std::move(trie)),
      end_of_turn_(std::move(end_of_turn)),
      costs_(*grammar_) {
    if (!trie_->has_all_bytes()) {
        throw GrammarError(
            "this model's vocabulary lacks tokens for single bytes, so a reply cannot be held to a "
            "grammar");
    }
    forget();
}

void GrammarStates::forget() {
    states_.clear();
    by_places_.clear();
    frames_.assign(1, {0, 0, -1});
    frame_costs_.assign(1, 0);
    by_frame_.clear();
    mask_count_ = 0;
    age_++;
    start_ = kDead;
}

void GrammarStates::tidy() {
    const size_t mask_bytes = static_cast<size_t>(trie_->vocab_size()) / 8 + 64;
    if (states_.size() > kMaxStates || frames_.size() > kMaxFrames ||
        mask_count_ * mask_bytes > kMaxMaskBytes) {
        forget();
    }
}

uint32_t GrammarStates::push(uint32_t below, int32_t at, int32_t count) {
    const Frame frame{below, at, count};
    const auto [found, is_new] =
        by_frame_.try_emplace(frame, static_cast<uint32_t>(frames_.size()));
    if (is_new) {
        frames_.push_back(frame);
        // A rule returns to `at`; a loop's turn, once done, is one more than `count`.
        const int64_t cost = count < 0 ? costs_.of(at) : costs_.after_turn(at, count + int64_t{1});
        frame_costs_.push_back(std::min(CompletionCosts::kNever, cost + frame_costs_[below]));
    }
    return found->second;
}

// Adds what can be read from `from` on to found_.
void GrammarStates::follow(Place from) {
    using Op = Grammar::Op;
    todo_.push_back(from);
    while (!todo_.empty()) {
        const Place p = todo_.back();
        todo_.pop_back();
        const auto where = std::lower_bound(seen_.begin(), seen_.end(), p);
        if (where != seen_.end() && *where == p) {
            continue;
        }
        seen_.insert(where, p);
        if (seen_.size() > kMaxPlaces) {
            todo_.clear();
            found_.clear();
            seen_.clear();
            fresh_.clear();
            found_end_ = false;
            throw GrammarError("the grammar is too ambiguous");
        }
        const Grammar::Instruction& i = grammar_->program[static_cast<size_t>(p.at)];
        switch (i.op) {
            case Op::bytes:
            case Op::token:
                found_.push_back(p);
                break;
            case Op::split:
                todo_.push_back({i.b, p.stack});
                todo_.push_back({i.a, p.stack});
                break;
            case Op::jump:
                todo_.push_back({i.a, p.stack});
                break;
            case Op::call:
                todo_.push_back({i.a, push(p.stack, p.at + 1, -1)});
                break;
            case Op::leave: {
                const Frame frame = frames_[p.stack];
                todo_.push_back({frame.at, frame.below});
                break;
            }
            case Op::loop_begin: {
                const uint32_t frame = push(p.stack, i.a, 0);
                fresh_.push_back(frame);
                todo_.push_back({p.at + 1, frame});
                break;
            }
            case Op::loop_end: {
                const Frame frame = frames_[p.stack];
                const Grammar::Loop& loop = grammar_->loops[static_cast<size_t>(i.a)];
                const int32_t turns = frame.count + 1;
                if (turns >= loop.least) {
                    todo_.push_back({p.at + 1, frame.below});
                }
                // A turn that read nothing is not worth another.
                const bool read = std::find(fresh_.begin(), fresh_.end(), p.stack) == fresh_.end();
                if (read && (loop.most < 0 || turns < loop.most)) {
                    // Past `least` of an endless loop the count says nothing more.
                    const int32_t count = loop.most < 0 ? std::min(turns, loop.least) : turns;
                    const uint32_t again = push(frame.below, i.a, count);
                    fresh_.push_back(again);
                    todo_.push_back({loop.begin, again});
                }
                break;
            }
            case Op::match:
                found_end_ = true;
                break;
        }
    }
}

int64_t GrammarStates::shortest_of_found() const {
    int64_t least = found_end_ ? 0 : CompletionCosts::kNever;
    for (const Place& p : found_) {
        least = std::min(least, costs_.of(p.at) + frame_costs_[p.stack]);
    }
    return least;
}

int32_t GrammarStates::state_of_followed() {
    std::sort(found_.begin(), found_.end());
    int32_t id = kDead;
    if (!found_.empty() || found_end_) {
        std::vector<int32_t>& ids = by_places_[found_];
        for (const int32_t known : ids) {
            if (states_[static_cast<size_t>(known)].may_end == found_end_) {
                id = known;
            }
        }
        if (id == kDead) {
            id = static_cast<int32_t>(states_.size());
            ids.push_back(id);
            states_.push_back(
                {found_, found_end_, nullptr, nullptr, kUnknown, shortest_of_found()});
        }
    }
    found_.clear();
    seen_.clear();
    fresh_.clear();
    found_end_ = false;
    return id;
}

int32_t GrammarStates::start() {
    if (start_ == kDead) {
        follow({grammar_->start, 0});
        start_ = state_of_followed();
    }
    return start_;
}

int32_t GrammarStates::after_byte(int32_t state, uint8_t byte) {
    {
        State& s = states_[static_cast<size_t>(state)];
        if (!s.next) {
            s.next = std::make_unique<int32_t[]>(256);
            std::fill_n(s.next.get(), 256, kUnknown);
        }
        if (s.next[byte] != kUnknown) {
            return s.next[byte];
        }
        for (const Place& p : s.places) {
            const Grammar::Instruction& i = grammar_->program[static_cast<size_t>(p.at)];
            if (i.op == Grammar::Op::bytes && grammar_->sets[static_cast<size_t>(i.a)].test(byte)) {
                follow({p.at + 1, p.stack});
            }
        }
    }
    const int32_t next = state_of_followed();  // may move the states
    states_[static_cast<size_t>(state)].next[byte] = next;
    return next;
}

int32_t GrammarStates::after_token(int32_t state, TokenId special) {
    for (const Place& p : states_[static_cast<size_t>(state)].places) {
        const Grammar::Instruction& i = grammar_->program[static_cast<size_t>(p.at)];
        if (i.op == Grammar::Op::token && i.a == special) {
            follow({p.at + 1, p.stack});
        }
    }
    return state_of_followed();
}

// The stack with the counts of its loops replaced by smaller ones that one token cannot tell apart:
// it adds at most one turn for each of its bytes, and none of these turns reaches a bound.
uint32_t GrammarStates::rounded(uint32_t stack) {
    const auto reach = static_cast<int64_t>(trie_->deepest()) + 1;
    std::vector<Frame> above;  // from the top down to the lowest one that changes
    size_t changed = 0;
    uint32_t lowest = stack;
    for (uint32_t at = stack; at != 0; at = frames_[at].below) {
        Frame frame = frames_[at];
        if (frame.count > 0) {
            const Grammar::Loop& loop = grammar_->loops[static_cast<size_t>(frame.at)];
            const int32_t count = frame.count;
            if (count + reach < loop.least) {
                frame.count = 0;
            } else if (count > loop.least && (loop.most < 0 || count + reach < loop.most)) {
                frame.count = loop.least;
            }
            if (frame.count != count) {
                changed = above.size() + 1;
                lowest = frame.below;
            }
        }
        above.push_back(frame);
    }
    uint32_t result = lowest;
    for (size_t i = changed; i-- > 0;) {
        result = push(result, above[i].at, above[i].count);
    }
    return result;
}

// In the middle of a string of at most 4,000 characters the mask is the same whichever character it
// is: it is made once.
int32_t GrammarStates::alike(int32_t state) {
    if (states_[static_cast<size_t>(state)].alike == kUnknown) {
        found_ = states_[static_cast<size_t>(state)].places;
        for (Place& p : found_) {
            p.stack = rounded(p.stack);
        }
        std::sort(found_.begin(), found_.end());
        found_.erase(std::unique(found_.begin(), found_.end()), found_.end());
        found_end_ = states_[static_cast<size_t>(state)].may_end;
        const int32_t other = state_of_followed();  // may move the states
        states_[static_cast<size_t>(state)].alike = other;
    }
    return states_[static_cast<size_t>(state)].alike;
}

const TokenMask& GrammarStates::mask(int32_t state) {
    state = alike(state);
    if (states_[static_cast<size_t>(state)].mask) {
        return *states_[static_cast<size_t>(state)].mask;
    }
    auto mask =
        std::make_unique<TokenMask>((static_cast<size_t>(trie_->vocab_size()) + 63) / 64, 0);
    const auto allow = [&](TokenId id) {
        (*mask)[static_cast<size_t>(id) / 64] |= uint64_t{1} << (static_cast<size_t>(id) % 64);
    };
    std::vector<int32_t> path(trie_->deepest() + 1, kDead);
    path[0] = state;
    const std::vector<TokenTrie::Node>& nodes = trie_->nodes();
    for (size_t n = 0; n < trie_->size();) {
        const TokenTrie::Node& node = nodes[n];
        const int32_t from = path[node.depth];
        const State& s = states_[static_cast<size_t>(from)];
        int32_t next = s.next ? s.next[node.byte] : kUnknown;
        if (next == kUnknown) {
            next = after_byte(from, node.byte);
        }
        if (next == kDead) {
            n = static_cast<size_t>(node.skip);
            continue;
        }
        path[node.depth + size_t{1}] = next;
        for (int32_t t = node.first_token; t < nodes[n + 1].first_token; t++) {
            allow(trie_->tokens_of(n)[static_cast<size_t>(t - node.first_token)]);
        }
        n++;
    }
    State& s = states_[static_cast<size_t>(state)];
    for (const Place& p : s.places) {
        const Grammar::Instruction& i = grammar_->program[static_cast<size_t>(p.at)];
        if (i.op == Grammar::Op::token) {
            allow(i.a);
        }
    }
    if (s.may_end) {
        for (const TokenId id : end_of_turn_) {
            allow(id);
        }
    }
    s.mask = std::move(mask);
    mask_count_++;
    return *s.mask;
}

std::optional<std::vector<TokenId>> GrammarStates::completion(int32_t state, int64_t most) {
    using Op = Grammar::Op;
    std::vector<TokenId> tokens;
    const auto deepest = static_cast<int64_t>(trie_->deepest());
    if (shortest(state) > kMaxPlanBytes || shortest(state) > most * deepest) {
        return std::nullopt;
    }
    std::string text;
    const auto write_text = [&] {
        for (size_t at = 0; at < text.size();) {
            const TokenTrie::Match match = trie_->longest(std::string_view(text).substr(at));
            tokens.push_back(match.token);
            at += match.bytes;
        }
        text.clear();
        return static_cast<int64_t>(tokens.size()) <= most;
    };
    while (shortest(state) > 0) {
        // A place whose next step is on a shortest way; the state behind it is one nearer.
        const State& s = states_[static_cast<size_t>(state)];
        const Grammar::Instruction* step = nullptr;
        for (const Place& p : s.places) {
            if (costs_.of(p.at) + frame_costs_[p.stack] == s.shortest) {
                step = &grammar_->program[static_cast<size_t>(p.at)];
                break;
            }
        }
        if (step == nullptr) {
            return std::nullopt;
        }
        if (step->op == Op::token) {
            if (!write_text()) {
                return std::nullopt;
            }
            tokens.push_back(step->a);
            state = after_token(state, step->a);
            continue;
        }
        // What people can read, where there is a choice.
        const std::bitset<256>& set = grammar_->sets[static_cast<size_t>(step->a)];
        int byte = 'a';
        for (int i = 0; !set.test(static_cast<size_t>(byte)); i++) {
            byte = (i + 0x20) % 256;
        }
        text += static_cast<char>(byte);
        state = after_byte(state, static_cast<uint8_t>(byte));
    }
    if (!write_text()) {
        return std::nullopt;
    }
    return tokens;
}

GrammarMatcher::GrammarMatcher(const Constraint& constraint,
                               std::shared_ptr<GrammarStates> states,
                               std::shared_ptr<const Tokenizer> tokenizer)
    : constraint_(constraint),
      states_(std::move(states)),
      tokenizer_(std::move(tokenizer)),
      constrained_(constraint.begins_after < 0) {
    if (constrained_) {
        begin();
    }
}

void GrammarMatcher::begin() {
    constrained_ = true;
    taken_.clear();
    plan_.clear();
    state_ = states_->start();
    age_ = states_->age();
}

// Finds the state again where all were forgotten.
void GrammarMatcher::recall() {
    if (age_ == states_->age()) {
        return;
    }
    const std::vector<TokenId> taken = std::move(taken_);
    begin();
    for (const TokenId id : taken) {
        accept(id);
    }
}

const TokenMask* GrammarMatcher::mask() {
    if (!constrained_) {
        return nullptr;
    }
    states_->tidy();
    recall();
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
    if (!constrained_ || tokenizer_->is_end_of_turn(id) || tokenizer_->end_of_turn().empty()) {
        return id;
    }
    recall();
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
    recall();
    return states_->may_end(state_);
}

void GrammarMatcher::accept(TokenId id) {
    if (!constrained_) {
        if (id == constraint_.begins_after) {
            begin();
        }
        return;
    }
    recall();
    if (!plan_.empty() && plan_.front() == id) {
        plan_.erase(plan_.begin());
    } else {
        plan_.clear();
    }
    state_ = after(state_, id);
    if (state_ == GrammarStates::kDead) {
        throw GrammarError("the model was left no token that the grammar allows");
    }
    taken_.push_back(id);
    if (constraint_.begins_after >= 0 && states_->must_end(state_)) {
        constrained_ = false;
    }
}

bool GrammarMatcher::finished() {
    if (!constrained_) {
        return false;
    }
    recall();
    return states_->must_end(state_);
}

}  // namespace runtime
