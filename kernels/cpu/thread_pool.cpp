#include "kernels/cpu/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "kernels/check.h"

#if defined(__x86_64__)
#    include <immintrin.h>
#endif

namespace kernels::cpu {
namespace {

// Pauses before a waiting thread goes to sleep: some 30 to 100 us, longer than the gap between two
// operations of a pass and short enough not to be seen in a process list.
constexpr int kSpins = 2000;
constexpr int kChunksPerThread = 16;
constexpr int kMaxThreads = 1000;

void pause() {
#if defined(__x86_64__)
    _mm_pause();
#else
    std::atomic_signal_fence(std::memory_order_seq_cst);
#endif
}

// What a thread must know to claim a piece of the current job, in one word: how many pieces there
// are, which one is next, and how many threads may help. A successful compare-and-swap of `next`
// owns a piece, and the caller cannot leave parallel_for (and change the job) before that piece is
// reported done: so the job is read after the claim.
struct Claim {
    static constexpr int kBits = 20;
    static constexpr uint64_t kMask = (1U << kBits) - 1;
    static constexpr uint64_t kNext = uint64_t{1} << kBits;

    static uint64_t make(int64_t pieces, int threads) {
        return static_cast<uint64_t>(pieces) | static_cast<uint64_t>(threads) << (2 * kBits);
    }
    static int64_t pieces(uint64_t word) { return static_cast<int64_t>(word & kMask); }
    static int64_t next(uint64_t word) { return static_cast<int64_t>(word >> kBits & kMask); }
    static int threads(uint64_t word) { return static_cast<int>(word >> (2 * kBits)); }
};

}  // namespace

struct ThreadPool::State {
    // The job: written by the caller while no piece is claimed.
    const RangeBody* body = nullptr;
    int64_t count = 0;
    std::exception_ptr error;

    alignas(64) std::atomic<uint64_t> claim{0};
    alignas(64) std::atomic<int> done{0};        // pieces finished
    alignas(64) std::atomic<int> generation{0};  // changes with every job; sleepers wait on it
    std::atomic<bool> failed{false};
    std::atomic<bool> stop{false};
    std::vector<std::thread> workers;

    // Runs pieces of the current job until none is left.
    void help(int worker) {
        uint64_t word = claim.load(std::memory_order_acquire);
        while (Claim::next(word) < Claim::pieces(word) && worker < Claim::threads(word)) {
            if (!claim.compare_exchange_weak(word, word + Claim::kNext, std::memory_order_acq_rel,
                                             std::memory_order_acquire)) {
                continue;
            }
            const int64_t piece = Claim::next(word), pieces = Claim::pieces(word);
            if (!failed.load(std::memory_order_relaxed)) {
                try {
                    (*body)(count * piece / pieces, count * (piece + 1) / pieces, worker);
                } catch (...) {
                    if (!failed.exchange(true)) {
                        error = std::current_exception();
                    }
                }
            }
            if (done.fetch_add(1, std::memory_order_acq_rel) + 1 == pieces) {
                done.notify_one();
            }
            word = claim.load(std::memory_order_acquire);
        }
    }

    void work(int worker) {
        int seen = generation.load(std::memory_order_acquire);
        while (!stop.load(std::memory_order_acquire)) {
            help(worker);
            int spins = 0;
            while (generation.load(std::memory_order_acquire) == seen) {
                if (++spins > kSpins) {
                    generation.wait(seen, std::memory_order_acquire);
                } else {
                    pause();
                }
            }
            seen = generation.load(std::memory_order_acquire);
        }
    }
};

ThreadPool::ThreadPool(int threads) : state_(std::make_unique<State>()) {
    ENSURE(threads >= 1 && threads <= kMaxThreads, threads, " threads");
    try {
        for (int i = 1; i < threads; i++) {
            state_->workers.emplace_back([state = state_.get(), i] { state->work(i); });
        }
    } catch (const std::system_error&) {
        // The system gives no more threads (a container's limit): work with those there are.
    }
}

ThreadPool::~ThreadPool() {
    state_->stop.store(true, std::memory_order_release);
    state_->generation.fetch_add(1, std::memory_order_acq_rel);
    state_->generation.notify_all();
    for (std::thread& worker : state_->workers) {
        worker.join();
    }
}

int ThreadPool::threads() const {
    return static_cast<int>(state_->workers.size()) + 1;
}

void ThreadPool::parallel_for(int64_t count, int64_t grain, RangeBody body, int max_threads) {
    if (count <= 0) {
        return;
    }
    const int helpers = max_threads > 0 ? std::min(max_threads, threads()) : threads();
    const int64_t pieces = std::clamp<int64_t>(count / std::max<int64_t>(grain, 1), 1,
                                               int64_t{helpers} * kChunksPerThread);
    if (pieces == 1 || helpers == 1) {
        body(0, count, 0);
        return;
    }
    State& s = *state_;
    s.body = &body;
    s.count = count;
    s.error = nullptr;
    s.failed.store(false, std::memory_order_relaxed);
    s.done.store(0, std::memory_order_relaxed);
    s.claim.store(Claim::make(pieces, helpers), std::memory_order_release);
    s.generation.fetch_add(1, std::memory_order_acq_rel);
    s.generation.notify_all();
    s.help(0);
    int spins = 0;
    for (int done = s.done.load(std::memory_order_acquire); done != pieces;
         done = s.done.load(std::memory_order_acquire)) {
        if (++spins > kSpins) {
            s.done.wait(done, std::memory_order_acquire);
        } else {
            pause();
        }
    }
    if (s.error) {
        std::rethrow_exception(std::exchange(s.error, nullptr));
    }
}

}  // namespace kernels::cpu
