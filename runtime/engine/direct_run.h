// DirectRun: one model and one sequence, or several in step, without scheduler or sampler, for
// `keyhole eval` and `keyhole bench`: tokens in, logits out. One thread.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/backend.h"
#include "runtime/engine/engine_thread.h"
#include "runtime/model/token_work.h"

namespace runtime {

class DirectRun {
public:
    // The context is shared out evenly among the sequences. Throws ModelError, DeviceError.
    DirectRun(const std::string& path, const EngineOptions& options, int64_t sequences = 1);
    ~DirectRun();

    const LoadedModel& model() const;

    // Computes these tokens, [sequences, n], after those before. Logits of the last one of each
    // sequence [sequences, W], or with one sequence of all [n, W]; valid until the next call.
    // Throws RequestError (too_long, invalid) where they do not fit the context or the vocabulary.
    std::span<const float> forward(std::span<const TokenId> tokens, bool all_rows = false);
    void reset();  // forgets all tokens
    // As after reset() and `tokens` tokens, whose K rows are random numbers instead of computed
    // ones: what follows costs the same, and deep contexts are there in seconds. One sequence.
    void pretend(int64_t tokens);
    int64_t position() const;  // tokens so far

    TokenWork work(int64_t depth, int64_t sequences) const;
    std::string description() const;  // of the device: "CPU, 8 threads, AVX2"
    int64_t bytes_per_token() const;
    int64_t kv_bytes() const;  // backed by memory now
    int64_t peak_kv_bytes() const;
    MemorySnapshot::Device device() const;
    int64_t launches() const;                           // so far; 0 where the device has none
    std::vector<kernels::LaunchTime> profile(bool on);  // as Backend's

private:
    struct Data;
    std::unique_ptr<Data> data_;
};

}  // namespace runtime
