#include "runtime/cache/page_pool.h"

#include <algorithm>

#include "kernels/backend.h"
#include "kernels/check.h"

namespace runtime {
namespace {

constexpr auto kPage = static_cast<size_t>(kernels::kPageTokens);

// Finaliser of splitmix64 (public domain, S. Vigna): every input bit reaches every output bit.
uint64_t mix(uint64_t x) {
    x ^= x >> 30;
    x *= 0xBF58476D1CE4E5B9U;
    x ^= x >> 27;
    x *= 0x94D049BB133111EBU;
    return x ^ (x >> 31);
}

}  // namespace

PagePool::PagePool(int64_t limit_pages, uint64_t seed, uint64_t hash_mask)
    : seed_(seed), hash_mask_(hash_mask) {
    ENSURE(limit_pages > 0 && limit_pages < INT32_MAX, limit_pages, " pages");
    pages_.resize(static_cast<size_t>(limit_pages));
    tokens_.resize(static_cast<size_t>(limit_pages) * kPage);
}

const PagePool::Page& PagePool::at(PageId page) const {
    ENSURE(page >= 0 && page < reserved_, "page ", page, " of ", reserved_);
    return pages_[static_cast<size_t>(page)];
}

PagePool::Page& PagePool::at(PageId page) {
    ENSURE(page >= 0 && page < reserved_, "page ", page, " of ", reserved_);
    return pages_[static_cast<size_t>(page)];
}

std::span<TokenId> PagePool::tokens_of(PageId page) {
    return std::span(tokens_).subspan(static_cast<size_t>(page) * kPage,
                                      static_cast<size_t>(at(page).tokens));
}

std::span<const TokenId> PagePool::tokens_of(PageId page) const {
    return std::span(tokens_).subspan(static_cast<size_t>(page) * kPage,
                                      static_cast<size_t>(at(page).tokens));
}

void PagePool::set_reserved(int64_t pages) {
    ENSURE(pages >= 0 && pages <= limit(), pages, " of ", limit());
    if (pages < reserved_) {
        ENSURE(occupied_end() <= pages, "page ", occupied_end() - 1,
               " is in use, cannot shrink to ", pages);
        decltype(free_) kept;
        for (; !free_.empty() && free_.top() < pages; free_.pop()) {
            kept.push(free_.top());
        }
        free_ = std::move(kept);
    }
    for (int64_t id = reserved_; id < pages; id++) {
        free_.push(static_cast<PageId>(id));
    }
    reserved_ = pages;
}

int64_t PagePool::occupied_end() const {
    for (int64_t id = reserved_; id > 0; id--) {
        const Page& p = pages_[static_cast<size_t>(id - 1)];
        if (p.holders > 0 || p.tokens > 0) {
            return id;
        }
    }
    return 0;
}

std::optional<PagePool::PageId> PagePool::allocate() {
    if (free_.empty()) {
        return std::nullopt;
    }
    const PageId page = free_.top();
    free_.pop();
    Page& p = at(page);
    ENSURE(p.holders == 0 && p.tokens == 0, "free page ", page, " is in use");
    p.holders = 1;
    used_++;
    return page;
}

// What is known of a cached page: it becomes free.
void PagePool::forget(PageId page) {
    unlink(page);
    Page& p = at(page);
    const auto remove = [page](auto& table, const auto& key) {
        const auto [begin, end] = table.equal_range(key);
        const auto entry =
            std::find_if(begin, end, [page](const auto& e) { return e.second == page; });
        ENSURE(entry != end, "page ", page, " is not in the table");
        table.erase(entry);
    };
    if (p.tokens == kernels::kPageTokens) {
        remove(by_hash_, p.hash);
    }
    remove(children_, p.parent);
    p = Page();
    cached_--;
    free_.push(page);
}

bool PagePool::evict_one() {
    if (oldest_ == kRoot) {
        return false;
    }
    forget(oldest_);
    return true;
}

void PagePool::evict_all() {
    while (evict_one()) {
    }
}

uint64_t PagePool::hash_of(PageId parent, std::span<const TokenId> tokens) const {
    uint64_t hash = mix(seed_ ^ (parent == kRoot ? 0x9E3779B97F4A7C15U : at(parent).hash));
    for (size_t i = 0; i < tokens.size(); i += 2) {
        const auto low = static_cast<uint64_t>(static_cast<uint32_t>(tokens[i]));
        const auto high = static_cast<uint64_t>(static_cast<uint32_t>(tokens[i + 1])) << 32;
        hash = mix(hash + 0x9E3779B97F4A7C15U + (low | high));
    }
    return hash & hash_mask_;
}

std::optional<PagePool::PageId> PagePool::find(PageId parent,
                                               std::span<const TokenId> tokens) const {
    ENSURE(tokens.size() == kPage, tokens.size(), " tokens");
    const auto [begin, end] = by_hash_.equal_range(hash_of(parent, tokens));
    for (auto entry = begin; entry != end; ++entry) {
        const PageId page = entry->second;
        if (at(page).parent == parent && std::ranges::equal(tokens_of(page), tokens)) {
            return page;
        }
    }
    return std::nullopt;
}

void PagePool::hold(PageId page) {
    Page& p = at(page);
    ENSURE(p.tokens == kernels::kPageTokens, "page ", page, " is not published");
    p.holders++;
    if (p.holders == 1) {
        unlink(page);
        cached_--;
        used_++;
    } else if (p.holders == 2) {
        shared_++;
    }
}

std::optional<PagePool::PageId> PagePool::acquire_child(PageId parent,
                                                        std::span<const TokenId> tokens) {
    const std::optional<PageId> page = find(parent, tokens);
    if (page) {
        hold(*page);
    }
    return page;
}

PagePool::Rows PagePool::find_rows(PageId parent, std::span<const TokenId> tokens) const {
    Rows best;
    if (tokens.empty()) {
        return best;
    }
    const auto wanted = tokens.first(std::min(tokens.size(), kPage) - 1);
    const auto [begin, end] = children_.equal_range(parent);
    for (auto entry = begin; entry != end; ++entry) {
        const auto [mine, theirs] = std::ranges::mismatch(wanted, tokens_of(entry->second));
        if (mine - wanted.begin() > best.count) {
            best = {entry->second, mine - wanted.begin()};
        }
    }
    return best;
}

PagePool::PrefixEnd PagePool::prefix_end(std::span<const TokenId> tokens,
                                         std::span<const PageId> found) const {
    PrefixEnd end;
    end.any_published = !children_.empty();
    end.position = static_cast<int64_t>(found.size() * kPage);
    const PageId parent = found.empty() ? kRoot : found.back();
    const auto rest = tokens.subspan(std::min(tokens.size(), found.size() * kPage));
    int64_t best = 0;
    const auto [begin, finish] = children_.equal_range(parent);
    for (auto entry = begin; entry != finish; ++entry) {
        const auto kept = tokens_of(entry->second);
        const auto [mine, theirs] = std::ranges::mismatch(rest, kept);
        const int64_t common = mine - rest.begin();
        // Neither ended before they differed.
        const bool differs = mine != rest.end() && theirs != kept.end();
        end.differs = common > best ? differs : end.differs || (common == best && differs);
        best = std::max(best, common);
    }
    end.position += best;
    return end;
}

std::vector<PagePool::PageId> PagePool::acquire_prefix(std::span<const TokenId> tokens) {
    std::vector<PageId> pages;
    PageId parent = kRoot;
    for (size_t begin = 0; begin + kPage < tokens.size(); begin += kPage) {
        const std::optional<PageId> page = acquire_child(parent, tokens.subspan(begin, kPage));
        if (!page) {
            break;
        }
        pages.push_back(*page);
        parent = *page;
    }
    return pages;
}

PagePool::PageId PagePool::publish(PageId page, PageId parent, std::span<const TokenId> tokens) {
    ENSURE(at(page).holders == 1 && !kept(page), "page ", page, " cannot be published");
    ENSURE(parent == kRoot || (at(parent).tokens == kernels::kPageTokens && at(parent).holders > 0),
           "parent page ", parent, " is not held");
    if (const std::optional<PageId> same = find(parent, tokens)) {
        hold(*same);
        release_one(page);
        return *same;
    }
    Page& p = at(page);
    p.hash = hash_of(parent, tokens);
    by_hash_.emplace(p.hash, page);
    keep(page, parent, tokens);
    return page;
}

void PagePool::keep_part(PageId page, PageId parent, std::span<const TokenId> tokens) {
    ENSURE(at(page).holders == 1 && !kept(page) && tokens.size() < kPage, "page ", page,
           " cannot be kept with ", tokens.size(), " tokens");
    ENSURE(parent == kRoot || at(parent).holders > 0, "parent page ", parent, " is not held");
    const auto [begin, end] = children_.equal_range(parent);
    const bool known = std::any_of(begin, end, [&](const auto& entry) {
        const auto others = tokens_of(entry.second);
        return others.size() >= tokens.size() &&
               std::ranges::equal(others.first(tokens.size()), tokens);
    });
    if (!known && !tokens.empty()) {
        keep(page, parent, tokens);
    }
}

// Parts that say no more than this page are of no further use.
void PagePool::keep(PageId page, PageId parent, std::span<const TokenId> tokens) {
    std::vector<PageId> outdone;
    const auto [begin, end] = children_.equal_range(parent);
    for (auto entry = begin; entry != end; ++entry) {
        const auto others = tokens_of(entry->second);
        if (at(entry->second).holders == 0 && others.size() < tokens.size() &&
            std::ranges::equal(others, tokens.first(others.size()))) {
            outdone.push_back(entry->second);
        }
    }
    for (const PageId part : outdone) {
        forget(part);
    }
    Page& p = at(page);
    p.tokens = static_cast<int32_t>(tokens.size());
    p.parent = parent;
    std::ranges::copy(tokens, tokens_of(page).begin());
    children_.emplace(parent, page);
}

void PagePool::retain(std::span<const PageId> pages) {
    for (const PageId page : pages) {
        ENSURE(at(page).holders > 0, "page ", page, " is held by nobody");
        hold(page);
    }
}

void PagePool::release(std::span<const PageId> pages) {
    for (size_t i = pages.size(); i > 0; i--) {
        release_one(pages[i - 1]);
    }
}

void PagePool::release_one(PageId page) {
    Page& p = at(page);
    ENSURE(p.holders > 0, "page ", page, " is held by nobody");
    p.holders--;
    if (p.holders == 1) {
        shared_--;
    }
    if (p.holders > 0) {
        return;
    }
    used_--;
    if (p.tokens > 0) {
        link_newest(page);
        cached_++;
    } else {
        p = Page();
        free_.push(page);
    }
}

void PagePool::link_newest(PageId page) {
    Page& p = at(page);
    p.older = newest_;
    p.newer = kRoot;
    if (newest_ == kRoot) {
        oldest_ = page;
    } else {
        at(newest_).newer = page;
    }
    newest_ = page;
}

void PagePool::unlink(PageId page) {
    Page& p = at(page);
    (p.older == kRoot ? oldest_ : at(p.older).newer) = p.newer;
    (p.newer == kRoot ? newest_ : at(p.newer).older) = p.older;
    p.older = p.newer = kRoot;
}

void PagePool::check() const {
    int64_t used = 0, shared = 0, cached = 0, published = 0, kept_pages = 0;
    for (PageId id = 0; id < static_cast<PageId>(limit()); id++) {
        const Page& p = pages_[static_cast<size_t>(id)];
        ENSURE(id < reserved_ || (p.holders == 0 && p.tokens == 0), "page ", id, " is in use past ",
               reserved_);
        const bool full = p.tokens == kernels::kPageTokens;
        used += p.holders > 0 ? 1 : 0;
        shared += p.holders > 1 ? 1 : 0;
        cached += p.tokens > 0 && p.holders == 0 ? 1 : 0;
        published += full ? 1 : 0;
        kept_pages += p.tokens > 0 ? 1 : 0;
        if (p.tokens > 0 && p.parent != kRoot) {
            ENSURE(at(p.parent).tokens == kernels::kPageTokens && at(p.parent).holders >= p.holders,
                   "page ", id, " outlives its parent ", p.parent);
        }
        ENSURE(p.tokens == 0 || full || p.holders <= 1, "part ", id, " is shared");
        ENSURE(!full || find(p.parent, tokens_of(id)) == id, "page ", id, " cannot be found");
        if (p.tokens > 0) {
            const auto [begin, end] = children_.equal_range(p.parent);
            ENSURE(std::count_if(begin, end, [id](const auto& e) { return e.second == id; }) == 1,
                   "page ", id, " is no child of ", p.parent);
        }
    }
    int64_t linked = 0;
    for (PageId id = oldest_; id != kRoot; id = at(id).newer) {
        ENSURE(at(id).tokens > 0 && at(id).holders == 0 && linked <= cached, "page ", id,
               " is not cached");
        linked++;
    }
    ENSURE(used == used_ && shared == shared_ && cached == cached_ && linked == cached, "used ",
           used_, " is ", used, ", shared ", shared_, " is ", shared, ", cached ", cached_, " is ",
           cached, ", linked ", linked);
    ENSURE(static_cast<int64_t>(by_hash_.size()) == published &&
               static_cast<int64_t>(children_.size()) == kept_pages &&
               static_cast<int64_t>(free_.size()) == free(),
           "published ", published, ", kept ", kept_pages, ", free ", free_.size());
    ENSURE(used + cached <= reserved_ && reserved_ <= limit(), used, " + ", cached, " of ",
           reserved_);
}

}  // namespace runtime
