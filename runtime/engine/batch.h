// Batch: the flat arrays of one forward pass. Built by the scheduler, read by the model.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/backend.h"

namespace runtime {

struct Batch {
    std::vector<int32_t> token_ids;  // [T]
    std::vector<kernels::SequenceSpan>
        spans;  // rows of each sequence, in order; page tables stay owned by the sequences
    std::vector<int32_t> logit_rows;  // rows whose logits are wanted, ascending

    int64_t n_tokens() const { return static_cast<int64_t>(token_ids.size()); }
    kernels::PagedBatch paged() const { return {spans, n_tokens()}; }
};

}  // namespace runtime
