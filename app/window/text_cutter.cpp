#include "app/window/text_cutter.h"

#include <algorithm>

#include "app/window/utf8.h"

namespace app::window {
namespace {

constexpr size_t kCodePart = 6 << 10;  // bytes of code in one part
// Cut at any line, or within one; lines count because each may be a block of its own.
constexpr size_t kLongPart = 8 << 10, kManyLines = 256;
constexpr size_t kEndlessPart = 12 << 10, kEndlessLines = 512;  // and where all are indented
constexpr size_t kBlankPart = 4 << 10;  // of blank lines and little else
constexpr size_t kTablePart = 4 << 10, kTableLines = 96;
constexpr size_t kLongestHead = 1 << 10;      // of a table, that is shown again
constexpr size_t kMostReferences = 16 << 10;  // every part is read with all of them

bool is_bullet(std::string_view line) {
    return !line.empty() && (line[0] == '-' || line[0] == '*' || line[0] == '+') &&
           (line.size() == 1 || line[1] == ' ' || line[1] == '\t');
}

// The number that an item begins with; -1: none.
long item_number(std::string_view line) {
    size_t digits = 0;
    long number = 0;
    while (digits < line.size() && digits < 10 && line[digits] >= '0' && line[digits] <= '9') {
        number = number * 10 + (line[digits++] - '0');
    }
    return digits > 0 && digits < 10 &&
                   (digits == line.size() || line[digits] == '.' || line[digits] == ')')
               ? number
               : -1;
}

bool is_list_sign(std::string_view line) {
    return is_bullet(line) || item_number(line) >= 0;
}

// What makes a heading of the line above it, or a table.
bool is_underline(std::string_view line) {
    return line.find_first_not_of("=-|: \t\r") == std::string_view::npos &&
           line.find_first_of("=-") != std::string_view::npos;
}

// A line that could belong to a list, a quote or an indented block above a blank line.
bool may_continue(std::string_view line) {
    return line.empty() || line[0] == ' ' || line[0] == '\t' || line[0] == '>' || line[0] == '-' ||
           line[0] == '*' || line[0] == '+' || is_list_sign(line);
}

bool is_reference(std::string_view line) {
    const size_t begin = line.find_first_not_of(' ');
    if (begin == std::string_view::npos || begin > 3 || line[begin] != '[' ||
        begin + 1 >= line.size() || line[begin + 1] == '^') {
        return false;
    }
    const size_t close = line.find("]:", begin);
    return close != std::string_view::npos && close < begin + 200 &&
           line.find_first_not_of(" \t", close + 2) != std::string_view::npos;
}

}  // namespace

TextCutter::Part* TextCutter::cut(size_t at, bool joined) {
    if (at <= parts_.back().begin) {
        return nullptr;
    }
    Part part;
    part.begin = at;
    part.joined = joined;
    part.in_fence = open_.mark != 0;
    if (part.in_fence) {
        part.fence = fence_begin_;
        part.language = fence_language_;
        part.joined = true;
    }
    parts_.push_back(std::move(part));
    in_list_ = false;
    lines_ = 0;
    return &parts_.back();
}

// A line at the left edge that begins something of its own, whatever stands above it: the next item
// of a list, or behind a blank line a quote.
bool TextCutter::begins_anew(std::string_view line) const {
    if (line[0] == '>') {
        return after_blank_;
    }
    const bool item = is_bullet(line) ? line.find_first_not_of(" \t\r", 1) != std::string_view::npos
                                      : number_ >= 0 && item_number(line) == number_ + 1;
    return item && (in_list_ || after_blank_);
}

void TextCutter::note_table(std::string_view line, size_t begin, size_t end) {
    const bool bars = line.find('|') != std::string_view::npos;
    if (in_table_) {
        in_table_ = bars;
    } else if (may_be_head_ && bars && is_underline(line)) {
        in_table_ = true;
        head_end_ = end + 1;
    } else {
        head_ = begin;
    }
    may_be_head_ = bars && !in_table_ && line[0] != ' ' && line[0] != '\t' && line[0] != '>';
}

void TextCutter::line(std::string_view text, size_t begin, size_t end) {
    const std::string_view line = text.substr(begin, end - begin);
    const size_t size = begin - parts_.back().begin;
    const Fence fence = fence_of(line, in_list_ ? 12 : 3);
    const bool blank = line.find_first_not_of(" \t\r") == std::string_view::npos;
    const bool indented = !blank && (line[0] == ' ' || line[0] == '\t');
    // Code inside an item ends with the item, at the latest.
    if (open_.mark && !fence.mark && in_list_ && open_.indent >= 2 && !blank && !indented) {
        open_ = {};
    }
    if (open_.mark) {
        if (fence.closes(open_)) {
            open_ = {};
            after_blank_ = false;
            if (parts_.back().in_fence) {
                cut(std::min(end + 1, text.size()), false);
            }
        } else if (const bool edge = open_.indent == 0 && !in_list_;
                   size >= std::max(edge ? kCodePart : kLongPart, part_bytes_)) {
            cut(begin, true);
        }
        return;
    }
    if (!blank) {
        const bool row = in_table_ && line.find('|') != std::string_view::npos;
        const bool fresh = begins_anew(line);
        const bool tight = in_list_ && is_list_sign(line);
        Part* part = nullptr;
        if (after_blank_ && (fresh || !may_continue(line))) {
            if (size >= part_bytes_) {
                part = cut(begin, false);
            }
            in_list_ = false;
        } else if (row && head_end_ - head_ <= kLongestHead) {
            if (size >= std::max(kTablePart, part_bytes_) || lines_ >= kTableLines) {
                part = cut(begin, false);
                if (part) {
                    part->head = head_;
                    part->head_end = head_end_;
                }
            }
        } else if (fresh && size >= part_bytes_) {
            part = cut(begin, true);
        } else if ((size >= kLongPart || lines_ >= kManyLines) && !indented &&
                   !is_underline(line)) {
            part = cut(begin, !after_blank_);
        } else if (size >= kEndlessPart || lines_ >= kEndlessLines) {
            part = cut(begin, !after_blank_);
        }
        if (part && tight) {
            part->tight = true;
            part->joined = false;
        }
        lines_++;
        note_table(line, begin, end);
    } else {
        if (size >= (lines_ <= 2 ? kBlankPart : kEndlessPart)) {
            cut(begin, !after_blank_);
        }
        in_table_ = may_be_head_ = false;
    }
    if (fence.mark) {
        open_ = fence;
        fence_begin_ = begin;
        fence_language_ = fence_language(line);
    }
    if (!blank && !indented) {
        number_ = item_number(line);
    }
    if (!blank && is_list_sign(line.substr(line.find_first_not_of(' ')))) {
        in_list_ = true;
    }
    after_blank_ = blank;
    if (references_.size() < kMostReferences && is_reference(line)) {
        references_ += line;
        references_ += '\n';
    }
}

void TextCutter::feed(std::string_view text) {
    while (next_ < text.size()) {
        const size_t newline = text.find('\n', std::max(next_, scanned_));
        const size_t end = std::min(newline, text.size());
        scanned_ = end;
        // A line without end is cut where it can be, before it is complete.
        if (end - std::max(next_, parts_.back().begin) > kLongPart) {
            const size_t from = std::max(next_, parts_.back().begin);
            const size_t blank = text.substr(from, kLongPart).rfind(' ');
            const size_t at = blank == std::string_view::npos || blank <= kLongPart / 2
                                  ? character_begin(text, from + kLongPart)
                                  : from + blank + 1;
            if (at > next_ && open_.mark == 0 && from == next_ && from > parts_.back().begin) {
                cut(next_, !after_blank_);
            }
            cut(at, true);
            continue;
        }
        if (newline == std::string_view::npos) {
            return;
        }
        line(text, next_, newline);
        next_ = newline + 1;
    }
}

}  // namespace app::window
