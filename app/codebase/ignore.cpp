#include "app/codebase/ignore.h"

#include <cctype>
#include <cstdint>

namespace app::codebase {
namespace {

bool in_named_class(std::string_view name, unsigned char c) {
    if (name == "alpha")
        return std::isalpha(c) != 0;
    if (name == "digit")
        return std::isdigit(c) != 0;
    if (name == "alnum")
        return std::isalnum(c) != 0;
    if (name == "upper")
        return std::isupper(c) != 0;
    if (name == "lower")
        return std::islower(c) != 0;
    if (name == "space")
        return std::isspace(c) != 0;
    if (name == "punct")
        return std::ispunct(c) != 0;
    if (name == "xdigit")
        return std::isxdigit(c) != 0;
    if (name == "print")
        return std::isprint(c) != 0;
    if (name == "graph")
        return std::isgraph(c) != 0;
    if (name == "cntrl")
        return std::iscntrl(c) != 0;
    if (name == "blank")
        return c == ' ' || c == '\t';
    return false;
}

// A bracket expression starting at pattern[at] == '['. Nothing: it never closes, so no path can
// match.
struct Bracket {
    bool matches = false;
    size_t end = 0;  // just behind ']'
};
std::optional<Bracket> match_bracket(std::string_view pattern, size_t at, char c) {
    size_t i = at + 1;
    bool negated = false;
    if (i < pattern.size() && (pattern[i] == '!' || pattern[i] == '^')) {
        negated = true;
        i++;
    }
    bool found = false;
    const auto byte = static_cast<unsigned char>(c);
    for (bool first = true; i < pattern.size(); first = false) {
        if (pattern[i] == ']' && !first) {
            return Bracket{found != negated && c != '/', i + 1};
        }
        if (pattern.substr(i, 2) == "[:") {
            const size_t close = pattern.find(":]", i + 2);
            if (close != std::string_view::npos) {
                found = found || in_named_class(pattern.substr(i + 2, close - i - 2), byte);
                i = close + 2;
                continue;
            }
        }
        if (pattern[i] == '\\' && i + 1 < pattern.size()) {
            i++;
        }
        auto low = static_cast<unsigned char>(pattern[i++]);
        unsigned char high = low;
        if (i + 1 < pattern.size() && pattern[i] == '-' && pattern[i + 1] != ']') {
            i++;
            if (pattern[i] == '\\' && i + 1 < pattern.size()) {
                i++;
            }
            high = static_cast<unsigned char>(pattern[i++]);
        }
        found = found || (byte >= low && byte <= high);
    }
    return std::nullopt;
}

// The set of pattern positions that are alive after each character of the text: no backtracking, so
// a hostile pattern like a*a*a*a*b costs pattern length per character and no more.
struct Matcher {
    std::string_view pattern;
    std::vector<uint8_t> alive, next;

    bool is_double_star(size_t at) const {
        return pattern.substr(at, 2) == "**" && (at == 0 || pattern[at - 1] == '/') &&
               (at + 2 == pattern.size() || pattern[at + 2] == '/');
    }

    // Adds position `at` and all positions that are reachable from it without a character.
    void add(std::vector<uint8_t>& set, size_t at) const {
        while (!set[at]) {
            set[at] = 1;
            if (at == pattern.size() || pattern[at] != '*') {
                return;
            }
            if (is_double_star(at)) {
                if (at + 2 == pattern.size()) {
                    return;  // a trailing "**" needs something to match
                }
                at += 3;  // "**/" also stands for no folder at all
            } else {
                at += 1;
            }
        }
    }

    bool run(std::string_view text) {
        alive.assign(pattern.size() + 1, 0);
        add(alive, 0);
        for (const char c : text) {
            next.assign(pattern.size() + 1, 0);
            for (size_t at = 0; at < pattern.size(); at++) {
                if (alive[at]) {
                    step(at, c);
                }
            }
            alive.swap(next);
        }
        if (alive[pattern.size()]) {
            return true;
        }
        // Inside a trailing "**" everything that was read belongs to it.
        return !text.empty() && pattern.size() >= 2 && is_double_star(pattern.size() - 2) &&
               alive[pattern.size() - 2];
    }

    void step(size_t at, char c) {
        const char p = pattern[at];
        if (p == '*') {
            if (is_double_star(at)) {
                // Any characters; only behind a slash may what follows "**/" begin.
                if (!next[at]) {
                    next[at] = 1;
                }
                if (c == '/' && at + 2 < pattern.size()) {
                    add(next, at + 3);
                }
            } else if (c != '/') {
                add(next, at);
            }
        } else if (p == '?') {
            if (c != '/') {
                add(next, at + 1);
            }
        } else if (p == '[') {
            const auto bracket = match_bracket(pattern, at, c);
            if (bracket && bracket->matches) {
                add(next, bracket->end);
            }
        } else if (p == '\\' && at + 1 < pattern.size()) {
            if (pattern[at + 1] == c) {
                add(next, at + 2);
            }
        } else if (p == c) {
            add(next, at + 1);
        }
    }
};

}  // namespace

bool wildcard_match(std::string_view pattern, std::string_view text) {
    return Matcher{pattern, {}, {}}.run(text);
}

IgnoreRules IgnoreRules::parse(std::string_view text) {
    IgnoreRules rules;
    if (text.starts_with("\xEF\xBB\xBF")) {
        text.remove_prefix(3);
    }
    while (!text.empty()) {
        const size_t newline = text.find('\n');
        std::string_view line = text.substr(0, newline);
        text = newline == std::string_view::npos ? std::string_view() : text.substr(newline + 1);
        if (line.ends_with('\r')) {
            line.remove_suffix(1);
        }
        // Trailing blanks count only when escaped.
        while (line.ends_with(' ') && !line.ends_with("\\ ")) {
            line.remove_suffix(1);
        }
        if (line.empty() || line[0] == '#') {
            continue;
        }
        Pattern pattern;
        if (line[0] == '!') {
            pattern.negated = true;
            line.remove_prefix(1);
        }
        if (line.ends_with('/')) {
            pattern.folders_only = true;
            line.remove_suffix(1);
        }
        pattern.anchored = line.find('/') != std::string_view::npos;
        if (line.starts_with('/')) {
            line.remove_prefix(1);
        }
        if (line.empty() || line.size() > 4096) {
            continue;
        }
        pattern.glob = std::string(line);
        rules.patterns_.push_back(std::move(pattern));
    }
    return rules;
}

std::optional<bool> IgnoreRules::match(std::string_view path, bool is_folder) const {
    const std::string_view name = path.substr(path.rfind('/') + 1);
    for (auto pattern = patterns_.rbegin(); pattern != patterns_.rend(); ++pattern) {
        if (pattern->folders_only && !is_folder) {
            continue;
        }
        if (wildcard_match(pattern->glob, pattern->anchored ? path : name)) {
            return !pattern->negated;
        }
    }
    return std::nullopt;
}

}  // namespace app::codebase
