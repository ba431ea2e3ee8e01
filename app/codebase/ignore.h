// IgnoreRules: the patterns of one .gitignore file (or one of git's other exclude files) and
// whether a path is covered by them. Knows no file system: the walk hands it text and asks.
// Immutable after parsing: any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace app::codebase {

// git's wildmatch: `*` and `?` stop at a slash, `**` as a whole path component does not, [a-z],
// [!x], [[:alpha:]] and backslash escapes. Time is bounded by pattern length times text length.
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
        std::string glob;
        bool negated = false;
        bool folders_only = false;
        bool anchored = false;  // holds a slash: matched against the whole path, else against the
                                // last component
    };
    std::vector<Pattern> patterns_;
};

}  // namespace app::codebase
