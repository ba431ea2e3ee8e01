// Multiples of a number, in a range, as a grammar: an automaton over decimal digits that knows the
// remainder so far and whether the digits are still those of a bound.
#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <tuple>
#include <vector>

#include "app/server/number_grammar.h"

namespace app {
namespace {

using runtime::GrammarBuilder;
using Expr = GrammarBuilder::Expr;

constexpr int kMostDecimals = 4;
constexpr int64_t kMostScaled = 999'999'999'999'999;  // 15 digits: whole in a double

int64_t power_of(int64_t base, int exponent) {
    int64_t result = 1;
    for (int i = 0; i < exponent; i++) {
        result *= base;
    }
    return result;
}

// |decimal| * 10^decimals, and whether digits were cut off behind that. Nothing: too large.
std::optional<std::pair<int64_t, bool>> scaled(const std::string& decimal, int decimals) {
    int64_t value = 0;
    int behind = -1;
    bool cut = false;
    for (const char c : decimal) {
        if (c == '-') {
            continue;
        }
        if (c == '.') {
            behind = 0;
            continue;
        }
        if (behind >= decimals) {
            cut = cut || c != '0';
            continue;
        }
        behind += behind >= 0 ? 1 : 0;
        value = value * 10 + (c - '0');
        if (value > kMostScaled) {
            return std::nullopt;
        }
    }
    for (int i = std::max(behind, 0); i < decimals; i++) {
        value *= 10;
        if (value > kMostScaled) {
            return std::nullopt;
        }
    }
    return std::pair{value, cut};
}

class Multiples {
public:
    Multiples(GrammarBuilder& builder, int64_t factor, int decimals)
        : b_(builder), factor_(factor), decimals_(decimals) {
        for (int d = 0; d <= 9; d++) {
            digits_.push_back(b_.literal(std::to_string(d)));
        }
    }

    // Of scaled numbers from `low` to `high`, 0 <= low.
    Expr between(int64_t low, int64_t high, size_t most_digits) {
        std::vector<Expr> ways;
        for (size_t n = static_cast<size_t>(decimals_) + 1; n <= most_digits; n++) {
            low_ = padded(low, n);
            high_ = padded(high, n);
            if (low_.size() > n) {
                continue;
            }
            size_ = n;
            by_place_.clear();
            const bool shortest = n == static_cast<size_t>(decimals_) + 1;
            // More digits than the highest has are too many; more than the lowest are enough.
            if (std::to_string(high).size() < n && !shortest) {
                break;
            }
            const bool at_low = std::to_string(low).size() >= n || shortest;
            const bool at_high = high_.size() == n;
            ways.push_back(rest(0, 0, at_low, at_high));
        }
        return b_.choice(std::move(ways));
    }

private:
    static std::string padded(int64_t value, size_t size) {
        std::string text = std::to_string(value);
        return text.size() < size ? std::string(size - text.size(), '0') + text : text;
    }

    // What may follow `at` digits with this remainder, still equal to a bound's or clear of it.
    Expr rest(size_t at, int64_t remainder, bool at_low, bool at_high) {
        const auto key = std::tuple{size_ - at, at == 0, remainder, at_low, at_high};
        auto& known = at_low || at_high || at == 0 ? by_place_ : free_;
        if (const auto found = known.find(key); found != known.end()) {
            return found->second;
        }
        std::vector<Expr> ways;
        const size_t whole = size_ - static_cast<size_t>(decimals_);
        if (at == whole && at > 0) {
            // The number may end here as if zeros followed.
            const bool enough = !at_low || low_.find_first_not_of('0', at) == std::string::npos;
            if (enough && remainder * power_of(10, decimals_) % factor_ == 0) {
                ways.push_back(b_.empty());
            }
        }
        if (at < size_) {
            const int from = std::max(at_low ? low_[at] - '0' : 0, at == 0 && whole > 1 ? 1 : 0);
            const int to = at_high ? high_[at] - '0' : 9;
            std::vector<Expr> next;
            for (int d = from; d <= to; d++) {
                next.push_back(b_.sequence(
                    {digits_[static_cast<size_t>(d)],
                     rest(at + 1, (remainder * 10 + d) % factor_, at_low && d == low_[at] - '0',
                          at_high && d == high_[at] - '0')}));
            }
            const Expr digit = b_.choice(std::move(next));
            ways.push_back(at == whole && at > 0 ? b_.sequence({b_.literal("."), digit}) : digit);
        } else if (remainder == 0 && decimals_ > 0) {
            ways.push_back(b_.empty());
        }
        const Expr rule = b_.declare("multiple");
        b_.define(rule, b_.choice(std::move(ways)));
        known.emplace(key, rule);
        return rule;
    }

    GrammarBuilder& b_;
    const int64_t factor_;
    const int decimals_;
    std::vector<Expr> digits_;
    std::string low_, high_;
    size_t size_ = 0;
    using Key = std::tuple<size_t, bool, int64_t, bool, bool>;
    std::map<Key, Expr> by_place_, free_;
};

}  // namespace

std::optional<Expr> multiples_between(GrammarBuilder& builder,
                                      const std::string& factor,
                                      const std::optional<Bound>& least,
                                      const std::optional<Bound>& most,
                                      bool whole) {
    const size_t point = factor.find('.');
    std::string behind = point == std::string::npos ? "" : factor.substr(point + 1);
    behind.erase(behind.find_last_not_of('0') + 1);
    auto decimals = static_cast<int>(behind.size());
    if (decimals > kMostDecimals) {
        return std::nullopt;
    }
    const auto given = scaled(factor, decimals);
    if (!given || given->first < 1 || given->first > kMostFactor * power_of(10, decimals)) {
        return std::nullopt;
    }
    // A double that is nearer to the factor than a quarter of its last place divides what doubles
    // hold exactly into the right whole number; one that is not may miss it.
    const auto scale = static_cast<double>(power_of(10, decimals));
    const auto first = static_cast<double>(given->first);
    if (std::abs(std::fma(std::stod(factor), scale, -first)) > first * 0x1p-54) {
        return std::nullopt;
    }
    int64_t step = given->first;
    if (!whole && step % power_of(5, decimals) != 0) {
        return std::nullopt;  // no fraction of a power of two: of its multiples some do not come
                              // out right
    }
    if (whole) {
        step = std::lcm(given->first, power_of(10, decimals)) / power_of(10, decimals);
        decimals = 0;
    }
    while (decimals > 0 && step % 10 == 0) {
        step /= 10;
        decimals--;
    }
    if (step > kMostFactor) {
        return std::nullopt;
    }
    // The digits of a number without a bound: what stays a grammar of some thousand rules.
    const auto usual = static_cast<size_t>(std::clamp<int64_t>(4'000 / step, 6, 15));
    struct Side {
        std::optional<int64_t> value;  // scaled, inclusive, of the magnitude
        bool negative = false, fits = true;
    };
    // Rounded into the range: up where that is away from zero, or the bound itself is not in it.
    const auto side = [&](const std::optional<Bound>& bound, bool lower) {
        Side s;
        if (!bound) {
            return s;
        }
        s.negative = bound->decimal.starts_with('-');
        const auto value = scaled(bound->decimal, decimals);
        if (!value) {
            s.fits = false;
            return s;
        }
        const bool inwards_is_up = lower != s.negative;  // of the magnitude
        const bool in = bound->inclusive && !value->second;
        s.value = value->first + (in ? 0 : inwards_is_up ? 1 : value->second ? 0 : -1);
        if (*s.value < 0) {  // below 0, or above -0
            s.negative = !s.negative;
            s.value = 1;
        }
        return s;
    };
    const Side low = side(least, true), high = side(most, false);
    if (!low.fits || !high.fits) {
        return std::nullopt;
    }
    const auto digits_for = [&](const std::optional<int64_t>& value) {
        const size_t needed = value ? std::to_string(*value).size() : usual;
        return std::max(needed, static_cast<size_t>(decimals) + 1);
    };
    const auto room = [&](int64_t from) {  // some digits more than the lowest
        return std::min<size_t>(15, std::max(usual, std::to_string(from).size() + 1));
    };
    std::vector<Expr> ways;
    Multiples multiples(builder, step, decimals);
    if (!high.negative || !high.value) {
        const int64_t from = low.value && !low.negative ? *low.value : 0;
        const size_t digits = high.value ? digits_for(high.value) : room(from);
        const int64_t to = high.value ? *high.value : power_of(10, static_cast<int>(digits)) - 1;
        if (from <= to) {
            ways.push_back(multiples.between(from, to, digits));
        }
    }
    if (!low.value || low.negative) {
        const int64_t from = high.value && high.negative ? std::max<int64_t>(1, *high.value) : 1;
        const size_t digits = low.value ? digits_for(low.value) : room(from);
        const int64_t to = low.value ? *low.value : power_of(10, static_cast<int>(digits)) - 1;
        if (from <= to) {
            ways.push_back(
                builder.sequence({builder.literal("-"), multiples.between(from, to, digits)}));
        }
    }
    return builder.choice(std::move(ways));
}

}  // namespace app
