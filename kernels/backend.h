// Backend: the operations a model is made of, on one device. Knows arrays, shapes and pages; knows no model, token or
// text. Used by one thread at a time (the engine's), except for memory(), which any thread may call.
//
// The operations are as wide as a fused GPU kernel wants them, so that Model::forward is written once for all backends:
// norms are the prologue of the product that follows, rotary position and the cache write the epilogue, residual sums
// happen in place.
//
// Shape letters, outermost first: T tokens in this pass, D hidden, H heads, L latent, N / R per-head query and key size
// without / with rotary position, V per-head value size, E experts, K experts used, F expert width, W vocabulary,
// M output width. Activations are F32; weights may have any type of dtype.h and rows may be strided.
//
// Batch invariance, which callers rely on: row t of every result depends on row t of the inputs (and the cached rows of
// its own sequence) alone: not on T, not on the other rows, not on the number of threads. The same request gives the
// same bits alone or among others. Two exceptions: mla_attend may take another form, which rounds differently, for a span
// of more than 512 tokens (the CPU: from 1,024, see cpu/attention.h); chunks of up to 512 keep the promise. And products
// of same_bits_below() rows and more (a card: 32, the CPU: never) may take another form, for all their rows alike.
// Every operation checks the shapes it is given and throws std::logic_error (ENSURE) where they do not fit.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/buffer.h"
#include "kernels/k_type.h"
#include "kernels/tensor.h"

namespace kernels {

inline constexpr int64_t kPageTokens = 64;  // tokens in one page of the K cache

// One layer's K rows in the paged cache. A row is L latent numbers, then R rotary ones, as one row of `dtype`
// (f32, f16, bf16, q8_0 or q4_0), or a q8_latent row (k_type.h); row r of page p lies at
// pages[p] + layer_offset_bytes + r * row_bytes.
// V is the first L numbers of the same row: there is no V memory.
struct KPages {
    std::byte* const* pages = nullptr;  // host array of page base addresses; entries of absent pages are null
    int64_t layer_offset_bytes = 0;
    int64_t row_bytes = 0;
    DType dtype = DType::f16;
    int64_t latent = 0;  // L
    int64_t rotary = 0;  // R
    bool int8_latent = false;  // rows are KType::q8_latent(); dtype is not used

    KType type() const { return int8_latent ? KType::q8_latent() : KType(dtype); }
};

// The tokens of one sequence in a pass: rows [first_row, first_row + n_tokens) of the activations, which stand at
// positions [start, start + n_tokens) and see the cached positions before and including their own.
struct SequenceSpan {
    int64_t first_row = 0;
    int64_t n_tokens = 0;
    int64_t start = 0;
    std::span<const int32_t> page_table;  // page id of positions 0..63, 64..127, ...; entries past the end are not read
};

// How the T tokens of a pass lie in sequences. Spans cover rows 0..T-1 in order.
struct PagedBatch {
    std::span<const SequenceSpan> spans;
    int64_t n_tokens = 0;
};

struct Product {
    TensorView out;     // [T, M] F32
    TensorView weight;  // [M, D]
};

struct Rope {
    float freq_base = 1e6F;  // angle of pair i at position p: p * freq_base^(-2i/R); neighbours (2i, 2i+1) are a pair
};

struct MoeRouting {
    int64_t n_used = 0;              // K
    bool normalize = true;           // weights of the chosen divided by their sum
    float scale = 1;                 // then multiplied by this
};

// Gate and up projection, SwiGLU, down projection: down(silu(gate x) * up x).
struct Glu {
    TensorView gate;  // [F, D], or [E, F, D] for routed experts
    TensorView up;    // same shape as gate
    TensorView down;  // [D, F], or [E, D, F]
};

// The largest pass that a backend will be asked for, and the model's widths: what its working memory depends on.
struct WorkShape {
    int64_t n_tokens = 0;     // T
    int64_t n_sequences = 0;  // spans of a pass
    int64_t context = 0;      // positions of a sequence
    int64_t hidden = 0;       // D
    int64_t n_heads = 0;      // H
    int64_t q_latent = 0;     // Q
    int64_t nope = 0;         // N
    int64_t rotary = 0;       // R
    int64_t latent = 0;       // L
    int64_t value = 0;        // V
    int64_t dense_ff = 0;
    int64_t expert_ff = 0;  // F
    int64_t shared_ff = 0;
    int64_t n_experts = 0;  // E
    int64_t n_used = 0;     // K
};

// What a forward pass works on: known before its operations run, so that it can go to a device in one copy.
struct PassInputs {
    PagedBatch batch;
    KPages pages;  // of any layer: where the pages lie, and their form
    std::span<const int32_t> ids;  // of embed(), and its table
    TensorView table;
    std::span<const int32_t> rows;  // of the norm_matmul() that takes some rows; may be empty
    const void* owner = nullptr;    // whose pass: operations of one owner differ by the shape of the inputs alone
};

// How long the launches of one kernel took on the device.
struct LaunchTime {
    std::string kernel;
    int64_t launches = 0;
    double seconds = 0;
};

struct DeviceMemory {
    std::string name;              // "CPU", or the card's
    int64_t total_bytes = 0;       // of the device (or of --vram)
    int64_t free_bytes = 0;        // as the driver or the system says now
    int64_t weights_bytes = 0;     // held by this backend, from its account
    int64_t kv_bytes = 0;
    int64_t compute_bytes = 0;
};

class Backend {
public:
    virtual ~Backend() = default;

    // --- memory
    // Zeroed memory for `use`. Throws DeviceError naming the bytes asked for and the bytes free.
    virtual Buffer allocate(int64_t bytes, MemoryUse use) = 0;
    // A weight as this backend wants to read it: the CPU uses a mapped file's bytes where they lie and counts them as
    // weights. `host` must stay valid as long as the backend.
    virtual TensorView adopt_weight(const TensorView& host) = 0;
    // adopt_weight() reads all of the weight at once: nobody needs to bring it into memory before.
    virtual bool copies_weights() const { return false; }
    // A weight that is better read by the CPU: the embedding, of which a pass takes a few rows, and experts for which a
    // card has no room. Other operations than embed() and moe_ffn() do not take it. A CPU adopts it like any other.
    virtual TensorView keep_on_host(const TensorView& host) { return adopt_weight(host); }
    // Before the first weight: all that will be adopted on the device take so many bytes, each rounded as the plan says.
    virtual void reserve_weights(int64_t /*bytes*/) {}
    // Bytes of compute memory that passes up to this shape take; reserve_work() allocates them, and such passes then
    // allocate nothing.
    virtual int64_t work_bytes(const WorkShape& /*shape*/) const { return 0; }
    virtual void reserve_work(const WorkShape& /*shape*/) {}
    // Allocations are rounded up to this by the driver, which the account does not see.
    virtual int64_t allocation_granule() const { return 1; }
    // Operations on so many tokens and more may take another form, see the head of this file.
    virtual int64_t same_bits_below() const { return INT64_MAX; }
    virtual void upload(const TensorView& device, const void* host) = 0;    // dense, whole view
    virtual void download(void* host, const TensorView& device) = 0;        // dense, whole view; waits for the device
    virtual DeviceMemory memory() const = 0;
    virtual std::string description() const = 0;                            // "CPU, 8 threads, AVX-512 VNNI"

    // Memory of the host that copies from and to the device take the shortest way with.
    virtual Buffer allocate_host(int64_t bytes);

    // Runs `operations`, the operations of one pass over `inputs` and nothing else: no upload, no download. A backend
    // may keep what it launched for a shape and launch that again instead of calling them.
    virtual void pass(const PassInputs& /*inputs*/, const std::function<void()>& operations) { operations(); }
    // Kernels launched so far; 0 where a backend has none.
    virtual int64_t launches() const { return 0; }
    // From on = true to on = false every launch is timed, which slows passes down; then returns the times, the largest
    // first. Empty where a backend has no launches.
    virtual std::vector<LaunchTime> profile(bool /*on*/) { return {}; }

    // --- operations, in the order of a layer

    // out[t] = row ids[t] of table [W, D], as F32. out [T, D]. ids are host memory, each in [0, W).
    virtual void embed(const TensorView& out, const TensorView& table, std::span<const int32_t> ids) = 0;

    // h = x / sqrt(mean(x^2) + eps) * norm; each product's out = h . weight^T.   x [T, D], norm [D].
    // With `rows` (host, indices into x) only those rows are taken: out has rows.size() rows, in that order.
    virtual void norm_matmul(std::span<const Product> products, const TensorView& x, const TensorView& norm, float eps,
                             std::span<const int32_t> rows = {}) = 0;

    // Queries: q [T, H, N+R] = q_b . rmsnorm(q_latent [T, Q], q_norm [Q]), the last R of each head rotated to the
    // token's position.   q_b [H*(N+R), Q]. R is pages.rotary.
    // K rows: kv [T, L+R] -> latent normed with kv_norm [L], rotary part rotated, written to the tokens' places in `pages`.
    virtual void mla_query_and_store(const TensorView& q, const TensorView& q_latent, const TensorView& q_norm,
                                     const TensorView& q_b, const TensorView& kv, const TensorView& kv_norm,
                                     const KPages& pages, const PagedBatch& batch, const Rope& rope, float eps) = 0;

    // Causal attention over the paged K rows (MLA). heads [T, H, V]; q [T, H, N+R]; k_b [H, L, N]; v_b [H, V, L].
    //   absorbed: q~ = k_b q_nope; attention of [q~ | q_rope] over the rows themselves; heads = v_b . mixed latents
    //   expanded: k = k_b^T z, v = v_b z per head and position, ordinary attention; chosen for long chunks, as measured
    // scale multiplies the scores before the softmax. The rows of this pass are already stored.
    // Source: DeepSeek-V2 (arXiv 2405.04434), sections 2.1.2 and 2.1.3.
    virtual void mla_attend(const TensorView& heads, const TensorView& q, const TensorView& k_b, const TensorView& v_b,
                            const KPages& pages, const PagedBatch& batch, float scale) = 0;

    // x [T, D] += in [T, C] . weight^T.   weight [D, C]
    virtual void matmul_add(const TensorView& x, const TensorView& in, const TensorView& weight) = 0;

    // x [T, D] += glu(rmsnorm(x, norm)); the dense feed-forward block.
    virtual void dense_ffn(const TensorView& x, const TensorView& norm, const Glu& glu, float eps) = 0;

    // The routed feed-forward block. h = rmsnorm(x, norm); scores = sigmoid(router [E, D] . h) in F32; the K experts
    // with the largest score + bias [E] (ties: lower index first) get weight = score (without bias), normalised and
    // scaled as `routing` says.   x [T, D] += sum over chosen, best first, of weight * expert(h), then + shared(h).
    // shared may be empty. `bias` may be empty (zero).
    virtual void moe_ffn(const TensorView& x, const TensorView& norm, const TensorView& router, const TensorView& bias,
                         const MoeRouting& routing, const Glu& experts, const Glu& shared, float eps) = 0;
};

struct CpuOptions {
    int threads = 0;        // for few tokens; 0 = physical cores
    int threads_batch = 0;  // for many tokens; 0 = as `threads`
    int64_t limit_bytes = 0;  // weights and memory handed out never pass this; 0 = what the machine has
};

std::unique_ptr<Backend> make_cpu_backend(const CpuOptions& options);

struct CudaOptions {
    int device = 0;
    int64_t limit_bytes = 0;  // as if the card had no more; 0 = what it has
    CpuOptions cpu;           // of the CPU beside it, which computes what is kept on the host
};

// Null where the build or the machine has no CUDA. Throws DeviceError: a driver or a card that is too old.
std::unique_ptr<Backend> make_cuda_backend(const CudaOptions& options = {});

}  // namespace kernels
