#include "kernels/cpu/row_shares.h"

#include <random>
#include <vector>

#include "tests/support/catch.h"

using namespace kernels::cpu;

namespace {

struct Job {
    int64_t rows, activations;
};

RowCost cost_of(const Job& job) {
    return {job.rows, row_cost(job.activations)};
}

}  // namespace

TEST_CASE("row shares: all rows of all jobs, each once, cut between tiles alone") {
    std::mt19937 random(7);
    const auto one_of = [&](std::vector<int64_t> values) {
        return values[random() % values.size()];
    };
    for (int round = 0; round < 500; round++) {
        std::vector<Job> jobs(random() % 7);
        for (Job& job : jobs) {
            job = {one_of({0, 1, 15, 16, 17, 192, 1000, 1536}), one_of({0, 1, 2, 31, 512})};
        }
        const int64_t total = total_cost(jobs, cost_of).all, pieces = one_of({1, 2, 3, 32, 100});
        std::vector<int64_t> next(jobs.size());
        int wrong = 0;
        for (int64_t piece = 0; piece < pieces; piece++) {
            for_rows_of_share(jobs, total * piece / pieces, total * (piece + 1) / pieces, cost_of,
                              [&](const Job& job, int64_t first, int64_t last) {
                                  int64_t& at = next[static_cast<size_t>(&job - jobs.data())];
                                  wrong += first != at || last <= first || last > job.rows;
                                  wrong += last != job.rows && last % kShareRows != 0;
                                  at = last;
                              });
        }
        for (size_t i = 0; i < jobs.size(); i++) {
            wrong += next[i] != jobs[i].rows;
        }
        CAPTURE(round, pieces, total);
        REQUIRE(wrong == 0);
    }
}

// 64 experts with a few tokens each and one network for all tokens, as in the model: counted in
// rows alone, the last of 32 shares would be a fifth of the work.
TEST_CASE("row shares: no share costs much more than another") {
    std::vector<Job> jobs(64, {1536, 32});
    jobs.push_back({1536, 512});
    const TotalCost total = total_cost(jobs, cost_of);
    REQUIRE(total.all == 1536 * (64 * row_cost(32) + row_cost(512)));
    REQUIRE(total.most == row_cost(512));
    constexpr int64_t kShares = 32;
    int64_t all = 0;
    for (int64_t share = 0; share < kShares; share++) {
        int64_t cost = 0;
        for_rows_of_share(jobs, total.all * share / kShares, total.all * (share + 1) / kShares,
                          cost_of, [&](const Job& job, int64_t first, int64_t last) {
                              cost += (last - first) * row_cost(job.activations);
                          });
        CAPTURE(share);
        REQUIRE(std::abs(cost - total.all / kShares) <= kShareRows * total.most);
        all += cost;
    }
    REQUIRE(all == total.all);
}
