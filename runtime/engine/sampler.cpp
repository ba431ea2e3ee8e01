#include "runtime/engine/sampler.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <string>

#include "kernels/check.h"
#include "runtime/error.h"

namespace runtime {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();

uint64_t mix(uint64_t x) {  // splitmix64
    x += 0x9E3779B97F4A7C15U;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9U;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBU;
    return x ^ (x >> 31);
}

uint64_t random_seed() {
    std::random_device device;
    return (static_cast<uint64_t>(device()) << 32) ^ device();
}

// e^x for x <= 0 within 2e-7 of its value, e^-87 for anything less: Cody-Waite reduction to |r| <=
// ln2/2, then the Taylor polynomial of degree 7. Without branches, so that the loop over 154,880
// logits is vectorised.
inline float exp_negative(float x) {
    x = x < -87.0F ? -87.0F : x;
    const auto n = static_cast<int32_t>(x * 1.44269504F - 0.5F);
    const auto whole = static_cast<float>(n);
    const float r = (x - whole * 0.693359375F) + whole * 2.12194440e-4F;
    float p = 1.0F / 5040;
    p = p * r + 1.0F / 720;
    p = p * r + 1.0F / 120;
    p = p * r + 1.0F / 24;
    p = p * r + 1.0F / 6;
    p = p * r + 0.5F;
    p = p * r + 1.0F;
    p = p * r + 1.0F;
    return p * std::bit_cast<float>((n + 127) << 23);
}

// In eight interleaved sums, which the compiler keeps in vectors.
double sum_of(std::span<const float> values) {
    std::array<double, 8> sums{};
    size_t i = 0;
    for (; i + 8 <= values.size(); i += 8) {
        for (size_t lane = 0; lane < 8; lane++) {
            sums[lane] += static_cast<double>(values[i + lane]);
        }
    }
    for (; i < values.size(); i++) {
        sums[0] += static_cast<double>(values[i]);
    }
    return std::accumulate(sums.begin(), sums.end(), 0.0);
}

// Likewise; no value is NaN.
float largest(std::span<const float> values) {
    std::array<float, 16> most{};
    most.fill(kNever);
    size_t i = 0;
    for (; i + 16 <= values.size(); i += 16) {
        for (size_t lane = 0; lane < 16; lane++) {
            most[lane] = values[i + lane] > most[lane] ? values[i + lane] : most[lane];
        }
    }
    for (; i < values.size(); i++) {
        most[0] = std::max(most[0], values[i]);
    }
    return *std::max_element(most.begin(), most.end());
}

// Weights come from an approximation that need not be monotone in its last bit; logits are exact.
template <typename Candidate>
bool better(const Candidate& a, const Candidate& b) {
    return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
}

void require(bool good, const char* field, const char* range) {
    if (!good) {
        throw RequestError(RequestError::Kind::invalid, std::string(field) + " must be " + range,
                           field);
    }
}

}  // namespace

SampledVocabulary::SampledVocabulary(const Tokenizer& tokenizer, int64_t columns) : size(columns) {
    lowest = -1;
    for (int64_t id = 0; id < columns; id++) {
        if (!tokenizer.can_be_sampled(static_cast<TokenId>(id))) {
            excluded.push_back(static_cast<TokenId>(id));
        } else if (lowest < 0) {
            lowest = static_cast<TokenId>(id);
        }
    }
    if (lowest < 0) {
        throw ModelError("the vocabulary has no token that can be sampled");
    }
}

double uniform_from(uint64_t seed, uint64_t position) {
    return static_cast<double>(mix(mix(seed) ^ mix(position ^ 0xD1B54A32D192ED03U)) >> 11) *
           0x1.0p-53;
}

void Sampler::check(const SamplingParams& p, int64_t vocab) {
    require(std::isfinite(p.temperature) && p.temperature >= 0, "temperature",
            "a number of at least 0");
    require(p.top_p > 0 && p.top_p <= 1, "top_p", "above 0 and at most 1");
    require(p.top_k >= 0, "top_k", "at least 0 (0: all)");
    require(p.min_p >= 0 && p.min_p <= 1, "min_p", "between 0 and 1");
    require(std::isfinite(p.repetition_penalty) && p.repetition_penalty > 0, "repetition_penalty",
            "above 0");
    require(std::isfinite(p.frequency_penalty), "frequency_penalty", "a finite number");
    require(std::isfinite(p.presence_penalty), "presence_penalty", "a finite number");
    for (const auto& [id, bias] : p.logit_bias) {
        require(id >= 0 && id < vocab, "logit_bias", "for token ids of the vocabulary");
        require(!std::isnan(bias), "logit_bias", "made of numbers");
    }
}

Sampler::Sampler(const SamplingParams& params, std::shared_ptr<const SampledVocabulary> vocabulary)
    : params_(params),
      vocabulary_(std::move(vocabulary)),
      seed_(params.seed ? *params.seed : random_seed()),
      penalties_(params.repetition_penalty != 1 || params.frequency_penalty != 0 ||
                 params.presence_penalty != 0) {
    check(params_, vocabulary_->size);
}

void Sampler::see_prompt(std::span<const TokenId> tokens) {
    if (params_.repetition_penalty != 1) {
        for (const TokenId id : tokens) {
            seen_[id].prompt = true;
        }
    }
}

TokenId Sampler::sample(std::span<const float> logits, int64_t position, const TokenMask* allowed) {
    ENSURE(static_cast<int64_t>(logits.size()) == vocabulary_->size, logits.size(), " logits for ",
           vocabulary_->size);
    ids_.clear();
    const bool few = allowed != nullptr && gather_allowed(*allowed);
    adjust(logits);
    if (allowed != nullptr) {
        if (!few) {
            forbid(*allowed);
        }
        if (largest(logits_) == kNever) {
            make_alike(*allowed);
        }
    }
    const TokenId id = choose(position);
    if (penalties_) {
        seen_[id].in_reply++;
    }
    return id;
}

// Where a grammar leaves few tokens only these are looked at. false: they are many.
bool Sampler::gather_allowed(const TokenMask& allowed) {
    size_t count = 0;
    for (const uint64_t word : allowed) {
        count += static_cast<size_t>(std::popcount(word));
    }
    if (count * 8 > static_cast<size_t>(vocabulary_->size)) {
        return false;
    }
    for (size_t word = 0; word < allowed.size(); word++) {
        for (uint64_t bits = allowed[word]; bits != 0; bits &= bits - 1) {
            const auto id = static_cast<TokenId>(word * 64 + static_cast<size_t>(std::countr_zero(bits)));
            if (id < vocabulary_->size && !std::binary_search(vocabulary_->excluded.begin(),
                                                              vocabulary_->excluded.end(), id)) {
                ids_.push_back(id);
            }
        }
    }
    return !ids_.empty();
}

// In logits_; its size where the token is not in it.
size_t Sampler::place_of(TokenId id) const {
    if (ids_.empty()) {
        return static_cast<size_t>(id);
    }
    const auto found = std::lower_bound(ids_.begin(), ids_.end(), id);
    return found != ids_.end() && *found == id ? static_cast<size_t>(found - ids_.begin())
                                               : ids_.size();
}

void Sampler::adjust(std::span<const float> logits) {
    const size_t count = ids_.empty() ? logits.size() : ids_.size();
    logits_.resize(count);
    constexpr float kMost = std::numeric_limits<float>::max();
    const auto clean = [](float value) {
        const float l = value >= kNever ? value : kNever;  // NaN compares false
        return l < kMost ? l : kMost;
    };
    if (ids_.empty()) {
        for (size_t i = 0; i < count; i++) {
            logits_[i] = clean(logits[i]);
        }
    } else {
        for (size_t i = 0; i < count; i++) {
            logits_[i] = clean(logits[static_cast<size_t>(ids_[i])]);
        }
    }
    for (const auto& [id, bias] : params_.logit_bias) {
        const size_t place = place_of(id);
        if (place < count && logits_[place] != kNever) {
            logits_[place] = std::min(logits_[place] + bias, kMost);
        }
    }
    if (penalties_) {
        for (const auto& [id, seen] : seen_) {
            const size_t place = place_of(id);
            if (place >= count) {
                continue;
            }
            float& l = logits_[place];
            l = l > 0 ? l / params_.repetition_penalty : l * params_.repetition_penalty;
            l -= params_.frequency_penalty * static_cast<float>(seen.in_reply);
            l -= seen.in_reply > 0 ? params_.presence_penalty : 0;
            l = std::isnan(l) ? kNever : std::min(l, kMost);
        }
    }
    if (ids_.empty()) {
        for (const TokenId id : vocabulary_->excluded) {
            logits_[static_cast<size_t>(id)] = kNever;
        }
    }
}

void Sampler::forbid(const TokenMask& allowed) {
    // For the eight bits of a byte what is added to a logit: nothing, or what leaves nothing of it.
    static const auto kAdded = [] {
        std::array<std::array<float, 8>, 256> table{};
        for (size_t byte = 0; byte < 256; byte++) {
            for (size_t bit = 0; bit < 8; bit++) {
                table[byte][bit] = (byte >> bit & 1) != 0 ? 0.0F : kNever;
            }
        }
        return table;
    }();
    const size_t columns = logits_.size();
    for (size_t word = 0; word * 64 < columns; word++) {
        const uint64_t bits = word < allowed.size() ? allowed[word] : 0;
        const size_t begin = word * 64, end = std::min(begin + 64, columns);
        if (bits == ~uint64_t{0}) {
            continue;
        }
        if (bits == 0) {
            std::fill(logits_.begin() + static_cast<int64_t>(begin),
                      logits_.begin() + static_cast<int64_t>(end), kNever);
            continue;
        }
        size_t i = begin;
        for (; i + 8 <= end; i += 8) {
            const std::array<float, 8>& added = kAdded[bits >> (i - begin) & 0xFF];
            for (size_t lane = 0; lane < 8; lane++) {
                logits_[i + lane] += added[lane];
            }
        }
        for (; i < end; i++) {
            logits_[i] = (bits >> (i - begin) & 1) == 0 ? kNever : logits_[i];
        }
    }
}

// All that is allowed was excluded by its bias or is not a number: then it is as good as its like.
void Sampler::make_alike(const TokenMask& allowed) {
    for (size_t i = 0; i < logits_.size(); i++) {
        if (allows(allowed, id_at(i))) {
            logits_[i] = 0;
        }
    }
    if (ids_.empty()) {
        for (const TokenId id : vocabulary_->excluded) {
            logits_[static_cast<size_t>(id)] = kNever;
        }
    }
}

TokenId Sampler::choose(int64_t position) {
    const float top = largest(logits_);
    if (top == kNever) {
        return vocabulary_->lowest;
    }
    if (params_.temperature == 0 || params_.top_k == 1) {  // the first of equals
        return id_at(static_cast<size_t>(std::find(logits_.begin(), logits_.end(), top) -
                                         logits_.begin()));
    }
    const float inverse = 1.0F / params_.temperature;
    weights_.resize(logits_.size());
    for (size_t i = 0; i < logits_.size(); i++) {
        const float x = (logits_[i] - top) * inverse;
        weights_[i] =
            exp_negative(x <= 0 ? x : 0.0F);  // 0 * inf, of an extreme temperature, is NaN
    }
    const double u = uniform_from(seed_, static_cast<uint64_t>(position));
    if (params_.top_p >= 1 && params_.top_k == 0 && params_.min_p == 0) {
        return draw_any(u);
    }
    candidates_.clear();
    const auto k = static_cast<size_t>(params_.top_k);
    const double total = k > 0 && k < logits_.size() ? gather_top_k(k) : gather_top_p(top);
    return draw(total, u);
}

// From the whole distribution, in the order of the ids: nothing needs to be sorted.
TokenId Sampler::draw_any(double u) const {
    const double target = u * sum_of(weights_);
    double sum = 0;
    size_t last = 0;
    for (size_t i = 0; i < weights_.size(); i++) {
        if (logits_[i] != kNever) {
            sum += static_cast<double>(weights_[i]);
            last = i;
            if (sum > target) {
                break;
            }
        }
    }
    return id_at(last);
}

// The k best among those min_p keeps; returns their weight. A heap of k, its worst on top: one
// pass, and for the usual k hardly anything after the first few hundred logits gets into it.
double Sampler::gather_top_k(size_t k) {
    for (size_t i = 0; i < logits_.size(); i++) {
        if (candidates_.size() == k && logits_[i] <= candidates_.front().logit) {
            continue;  // among equals the lower id is in already
        }
        if (weights_[i] < params_.min_p || logits_[i] == kNever) {
            continue;
        }
        if (candidates_.size() == k) {
            std::pop_heap(candidates_.begin(), candidates_.end(), better<Candidate>);
            candidates_.pop_back();
        }
        candidates_.push_back({logits_[i], id_at(i), weights_[i]});
        std::push_heap(candidates_.begin(), candidates_.end(), better<Candidate>);
    }
    double total = 0;
    for (const Candidate& c : candidates_) {
        total += c.weight;
    }
    return total;
}

// All that min_p keeps and top_p may keep; returns the weight of all that min_p keeps. The weight
// is first counted in intervals of the logit, from the best downwards: the interval where top_p is
// reached bounds what must be sorted, usually a few hundred of 154,880. Weights below 1e-4 are
// looked at only where the others do not reach top_p.
double Sampler::gather_top_p(float top) {
    constexpr int kIntervals = 256;
    constexpr float kPerUnit = 8;  // logits of e^-32 and less share the last one
    const float scale = kPerUnit / params_.temperature;
    const auto interval = [top, scale](float logit) {
        const float x = (top - logit) * scale;
        return static_cast<size_t>(x < kIntervals - 1    ? x
                                   : x >= kIntervals - 1 ? kIntervals - 1
                                                         : 0);
    };
    const auto kept_by_min_p = [this](size_t i) {
        return weights_[i] >= params_.min_p && logits_[i] != kNever;
    };
    double total = 0;
    if (params_.min_p > 0) {
        for (size_t i = 0; i < weights_.size(); i++) {
            total += kept_by_min_p(i) ? static_cast<double>(weights_[i]) : 0;
        }
    } else {
        total = sum_of(weights_);
    }
    std::array<double, kIntervals> mass{};
    size_t last = 0;
    float least = 1e-4F;
    for (;; least = 0) {
        mass.fill(0);
        for (size_t i = 0; i < logits_.size(); i++) {
            if (weights_[i] >= least && kept_by_min_p(i)) {
                mass[interval(logits_[i])] += static_cast<double>(weights_[i]);
            }
        }
        last = 0;
        double sum = mass[0];
        while (last < kIntervals - 1 && sum < total * static_cast<double>(params_.top_p)) {
            last++;
            sum += mass[last];
        }
        if (least == 0 || sum >= total * static_cast<double>(params_.top_p)) {
            break;
        }
    }
    for (size_t i = 0; i < logits_.size(); i++) {
        if (weights_[i] >= least && kept_by_min_p(i) && interval(logits_[i]) <= last) {
            candidates_.push_back({logits_[i], id_at(i), weights_[i]});
        }
    }
    return total;
}

TokenId Sampler::draw(double total, double u) {
    std::sort(candidates_.begin(), candidates_.end(), better<Candidate>);
    double kept = 0;
    size_t count = 0;
    while (count < candidates_.size() && (count == 0 || kept < total * params_.top_p)) {
        kept += candidates_[count++].weight;
    }
    const double target = u * kept;
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += candidates_[i].weight;
        if (sum > target) {
            return candidates_[i].id;
        }
    }
    return candidates_[count - 1].id;
}

}  // namespace runtime
