#include "runtime/engine/logprobs.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/check.h"

namespace runtime {

TokenLogprob logprob_of(std::span<const float> logits,
                        TokenId chosen,
                        int top,
                        const SampledVocabulary& vocabulary) {
    constexpr float kNever = -std::numeric_limits<float>::infinity();
    constexpr float kMost = std::numeric_limits<float>::max();
    ENSURE(chosen >= 0 && static_cast<size_t>(chosen) < logits.size(), "token ", chosen);
    std::vector<float> clean(logits.size());
    for (size_t i = 0; i < logits.size(); i++) {
        const float l = logits[i] >= kNever ? logits[i] : kNever;  // NaN compares false
        clean[i] = std::min(l, kMost);
    }
    for (const TokenId id : vocabulary.excluded) {
        clean[static_cast<size_t>(id)] = kNever;
    }
    const float best = *std::max_element(clean.begin(), clean.end());
    double sum = 0;
    if (best > kNever) {
        for (const float l : clean) {
            sum += std::exp(static_cast<double>(l) - static_cast<double>(best));
        }
    }
    const auto value = [&](TokenId id) {
        const double l = clean[static_cast<size_t>(id)];
        const double p = sum > 0 ? l - static_cast<double>(best) - std::log(sum) : l;
        return static_cast<float>(std::max(p, static_cast<double>(kLeastLogprob)));
    };

    TokenLogprob out;
    out.id = chosen;
    out.logprob = value(chosen);
    std::vector<TokenId> order;
    const auto wanted = static_cast<size_t>(std::max(top, 0));
    const auto better = [&clean](TokenId a, TokenId b) {
        const float x = clean[static_cast<size_t>(a)], y = clean[static_cast<size_t>(b)];
        return x != y ? x > y : a < b;
    };
    // A heap of the best so far, its worst on top.
    for (size_t i = 0; wanted > 0 && i < clean.size(); i++) {
        const auto id = static_cast<TokenId>(i);
        if (clean[i] == kNever || (order.size() == wanted && !better(id, order.front()))) {
            continue;
        }
        if (order.size() == wanted) {
            std::pop_heap(order.begin(), order.end(), better);
            order.pop_back();
        }
        order.push_back(id);
        std::push_heap(order.begin(), order.end(), better);
    }
    std::sort(order.begin(), order.end(), better);
    for (const TokenId id : order) {
        out.top.emplace_back(id, value(id));
    }
    return out;
}

}  // namespace runtime
