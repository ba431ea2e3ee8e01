#include "runtime/text/grammar/pattern_tree.h"

#include <algorithm>

namespace runtime {
namespace {

using Expr = GrammarBuilder::Expr;

constexpr int64_t kEndless = int64_t{1} << 40;
constexpr size_t kMaxStates = 5'000, kMaxRules = 30'000, kMaxWays = 120'000;

[[noreturn]] void too_much() {
    throw GrammarError("the pattern is too large to be held to a length as well");
}

}  // namespace

PatternTree::Part PatternTree::add(Node node) {
    nodes_.push_back(std::move(node));
    return static_cast<Part>(nodes_.size() - 1);
}

PatternTree::Part PatternTree::character(CodePoints ranges) {
    return add({Kind::character, {}, std::move(ranges)});
}

PatternTree::Part PatternTree::sequence(std::vector<Part> parts) {
    return add({Kind::sequence, std::move(parts)});
}

PatternTree::Part PatternTree::choice(std::vector<Part> parts) {
    return add({Kind::choice, std::move(parts)});
}

PatternTree::Part PatternTree::repeat(Part what, int32_t least, int32_t most) {
    return add({Kind::repeat, {what}, {}, least, most});
}

// Of the shortest and of the longest text, in characters.
std::pair<int64_t, int64_t> PatternTree::lengths(Part part) const {
    const Node& node = nodes_[static_cast<size_t>(part)];
    if (node.kind == Kind::character) {
        return {1, 1};
    }
    std::pair<int64_t, int64_t> sum = {node.kind == Kind::choice ? kEndless : 0, 0};
    for (const Part one : node.parts) {
        const auto [low, high] = lengths(one);
        if (node.kind == Kind::choice) {
            sum = {std::min(sum.first, low), std::max(sum.second, high)};
        } else if (node.kind == Kind::sequence) {
            sum = {std::min(kEndless, sum.first + low), std::min(kEndless, sum.second + high)};
        } else {
            const int64_t most = node.most < 0 ? kEndless : node.most;
            const bool huge = high > 0 && most > kEndless / high;
            sum = {std::min(kEndless, low * node.least), huge ? kEndless : high * most};
        }
    }
    return sum;
}

Expr PatternTree::free(GrammarBuilder& builder, Part part, const WriteCharacter& write) const {
    const Node& node = nodes_[static_cast<size_t>(part)];
    if (node.kind == Kind::character) {
        return write(node.ranges);
    }
    std::vector<Expr> parts;
    for (const Part one : node.parts) {
        parts.push_back(free(builder, one, write));
    }
    return node.kind == Kind::sequence ? builder.sequence(std::move(parts))
           : node.kind == Kind::choice ? builder.choice(std::move(parts))
                                       : builder.repeat(parts[0], node.least, node.most);
}

int32_t PatternTree::state(State s) {
    if (states_.size() >= kMaxStates) {
        too_much();
    }
    states_.push_back(std::move(s));
    return static_cast<int32_t>(states_.size() - 1);
}

// The state that reads the part and goes on with `then`.
int32_t PatternTree::compile(Part part, int32_t then) {
    const Node node = nodes_[static_cast<size_t>(part)];
    switch (node.kind) {
        case Kind::character:
            return state({part, {then}});
        case Kind::sequence:
            for (size_t i = node.parts.size(); i-- > 0;) {
                then = compile(node.parts[i], then);
            }
            return then;
        case Kind::choice: {
            State s;
            for (const Part one : node.parts) {
                s.next.push_back(compile(one, then));
            }
            return state(std::move(s));
        }
        case Kind::repeat:
            break;
    }
    if (lengths(part).second == 0) {  // however often
        return then;
    }
    int32_t at = then;
    if (node.most < 0) {
        at = state({-1, {then}});
        const int32_t again = compile(node.parts[0], at);
        states_[static_cast<size_t>(at)].next.push_back(again);
    } else {
        for (int32_t i = node.least; i < node.most; i++) {
            const int32_t once = compile(node.parts[0], at);
            at = state({-1, {then, once}});
        }
    }
    for (int32_t i = 0; i < node.least; i++) {
        at = compile(node.parts[0], at);
    }
    return at;
}

// Rules for (state, characters so far), each a tail of the text: nothing is stacked.
struct PatternTree::Product {
    const PatternTree& tree;
    GrammarBuilder& builder;
    const WriteCharacter& write;
    const int32_t least, most, end;
    std::map<std::pair<int32_t, int32_t>, Expr> rules = {};
    std::vector<std::pair<std::pair<int32_t, int32_t>, Expr>> todo = {};
    std::map<Part, Expr> characters = {};
    size_t ways = 0;

    Expr rule(int32_t at, int32_t count) {
        count = most < 0 ? std::min(count, least) : count;
        const auto [found, is_new] = rules.try_emplace({at, count}, -1);
        if (is_new) {
            if (rules.size() > kMaxRules) {
                too_much();
            }
            found->second = builder.declare("pattern of a length");
            todo.push_back({found->first, found->second});
        }
        return found->second;
    }

    Expr character(Part part) {
        const auto [found, is_new] = characters.try_emplace(part, -1);
        if (is_new) {
            found->second = builder.declare("character");
            builder.define(found->second, write(tree.nodes_[static_cast<size_t>(part)].ranges));
        }
        return found->second;
    }

    Expr from(int32_t start) {
        const Expr whole = rule(start, 0);
        while (!todo.empty()) {
            const auto [key, expr] = todo.back();
            todo.pop_back();
            const auto [at, count] = key;
            std::vector<Expr> out;
            std::vector<int32_t> open = {at}, seen = {at};
            while (!open.empty()) {
                const int32_t here = open.back();
                open.pop_back();
                const State& s = tree.states_[static_cast<size_t>(here)];
                if (here == end) {
                    if (count >= least) {
                        out.push_back(builder.empty());
                    }
                } else if (s.character >= 0) {
                    if (most < 0 || count < most) {
                        out.push_back(
                            builder.sequence({character(s.character), rule(s.next[0], count + 1)}));
                    }
                } else {
                    for (const int32_t next : s.next) {
                        if (std::find(seen.begin(), seen.end(), next) == seen.end()) {
                            seen.push_back(next);
                            open.push_back(next);
                        }
                    }
                }
                ways++;
            }
            if (ways > kMaxWays) {
                too_much();
            }
            builder.define(expr, builder.choice(std::move(out)));
        }
        return whole;
    }
};

Expr PatternTree::expression(GrammarBuilder& builder,
                             Part whole,
                             const WriteCharacter& character,
                             int32_t least,
                             int32_t most) {
    const auto [shortest, longest] = lengths(whole);
    if (most >= 0 && (most < least || shortest > most)) {
        return builder.nothing();
    }
    if (longest < least) {
        return builder.nothing();
    }
    if (shortest >= least && (most < 0 || longest <= most)) {
        return free(builder, whole, character);
    }
    const int32_t end = state({});
    const int32_t start = compile(whole, end);
    return Product{*this, builder, character, least, most, end}.from(start);
}

}  // namespace runtime
