#include "app/codebase/line_diff.h"

#include <algorithm>
#include <cstdio>
#include <vector>

namespace app::codebase {
namespace {

constexpr int64_t kMostEdits = 600, kAround = 3;

using Lines = std::vector<std::string_view>;  // without their ends

Lines lines_of(std::string_view text) {
    Lines lines;
    for (size_t at = 0; at < text.size();) {
        const size_t end = std::min(text.find('\n', at), text.size());
        lines.push_back(text.substr(at, end - at));
        at = end + 1;
    }
    return lines;
}

struct Edit {
    char kind;              // ' ', '-', '+'
    int64_t before, after;  // index of the line in either text, or of the one that follows
};

// The shortest way from one to the other, first step first. Nothing: it is longer than kMostEdits.
std::optional<std::vector<Edit>> shortest(const Lines& a, const Lines& b) {
    const auto n = static_cast<int64_t>(a.size()), m = static_cast<int64_t>(b.size());
    const auto same = [&](int64_t x, int64_t y) {
        return a[static_cast<size_t>(x)] == b[static_cast<size_t>(y)];
    };
    // reached[d][k + d]: how far in `a` the diagonal k = x - y is reached with d edits.
    std::vector<std::vector<int64_t>> reached;
    const auto from = [&](int64_t d, int64_t k) {  // with one edit more, on diagonal k
        const auto& last = reached[static_cast<size_t>(d - 1)];
        const auto at = [&](int64_t diagonal) {
            const int64_t i = diagonal + d - 1;
            return i < 0 || i >= static_cast<int64_t>(last.size()) ? int64_t{-1}
                                                                   : last[static_cast<size_t>(i)];
        };
        const bool down = k == -d || (k != d && at(k - 1) < at(k + 1));
        return std::pair(down, down ? at(k + 1) : at(k - 1) + 1);
    };
    int64_t edits = -1;
    for (int64_t d = 0; d <= std::min(kMostEdits, n + m) && edits < 0; d++) {
        std::vector<int64_t> row(static_cast<size_t>(2 * d + 1), -1);
        for (int64_t k = -d; k <= d; k += 2) {
            int64_t x = d == 0 ? 0 : from(d, k).second;
            while (x >= 0 && x < n && x - k >= 0 && x - k < m && same(x, x - k)) {
                x++;
            }
            row[static_cast<size_t>(k + d)] = x;
            if (x >= n && x - k >= m) {
                edits = d;
                break;
            }
        }
        reached.push_back(std::move(row));
    }
    if (edits < 0) {
        return std::nullopt;
    }
    std::vector<Edit> way;
    int64_t x = n, y = m;
    for (int64_t d = edits; d > 0; d--) {
        const auto [down, start] = from(d, x - y);
        while (x > start) {
            way.push_back({' ', --x, --y});
        }
        if (down) {
            way.push_back({'+', x, --y});
        } else {
            way.push_back({'-', --x, y});
        }
    }
    while (x > 0) {
        way.push_back({' ', --x, --y});
    }
    std::reverse(way.begin(), way.end());
    return way;
}

}  // namespace

std::optional<std::string> line_diff(std::string_view before, std::string_view after) {
    const Lines a = lines_of(before), b = lines_of(after);
    const auto way = shortest(a, b);
    if (!way) {
        return std::nullopt;
    }
    std::string out;
    const auto steps = static_cast<int64_t>(way->size());
    const auto step = [&](int64_t i) { return (*way)[static_cast<size_t>(i)]; };
    for (int64_t i = 0; i < steps;) {
        if (step(i).kind == ' ') {
            i++;
            continue;
        }
        // Changes that lie so close that their surroundings meet are one hunk.
        const int64_t begin = std::max<int64_t>(0, i - kAround);
        int64_t end = i;
        for (int64_t j = i; j < steps && j - end <= 2 * kAround; j++) {
            end = step(j).kind == ' ' ? end : j + 1;
        }
        const int64_t last = std::min(steps, end + kAround);
        int64_t removed = 0, added = 0;
        std::string body;
        for (int64_t j = begin; j < last; j++) {
            const Edit edit = step(j);
            removed += edit.kind != '+';
            added += edit.kind != '-';
            body += edit.kind;
            body += edit.kind == '+' ? b[static_cast<size_t>(edit.after)]
                                     : a[static_cast<size_t>(edit.before)];
            body += '\n';
        }
        // A count of nothing names the line before.
        out += "@@ -" + std::to_string(step(begin).before + (removed > 0)) + "," +
               std::to_string(removed) + " +" + std::to_string(step(begin).after + (added > 0)) +
               "," + std::to_string(added) + " @@\n" + body;
        i = last;
    }
    return out;
}

std::optional<std::string> patched(std::string_view before, std::string_view diff) {
    const Lines a = lines_of(before), hunks = lines_of(diff);
    std::string out;
    size_t at = 0;
    const auto copy_to = [&](size_t end) {
        for (; at < end; at++) {
            out += a[at];
            out += '\n';
        }
    };
    for (size_t i = 0; i < hunks.size(); i++) {
        long long from = 0, removed = 0;
        const std::string line(hunks[i]);
        if (line.starts_with("@@")) {
            if (std::sscanf(line.c_str(), "@@ -%lld,%lld ", &from, &removed) != 2 || from < 0) {
                return std::nullopt;
            }
            const auto start = static_cast<size_t>(from - (removed > 0));
            if (start < at || start > a.size()) {
                return std::nullopt;
            }
            copy_to(start);
        } else if (line.starts_with('+')) {
            out += line.substr(1) + "\n";
        } else {
            const bool kept = line.starts_with(' ');
            if (!(kept || line.starts_with('-')) || at >= a.size() || a[at] != line.substr(1)) {
                return std::nullopt;
            }
            if (kept) {
                out += line.substr(1) + "\n";
            }
            at++;
        }
    }
    copy_to(a.size());
    return out;
}

}  // namespace app::codebase
