// All that app/ needs to know of generating: a request goes in, events come out. Every request ends
// with exactly one terminal event (finished, cancelled or failed), also when the engine stops.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/text/chat_format.h"
#include "runtime/text/grammar/matcher.h"
#include "runtime/text/reply_parser.h"
#include "runtime/text/tokenizer.h"

namespace runtime {

// Defaults are GLM-4.7-Flash's own. temperature 0 is greedy.
struct SamplingParams {
    float temperature = 1.0F;
    float top_p = 0.95F;
    int32_t top_k = 0;  // 0: all
    float min_p = 0;
    float repetition_penalty = 1;  // over prompt and reply
    float frequency_penalty = 0;   // over the reply
    float presence_penalty = 0;    // over the reply
    std::vector<std::pair<TokenId, float>> logit_bias;
    std::optional<uint64_t> seed;  // same seed, same text, whatever else is running
};

struct GenerationRequest {
    std::vector<TokenId> prompt;  // rendered and tokenized by the caller (see EngineThread::submit)
    SamplingParams sampling;
    int64_t max_tokens = -1;         // -1: to the end of the context
    ReplyParserOptions reply;        // how the text is split; stop strings
    bool parse_reply = true;         // false: everything is content, markers included (text completions)
    bool ignore_end_of_turn = false; // benchmarks
    std::shared_ptr<const Constraint> constraint;  // null: the reply is free
    std::string owner = "window";    // whose request: shown in the memory snapshot; owners take turns in the queue
    int logprobs = -1;               // -1: none; else each token's, and of so many alternatives
    int prompt_logprobs = -1;        // likewise of the prompt's tokens from the second on; such a prompt is read whole,
                                     // without the cache, and its logits are computed for every position
    std::chrono::milliseconds time_limit{0};  // 0: none
};

// See logprobs.h for what these numbers are.
struct TokenLogprob {
    TokenId id = 0;
    float logprob = 0;
    std::vector<std::pair<TokenId, float>> top;  // the likeliest first
};

enum class FinishReason { stop, length, tool_calls };

struct Usage {
    int64_t prompt_tokens = 0;
    int64_t cached_tokens = 0;      // of the prompt, not computed again
    int64_t completion_tokens = 0;  // reasoning included, end-of-turn token not
    int64_t reasoning_tokens = 0;
};

struct Timings {
    double queued_ms = 0;      // submit to first step
    double prompt_ms = 0;      // first step to first token
    double generation_ms = 0;  // first token to last
};

struct GenerationEvent {
    enum class Kind { progress, delta, finished, cancelled, failed };
    Kind kind = Kind::delta;

    int64_t prompt_done = 0;  // progress: prompt tokens in the cache so far (cached ones included)
    int64_t prompt_total = 0;

    std::vector<ReplyDelta> deltas;  // delta
    std::vector<TokenId> tokens;     // delta: the tokens behind it; several where text was held back
    std::vector<TokenLogprob> logprobs;  // delta: one for each of `tokens`, where they were asked for;
                                         // progress: of the prompt's tokens computed since the last one

    FinishReason reason = FinishReason::stop;  // finished
    std::string stop_string;                   // finished: the one that was found, if any
    Usage usage;                               // finished, cancelled; running figures on the others
    Timings timings;

    std::string error;  // failed: one line for a person

    bool terminal() const {
        return kind == Kind::finished || kind == Kind::cancelled || kind == Kind::failed;
    }
};

// The receiving end of one generation. next() from one thread; cancel() from any.
class GenerationStream {
public:
    virtual ~GenerationStream() = default;  // dropping the stream cancels the generation

    // The next event; waits up to `timeout`. Nothing: none came in time, or the terminal one was
    // already given.
    virtual std::optional<GenerationEvent> next(std::chrono::milliseconds timeout) = 0;
    virtual std::optional<GenerationEvent> try_next() = 0;
    virtual void cancel() = 0;        // takes effect within one step, in prefill too
    virtual bool done() const = 0;    // the terminal event was given
    virtual uint64_t id() const = 0;  // as in MemorySnapshot::Sequence
};

}  // namespace runtime
