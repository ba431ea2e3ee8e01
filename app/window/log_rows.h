// LogRows: which rows of a request log are on screen. Without a filter all of them, newest first;
// with one those that match, found a bounded part at a time so that no frame is late. Rows are
// copied as they are looked at; nothing is kept of the others but their numbers. Main thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "app/server/request_log.h"

namespace app::window {

struct LogFilter {
    std::string words;  // each must be in the route, owner, client, model, error or status
    bool errors_only = false;
    bool empty() const { return words.empty() && !errors_only; }
    bool operator==(const LogFilter&) const = default;
};

bool matches(const RequestRow& row, const LogFilter& filter);

class LogRows {
public:
    static constexpr size_t kRowsPerFrame = 1000;

    LogFilter filter;

    // Takes in what is new; looks at no more than kRowsPerFrame rows. true: something changed.
    bool follow(const RequestLog& log);
    size_t size() const { return size_; }
    bool searching() const { return searching_; }
    double searched() const;  // part of the log that the filter has seen
    // How many rows came on top since the last call: what is being read stays in its place by them.
    size_t take_added() { return std::exchange(added_, 0); }

    // At most `count` rows from the `first`, newest first.
    std::vector<RequestRow> rows(const RequestLog& log, size_t first, size_t count) const;
    static std::optional<RequestRow> row(const RequestLog& log, uint64_t id);

private:
    LogFilter applied_;
    const RequestLog* log_ = nullptr;
    uint64_t version_ = ~uint64_t{0};
    size_t size_ = 0, added_ = 0;
    uint64_t newest_ = 0;         // id
    std::deque<uint64_t> found_;  // ids that match, newest first
    bool searching_ = false;
    uint64_t next_ = 0;  // the id to look at next, downwards
    uint64_t oldest_ = 0;
};

}  // namespace app::window
