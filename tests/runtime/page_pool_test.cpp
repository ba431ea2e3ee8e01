#include "runtime/cache/page_pool.h"

#include <map>
#include <random>
#include <set>

#include "tests/support/catch.h"

using runtime::PagePool;
using runtime::TokenId;

namespace {

std::vector<TokenId> random_tokens(std::mt19937& rng, size_t count) {
    std::vector<TokenId> tokens(count);
    for (TokenId& t : tokens) {
        t = static_cast<TokenId>(rng() % 1000);
    }
    return tokens;
}

// Allocates and publishes the full pages of `tokens` that are not there yet, as a sequence would.
std::vector<PagePool::PageId> fill(PagePool& pool, std::span<const TokenId> tokens) {
    std::vector<PagePool::PageId> pages = pool.acquire_prefix(tokens);
    while ((pages.size() + 1) * 64 <= tokens.size()) {
        const auto page = pool.allocate();
        REQUIRE(page.has_value());
        pages.push_back(pool.publish(*page, pages.empty() ? PagePool::kRoot : pages.back(),
                                     tokens.subspan(pages.size() * 64, 64)));
    }
    return pages;
}

// Of a copy: whoever holds a page makes it the last to be evicted.
int64_t prefix_tokens(PagePool pool, std::span<const TokenId> tokens) {
    return static_cast<int64_t>(pool.acquire_prefix(tokens).size()) * 64;
}

}  // namespace

TEST_CASE("ids are handed out lowest first, below what is reserved, and none twice") {
    PagePool pool(10, 1);
    CHECK_FALSE(pool.allocate().has_value());
    pool.set_reserved(4);
    std::vector<PagePool::PageId> pages;
    for (int i = 0; i < 4; i++) {
        const auto page = pool.allocate();
        REQUIRE(page == i);
        pages.push_back(*page);
    }
    CHECK_FALSE(pool.allocate().has_value());
    pool.release(std::vector<PagePool::PageId>{2});
    pool.release(std::vector<PagePool::PageId>{0});
    CHECK(pool.allocate() == 0);
    CHECK(pool.allocate() == 2);
    CHECK(pool.used() == 4);
    CHECK_THROWS_AS(pool.set_reserved(3), std::logic_error);
    pool.release(std::vector<PagePool::PageId>{2, 3});
    pool.set_reserved(2);
    CHECK_FALSE(pool.allocate().has_value());
    pool.set_reserved(10);
    CHECK(pool.allocate() == 2);
    pool.check();
}

TEST_CASE("a prefix is found page by page, and the page with the last token never") {
    std::mt19937 rng(1);
    PagePool pool(100, 7);
    pool.set_reserved(100);
    const std::vector<TokenId> tokens = random_tokens(rng, 64 * 5);
    const auto pages = fill(pool, tokens);
    REQUIRE(pages.size() == 5);
    for (const size_t length : {0, 1, 63, 64, 65, 127, 128, 129, 319, 320}) {
        INFO(length);
        const std::span<const TokenId> prompt(tokens.data(), length);
        const auto found = pool.acquire_prefix(prompt);
        CHECK(found.size() == (length == 0 ? 0 : (length - 1) / 64));
        CHECK(std::equal(found.begin(), found.end(), pages.begin()));
        CHECK(pool.shared() == static_cast<int64_t>(found.size()));
        CHECK(prefix_tokens(pool, prompt) == static_cast<int64_t>(found.size()) * 64);
        pool.release(found);
    }
    CHECK(pool.shared() == 0);
    std::vector<TokenId> other = tokens;
    other[100]++;
    CHECK(prefix_tokens(pool, other) == 64);
    other[0]++;
    CHECK(prefix_tokens(pool, other) == 0);
    pool.release(pages);
    CHECK(pool.used() == 0);
    CHECK(pool.cached() == 5);
    CHECK(pool.acquire_prefix(tokens).size() == 4);  // still there after everybody left
    pool.check();
}

TEST_CASE("cached pages are evicted oldest first, the end of a chain before its beginning") {
    std::mt19937 rng(2);
    PagePool pool(8, 7);
    pool.set_reserved(8);
    const auto a = random_tokens(rng, 64 * 3), b = random_tokens(rng, 64 * 3);
    pool.release(fill(pool, a));
    pool.release(fill(pool, b));
    CHECK(pool.cached() == 6);
    pool.release(pool.acquire_prefix(
        std::vector<TokenId>(a.begin(), a.begin() + 100)));  // a's first page was used again
    const auto more = [](std::vector<TokenId> tokens) {
        tokens.push_back(0);
        return tokens;
    };
    CHECK(prefix_tokens(pool, more(a)) == 192);
    REQUIRE(pool.evict_one());
    CHECK(prefix_tokens(pool, more(a)) == 128);
    REQUIRE(pool.evict_one());
    CHECK(prefix_tokens(pool, more(a)) == 64);
    REQUIRE(pool.evict_one());
    CHECK(prefix_tokens(pool, more(b)) == 128);
    pool.check();
    pool.evict_all();
    CHECK(pool.cached() == 0);
    CHECK_FALSE(pool.evict_one());
    CHECK(pool.occupied_end() == 0);
    pool.check();
}

TEST_CASE("of a part the rows that agree are found, and a part that says less is forgotten") {
    std::mt19937 rng(6);
    PagePool pool(12, 7);
    pool.set_reserved(12);
    const auto tokens = random_tokens(rng, 64 + 50);
    const std::span<const TokenId> all(tokens);
    auto pages = fill(pool, all);
    REQUIRE(pages.size() == 1);
    const PagePool::PageId parent = pages[0];
    const auto keep = [&](size_t count) {
        const auto page = pool.allocate();
        REQUIRE(page.has_value());
        pool.keep_part(*page, parent, all.subspan(64, count));
        pool.release(std::vector<PagePool::PageId>{*page});
        pool.check();
        return *page;
    };
    CHECK(pool.find_rows(parent, all.subspan(64)).count == 0);
    keep(20);
    CHECK(pool.cached() == 1);
    CHECK(pool.find_rows(parent, all.subspan(64)).count == 20);
    const auto longer = keep(45);  // says the same and more
    CHECK(pool.cached() == 1);
    keep(30);  // says nothing new
    CHECK(pool.cached() == 1);
    for (size_t length = 1; length <= 50; length++) {  // one token is left to compute
        const auto rows = pool.find_rows(parent, all.subspan(64, length));
        CHECK(rows.count == static_cast<int64_t>(std::min<size_t>(length - 1, 45)));
        CHECK(rows.page == (length > 1 ? longer : PagePool::kRoot));
    }
    auto other = tokens;
    other[64 + 33]++;
    CHECK(pool.find_rows(parent, std::span<const TokenId>(other).subspan(64)).count == 33);
    CHECK(pool.find_rows(PagePool::kRoot, all.subspan(64)).count == 0);  // another prefix
    CHECK(pool.find_rows(PagePool::kRoot, all.first(40)).count == 39);   // of a full page, too
    CHECK(pool.acquire_prefix(all).size() == 1);  // a part is no page of a prefix
    pool.release(pages);
    pool.release(pages);
    pool.evict_all();
    CHECK(pool.free() == 12);
    pool.check();
}

TEST_CASE("the same page published twice becomes one") {
    std::mt19937 rng(3);
    PagePool pool(8, 7);
    pool.set_reserved(8);
    const auto tokens = random_tokens(rng, 64);
    const auto first = pool.allocate(), second = pool.allocate();
    CHECK(pool.publish(*first, PagePool::kRoot, tokens) == *first);
    CHECK(pool.publish(*second, PagePool::kRoot, tokens) == *first);
    CHECK(pool.used() == 1);
    CHECK(pool.shared() == 1);
    CHECK(pool.free() == 7);
    pool.check();
}

TEST_CASE("hash collisions share nothing that differs") {
    std::mt19937 rng(4);
    PagePool pool(300, 7, 1);  // two hash values only
    pool.set_reserved(300);
    std::vector<std::vector<TokenId>> prompts;
    std::map<PagePool::PageId, std::vector<TokenId>> content;
    for (int i = 0; i < 60; i++) {
        auto tokens = random_tokens(rng, 64 * 4);
        if (i % 3 == 1) {
            std::copy(prompts.back().begin(), prompts.back().begin() + 128, tokens.begin());
        } else if (i % 3 == 2) {  // the same second page below another first one
            std::copy(prompts.back().begin() + 64, prompts.back().begin() + 128,
                      tokens.begin() + 64);
        }
        const auto pages = fill(pool, tokens);
        for (size_t p = 0; p < pages.size(); p++) {
            std::vector<TokenId> prefix(tokens.begin(),
                                        tokens.begin() + static_cast<std::ptrdiff_t>((p + 1) * 64));
            const auto [entry, fresh] = content.emplace(pages[p], prefix);
            REQUIRE((fresh || entry->second == prefix));
        }
        prompts.push_back(std::move(tokens));
    }
    CHECK(content.size() == 60 * 4 - 20 * 2);
    pool.check();
}

TEST_CASE("thousands of random operations agree with a naive model", "[property]") {
    struct Sequence {
        std::vector<TokenId> tokens;          // what its pages hold or will hold
        std::vector<PagePool::PageId> pages;  // the last one may be partly filled
        size_t filled = 0;                    // tokens written
    };
    for (uint32_t seed = 0; seed < 6; seed++) {
        std::mt19937 rng(seed);
        const int64_t limit = 24 + static_cast<int64_t>(rng() % 40);
        PagePool pool(limit, rng(), seed % 2 == 0 ? ~uint64_t{0} : 3);
        std::vector<Sequence> sequences;
        std::map<PagePool::PageId, std::vector<TokenId>>
            content;  // what the memory of a page holds: its whole prefix
        int rows_found = 0;
        std::vector<std::vector<TokenId>> blocks;
        for (int i = 0; i < 3; i++) {
            blocks.push_back(random_tokens(rng, 64));
        }
        for (int step = 0; step < 4000; step++) {
            const uint32_t what = rng() % 100;
            if (what < 20) {  // a new sequence of few kinds of blocks, so that prefixes meet
                Sequence s;
                const size_t count = 1 + rng() % 6;
                for (size_t b = 0; b < count; b++) {
                    const auto& block = blocks[rng() % blocks.size()];
                    s.tokens.insert(s.tokens.end(), block.begin(), block.end());
                }
                s.tokens.resize(s.tokens.size() - rng() % 64);
                s.pages = pool.acquire_prefix(s.tokens);
                s.filled = s.pages.size() * 64;
                for (size_t p = 0; p < s.pages.size();
                     p++) {  // a found page holds exactly this prefix
                    const std::vector<TokenId> want(
                        s.tokens.begin(),
                        s.tokens.begin() + static_cast<std::ptrdiff_t>((p + 1) * 64));
                    REQUIRE(content.at(s.pages[p]) == want);
                }
                REQUIRE(s.filled < s.tokens.size());
                // Rows to copy are of a page with this very prefix, as far as they go.
                const auto rest = std::span<const TokenId>(s.tokens).subspan(s.filled);
                const auto rows =
                    pool.find_rows(s.pages.empty() ? PagePool::kRoot : s.pages.back(), rest);
                REQUIRE(rows.count < static_cast<int64_t>(std::min<size_t>(rest.size(), 64)));
                if (rows.count > 0) {
                    const auto held = static_cast<std::ptrdiff_t>(s.filled) + rows.count;
                    REQUIRE(static_cast<std::ptrdiff_t>(content.at(rows.page).size()) >= held);
                    REQUIRE(std::equal(s.tokens.begin(), s.tokens.begin() + held,
                                       content.at(rows.page).begin()));
                    rows_found++;
                }
                sequences.push_back(std::move(s));
            } else if (what < 75 && !sequences.empty()) {  // some tokens of a sequence are computed
                Sequence& s = sequences[rng() % sequences.size()];
                for (size_t n = rng() % 100; n > 0; n--) {
                    if (s.filled == s.tokens.size()) {
                        s.tokens.push_back(static_cast<TokenId>(rng() % 3));
                    }
                    if (s.filled == s.pages.size() * 64) {
                        auto page = pool.allocate();
                        if (!page && pool.evict_one()) {
                            page = pool.allocate();
                            REQUIRE(page.has_value());
                        }
                        if (!page) {
                            break;
                        }
                        for (const Sequence& other : sequences) {
                            REQUIRE(std::count(other.pages.begin(), other.pages.end(), *page) == 0);
                        }
                        s.pages.push_back(*page);
                        content[*page].clear();
                    }
                    s.filled++;
                    if (s.filled % 64 == 0) {
                        const size_t p = s.pages.size() - 1;
                        const std::vector<TokenId> prefix(
                            s.tokens.begin(),
                            s.tokens.begin() + static_cast<std::ptrdiff_t>(s.filled));
                        content[s.pages[p]] = prefix;
                        s.pages[p] =
                            pool.publish(s.pages[p], p == 0 ? PagePool::kRoot : s.pages[p - 1],
                                         std::span(prefix).subspan(p * 64, 64));
                        REQUIRE(content.at(s.pages[p]) == prefix);
                    }
                }
            } else if (what < 82 && !sequences.empty()) {  // fork: whole pages are shared
                const Sequence& s = sequences[rng() % sequences.size()];
                Sequence copy = s;
                copy.filled = s.filled / 64 * 64;
                copy.pages.resize(copy.filled / 64);
                pool.retain(copy.pages);
                sequences.push_back(std::move(copy));
            } else if (what < 95 && !sequences.empty()) {  // the end of one is kept as a part
                const size_t at = rng() % sequences.size();
                const Sequence& s = sequences[at];
                if (s.filled % 64 != 0) {
                    const size_t p = s.filled / 64;
                    pool.keep_part(s.pages[p], p == 0 ? PagePool::kRoot : s.pages[p - 1],
                                   std::span(s.tokens).subspan(p * 64, s.filled % 64));
                    content[s.pages[p]].assign(
                        s.tokens.begin(), s.tokens.begin() + static_cast<std::ptrdiff_t>(s.filled));
                }
                pool.release(s.pages);
                sequences.erase(sequences.begin() + static_cast<std::ptrdiff_t>(at));
            } else if (what < 97) {
                pool.set_reserved(
                    std::min<int64_t>(limit, pool.reserved() + static_cast<int64_t>(rng() % 10)));
            } else if (what < 98) {
                pool.set_reserved(pool.occupied_end());
            } else if (what < 99) {
                (void)pool.evict_one();
            } else if (rng() % 4 == 0) {
                pool.evict_all();
            }

            std::map<PagePool::PageId, int> holders;
            for (const Sequence& s : sequences) {
                for (size_t p = 0; p < s.pages.size(); p++) {
                    holders[s.pages[p]]++;
                    if ((p + 1) * 64 <= s.filled) {  // what a sequence reads is still what it wrote
                        REQUIRE(content.at(s.pages[p]).size() == (p + 1) * 64);
                        REQUIRE(std::equal(content.at(s.pages[p]).begin(),
                                           content.at(s.pages[p]).end(), s.tokens.begin()));
                    }
                }
            }
            int64_t shared = 0;
            for (const auto& [page, count] : holders) {
                REQUIRE(pool.holders(page) == count);
                shared += count > 1 ? 1 : 0;
            }
            REQUIRE(pool.used() == static_cast<int64_t>(holders.size()));
            REQUIRE(pool.shared() == shared);
            REQUIRE(pool.used() + pool.cached() + pool.free() == pool.reserved());
            REQUIRE(pool.reserved() <= limit);
            if (step % 16 == 0) {
                REQUIRE_NOTHROW(pool.check());
            }
        }
        CHECK(rows_found > 10);
        for (const Sequence& s : sequences) {
            pool.release(s.pages);
        }
        CHECK(pool.used() == 0);
        pool.evict_all();
        CHECK(pool.free() == pool.reserved());
        pool.check();
    }
}
