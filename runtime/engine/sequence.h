// Sequence: one generation on its way: its tokens, the pages that hold their K rows, and how its
// reply is sampled and read. Made on the caller's thread, then owned by the engine thread. Ends
// with a terminal event whatever happens to it.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/cache/page_pool.h"
#include "runtime/engine/channel.h"
#include "runtime/engine/reply_text.h"
#include "runtime/engine/sampler.h"

namespace runtime {

class Sequence {
public:
    using Clock = std::chrono::steady_clock;

    // The tokenizer must outlive the sequence (it is shared for that).
    Sequence(std::shared_ptr<Channel> channel,
             GenerationRequest request,
             std::shared_ptr<const Tokenizer> tokenizer,
             std::shared_ptr<const SampledVocabulary> vocabulary);
    // Gives the reader the terminal event: a failure, if nothing ended the sequence.
    ~Sequence();
    Sequence(const Sequence&) = delete;
    Sequence& operator=(const Sequence&) = delete;

    uint64_t id() const { return channel->id(); }
    int64_t length() const { return static_cast<int64_t>(tokens.size()); }
    int64_t remaining() const {
        return length() - computed;
    }  // tokens whose K rows are not there yet
    int64_t generated() const { return length() - prompt_tokens; }
    bool scores_prompt() const { return request.prompt_logprobs >= 0; }
    bool in_prompt() const {
        return remaining() > 1;
    }  // or in what is computed again after a preemption

    // The next token, as sampled: emits what it shows. True where a stop string ended the reply.
    [[nodiscard]] bool append(TokenId id, std::optional<TokenLogprob> logprob = std::nullopt);
    // Of the token at scored + 1.
    void add_prompt_logprob(TokenLogprob logprob) {
        prompt_logprobs_.push_back(std::move(logprob));
        scored++;
    }
    void emit_progress();
    // How it ended; the first of these counts. The reader learns it when the sequence is destroyed,
    // so that whatever shows the engine's state can be brought up to date before.
    void finish(FinishReason reason, bool complete);
    void cancel();
    void fail(const std::string& error);

    const std::shared_ptr<Channel> channel;
    GenerationRequest request;    // without its prompt, which is the beginning of `tokens`
    std::vector<TokenId> tokens;  // prompt, then reply
    const int64_t prompt_tokens;
    Sampler sampler;
    std::unique_ptr<GrammarMatcher> matcher;  // of a constrained reply; made by the engine

    // --- of the scheduler
    std::vector<PagePool::PageId> pages;  // of positions 0..63, 64..127, ...
    int64_t computed = 0;                 // tokens with K rows in these pages
    int64_t published = 0;                // pages, from the first, that are published
    int64_t cached_tokens = 0;            // of the prompt, found in the cache and never computed
    bool preempted = false;               // gave up its pages at least once
    int64_t scored = 0;                   // tokens of the prompt with a log-probability; a preemption keeps them
    bool stalled = false;                 // got no page in the last step
    uint64_t follows = 0;       // another sequence that is computing the same prefix; 0: none
    int64_t follows_until = 0;  // how far, in tokens

    const Clock::time_point submitted = Clock::now();
    Clock::time_point started{};  // first step; zero: none yet

private:
    GenerationEvent event(GenerationEvent::Kind kind);
    void emit(std::vector<ReplyDelta> deltas);
    void take_held(GenerationEvent& to);

    std::shared_ptr<const Tokenizer> tokenizer_;
    ReplyText text_;
    std::vector<TokenId> held_tokens_;  // generated, nothing of them shown yet
    std::vector<TokenLogprob> held_logprobs_;  // of those, where asked for
    std::vector<TokenLogprob> prompt_logprobs_;  // not yet emitted
    int64_t reasoning_tokens_ = 0;
    int64_t progress_ = 0;                // as last emitted
    std::optional<GenerationEvent> end_;  // the terminal event
    Clock::time_point first_token_{}, last_token_{};
};

}  // namespace runtime
