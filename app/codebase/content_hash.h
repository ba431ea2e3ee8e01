// ContentHash: what a content is called by - in element tags, in the cache of counts, in the
// ledger. BLAKE2b with 16 bytes, so that nobody who writes files can make two of them pass for one.
// Pure.
//
// Source: RFC 7693.
#pragma once

#include <cstdint>
#include <string_view>

namespace app::codebase {

struct ContentHash {
    uint64_t low = 0, high = 0;
    bool operator==(const ContentHash&) const = default;
};

ContentHash content_hash(std::string_view text);

// For maps: the bits are as good as random already.
struct ContentHashBits {
    size_t operator()(const ContentHash& hash) const { return static_cast<size_t>(hash.low); }
};

}  // namespace app::codebase
