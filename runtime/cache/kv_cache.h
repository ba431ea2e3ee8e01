// KvCache: the memory of the paged K cache. A page holds one K row (latent + rotary) per token for 64 tokens and all
// layers; there is no V. Memory grows in chunks of pages as they are handed out, up to the limit, and shrinks when idle.
// Which page belongs to whom is PagePool's business. Engine thread only.
//
//   page p:  layer 0 [64 rows] | layer 1 [64 rows] | ...        row: L latent numbers, then R rotary, one packed row
//
// GLM-4.7-Flash in f16: 47 layers x 576 x 2 = 54,144 bytes a token.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/backend.h"
#include "runtime/model/model_config.h"

namespace runtime {

struct KvLayout {
    kernels::KType type;
    int64_t n_layers = 0;
    int64_t latent = 0;
    int64_t rotary = 0;

    KvLayout() = default;
    // Throws ModelError for a type that is none of f16, bf16, f32, q8_0, q4_0, q8_latent, and where a row is not whole
    // blocks.
    KvLayout(const ModelConfig& config, kernels::KType type);
    int64_t row_bytes() const;                  // of one layer
    int64_t bytes_per_token() const;            // all layers
    int64_t page_bytes() const;
    int64_t v_bytes_per_token() const;          // what a V tensor beside it would take: shown as saved, never allocated
    static int64_t pages_for(int64_t tokens);   // rounded up
    // Pages that one allocation holds, where the device rounds allocations up to `granule`.
    int64_t pages_per_chunk(int64_t limit_pages, int64_t granule) const;
};

class KvCache {
public:
    KvCache(kernels::Backend& backend, const KvLayout& layout, int64_t limit_pages);

    const KvLayout& layout() const { return layout_; }
    int64_t limit_pages() const { return limit_pages_; }
    int64_t reserved_pages() const;             // backed by memory now
    int64_t reserved_bytes() const;

    // Makes pages [0, pages) usable. false when the device has no memory for it or the limit is passed: an ordinary outcome.
    [[nodiscard]] bool reserve(int64_t pages);
    // Gives back the memory of whole chunks at the end that hold no page below `pages`.
    void shrink(int64_t pages);

    // The first `rows` K rows of a page, in all layers, into another page. Both are reserved.
    void copy_rows(int64_t from, int64_t to, int64_t rows);

    kernels::KPages layer(int64_t index) const;

private:
    kernels::Backend& backend_;
    KvLayout layout_;
    int64_t limit_pages_;
    int64_t pages_per_chunk_;
    std::vector<kernels::Buffer> chunks_;
    std::vector<std::byte*> pages_;             // base address per page, null where not reserved
};

}  // namespace runtime
