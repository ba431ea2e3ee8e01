// What a pass tells the card about its tokens: where each stands, the pages of its sequence, and
// the groups that attention takes them in. Host arithmetic on lists; knows no device.
#pragma once

#include <vector>

#include "kernels/backend.h"
#include "kernels/cuda/mla.h"

namespace kernels::cuda {

// Throws std::logic_error where a card cannot read K rows of this form, beside what check_batch()
// of operation_shapes.h asks.
void check_rows(const KPages& pages);

// The groups of a batch, and the most tokens and splits of one, on a card of so many
// multiprocessors.
struct GroupList {
    std::vector<QueryGroup> groups;
    std::vector<int32_t> sizes;  // tokens of each
    int32_t tokens = 0;
    int32_t splits = 0;
};
GroupList groups_of(const PagedBatch& batch, int32_t most_tokens, int32_t processors);

struct PlaceList {
    std::vector<TokenPlace> places;
    std::vector<std::byte*> pages;  // of all sequences, one after the other
};
PlaceList places_of(const PagedBatch& batch, const KPages& pages);

// Where things lie in what a pass of few tokens sends, and how much that is.
struct StepLayout {
    int64_t ids = 0, rows, places, groups, table, bytes;

    StepLayout(int64_t tokens, int64_t row_bytes);
};

}  // namespace kernels::cuda
