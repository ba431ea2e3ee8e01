#include "runtime/cache/kv_cache.h"

#include <algorithm>
#include <string>

#include "kernels/check.h"
#include "runtime/error.h"

namespace runtime {
namespace {

// A chunk is one allocation. 32 MiB is 9 pages of GLM-4.7-Flash in f16: small beside a context,
// large beside the cost of an allocation (once per 576 tokens). Small limits are cut in 32 so that
// their cache, too, grows and shrinks. Where a driver rounds allocations up, chunks may be larger:
// of the size that loses least.
constexpr int64_t kMaxChunkBytes = int64_t{32} << 20;
constexpr int64_t kMaxRoundedChunkBytes = int64_t{128} << 20;
constexpr int64_t kChunksOfSmallLimit = 32;

bool is_cache_type(const kernels::KType& k) {
    using kernels::DType;
    const DType type = k.dtype;
    return k.int8_latent || type == DType::f32 || type == DType::f16 || type == DType::bf16 ||
           type == DType::q8_0 || type == DType::q4_0;
}

}  // namespace

KvLayout::KvLayout(const ModelConfig& config, kernels::KType cache_type)
    : type(cache_type),
      n_layers(config.n_layers),
      latent(config.kv_lora_rank),
      rotary(config.qk_rope_head_dim) {
    if (!is_cache_type(type)) {
        throw ModelError("cache type " + kernels::name(type) +
                         " is not supported for the K cache: choose f16, bf16, f32, q8_0, q4_0 or "
                         "q8_latent");
    }
    if (n_layers <= 0 || latent <= 0 || rotary <= 0 || !kernels::holds(type, latent, rotary)) {
        throw ModelError("a K row of " + std::to_string(latent + rotary) + " numbers (" +
                         std::to_string(latent) + " latent + " + std::to_string(rotary) +
                         " rotary) is not a whole number of " + kernels::name(type) +
                         " blocks: choose cache type f16, bf16, f32 or q8_latent");
    }
}

int64_t KvLayout::row_bytes() const {
    return kernels::k_row_bytes(type, latent, rotary);
}

int64_t KvLayout::bytes_per_token() const {
    return n_layers * row_bytes();
}

int64_t KvLayout::page_bytes() const {
    return kernels::kPageTokens * bytes_per_token();
}

int64_t KvLayout::v_bytes_per_token() const {
    if (type.int8_latent) {  // the same codes and scales once more
        return n_layers * (row_bytes() - 2 * rotary);
    }
    const kernels::DTypeInfo& t = kernels::info(type.dtype);
    const int64_t blocks = (latent + t.block_elements - 1) / t.block_elements;
    return n_layers * blocks * t.block_bytes;
}

int64_t KvLayout::pages_for(int64_t tokens) {
    return (tokens + kernels::kPageTokens - 1) / kernels::kPageTokens;
}

int64_t KvLayout::pages_per_chunk(int64_t limit_pages, int64_t granule) const {
    const int64_t by_count = (limit_pages + kChunksOfSmallLimit - 1) / kChunksOfSmallLimit;
    const int64_t plain = std::max<int64_t>(1, std::min(kMaxChunkBytes / page_bytes(), by_count));
    const auto lost = [&](int64_t pages) {  // of each byte
        const int64_t bytes = pages * page_bytes();
        return static_cast<double>((granule - bytes % granule) % granule) /
               static_cast<double>(bytes);
    };
    int64_t best = plain;
    for (int64_t pages = plain + 1;
         pages <= std::min(kMaxRoundedChunkBytes / page_bytes(), limit_pages); pages++) {
        if (lost(pages) < lost(best)) {
            best = pages;
        }
    }
    return best;
}

KvCache::KvCache(kernels::Backend& backend, const KvLayout& layout, int64_t limit_pages)
    : backend_(backend), layout_(layout), limit_pages_(limit_pages) {
    ENSURE(limit_pages > 0 && layout.n_layers > 0, limit_pages, " pages, ", layout.n_layers,
           " layers");
    pages_per_chunk_ = layout_.pages_per_chunk(limit_pages_, backend.allocation_granule());
    pages_.assign(static_cast<size_t>(limit_pages_), nullptr);
}

int64_t KvCache::reserved_pages() const {
    return std::min(limit_pages_, static_cast<int64_t>(chunks_.size()) * pages_per_chunk_);
}

int64_t KvCache::reserved_bytes() const {
    return reserved_pages() * layout_.page_bytes();
}

bool KvCache::reserve(int64_t pages) {
    if (pages > limit_pages_) {
        return false;
    }
    while (reserved_pages() < pages) {
        const int64_t first = reserved_pages();
        const int64_t count = std::min(pages_per_chunk_, limit_pages_ - first);
        try {
            chunks_.push_back(
                backend_.allocate(count * layout_.page_bytes(), kernels::MemoryUse::kv_cache));
        } catch (const kernels::DeviceError&) {
            return false;  // chunks won so far stay: the caller may go on with what
                           // reserved_pages() says
        }
        for (int64_t i = 0; i < count; i++) {
            pages_[static_cast<size_t>(first + i)] =
                chunks_.back().data() + i * layout_.page_bytes();
        }
    }
    return true;
}

void KvCache::shrink(int64_t pages) {
    const int64_t keep = (std::max<int64_t>(pages, 0) + pages_per_chunk_ - 1) / pages_per_chunk_;
    if (keep >= static_cast<int64_t>(chunks_.size())) {
        return;
    }
    std::fill(pages_.begin() + static_cast<std::ptrdiff_t>(keep * pages_per_chunk_), pages_.end(),
              nullptr);
    chunks_.resize(static_cast<size_t>(keep));
}

void KvCache::copy_rows(int64_t from, int64_t to, int64_t rows) {
    ENSURE(from >= 0 && to >= 0 && from < reserved_pages() && to < reserved_pages() && from != to,
           "page ", from, " to ", to, " of ", reserved_pages());
    ENSURE(rows > 0 && rows <= kernels::kPageTokens, rows, " rows");
    backend_.copy(pages_[static_cast<size_t>(to)], pages_[static_cast<size_t>(from)],
                  kernels::kPageTokens * layout_.row_bytes(), rows * layout_.row_bytes(),
                  layout_.n_layers);
}

kernels::KPages KvCache::layer(int64_t index) const {
    ENSURE(index >= 0 && index < layout_.n_layers, "layer ", index, " of ", layout_.n_layers);
    kernels::KPages view;
    view.pages = pages_.data();
    view.layer_offset_bytes = index * kernels::kPageTokens * layout_.row_bytes();
    view.row_bytes = layout_.row_bytes();
    view.dtype = layout_.type.dtype;
    view.int8_latent = layout_.type.int8_latent;
    view.latent = layout_.latent;
    view.rotary = layout_.rotary;
    return view;
}

}  // namespace runtime
