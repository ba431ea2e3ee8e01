#include "runtime/text/grammar/inner_masks.h"

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <optional>

namespace runtime {
namespace {

constexpr size_t kMaxBytes = size_t{96} << 20;
constexpr size_t kFew = 1'000;              // tokens that are cheaper as numbers than as a mask
constexpr size_t kMaxInstructions = 4'000;  // of a rule that is compared with others
constexpr int32_t kNoTurns = std::numeric_limits<int32_t>::max();

// What the program says from certain places on, whatever its addresses: instructions in the order
// in which they are met, jumps left out, and instead of a loop's number the order of the loops.
// Nothing: there is too much of it.
class Content {
public:
    Content(const Grammar& grammar, const InnerPlaces& places) : grammar_(grammar) {
        put(static_cast<int32_t>(places.at.size()));
        for (const int32_t at : places.at) {
            put_place(at);
        }
        for (size_t i = 0; i < places.frames.size(); i++) {
            const Automaton::Frame& f = places.frames[i];
            if (f.count == Automaton::kRule) {
                text_ += 'r';
                put_place(f.at);
                continue;
            }
            const Grammar::Loop& loop = grammar.loops[static_cast<size_t>(f.at)];
            const bool counted = static_cast<int32_t>(i) == places.counted;
            // Past what an endless loop must do, its bounds say nothing.
            const bool ways = loop.after != 0;
            const bool free = !ways && loop.most < 0 && f.count >= loop.least;
            text_ += counted ? 'c' : free ? 'e' : ways ? 'w' : 'l';
            put_loop(f.at);
            if (ways) {
                put(f.count);
            } else if (!counted && !free) {
                put(f.count);
                put(loop.least);
                put(loop.most);
            }
        }
        for (size_t i = 0; i < order_.size() && order_.size() <= kMaxInstructions; i++) {
            put_instruction(order_[i]);
        }
    }

    std::optional<std::string> text() && {
        return order_.size() > kMaxInstructions ? std::nullopt : std::optional(std::move(text_));
    }

private:
    void put(int32_t value) { text_.append(reinterpret_cast<const char*>(&value), sizeof value); }

    void put_place(int32_t at) {
        while (grammar_.program[static_cast<size_t>(at)].op == Grammar::Op::jump) {
            at = grammar_.program[static_cast<size_t>(at)].a;
        }
        const auto [found, is_new] = numbers_.try_emplace(at, static_cast<int32_t>(order_.size()));
        if (is_new) {
            order_.push_back(at);
        }
        put(found->second);
    }
    void put_loop(int32_t loop) {
        put(loops_.try_emplace(loop, static_cast<int32_t>(loops_.size())).first->second);
    }

    bool put_ways(int32_t index) {
        const Grammar::Loop& loop = grammar_.loops[static_cast<size_t>(index)];
        if (loop.after == 0) {
            return false;
        }
        put(static_cast<int32_t>(loop.ways.size()));
        put(loop.needed);
        for (const int32_t way : loop.ways) {
            put_place(way);
        }
        put_place(loop.after);
        return true;
    }

    void put_instruction(int32_t at) {
        using Op = Grammar::Op;
        const Grammar::Instruction& i = grammar_.program[static_cast<size_t>(at)];
        text_ += static_cast<char>('A' + static_cast<int>(i.op));
        switch (i.op) {
            case Op::bytes: {
                const std::bitset<256>& set = grammar_.sets[static_cast<size_t>(i.a)];
                for (size_t byte = 0; byte < 256; byte += 8) {
                    int eight = 0;
                    for (size_t bit = 0; bit < 8; bit++) {
                        eight |= set.test(byte + bit) ? 1 << bit : 0;
                    }
                    text_ += static_cast<char>(eight);
                }
                put_place(at + 1);
                break;
            }
            case Op::token:
                put(i.a);
                put_place(at + 1);
                break;
            case Op::split:
                put_place(i.a);
                put_place(i.b);
                break;
            case Op::call:
                put_place(i.a);
                put_place(at + 1);
                break;
            case Op::loop_begin:
                put_loop(i.a);
                if (put_ways(i.a)) {
                    break;
                }
                put(grammar_.loops[static_cast<size_t>(i.a)].least);
                put(grammar_.loops[static_cast<size_t>(i.a)].most);
                put_place(at + 1);
                break;
            case Op::loop_end:
                put_loop(i.a);
                if (put_ways(i.a)) {
                    break;
                }
                put_place(grammar_.loops[static_cast<size_t>(i.a)].begin);
                put_place(at + 1);
                break;
            case Op::jump:
            case Op::leave:
            case Op::match:
                break;
        }
    }

    const Grammar& grammar_;
    std::string text_;
    std::vector<int32_t> order_;
    std::unordered_map<int32_t, int32_t> numbers_, loops_;
};

}  // namespace

// In two passes: turns are few.
void InnerMask::sort_by_turns(Counted& counted) {
    std::vector<size_t> places;
    for (const auto& [turns, unused] : counted) {
        if (static_cast<size_t>(turns) + 1 >= places.size()) {
            places.resize(static_cast<size_t>(turns) + 2, 0);
        }
        places[static_cast<size_t>(turns) + 1]++;
    }
    for (size_t i = 1; i < places.size(); i++) {
        places[i] += places[i - 1];
    }
    Counted sorted(counted.size());
    for (const auto& one : counted) {
        sorted[places[static_cast<size_t>(one.first)]++] = one;
    }
    counted = std::move(sorted);
}

TokenSet::TokenSet(std::vector<TokenId> tokens, int64_t vocab_size) {
    if (tokens.size() <= kFew) {
        few_ = std::move(tokens);
        return;
    }
    many_.assign((static_cast<size_t>(vocab_size) + 63) / 64, 0);
    for (const TokenId id : tokens) {
        allow(many_, id);
    }
}

void TokenSet::add_to(TokenMask& mask) const {
    for (const TokenId id : few_) {
        allow(mask, id);
    }
    for (size_t i = 0; i < many_.size(); i++) {
        mask[i] |= many_[i];
    }
}

// What a state of the rule's automaton says about a token that leads there.
struct InnerMask::Reach {
    int32_t inside = kNoTurns;   // turns begun where it stays in the counted loop
    std::vector<int32_t> left;   // turns taken where it left it
    std::vector<int32_t> exits;  // of these: where it left the rule too
};

InnerMask::InnerMask(const std::shared_ptr<const Grammar>& grammar,
                     const TokenTrie& trie,
                     const InnerPlaces& places,
                     GrammarWork& work)
    : counting_(places.counted >= 0), vocab_size_(trie.vocab_size()) {
    Automaton automaton(
        grammar, counting_ ? Automaton::Bottom::counting_edge : Automaton::Bottom::edge, nullptr);
    uint32_t stack = 0;
    for (size_t i = places.frames.size(); i-- > 0;) {
        const Automaton::Frame& f = places.frames[i];
        const bool counted = static_cast<int32_t>(i) == places.counted;
        if (counted) {
            automaton.count_above(stack, f.at);
        }
        stack = automaton.push(stack, f.at, counted ? 0 : f.count);
    }
    std::vector<Automaton::Place> from;
    for (const int32_t at : places.at) {
        from.push_back({at, stack});
    }
    try {
        read(automaton, automaton.state_of(from), trie, work);
    } catch (const GrammarError&) {  // more ways than with known counts, it may be
        give_up();
    }
    work.transitions += automaton.found_out();
}

void InnerMask::give_up() {
    diffuse_ = true;
    inside_ = {};
    left_ = {};
    beyond_ = {};
}

void InnerMask::read(Automaton& automaton,
                     int32_t start,
                     const TokenTrie& trie,
                     GrammarWork& work) {
    std::vector<std::optional<Reach>> known;
    const auto reach_of = [&](int32_t id) -> const Reach& {
        if (known.size() <= static_cast<size_t>(id)) {
            known.resize(automaton.states() + 64);
        }
        std::optional<Reach>& r = known[static_cast<size_t>(id)];
        if (r) {
            return *r;
        }
        r.emplace();
        const Automaton::State& s = automaton.state(id);
        r->exits = r->left = s.exits;
        for (const Automaton::Place& p : s.places) {
            if (!counting_) {
                r->inside = 0;
                continue;
            }
            // The lowest frame says that the counted loop was left; else that loop is among them.
            uint32_t stack = p.stack;
            int32_t turns = 0;
            for (;;) {
                const Automaton::Frame& f = automaton.frame(stack);
                if (f.count >= 0 && f.below == automaton.counted_above()) {
                    turns = f.count;
                }
                if (f.below == 0) {
                    break;
                }
                stack = f.below;
            }
            if (const Automaton::Frame& lowest = automaton.frame(stack);
                lowest.count == Automaton::kLeft) {
                r->left.push_back(lowest.at);
            } else {
                r->inside = std::min(r->inside, turns + 1);
            }
        }
        std::sort(r->left.begin(), r->left.end());
        r->left.erase(std::unique(r->left.begin(), r->left.end()), r->left.end());
        // Between two turns: the last one that is allowed may end here, since then the least are
        // done.
        if (r->inside != kNoTurns) {
            const auto between = std::find(r->left.begin(), r->left.end(), r->inside - 1);
            if (between != r->left.end()) {
                r->inside--;
                r->left.erase(between);
            }
        }
        return *r;
    };

    std::vector<TokenId> all;
    std::vector<int32_t> path(trie.deepest() + 1, Automaton::kDead);
    path[0] = start;
    const std::vector<TokenTrie::Node>& nodes = trie.nodes();
    size_t outside = 0;  // nodes to be looked at from elsewhere
    first_left_ = kNoTurns;
    for (size_t n = 0; n < trie.size();) {
        work.nodes++;
        const TokenTrie::Node& node = nodes[n];
        const auto end = static_cast<size_t>(node.skip);
        const int32_t next = automaton.after_byte(path[node.depth], node.byte);
        if (next == Automaton::kDead) {
            n = end;
            continue;
        }
        path[node.depth + size_t{1}] = next;
        const Reach& reach = reach_of(next);
        for (const TokenId id : trie.tokens_of(n)) {
            all.push_back(id);
            if (counting_) {
                if (reach.inside != kNoTurns) {
                    inside_.emplace_back(reach.inside, id);
                }
                for (const int32_t turns : reach.left) {
                    left_.emplace_back(turns, id);
                }
            }
        }
        for (const int32_t turns : reach.exits) {
            for (size_t child = n + 1; child < end;
                 child = static_cast<size_t>(nodes[child].skip)) {
                beyond_.push_back({nodes[child].byte, turns, static_cast<int32_t>(child)});
            }
            outside += end - n - 1;
        }
        if (outside > trie.size() / 4) {
            give_up();
            return;
        }
        n = automaton.state(next).places.empty() ? end : n + 1;
    }
    if (counting_) {
        sort_by_turns(inside_);
        sort_by_turns(left_);
        for (const Counted* counted : {&inside_, &left_}) {
            for (const auto& [turns, unused] : *counted) {
                most_turns_ = std::max(most_turns_, turns);
            }
        }
        for (const auto& [turns, unused] : left_) {
            first_left_ = std::min(first_left_, turns);
        }
    }
    all_ = TokenSet(std::move(all), vocab_size_);
    std::stable_sort(beyond_.begin(), beyond_.end(),
                     [](const Beyond& a, const Beyond& b) { return a.byte < b.byte; });
    inside_.shrink_to_fit();
    left_.shrink_to_fit();
    beyond_.shrink_to_fit();
}

void InnerMask::add_to(TokenMask& mask, int32_t least, int32_t most) {
    if (!counting_ || (least <= first_left_ && most >= most_turns_)) {
        all_.add_to(mask);
        return;
    }
    add_inside(mask, std::min(most, most_turns_));
    const auto by_turns = [](const Counted::value_type& one, int32_t turns) {
        return one.first < turns;
    };
    const auto first = std::lower_bound(left_.begin(), left_.end(), least, by_turns);
    for (auto at = first; at != left_.end() && at->first <= most; ++at) {
        allow(mask, at->second);
    }
}

// The tokens of inside_ that need at most so many turns. A large set is made of the one with the
// nearest number.
void InnerMask::add_inside(TokenMask& mask, int32_t turns) {
    const auto end_of = [&](int32_t most) {
        return std::upper_bound(inside_.begin(), inside_.end(), most,
                                [](int32_t value, const auto& one) { return value < one.first; });
    };
    if (inside_.size() <= kFew) {
        for (auto at = inside_.begin(); at != end_of(turns); ++at) {
            allow(mask, at->second);
        }
        return;
    }
    if (up_to_.empty()) {
        up_to_.emplace_back(most_turns_, TokenMask(mask.size(), 0));
        for (const auto& [unused, id] : inside_) {
            allow(up_to_.back().second, id);
        }
    }
    const auto nearest =
        std::min_element(up_to_.begin(), up_to_.end(), [&](const auto& a, const auto& b) {
            return std::abs(a.first - turns) < std::abs(b.first - turns);
        });
    const TokenMask* found = &nearest->second;
    if (nearest->first != turns) {
        TokenMask made = nearest->second;
        const auto from = end_of(std::min(turns, nearest->first)),
                   to = end_of(std::max(turns, nearest->first));
        for (auto at = from; at != to; ++at) {
            made[static_cast<size_t>(at->second) / 64] ^= uint64_t{1}
                                                          << (static_cast<size_t>(at->second) % 64);
        }
        up_to_.emplace_back(turns, std::move(made));
        found = &up_to_.back().second;
    }
    for (size_t i = 0; i < mask.size(); i++) {
        mask[i] |= (*found)[i];
    }
}

// With all that up_to_ may come to hold.
size_t InnerMask::bytes() const {
    return all_.bytes() + (inside_.size() + left_.size()) * sizeof(Counted::value_type) +
           beyond_.size() * sizeof(Beyond) +
           (inside_.size() <= kFew
                ? 0
                : (static_cast<size_t>(most_turns_) + 1) * static_cast<size_t>(vocab_size_) / 8);
}

std::shared_ptr<InnerMask> InnerMasks::of(const std::shared_ptr<const Grammar>& grammar,
                                          const InnerPlaces& places) {
    const std::optional<std::string> content = Content(*grammar, places).text();
    if (content) {
        if (const auto found = known_.find(*content); found != known_.end()) {
            return found->second;
        }
    }
    auto made = std::make_shared<InnerMask>(grammar, *trie_, places, work);
    if (content) {
        bytes_ += made->bytes() + content->size();
        if (bytes_ > kMaxBytes) {
            known_.clear();
            bytes_ = made->bytes() + content->size();
        }
        known_.emplace(*content, made);
    }
    return made;
}

}  // namespace runtime
