// RequestLog: what the inspector shows of the requests that the server answered. In memory alone:
// a ring of rows, and of the newest the exact prompt that the model read. Never served over HTTP,
// since prompts are other people's text. Written by the HTTP threads; read by any thread, the
// window's too: a lock is held only while the rows asked for are copied.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/engine/generation.h"

namespace app {

struct RequestRow {
    uint64_t id = 0;         // ascending, from 1
    int64_t started_ms = 0;  // since 1970
    double total_ms = 0;     // from the head's arrival to the last byte of the answer
    std::string method;
    std::string route;   // the path, without its query
    std::string owner;   // whose request: "key 1", or the address it came from
    std::string client;  // User-Agent
    int status = 0;      // 499: the client went away first
    std::string error;   // the message of an answer that is an error
    std::string model;   // as the request named it
    bool streamed = false;
    int choices = 1;
    runtime::Usage usage;      // of all choices
    runtime::Timings timings;  // of the first
    std::string finish_reason;
    runtime::SamplingParams sampling;
    int64_t max_tokens = -1;
    int64_t prompt_bytes = 0;  // of the whole prompt, also where less of it is kept
};

class RequestLog {
public:
    static constexpr size_t kRows = 100'000;
    static constexpr size_t kPromptBytes = 256 << 10;    // kept of one prompt
    static constexpr size_t kAllPromptBytes = 32 << 20;  // kept of all: the newest

    explicit RequestLog(size_t rows = kRows) : capacity_(rows) {}

    // The row gets the next id. Control characters in its texts become spaces. `prompt`: of a long
    // one, beginning and end are kept.
    uint64_t add(RequestRow row, std::string_view prompt);

    // Grows by one with each row: whoever shows the log looks here first, without any lock.
    uint64_t version() const { return version_.load(std::memory_order_acquire); }
    size_t size() const;
    // At most `count` rows, the newest first, after leaving out `skip` of them.
    std::vector<RequestRow> newest(size_t count, size_t skip = 0) const;
    // The prompt of a row; null: not kept (any more).
    std::shared_ptr<const std::string> prompt(uint64_t id) const;
    void clear();

private:
    struct Prompt {
        uint64_t id;
        std::shared_ptr<const std::string> text;
    };

    const size_t capacity_;
    std::atomic<uint64_t> version_{0};
    mutable std::mutex mutex_;
    std::deque<RequestRow> rows_;  // guarded by mutex_, like all below; the newest last
    std::deque<Prompt> prompts_;   // ids ascend
    size_t prompt_bytes_ = 0;
    uint64_t next_id_ = 1;
};

}  // namespace app
