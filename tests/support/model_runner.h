// A model on a backend with a K cache of its own, and the least that runs it: sequences of tokens
// in batches, without a scheduler. Pages are handed out in a shuffled order, so that nothing may
// rely on their places.
#pragma once

#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "kernels/backend.h"
#include "runtime/cache/kv_cache.h"
#include "runtime/model/model.h"

namespace tests {

class ModelRunner {
public:
    struct Sequence {
        std::vector<int32_t> pages;
        int64_t length = 0;
    };
    struct Chunk {
        Sequence* sequence;
        std::vector<int32_t> tokens;
    };

    explicit ModelRunner(const std::string& path,
                         kernels::KType cache_type = kernels::DType::f32,
                         int64_t max_tokens = 64,
                         int64_t n_pages = 16,
                         std::unique_ptr<kernels::Backend> on = kernels::make_cpu_backend({2, 2}))
        : backend(std::move(on)),
          model(runtime::GgufFile::open(path), *backend, max_tokens),
          cache(*backend, runtime::KvLayout(model.config(), cache_type), n_pages) {
        if (!cache.reserve(n_pages)) {
            throw std::runtime_error("no room for the test's cache");
        }
        for (int64_t i = 0; i < n_pages; i++) {
            free_pages.push_back(static_cast<int32_t>(i));
        }
        std::shuffle(free_pages.begin(), free_pages.end(), std::mt19937(5));
    }

    // One pass over the chunks; returns the logits of all their tokens, row by row.
    std::vector<float> run(const std::vector<Chunk>& chunks, bool want_logits = true) {
        runtime::Batch batch;
        for (const Chunk& chunk : chunks) {
            Sequence& s = *chunk.sequence;
            const auto n = static_cast<int64_t>(chunk.tokens.size());
            while (static_cast<int64_t>(s.pages.size()) * kernels::kPageTokens < s.length + n) {
                s.pages.push_back(free_pages.back());
                free_pages.pop_back();
            }
            batch.spans.push_back({batch.n_tokens(), n, s.length, s.pages});
            batch.token_ids.insert(batch.token_ids.end(), chunk.tokens.begin(), chunk.tokens.end());
            s.length += n;
        }
        for (int32_t i = 0; want_logits && i < batch.n_tokens(); i++) {
            batch.logit_rows.push_back(i);
        }
        const auto logits = model.forward(batch, cache);
        return {logits.begin(), logits.end()};
    }

    std::vector<float> run(Sequence& sequence, const std::vector<int32_t>& tokens) {
        return run({{&sequence, tokens}});
    }

    std::unique_ptr<kernels::Backend> backend;
    runtime::Model model;
    runtime::KvCache cache;
    std::vector<int32_t> free_pages;
};

}  // namespace tests
