// TextCutter: a growing Markdown text -> parts that can be parsed and laid out by themselves,
// because nothing that follows can change them, and that are small, because a part is the least
// that is laid out at once. Reads every line once. Long lists are cut between their items, long
// code inside its fence, long lines at a blank; a long table is cut into several with its head
// above each. Knows no font. One thread at a time.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "app/window/markdown.h"

namespace app::window {

class TextCutter {
public:
    struct Part {
        size_t begin = 0;
        bool in_fence = false;          // goes on inside the code that a part before it opened
        bool joined = false;            // cut where there was no place for it: no gap before it
        bool tight = false;             // an item of the list that the part before ends with
        size_t fence = 0;               // in_fence: where the code's opening line begins
        std::string language;           // in_fence
        size_t head = 0, head_end = 0;  // of the table that goes on: shown again above it
    };

    // Parts below `part_bytes` are not cut off.
    explicit TextCutter(size_t part_bytes = 1024) : part_bytes_(part_bytes) {}

    // `text` begins with what was given before. The last part reaches to its end.
    void feed(std::string_view text);
    const std::vector<Part>& parts() const { return parts_; }
    // Link definitions found so far ("[name]: address"), one a line.
    const std::string& references() const { return references_; }

private:
    void line(std::string_view text, size_t begin, size_t end);
    bool begins_anew(std::string_view line) const;
    Part* cut(size_t at, bool joined);
    void note_table(std::string_view line, size_t begin, size_t end);

    size_t part_bytes_;
    std::vector<Part> parts_{{}};
    std::string references_;
    size_t next_ = 0;     // start of the first line that is not complete
    size_t scanned_ = 0;  // and up to where it is known to go on
    Fence open_;
    size_t fence_begin_ = 0;
    std::string fence_language_;
    size_t lines_ = 0;  // of the last part that are not blank
    bool after_blank_ = false;
    bool in_list_ = false;  // a list has begun in this part: fences may be indented
    long number_ = -1;      // of the last item at the left edge; -1: it had none
    // Of the table that the last line belongs to; its head may turn out to be words.
    bool may_be_head_ = false, in_table_ = false;
    size_t head_ = 0, head_end_ = 0;
};

}  // namespace app::window
