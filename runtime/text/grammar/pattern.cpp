#include "runtime/text/grammar/pattern.h"

#include <algorithm>
#include <string>

#include "runtime/text/grammar/reader.h"

namespace runtime {
namespace {

using Expr = GrammarBuilder::Expr;
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
    PatternParser(GrammarBuilder& builder,
                  std::string_view pattern,
                  const WriteCharacter& character)
        : builder_(builder), in_(pattern), character_(character) {}

    Expr whole() {
        const Expr any = builder_.repeat(character_({{0, kLastCodePoint}}), 0);
        std::vector<Expr> ways;
        do {
            const bool from_start = in_.take('^');
            anchored_end_ = false;
            const Expr middle = alternative(0);
            ways.push_back(builder_.sequence({from_start ? builder_.empty() : any, middle,
                                              anchored_end_ ? builder_.empty() : any}));
        } while (in_.take('|'));
        if (!in_.done()) {
            in_.fail("')' without '('");
        }
        return builder_.choice(std::move(ways));
    }

private:
    Expr alternatives(int depth) {
        if (depth > kMaxDepth) {
            in_.fail("groups are nested too deeply");
        }
        std::vector<Expr> ways;
        do {
            ways.push_back(alternative(depth));
        } while (in_.take('|'));
        return builder_.choice(std::move(ways));
    }

    Expr alternative(int depth) {
        std::vector<Expr> parts;
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
        return builder_.sequence(std::move(parts));
    }

    Expr repeated(Expr what) {
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
        return builder_.repeat(what, static_cast<int32_t>(least), static_cast<int32_t>(most));
    }

    Expr atom(int depth) {
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
                const Expr inside = alternatives(depth + 1);
                if (!in_.take(')')) {
                    in_.fail("'(' without ')'");
                }
                return inside;
            }
            case '[':
                return character_(set());
            case '.':
                return character_(outside(kLineEnd));
            case '\\':
                return character_(escape(false));
            case '^':
                in_.fail("'^' is supported at the start only");
            case '*':
            case '+':
            case '?':
            case '{':
                in_.fail("nothing to repeat");
            default:
                return character_({{c, c}});
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

    GrammarBuilder& builder_;
    GrammarReader in_;
    const WriteCharacter& character_;
    bool anchored_end_ = false;
    CodePoints unclear_;  // of the classes in a set: what some dialects count among them
};

}  // namespace

Expr pattern_expression(GrammarBuilder& builder,
                        std::string_view pattern,
                        const WriteCharacter& character) {
    return PatternParser(builder, pattern, character).whole();
}

}  // namespace runtime
