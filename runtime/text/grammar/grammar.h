// Grammar: what a constrained reply may look like, as a small program over bytes and special
// tokens. Immutable, any thread; made by GrammarBuilder. Knows no vocabulary: matcher.h turns it
// into sets of tokens.
//
// The program is that of a recursive automaton. A place in it is (instruction, stack); a stack's
// frames are return addresses of rules, counts of repetitions, so that x{0,9999} takes as much
// room as x{0,2}, and which of things in any order there have been, so that ten of them take no
// more room than in one order.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/text/tokenizer.h"

namespace runtime {

// A grammar that cannot be used; one line, for whoever wrote it.
class GrammarError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

class Grammar {
public:
    enum class Op : uint8_t {
        bytes,       // one byte of sets[a]
        token,       // the special token a
        split,       // to a and to b
        jump,        // to a
        call,        // rule at a; goes on behind this
        leave,       // of a rule
        loop_begin,  // of loops[a]; the body follows
        loop_end,    // of loops[a]: once more, or on
        match        // the end of all
    };
    struct Instruction {
        Op op;
        int32_t a = 0, b = 0;
    };
    struct Loop {
        int32_t begin = 0;  // first instruction of the body
        int32_t least = 0;
        int32_t most = 0;  // -1: any number
        // Where it is of things in any order, each a turn, instead of the same thing again: where
        // they begin, those that must come as bits, and what follows them all.
        std::vector<int32_t> ways = {};
        int32_t needed = 0, after = 0;  // `after` 0: it is of turns
    };

    std::vector<Instruction> program;
    std::vector<std::bitset<256>> sets;
    std::vector<Loop> loops;
    int32_t start = 0;
    // Bytes that no set tells apart: what follows from one of a class follows from all of it.
    std::array<uint8_t, 256> byte_class{};
    int32_t byte_classes = 1;
};

// Builds a grammar from expressions. Expressions are numbers, valid for this builder alone, and may
// be used many times.
//
// build() removes alternatives that can never end, and throws GrammarError where nothing is left,
// where a rule begins with itself (left recursion), where a rule is used and not defined, or
// where it gets too large.
class GrammarBuilder {
public:
    using Expr = int32_t;
    using CodePoints = std::vector<std::pair<uint32_t, uint32_t>>;  // inclusive ranges
    static constexpr int32_t kAnyNumber = -1;
    static constexpr size_t kMaxInstructions = 400'000;
    static constexpr int kMaxLeftDepth = 5'000;

    GrammarBuilder();

    Expr empty() { return empty_; }
    Expr nothing();  // matches no text at all
    Expr literal(std::string_view bytes);
    Expr bytes(const std::bitset<256>& set);
    // One character of (or, negated, outside) the ranges, as UTF-8; surrogates never.
    Expr code_points(CodePoints ranges, bool negated = false);
    Expr token(TokenId id);
    Expr sequence(std::vector<Expr> parts);
    Expr choice(std::vector<Expr> parts);
    Expr optional(Expr part) { return repeat(part, 0, 1); }
    Expr repeat(Expr part, int32_t least, int32_t most = kAnyNumber);
    // Each of these at most once, and the needed ones once, in any order; at most kMostUnordered.
    struct Item {
        Expr what;
        bool needed;
    };
    static constexpr size_t kMostUnordered = 31;
    Expr in_any_order(const std::vector<Item>& items);
    // Any text, of whole UTF-8 characters, that holds none of the markers (ASCII).
    Expr text_without(const std::vector<std::string>& markers);

    // A rule may be referred to before it is defined.
    Expr declare(const std::string& name);
    void define(Expr rule, Expr what);

    std::shared_ptr<const Grammar> build(Expr start);

private:
    enum class Kind : uint8_t { empty, nothing, bytes, token, sequence, choice, repeat, unordered, rule };
    struct Node {
        Kind kind;
        std::vector<Expr> parts = {};
        int32_t a = 0, b = 0;  // set, token id, bounds, the needed parts as bits, or rule
    };
    struct Rule {
        std::string name;
        Expr body = -1;
        int32_t at = -1;
        bool nullable = false, productive = false, visiting = false, visited = false;
    };
    struct Emitter;

    Expr add(Node node);
    Expr byte_range(int low, int high);
    void utf8_range(uint32_t low, uint32_t high, std::vector<Expr>& out);
    bool productive(Expr e) const;
    bool nullable(Expr e) const;
    void check_defined(Expr start);
    void check_left(int32_t rule);
    void check_left_of(Expr e);

    std::vector<Node> nodes_;
    std::vector<Rule> rules_;
    std::vector<std::bitset<256>> sets_;
    std::vector<char> productive_, nullable_;  // of nodes, while building
    int left_depth_ = 0;                       // of rules being checked inside each other
    Expr empty_;
};

}  // namespace runtime
