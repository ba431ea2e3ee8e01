#include "runtime/engine/engine.h"

#include <algorithm>
#include <cctype>

#include "kernels/check.h"
#include "runtime/engine/logprobs.h"
#include "runtime/error.h"

namespace runtime {

Engine::Engine(Setup setup)
    : setup_(std::move(setup)), scheduler_(setup_.limits, setup_.cache, setup_.copy_rows, setup_.hash_seed) {
    ENSURE(setup_.ctx_size > 0 && setup_.limits.pool_pages >= KvLayout::pages_for(setup_.ctx_size),
           "a context of ", setup_.ctx_size, " tokens in ", setup_.limits.pool_pages, " pages");
    if (!setup_.trie) {
        setup_.trie = std::make_shared<SharedTokenTrie>(setup_.tokenizer);
    }
}

Engine::~Engine() {
    fail_all("the engine was closed");
}

void Engine::check(const GenerationRequest& request, int64_t vocab, int64_t ctx_size) {
    using Kind = RequestError::Kind;
    const auto n = static_cast<int64_t>(request.prompt.size());
    if (n == 0) {
        throw RequestError(Kind::invalid, "the prompt is empty", "messages");
    }
    if (n + 1 > ctx_size) {
        throw RequestError(Kind::too_long,
                           "This model's maximum context length is " + std::to_string(ctx_size) +
                               " tokens. However, your messages resulted in " + std::to_string(n) +
                               " tokens.",
                           "messages", "context_length_exceeded");
    }
    for (const TokenId id : request.prompt) {
        if (id < 0 || id >= vocab) {
            throw RequestError(Kind::invalid,
                               "token id " + std::to_string(id) + " is outside the vocabulary of " +
                                   std::to_string(vocab) + " tokens",
                               "prompt");
        }
    }
    Sampler::check(request.sampling, vocab);
}

void Engine::add(std::unique_ptr<Sequence> sequence) {
    counters_.prompt_tokens += static_cast<uint64_t>(sequence->prompt_tokens);
    scheduler_.add(std::move(sequence));
}

void Engine::end(const Sequence& sequence, End how) {
    (how == End::finished    ? counters_.finished
     : how == End::cancelled ? counters_.cancelled
                             : counters_.failed)++;
    ended_.push_back(scheduler_.remove(sequence));
}

// Cancelled, out of time, or with nothing to generate.
void Engine::drop_what_is_over() {
    const auto now = Sequence::Clock::now();
    std::vector<Sequence*> all;
    for (const auto& s : scheduler_.running()) {
        all.push_back(s.get());
    }
    for (const auto& s : scheduler_.waiting()) {
        all.push_back(s.get());
    }
    for (Sequence* s : all) {
        const auto limit = s->request.time_limit;
        if (s->channel->cancelled()) {
            s->cancel();
            end(*s, End::cancelled);
        } else if (s->request.max_tokens == 0 && !s->scores_prompt()) {
            s->finish(FinishReason::length, false);
            end(*s, End::finished);
        } else if (limit.count() > 0 && now - s->submitted >= limit) {
            if (s->generated() > 0) {
                s->finish(FinishReason::length, false);
                end(*s, End::finished);
            } else {
                s->fail("the time limit of " + std::to_string(limit.count()) +
                        " ms passed before the first token");
                end(*s, End::failed);
            }
        }
    }
}

bool Engine::step() {
    drop_what_is_over();
    if (running() + waiting() == 0) {
        return false;
    }
    last_work_ = std::chrono::steady_clock::now();
    const std::vector<Scheduler::Part> parts = scheduler_.next(batch_);
    if (Sequence* s = scheduler_.starved(); s != nullptr && parts.empty()) {
        s->fail("out of memory for the K cache after " + std::to_string(s->computed) +
                " tokens of this request (" + std::to_string(scheduler_.pool().reserved()) +
                " pages of 64 tokens): use a shorter context or a smaller cache type");
        end(*s, End::failed);
        return true;
    }
    if (parts.empty()) {
        return false;
    }
    mask_ahead_.start(masks_needed(parts));
    std::span<const float> logits;
    try {
        logits = setup_.forward(batch_);
    } catch (...) {
        mask_ahead_.finish();
        throw;
    }
    mask_ahead_.finish();
    const auto columns = static_cast<size_t>(setup_.vocabulary->size);
    ENSURE(logits.size() == batch_.logit_rows.size() * columns, logits.size(), " logits for ",
           batch_.logit_rows.size(), " rows");
    counters_.steps++;
    // The rows of each part, and of those the ones that score a prompt's token: the logits at a
    // position are of the token behind it.
    std::vector<std::span<const float>> last_row(parts.size());
    size_t row = 0;
    for (size_t i = 0; i < parts.size(); i++) {
        Sequence& s = *parts[i].sequence;
        const int64_t rows = Scheduler::logit_rows(s, parts[i].n_tokens);
        for (int64_t r = 0; r < rows; r++, row++) {
            last_row[i] = logits.subspan(row * columns, columns);
            const int64_t next = s.computed + parts[i].n_tokens - rows + r + 1;
            if (s.scores_prompt() && next < s.prompt_tokens && next > s.scored) {
                s.add_prompt_logprob(logprob_of(last_row[i],
                                                s.tokens[static_cast<size_t>(next)],
                                                s.request.prompt_logprobs, *setup_.vocabulary));
            }
        }
    }
    scheduler_.advance(parts);
    for (const auto& s : scheduler_.running()) {
        s->emit_progress();
    }
    for (size_t i = 0; i < parts.size(); i++) {
        if (parts[i].sequence->remaining() == 0) {
            take_token(*parts[i].sequence, last_row[i]);
        }
    }
    return true;
}

int64_t Engine::tokens_left(const Sequence& s) const {
    const int64_t of_context = setup_.ctx_size - s.length();
    return s.request.max_tokens > 0 ? std::min(of_context, s.request.max_tokens - s.generated())
                                    : of_context;
}

void Engine::take_token(Sequence& s, std::span<const float> logits) {
    if (s.request.max_tokens == 0) {  // only its prompt was wanted
        s.finish(FinishReason::length, false);
        end(s, End::finished);
        return;
    }
    TokenId id = 0;
    try {
        GrammarMatcher* const matcher = matcher_of(s);
        id = s.sampler.sample(logits, s.length(), matcher != nullptr ? matcher->mask() : nullptr);
        if (s.matcher) {
            id = s.matcher->within(id, tokens_left(s));
        }
        if (s.matcher && !setup_.tokenizer->is_end_of_turn(id)) {
            s.matcher->accept(id);
        }
    } catch (const GrammarError& error) {
        s.fail(error.what());
        end(s, End::failed);
        return;
    }
    // A reply that was brought to its end so that it fits is whole, but its end is the limit's.
    const FinishReason by_itself =
        s.matcher && s.matcher->shortened() ? FinishReason::length : FinishReason::stop;
    if (!s.request.ignore_end_of_turn && setup_.tokenizer->is_end_of_turn(id)) {
        s.finish(by_itself, true);
        end(s, End::finished);
        return;
    }
    counters_.generated_tokens++;
    std::optional<TokenLogprob> logprob;
    if (s.request.logprobs >= 0) {
        logprob = logprob_of(logits, id, s.request.logprobs, *setup_.vocabulary);
    }
    if (s.append(id, std::move(logprob)) || (s.matcher && s.matcher->finished())) {
        s.finish(by_itself, true);
        end(s, End::finished);
    } else if (tokens_left(s) <= 0) {
        s.finish(FinishReason::length, s.matcher && s.matcher->may_end());
        end(s, End::finished);
    }
}

GrammarMatcher* Engine::matcher_of(Sequence& s) {
    if (s.request.constraint && !s.matcher) {
        s.matcher = std::make_unique<GrammarMatcher>(
            *s.request.constraint, states_of(s.request.constraint->grammar), setup_.tokenizer);
    }
    return s.matcher.get();
}

// What take_token() will ask the matchers of this step, where they do not know it yet.
std::vector<std::function<void()>> Engine::masks_needed(
    const std::vector<Scheduler::Part>& parts) {
    std::vector<std::function<void()>> work;
    for (const Scheduler::Part& part : parts) {
        Sequence* const s = part.sequence;
        if (s->request.constraint && (!s->matcher || s->matcher->needs_mask())) {
            work.emplace_back([this, s] {
                try {
                    matcher_of(*s)->mask();
                } catch (const GrammarError&) {
                    // take_token() meets it again
                }
            });
        }
    }
    return work;
}

// Those of the last few grammars are kept: the next request often has the same.
std::shared_ptr<GrammarStates> Engine::states_of(const std::shared_ptr<const Grammar>& grammar) {
    constexpr size_t kKept = 8;
    const auto known = std::find_if(grammars_.begin(), grammars_.end(),
                                    [&](const auto& entry) { return entry.first == grammar; });
    if (known != grammars_.end()) {
        return known->second;
    }
    if (!inner_masks_) {
        inner_masks_ = std::make_shared<InnerMasks>(setup_.trie->get());
    }
    const std::span<const TokenId> ends = setup_.tokenizer->end_of_turn();
    auto states = std::make_shared<GrammarStates>(grammar, inner_masks_,
                                                  std::vector<TokenId>(ends.begin(), ends.end()));
    grammars_.emplace_front(grammar, states);
    if (grammars_.size() > kKept) {
        grammars_.pop_back();
    }
    return states;
}

void Engine::fail_all(const std::string& error) {
    for (auto& sequence : scheduler_.take_all()) {
        sequence->fail(error);
        counters_.failed++;
        ended_.push_back(std::move(sequence));
    }
}

void Engine::tidy() {
    scheduler_.tidy(std::chrono::steady_clock::now() - last_work_, setup_.keep_cached);
}

EngineCounters Engine::counters() const {
    EngineCounters c = counters_;
    c.prefix_cache_hit_tokens = scheduler_.prefix_hit_tokens();
    c.prompt_tokens_computed = scheduler_.computed_prompt_tokens();
    return c;
}

MemorySnapshot Engine::snapshot() const {
    const PagePool& pool = scheduler_.pool();
    MemorySnapshot m;
    m.loaded = true;
    m.ctx_size = setup_.ctx_size;
    m.kv_cache.type = kernels::name(setup_.layout.type);
    std::ranges::transform(m.kv_cache.type, m.kv_cache.type.begin(),
                           [](unsigned char c) { return std::tolower(c); });
    m.kv_cache.bytes_per_token = setup_.layout.bytes_per_token();
    m.kv_cache.page_tokens = kernels::kPageTokens;
    m.kv_cache.pages_used = pool.used();
    m.kv_cache.pages_shared = pool.shared();
    m.kv_cache.pages_cached = pool.cached();
    m.kv_cache.pages_reserved = pool.reserved();
    m.kv_cache.pages_limit = pool.limit();
    m.kv_cache.k_bytes = pool.used() * setup_.layout.page_bytes();
    m.kv_cache.saved_bytes = pool.used() * kernels::kPageTokens * setup_.layout.v_bytes_per_token();
    for (const auto& s : scheduler_.running()) {
        MemorySnapshot::Sequence& out = m.sequences.emplace_back();
        out.id = s->id();
        out.owner = s->request.owner;
        out.tokens = s->length();
        out.prompt_tokens = s->prompt_tokens;
        out.cached_tokens = s->cached_tokens;
        out.pages = static_cast<int64_t>(s->pages.size());
    }
    using Page = MemorySnapshot::Page;
    m.pages.resize(static_cast<size_t>(pool.reserved()));
    for (size_t id = 0; id < m.pages.size(); id++) {
        const auto page = static_cast<PagePool::PageId>(id);
        const int holders = pool.holders(page);
        m.pages[id].state = holders > 1            ? Page::State::shared
                            : holders == 1         ? Page::State::used
                            : pool.kept(page) ? Page::State::cached
                                                   : Page::State::free;
    }
    for (size_t i = scheduler_.running().size(); i-- > 0;) {
        for (const PagePool::PageId page : scheduler_.running()[i]->pages) {
            m.pages[static_cast<size_t>(page)].sequence = static_cast<int16_t>(i);
        }
    }
    m.lookups.assign(scheduler_.lookups().begin(), scheduler_.lookups().end());
    m.lookup_tokens = scheduler_.lookup_tokens();
    m.found_tokens = scheduler_.found_tokens();
    return m;
}

}  // namespace runtime
