// Rows of several weights as one range of work, so that threads take equal shares of it: the range
// is in units of cost, as a row that many activations are multiplied with takes longer than one for
// few. Shares end between the tiles of kShareRows rows that products are made of (x86_tiles.h).
#pragma once

#include <algorithm>
#include <cstdint>

namespace kernels::cpu {

inline constexpr int64_t kShareRows = 16;

struct RowCost {
    int64_t rows;  // of a weight
    int64_t each;  // cost of one, in any unit
};

// What a row costs that is multiplied with so many activations: reading and unpacking it takes as
// long as some four products.
inline int64_t row_cost(int64_t activations) {
    return activations + 4;
}

struct TotalCost {
    int64_t all = 0;   // of all rows of all jobs
    int64_t most = 1;  // of one row
};

// cost(job) is a RowCost.
template <typename Jobs, typename Cost>
TotalCost total_cost(const Jobs& jobs, const Cost& cost) {
    TotalCost total;
    for (const auto& job : jobs) {
        const RowCost c = cost(job);
        total.all += c.rows * c.each;
        total.most = std::max(total.most, c.each);
    }
    return total;
}

// Calls body(job, first, last) for the rows [first, last) of each job that the share [begin, end)
// of the total cost holds. Shares that cover the total cover all rows, each once.
template <typename Jobs, typename Cost, typename Body>
void for_rows_of_share(
    const Jobs& jobs, int64_t begin, int64_t end, const Cost& cost, const Body& body) {
    int64_t offset = 0;
    for (const auto& job : jobs) {
        const RowCost c = cost(job);
        const auto row_at = [&](int64_t at) {
            const int64_t row = std::clamp<int64_t>((at - offset) / c.each, 0, c.rows);
            return row == c.rows ? row : row / kShareRows * kShareRows;
        };
        const int64_t first = row_at(begin), last = row_at(end);
        if (first < last) {
            body(job, first, last);
        }
        offset += c.rows * c.each;
    }
}

}  // namespace kernels::cpu
