#include "kernels/cpu/thread_pool.h"

#include <atomic>
#include <chrono>
#include <ctime>
#include <stdexcept>
#include <thread>
#include <vector>

#include "tests/support/catch.h"

using kernels::cpu::ThreadPool;

TEST_CASE("thread pool: ranges cover the count once, with the grain where it allows") {
    for (int threads : {1, 2, 3, 7}) {
        ThreadPool pool(threads);
        REQUIRE(pool.threads() == threads);
        for (int64_t count : {0, 1, 2, 3, 63, 64, 65, 1000, 100003}) {
            for (int64_t grain : {0, 1, 3, 64, 5000}) {
                for (int max_threads : {0, 1, 2, 100}) {
                    std::vector<std::atomic<int>> seen(static_cast<size_t>(count));
                    std::atomic<int> wrong{0};
                    pool.parallel_for(
                        count, grain,
                        [&](int64_t begin, int64_t end, int worker) {
                            const int limit =
                                max_threads == 0 ? threads : std::min(threads, max_threads);
                            if (worker < 0 || worker >= limit || begin >= end || end > count ||
                                end - begin < std::min(grain, count)) {
                                wrong++;
                            }
                            for (int64_t i = begin; i < end; i++) {
                                seen[static_cast<size_t>(i)]++;
                            }
                        },
                        max_threads);
                    for (const auto& n : seen) {
                        wrong += n.load() == 1 ? 0 : 1;
                    }
                    CAPTURE(threads, count, grain, max_threads);
                    REQUIRE(wrong == 0);
                }
            }
        }
    }
}

TEST_CASE("thread pool: no two calls at the same time have the same worker number") {
    ThreadPool pool(4);
    std::vector<std::atomic<int>> inside(4);
    std::atomic<int> wrong{0};
    for (int round = 0; round < 200; round++) {
        pool.parallel_for(64, 1, [&](int64_t, int64_t, int worker) {
            wrong += inside[static_cast<size_t>(worker)]++ == 0 ? 0 : 1;
            std::this_thread::yield();
            inside[static_cast<size_t>(worker)]--;
        });
    }
    REQUIRE(wrong == 0);
}

TEST_CASE("thread pool: an exception comes out after the others ended, and the pool works on") {
    for (int threads : {1, 2, 5}) {
        ThreadPool pool(threads);
        for (int round = 0; round < 100; round++) {
            std::atomic<int> inside{0};
            const auto body = [&](int64_t begin, int64_t end, int) {
                inside++;
                const bool fails = begin <= 40 && 40 < end;
                std::this_thread::yield();
                inside--;
                if (fails) {
                    throw std::runtime_error("forty");
                }
            };
            REQUIRE_THROWS_WITH(pool.parallel_for(100, 1, body), "forty");
            REQUIRE(inside == 0);
            std::atomic<int64_t> sum{0};
            pool.parallel_for(100, 1, [&](int64_t begin, int64_t end, int) { sum += end - begin; });
            REQUIRE(sum == 100);
        }
    }
}

TEST_CASE("thread pool: many short jobs in a row, with sleeps between some of them") {
    ThreadPool pool(3);
    std::vector<int64_t> values(97, 0);
    for (int round = 0; round < 3000; round++) {
        pool.parallel_for(97, 1, [&](int64_t begin, int64_t end, int) {
            for (int64_t i = begin; i < end; i++) {
                values[static_cast<size_t>(
                    i)]++;  // not atomic: each index has one owner, and jobs follow each other
            }
        });
        if (round % 1000 == 0) {
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
        }
    }
    for (int64_t v : values) {
        REQUIRE(v == 3000);
    }
}

TEST_CASE("thread pool: idle threads sleep") {
    ThreadPool pool(4);
    pool.parallel_for(1000, 1, [](int64_t, int64_t, int) {});
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    const std::clock_t before = std::clock();  // processor time of all threads
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    const double used_ms = 1000.0 * static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC;
    REQUIRE(used_ms < 60);
}
