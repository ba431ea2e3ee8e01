// Agreement of two float arrays: absolute or relative per element, cosine overall; inf and nan must match. A failure says
// where, and shows both values.
#pragma once

#include <cmath>
#include <cstdint>
#include <span>
#include <string>

namespace tests {

struct Tolerance {
    double absolute = 0;
    double relative = 0;
    double cosine = 0;  // at least; 0: not checked
};

// Empty when they agree; else the first differences and the worst one. `columns` turns an index into coordinates.
inline std::string difference(std::span<const float> got, std::span<const float> want, const Tolerance& tolerance,
                              int64_t columns = 0) {
    if (got.size() != want.size()) {
        return "sizes differ: " + std::to_string(got.size()) + " and " + std::to_string(want.size());
    }
    std::string text;
    int64_t wrong = 0;
    double worst = 0, dot = 0, got2 = 0, want2 = 0;
    size_t worst_at = 0;
    for (size_t i = 0; i < got.size(); i++) {
        const double g = got[i], w = want[i];
        const double error = std::abs(g - w);
        const bool same = std::isnan(w) ? std::isnan(g) : std::isinf(w) ? g == w : error <= tolerance.absolute + tolerance.relative * std::abs(w);
        if (!same) {
            wrong++;
            if (!(error <= worst)) {
                worst = std::isnan(error) ? INFINITY : error;
                worst_at = i;
            }
        }
        if (std::isfinite(g) && std::isfinite(w)) {
            dot += g * w;
            got2 += g * g;
            want2 += w * w;
        }
    }
    if (wrong > 0) {
        const auto at = static_cast<int64_t>(worst_at);
        const std::string where = columns > 0 ? "[" + std::to_string(at / columns) + ", " + std::to_string(at % columns) + "]" : "[" + std::to_string(at) + "]";
        text = std::to_string(wrong) + " of " + std::to_string(got.size()) + " differ; worst at " + where + ": got " +
               std::to_string(got[worst_at]) + ", want " + std::to_string(want[worst_at]);
    }
    const double cosine = got2 == 0 && want2 == 0 ? 1 : dot / std::sqrt(got2 * want2);
    if (tolerance.cosine > 0 && !(cosine >= tolerance.cosine)) {
        text += (text.empty() ? "" : "; ") + std::string("cosine ") + std::to_string(cosine);
    }
    return text;
}

}  // namespace tests
