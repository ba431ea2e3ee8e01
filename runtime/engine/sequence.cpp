#include "runtime/engine/sequence.h"

#include <algorithm>
#include <utility>

namespace runtime {
namespace {

double ms_between(Sequence::Clock::time_point from, Sequence::Clock::time_point to) {
    return std::chrono::duration<double, std::milli>(to - from).count();
}

}  // namespace

Sequence::Sequence(std::shared_ptr<Channel> to,
                   GenerationRequest what,
                   std::shared_ptr<const Tokenizer> tokenizer,
                   std::shared_ptr<const SampledVocabulary> vocabulary)
    : channel(std::move(to)),
      request(std::move(what)),
      tokens(std::move(request.prompt)),
      prompt_tokens(static_cast<int64_t>(tokens.size())),
      sampler(request.sampling, std::move(vocabulary)),
      tokenizer_(std::move(tokenizer)),
      text_(*tokenizer_, request) {
    sampler.see_prompt(tokens);
}

Sequence::~Sequence() {
    if (!end_) {
        fail("the generation was dropped by the engine");
    }
    channel->push(std::move(*end_));
}

bool Sequence::append(TokenId id, std::optional<TokenLogprob> logprob) {
    last_token_ = Clock::now();
    if (generated() == 0) {
        first_token_ = last_token_;
    }
    reasoning_tokens_ += text_.in_reasoning() ? 1 : 0;
    tokens.push_back(id);
    held_tokens_.push_back(id);
    if (logprob) {
        held_logprobs_.push_back(std::move(*logprob));
    }
    emit(text_.add(id));
    return text_.stopped();
}

void Sequence::emit(std::vector<ReplyDelta> deltas) {
    if (deltas.empty()) {
        return;
    }
    GenerationEvent e = event(GenerationEvent::Kind::delta);
    e.deltas = std::move(deltas);
    take_held(e);
    channel->push(std::move(e));
}

void Sequence::take_held(GenerationEvent& to) {
    to.tokens = std::exchange(held_tokens_, {});
    to.logprobs = std::exchange(held_logprobs_, {});
}

void Sequence::emit_progress() {
    const int64_t done = std::min(computed, prompt_tokens);
    if (done > progress_) {
        progress_ = done;
        GenerationEvent e = event(GenerationEvent::Kind::progress);
        e.logprobs = std::exchange(prompt_logprobs_, {});
        channel->push(std::move(e));
    }
}

void Sequence::finish(FinishReason reason, bool complete) {
    if (end_) {
        return;
    }
    std::vector<ReplyDelta> rest = text_.finish(complete);
    if (!rest.empty() || !held_tokens_.empty()) {
        GenerationEvent e = event(GenerationEvent::Kind::delta);
        e.deltas = std::move(rest);
        take_held(e);
        channel->push(std::move(e));
    }
    end_ = event(GenerationEvent::Kind::finished);
    end_->reason = reason;
    if (reason == FinishReason::stop && complete && text_.tool_calls() > 0 && !text_.stopped()) {
        end_->reason = FinishReason::tool_calls;
    }
    end_->stop_string = text_.stopped() ? text_.stop_string() : "";
}

void Sequence::cancel() {
    if (!end_) {
        end_ = event(GenerationEvent::Kind::cancelled);
    }
}

void Sequence::fail(const std::string& error) {
    if (!end_) {
        end_ = event(GenerationEvent::Kind::failed);
        end_->error = error;
    }
}

GenerationEvent Sequence::event(GenerationEvent::Kind kind) {
    GenerationEvent e;
    e.kind = kind;
    e.prompt_done = std::min(computed, prompt_tokens);
    e.prompt_total = prompt_tokens;
    e.usage.prompt_tokens = prompt_tokens;
    e.usage.cached_tokens = cached_tokens;
    e.usage.completion_tokens = generated();
    e.usage.reasoning_tokens = reasoning_tokens_;
    constexpr Clock::time_point kNever{};
    const Clock::time_point now = Clock::now();
    e.timings.queued_ms = ms_between(submitted, started == kNever ? now : started);
    if (started != kNever) {
        e.timings.prompt_ms = ms_between(started, first_token_ == kNever ? now : first_token_);
    }
    if (first_token_ != kNever) {
        e.timings.generation_ms = ms_between(first_token_, last_token_);
    }
    return e;
}

}  // namespace runtime
