#include "kernels/cuda/pass_lists.h"

#include <algorithm>

#include "kernels/card_memory.h"
#include "kernels/check.h"

namespace kernels::cuda {

GroupList groups_of(const PagedBatch& batch, int32_t most_tokens, int32_t processors) {
    GroupList list;
    int32_t table = 0;
    for (const SequenceSpan& span : batch.spans) {
        for (int64_t i = 0; i < span.n_tokens;) {
            QueryGroup g;
            g.first_row = static_cast<int32_t>(span.first_row + i);
            g.position = static_cast<int32_t>(span.start + i);
            g.table = table;
            g.split_tokens = split_tokens_at(g.position, processors);
            while (g.n_tokens < most_tokens && i < span.n_tokens &&
                   split_tokens_at(g.position + g.n_tokens, processors) == g.split_tokens) {
                g.n_tokens++;
                i++;
            }
            list.tokens = std::max(list.tokens, g.n_tokens);
            list.splits = std::max(list.splits, (g.position + g.n_tokens - 1) / g.split_tokens + 1);
            list.groups.push_back(g);
            list.sizes.push_back(g.n_tokens);
        }
        table += static_cast<int32_t>((span.start + span.n_tokens + kPageTokens - 1) / kPageTokens);
    }
    return list;
}

void check_rows(const KPages& pages) {
    ENSURE(pages.rotary > 0 &&
               pages.row_bytes == k_row_bytes(pages.type(), pages.latent, pages.rotary),
           pages.latent, " + ", pages.rotary, ", rows of ", pages.row_bytes);
    ENSURE(pages.int8_latent || pages.dtype == DType::f32 || pages.dtype == DType::f16 ||
               pages.dtype == DType::bf16 || pages.dtype == DType::q8_0 ||
               pages.dtype == DType::q4_0,
           "K rows of ", name(pages.dtype));
}

PlaceList places_of(const PagedBatch& batch, const KPages& pages) {
    PlaceList list;
    list.places.reserve(static_cast<size_t>(batch.n_tokens));
    for (const SequenceSpan& span : batch.spans) {
        const auto table = static_cast<int32_t>(list.pages.size());
        for (int64_t i = 0; i < span.n_tokens; i++) {
            list.places.push_back({static_cast<int32_t>(span.start + i), table});
        }
        const int64_t used = (span.start + span.n_tokens + kPageTokens - 1) / kPageTokens;
        for (int64_t i = 0; i < used; i++) {
            const int32_t page = span.page_table[static_cast<size_t>(i)];
            ENSURE(page >= 0, "page ", page, " of positions from ", i * kPageTokens);
            list.pages.push_back(pages.pages[page]);
        }
    }
    return list;
}

StepLayout::StepLayout(int64_t tokens, int64_t row_bytes) {
    rows = ids + tokens * 4;
    places = rows + tokens * 4;
    groups = places + tokens * static_cast<int64_t>(sizeof(TokenPlace));
    table = round_up(groups + tokens * static_cast<int64_t>(sizeof(QueryGroup)), 32);
    bytes = table + tokens * row_bytes;
}

}  // namespace kernels::cuda
