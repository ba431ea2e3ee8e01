#include "app/prefill_estimator.h"

#include <algorithm>

namespace app {
namespace {

constexpr double kForget = 0.9;  // weight of what was known, at each new reading

double mean_depth(int64_t depth, int64_t tokens) {
    return static_cast<double>(depth) + static_cast<double>(tokens) / 2;
}

}  // namespace

void PrefillEstimator::add(int64_t depth, int64_t tokens, double ms) {
    if (tokens <= 0 || ms <= 0) {
        return;
    }
    // Relative errors count: a long prompt must not drown the short ones.
    const double weight = 1 / (ms * ms);
    const double x = static_cast<double>(tokens);
    const double y = x * mean_depth(depth, tokens);
    for (double* sum : {&xx_, &xy_, &yy_, &xt_, &yt_}) {
        *sum *= kForget;
    }
    xx_ += weight * x * x;
    xy_ += weight * x * y;
    yy_ += weight * y * y;
    xt_ += weight * x * ms;
    yt_ += weight * y * ms;
    readings_++;
}

std::optional<double> PrefillEstimator::ms(int64_t depth, int64_t tokens) const {
    if (readings_ == 0) {
        return std::nullopt;
    }
    if (tokens <= 0) {
        return 0.0;
    }
    // Both parts where the readings tell them apart and neither comes out negative; else the fixed
    // one alone.
    double a = xx_ > 0 ? xt_ / xx_ : 0, b = 0;
    const double determinant = xx_ * yy_ - xy_ * xy_;
    if (determinant > 1e-6 * xx_ * yy_) {
        const double a2 = (xt_ * yy_ - yt_ * xy_) / determinant,
                     b2 = (yt_ * xx_ - xt_ * xy_) / determinant;
        if (a2 > 0 && b2 >= 0) {
            a = a2;
            b = b2;
        }
    }
    const double x = static_cast<double>(tokens);
    return std::max(0.0, a * x + b * x * mean_depth(depth, tokens));
}

void PrefillEstimator::clear() {
    *this = {};
}

}  // namespace app
