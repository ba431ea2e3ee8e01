// PatternTree: a regular expression once it is read: characters, sequences, alternatives and
// repetitions; and what becomes of it where the number of characters is bounded too. Knows no
// notation.
#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "runtime/text/grammar/pattern.h"

namespace runtime {

class PatternTree {
public:
    using Part = int32_t;
    using CodePoints = GrammarBuilder::CodePoints;

    Part character(CodePoints ranges);
    Part sequence(std::vector<Part> parts);
    Part choice(std::vector<Part> parts);
    Part repeat(Part what, int32_t least, int32_t most);  // most -1: any number of times

    // Its texts of `least` to `most` characters. Throws GrammarError where that takes too many
    // rules.
    GrammarBuilder::Expr expression(GrammarBuilder& builder,
                                    Part whole,
                                    const WriteCharacter& character,
                                    int32_t least,
                                    int32_t most);

private:
    enum class Kind : uint8_t { character, sequence, choice, repeat };
    struct Node {
        Kind kind;
        std::vector<Part> parts = {};
        CodePoints ranges = {};
        int32_t least = 0, most = 0;
    };
    // A nondeterministic automaton: each state reads one of some characters, or goes on by itself.
    struct State {
        Part character = -1;  // -1: reads nothing
        std::vector<int32_t> next = {};
    };
    struct Product;

    Part add(Node node);
    std::pair<int64_t, int64_t> lengths(Part part) const;
    GrammarBuilder::Expr free(GrammarBuilder& builder, Part part, const WriteCharacter& write) const;
    int32_t compile(Part part, int32_t then);
    int32_t state(State s);

    std::vector<Node> nodes_;
    std::vector<State> states_;
};

}  // namespace runtime
