// CountCache: token counts by content, kept on disk between runs. One file per tokenizer; appended
// to as a whole at the end of a scan, begun again when it has grown too large. A damaged or foreign
// file is as good as none. Any thread; the disk is touched in the constructor and in save().
#pragma once

#include <cstdint>
#include <filesystem>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include "app/codebase/content_hash.h"
#include "runtime/text/tokenizer.h"

namespace app::codebase {

// Tells tokenizers apart: from all their tokens and from how they cut a text made of these.
ContentHash identity_of(const runtime::Tokenizer& tokenizer);

class CountCache {
public:
    // `folder` empty: nothing is read or written. It need not exist.
    CountCache(const std::filesystem::path& folder, const ContentHash& tokenizer);

    std::optional<int64_t> find(const ContentHash& content) const;
    void add(const ContentHash& content, int64_t tokens);
    // Appends what is new. What cannot be written is counted again next time.
    void save();

    size_t size() const;

private:
    struct Record {
        ContentHash content;
        uint64_t tokens = 0;
    };
    std::filesystem::path path_;
    mutable std::mutex mutex_;
    std::unordered_map<ContentHash, uint32_t, ContentHashBits> counts_;  // guarded by mutex_
    std::vector<Record> fresh_;                                          // guarded by mutex_
};

}  // namespace app::codebase
