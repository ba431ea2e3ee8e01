#include "runtime/text/grammar/pattern.h"

#include <algorithm>
#include <string>

#include "runtime/text/grammar/pattern_tree.h"
#include "runtime/text/grammar/reader.h"

namespace runtime {
namespace {

using Part = PatternTree::Part;
using CodePoints = GrammarBuilder::CodePoints;

constexpr int kMaxDepth = 64;
constexpr int64_t kMaxRepetition = 100'000;
constexpr uint32_t kLastCodePoint = 0x10FFFF;

const CodePoints kDigit = {{'0', '9'}};
const CodePoints kWord = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
// What all dialects in use call a space, and what any of them does: validators differ (ECMA 262,
// Python).
const CodePoints kSpace = {{9, 13},          {' ', ' '},       {0xA0, 0xA0},
                           {0x1680, 0x1680}, {0x2000, 0x200A}, {0x2028, 0x2029},
                           {0x202F, 0x202F}, {0x205F, 0x205F}, {0x3000, 0x3000}};
const CodePoints kAnySpace = {{9, 13},          {0x1C, 0x20},     {0x85, 0x85},
                              {0xA0, 0xA0},     {0x1680, 0x1680}, {0x2000, 0x200A},
                              {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F},
                              {0x3000, 0x3000}, {0xFEFF, 0xFEFF}};
// Nor do they agree which letters and digits beyond ASCII count; so none does, and none counts as
// the opposite.
const CodePoints kBeyondAscii = {{0x80, kLastCodePoint}};
const CodePoints kLineEnd = {{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}};

CodePoints outside(CodePoints ranges) {
    std::sort(ranges.begin(), ranges.end());
    CodePoints rest;
    uint32_t next = 0;
    for (const auto& [low, high] : ranges) {
        if (low > next) {
            rest.emplace_back(next, low - 1);
        }
        next = std::max(next, high + 1);
    }
    if (next <= kLastCodePoint) {
        rest.emplace_back(next, kLastCodePoint);
    }
    return rest;
}

CodePoints both(CodePoints a, const CodePoints& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

class PatternParser {
public:
    PatternParser(PatternTree& tree, std::string_view pattern) : tree_(tree), in_(pattern) {}

    Part whole() {
        const Part any = tree_.repeat(tree_.character({{0, kLastCodePoint}}), 0, -1);
        std::vector<Part> ways;
        do {
            const bool from_start = in_.take('^');
            anchored_end_ = false;
            const Part middle = alternative(0);
            const Part nothing = tree_.sequence({});
            ways.push_back(tree_.sequence(
                {from_start ? nothing : any, middle, anchored_end_ ? nothing : any}));
        } while (in_.take('|'));
        if (!in_.done()) {
            in_.fail("')' without '('");
        }
        return tree_.choice(std::move(ways));
    }

private:
    Part alternatives(int depth) {
        if (depth > kMaxDepth) {
            in_.fail("groups are nested too deeply");
        }
        std::vector<Part> ways;
        do {
            ways.push_back(alternative(depth));
        } while (in_.take('|'));
        return tree_.choice(std::move(ways));
    }

    Part alternative(int depth) {
        std::vector<Part> parts;
        while (!in_.done() && in_.peek() != '|' && in_.peek() != ')') {
            if (in_.peek() == '$') {
                in_.next();
                if (depth > 0 || !(in_.done() || in_.peek() == '|')) {
                    in_.fail("'$' is supported at the end only");
                }
                anchored_end_ = true;
                break;
            }
            parts.push_back(repeated(atom(depth)));
        }
        return tree_.sequence(std::move(parts));
    }

    Part repeated(Part what) {
        int64_t least = 1, most = 1;
        if (in_.take('*')) {
            least = 0, most = -1;
        } else if (in_.take('+')) {
            most = -1;
        } else if (in_.take('?')) {
            least = 0;
        } else if (in_.peek() == '{') {
            in_.next();
            least = in_.number(kMaxRepetition);
            most = least;
            if (in_.take(',')) {
                most = in_.peek() == '}' ? -1 : in_.number(kMaxRepetition);
            }
            if (!in_.take('}') || (most >= 0 && most < least)) {
                in_.fail("a repetition is written {2}, {2,} or {2,5}");
            }
        } else {
            return what;
        }
        in_.take('?');  // lazy: the same texts
        if (in_.peek() == '*' || in_.peek() == '+' || in_.peek() == '{') {
            in_.fail("nothing to repeat");
        }
        return tree_.repeat(what, static_cast<int32_t>(least), static_cast<int32_t>(most));
    }

    Part atom(int depth) {
        const uint32_t c = in_.next();
        switch (c) {
            case '(': {
                if (in_.take('?')) {
                    if (in_.take('<') && in_.peek() != '=' && in_.peek() != '!') {
                        while (in_.next() != '>') {
                        }
                    } else if (!in_.take(':')) {
                        in_.fail("look-around is not supported");
                    }
                }
                const Part inside = alternatives(depth + 1);
                if (!in_.take(')')) {
                    in_.fail("'(' without ')'");
                }
                return inside;
            }
            case '[':
                return tree_.character(set());
            case '.':
                return tree_.character(outside(kLineEnd));
            case '\\':
                return tree_.character(escape(false));
            case '^':
                in_.fail("'^' is supported at the start only");
            case '*':
            case '+':
            case '?':
            case '{':
                in_.fail("nothing to repeat");
            default:
                return tree_.character({{c, c}});
        }
    }

    CodePoints set() {
        const bool negated = in_.take('^');
        CodePoints all;
        unclear_.clear();
        while (!in_.take(']')) {
            CodePoints one = member();
            const bool single = one.size() == 1 && one[0].first == one[0].second;
            if (single && in_.peek() == '-' && in_.peek(1) != ']') {
                in_.next();
                const CodePoints last = member();
                if (last.size() != 1 || last[0].first != last[0].second ||
                    last[0].first < one[0].first) {
                    in_.fail("a range runs from a lower character to a higher one");
                }
                one[0].second = last[0].first;
            }
            all.insert(all.end(), one.begin(), one.end());
        }
        return negated ? outside(both(std::move(all), unclear_)) : all;
    }

    CodePoints member() {
        const uint32_t c = in_.next();
        return c == '\\' ? escape(true) : CodePoints{{c, c}};
    }

    CodePoints escape(bool in_set) {
        const uint32_t c = in_.next();
        switch (c) {
            case 'd':
                unclear_ = both(unclear_, kBeyondAscii);
                return kDigit;
            case 'D':
                return outside(both(kDigit, kBeyondAscii));
            case 'w':
                unclear_ = both(unclear_, kBeyondAscii);
                return kWord;
            case 'W':
                return outside(both(kWord, kBeyondAscii));
            case 's':
                unclear_ = both(unclear_, kAnySpace);
                return kSpace;
            case 'S':
                return outside(kAnySpace);
            case 't':
                return {{'\t', '\t'}};
            case 'n':
                return {{'\n', '\n'}};
            case 'r':
                return {{'\r', '\r'}};
            case 'f':
                return {{'\f', '\f'}};
            case 'v':
                return {{'\v', '\v'}};
            case '0':
                return {{0, 0}};
            case 'x':
                return one(in_.hex(2));
            case 'u':
                if (in_.take('{')) {
                    const uint32_t value = in_.hex(1, 6);
                    if (!in_.take('}')) {
                        in_.fail("\\u{ without }");
                    }
                    return one(value);
                }
                return one(in_.hex(4));
            case 'b':
                if (in_set) {
                    return {{8, 8}};
                }
                in_.fail("\\b is not supported");
            default:
                if ((c >= '1' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
                    in_.fail(std::string("\\") + static_cast<char>(c) + " is not supported");
                }
                return one(c);
        }
    }

    static CodePoints one(uint32_t c) { return {{c, c}}; }

    PatternTree& tree_;
    GrammarReader in_;
    bool anchored_end_ = false;
    CodePoints unclear_;  // of the classes in a set: what some dialects count among them
};

}  // namespace

GrammarBuilder::Expr pattern_expression(GrammarBuilder& builder,
                                        std::string_view pattern,
                                        const WriteCharacter& character,
                                        int32_t least,
                                        int32_t most) {
    PatternTree tree;
    const Part whole = PatternParser(tree, pattern).whole();
    return tree.expression(builder, whole, character, least, most);
}

}  // namespace runtime
