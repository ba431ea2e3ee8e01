// Sampler: one row of logits -> one token, for one generation. Engine thread only.
//
// Order, as in vLLM (whose defaults GLM's recommended values are meant for):
//   0. tokens that a grammar does not allow are excluded
//   1. logit bias is added; rows that are no token are excluded whatever their logit is
//   2. repetition penalty (over prompt and reply), frequency and presence penalty (over the reply)
//   3. temperature 0: the largest logit wins, the lower id among equals. Else logits are divided by
//   the temperature, and
//      everything below looks at the distribution after that:
//   4. min_p   keeps tokens with at least min_p times the probability of the best
//   5. top_k   keeps the k most probable of these (lower id first among equals)
//   6. top_p   keeps the shortest run of the most probable whose share of what is left reaches
//   top_p
//   7. one of the kept is drawn
//
// The draw depends on (seed, position) alone, so neither other sequences nor a pause and
// recomputation change a text. NaN counts as -inf, +inf as the largest float. Where nothing is left
// the lowest token that may be sampled is given.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "runtime/engine/generation.h"
#include "runtime/text/grammar/matcher.h"
#include "runtime/text/tokenizer.h"

namespace runtime {

// Which columns of the logits are tokens. Shared by all samplers of a model.
struct SampledVocabulary {
    int64_t size = 0;               // W
    std::vector<TokenId> excluded;  // padding and unused rows
    TokenId lowest = 0;             // the lowest id that is not excluded

    SampledVocabulary() = default;
    SampledVocabulary(const Tokenizer& tokenizer, int64_t columns);
};

// A number in [0, 1) from 53 bits of a hash of both.
double uniform_from(uint64_t seed, uint64_t position);

class Sampler {
public:
    // Throws RequestError (invalid) for parameters out of their range, naming the field.
    static void check(const SamplingParams& params, int64_t vocab);

    // params.seed empty: a random one is taken.
    Sampler(const SamplingParams& params, std::shared_ptr<const SampledVocabulary> vocabulary);

    uint64_t seed() const { return seed_; }

    // Tokens of the prompt, for the repetition penalty.
    void see_prompt(std::span<const TokenId> tokens);
    // The token for `position` of the sequence, counted as part of the reply. logits [W].
    // `allowed`: null, or the tokens that may be sampled, whatever bias and penalties say; at least
    // one of them must be a token.
    TokenId sample(std::span<const float> logits,
                   int64_t position,
                   const TokenMask* allowed = nullptr);

private:
    struct Candidate {
        float logit;
        TokenId id;
        double weight;
    };
    struct Seen {
        bool prompt = false;
        int32_t in_reply = 0;
    };

    bool gather_allowed(const TokenMask& allowed);
    size_t place_of(TokenId id) const;
    TokenId id_at(size_t place) const {
        return ids_.empty() ? static_cast<TokenId>(place) : ids_[place];
    }
    void adjust(std::span<const float> logits);
    void forbid(const TokenMask& allowed);
    void make_alike(const TokenMask& allowed);
    TokenId choose(int64_t position);
    TokenId draw_any(double u) const;
    double gather_top_k(size_t k, float top);
    TokenId draw_top_p(float top, double u);
    TokenId draw(double total, double u);

    SamplingParams params_;
    std::shared_ptr<const SampledVocabulary> vocabulary_;
    uint64_t seed_;
    bool penalties_;
    std::unordered_map<TokenId, Seen> seen_;
    // Where few tokens are allowed: these, in order, and what follows is of them alone. Empty: all.
    std::vector<TokenId> ids_;
    std::vector<float>
        logits_;  // adjusted; this and the next two are kept between calls for their memory
    std::vector<uint8_t> stretches_;  // of the vocabulary: is there anything to look at?
    std::vector<float> weights_;      // exp((logit - best) / temperature)
    std::vector<Candidate> candidates_;
};

}  // namespace runtime
