#include "app/window/text_cutter.h"

#include <algorithm>

#include "app/window/utf8.h"

namespace app::window {
namespace {

constexpr size_t kCodePart = 6 << 10;    // bytes of code in one part
constexpr size_t kLongPart = 8 << 10;    // cut at any line
constexpr size_t kLongTable = 48 << 10;  // a table keeps its head as long as it can
constexpr size_t kLongLine = 16 << 10;
constexpr size_t kMostReferences = 16 << 10;  // every part is read with all of them
constexpr size_t kEndlessPart = 16 << 10;     // of blank and indented lines: cut at any

bool is_list_sign(std::string_view line) {
    if (line.empty()) {
        return false;
    }
    if ((line[0] == '-' || line[0] == '*' || line[0] == '+') &&
        (line.size() == 1 || line[1] == ' ' || line[1] == '\t')) {
        return true;
    }
    size_t digits = 0;
    while (digits < line.size() && line[digits] >= '0' && line[digits] <= '9') {
        digits++;
    }
    return digits > 0 && digits < 10 &&
           (digits == line.size() || line[digits] == '.' || line[digits] == ')');
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

void TextCutter::cut(size_t at, bool joined) {
    if (at <= parts_.back().begin) {
        return;
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
}

void TextCutter::line(std::string_view text, size_t begin, size_t end) {
    const std::string_view line = text.substr(begin, end - begin);
    const size_t size = begin - parts_.back().begin;
    const Fence fence = fence_of(line, in_list_ ? 12 : 3);
    if (open_.mark) {
        if (fence.closes(open_)) {
            open_ = {};
            after_blank_ = false;
            if (parts_.back().in_fence) {
                cut(std::min(end + 1, text.size()), false);
            }
        } else if (size >= std::max(kCodePart, part_bytes_) && open_.indent == 0 && !in_list_) {
            cut(begin, true);
        }
        return;
    }
    const bool blank = line.find_first_not_of(" \t\r") == std::string_view::npos;
    if (after_blank_ && !blank && !may_continue(line)) {
        in_list_ = false;
        in_table_ = false;
        if (size >= part_bytes_) {
            cut(begin, false);
        }
    } else if (size >= (in_table_ ? kLongTable : kLongPart) && !blank && line[0] != ' ' &&
               line[0] != '\t') {
        cut(begin, !after_blank_);
    } else if (size >= kEndlessPart && !in_table_) {
        cut(begin, !after_blank_);
    }
    if (fence.mark) {
        open_ = fence;
        fence_begin_ = begin;
        fence_language_ = fence_language(line);
    }
    const size_t first = line.find_first_not_of(' ');
    if (!blank && is_list_sign(line.substr(first))) {
        in_list_ = true;
    }
    in_table_ = !blank && line[first] == '|';
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
        if (end - std::max(next_, parts_.back().begin) > kLongLine) {
            const size_t from = std::max(next_, parts_.back().begin);
            const size_t blank = text.substr(from, kLongLine).rfind(' ');
            const size_t at = blank == std::string_view::npos || blank <= kLongLine / 2
                                  ? character_begin(text, from + kLongLine)
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
