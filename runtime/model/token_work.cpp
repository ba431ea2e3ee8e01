#include "runtime/model/token_work.h"

#include <cmath>

namespace runtime {
namespace {

using kernels::Glu;
using kernels::TensorView;

struct Sum {
    double bytes = 0, elements = 0;

    // `read` of it is read, `used` of it is multiplied, as shares of the tensor.
    void add(const TensorView& tensor, double read, double used) {
        if (tensor.empty()) {
            return;
        }
        double weights = 1;
        for (int i = 0; i < tensor.rank; i++) {
            weights *= static_cast<double>(tensor.size[i]);
        }
        const double rows = weights / static_cast<double>(tensor.cols());
        bytes += read * rows * static_cast<double>(kernels::row_bytes(tensor.dtype, tensor.cols()));
        elements += used * weights;
    }
    void add(const Glu& glu, double read, double used) {
        add(glu.gate, read, used);
        add(glu.up, read, used);
        add(glu.down, read, used);
    }
};

}  // namespace

TokenWork token_work(const Weights& weights,
                     const ModelConfig& config,
                     int64_t k_bytes_per_token,
                     int64_t depth,
                     int64_t sequences) {
    const auto n = static_cast<double>(sequences);
    Sum sum;
    for (const LayerWeights& layer : weights.layers) {
        for (const TensorView* tensor : {&layer.q_a, &layer.q_b, &layer.kv_a, &layer.k_b,
                                         &layer.v_b, &layer.attn_output, &layer.router}) {
            sum.add(*tensor, 1, n);
        }
        if (layer.routed) {
            const double share =
                static_cast<double>(config.n_experts_used) / static_cast<double>(config.n_experts);
            sum.add(layer.experts, 1 - std::pow(1 - share, n), n * share);
            sum.add(layer.shared, 1, n);
        } else {
            sum.add(layer.dense, 1, n);
        }
    }
    sum.add(weights.output, 1, n);

    const double positions = n * static_cast<double>(depth + 1);
    TokenWork work;
    work.weight_bytes = sum.bytes;
    work.k_bytes = positions * static_cast<double>(k_bytes_per_token);
    work.multiply_adds =
        sum.elements +
        positions * static_cast<double>(config.n_layers * config.n_heads *
                                        (2 * config.kv_lora_rank + config.qk_rope_head_dim));
    return work;
}

}  // namespace runtime
