// PrefillEstimator: how long this machine takes to read a prompt, learned from the prompts it has
// read. Reading a token costs a fixed part and one that grows with how many tokens stand before it;
// both come from least squares over the last readings, newer ones counting more. Knows no engine.
// One thread.
#pragma once

#include <cstdint>
#include <optional>

namespace app {

class PrefillEstimator {
public:
    // `tokens` were computed behind `depth` that were in the cache, in `ms`.
    void add(int64_t depth, int64_t tokens, double ms);
    // Nothing: no prompt was read yet.
    std::optional<double> ms(int64_t depth, int64_t tokens) const;
    void clear();  // another model

private:
    // Sums of the weighted normal equations for ms = a * tokens + b * tokens * mean depth.
    double xx_ = 0, xy_ = 0, yy_ = 0, xt_ = 0, yt_ = 0;
    int64_t readings_ = 0;
};

}  // namespace app
