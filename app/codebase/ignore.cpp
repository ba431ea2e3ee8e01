#include "app/codebase/ignore.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdint>
#include <utility>

namespace app::codebase {
namespace {

constexpr size_t kLongestPattern = 4096;

bool is_glob_special(char c) {
    return c == '*' || c == '?' || c == '[' || c == '\\';
}

size_t literal_length(std::string_view pattern) {
    size_t n = 0;
    while (n < pattern.size() && !is_glob_special(pattern[n])) {
        n++;
    }
    return n;
}

using Classifier = int (*)(int);
constexpr std::array<std::pair<std::string_view, Classifier>, 12> kNamedClasses = {{
    {"alpha", [](int c) { return std::isalpha(c); }},
    {"digit", [](int c) { return std::isdigit(c); }},
    {"alnum", [](int c) { return std::isalnum(c); }},
    {"upper", [](int c) { return std::isupper(c); }},
    {"lower", [](int c) { return std::islower(c); }},
    {"space", [](int c) { return std::isspace(c); }},
    {"punct", [](int c) { return std::ispunct(c); }},
    {"xdigit", [](int c) { return std::isxdigit(c); }},
    {"print", [](int c) { return std::isprint(c); }},
    {"graph", [](int c) { return std::isgraph(c); }},
    {"cntrl", [](int c) { return std::iscntrl(c); }},
    {"blank", [](int c) { return static_cast<int>(c == ' ' || c == '\t'); }},
}};

// Adds a named class to the set; false: there is none of that name.
bool add_named(std::bitset<256>& set, std::string_view name) {
    for (const auto& [known, is_in] : kNamedClasses) {
        if (name == known) {
            for (int c = 0; c < 128; c++) {
                if (is_in(c)) {
                    set.set(static_cast<size_t>(c));
                }
            }
            return true;
        }
    }
    return false;
}

}  // namespace

Glob::Glob(std::string_view pattern) {
    for (size_t at = 0; at < pattern.size();) {
        const char c = pattern[at];
        if (c == '*') {
            size_t end = at;
            while (end < pattern.size() && pattern[end] == '*') {
                end++;
            }
            const bool at_start = at == 0 || pattern[at - 1] == '/';
            const bool at_end =
                end == pattern.size() || pattern[end] == '/' || pattern.substr(end, 2) == "\\/";
            Op op{Op::Kind::star};
            if (end - at >= 2 && at_start && at_end) {
                op.kind = Op::Kind::double_star;
                op.skips_slash = end < pattern.size() && pattern[end] == '/';
            }
            ops_.push_back(op);
            at = end;
        } else if (c == '?') {
            ops_.push_back({Op::Kind::any});
            at++;
        } else if (c == '[') {
            at = add_set(pattern, at);
        } else if (c == '\\') {
            if (at + 1 == pattern.size()) {
                ops_.push_back({Op::Kind::fail});
                return;
            }
            ops_.push_back({Op::Kind::literal, pattern[at + 1]});
            at += 2;
        } else {
            ops_.push_back({Op::Kind::literal, c});
            at++;
        }
    }
}

// A bracket expression that begins at pattern[at] == '['; returns where it ends. One that never
// closes or names an unknown class makes the whole glob fail.
size_t Glob::add_set(std::string_view pattern, size_t at) {
    std::bitset<256> set;
    const auto fail = [&] {
        ops_.push_back({Op::Kind::fail});
        return pattern.size();
    };
    size_t i = at + 1;
    const bool negated = i < pattern.size() && (pattern[i] == '!' || pattern[i] == '^');
    i += negated;
    int previous = 0;  // 0: nothing that could begin a range
    for (bool first = true;; first = false) {
        if (i >= pattern.size()) {
            return fail();
        }
        auto c = static_cast<unsigned char>(pattern[i]);
        if (c == ']' && !first) {
            break;
        }
        if (c == '\\') {
            if (++i >= pattern.size()) {
                return fail();
            }
            c = static_cast<unsigned char>(pattern[i]);
            set.set(c);
        } else if (c == '-' && previous != 0 && i + 1 < pattern.size() && pattern[i + 1] != ']') {
            c = static_cast<unsigned char>(pattern[++i]);
            if (c == '\\') {
                if (++i >= pattern.size()) {
                    return fail();
                }
                c = static_cast<unsigned char>(pattern[i]);
            }
            for (int b = previous; b <= c; b++) {
                set.set(static_cast<size_t>(b));
            }
            c = 0;
        } else if (c == '[' && i + 1 < pattern.size() && pattern[i + 1] == ':') {
            const size_t close = pattern.find(']', i + 2);
            if (close == std::string_view::npos) {
                return fail();
            }
            if (close == i + 2 || pattern[close - 1] != ':') {
                set.set('[');  // no ":]": an ordinary bracket
            } else if (close - 1 < i + 2 || !add_named(set, pattern.substr(i + 2, close - i - 3))) {
                return fail();
            } else {
                i = close;
                c = 0;
            }
        } else {
            set.set(c);
        }
        previous = c;
        i++;
    }
    if (negated) {
        set.flip();
    }
    set.reset('/');
    ops_.push_back({Op::Kind::set, 0, false, static_cast<uint16_t>(sets_.size())});
    sets_.push_back(set);
    return i + 1;
}

// Marks position `at` and all positions that are reached from it without a character.
void Glob::enter(std::vector<uint8_t>& alive, size_t at) const {
    while (at <= ops_.size() && !alive[at]) {
        alive[at] = 1;
        if (at == ops_.size()) {
            return;
        }
        if (ops_[at].kind == Op::Kind::double_star) {
            if (ops_[at].skips_slash) {
                enter(alive, at + 2);
            }
        } else if (ops_[at].kind != Op::Kind::star) {
            return;
        }
        at++;
    }
}

// The set of positions that are alive after each character: no backtracking, so a hostile pattern
// like a*a*a*a*b costs its length per character and no more.
bool Glob::matches(std::string_view text) const {
    thread_local std::vector<uint8_t> alive, next;
    alive.assign(ops_.size() + 1, 0);
    enter(alive, 0);
    for (const char c : text) {
        next.assign(ops_.size() + 1, 0);
        bool any = false;
        for (size_t at = 0; at < ops_.size(); at++) {
            if (!alive[at]) {
                continue;
            }
            const Op& op = ops_[at];
            bool stays = false, moves = false;
            switch (op.kind) {
                case Op::Kind::literal:
                    moves = op.c == c;
                    break;
                case Op::Kind::any:
                    moves = c != '/';
                    break;
                case Op::Kind::set:
                    moves = sets_[op.set][static_cast<unsigned char>(c)];
                    break;
                case Op::Kind::star:
                    stays = c != '/';
                    break;
                case Op::Kind::double_star:
                    stays = true;
                    break;
                case Op::Kind::fail:
                    break;
            }
            if (stays) {
                // Not through enter(): "**/" stands for no folder only where it begins.
                next[at] = 1;
                enter(next, at + 1);
            }
            if (moves) {
                enter(next, at + 1);
            }
            any = any || stays || moves;
        }
        if (!any) {
            return false;
        }
        alive.swap(next);
    }
    return alive[ops_.size()] != 0;
}

bool wildcard_match(std::string_view pattern, std::string_view text) {
    return Glob(pattern).matches(text);
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
        if (line.empty() || line[0] == '#') {
            continue;
        }
        if (line.ends_with('\r')) {
            line.remove_suffix(1);
        }
        line = line.substr(0, line.find('\0'));
        // Trailing blanks count only where the last of them is escaped.
        size_t kept = 0;
        for (size_t i = 0; i < line.size(); i++) {
            if (line[i] == '\\') {
                i++;
                kept = std::min(i + 1, line.size());
            } else if (line[i] != ' ') {
                kept = i + 1;
            }
        }
        line = line.substr(0, kept);
        Pattern pattern;
        if (line.starts_with('!')) {
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
        if (line.empty() || line.size() > kLongestPattern) {
            continue;
        }
        const size_t literal = literal_length(line);
        if (!pattern.anchored && line[0] == '*' &&
            literal_length(line.substr(1)) == line.size() - 1 && line.size() > 1) {
            pattern.ending = line.substr(1);
        } else {
            // What stands before the first special character is compared by itself, and the rest
            // begins afresh: that is how "foo**/bar" comes to cover foo/a/bar.
            pattern.literal = line.substr(0, literal);
            if (literal < line.size()) {
                pattern.rest.emplace(line.substr(literal));
            }
        }
        rules.patterns_.push_back(std::move(pattern));
    }
    return rules;
}

bool IgnoreRules::Pattern::covers(std::string_view text) const {
    if (!ending.empty()) {
        return text.ends_with(ending);
    }
    if (!rest) {
        return text == literal;
    }
    return text.starts_with(literal) && rest->matches(text.substr(literal.size()));
}

std::optional<bool> IgnoreRules::match(std::string_view path, bool is_folder) const {
    const std::string_view name = path.substr(path.rfind('/') + 1);
    for (auto pattern = patterns_.rbegin(); pattern != patterns_.rend(); ++pattern) {
        if (pattern->folders_only && !is_folder) {
            continue;
        }
        if (pattern->covers(pattern->anchored ? path : name)) {
            return !pattern->negated;
        }
    }
    return std::nullopt;
}

}  // namespace app::codebase
