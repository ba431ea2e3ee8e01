// PagePool: the bookkeeping of the paged K cache: which pages are free, held, shared or kept for a
// next turn. Knows page ids and tokens, no memory (KvCache) and no sequences. Engine thread only.
//
// A page holds 64 tokens. A page that is full may be published: it is then immutable and can be
// found again by the tokens of the whole prefix it ends. The published pages form a tree; the key
// of a page is (its parent page, its 64 tokens), hashed with a seed so that nobody can aim at
// collisions, and compared token by token so that none could matter. The last, partly filled page
// of a sequence that ends is a part: kept with the tokens it has, never held again, but its first
// rows may be copied into another page - as those of any child of a page may (find_rows()).
//
//     free      ids nobody holds and nobody could find        -> allocate()
//     used      held by at least one sequence; shared: by more than one
//     cached    published or a part, held by nobody: else evicted, oldest first
//
//     used + cached + free == reserved <= limit
//
// Whoever holds a published page holds its whole chain (publish() hands out the one true page for a
// key), and releases it from the end, so a parent is never evicted before its children: a page id
// names a prefix exactly.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <queue>
#include <span>
#include <unordered_map>
#include <vector>

#include "runtime/text/tokenizer.h"

namespace runtime {

class PagePool {
public:
    using PageId = int32_t;
    static constexpr PageId kRoot = -1;  // parent of the first page of a sequence

    // hash_mask: for tests, which want collisions.
    explicit PagePool(int64_t limit_pages, uint64_t seed, uint64_t hash_mask = ~uint64_t{0});

    int64_t limit() const { return static_cast<int64_t>(pages_.size()); }
    int64_t reserved() const { return reserved_; }
    int64_t used() const { return used_; }
    int64_t shared() const { return shared_; }
    int64_t cached() const { return cached_; }
    int64_t free() const { return reserved_ - used_ - cached_; }

    // Ids below `pages` may be handed out. Requires pages <= limit(), and no used or cached page at
    // or past it.
    void set_reserved(int64_t pages);
    // One past the highest id that is used or cached: what the memory may shrink to.
    int64_t occupied_end() const;

    // The lowest free page, held once, content undefined. Nothing: none is free (grow, evict or
    // wait).
    [[nodiscard]] std::optional<PageId> allocate();

    // Makes the longest-unused cached page free. false: none is cached.
    bool evict_one();
    void evict_all();

    // Holds `page`, the published child of `parent` with these 64 tokens, once more. Nothing: there
    // is none.
    [[nodiscard]] std::optional<PageId> acquire_child(PageId parent,
                                                      std::span<const TokenId> tokens);
    // The pages of the longest published prefix of `tokens`, each held once more. Whole pages only,
    // and never the page with the last token: its logits are wanted, so at least that token is
    // computed.
    std::vector<PageId> acquire_prefix(std::span<const TokenId> tokens);
    // The most rows that a child of `parent` has in common with the tokens that follow it: a page
    // to copy them from. Fewer than a page and than there are tokens, so that one is left to
    // compute. Holds nothing: the rows stay what they are until something is computed into the
    // page.
    struct Rows {
        PageId page = kRoot;
        int64_t count = 0;
    };
    Rows find_rows(PageId parent, std::span<const TokenId> tokens) const;

    // Where and why a prefix of `tokens` ended, given the pages acquire_prefix() found: the
    // position of the first token that differs from the nearest child of the last one, and whether
    // there was one to differ from.
    struct PrefixEnd {
        int64_t position = 0;
        bool differs = false;
        bool any_published = false;
    };
    PrefixEnd prefix_end(std::span<const TokenId> tokens, std::span<const PageId> found) const;

    // The page, held once and full with these 64 tokens, becomes findable below `parent`
    // (published, or kRoot). Returns the page to use from now on: where another one is published
    // with the same key, that one is held instead and `page` is released; both hold the same rows.
    [[nodiscard]] PageId publish(PageId page, PageId parent, std::span<const TokenId> tokens);

    // The page, held once and filled with these fewer than 64 tokens, is kept when it is released,
    // as a part below `parent` - unless another child has these tokens already. Nothing may be
    // written to it any more.
    void keep_part(PageId page, PageId parent, std::span<const TokenId> tokens);

    // A second holder for published pages.
    void retain(std::span<const PageId> pages);
    // Gives up one hold on each, last first. Published pages nobody holds become cached, others
    // free.
    void release(std::span<const PageId> pages);

    int holders(PageId page) const { return at(page).holders; }
    bool kept(PageId page) const { return at(page).tokens > 0; }  // published, or a part

    // Recounts everything from the pages and compares; throws std::logic_error. For tests.
    void check() const;

private:
    struct Page {
        int32_t holders = 0;
        int32_t tokens =
            0;  // 64: published; fewer: a part; 0: its content is the holder's business
        PageId parent = kRoot;
        uint64_t hash = 0;  // of the chain up to and including this page; of published ones
        PageId older = kRoot, newer = kRoot;  // neighbours among the cached pages
    };

    const Page& at(PageId page) const;
    Page& at(PageId page);
    std::span<TokenId> tokens_of(PageId page);
    std::span<const TokenId> tokens_of(PageId page) const;
    uint64_t hash_of(PageId parent, std::span<const TokenId> tokens) const;
    std::optional<PageId> find(PageId parent, std::span<const TokenId> tokens) const;
    void hold(PageId page);
    void keep(PageId page, PageId parent, std::span<const TokenId> tokens);
    void forget(PageId page);
    void release_one(PageId page);
    void link_newest(PageId page);
    void unlink(PageId page);

    uint64_t seed_;
    uint64_t hash_mask_;
    std::vector<Page> pages_;
    std::vector<TokenId> tokens_;                        // [limit, 64], of the pages that are kept
    std::unordered_multimap<uint64_t, PageId> by_hash_;  // published pages
    std::unordered_multimap<PageId, PageId> children_;   // kept pages by their parent
    std::priority_queue<PageId, std::vector<PageId>, std::greater<>> free_;
    PageId oldest_ = kRoot, newest_ = kRoot;  // cached pages, by when they were last held
    int64_t reserved_ = 0, used_ = 0, shared_ = 0, cached_ = 0;
};

}  // namespace runtime
