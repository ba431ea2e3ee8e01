// IgnoreRules: the patterns of one .gitignore file (or one of git's other exclude files) and
// whether a path is covered by them. Knows no file system: the walk hands it text and asks.
// Immutable after parsing: any thread.
//
// Source: gitignore(5); the corners are those of git 2.39's dir.c and wildmatch.c, found by
// comparing with the program itself (tests/app/ignore_parity.py).
#pragma once

#include <bitset>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace app::codebase {

// One glob, compiled. `*` and `?` stop at a slash, `**` as a whole path component does not, [a-z],
// [!x], [[:alpha:]] and backslash escapes. A glob that can match nothing ("[a", a trailing
// backslash) is kept and matches nothing. Time is bounded by glob length times text length.
class Glob {
public:
    explicit Glob(std::string_view pattern);
    bool matches(std::string_view text) const;

private:
    struct Op {
        enum class Kind : uint8_t { literal, any, set, star, double_star, fail };
        Kind kind = Kind::literal;
        char c = 0;
        bool skips_slash = false;  // double_star before a slash: also stands for no folder at all
        uint16_t set = 0;          // index into sets_
    };
    std::vector<Op> ops_;
    std::vector<std::bitset<256>> sets_;

    size_t add_set(std::string_view pattern, size_t at);
    void enter(std::vector<uint8_t>& alive, size_t at) const;
};

bool wildcard_match(std::string_view pattern, std::string_view text);

class IgnoreRules {
public:
    // Never throws: a line that makes no pattern is skipped, as git does.
    static IgnoreRules parse(std::string_view text);

    // `path` is relative to the folder of the file, with '/' between components and none at the
    // ends. true: ignored; false: taken back by a `!` line; nothing: no line speaks of it. The last
    // line that matches decides.
    std::optional<bool> match(std::string_view path, bool is_folder) const;

    bool empty() const { return patterns_.empty(); }

private:
    struct Pattern {
        std::string literal;       // what the path (or its last component) must begin with
        std::optional<Glob> rest;  // nothing: the literal is all
        std::string ending;        // "*.o": compared, not matched
        bool negated = false;
        bool folders_only = false;
        bool anchored = false;  // holds a slash: matched against the whole path, else against the
                                // last component
        bool covers(std::string_view text) const;
    };
    std::vector<Pattern> patterns_;
};

}  // namespace app::codebase
