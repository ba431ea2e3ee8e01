#include "app/codebase/count_cache.h"

#include <cstdio>
#include <fstream>
#include <string>
#include <system_error>

namespace app::codebase {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxRecords = 600'000;             // 14 MB on disk
constexpr uint64_t kMagic = 0x3154'4E55'4F43'484B;  // "KHCOUNT1", little endian
constexpr uint64_t kCheck = 0x9E37'79B9'7F4A'7C15;
constexpr size_t kRecordBytes = 24;
constexpr size_t kProbeBytes = 192 << 10;

std::string hex(const ContentHash& hash) {
    char text[40];
    std::snprintf(text, sizeof text, "%016llx%016llx", static_cast<unsigned long long>(hash.low),
                  static_cast<unsigned long long>(hash.high));
    return text;
}

void put(std::string& out, uint64_t word) {
    for (int i = 0; i < 8; i++) {
        out += static_cast<char>(word >> (8 * i));
    }
}

uint64_t get(const char* at) {
    uint64_t word = 0;
    for (int i = 7; i >= 0; i--) {
        word = word << 8 | static_cast<unsigned char>(at[i]);
    }
    return word;
}

// The count with a check of the whole record in its upper half: a file may be cut or damaged.
uint64_t sealed(const ContentHash& content, uint64_t tokens) {
    const uint64_t check = ((content.low ^ content.high * 3 ^ tokens) * kCheck) >> 32;
    return tokens | check << 32;
}

}  // namespace

ContentHash identity_of(const runtime::Tokenizer& tokenizer) {
    std::string all, probe;
    const int64_t tokens = tokenizer.vocab_size();
    const int64_t step = std::max<int64_t>(1, tokens / 20'000);
    for (int64_t id = 0; id < tokens; id++) {
        const std::string_view bytes = tokenizer.bytes(static_cast<runtime::TokenId>(id), true);
        all += bytes;
        all += tokenizer.is_special(static_cast<runtime::TokenId>(id)) ? '\1' : '\0';
        if (id % step == 0 && probe.size() < kProbeBytes) {
            probe += bytes;
        }
    }
    for (const runtime::TokenId id : tokenizer.encode(probe)) {
        put(all, static_cast<uint64_t>(id));
    }
    return content_hash(all);
}

CountCache::CountCache(const fs::path& folder, const ContentHash& tokenizer) {
    if (folder.empty()) {
        return;
    }
    path_ = folder / ("counts-" + hex(tokenizer));
    std::ifstream file(path_, std::ios::binary);
    char head[8];
    if (!file.read(head, sizeof head) || get(head) != kMagic) {
        return;
    }
    char record[kRecordBytes];
    while (file.read(record, sizeof record)) {
        const ContentHash content{get(record), get(record + 8)};
        const uint64_t word = get(record + 16);
        if (sealed(content, word & 0xFFFFFFFF) == word) {
            counts_[content] = static_cast<uint32_t>(word);
        }
    }
}

std::optional<int64_t> CountCache::find(const ContentHash& content) const {
    const std::lock_guard lock(mutex_);
    const auto at = counts_.find(content);
    return at == counts_.end() ? std::nullopt : std::optional<int64_t>(at->second);
}

void CountCache::add(const ContentHash& content, int64_t tokens) {
    if (tokens < 0 || tokens > UINT32_MAX) {
        return;
    }
    const std::lock_guard lock(mutex_);
    if (counts_.try_emplace(content, static_cast<uint32_t>(tokens)).second && !path_.empty()) {
        fresh_.push_back({content, static_cast<uint64_t>(tokens)});
    }
}

size_t CountCache::size() const {
    const std::lock_guard lock(mutex_);
    return counts_.size();
}

void CountCache::save() {
    std::vector<Record> fresh;
    {
        const std::lock_guard lock(mutex_);
        fresh.swap(fresh_);
    }
    if (fresh.empty()) {
        return;
    }
    std::error_code error;
    fs::create_directories(path_.parent_path(), error);
    const auto bytes = fs::file_size(path_, error);
    const bool starts = error || bytes < 8 || bytes > 8 + kMaxRecords * kRecordBytes;
    // Too large, or no file of ours: begun again with what this run has counted.
    std::string out;
    if (starts) {
        put(out, kMagic);
    } else if ((bytes - 8) % kRecordBytes != 0) {
        out.append(kRecordBytes - (bytes - 8) % kRecordBytes, '\0');  // a record that was cut short
    }
    for (const Record& record : fresh) {
        put(out, record.content.low);
        put(out, record.content.high);
        put(out, sealed(record.content, record.tokens));
    }
    std::ofstream file(
        path_, starts ? std::ios::binary | std::ios::trunc : std::ios::binary | std::ios::app);
    file.write(out.data(), static_cast<std::streamsize>(out.size()));
}

}  // namespace app::codebase
