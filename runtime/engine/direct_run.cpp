#include "runtime/engine/direct_run.h"

#include <algorithm>
#include <numeric>
#include <random>

#include "kernels/check.h"
#include "kernels/k_row.h"
#include "runtime/engine/model_instance.h"
#include "runtime/error.h"

namespace runtime {

struct DirectRun::Data {
    ModelInstance instance;
    int64_t sequences = 1;
    std::vector<int32_t> page_table;  // 0, 1, 2, ...: a range of pages for each sequence
    int64_t position = 0;
    int64_t peak_kv_bytes = 0;
    int64_t random_pages = 0;  // the first ones; what was computed in them since is as good
    Batch batch;
    std::vector<float> logits;

    int64_t pages_each() const { return static_cast<int64_t>(page_table.size()) / sequences; }

    // Memory for so many tokens of each sequence, of which it may have `limit`.
    void reserve(int64_t tokens, int64_t limit) const {
        if (tokens > limit) {
            throw RequestError(
                RequestError::Kind::too_long,
                std::to_string(tokens) + " tokens do not fit a context of " + std::to_string(limit),
                "tokens", "context_length_exceeded");
        }
        if (!instance.cache->reserve((sequences - 1) * pages_each() +
                                     KvLayout::pages_for(tokens))) {
            throw RequestError(RequestError::Kind::too_long,
                               "out of memory for the K cache at " + std::to_string(tokens) +
                                   " tokens: use a smaller cache type",
                               "tokens");
        }
    }
};

DirectRun::DirectRun(const std::string& path, const EngineOptions& options, int64_t sequences)
    : data_(std::make_unique<Data>()) {
    data_->sequences = sequences;
    data_->instance = load_model(path, options);
    data_->page_table.resize(static_cast<size_t>(data_->instance.plan.pool_pages));
    std::iota(data_->page_table.begin(), data_->page_table.end(), 0);
}

DirectRun::~DirectRun() = default;

const LoadedModel& DirectRun::model() const {
    return *data_->instance.info;
}

std::span<const float> DirectRun::forward(std::span<const TokenId> tokens, bool all_rows) {
    Data& d = *data_;
    const LoadedModel& info = model();
    const int64_t n = static_cast<int64_t>(tokens.size()) / d.sequences;
    ENSURE(
        n * d.sequences == static_cast<int64_t>(tokens.size()) && (!all_rows || d.sequences == 1),
        tokens.size(), " tokens for ", d.sequences, " sequences");
    if (n == 0) {
        throw RequestError(RequestError::Kind::invalid, "no tokens to compute", "tokens");
    }
    for (const TokenId id : tokens) {
        if (id < 0 || id >= info.config.vocab) {
            throw RequestError(RequestError::Kind::invalid,
                               "token id " + std::to_string(id) + " is outside the vocabulary of " +
                                   std::to_string(info.config.vocab) + " tokens",
                               "tokens");
        }
    }
    const int64_t limit = d.sequences == 1 ? info.ctx_size : d.pages_each() * kernels::kPageTokens;
    d.reserve(d.position + n, limit);
    d.peak_kv_bytes = std::max(d.peak_kv_bytes, kv_bytes());
    d.logits.clear();
    std::span<const float> last;
    for (int64_t done = 0; done < n;) {
        const int64_t count =
            std::min(n - done, std::max<int64_t>(1, d.instance.ubatch_tokens / d.sequences));
        d.batch.token_ids.clear();
        d.batch.spans.clear();
        const std::span<const int32_t> pages(d.page_table);
        for (int64_t s = 0; s < d.sequences; s++) {
            const auto part =
                tokens.subspan(static_cast<size_t>(s * n + done), static_cast<size_t>(count));
            d.batch.token_ids.insert(d.batch.token_ids.end(), part.begin(), part.end());
            d.batch.spans.push_back({s * count, count, d.position,
                                     pages.subspan(static_cast<size_t>(s * d.pages_each()),
                                                   static_cast<size_t>(d.pages_each()))});
        }
        d.batch.logit_rows.clear();
        done += count;
        if (all_rows) {
            d.batch.logit_rows.resize(static_cast<size_t>(count));
            std::iota(d.batch.logit_rows.begin(), d.batch.logit_rows.end(), 0);
        } else if (done == n) {
            for (int64_t s = 0; s < d.sequences; s++) {
                d.batch.logit_rows.push_back(static_cast<int32_t>((s + 1) * count - 1));
            }
        }
        last = d.instance.model->forward(d.batch, *d.instance.cache);
        d.position += count;
        if (all_rows) {
            d.logits.insert(d.logits.end(), last.begin(), last.end());
        }
    }
    return all_rows ? std::span<const float>(d.logits) : last;
}

void DirectRun::reset() {
    data_->position = 0;
}

void DirectRun::pretend(int64_t tokens) {
    Data& d = *data_;
    ENSURE(d.sequences == 1, d.sequences, " sequences");
    d.reserve(tokens, model().ctx_size);
    const KvLayout& layout = d.instance.cache->layout();
    const int64_t pages = KvLayout::pages_for(tokens);
    if (d.random_pages < pages) {
        // One page of rows serves them all.
        const int64_t rows = layout.n_layers * kernels::kPageTokens;
        std::vector<std::byte> page(static_cast<size_t>(layout.page_bytes()));
        std::vector<float> row(static_cast<size_t>(layout.latent + layout.rotary));
        std::mt19937 random(1);
        std::normal_distribution<float> normal;
        for (int64_t i = 0; i < rows; i++) {
            std::ranges::generate(row, [&] { return normal(random); });
            kernels::pack_k_row(layout.type, row.data(), layout.latent, layout.rotary,
                                page.data() + i * layout.row_bytes());
        }
        const kernels::KPages places = d.instance.cache->layer(0);
        for (; d.random_pages < pages; d.random_pages++) {
            d.instance.backend->upload(
                {places.pages[d.random_pages], kernels::DType::f16, {layout.page_bytes() / 2}},
                page.data());
        }
    }
    d.position = tokens;
    d.peak_kv_bytes = std::max(d.peak_kv_bytes, kv_bytes());
}

int64_t DirectRun::position() const {
    return data_->position;
}

TokenWork DirectRun::work(int64_t depth, int64_t sequences) const {
    return data_->instance.model->work(bytes_per_token(), depth, sequences);
}

std::string DirectRun::description() const {
    return data_->instance.backend->description();
}

int64_t DirectRun::bytes_per_token() const {
    return data_->instance.cache->layout().bytes_per_token();
}

int64_t DirectRun::kv_bytes() const {
    return data_->instance.cache->reserved_bytes();
}

int64_t DirectRun::peak_kv_bytes() const {
    return data_->peak_kv_bytes;
}

MemorySnapshot::Device DirectRun::device() const {
    return data_->instance.device();
}

int64_t DirectRun::launches() const {
    return data_->instance.backend->launches();
}

std::vector<kernels::LaunchTime> DirectRun::profile(bool on) {
    return data_->instance.backend->profile(on);
}

}  // namespace runtime
