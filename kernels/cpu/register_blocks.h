// Numbers that a compiler must know to keep a block of sums in registers: counts of its rows and
// distances between them. Included by files compiled for wider instruction sets: everything is in
// an anonymous namespace (see matmul_variants.h).
#pragma once

#include <cstdint>

namespace kernels::cpu {
namespace {

// A distance known when this is compiled. gcc computes the addresses of rows that lie a variable
// distance apart one by one, again in each step.
template <int64_t n>
struct Fixed {
    constexpr operator int64_t() const { return n; }  // NOLINT: stands for the number
};

template <int n>
struct Count {
    static constexpr int value = n;
};

// Calls f(Count<n>) for n, which is 1 .. Most.
template <int Most, typename Function>
inline void with_count(int64_t n, const Function& f) {
    if constexpr (Most > 1) {
        if (n < Most) {
            with_count<Most - 1>(n, f);
            return;
        }
    }
    f(Count<Most>{});
}

// Calls f(begin, count) for pieces of at most Most that cover [0, n); the last two are alike rather
// than one of them single.
template <int Most, typename Function>
inline void in_blocks(int64_t n, const Function& f) {
    for (int64_t at = 0, count; at < n; at += count) {
        const int64_t left = n - at;
        count = left == Most + 1 ? (Most + 1) / 2 : left < Most ? left : Most;
        with_count<Most>(count, [&](auto c) { f(at, c); });
    }
}

}  // namespace
}  // namespace kernels::cpu
