#include "app/server/request_log.h"

#include <algorithm>

namespace app {
namespace {

constexpr size_t kTextBytes = 400;

// Texts of strangers: one line, bounded.
void tame(std::string& text) {
    if (text.size() > kTextBytes) {
        text.resize(kTextBytes);
    }
    std::replace_if(
        text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7F; }, ' ');
}

bool inside_character(char c) {
    return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}

std::string shortened(std::string_view text) {
    if (text.size() <= RequestLog::kPromptBytes) {
        return std::string(text);
    }
    size_t head = RequestLog::kPromptBytes / 2;
    size_t tail = text.size() - RequestLog::kPromptBytes / 2;
    while (head > 0 && inside_character(text[head])) {
        head--;
    }
    while (tail < text.size() && inside_character(text[tail])) {
        tail++;
    }
    return std::string(text.substr(0, head)) + "\n[" + std::to_string(tail - head) +
           " bytes are not kept here]\n" + std::string(text.substr(tail));
}

}  // namespace

uint64_t RequestLog::add(RequestRow row, std::string_view prompt) {
    for (std::string* text : {&row.method, &row.route, &row.owner, &row.client, &row.error,
                              &row.model, &row.finish_reason}) {
        tame(*text);
    }
    row.prompt_bytes = static_cast<int64_t>(prompt.size());
    std::shared_ptr<const std::string> kept;
    if (!prompt.empty()) {
        kept = std::make_shared<const std::string>(shortened(prompt));
    }
    const std::lock_guard lock(mutex_);
    row.id = next_id_++;
    const uint64_t id = row.id;
    if (kept) {
        prompt_bytes_ += kept->size();
        prompts_.push_back({id, std::move(kept)});
    }
    rows_.push_back(std::move(row));
    if (rows_.size() > capacity_) {
        rows_.pop_front();
    }
    while (!prompts_.empty() &&
           (prompt_bytes_ > kAllPromptBytes || prompts_.front().id < rows_.front().id)) {
        prompt_bytes_ -= prompts_.front().text->size();
        prompts_.pop_front();
    }
    version_.fetch_add(1, std::memory_order_release);
    return id;
}

size_t RequestLog::size() const {
    const std::lock_guard lock(mutex_);
    return rows_.size();
}

std::vector<RequestRow> RequestLog::newest(size_t count, size_t skip) const {
    const std::lock_guard lock(mutex_);
    std::vector<RequestRow> rows;
    if (skip < rows_.size()) {
        const size_t wanted = std::min(count, rows_.size() - skip);
        const auto end = rows_.rbegin() + static_cast<std::ptrdiff_t>(skip);
        rows.assign(end, end + static_cast<std::ptrdiff_t>(wanted));
    }
    return rows;
}

std::shared_ptr<const std::string> RequestLog::prompt(uint64_t id) const {
    const std::lock_guard lock(mutex_);
    const auto at =
        std::lower_bound(prompts_.begin(), prompts_.end(), id,
                         [](const Prompt& p, uint64_t wanted) { return p.id < wanted; });
    return at != prompts_.end() && at->id == id ? at->text : nullptr;
}

void RequestLog::clear() {
    const std::lock_guard lock(mutex_);
    rows_.clear();
    prompts_.clear();
    prompt_bytes_ = 0;
    version_.fetch_add(1, std::memory_order_release);
}

}  // namespace app
