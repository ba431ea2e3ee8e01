#include "app/window/log_rows.h"

#include <algorithm>
#include <cctype>

namespace app::window {
namespace {

bool contains(std::string_view text, std::string_view lower_word) {
    return std::search(text.begin(), text.end(), lower_word.begin(), lower_word.end(),
                       [](char a, char b) {
                           return std::tolower(static_cast<unsigned char>(a)) == b;
                       }) != text.end();
}

}  // namespace

bool matches(const RequestRow& row, const LogFilter& filter) {
    if (filter.errors_only && row.status < 400) {
        return false;
    }
    size_t at = 0;
    const std::string_view words = filter.words;
    const std::string status = std::to_string(row.status);
    while (at < words.size()) {
        if (words[at] == ' ') {
            at++;
            continue;
        }
        const size_t end = std::min(words.find(' ', at), words.size());
        std::string word(words.substr(at, end - at));
        std::transform(word.begin(), word.end(), word.begin(),
                       [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
        const bool found = contains(row.route, word) || contains(row.owner, word) ||
                           contains(row.client, word) || contains(row.model, word) ||
                           contains(row.error, word) || contains(status, word);
        if (!found) {
            return false;
        }
        at = end;
    }
    return true;
}

bool LogRows::follow(const RequestLog& log) {
    const uint64_t version = log.version();
    const bool fresh_log = log_ != &log || !(filter == applied_);
    if (!fresh_log && version == version_ && !searching_) {
        return false;
    }
    const std::vector<RequestRow> top = log.newest(1);
    const uint64_t newest = top.empty() ? 0 : top.front().id;
    const size_t total = log.size();
    const uint64_t oldest = newest + 1 - std::min<uint64_t>(total, newest);
    if (fresh_log || newest < newest_) {
        log_ = &log;
        applied_ = filter;
        found_.clear();
        added_ = 0;
        newest_ = newest;
        next_ = newest;
        searching_ = !filter.empty() && newest > 0;
    } else if (filter.empty()) {
        added_ += newest - newest_;
        newest_ = newest;
    }
    version_ = version;
    oldest_ = oldest;
    if (filter.empty()) {
        size_ = total;
        return true;
    }
    // What came on top goes before what is still to be searched.
    size_t budget = kRowsPerFrame;
    const auto look = [&](uint64_t from, uint64_t down_to, auto&& each) {
        const uint64_t count = std::min<uint64_t>(budget, from - down_to + 1);
        for (const RequestRow& row : log.newest(count, newest - from)) {
            if (row.id <= from && row.id >= down_to && matches(row, filter)) {
                each(row.id);
            }
        }
        budget -= count;
        return count;
    };
    if (newest > newest_) {
        // A burst larger than the budget is taken from its older end on.
        const uint64_t to = std::min(newest, newest_ + budget);
        std::vector<uint64_t> fresh;
        look(to, newest_ + 1, [&](uint64_t id) { fresh.push_back(id); });
        found_.insert(found_.begin(), fresh.begin(), fresh.end());
        added_ += fresh.size();
        newest_ = to;
        searching_ = searching_ || newest_ < newest;
    }
    if (budget > 0 && next_ >= oldest_ && next_ > 0) {
        next_ -= look(next_, oldest_, [&](uint64_t id) { found_.push_back(id); });
    }
    searching_ = newest_ < newest || (next_ >= oldest_ && next_ > 0);
    while (!found_.empty() && found_.back() < oldest_) {
        found_.pop_back();
    }
    size_ = found_.size();
    return true;
}

double LogRows::searched() const {
    if (!searching_ || newest_ < oldest_) {
        return 1;
    }
    return static_cast<double>(newest_ - std::min(next_, newest_)) /
           static_cast<double>(newest_ - oldest_ + 1);
}

std::vector<RequestRow> LogRows::rows(const RequestLog& log, size_t first, size_t count) const {
    if (filter.empty()) {
        return log.newest(count, first);
    }
    std::vector<RequestRow> rows;
    for (size_t i = first; i < std::min(first + count, found_.size()); i++) {
        if (auto one = row(log, found_[i])) {
            rows.push_back(std::move(*one));
        }
    }
    return rows;
}

// Numbers ascend without gaps, so a row's place follows from the newest one's; while others write,
// it may have moved by a few.
std::optional<RequestRow> LogRows::row(const RequestLog& log, uint64_t id) {
    for (int attempt = 0; attempt < 3; attempt++) {
        const std::vector<RequestRow> top = log.newest(1);
        if (top.empty() || id > top.front().id) {
            return std::nullopt;
        }
        std::vector<RequestRow> one = log.newest(1, top.front().id - id);
        if (!one.empty() && one.front().id == id) {
            return std::move(one.front());
        }
    }
    return std::nullopt;
}

}  // namespace app::window
