#include "runtime/text/grammar/gbnf.h"

#include <map>
#include <string>

#include "runtime/text/grammar/reader.h"

namespace runtime {
namespace {

using Expr = GrammarBuilder::Expr;
using CodePoints = GrammarBuilder::CodePoints;

constexpr int kMaxDepth = 64;
constexpr int64_t kMaxRepetition = 100'000;

bool name_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

class GbnfParser {
public:
    explicit GbnfParser(std::string_view text) : in_(text) {}

    std::shared_ptr<const Grammar> grammar(const WrapRoot& wrap) {
        space(true);
        while (!in_.done()) {
            const std::string rule = name();
            space(false);
            if (!in_.rest().starts_with("::=")) {
                in_.fail("'::=' expected after '" + rule + "'");
            }
            in_.skip(3);
            if (!defined_.emplace(rule, true).second) {
                in_.fail("rule '" + rule + "' is defined twice");
            }
            space(true);
            builder_.define(reference(rule), alternatives(0));
            if (!in_.done() && in_.peek() != '\n' && in_.peek() != '\r') {
                in_.fail("the rule should end here");
            }
            space(true);
        }
        if (!defined_.contains("root")) {
            throw GrammarError("there is no rule 'root'");
        }
        const Expr root = reference("root");
        return builder_.build(wrap ? wrap(builder_, root) : root);
    }

private:
    // Blanks and comments; line ends too where the rule goes on.
    void space(bool lines) {
        for (;;) {
            const char c = in_.peek();
            if (c == ' ' || c == '\t' || (lines && (c == '\n' || c == '\r'))) {
                in_.skip(1);
            } else if (c == '#') {
                while (!in_.done() && in_.peek() != '\n') {
                    in_.skip(1);
                }
            } else {
                return;
            }
        }
    }

    std::string name() {
        std::string text;
        while (name_character(in_.peek())) {
            text += in_.peek();
            in_.skip(1);
        }
        if (text.empty()) {
            in_.fail("a rule's name expected");
        }
        return text;
    }

    Expr reference(const std::string& rule) {
        const auto found = rules_.find(rule);
        return found != rules_.end() ? found->second
                                     : rules_.emplace(rule, builder_.declare(rule)).first->second;
    }

    Expr alternatives(int depth) {
        if (depth > kMaxDepth) {
            in_.fail("groups are nested too deeply");
        }
        std::vector<Expr> ways = {sequence(depth)};
        for (;;) {
            // An alternative may begin on a line of its own.
            GrammarReader ahead = in_;
            space(true);
            if (!in_.take('|')) {
                if (depth == 0) {
                    in_ = ahead;
                }
                break;
            }
            space(true);
            ways.push_back(sequence(depth));
        }
        return builder_.choice(std::move(ways));
    }

    Expr sequence(int depth) {
        std::vector<Expr> parts;
        for (;;) {
            space(depth > 0);
            const char c = in_.peek();
            Expr part = 0;
            if (c == '"') {
                part = text();
            } else if (c == '[') {
                part = set();
            } else if (c == '.') {
                in_.skip(1);
                part = builder_.code_points({}, true);
            } else if (c == '(') {
                in_.skip(1);
                space(true);
                part = alternatives(depth + 1);
                space(true);
                if (!in_.take(')')) {
                    in_.fail("'(' without ')'");
                }
            } else if (name_character(c)) {
                part = reference(name());
            } else {
                return builder_.sequence(std::move(parts));
            }
            parts.push_back(repeated(part));
        }
    }

    Expr repeated(Expr part) {
        for (;;) {
            space(false);
            int64_t least = 0, most = -1;
            if (in_.take('*')) {
            } else if (in_.take('+')) {
                least = 1;
            } else if (in_.take('?')) {
                most = 1;
            } else if (in_.take('{')) {
                space(false);
                least = in_.number(kMaxRepetition);
                most = least;
                space(false);
                if (in_.take(',')) {
                    space(false);
                    most = in_.peek() == '}' ? -1 : in_.number(kMaxRepetition);
                    space(false);
                }
                if (!in_.take('}') || (most >= 0 && most < least)) {
                    in_.fail("a repetition is written {2}, {2,} or {2,5}");
                }
            } else {
                return part;
            }
            part = builder_.repeat(part, static_cast<int32_t>(least), static_cast<int32_t>(most));
        }
    }

    uint32_t character() {
        const uint32_t c = in_.next();
        if (c != '\\') {
            return c;
        }
        const uint32_t escaped = in_.next();
        switch (escaped) {
            case 'n':
                return '\n';
            case 'r':
                return '\r';
            case 't':
                return '\t';
            case 'x':
                return in_.hex(2);
            case 'u':
                return in_.hex(4);
            case 'U':
                return in_.hex(8);
            case '"':
            case '\\':
            case '[':
            case ']':
            case '-':
            case '^':
                return escaped;
            default:
                in_.fail("unknown escape");
        }
    }

    Expr text() {
        in_.skip(1);
        std::vector<Expr> parts;
        while (in_.peek() != '"' || in_.done()) {
            const uint32_t c = character();
            parts.push_back(builder_.code_points({{c, c}}));
        }
        in_.skip(1);
        return builder_.sequence(std::move(parts));
    }

    Expr set() {
        in_.skip(1);
        const bool negated = in_.take('^');
        CodePoints ranges;
        while (in_.peek() != ']' || in_.done()) {
            const uint32_t low = character();
            uint32_t high = low;
            if (in_.peek() == '-' && in_.peek(1) != ']') {
                in_.skip(1);
                high = character();
                if (high < low) {
                    in_.fail("a range runs from a lower character to a higher one");
                }
            }
            ranges.emplace_back(low, high);
        }
        in_.skip(1);
        return builder_.code_points(std::move(ranges), negated);
    }

    GrammarReader in_;
    GrammarBuilder builder_;
    std::map<std::string, Expr> rules_;
    std::map<std::string, bool> defined_;
};

}  // namespace

std::shared_ptr<const Grammar> parse_gbnf(std::string_view text, const WrapRoot& wrap) {
    return GbnfParser(text).grammar(wrap);
}

}  // namespace runtime
