// ThreadPool: the worker threads of the CPU backend. Used by the engine thread alone, by this
// folder alone.
#pragma once

#include <cstdint>
#include <memory>
#include <type_traits>

namespace kernels::cpu {

// A callable borrowed for the length of a call: two pointers, nothing owned, nothing allocated.
class RangeBody {
public:
    template <typename Callable,
              typename = std::enable_if_t<!std::is_same_v<std::decay_t<Callable>, RangeBody>>>
    RangeBody(
        const Callable& callable)  // NOLINT: implicit on purpose, so that a lambda can be passed
        : object_(&callable), call_([](const void* object, int64_t begin, int64_t end, int worker) {
              (*static_cast<const Callable*>(object))(begin, end, worker);
          }) {}

    void operator()(int64_t begin, int64_t end, int worker) const {
        call_(object_, begin, end, worker);
    }

private:
    const void* object_;
    void (*call_)(const void* object, int64_t begin, int64_t end, int worker);
};

class ThreadPool {
public:
    explicit ThreadPool(int threads);  // threads >= 1 counts the caller
    ~ThreadPool();
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    int threads() const;

    // Calls body(begin, end, worker) for disjoint ranges that cover [0, count), each at least
    // `grain` long where count allows, on up to `max_threads` threads (0 = all); returns when all
    // are done. worker in [0, threads()) is distinct among calls that run at the same time. An
    // exception of a body is rethrown here, after the others ended. No allocation. Not re-entrant.
    void parallel_for(int64_t count, int64_t grain, RangeBody body, int max_threads = 0);

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace kernels::cpu
