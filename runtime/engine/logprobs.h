// Log-probabilities of tokens, as APIs report them: the logarithm of the softmax over the model's
// own logits, before bias, penalties, temperature and grammar, over the rows that are tokens. So
// they say what the model thought of a token, however it was chosen, and a prompt's tokens are
// scored the same way. -9999 stands for less than that, so that JSON can hold it.
#pragma once

#include <span>
#include <utility>
#include <vector>

#include "runtime/engine/generation.h"
#include "runtime/engine/sampler.h"

namespace runtime {

inline constexpr float kLeastLogprob = -9999.0F;

// Of `chosen` (any id of the vocabulary) and of the `top` likeliest tokens, the best first, the
// lower id among equals. NaN counts as -inf, +inf as the largest float.
TokenLogprob logprob_of(std::span<const float> logits,
                        TokenId chosen,
                        int top,
                        const SampledVocabulary& vocabulary);

}  // namespace runtime
