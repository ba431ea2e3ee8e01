#include "runtime/text/grammar/grammar_states.h"

#include <algorithm>
#include <limits>

namespace runtime {
namespace {

constexpr size_t kMaxStates = 20'000, kMaxFrames = 400'000;
constexpr size_t kMaxMaskBytes = size_t{96} << 20;
// A way to the end that is longer is not looked for: it would be looked for at every token.
constexpr int64_t kMaxPlanBytes = 8'192;
// Bytes of a rule that is not looked at by itself: one character of a string, a comma.
constexpr int32_t kSmall = 16;
// More stacks than these are read all at once.
constexpr size_t kMaxStacks = 32;

}  // namespace

GrammarStates::GrammarStates(std::shared_ptr<const Grammar> grammar,
                             std::shared_ptr<InnerMasks> inner,
                             std::vector<TokenId> end_of_turn)
    : grammar_(std::move(grammar)),
      inner_(std::move(inner)),
      end_of_turn_(std::move(end_of_turn)),
      costs_(*grammar_),
      automaton_(grammar_, Automaton::Bottom::end, &costs_),
      path_(inner_->trie().deepest() + 1) {
    if (!inner_->trie().has_all_bytes()) {
        throw GrammarError(
            "this model's vocabulary lacks tokens for single bytes, so a reply cannot be held to a "
            "grammar");
    }
    const auto match =
        std::find_if(grammar_->program.begin(), grammar_->program.end(),
                     [](const Grammar::Instruction& i) { return i.op == Grammar::Op::match; });
    match_ = static_cast<int32_t>(match - grammar_->program.begin());
}

int32_t GrammarStates::start() {
    if (start_ == kDead) {
        start_ = automaton_.state_of({{grammar_->start, 0}});
    }
    return start_;
}

void GrammarStates::tidy() {
    const size_t mask_bytes = static_cast<size_t>(inner_->trie().vocab_size()) / 8 + 64;
    if (automaton_.states() <= kMaxStates && automaton_.frames() <= kMaxFrames &&
        mask_count_ * mask_bytes <= kMaxMaskBytes) {
        return;
    }
    // Where the replies stand, as places on stacks that are written out.
    using Stack = std::vector<Automaton::Frame>;  // from the top down
    struct Held {
        int32_t* state;
        std::vector<std::pair<int32_t, Stack>> places;
        bool may_end;
    };
    std::vector<Held> held;
    for (int32_t* const state : held_) {
        if (*state == kDead) {
            continue;
        }
        Held h{state, {}, may_end(*state)};
        for (const Automaton::Place& p : automaton_.state(*state).places) {
            Stack stack;
            for (uint32_t s = p.stack; s != 0; s = automaton_.frame(s).below) {
                stack.push_back(automaton_.frame(s));
            }
            h.places.emplace_back(p.at, std::move(stack));
        }
        held.push_back(std::move(h));
    }
    automaton_.forget();
    masks_.clear();
    mask_count_ = 0;
    returned_.clear();
    by_places_.clear();
    start_ = kDead;
    for (const Held& h : held) {
        std::vector<Automaton::Place> places;
        for (const auto& [at, frames] : h.places) {
            uint32_t stack = 0;
            for (size_t i = frames.size(); i-- > 0;) {
                stack = automaton_.push(stack, frames[i].at, frames[i].count);
            }
            places.push_back({at, stack});
        }
        if (h.may_end) {
            places.push_back({match_, 0});
        }
        *h.state = automaton_.state_of(places);
    }
}

// Bytes and special tokens from here to the end of the rule; kSmall + 1: more than kSmall, or not
// looked at to the end.
int32_t GrammarStates::longest(int32_t at, int depth) {
    constexpr int32_t kMuch = kSmall + 1;
    constexpr int kMaxDepth = 300;
    if (depth > kMaxDepth) {
        return kMuch;
    }
    const auto [known, is_new] = longest_.try_emplace(at, kMuch);  // where it comes back here, too
    if (!is_new) {
        return known->second;
    }
    using Op = Grammar::Op;
    const Grammar::Instruction& i = grammar_->program[static_cast<size_t>(at)];
    int32_t result = 0;
    switch (i.op) {
        case Op::bytes:
        case Op::token:
            result = 1 + longest(at + 1, depth + 1);
            break;
        case Op::split:
            result = std::max(longest(i.a, depth + 1), longest(i.b, depth + 1));
            break;
        case Op::jump:
            result = longest(i.a, depth + 1);
            break;
        case Op::call:
            result = longest(i.a, depth + 1) + longest(at + 1, depth + 1);
            break;
        case Op::loop_begin:
            result = kMuch;  // loops are worth a look of their own
            break;
        case Op::leave:
        case Op::loop_end:
        case Op::match:
            break;
    }
    result = std::min(result, kMuch);
    longest_[at] = result;
    return result;
}

bool GrammarStates::is_small(int32_t rule) {
    return longest(rule, 0) <= kSmall;
}

GrammarStates::Around GrammarStates::around(uint32_t stack) {
    Around result;
    uint32_t at = stack;
    for (; at != 0; at = automaton_.frame(at).below) {
        const Automaton::Frame& f = automaton_.frame(at);
        if (f.count == Automaton::kRule &&
            !is_small(grammar_->program[static_cast<size_t>(f.at) - 1].a)) {
            break;
        }
        result.inner.frames.push_back(f);
    }
    result.rule = at;
    // The loop with the most counts: those of the others are part of the question.
    int32_t counts = 0;
    for (size_t i = 0; i < result.inner.frames.size(); i++) {
        const Automaton::Frame& f = result.inner.frames[i];
        if (f.count < 0) {
            continue;
        }
        const Grammar::Loop& loop = grammar_->loops[static_cast<size_t>(f.at)];
        const int32_t bound = std::max(loop.most, loop.least);
        if (loop.after == 0 && (loop.most >= 0 || f.count < loop.least) && bound >= counts) {
            counts = bound;
            result.inner.counted = static_cast<int32_t>(i);
            result.least = loop.least - f.count;
            result.most = loop.most < 0 ? std::numeric_limits<int32_t>::max() : loop.most - f.count;
        }
    }
    return result;
}

InnerMask& GrammarStates::inner_of(const InnerPlaces& places) {
    std::string key;
    const auto put = [&](int32_t value) {
        key.append(reinterpret_cast<const char*>(&value), sizeof value);
    };
    put(static_cast<int32_t>(places.at.size()));
    for (const int32_t at : places.at) {
        put(at);
    }
    for (const Automaton::Frame& f : places.frames) {
        put(f.at);
        put(places.counted >= 0 && &f == &places.frames[static_cast<size_t>(places.counted)]
                ? Automaton::kUnknown
                : f.count);
    }
    std::shared_ptr<InnerMask>& known = by_places_[key];
    if (!known) {
        known = inner_->of(grammar_, places);
    }
    return *known;
}

int32_t GrammarStates::returned(uint32_t rule) {
    const auto [found, is_new] = returned_.try_emplace(rule, kDead);
    if (is_new) {
        const Automaton::Frame frame = automaton_.frame(rule);
        found->second = automaton_.state_of({{frame.at, frame.below}});
    }
    return found->second;
}

// The tokens of the nodes from `begin` to `end`, which are siblings' subtrees, that can be read in
// `state`.
void GrammarStates::walk(int32_t state, size_t begin, size_t end, TokenMask& mask) {
    const TokenTrie& trie = inner_->trie();
    const std::vector<TokenTrie::Node>& nodes = trie.nodes();
    path_[nodes[begin].depth] = state;
    for (size_t n = begin; n < end;) {
        inner_->work.nodes++;
        const TokenTrie::Node& node = nodes[n];
        const int32_t next = automaton_.after_byte(path_[node.depth], node.byte);
        if (next == kDead) {
            n = static_cast<size_t>(node.skip);
            continue;
        }
        path_[node.depth + size_t{1}] = next;
        for (const TokenId id : trie.tokens_of(n)) {
            allow(mask, id);
        }
        n++;
    }
}

// false: what is inside of rules does not help here.
bool GrammarStates::add_inner(int32_t state, TokenMask& mask) {
    std::vector<Automaton::Place> places = automaton_.state(state).places;
    std::erase_if(places, [&](const Automaton::Place& p) {
        return grammar_->program[static_cast<size_t>(p.at)].op != Grammar::Op::bytes;
    });
    std::sort(places.begin(), places.end(),
              [](const Automaton::Place& a, const Automaton::Place& b) {
                  return a.stack != b.stack ? a.stack < b.stack : a.at < b.at;
              });
    size_t stacks = 0;
    for (size_t i = 0; i < places.size(); i++) {
        stacks += i == 0 || places[i].stack != places[i - 1].stack ? 1 : 0;
    }
    if (stacks > kMaxStacks) {
        return false;
    }
    for (size_t i = 0; i < places.size();) {
        Around a = around(places[i].stack);
        const size_t first = i;
        for (; i < places.size() && places[i].stack == places[first].stack; i++) {
            a.inner.at.push_back(places[i].at);
        }
        InnerMask& inner = inner_of(a.inner);
        if (inner.diffuse()) {
            return false;
        }
        inner.add_to(mask, a.least, a.most);
        if (a.rule == 0) {
            continue;
        }
        // What stands behind the rule reads on, a byte's nodes after the other's.
        const std::vector<InnerMask::Beyond>& beyond = inner.beyond();
        const std::vector<TokenTrie::Node>& nodes = inner_->trie().nodes();
        const int32_t behind = beyond.empty() ? kDead : returned(a.rule);
        for (size_t b = 0; b < beyond.size();) {
            const uint8_t byte = beyond[b].byte;
            if (automaton_.after_byte(behind, byte) == kDead) {
                b = static_cast<size_t>(
                    std::upper_bound(
                        beyond.begin() + static_cast<int64_t>(b), beyond.end(), byte,
                        [](uint8_t value, const auto& one) { return value < one.byte; }) -
                    beyond.begin());
                continue;
            }
            for (; b < beyond.size() && beyond[b].byte == byte; b++) {
                if (InnerMask::holds(beyond[b].turns, a.least, a.most)) {
                    const auto node = static_cast<size_t>(beyond[b].node);
                    walk(behind, node, static_cast<size_t>(nodes[node].skip), mask);
                }
            }
        }
    }
    return true;
}

const TokenMask& GrammarStates::mask(int32_t state) {
    if (has_mask(state)) {
        return *masks_[static_cast<size_t>(state)];
    }
    const TokenTrie& trie = inner_->trie();
    auto mask = std::make_unique<TokenMask>((static_cast<size_t>(trie.vocab_size()) + 63) / 64, 0);
    if (!add_inner(state, *mask)) {
        walk(state, 0, trie.size(), *mask);
    }
    const Automaton::State& s = automaton_.state(state);
    for (const Automaton::Place& p : s.places) {
        const Grammar::Instruction& i = grammar_->program[static_cast<size_t>(p.at)];
        if (i.op == Grammar::Op::token) {
            allow(*mask, i.a);
        }
    }
    if (s.may_end) {
        for (const TokenId id : end_of_turn_) {
            allow(*mask, id);
        }
    }
    if (masks_.size() <= static_cast<size_t>(state)) {
        masks_.resize(automaton_.states());
    }
    masks_[static_cast<size_t>(state)] = std::move(mask);
    mask_count_++;
    return *masks_[static_cast<size_t>(state)];
}

std::optional<std::vector<TokenId>> GrammarStates::completion(int32_t state, int64_t most) {
    using Op = Grammar::Op;
    std::vector<TokenId> tokens;
    const auto deepest = static_cast<int64_t>(inner_->trie().deepest());
    if (shortest(state) > kMaxPlanBytes || shortest(state) > most * deepest) {
        return std::nullopt;
    }
    std::string text;
    const auto write_text = [&] {
        for (size_t at = 0; at < text.size();) {
            const TokenTrie::Match match =
                inner_->trie().longest(std::string_view(text).substr(at));
            tokens.push_back(match.token);
            at += match.bytes;
        }
        text.clear();
        return static_cast<int64_t>(tokens.size()) <= most;
    };
    while (shortest(state) > 0) {
        // A place whose next step is on a shortest way; the state behind it is one nearer.
        const Automaton::State& s = automaton_.state(state);
        const Grammar::Instruction* step = nullptr;
        for (const Automaton::Place& p : s.places) {
            if (automaton_.cost_from(p) == s.shortest) {
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

}  // namespace runtime
