// JSON numbers within bounds, as grammar expressions: digit by digit, so that exactly the numbers
// in between can be written.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "runtime/text/grammar/grammar.h"

namespace app {

// Digits that a free number may have before and behind the point; what is bounded may have as many
// as its bounds.
inline constexpr int32_t kIntegerDigits = 16, kFractionDigits = 15;

// An end of a range. `decimal` is plain: "-12.5", no exponent.
struct Bound {
    std::string decimal;
    bool inclusive = true;
};

// Empty bounds: no limit on that side.
runtime::GrammarBuilder::Expr integer_between(runtime::GrammarBuilder& builder,
                                              const std::optional<Bound>& least,
                                              const std::optional<Bound>& most);
// `fraction_digits`: at most so many behind the point; 0: whole numbers only.
runtime::GrammarBuilder::Expr number_between(runtime::GrammarBuilder& builder,
                                             const std::optional<Bound>& least,
                                             const std::optional<Bound>& most,
                                             int32_t fraction_digits);
// Multiples of `factor`, a plain decimal above 0, between the bounds, all of them. Nothing: the factor
// or a bound has too many digits, or validators, which divide in floating point, would not accept
// every multiple (19.99 of 0.01); all of 0.25 they do.
inline constexpr int64_t kMostFactor = 1000;
std::optional<runtime::GrammarBuilder::Expr> multiples_between(runtime::GrammarBuilder& builder,
                                                               const std::string& factor,
                                                               const std::optional<Bound>& least,
                                                               const std::optional<Bound>& most,
                                                               bool whole);

// JSON text of a number -> plain decimal; empty where it has more than 40 digits either way.
std::optional<std::string> plain_decimal(const std::string& json_number);

}  // namespace app
