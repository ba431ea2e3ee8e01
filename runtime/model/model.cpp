#include "runtime/model/model.h"

#include <algorithm>

#include "kernels/check.h"
#include "runtime/cache/kv_cache.h"
#include "runtime/error.h"
#include "runtime/model/token_work.h"
#include "runtime/model/weights.h"

namespace runtime {
namespace {

using kernels::DType;
using kernels::TensorView;

// Rows of logits computed at a time: one row of 154,880 takes 605 KiB, so all rows of a long prompt
// (which only `keyhole eval` asks for) are done in groups.
constexpr int64_t kLogitRows = 32;
constexpr int64_t kAlignment = 64;  // bytes; a cache line, and what vector loads like

// Activations, all F32.
struct Activations {
    TensorView x;         // [T, D]      residual stream
    TensorView q_latent;  // [T, Q]
    TensorView kv;        // [T, L+R]    before the norm and rotation
    TensorView q;         // [T, H, N+R]
    TensorView heads;     // [T, H, V]
    TensorView logits;    // [kLogitRows, W]

    // Lays the arrays out one behind the other from `memory` (null: only counts) and returns the
    // bytes they take.
    int64_t place(std::byte* memory, const ModelConfig& c, int64_t T) {
        int64_t bytes = 0;
        const auto put = [&](TensorView& view, std::initializer_list<int64_t> size) {
            view = {nullptr, DType::f32, size};
            view.data = memory == nullptr ? nullptr : memory + bytes;
            bytes += (view.bytes() + kAlignment - 1) / kAlignment * kAlignment;
        };
        put(x, {T, c.hidden});
        put(q_latent, {T, c.q_lora_rank});
        put(kv, {T, c.k_row_elements()});
        put(q, {T, c.n_heads, c.qk_nope_head_dim + c.qk_rope_head_dim});
        put(heads, {T, c.n_heads, c.v_head_dim});
        put(logits, {std::min(T, kLogitRows), c.vocab});
        return bytes;
    }
};

}  // namespace

struct Model::Data {
    std::shared_ptr<const GgufFile> file;  // first: the weights point into it
    kernels::Backend& backend;
    ModelConfig config;
    Weights weights;
    int64_t max_batch_tokens;
    kernels::Buffer memory;
    Activations activations;
    kernels::Buffer host_logits;  // [at least kLogitRows, W]
};

Model::Model(std::shared_ptr<const GgufFile> file,
             kernels::Backend& backend,
             int64_t max_batch_tokens,
             const LoadProgress& progress,
             int64_t cpu_moe_layers) {
    ENSURE(max_batch_tokens > 0, max_batch_tokens);
    ModelConfig config = ModelConfig::from(*file);
    Weights weights = Weights::load(*file, config, backend, progress, {cpu_moe_layers});
    config.warnings.insert(config.warnings.end(), weights.warnings.begin(), weights.warnings.end());
    data_ = std::make_unique<Data>(Data{std::move(file),
                                        backend,
                                        std::move(config),
                                        std::move(weights),
                                        max_batch_tokens,
                                        {},
                                        {},
                                        {}});
    Data& d = *data_;
    d.memory =
        backend.allocate(activation_bytes(d.config, max_batch_tokens), kernels::MemoryUse::compute);
    d.activations.place(d.memory.data(), d.config, max_batch_tokens);
    d.host_logits = backend.allocate_host(d.activations.logits.bytes());
}

Model::~Model() = default;

TokenWork Model::work(int64_t k_bytes_per_token, int64_t depth, int64_t sequences) const {
    return token_work(data_->weights, data_->config, k_bytes_per_token, depth, sequences);
}

const ModelConfig& Model::config() const {
    return data_->config;
}

int64_t Model::activation_bytes(const ModelConfig& config, int64_t max_batch_tokens) {
    return Activations{}.place(nullptr, config, max_batch_tokens);
}

kernels::WorkShape Model::work_shape(const ModelConfig& c,
                                     int64_t max_batch_tokens,
                                     int64_t max_sequences,
                                     int64_t ctx_size) {
    kernels::WorkShape shape;
    shape.n_tokens = max_batch_tokens;
    shape.n_sequences = max_sequences;
    shape.context = ctx_size;
    shape.hidden = c.hidden;
    shape.n_heads = c.n_heads;
    shape.q_latent = c.q_lora_rank;
    shape.nope = c.qk_nope_head_dim;
    shape.rotary = c.qk_rope_head_dim;
    shape.latent = c.kv_lora_rank;
    shape.value = c.v_head_dim;
    shape.dense_ff = c.n_dense_layers > 0 ? c.dense_ff : 0;
    shape.expert_ff = c.expert_ff;
    shape.shared_ff = c.shared_ff;
    shape.n_experts = c.n_experts;
    shape.n_used = c.n_experts_used;
    return shape;
}

// The network (DeepSeek-V2, arXiv 2405.04434, section 2; routing as in DeepSeek-V3, arXiv
// 2412.19437, section 2.1.2):
//
//   x = embedding
//   per layer:  x += attn_output . MLA( norm(x) )
//               x += FFN( norm(x) )           dense in the first layers, then routed experts +
//               shared expert
//   logits = output . norm(x)
std::span<const float> Model::forward(const Batch& batch, KvCache& cache) {
    Data& d = *data_;
    const ModelConfig& c = d.config;
    kernels::Backend& backend = d.backend;
    const int64_t T = batch.n_tokens();
    ENSURE(T <= d.max_batch_tokens, T, " tokens, room for ", d.max_batch_tokens);
    if (T == 0) {
        ENSURE(batch.logit_rows.empty(), "logits of an empty batch");
        return {};
    }
    const TensorView x = d.activations.x.first(T);
    const TensorView q_latent = d.activations.q_latent.first(T);
    const TensorView kv = d.activations.kv.first(T);
    const TensorView q = d.activations.q.first(T);
    const TensorView heads = d.activations.heads.first(T);
    const TensorView heads_in_a_row = heads.reshaped({T, c.n_heads * c.v_head_dim});
    const kernels::PagedBatch paged = batch.paged();
    const kernels::Rope rope{c.rope_freq_base};
    const kernels::MoeRouting routing{c.n_experts_used, c.expert_weights_norm,
                                      c.expert_weights_scale};
    const float eps = c.rms_norm_eps;

    const auto layers = [&] {
        backend.embed(x, d.weights.token_embd, batch.token_ids);
        for (int64_t i = 0; i < c.n_layers; i++) {
            const LayerWeights& w = d.weights.layers[static_cast<size_t>(i)];
            const kernels::KPages pages = cache.layer(i);

            const kernels::Product down[] = {{q_latent, w.q_a}, {kv, w.kv_a}};
            backend.norm_matmul(down, x, w.attn_norm, eps);
            backend.mla_query_and_store(q, q_latent, w.q_a_norm, w.q_b, kv, w.kv_a_norm, pages,
                                        paged, rope, eps);
            backend.mla_attend(heads, q, w.k_b, w.v_b, pages, paged, c.attention_scale());
            backend.matmul_add(x, heads_in_a_row, w.attn_output);

            if (w.routed) {
                backend.moe_ffn(x, w.ffn_norm, w.router, w.router_bias, routing, w.experts,
                                w.shared, eps);
            } else {
                backend.dense_ffn(x, w.ffn_norm, w.dense, eps);
            }
            if (on_layer) {
                std::vector<float> host(static_cast<size_t>(x.elements()));
                backend.download(host.data(), x);
                on_layer(i, host);
            }
        }
    };
    const auto n = static_cast<int64_t>(batch.logit_rows.size());
    const auto bytes = n * c.vocab * static_cast<int64_t>(sizeof(float));
    if (static_cast<int64_t>(d.host_logits.size_bytes()) < bytes) {
        d.host_logits = backend.allocate_host(bytes);  // a caller that wants more than one group
    }
    auto* logits = reinterpret_cast<float*>(d.host_logits.data());
    // Rows of logits in groups; those of the first are part of the pass.
    const int64_t group = d.activations.logits.size[0];
    const auto head = [&](int64_t done) {
        const int64_t count = std::min(group, n - done);
        const TensorView out = d.activations.logits.first(count);
        const kernels::Product product[] = {{out, d.weights.output}};
        backend.norm_matmul(product, x, d.weights.output_norm, eps,
                            std::span(batch.logit_rows)
                                .subspan(static_cast<size_t>(done), static_cast<size_t>(count)));
        return out;
    };
    TensorView out;
    const auto all = [&] {
        layers();
        if (n > 0) {
            out = head(0);
        }
    };
    if (on_layer || n > group) {
        all();
    } else {
        backend.pass(
            {paged, cache.layer(0), batch.token_ids, d.weights.token_embd, batch.logit_rows, &d},
            all);
        out = d.activations.logits.first(n);
    }
    for (int64_t done = 0; done < n; done += group) {
        if (done > 0) {
            out = head(done);
        }
        backend.download(logits + done * c.vocab, out);
    }
    return {logits, static_cast<size_t>(n * c.vocab)};
}

}  // namespace runtime
