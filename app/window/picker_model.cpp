#include <algorithm>
#include <cstdlib>
#include <numeric>

#include "app/window/picker_view.h"

namespace app::window {
namespace {

constexpr size_t kLargest = 10;

std::string lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    return out;
}

// `*` and `?`, anything else as it is.
bool glob(std::string_view pattern, std::string_view text) {
    size_t p = 0, t = 0, star = std::string_view::npos, back = 0;
    while (t < text.size()) {
        if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
            p++;
            t++;
        } else if (p < pattern.size() && pattern[p] == '*') {
            star = p++;
            back = t;
        } else if (star != std::string_view::npos) {
            p = star + 1;
            t = ++back;
        } else {
            return false;
        }
    }
    while (p < pattern.size() && pattern[p] == '*') {
        p++;
    }
    return p == pattern.size();
}

double number(std::string_view text) {
    char* end = nullptr;
    const std::string copy(text);
    const double value = std::strtod(copy.c_str(), &end);
    const char unit = *end;
    return unit == 'k' ? value * 1e3 : unit == 'm' ? value * 1e6 : value;
}

bool word_matches(std::string_view word, const PickerFile& file) {
    const std::string path = lower(file.path);
    if (word.starts_with("tokens>") || word.starts_with("tokens<")) {
        const double limit = number(word.substr(7));
        const auto tokens = static_cast<double>(std::max<int64_t>(file.tokens, 0));
        return word[6] == '>' ? tokens > limit : tokens < limit;
    }
    if (word.starts_with("reason:")) {
        return lower(file.reason).find(word.substr(7)) != std::string::npos;
    }
    if (word.find_first_of("*?") != std::string_view::npos) {
        const std::string name = path.substr(path.rfind('/') + 1);
        return glob(word, word.find('/') == std::string_view::npos ? name : path);
    }
    return path.find(word) != std::string::npos;
}

bool is_shown(const PickerFile& file) {
    return file.level == PickerLevel::full || file.level == PickerLevel::outline;
}

std::vector<size_t> matching(const PickerView& view) {
    const std::string filter = view.filter.text();
    std::vector<size_t> files;
    for (size_t i = 0; i < view.files.size(); i++) {
        if (filter.empty() || filter_matches(filter, view.files[i])) {
            files.push_back(i);
        }
    }
    return files;
}

void add_folder_up_to(const std::string& path,
                      const std::string& last_folder,
                      std::vector<PickerRow>& rows) {
    int depth = 0;
    for (size_t slash = path.find('/'); slash != std::string::npos;
         slash = path.find('/', slash + 1), depth++) {
        const std::string folder = path.substr(0, slash + 1);
        if (!last_folder.starts_with(folder)) {
            rows.push_back({folder, -1, depth, 0, 0, Tick::off});
        }
    }
}

// Sums of what is below each folder, over rows in the order of a tree.
void sum_up(const PickerView& view, std::vector<PickerRow>& rows) {
    struct Sum {
        int files = 0, selectable = 0, on = 0;
        int64_t tokens = 0;
    };
    std::vector<std::pair<size_t, Sum>> open;  // rows of folders, outermost first
    const auto close_to = [&](const std::string& path) {
        while (!open.empty() && !path.starts_with(rows[open.back().first].path)) {
            const auto [row, sum] = open.back();
            open.pop_back();
            rows[row].files = sum.files;
            rows[row].tokens = sum.tokens;
            rows[row].tick = sum.on == 0                ? Tick::off
                             : sum.on == sum.selectable ? Tick::on
                                                        : Tick::some;
            if (!open.empty()) {
                Sum& outer = open.back().second;
                outer.files += sum.files;
                outer.selectable += sum.selectable;
                outer.on += sum.on;
                outer.tokens += sum.tokens;
            }
        }
    };
    for (size_t i = 0; i < rows.size(); i++) {
        close_to(rows[i].path);
        if (rows[i].file < 0) {
            open.emplace_back(i, Sum{});
            continue;
        }
        const PickerFile& file = view.files[static_cast<size_t>(rows[i].file)];
        if (!open.empty()) {
            Sum& sum = open.back().second;
            sum.files++;
            sum.selectable += file.selectable;
            sum.on += is_shown(file);
            sum.tokens += rows[i].tokens;
        }
    }
    close_to("\n");
}

PickerRow row_of(const PickerView& view, size_t i, int depth) {
    const PickerFile& file = view.files[i];
    return {file.path,
            static_cast<int>(i),
            depth,
            1,
            is_shown(file) ? file.shown : 0,
            is_shown(file) ? Tick::on : Tick::off};
}

}  // namespace

bool filter_matches(std::string_view filter, const PickerFile& file) {
    const std::string low = lower(filter);
    for (size_t at = 0; at < low.size();) {
        const size_t end = std::min(low.find(' ', at), low.size());
        std::string_view word = std::string_view(low).substr(at, end - at);
        at = end + 1;
        const bool negated = word.size() > 1 && word.starts_with('-');
        if (negated) {
            word.remove_prefix(1);
        }
        if (!word.empty() && word_matches(word, file) == negated) {
            return false;
        }
    }
    return true;
}

std::vector<PickerRow> picker_rows(const PickerView& view) {
    std::vector<size_t> files = matching(view);
    std::vector<PickerRow> rows;
    if (view.largest || view.sort != PickerSort::path) {
        const auto weight = [&](size_t i) {
            return std::max(view.files[i].shown, view.files[i].tokens);
        };
        std::stable_sort(files.begin(), files.end(), [&](size_t a, size_t b) {
            return view.sort == PickerSort::reason && !view.largest
                       ? view.files[a].reason > view.files[b].reason
                       : weight(a) > weight(b);
        });
        if (view.largest) {
            files.resize(std::min(files.size(), kLargest));
        }
        for (const size_t i : files) {
            rows.push_back(row_of(view, i, 0));
        }
        return rows;
    }
    std::string last_folder;
    for (const size_t i : files) {
        const std::string& path = view.files[i].path;
        add_folder_up_to(path, last_folder, rows);
        last_folder = path.substr(0, path.rfind('/') + 1);
        rows.push_back(
            row_of(view, i, static_cast<int>(std::count(path.begin(), path.end(), '/'))));
    }
    sum_up(view, rows);
    if (!view.closed.empty()) {
        std::string hidden;
        std::erase_if(rows, [&](const PickerRow& row) {
            if (!hidden.empty() && row.path.starts_with(hidden) && row.path != hidden) {
                return true;
            }
            hidden = row.file < 0 && view.closed.contains(row.path) ? row.path : std::string();
            return false;
        });
    }
    return rows;
}

const std::vector<PickerRow>& current_rows(PickerView& view) {
    PickerView::Made& made = view.made;
    if (made.revision != view.revision || made.filter != view.filter.revision() ||
        made.sort != view.sort || made.largest != view.largest || made.closed != view.closed) {
        made = {view.revision, view.filter.revision(), view.sort, view.largest,
                view.closed,   picker_rows(view)};
    }
    return made.rows;
}

std::vector<size_t> files_of(const PickerView& view, const PickerRow& row) {
    if (row.file >= 0) {
        const auto i = static_cast<size_t>(row.file);
        return view.files[i].selectable ? std::vector<size_t>{i} : std::vector<size_t>{};
    }
    std::vector<size_t> files = matching(view);
    std::erase_if(files, [&](size_t i) {
        return !view.files[i].selectable || !view.files[i].path.starts_with(row.path);
    });
    return files;
}

std::vector<size_t> secret_files_of(const PickerView& view, const PickerRow& row) {
    std::vector<size_t> files = files_of(view, row);
    std::erase_if(files, [&](size_t i) { return view.files[i].found_secrets == 0; });
    return files;
}

PickerLevel level_after_tick(const PickerRow& row) {
    return row.tick == Tick::on ? PickerLevel::name : PickerLevel::full;
}

}  // namespace app::window
