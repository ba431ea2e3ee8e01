#include "app/server/number_grammar.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <tuple>
#include <vector>

namespace app {
namespace {

using runtime::GrammarBuilder;
using Expr = GrammarBuilder::Expr;

// A magnitude: no sign, no leading zeros in `whole` ("0" for nothing), no trailing ones in
// `fraction`.
struct Magnitude {
    std::string whole = "0", fraction;
    bool inclusive = true;

    bool is_zero() const { return whole == "0" && fraction.empty(); }
};

Magnitude magnitude_of(const Bound& bound) {
    Magnitude m;
    std::string text = bound.decimal;
    if (text.starts_with('-')) {
        text.erase(0, 1);
    }
    const size_t point = text.find('.');
    m.whole = text.substr(0, point);
    m.fraction = point == std::string::npos ? "" : text.substr(point + 1);
    m.whole.erase(0, std::min(m.whole.find_first_not_of('0'), m.whole.size()));
    m.whole = m.whole.empty() ? "0" : m.whole;
    m.fraction.erase(m.fraction.find_last_not_of('0') + 1);
    m.inclusive = bound.inclusive;
    return m;
}

int compare_whole(const std::string& a, const std::string& b) {
    return a.size() != b.size() ? (a.size() < b.size() ? -1 : 1) : a.compare(b);
}

class Digits {
public:
    Digits(GrammarBuilder& builder, int32_t fraction_digits)
        : b_(builder), most_fraction_(fraction_digits) {}

    // Magnitudes from `low` to `high`, both optional. Never "-0": zero has no sign.
    Expr range(const Magnitude& low, const std::optional<Magnitude>& high) {
        if (!high) {
            return b_.choice({b_.sequence({b_.literal(low.whole), fraction(&low, nullptr)}),
                              b_.sequence({above(low.whole), fraction(nullptr, nullptr)})});
        }
        const int order = compare_whole(low.whole, high->whole);
        if (order > 0) {
            return b_.nothing();
        }
        if (order == 0) {
            return b_.sequence({b_.literal(low.whole), fraction(&low, &*high)});
        }
        return b_.choice(
            {b_.sequence({b_.literal(low.whole), fraction(&low, nullptr)}),
             b_.sequence({between(low.whole, high->whole), fraction(nullptr, nullptr)}),
             b_.sequence({b_.literal(high->whole), fraction(nullptr, &*high)})});
    }

private:
    Expr digit(int from, int to) {
        if (from > to) {
            return b_.nothing();
        }
        return b_.code_points(
            {{static_cast<uint32_t>('0' + from), static_cast<uint32_t>('0' + to)}});
    }
    Expr digits(int32_t least, int32_t most) { return b_.repeat(digit(0, 9), least, most); }

    // Whole numbers of `length` digits from position i on, above / below those of `of`.
    Expr tail_above(const std::string& of, size_t i) {
        if (i == of.size()) {
            return b_.nothing();
        }
        const int d = of[i] - '0';
        return b_.choice(
            {b_.sequence({digit(d + 1, 9), digits(static_cast<int32_t>(of.size() - i - 1),
                                                  static_cast<int32_t>(of.size() - i - 1))}),
             b_.sequence({digit(d, d), tail_above(of, i + 1)})});
    }
    Expr tail_below(const std::string& of, size_t i, bool first) {
        if (i == of.size()) {
            return b_.nothing();
        }
        const int d = of[i] - '0';
        return b_.choice({b_.sequence({digit(first && of.size() > 1 ? 1 : 0, d - 1),
                                       digits(static_cast<int32_t>(of.size() - i - 1),
                                              static_cast<int32_t>(of.size() - i - 1))}),
                          b_.sequence({digit(d, d), tail_below(of, i + 1, false)})});
    }
    Expr of_length(int32_t least, int32_t most) {
        return least > most ? b_.nothing()
                            : b_.sequence({digit(1, 9), digits(least - 1, most - 1)});
    }
    Expr above(const std::string& whole) {
        const auto n = static_cast<int32_t>(whole.size());
        return b_.choice({tail_above(whole, 0), of_length(n + 1, std::max(n + 1, kIntegerDigits))});
    }
    // low < x < high, low < high
    Expr between(const std::string& low, const std::string& high) {
        const auto n = static_cast<int32_t>(low.size()), m = static_cast<int32_t>(high.size());
        if (n == m) {
            return between_same(low, high, 0);
        }
        return b_.choice({tail_above(low, 0), of_length(n + 1, m - 1), tail_below(high, 0, true)});
    }
    Expr between_same(const std::string& low, const std::string& high, size_t i) {
        if (i == low.size()) {
            return b_.nothing();
        }
        const int a = low[i] - '0', z = high[i] - '0';
        if (a == z) {
            return b_.sequence({digit(a, a), between_same(low, high, i + 1)});
        }
        const auto rest = static_cast<int32_t>(low.size() - i - 1);
        return b_.choice({b_.sequence({digit(a, a), tail_above(low, i + 1)}),
                          b_.sequence({digit(a + 1, z - 1), digits(rest, rest)}),
                          b_.sequence({digit(z, z), tail_below(high, i + 1, false)})});
    }

    // What may follow the whole part: nothing or a point and digits, not below low's fraction and
    // not above high's.
    Expr fraction(const Magnitude* low, const Magnitude* high) {
        const bool nothing_is_enough = low == nullptr || (low->fraction.empty() && low->inclusive);
        const bool nothing_is_not_too_much =
            high == nullptr || !high->fraction.empty() || high->inclusive;
        std::vector<Expr> ways;
        if (nothing_is_enough && nothing_is_not_too_much) {
            ways.push_back(b_.empty());
        }
        if (most_fraction_ > 0) {
            ways.push_back(b_.sequence({b_.literal("."), behind_point(low, high, 0)}));
        }
        return b_.choice(std::move(ways));
    }

    // At least one digit from position i on, equal to the bounds before; null: already clear of
    // that bound.
    Expr behind_point(const Magnitude* low, const Magnitude* high, size_t i) {
        const auto left = static_cast<int32_t>(
            std::max<int64_t>(most_fraction_, longest(low, high)) - static_cast<int64_t>(i));
        if (left <= 0) {
            return b_.nothing();
        }
        if (low == nullptr && high == nullptr) {
            return digits(1, left);
        }
        const int a = low == nullptr ? 0 : at(*low, i), z = high == nullptr ? 9 : at(*high, i);
        std::vector<Expr> ways;
        const auto with = [&](int d, const Magnitude* l, const Magnitude* h) {
            std::vector<Expr> ends = {behind_point(l, h, i + 1)};
            const bool enough = l == nullptr || (l->fraction.size() <= i + 1 && l->inclusive);
            const bool not_too_much = h == nullptr || h->fraction.size() > i + 1 || h->inclusive;
            if (enough && not_too_much) {
                ends.push_back(b_.empty());
            }
            ways.push_back(b_.sequence({digit(d, d), b_.choice(std::move(ends))}));
        };
        if (a > z) {
            return b_.nothing();
        }
        if (low != nullptr && high != nullptr && a == z) {
            with(a, low, high);
            return b_.choice(std::move(ways));
        }
        const int first = low == nullptr ? a : a + 1, last = high == nullptr ? z : z - 1;
        if (low != nullptr) {
            with(a, low, nullptr);
        }
        if (high != nullptr) {
            with(z, nullptr, high);
        }
        ways.push_back(b_.sequence({digit(first, last), digits(0, left - 1)}));
        return b_.choice(std::move(ways));
    }

    static int64_t longest(const Magnitude* low, const Magnitude* high) {
        const size_t a = low == nullptr ? 0 : low->fraction.size(),
                     z = high == nullptr ? 0 : high->fraction.size();
        return static_cast<int64_t>(std::max(a, z)) + (a + z > 0 ? 1 : 0);
    }
    static int at(const Magnitude& m, size_t i) {
        return i < m.fraction.size() ? m.fraction[i] - '0' : 0;
    }

    GrammarBuilder& b_;
    const int32_t most_fraction_;
};

}  // namespace

Expr number_between(GrammarBuilder& builder,
                    const std::optional<Bound>& least,
                    const std::optional<Bound>& most,
                    int32_t fraction_digits) {
    Digits digits(builder, fraction_digits);
    const auto negative = [](const std::optional<Bound>& bound) {
        return bound && bound->decimal.starts_with('-');
    };
    std::vector<Expr> ways;
    if (!negative(most)) {  // zero and above
        Magnitude low;
        if (least && !negative(least)) {
            low = magnitude_of(*least);
        }
        ways.push_back(digits.range(low, most ? std::optional(magnitude_of(*most)) : std::nullopt));
    }
    if (!least || negative(least)) {  // below zero: magnitudes the other way round
        Magnitude low;
        low.inclusive = false;
        if (negative(most)) {
            low = magnitude_of(*most);
        }
        ways.push_back(builder.sequence(
            {builder.literal("-"),
             digits.range(low, least ? std::optional(magnitude_of(*least)) : std::nullopt)}));
    }
    return builder.choice(std::move(ways));
}

Expr integer_between(GrammarBuilder& builder,
                     const std::optional<Bound>& least,
                     const std::optional<Bound>& most) {
    return number_between(builder, least, most, 0);
}

std::optional<std::string> plain_decimal(const std::string& json_number) {
    std::string text = json_number;
    const bool negative = text.starts_with('-');
    if (negative) {
        text.erase(0, 1);
    }
    int exponent = 0;
    if (const size_t e = text.find_first_of("eE"); e != std::string::npos) {
        exponent = std::stoi(text.substr(e + 1));
        text.erase(e);
    }
    size_t point = text.find('.');
    if (point == std::string::npos) {
        point = text.size();
    } else {
        text.erase(point, 1);
    }
    const int64_t at = static_cast<int64_t>(point) + exponent;
    if (at < -40 || at > 40) {
        return std::nullopt;
    }
    if (at <= 0) {
        text.insert(0, static_cast<size_t>(1 - at), '0');
        text.insert(1, ".");
    } else if (static_cast<size_t>(at) >= text.size()) {
        text.append(static_cast<size_t>(at) - text.size(), '0');
    } else {
        text.insert(static_cast<size_t>(at), ".");
    }
    const bool zero = text.find_first_not_of("0.") == std::string::npos;
    return (negative && !zero ? "-" : "") + text;
}

}  // namespace app
