// The feed-forward operations: dense and mixture of experts. Both are a list of GluJobs: one
// network each, with the tokens it is for. For one token the rows of all chosen experts are shared
// out together, so that no core waits; for many, each expert's weights are read once for all its
// tokens.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/cpu/cpu_backend.h"
#include "kernels/cpu/row_shares.h"
#include "kernels/operation_shapes.h"

namespace kernels::cpu {
namespace {

// Rows of gate and up worked on at a time: a thread's part of `up` stays in its cache.
constexpr int64_t kTileRows = 64;

// The floor of the sum that weights are divided by: the smallest normal half, as llama.cpp has it.
constexpr float kLeastWeightSum = 0x1p-14F;

unsigned bit(ActivationFormat format) {
    return 1U << static_cast<int>(format);
}

unsigned input_formats(const Glu& glu) {
    return bit(activation_format(glu.gate.dtype)) | bit(activation_format(glu.up.dtype));
}

}  // namespace

// Calls body(job, first, last, worker) for the rows of every job, in equal shares.
template <typename Cost, typename Body>
void CpuBackend::share_out(std::span<const GluJob> jobs, const Cost& cost, const Body& body) {
    const TotalCost total = total_cost(jobs, cost);
    parallel(total.all, kShareRows * total.most, [&](int64_t begin, int64_t end, int worker) {
        for_rows_of_share(jobs, begin, end, cost,
                          [&](const GluJob& job, int64_t first, int64_t last) {
                              body(job, first, last, worker);
                          });
    });
}

void CpuBackend::run_glu(std::span<const GluJob> jobs,
                         const PackedRows& inputs,
                         int64_t n_rows,
                         float* result,
                         int64_t dim) {
    int64_t width = 0, most = 0;
    unsigned formats = 0;
    for (const GluJob& job : jobs) {
        width = std::max(width, job.gate.size[0]);
        most = std::max(most, job.count);
        formats |= bit(activation_format(job.down.dtype));
    }
    auto* hidden = scratch_.get<float>(Slot::hidden, n_rows * width);
    auto* ups = scratch_.get<float>(Slot::worker, most * kTileRows * active_);

    share_out(
        jobs,
        [](const GluJob& job) {
            return RowCost{job.gate.size[0], row_cost(job.count)};
        },
        [&](const GluJob& job, int64_t first, int64_t last, int worker) {
            float* up = ups + worker * most * kTileRows;
            const std::byte* const* gate_in = inputs[activation_format(job.gate.dtype)] + job.first;
            const std::byte* const* up_in = inputs[activation_format(job.up.dtype)] + job.first;
            for (int64_t m = first; m < last; m += kTileRows) {
                const int64_t end = std::min(m + kTileRows, last);
                float* gate = hidden + job.first * width + m;
                matmul_rows(gate, width, job.gate, m, end, gate_in, job.count);
                matmul_rows(up, kTileRows, job.up, m, end, up_in, job.count);
                for (int64_t t = 0; t < job.count; t++) {
                    rows_.swiglu(gate + t * width, up + t * kTileRows, end - m);
                }
            }
        });

    auto** pointers = scratch_.get<const std::byte*>(Slot::pointers_2, kActivationFormats * n_rows);
    PackedRows packed;
    std::byte* base[kActivationFormats] = {};
    int64_t row_size[kActivationFormats] = {};
    for (int f = 0; f < kActivationFormats; f++) {
        if ((formats >> f & 1) == 0) {
            continue;
        }
        // The narrower of two widths packs into less, but rows are laid out for the widest.
        for (const GluJob& job : jobs) {
            if (static_cast<int>(activation_format(job.down.dtype)) == f) {
                row_size[f] = std::max(
                    row_size[f],
                    (activation_row_bytes(static_cast<ActivationFormat>(f), job.gate.size[0]) +
                     63) /
                        64 * 64);
            }
        }
        base[f] = scratch_.bytes(static_cast<Slot>(static_cast<int>(Slot::packed_2_f32) + f),
                                 row_size[f] * n_rows);
        packed.of[f] = pointers + f * n_rows;
        for (int64_t t = 0; t < n_rows; t++) {
            pointers[f * n_rows + t] = base[f] + t * row_size[f];
        }
    }
    parallel(n_rows, std::max<int64_t>(1, 16384 / width), [&](int64_t begin, int64_t end, int) {
        for (const GluJob& job : jobs) {
            const ActivationFormat format = activation_format(job.down.dtype);
            const int f = static_cast<int>(format);
            const int64_t last = std::min(end, job.first + job.count);
            for (int64_t t = std::max(begin, job.first); t < last; t++) {
                pack_activation(format, hidden + t * width, job.gate.size[0],
                                base[f] + t * row_size[f]);
            }
        }
    });

    share_out(
        jobs,
        [&](const GluJob& job) {
            return RowCost{dim, row_cost(job.count)};
        },
        [&](const GluJob& job, int64_t first, int64_t last, int) {
            matmul_rows(result + job.first * dim + first, dim, job.down, first, last,
                        packed[activation_format(job.down.dtype)] + job.first, job.count);
        });
}

void CpuBackend::dense_ffn(const TensorView& x, const TensorView& norm, const Glu& glu, float eps) {
    check_dense_ffn(x, norm, glu);
    const int64_t count = x.size[0], dim = x.size[1];
    use_threads_for(count);
    const float* weight = vector(norm, Slot::vector);
    for (int64_t first = 0; first < count; first += kBlockTokens) {
        const int64_t n = std::min(kBlockTokens, count - first);
        const PackedRows packed = norm_and_pack(x, first, n, {}, weight, eps, input_formats(glu));
        auto* result = scratch_.get<float>(Slot::result, n * dim);
        const GluJob job{glu.gate, glu.up, glu.down, 0, n};
        run_glu({&job, 1}, packed, n, result, dim);
        parallel(n, std::max<int64_t>(1, 16384 / dim), [&](int64_t begin, int64_t end, int) {
            for (int64_t t = begin; t < end; t++) {
                rows_.add(reinterpret_cast<float*>(x.data + (first + t) * x.stride_bytes[0]),
                          result + t * dim, dim);
            }
        });
    }
}

void CpuBackend::route(const TensorView& router,
                       const float* bias,
                       const MoeRouting& routing,
                       const PackedRows& packed,
                       int64_t count,
                       int32_t* chosen,
                       float* weights) {
    const int64_t experts = router.size[0], used = routing.n_used;
    auto* scores = scratch_.get<float>(Slot::scores, 2 * count * experts);
    float* ranking = scores + count * experts;
    const Product product{TensorView(scores, DType::f32, {count, experts}), router};
    multiply({&product, 1}, 0, count, packed);
    parallel(count, std::max<int64_t>(1, 4096 / experts), [&](int64_t begin, int64_t end, int) {
        for (int64_t t = begin; t < end; t++) {
            float* score = scores + t * experts;
            float* rank = ranking + t * experts;
            for (int64_t e = 0; e < experts; e++) {
                score[e] = 1.0F / (1.0F + std::exp(-score[e]));
                const float value = bias != nullptr ? score[e] + bias[e] : score[e];
                // Not a number ranks last, so that a broken weight shows in the result and not in
                // an index.
                rank[e] = std::isnan(value) ? -INFINITY : value;
            }
            float sum = 0;
            for (int64_t k = 0; k < used; k++) {
                int64_t best = -1;
                for (int64_t e = 0; e < experts; e++) {
                    const bool taken = std::find(chosen + t * used, chosen + t * used + k,
                                                 static_cast<int32_t>(e)) != chosen + t * used + k;
                    if (!taken && (best < 0 || rank[e] > rank[best])) {
                        best = e;
                    }
                }
                chosen[t * used + k] = static_cast<int32_t>(best);
                weights[t * used + k] = score[best];
                sum += score[best];
            }
            const float divisor = routing.normalize ? std::max(sum, kLeastWeightSum) : 1.0F;
            for (int64_t k = 0; k < used; k++) {
                weights[t * used + k] = weights[t * used + k] / divisor * routing.scale;
            }
        }
    });
}

void CpuBackend::moe_ffn(const TensorView& x,
                         const TensorView& norm,
                         const TensorView& router,
                         const TensorView& bias,
                         const MoeRouting& routing,
                         const Glu& experts,
                         const Glu& shared,
                         float eps) {
    check_moe_ffn(x, norm, router, bias, routing, experts, shared);
    const int64_t count = x.size[0], dim = x.size[1], used = routing.n_used;
    const int64_t n_experts = experts.gate.size[0];
    const bool has_shared = !shared.gate.empty();
    unsigned formats = bit(activation_format(router.dtype)) | input_formats(experts);
    if (has_shared) {
        formats |= input_formats(shared);
    }
    use_threads_for(count);
    const float* weight = vector(norm, Slot::vector);
    const float* bias_values = bias.empty() ? nullptr : vector(bias, Slot::vector_2);

    for (int64_t first = 0; first < count; first += kBlockTokens) {
        const int64_t n = std::min(kBlockTokens, count - first);
        const PackedRows packed = norm_and_pack(x, first, n, {}, weight, eps, formats);

        // chosen [n, K], place [n, K] (row of `result`), and per expert where its rows begin.
        const int64_t pairs = n * used, rows = pairs + (has_shared ? n : 0);
        auto* chosen = scratch_.get<int32_t>(Slot::indices, 2 * pairs + 2 * n_experts + 1);
        int32_t *place = chosen + pairs, *begins = place + pairs, *filled = begins + n_experts + 1;
        auto* weights = scratch_.get<float>(Slot::running, pairs);
        route(router, bias_values, routing, packed, n, chosen, weights);

        std::fill(begins, begins + n_experts + 1, 0);
        for (int64_t i = 0; i < pairs; i++) {
            begins[chosen[i] + 1]++;
        }
        int64_t n_jobs = has_shared ? 1 : 0;
        for (int64_t e = 0; e < n_experts; e++) {
            n_jobs += begins[e + 1] > 0 ? 1 : 0;
            begins[e + 1] += begins[e];
            filled[e] = begins[e];
        }
        auto** sources = scratch_.get<const std::byte*>(Slot::rows, kActivationFormats * rows);
        PackedRows inputs;
        for (int f = 0; f < kActivationFormats; f++) {
            inputs.of[f] = packed.of[f] != nullptr ? sources + f * rows : nullptr;
        }
        const auto place_row = [&](int64_t row, int64_t t) {
            for (int f = 0; f < kActivationFormats; f++) {
                if (packed.of[f] != nullptr) {
                    sources[f * rows + row] = packed.of[f][t];
                }
            }
        };
        for (int64_t i = 0; i < pairs; i++) {
            place[i] = filled[chosen[i]]++;
            place_row(place[i], i / used);
        }
        auto* jobs = scratch_.get<GluJob>(Slot::jobs, n_jobs);
        GluJob* job = jobs;
        for (int64_t e = 0; e < n_experts; e++) {
            if (begins[e + 1] > begins[e]) {
                *job++ = {experts.gate[e], experts.up[e], experts.down[e], begins[e],
                          begins[e + 1] - begins[e]};
            }
        }
        if (has_shared) {
            for (int64_t t = 0; t < n; t++) {
                place_row(pairs + t, t);
            }
            *job++ = {shared.gate, shared.up, shared.down, pairs, n};
        }

        auto* result = scratch_.get<float>(Slot::result, rows * dim);
        run_glu({jobs, static_cast<size_t>(n_jobs)}, inputs, rows, result, dim);

        // The sum is made in the row of the best expert, whose result is read first and by this
        // token alone.
        parallel(n, std::max<int64_t>(1, 4096 / dim), [&](int64_t begin, int64_t end, int) {
            for (int64_t t = begin; t < end; t++) {
                float* sum = result + place[t * used] * dim;
                rows_.multiply(sum, sum, weights[t * used], dim);
                for (int64_t k = 1; k < used; k++) {
                    rows_.multiply_add(sum, result + place[t * used + k] * dim,
                                       weights[t * used + k], dim);
                }
                if (has_shared) {
                    rows_.add(sum, result + (pairs + t) * dim, dim);
                }
                rows_.add(reinterpret_cast<float*>(x.data + (first + t) * x.stride_bytes[0]), sum,
                          dim);
            }
        });
    }
}

}  // namespace kernels::cpu
