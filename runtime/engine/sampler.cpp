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

// Loops over 154,880 logits stand between two steps of a graphics card: each is compiled for the
// vectors of three generations of processors, which all give the same bits (no multiply-add is
// fused). Sanitizers cannot look into functions chosen at start.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__SANITIZE_ADDRESS__)
#    define RUNTIME_WIDE __attribute__((target_clones("arch=x86-64-v4", "avx2", "default")))
#else
#    define RUNTIME_WIDE
#endif
constexpr size_t kLanes = 16;

// e^x for x <= 0 within 2e-7 of its value, e^-87 for anything less: Cody-Waite reduction to |r| <=
// ln2/2, then the Taylor polynomial of degree 7. Without branches, so that loops are vectorised.
inline __attribute__((always_inline)) float exp_negative(float x) {
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

// NaN as never, infinity as the largest number.
inline __attribute__((always_inline)) float clean(float value) {
    constexpr float kMost = std::numeric_limits<float>::max();
    const float l = value >= kNever ? value : kNever;  // NaN compares false
    return l < kMost ? l : kMost;
}

RUNTIME_WIDE void copy_clean(const float* from, float* to, size_t count) {
    for (size_t i = 0; i < count; i++) {
        to[i] = clean(from[i]);
    }
}

RUNTIME_WIDE float largest_of(const float* values, size_t count) {
    float most[kLanes];
    for (float& m : most) {
        m = kNever;
    }
    size_t i = 0;
    for (; i + kLanes <= count; i += kLanes) {
        for (size_t lane = 0; lane < kLanes; lane++) {
            const float v = values[i + lane];
            most[lane] = v > most[lane] ? v : most[lane];
        }
    }
    for (; i < count; i++) {
        most[0] = values[i] > most[0] ? values[i] : most[0];
    }
    return *std::max_element(most, most + kLanes);
}

RUNTIME_WIDE void weigh(
    const float* logits, float* weights, size_t count, float top, float inverse) {
    for (size_t i = 0; i < count; i++) {
        const float x = (logits[i] - top) * inverse;
        weights[i] = exp_negative(x <= 0 ? x : 0.0F);  // 0 * inf, of an extreme temperature, is NaN
    }
}

// In eight interleaved sums, which the compiler keeps in vectors.
RUNTIME_WIDE double sum_of(const float* values, size_t count) {
    double sums[8] = {};
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        for (size_t lane = 0; lane < 8; lane++) {
            sums[lane] += static_cast<double>(values[i + lane]);
        }
    }
    for (; i < count; i++) {
        sums[0] += static_cast<double>(values[i]);
    }
    return ((sums[0] + sums[1]) + (sums[2] + sums[3])) +
           ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

// Does any of these kLanes * 4 values reach `least`? Most stretches of the vocabulary hold none.
RUNTIME_WIDE void mark_stretches(const float* values,
                                 size_t stretches,
                                 float least,
                                 uint8_t* some) {
    for (size_t s = 0; s < stretches; s++) {
        int found = 0;
        for (size_t i = 0; i < kLanes * 4; i++) {
            found |= values[s * kLanes * 4 + i] >= least ? 1 : 0;
        }
        some[s] = static_cast<uint8_t>(found);
    }
}

// Calls use(i) for every i whose value is at least `least`, in order.
template <typename Use>
void each_from(const std::vector<float>& values,
               float least,
               std::vector<uint8_t>& stretches,
               const Use& use) {
    constexpr size_t kStretch = kLanes * 4;
    stretches.resize(values.size() / kStretch);
    mark_stretches(values.data(), stretches.size(), least, stretches.data());
    for (size_t s = 0; s <= stretches.size(); s++) {
        if (s < stretches.size() && stretches[s] == 0) {
            continue;
        }
        const size_t end = std::min(values.size(), (s + 1) * kStretch);
        for (size_t i = s * kStretch; i < end; i++) {
            if (values[i] >= least) {
                use(i);
            }
        }
    }
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
        if (largest_of(logits_.data(), logits_.size()) == kNever) {
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
            const auto id =
                static_cast<TokenId>(word * 64 + static_cast<size_t>(std::countr_zero(bits)));
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
    if (ids_.empty()) {
        copy_clean(logits.data(), logits_.data(), count);
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
    const float top = largest_of(logits_.data(), logits_.size());
    if (top == kNever) {
        return vocabulary_->lowest;
    }
    if (params_.temperature == 0 || params_.top_k == 1) {
        const auto best = std::ranges::find(logits_, top);  // the first of equals
        return id_at(static_cast<size_t>(best - logits_.begin()));
    }
    const auto k = static_cast<size_t>(params_.top_k);
    if (k > 0 && k < logits_.size()) {
        candidates_.clear();
        const double kept = gather_top_k(k, top);
        return draw(kept, uniform_from(seed_, static_cast<uint64_t>(position)));
    }
    weights_.resize(logits_.size());
    weigh(logits_.data(), weights_.data(), logits_.size(), top, 1.0F / params_.temperature);
    const double u = uniform_from(seed_, static_cast<uint64_t>(position));
    if (params_.top_p >= 1 && params_.top_k == 0 && params_.min_p == 0) {
        return draw_any(u);
    }
    return draw_top_p(top, u);
}

// From the whole distribution, in the order of the ids: nothing needs to be sorted.
TokenId Sampler::draw_any(double u) const {
    const double target = u * sum_of(weights_.data(), weights_.size());
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
// pass, in which stretches of the vocabulary that hold nothing above the worst so far are passed
// over.
double Sampler::gather_top_k(size_t k, float top) {
    const float inverse = 1.0F / params_.temperature;
    const auto consider = [&](size_t i) {
        if (candidates_.size() == k && logits_[i] <= candidates_.front().logit) {
            return;  // among equals the lower id is in already
        }
        const float x = (logits_[i] - top) * inverse;
        const float weight = exp_negative(x <= 0 ? x : 0.0F);
        if (weight < params_.min_p || logits_[i] == kNever) {
            return;
        }
        if (candidates_.size() == k) {
            std::pop_heap(candidates_.begin(), candidates_.end(), better<Candidate>);
            candidates_.pop_back();
        }
        candidates_.push_back({logits_[i], id_at(i), weight});
        std::push_heap(candidates_.begin(), candidates_.end(), better<Candidate>);
    };
    constexpr size_t kStretch = 1024;
    for (size_t begin = 0; begin < logits_.size(); begin += kStretch) {
        const size_t end = std::min(logits_.size(), begin + kStretch);
        if (candidates_.size() == k &&
            largest_of(logits_.data() + begin, end - begin) <= candidates_.front().logit) {
            continue;
        }
        for (size_t i = begin; i < end; i++) {
            consider(i);
        }
    }
    double total = 0;
    for (const Candidate& c : candidates_) {
        total += c.weight;
    }
    return total;
}

// From the best that make up top_p of what min_p keeps. The weight is first counted in intervals of
// the logit, from the best downwards; then only two intervals have to be sorted: the one where
// top_p is reached and the one that u falls in. Weights below 1e-4 are looked at only where the
// others do not reach top_p.
TokenId Sampler::draw_top_p(float top, double u) {
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
        total = sum_of(weights_.data(), weights_.size());
    }
    const double wanted = total * static_cast<double>(params_.top_p);
    std::array<double, kIntervals> mass{};
    size_t last = 0;
    double before = 0;  // of the intervals ahead of the last
    float least = 1e-4F;
    for (;; least = 0) {
        mass.fill(0);
        each_from(weights_, least, stretches_, [&](size_t i) {
            if (kept_by_min_p(i)) {
                mass[interval(logits_[i])] += static_cast<double>(weights_[i]);
            }
        });
        last = 0;
        before = 0;
        while (last < kIntervals - 1 && before + mass[last] < wanted) {
            before += mass[last++];
        }
        if (least == 0 || before + mass[last] >= wanted) {
            break;
        }
    }
    const auto sort_interval = [&](size_t which) {
        candidates_.clear();
        each_from(weights_, least, stretches_, [&](size_t i) {
            if (kept_by_min_p(i) && interval(logits_[i]) == which) {
                candidates_.push_back({logits_[i], id_at(i), weights_[i]});
            }
        });
        std::sort(candidates_.begin(), candidates_.end(), better<Candidate>);
        return candidates_.size();
    };
    const size_t in_last = sort_interval(last);
    double kept = before;
    size_t count = 0;
    while (count < in_last && ((last == 0 && count == 0) || kept < wanted)) {
        kept += candidates_[count++].weight;
    }
    const double target = u * kept;
    size_t hit = 0;
    double sum = 0;
    while (hit < last && sum + mass[hit] <= target) {
        sum += mass[hit++];
    }
    if (hit != last) {
        count = sort_interval(hit);
    }
    while (count == 0 && hit > 0) {  // rounding led behind the last that is kept
        count = sort_interval(--hit);
    }
    for (size_t i = 0; i < count; i++) {
        sum += candidates_[i].weight;
        if (sum > target) {
            return candidates_[i].id;
        }
    }
    return candidates_[count - 1].id;
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
