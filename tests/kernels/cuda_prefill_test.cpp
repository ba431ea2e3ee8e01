// Attention of long spans in the expanded form against double loops: every row type and kinds of
// weights, awkward lengths, several pieces, shuffled pages whose unused rows are NaN; in every
// schedule.
#include <numeric>

#include "kernels/backend.h"
#include "kernels/card_memory.h"
#include "kernels/cuda/mla_expand.h"
#include "kernels/k_row.h"
#include "tests/kernels/backend_support.h"
#include "tests/kernels/cuda_support.h"
#include "tests/kernels/random_blocks.h"

using namespace tests;
using kernels::KType;
using kernels::cuda::Expand;

namespace {

constexpr int kLatent = 512, kRotary = 64, kNope = 192, kValue = 256;
constexpr int kRow = kLatent + kRotary, kHead = kNope + kRotary;

struct Case {
    KType type = DType::f16;
    int heads = 1;
    int cached = 0, queries = 1;
    int piece = 4096;  // cached tokens at a time
    DType k_b = DType::f16, v_b = DType::f16;
    float size = 1;   // of the first tokens' rows
    int broken = -1;  // a position whose row is not a number
};

// Heads of all queries by the definition.
Doubles defined(const Case& c,
                const Floats& rows,
                const Floats& q,
                const Floats& k_b,
                const Floats& v_b,
                float scale) {
    const int length = c.cached + c.queries;
    Doubles want(static_cast<size_t>(c.queries * c.heads * kValue));
    for (int h = 0; h < c.heads; h++) {
        Doubles keys(static_cast<size_t>(length * kNope)),
            values(static_cast<size_t>(length * kValue));
        for (int p = 0; p < length; p++) {
            const float* z = rows.data() + p * kRow;
            double* key = keys.data() + p * kNope;
            for (int l = 0; l < kLatent; l++) {
                const float* weights = k_b.data() + (h * kLatent + l) * kNope;
                for (int n = 0; n < kNope; n++)
                    key[n] += double(weights[n]) * z[l];
            }
            for (int v = 0; v < kValue; v++) {
                const float* weights = v_b.data() + (h * kValue + v) * kLatent;
                double sum = 0;
                for (int l = 0; l < kLatent; l++)
                    sum += double(weights[l]) * z[l];
                values[static_cast<size_t>(p * kValue + v)] = sum;
            }
        }
        for (int t = 0; t < c.queries; t++) {
            const float* query = q.data() + (t * c.heads + h) * kHead;
            const int seen = c.cached + t + 1;
            Doubles score(static_cast<size_t>(seen));
            double largest = -1e300, total = 0;
            for (int p = 0; p < seen; p++) {
                double s = 0;
                for (int n = 0; n < kNope; n++)
                    s += query[n] * keys[static_cast<size_t>(p * kNope + n)];
                for (int r = 0; r < kRotary; r++)
                    s += double(query[kNope + r]) *
                         rows[static_cast<size_t>(p * kRow + kLatent + r)];
                score[static_cast<size_t>(p)] = s * scale;
                largest = std::max(largest, s * scale);
            }
            double* to = want.data() + (t * c.heads + h) * kValue;
            for (int p = 0; p < seen; p++) {
                const double weight = std::exp(score[static_cast<size_t>(p)] - largest);
                total += weight;
                for (int v = 0; v < kValue; v++)
                    to[v] += weight * values[static_cast<size_t>(p * kValue + v)];
            }
            for (int v = 0; v < kValue; v++)
                to[v] /= total;
        }
    }
    return want;
}

struct Result {
    Floats heads;
    double nmse = 0;
};

Result attend(const Case& c) {
    Random random(7);
    const int length = c.cached + c.queries, n_pages = (length + 63) / 64;
    const int64_t row_bytes = kernels::k_row_bytes(c.type, kLatent, kRotary), before = 96;
    const int64_t stride = (before + 64 * row_bytes + 255) / 256 * 256;
    std::vector<int> order(static_cast<size_t>(n_pages + 1));
    std::iota(order.begin(), order.end(), 0);
    random.shuffle(order);
    std::vector<uint8_t> memory(static_cast<size_t>((n_pages + 1) * stride), 0xFF);
    simt::Buffer<uint8_t> cache(memory.size());
    std::vector<std::byte*> pages;
    for (int i = 0; i < n_pages; i++)
        pages.push_back(reinterpret_cast<std::byte*>(cache.get()) +
                        order[static_cast<size_t>(i)] * stride);
    Floats rows;
    for (int p = 0; p < length; p++) {
        Floats row = random.normals(kRow, p < 5 ? c.size : 1.0F);
        if (p == c.broken) {
            std::fill(row.begin(), row.begin() + kLatent, kNaN);
        }
        auto* packed_row = reinterpret_cast<std::byte*>(
            memory.data() + order[static_cast<size_t>(p / 64)] * stride + before +
            p % 64 * row_bytes);
        kernels::pack_k_row(c.type, row.data(), kLatent, kRotary, packed_row);
        rows.resize(rows.size() + kRow);
        kernels::unpack_k_row(c.type, packed_row, kLatent, kRotary,
                              rows.data() + rows.size() - kRow);
    }
    cache.upload(memory);
    const Floats q = random.normals(int64_t{c.queries} * c.heads * kHead);
    const std::vector<uint8_t> k_bytes =
                                   random_weights(c.k_b, int64_t{c.heads} * kLatent, kNope, random),
                               v_bytes = random_weights(c.v_b, int64_t{c.heads} * kValue, kLatent,
                                                        random);
    const Floats k_b = dequantized(c.k_b, k_bytes, int64_t{c.heads} * kLatent, kNope),
                 v_b = dequantized(c.v_b, v_bytes, int64_t{c.heads} * kValue, kLatent);
    const float scale = 1 / std::sqrt(256.0F);

    Expand e;
    const kernels::LatentRow parts(kLatent, kRotary);
    e.rows = {before,
              row_bytes,
              c.type.dtype,
              kLatent,
              kRotary,
              c.type.int8_latent,
              static_cast<int32_t>(parts.rotary_at),
              static_cast<int32_t>(parts.scales_at)};
    e.n_heads = c.heads;
    e.n_tokens = c.queries;
    e.position = c.cached;
    e.scale = scale;
    e.piece_tokens = std::min(c.piece, length);
    const simt::Buffer<std::byte*> device_pages(pages);
    const simt::Buffer<uint8_t> device_k(k_bytes), device_v(v_bytes);
    const simt::Buffer<float> device_q(q);
    const size_t tokens = static_cast<size_t>(c.queries), heads = static_cast<size_t>(c.heads),
                 piece = static_cast<size_t>(e.piece_tokens);
    const simt::Buffer<float> out(tokens * heads * kValue);
    const simt::Buffer<uint16_t> weights(heads * (kNope + kValue) * kLatent);
    const simt::Buffer<uint16_t> latents(piece * kRow);
    const simt::Buffer<uint16_t> keys_values(heads * piece * (kNope + kValue));
    const simt::Buffer<float2> state(tokens * heads);
    e.pages = device_pages.get();
    const int64_t k_row = kernels::row_bytes(c.k_b, kNope),
                  v_row = kernels::row_bytes(c.v_b, kLatent);
    e.k_b = {reinterpret_cast<const std::byte*>(device_k.get()), c.k_b, k_row, k_row * kLatent};
    e.v_b = {reinterpret_cast<const std::byte*>(device_v.get()), c.v_b, v_row, v_row * kValue};
    e.q = {device_q.get(), kHead, 0, 1};
    e.out = {out.get(), kValue, 0, 1};
    e.weights = weights.get();
    e.latents = latents.get();
    e.keys_values = keys_values.get();
    e.state = state.get();
    kernels::cuda::launch_expand_weights(e, nullptr);
    for (e.first = 0; e.first < length; e.first += e.piece_tokens) {
        e.count = std::min(e.piece_tokens, length - e.first);
        kernels::cuda::launch_unpack_rows(e, nullptr);
        kernels::cuda::launch_project(e, nullptr);
        kernels::cuda::launch_prefill(e, nullptr);
    }
    Result result{out.download(), 0};
    if (c.broken < 0) {
        result.nmse = nmse(result.heads, defined(c, rows, q, k_b, v_b, scale));
    }
    return result;
}

constexpr KType kTypes[] = {DType::f16, DType::bf16, DType::q8_0, DType::q4_0, KType::q8_latent()};

}  // namespace

TEST_CASE("mla prefill: every row type equals double loops, and one in every schedule") {
    for (const auto& mode : test_modes()) {
        const WithMode with(mode);
        INFO(name(mode));
        CHECK(attend({KType::q8_latent(), 1, 63, 20}).nmse < 5e-4);
    }
    for (const KType& type : kTypes) {  // unpacked before anything else looks at them
        INFO(kernels::name(type));
        CHECK(attend({type, 1, 63, 20}).nmse < 5e-4);
    }
}

TEST_CASE("mla prefill: lengths, pieces, heads, and a running maximum that must be kept") {
    CHECK(attend({DType::f16, 1, 0, 1}).nmse < 5e-4);
    CHECK(attend({DType::f16, 2, 1, 33, 32}).nmse < 5e-4);
    if (small_shapes()) {
        return;
    }
    CHECK(attend({DType::f16, 1, 0, 300}).nmse < 5e-4);                // three blocks of queries
    CHECK(attend({KType::q8_latent(), 3, 65, 130, 128}).nmse < 5e-4);  // pieces that cut blocks
    CHECK(attend({DType::f16, 5, 64, 64, 64}).nmse < 5e-4);
    CHECK(attend({DType::f16, 1, 700, 20, 512}).nmse < 5e-4);
    CHECK(attend({DType::f16, 1, 100, 40, 64, DType::f16, DType::f16, 30}).nmse < 5e-4);
}

TEST_CASE("mla prefill: a row that is not a number reaches the queries that see it, and no other") {
    for (const KType& type : {KType(DType::f16), KType(DType::q8_0), KType::q8_latent()}) {
        Case c{type, 1, 30, 40, 64};
        const Floats good = attend(c).heads;
        c.broken = 49;  // the 20th of 40 queries
        const Floats broken = attend(c).heads;
        INFO(kernels::name(type));
        const size_t before = size_t{19} * kValue;
        CHECK(same_bits(std::span(good).first(before), std::span(broken).first(before)));
        CHECK(
            std::ranges::all_of(std::span(broken).subspan(before), [](float v) { return v != v; }));
    }
}

TEST_CASE("mla prefill: weights of every type") {
    if (small_shapes()) {
        return;
    }
#define KERNELS_X(type, ...)                                                              \
    if (DType::type != DType::i32) {                                                      \
        const bool short_rows = kernels::info(DType::type).block_elements <= 64;          \
        INFO(kernels::name(DType::type));                                                 \
        CHECK(attend({DType::f16, 1, 10, 7, 4096, short_rows ? DType::type : DType::q8_0, \
                      DType::type})                                                       \
                  .nmse < 5e-4);                                                          \
    }
    KERNELS_DTYPES(KERNELS_X)
#undef KERNELS_X
}

TEST_CASE("every combination: span, row types, weights, schedules", "[.][slow]") {
    for (const auto& mode : test_modes()) {
        const WithMode with(mode);
        INFO(name(mode));
        for (const KType& type : kTypes) {
            INFO(kernels::name(type));
            CHECK(attend({type, 1, 63, 20, 64}).nmse < 5e-4);
        }
#define KERNELS_X(type, ...)                                                              \
    if (DType::type != DType::i32) {                                                      \
        const bool short_rows = kernels::info(DType::type).block_elements <= 64;          \
        INFO(kernels::name(DType::type));                                                 \
        CHECK(attend({DType::f16, 1, 10, 7, 4096, short_rows ? DType::type : DType::q8_0, \
                      DType::type})                                                       \
                  .nmse < 5e-4);                                                          \
    }
        KERNELS_DTYPES(KERNELS_X)
#undef KERNELS_X
    }
}

TEST_CASE("mla prefill: the same bits in every schedule") {
    const Case c{DType::f16, 1, 100, 30, 64};
    const Floats first = attend(c).heads;
    for (const auto& mode : test_modes()) {
        const WithMode with(mode);
        INFO(name(mode));
        CHECK(same_bits(attend(c).heads, first));
    }
}

TEST_CASE(
    "mla prefill: a long span through the backend equals the absorbed form of its last tokens, and "
    "takes the plan's memory alone") {
    if (small_shapes()) {
        return;
    }
    const auto backend = kernels::make_cuda_backend();
    REQUIRE(backend != nullptr);
    const int64_t start = 70, tokens = kernels::kAbsorbedTokens + 8, heads = 1;
    kernels::WorkShape shape;
    shape.n_tokens = tokens;
    shape.n_sequences = 1;
    shape.context = start + tokens;
    shape.n_heads = heads;
    shape.nope = kNope;
    shape.rotary = kRotary;
    shape.latent = kLatent;
    shape.value = kValue;
    shape.hidden = shape.q_latent = shape.dense_ff = shape.expert_ff = shape.shared_ff = 64;
    shape.n_experts = 4;
    shape.n_used = 2;
    backend->reserve_work(shape);

    Random random(9);
    const int64_t row_bytes = kRow * 2, page_bytes = 64 * row_bytes,
                  n_pages = (shape.context + 63) / 64;
    const kernels::Buffer cache =
        backend->allocate(n_pages * page_bytes, kernels::MemoryUse::kv_cache);
    const auto [rows, back] = packed(DType::f16, random.normals(n_pages * 64 * kRow), kRow);
    backend->upload(TensorView(cache.data(), DType::f16, {n_pages * 64, kRow}), rows.data());
    std::vector<std::byte*> pages;
    std::vector<int32_t> table;
    for (int64_t i = 0; i < n_pages; i++) {
        pages.push_back(cache.data() + i * page_bytes);
        table.push_back(static_cast<int32_t>(n_pages - 1 - i));
    }
    const kernels::KPages k{pages.data(), 0, row_bytes, DType::f16, kLatent, kRotary, false};
    const Weight k_b = random_weight(*backend, random, DType::f16, {heads, kLatent, kNope});
    const Weight v_b = random_weight(*backend, random, DType::f16, {heads, kValue, kLatent});
    const Floats q = random.normals(tokens * heads * kHead);
    const auto attend_rows = [&](int64_t begin, int64_t n) {
        const Array q_rows(
            *backend, {n, heads, kHead},
            Floats(q.begin() + begin * heads * kHead, q.begin() + (begin + n) * heads * kHead));
        const Array out(*backend, DType::f32, {n, heads, kValue});
        const kernels::SequenceSpan span{0, n, start + begin, table};
        const int64_t before = backend->memory().compute_bytes;
        backend->mla_attend(out.view, q_rows.view, k_b.view(), v_b.view(), k, {{&span, 1}, n},
                            1.0F / 16);
        CHECK(backend->memory().compute_bytes == before);
        CHECK(out.guard_whole());
        return out.floats();
    };
    const Floats whole = attend_rows(0, tokens);
    const int64_t last = 40;  // the absorbed form costs more here
    const Floats part = attend_rows(tokens - last, last);
    const std::span<const float> end = std::span(whole).last(part.size());
    CHECK(nmse(part, Doubles(end.begin(), end.end())) < 5e-4);
    CHECK(!same_bits(part, end));  // they are two forms
}

#if !SIMT_GPU

TEST_CASE("mla prefill: shared memory is read without bank conflicts") {
    simt::cpu::reset_counters();
    attend({DType::f16, 1, 100, 30, 64});
    const simt::cpu::Counters counted = simt::cpu::counters();
    CHECK(counted.ldmatrix_wavefronts == counted.ldmatrix_matrices);
    CHECK(counted.launches == 2 + 3 * 3);
}

TEST_CASE("mla prefill: every barrier, wait and fragment order is needed, and caught") {
    const Case c{DType::f16, 1, 130, 20};
    simt::cpu::record_sites(true);
    attend(c);
    simt::cpu::record_sites(false);
    const std::vector<simt::cpu::Site> sites = simt::cpu::recorded_sites();
    CHECK(sites.size() >= 8);
    CHECK(std::ranges::any_of(sites, [](const simt::cpu::Site& site) {
        return site.fault == simt::cpu::Fault::ignore_bound;  // the mask of what is not seen
    }));
    for (const simt::cpu::Site& site : sites) {
        INFO("fault " << static_cast<int>(site.fault) << " in " << site.file << ", line "
                      << site.line);
        CHECK(fault_is_caught(site, [&] { return attend(c).nmse < 5e-4; }));
    }
}

#endif  // !SIMT_GPU
