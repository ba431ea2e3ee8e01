#include "runtime/cache/kv_cache.h"

#include <algorithm>
#include <string>

#include "kernels/check.h"
#include "runtime/error.h"

namespace runtime {
namespace {

// A chunk is one allocation. 32 MiB is 9 pages of GLM-4.7-Flash in f16: small beside a context,
// large beside the cost of an allocation (once per 576 tokens). Small limits are cut in 32 so that
// their cache, too, grows and shrinks.
constexpr int64_t kMaxChunkBytes = int64_t{32} << 20;
constexpr int64_t kChunksOfSmallLimit = 32;

bool is_cache_type(kernels::DType type) {
    using kernels::DType;
    return type == DType::f32 || type == DType::f16 || type == DType::bf16 || type == DType::q8_0 ||
           type == DType::q4_0;
}

}  // namespace

KvLayout::KvLayout(const ModelConfig& config, kernels::DType cache_type)
    : type(cache_type),
      n_layers(config.n_layers),
      latent(config.kv_lora_rank),
      rotary(config.qk_rope_head_dim) {
    const kernels::DTypeInfo& t = kernels::info(type);
    if (!is_cache_type(type)) {
        throw ModelError("cache type " + std::string(t.name) +
                         " is not supported for the K cache: choose f16, bf16, f32, q8_0 or q4_0");
    }
    const int64_t elements = latent + rotary;
    if (n_layers <= 0 || latent <= 0 || rotary <= 0 || elements % t.block_elements != 0) {
        throw ModelError("a K row of " + std::to_string(elements) + " numbers (" +
                         std::to_string(latent) + " latent + " + std::to_string(rotary) +
                         " rotary) is not a whole number of " + std::string(t.name) +
                         " blocks of " + std::to_string(t.block_elements) +
                         ": choose cache type f16, bf16 or f32");
    }
}

int64_t KvLayout::row_bytes() const {
    return kernels::row_bytes(type, latent + rotary);
}

int64_t KvLayout::bytes_per_token() const {
    return n_layers * row_bytes();
}

int64_t KvLayout::page_bytes() const {
    return kernels::kPageTokens * bytes_per_token();
}

int64_t KvLayout::v_bytes_per_token() const {
    const kernels::DTypeInfo& t = kernels::info(type);
    const int64_t blocks = (latent + t.block_elements - 1) / t.block_elements;
    return n_layers * blocks * t.block_bytes;
}

int64_t KvLayout::pages_for(int64_t tokens) {
    return (tokens + kernels::kPageTokens - 1) / kernels::kPageTokens;
}

KvCache::KvCache(kernels::Backend& backend, const KvLayout& layout, int64_t limit_pages)
    : backend_(backend), layout_(layout), limit_pages_(limit_pages) {
    ENSURE(limit_pages > 0 && layout.n_layers > 0, limit_pages, " pages, ", layout.n_layers,
           " layers");
    const int64_t by_size = kMaxChunkBytes / layout_.page_bytes();
    const int64_t by_count = (limit_pages_ + kChunksOfSmallLimit - 1) / kChunksOfSmallLimit;
    pages_per_chunk_ = std::max<int64_t>(1, std::min(by_size, by_count));
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

kernels::KPages KvCache::layer(int64_t index) const {
    ENSURE(index >= 0 && index < layout_.n_layers, "layer ", index, " of ", layout_.n_layers);
    kernels::KPages view;
    view.pages = pages_.data();
    view.layer_offset_bytes = index * kernels::kPageTokens * layout_.row_bytes();
    view.row_bytes = layout_.row_bytes();
    view.dtype = layout_.type;
    view.latent = layout_.latent;
    view.rotary = layout_.rotary;
    return view;
}

}  // namespace runtime
