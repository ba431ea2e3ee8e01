#include "runtime/engine/scheduler.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <string_view>
#include <utility>

#include "kernels/check.h"

namespace runtime {
namespace {

using kernels::kPageTokens;

// Where `sequence` belongs among others in order of arrival (ids ascend).
template <typename Queue>
auto place_of(Queue& queue, const Sequence& sequence) {
    return std::find_if(queue.begin(), queue.end(),
                        [&](const auto& other) { return other->id() > sequence.id(); });
}

template <typename Queue>
std::unique_ptr<Sequence> take_from(Queue& queue, const Sequence& sequence) {
    const auto at = std::find_if(queue.begin(), queue.end(),
                                 [&](const auto& other) { return other.get() == &sequence; });
    if (at == queue.end()) {
        return nullptr;
    }
    std::unique_ptr<Sequence> taken = std::move(*at);
    queue.erase(at);
    return taken;
}

// Pages the sequence will need for all it has and its next token, beyond those it holds.
int64_t pages_to_come(const Sequence& s) {
    return std::max<int64_t>(
        0, KvLayout::pages_for(s.length() + 1) - static_cast<int64_t>(s.pages.size()));
}

}  // namespace

Scheduler::Scheduler(const SchedulerLimits& limits,
                     KvCache* cache,
                     CopyRows copy_rows,
                     uint64_t hash_seed)
    : limits_(limits),
      cache_(cache),
      copy_rows_(std::move(copy_rows)),
      pool_(limits.pool_pages, hash_seed) {
    ENSURE(limits.parallel > 0 && limits.max_tokens >= limits.parallel &&
               limits.prefill_beside_decode > 0,
           limits.parallel, " sequences, ", limits.max_tokens, " tokens");
    ENSURE(copy_rows_ != nullptr, "nobody copies rows");
    ENSURE(cache == nullptr || cache->limit_pages() == limits.pool_pages, "cache and pool differ");
    if (cache_ == nullptr) {
        pool_.set_reserved(limits.pool_pages);
    }
}

Scheduler::~Scheduler() = default;

void Scheduler::add(std::unique_ptr<Sequence> sequence) {
    const auto at = place_of(waiting_, *sequence);
    waiting_.insert(at, std::move(sequence));
}

std::unique_ptr<Sequence> Scheduler::remove(const Sequence& sequence) {
    std::unique_ptr<Sequence> taken = take_from(running_, sequence);
    if (!taken) {
        taken = take_from(waiting_, sequence);
    }
    ENSURE(taken != nullptr, "sequence ", sequence.id(), " is not here");
    // The last page is kept with the tokens it has; the rows of one that scores its prompt are as
    // good as any.
    const int64_t whole = taken->published * kPageTokens;
    if (taken->computed > whole) {
        const auto last = static_cast<size_t>(taken->published);
        pool_.keep_part(
            taken->pages[last], last == 0 ? PagePool::kRoot : taken->pages[last - 1],
            std::span(taken->tokens)
                .subspan(static_cast<size_t>(whole), static_cast<size_t>(taken->computed - whole)));
    }
    pool_.release(taken->pages);
    taken->pages.clear();
    if (starved_ == taken.get()) {
        starved_ = nullptr;
    }
    return taken;
}

std::vector<std::unique_ptr<Sequence>> Scheduler::take_all() {
    std::vector<std::unique_ptr<Sequence>> all = std::exchange(running_, {});
    std::ranges::move(waiting_, std::back_inserter(all));
    waiting_.clear();
    return all;
}

int64_t Scheduler::capacity_pages() const {
    return device_full_ ? pool_.reserved() : pool_.limit();
}

std::optional<PagePool::PageId> Scheduler::take_page() {
    if (const auto page = pool_.allocate()) {
        return page;
    }
    if (!device_full_ && pool_.reserved() < pool_.limit()) {
        device_full_ = !cache_->reserve(pool_.reserved() + 1);
        pool_.set_reserved(cache_->reserved_pages());
        if (const auto page = pool_.allocate()) {
            return page;
        }
    }
    return pool_.evict_one() ? pool_.allocate() : std::nullopt;
}

bool Scheduler::preempt_for(const Sequence& sequence, std::vector<Part>& parts) {
    for (size_t i = running_.size(); i > 0; i--) {
        Sequence& victim = *running_[i - 1];
        if (victim.id() <= sequence.id()) {
            return false;
        }
        if (victim.pages.empty()) {
            continue;
        }
        std::erase_if(parts, [&](const Part& part) { return part.sequence == &victim; });
        std::unique_ptr<Sequence> taken = remove(victim);
        taken->computed = taken->published = 0;
        taken->preempted = true;
        taken->stalled = false;
        taken->follows = 0;
        preemptions_++;
        add(std::move(taken));
        return true;
    }
    return false;
}

// Pages for up to `tokens` more tokens; how many there is now room for.
int64_t Scheduler::grant(Sequence& sequence, int64_t tokens, std::vector<Part>& parts) {
    const auto room = [&] {
        return static_cast<int64_t>(sequence.pages.size()) * kPageTokens - sequence.computed;
    };
    while (room() < tokens) {
        if (const auto page = take_page()) {
            sequence.pages.push_back(*page);
        } else if (!preempt_for(sequence, parts)) {
            break;
        }
    }
    const int64_t granted = std::min(tokens, room());
    sequence.stalled = granted == 0;
    if (granted > 0) {
        parts.push_back({&sequence, granted, 0});
    }
    return granted;
}

void Scheduler::found_in_cache(Sequence& sequence, int64_t tokens) {
    sequence.computed += tokens;
    sequence.published += tokens / kPageTokens;
    prefix_hit_tokens_ += static_cast<uint64_t>(tokens);
    if (!sequence.preempted) {
        sequence.cached_tokens += tokens;
        found_tokens_ += tokens;
        for (MemorySnapshot::Lookup& lookup : lookups_) {
            if (lookup.id == sequence.id()) {
                lookup.cached_tokens = sequence.cached_tokens;
            }
        }
    }
}

// Before the pages that were found are counted; a sequence that was preempted asked already.
void Scheduler::note_lookup(const Sequence& sequence) {
    constexpr size_t kKept = 20;
    if (sequence.preempted) {
        return;
    }
    using End = MemorySnapshot::Lookup::End;
    const PagePool::PrefixEnd end = pool_.prefix_end(sequence.tokens, sequence.pages);
    const bool complete = end.position >= sequence.length() - 1;
    lookups_.push_back({sequence.id(), sequence.request.owner, sequence.prompt_tokens, 0,
                        !end.any_published ? End::nothing
                        : end.differs      ? End::differs
                        : complete         ? End::complete
                                           : End::not_kept,
                        end.position});
    lookup_tokens_ += sequence.prompt_tokens;
    if (lookups_.size() > kKept) {
        lookups_.pop_front();
    }
}

// Pages that others have published since: taken instead of computed.
void Scheduler::extend_from_cache(Sequence& sequence) {
    if (sequence.scores_prompt()) {
        return;
    }
    while (sequence.remaining() > kPageTokens &&
           sequence.computed == sequence.published * kPageTokens &&
           static_cast<int64_t>(sequence.pages.size()) == sequence.published) {
        const auto page = pool_.acquire_child(
            sequence.pages.empty() ? PagePool::kRoot : sequence.pages.back(),
            std::span(sequence.tokens)
                .subspan(static_cast<size_t>(sequence.computed), static_cast<size_t>(kPageTokens)));
        if (!page) {
            return;
        }
        sequence.pages.push_back(*page);
        found_in_cache(sequence, kPageTokens);
    }
}

// Rows of the page that comes next which another page holds: of one that is kept, or of the last
// one of a sequence that runs.
PagePool::Rows Scheduler::rows_for(const Sequence& sequence) const {
    const auto rest = std::span(sequence.tokens).subspan(static_cast<size_t>(sequence.computed));
    const PagePool::PageId parent =
        sequence.pages.empty() ? PagePool::kRoot : sequence.pages.back();
    PagePool::Rows best = pool_.find_rows(parent, rest);
    for (const auto& other : running_) {
        const int64_t begin = other->published * kPageTokens;
        if (other.get() == &sequence || other->published != sequence.published ||
            other->computed <= begin ||
            (other->published > 0 &&
             other->pages[static_cast<size_t>(other->published - 1)] != parent)) {
            continue;
        }
        const auto theirs =
            std::span(other->tokens)
                .subspan(static_cast<size_t>(begin), static_cast<size_t>(other->computed - begin));
        const auto [mine, end] = std::ranges::mismatch(rest.first(rest.size() - 1), theirs);
        if (mine - rest.begin() > best.count) {
            best = {other->pages[static_cast<size_t>(other->published)], mine - rest.begin()};
        }
    }
    return best;
}

// What is left of a common beginning where whole pages end. The page it is copied from may be the
// very one that is given up for the new page: its rows are there until something is computed.
void Scheduler::copy_from_cache(Sequence& sequence) {
    if (sequence.scores_prompt() || sequence.remaining() <= 1 ||
        sequence.computed != sequence.published * kPageTokens ||
        static_cast<int64_t>(sequence.pages.size()) != sequence.published) {
        return;
    }
    const PagePool::Rows rows = rows_for(sequence);
    if (rows.count == 0) {
        return;
    }
    if (const auto page = take_page()) {
        if (*page != rows.page) {
            copy_rows_(rows.page, *page, rows.count);
        }
        sequence.pages.push_back(*page);
        found_in_cache(sequence, rows.count);
    }
}

void Scheduler::start_following(Sequence& sequence) {
    if (sequence.scores_prompt()) {
        return;
    }
    const auto& mine = sequence.tokens;
    int64_t best = sequence.computed;
    for (const auto& other : running_) {
        if (!other->in_prompt()) {
            continue;
        }
        const auto [end, unused] =
            std::mismatch(mine.begin(), mine.end(), other->tokens.begin(), other->tokens.end());
        // For less than a page nobody waits.
        const int64_t common = std::min<int64_t>(end - mine.begin(), sequence.length() - 1);
        if (common / kPageTokens > best / kPageTokens && common > other->computed) {
            best = common;
            sequence.follows = other->id();
            sequence.follows_until = common;
        }
    }
}

bool Scheduler::waits_for_another(Sequence& sequence) {
    if (sequence.follows != 0) {
        const auto leader =
            std::ranges::find(running_, sequence.follows, [](const auto& s) { return s->id(); });
        // A leader without pages may be waiting for ours.
        if (leader != running_.end() && !(*leader)->stalled &&
            (*leader)->computed < sequence.follows_until &&
            sequence.computed < sequence.follows_until) {
            return true;
        }
        sequence.follows = 0;
    }
    return false;
}

Sequence* Scheduler::next_to_admit() const {
    // One that was preempted has its turn already, and its reader sees a pause.
    for (const auto& s : waiting_) {
        if (s->preempted) {
            return s.get();
        }
    }
    struct Rank {
        int64_t running;
        uint64_t served;
        auto operator<=>(const Rank&) const = default;
    };
    std::map<std::string_view, int64_t> running;
    for (const auto& s : running_) {
        running[s->request.owner]++;
    }
    Sequence* best = nullptr;
    Rank best_rank{};
    std::set<std::string_view> seen;  // only the first of each owner counts
    for (const auto& s : waiting_) {
        const std::string& owner = s->request.owner;
        if (!seen.insert(owner).second) {
            continue;
        }
        const auto count = running.find(owner);
        const auto turn = served_.find(owner);
        const Rank rank{count == running.end() ? 0 : count->second,
                        turn == served_.end() ? 0 : turn->second};
        if (best == nullptr || rank < best_rank) {
            best = s.get();
            best_rank = rank;
        }
    }
    return best;
}

void Scheduler::admit() {
    while (!waiting_.empty() && static_cast<int>(running_.size()) < limits_.parallel) {
        Sequence& s = *next_to_admit();
        if (!s.scores_prompt()) {
            s.pages = pool_.acquire_prefix(s.tokens);
        }
        int64_t needed = pages_to_come(s);
        for (const auto& other : running_) {
            needed += pages_to_come(*other);
        }
        if (!running_.empty() && needed > capacity_pages() - pool_.used()) {
            pool_.release(s.pages);  // later: whoever runs will end
            s.pages.clear();
            return;
        }
        if (!s.scores_prompt()) {  // these want every token computed
            note_lookup(s);
        }
        found_in_cache(s, static_cast<int64_t>(s.pages.size()) * kPageTokens);
        if (s.started == Sequence::Clock::time_point{}) {
            s.started = Sequence::Clock::now();
        }
        start_following(s);
        served_[s.request.owner] = ++turn_;
        std::unique_ptr<Sequence> taken = take_from(waiting_, s);
        running_.insert(place_of(running_, s), std::move(taken));
    }
}

std::vector<Scheduler::Part> Scheduler::share_out() {
    std::vector<Part> parts;
    std::vector<Sequence*> decoding, prompts;
    for (const auto& s : running_) {
        extend_from_cache(*s);
        if (!s->in_prompt()) {
            decoding.push_back(s.get());
        } else if (!waits_for_another(*s)) {
            copy_from_cache(*s);
            prompts.push_back(s.get());
        }
    }
    const auto still_runs = [this](const Sequence* s) {
        return std::ranges::any_of(running_, [s](const auto& other) { return other.get() == s; });
    };
    for (Sequence* s : decoding) {
        if (still_runs(s)) {  // not preempted meanwhile
            grant(*s, 1, parts);
        }
    }

    const auto decoded = static_cast<int64_t>(parts.size());
    int64_t budget = limits_.max_tokens - decoded;
    if (decoded > 0) {
        budget = std::min(
            budget, std::max(limits_.prefill_beside_decode, static_cast<int64_t>(prompts.size())));
    }
    // Even shares, smallest need first, so that what is left over is known when it is given away.
    std::vector<std::pair<Sequence*, int64_t>> shares;
    std::ranges::stable_sort(prompts, {}, [](const Sequence* s) { return s->remaining(); });
    for (size_t i = 0; i < prompts.size(); i++) {
        const int64_t share = budget / static_cast<int64_t>(prompts.size() - i);
        const int64_t most = prompts[i]->scores_prompt() ? limits_.scored_tokens : share;
        const int64_t tokens = std::min({prompts[i]->remaining(), share, most});
        shares.emplace_back(prompts[i], tokens);
        budget -= tokens;
    }
    std::ranges::sort(shares, {}, [](const auto& share) { return share.first->id(); });
    for (const auto& [s, tokens] : shares) {
        if (tokens > 0 && still_runs(s)) {
            grant(*s, tokens, parts);
        }
    }
    return parts;
}

int64_t Scheduler::logit_rows(const Sequence& sequence, int64_t n_tokens) {
    const int64_t whole = n_tokens == sequence.remaining() ? 1 : 0;
    return sequence.scores_prompt() && sequence.computed < sequence.prompt_tokens ? n_tokens
                                                                                  : whole;
}

std::vector<Scheduler::Part> Scheduler::next(Batch& batch) {
    batch.token_ids.clear();
    batch.spans.clear();
    batch.logit_rows.clear();
    starved_ = nullptr;
    admit();

    std::vector<Part> parts = share_out();
    if (parts.empty() &&
        std::ranges::any_of(running_, [](const auto& s) { return s->follows != 0; })) {
        // Somebody waited for a sequence that got no page: everybody for himself.
        for (const auto& s : running_) {
            s->follows = 0;
        }
        parts = share_out();
    }
    if (parts.empty() && !running_.empty()) {
        starved_ = running_.front().get();  // the oldest: it had the whole memory to itself
    }
    for (Part& part : parts) {
        const Sequence& s = *part.sequence;
        part.first_row = batch.n_tokens();
        batch.spans.push_back({part.first_row, part.n_tokens, s.computed, s.pages});
        const auto begin = s.tokens.begin() + static_cast<std::ptrdiff_t>(s.computed);
        batch.token_ids.insert(batch.token_ids.end(), begin,
                               begin + static_cast<std::ptrdiff_t>(part.n_tokens));
        for (int64_t row = logit_rows(s, part.n_tokens); row > 0; row--) {
            batch.logit_rows.push_back(static_cast<int32_t>(batch.n_tokens() - row));
        }
    }
    return parts;
}

void Scheduler::advance(const std::vector<Part>& parts) {
    for (const Part& part : parts) {
        Sequence& s = *part.sequence;
        computed_prompt_tokens_ += static_cast<uint64_t>(
            std::clamp<int64_t>(s.prompt_tokens - s.computed, 0, part.n_tokens));
        s.computed += part.n_tokens;
        for (; (s.published + 1) * kPageTokens <= s.computed; s.published++) {
            const auto p = static_cast<size_t>(s.published);
            s.pages[p] = pool_.publish(s.pages[p], p == 0 ? PagePool::kRoot : s.pages[p - 1],
                                       std::span(s.tokens).subspan(p * kPageTokens, kPageTokens));
        }
    }
}

void Scheduler::tidy(std::chrono::steady_clock::duration idle,
                     std::chrono::steady_clock::duration keep) {
    if (!running_.empty() || !waiting_.empty()) {
        return;
    }
    served_.clear();
    if (idle >= keep) {
        pool_.evict_all();
    }
    if (cache_ == nullptr || pool_.reserved() == 0) {
        return;
    }
    const int64_t before = cache_->reserved_pages();
    cache_->shrink(pool_.occupied_end());
    if (cache_->reserved_pages() < before) {
        pool_.set_reserved(cache_->reserved_pages());
        device_full_ = false;
    }
}

}  // namespace runtime
