// ThreadPool: the worker threads of the CPU backend. Used by the engine thread alone, by this folder alone.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>

namespace kernels::cpu {

class ThreadPool {
public:
    explicit ThreadPool(int threads);  // threads >= 1 counts the caller
    ~ThreadPool();
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    int threads() const;

    // Calls body(begin, end, worker) for disjoint ranges that cover [0, count), each at least `grain` long where count
    // allows, on up to `max_threads` threads (0 = all); returns when all are done. worker in [0, threads()) is distinct
    // among calls that run at the same time. An exception of a body is rethrown here, after the others ended.
    // No allocation. Not re-entrant.
    void parallel_for(int64_t count, int64_t grain, const std::function<void(int64_t begin, int64_t end, int worker)>& body,
                      int max_threads = 0);

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace kernels::cpu
