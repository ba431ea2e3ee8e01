// Attention operations of every backend against double loops: rotary positions, K rows in poisoned
// pages, sequences of all awkward lengths, both forms, and the promise that a token's bits depend
// on its own sequence alone.
#include "kernels/cpu/attention.h"

#include <map>
#include <numeric>

#include "kernels/k_row.h"
#include "tests/kernels/backend_support.h"

using namespace tests;
using kernels::KPages;
using kernels::kPageTokens;
using kernels::KType;
using kernels::PagedBatch;
using kernels::SequenceSpan;
using kernels::cpu::AttentionTiles;
using kernels::cpu::CpuBackend;

namespace {

std::vector<std::unique_ptr<Backend>> with_tiles(const AttentionTiles* tiles) {
    std::vector<std::unique_ptr<Backend>> list;
    for (int threads : {1, 2}) {
        list.push_back(std::make_unique<CpuBackend>(kernels::CpuOptions{threads, threads}, tiles));
    }
    return list;
}

// The machine's backends, then CPU backends as on a machine with AVX2 alone and on one with neither
// a matrix unit nor that; of each kind a list.
std::vector<std::vector<std::unique_ptr<Backend>>> kinds_of_backends() {
    std::vector<std::vector<std::unique_ptr<Backend>>> kinds;
    kinds.push_back(backends());
    const AttentionTiles* best = kernels::cpu::attention_tiles();
#if defined(__x86_64__)
    const AttentionTiles* codes = &kernels::cpu::kCodeAttentionAvx2;
    if (best != codes && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        kinds.push_back(with_tiles(codes));
    }
#endif
    if (best != nullptr) {
        kinds.push_back(with_tiles(nullptr));
    }
    return kinds;
}

std::vector<std::unique_ptr<Backend>> all_backends() {
    std::vector<std::unique_ptr<Backend>> list;
    for (auto& kind : kinds_of_backends()) {
        for (auto& backend : kind) {
            list.push_back(std::move(backend));
        }
    }
    return list;
}

struct Shape {
    int64_t heads, nope, rotary, latent, value;
    float scale() const { return 1.0F / std::sqrt(static_cast<float>(nope + rotary)); }
    int64_t row() const { return latent + rotary; }
};

// Pages of one layer in the middle of wider pages; all bytes are 0xFF until written: NaN in every
// row type.
class Cache {
public:
    Cache(Backend& backend, KType type, const Shape& shape, int64_t pages)
        : backend_(&backend), shape_(shape) {
        row_bytes_ = kernels::k_row_bytes(type, shape.latent, shape.rotary);
        const int64_t before = 96, page = before + kPageTokens * row_bytes_ + 32;
        stride_ = (page + 63) / 64 * 64;
        memory_ = backend.allocate(stride_ * pages, kernels::MemoryUse::kv_cache);
        const std::vector<uint8_t> poison(static_cast<size_t>(stride_ * pages), 0xFF);
        backend.upload(TensorView(memory_.data(), DType::f32, {stride_ * pages / 4}),
                       poison.data());
        for (int64_t p = 0; p < pages; p++) {
            addresses_.push_back(memory_.data() + p * stride_);
        }
        pages_of_.resize(static_cast<size_t>(pages));
        std::iota(pages_of_.begin(), pages_of_.end(), 0);
        view = {addresses_.data(), before,       row_bytes_,      type.dtype,
                shape.latent,      shape.rotary, type.int8_latent};
    }
    // Page ids in an order that is none; ids past `pages` are absurd and must not be looked at.
    std::vector<int32_t> take(Random& random, int64_t pages) {
        random.shuffle(pages_of_);
        std::vector<int32_t> table(pages_of_.end() - pages, pages_of_.end());
        pages_of_.resize(pages_of_.size() - static_cast<size_t>(pages));
        return table;
    }
    void store(const std::vector<int32_t>& table, int64_t position, const float* row) {
        std::vector<uint8_t> bytes(static_cast<size_t>((row_bytes_ + 3) / 4 * 4));
        kernels::pack_k_row(view.type(), row, shape_.latent, shape_.rotary,
                            reinterpret_cast<std::byte*>(bytes.data()));
        std::byte* at = address(table, position);
        backend_->upload(TensorView(at, DType::f16, {row_bytes_ / 2}), bytes.data());
    }
    Floats load(const std::vector<int32_t>& table, int64_t position) const {
        std::vector<uint8_t> bytes(static_cast<size_t>(row_bytes_));
        backend_->download(bytes.data(),
                           TensorView(address(table, position), DType::f16, {row_bytes_ / 2}));
        Floats row(static_cast<size_t>(shape_.row()));
        kernels::unpack_k_row(view.type(), reinterpret_cast<const std::byte*>(bytes.data()),
                              shape_.latent, shape_.rotary, row.data());
        return row;
    }
    std::vector<uint8_t> snapshot() const {
        std::vector<uint8_t> bytes(memory_.size_bytes());
        backend_->download(bytes.data(), TensorView(memory_.data(), DType::f32,
                                                    {static_cast<int64_t>(bytes.size()) / 4}));
        return bytes;
    }

    KPages view;

private:
    std::byte* address(const std::vector<int32_t>& table, int64_t position) const {
        return addresses_[static_cast<size_t>(table[static_cast<size_t>(position / kPageTokens)])] +
               view.layer_offset_bytes + position % kPageTokens * row_bytes_;
    }
    Backend* backend_;
    Shape shape_;
    int64_t row_bytes_ = 0, stride_ = 0;
    kernels::Buffer memory_;
    std::vector<std::byte*> addresses_;
    std::vector<int32_t> pages_of_;
};

int64_t pages_for(int64_t tokens) {
    return (tokens + kPageTokens - 1) / kPageTokens;
}

// One sequence: what is cached of it, its queries, and where its pages are.
struct Sequence {
    std::vector<int32_t> table;
    std::vector<Floats> rows;  // as the cache gives them back
    int64_t start = 0, n_tokens = 0;
    Floats q;  // [n_tokens, H, N+R]
};

Sequence make_sequence(Random& random,
                       Cache& cache,
                       const Shape& shape,
                       int64_t start,
                       int64_t n_tokens,
                       float sharpness,
                       const Sequence* prefix = nullptr) {
    Sequence s;
    s.start = start;
    s.n_tokens = n_tokens;
    const int64_t shared = prefix == nullptr ? 0 : std::min(start, prefix->start) / kPageTokens;
    s.table = cache.take(random, pages_for(start + n_tokens) - shared);
    if (prefix != nullptr) {
        s.table.insert(s.table.begin(), prefix->table.begin(), prefix->table.begin() + shared);
    }
    for (int64_t p = 0; p < start + n_tokens; p++) {
        if (p >= shared * kPageTokens) {
            cache.store(s.table, p, random.normals(shape.row()).data());
        }
        s.rows.push_back(cache.load(s.table, p));
    }
    for (int absurd : {1 << 30, -5, 123456789}) {
        s.table.push_back(absurd);
    }
    s.q = random.normals(n_tokens * shape.heads * (shape.nope + shape.rotary), sharpness);
    return s;
}

// heads [n, H, V] of one sequence by the definition: k and v of every position and head, in double
// precision.
Doubles attention(const Sequence& s, const Shape& shape, const Floats& k_b, const Floats& v_b) {
    const int64_t q_head = shape.nope + shape.rotary;
    Doubles out(static_cast<size_t>(s.n_tokens * shape.heads * shape.value));
    const auto positions = static_cast<int64_t>(s.rows.size());
    for (int64_t h = 0; h < shape.heads; h++) {
        Doubles keys(static_cast<size_t>(positions * shape.nope)),
            values(static_cast<size_t>(positions * shape.value));
        for (int64_t p = 0; p < positions; p++) {
            const Floats& row = s.rows[static_cast<size_t>(p)];
            for (int64_t l = 0; l < shape.latent; l++) {
                const double z = row[static_cast<size_t>(l)];
                const float* k = k_b.data() + (h * shape.latent + l) * shape.nope;
                for (int64_t n = 0; n < shape.nope; n++) {
                    keys[static_cast<size_t>(p * shape.nope + n)] += k[n] * z;
                }
            }
            for (int64_t v = 0; v < shape.value; v++) {
                double sum = 0;
                for (int64_t l = 0; l < shape.latent; l++) {
                    sum +=
                        double{v_b[static_cast<size_t>((h * shape.value + v) * shape.latent + l)]} *
                        row[static_cast<size_t>(l)];
                }
                values[static_cast<size_t>(p * shape.value + v)] = sum;
            }
        }
        for (int64_t t = 0; t < s.n_tokens; t++) {
            const float* q = s.q.data() + (t * shape.heads + h) * q_head;
            Doubles score(static_cast<size_t>(s.start + t + 1));
            double max = -INFINITY, sum = 0;
            for (size_t p = 0; p < score.size(); p++) {
                for (int64_t n = 0; n < shape.nope; n++) {
                    score[p] +=
                        q[n] * keys[p * static_cast<size_t>(shape.nope) + static_cast<size_t>(n)];
                }
                for (int64_t r = 0; r < shape.rotary; r++) {
                    score[p] += double{q[shape.nope + r]} *
                                s.rows[p][static_cast<size_t>(shape.latent + r)];
                }
                score[p] *= shape.scale();
                max = std::max(max, score[p]);
            }
            for (double& x : score) {
                x = std::exp(x - max);
                sum += x;
            }
            for (size_t p = 0; p < score.size(); p++) {
                for (int64_t v = 0; v < shape.value; v++) {
                    out[static_cast<size_t>((t * shape.heads + h) * shape.value + v)] +=
                        score[p] / sum *
                        values[p * static_cast<size_t>(shape.value) + static_cast<size_t>(v)];
                }
            }
        }
    }
    return out;
}

// heads of all sequences by the definition. What was asked for with the same numbers before is
// remembered: the backends are all given the same, and double loops take long.
class Definition {
public:
    const Floats& operator()(const std::vector<Sequence>& sequences,
                             const Shape& shape,
                             const Floats& k_b,
                             const Floats& v_b) {
        Floats numbers = k_b;
        numbers.insert(numbers.end(), v_b.begin(), v_b.end());
        for (const Sequence& s : sequences) {
            numbers.push_back(static_cast<float>(s.start));
            numbers.push_back(static_cast<float>(s.n_tokens));
            numbers.insert(numbers.end(), s.q.begin(), s.q.end());
            for (const Floats& row : s.rows) {
                numbers.insert(numbers.end(), row.begin(), row.end());
            }
        }
        Floats& heads = known_[numbers];
        if (heads.empty()) {
            for (const Sequence& s : sequences) {
                const Floats own = to_floats(attention(s, shape, k_b, v_b));
                heads.insert(heads.end(), own.begin(), own.end());
            }
        }
        return heads;
    }

private:
    std::map<Floats, Floats> known_;
};

// Runs mla_attend over `sequences` in one pass and returns heads [T, H, V].
Floats attend(Backend& backend,
              const Shape& shape,
              const Cache& cache,
              const Weight& k_b,
              const Weight& v_b,
              const std::vector<const Sequence*>& sequences,
              bool fit_tables = false) {
    std::vector<SequenceSpan> spans;
    Floats q;
    int64_t row = 0;
    for (const Sequence* s : sequences) {
        std::span<const int32_t> table = s->table;
        spans.push_back({row, s->n_tokens, s->start,
                         fit_tables
                             ? table.first(static_cast<size_t>(pages_for(s->start + s->n_tokens)))
                             : table});
        q.insert(q.end(), s->q.begin(), s->q.end());
        row += s->n_tokens;
    }
    const Array q_array(backend, {row, shape.heads, shape.nope + shape.rotary}, q);
    Array heads(backend, DType::f32, {row, shape.heads, shape.value});
    const auto before = cache.snapshot();
    backend.mla_attend(heads.view, q_array.view, k_b.view(), v_b.view(), cache.view, {spans, row},
                       shape.scale());
    REQUIRE(heads.guard_whole());
    REQUIRE(cache.snapshot() == before);
    return heads.floats();
}

// Tokens [begin, begin + n) of a sequence as a pass of their own.
Sequence part(const Sequence& s, const Shape& shape, int64_t begin, int64_t n) {
    Sequence p = s;
    const int64_t per_token = shape.heads * (shape.nope + shape.rotary);
    p.start = s.start + begin;
    p.n_tokens = n;
    p.rows.resize(static_cast<size_t>(p.start + n));
    p.q.assign(s.q.begin() + begin * per_token, s.q.begin() + (begin + n) * per_token);
    return p;
}

constexpr Shape kShapes[] = {
    {1, 32, 16, 48, 32},     {4, 32, 32, 64, 32},   {5, 64, 32, 96, 64},
    {20, 192, 64, 512, 256}, {3, 32, 64, 128, 160},
};
constexpr KType kCacheTypes[] = {DType::f32,  DType::f16,  DType::bf16,
                                 DType::q8_0, DType::q4_0, KType::q8_latent()};

// The mixed latents are averages of rows of deviation 1, the products with v_b (deviation 1 /
// sqrt(L)) keep that size. In floats, scores of deviation 3 from sums of 600 terms are off by 1e-6
// of their terms' size (some 10), so weights by 1e-5 and results by 2e-5 at most. With k_b or v_b
// in blocks, queries and latents are rounded to 1/127 of the largest of 32 (as in
// product_tolerance): results are off by that, and scores by 0.014 of their deviation of 3.
//
// A card takes rows of 512 + 64 to its tensor cores, whose numbers are halves: queries and weights
// are off by 2^-11, scores of deviation 3 (24 where they are sharp) by 3e-4 of that, four times it
// at the worst: weights by 0.03. Between two positions of equal weight that moves a result by
// 0.03 / 4 of their distance of up to 6; mostly it is a thousandth.
//
// A processor without a matrix unit multiplies the codes of q8_0 and q8_latent rows with integers
// of 16 bits (attention_codes_avx2.cpp). Queries are off by up to 2^-16 of the largest of their
// block, three deviations or so, evenly spread: a score of deviation 3 (24 where they are sharp) by
// 8e-5 (7e-4), five times that among many. Between two positions of equal weight that moves a
// result by a quarter of it times their distance of up to 6: 6e-4 (2e-3 of two that are a usual
// distance apart). In mixing 256 numbers are each off by up to 2^-17 of the largest: by 1e-4
// together, 5e-4 among many.
Tolerance attention_tolerance(const Backend& backend,
                              const Shape& shape,
                              DType weight,
                              const KPages& rows = {}) {
    const bool exact = weight == DType::f32 || weight == DType::f16 || weight == DType::bf16;
    if (!exact) {
        return {0.2, 0, 0.998};
    }
    const bool halves = backend.description().starts_with("CUDA") && shape.latent == 512;
    const auto* cpu = dynamic_cast<const CpuBackend*>(&backend);
    const AttentionTiles* tiles = cpu == nullptr ? nullptr : cpu->tiles_for(rows);
    const bool integers = tiles != nullptr && !tiles->matrix_unit;
    return halves     ? Tolerance{0.04, 0, 0.99999}
           : integers ? Tolerance{2e-3, 0, 0.9999999}
                      : Tolerance{4e-5, 4e-5, 0.9999999};
}

// Results that a call of `numbers` numbers made, and others: the same bits, or, of so many tokens
// that the backend may take another form, both within the tolerance of weights in blocks.
bool agree(const Backend& backend,
           size_t numbers,
           const Shape& shape,
           std::span<const float> a,
           std::span<const float> b) {
    const auto tokens = static_cast<int64_t>(numbers) / (shape.heads * shape.value);
    return tokens < backend.same_bits_below() ? same_bits(a, b)
                                              : difference(a, b, Tolerance{0.2, 0, 0.998}) == "";
}

}  // namespace

TEST_CASE(
    "mla_attend: equals the definition at every length, shape, row type and page order, poison "
    "unread") {
    Definition definition;
    for (const auto& backend : all_backends()) {
        uint32_t seed = 41;
        for (const Shape& shape : kShapes) {
            for (const KType& type : kCacheTypes) {
                Random random(seed++);
                CAPTURE(backend->description(), shape.heads, shape.latent, name(type));
                const bool large =
                    shape.heads == 20;  // the real model's: less of it, for the loops' sake
                if (large && type != DType::f16 && type != DType::q8_0 && type != DType::q4_0 &&
                    !type.int8_latent) {
                    continue;
                }
                Cache cache(*backend, type, shape, 64);
                const bool blocks = type == DType::q4_0 && shape.latent % 32 == 0;
                const DType weight = blocks               ? DType::q8_0
                                     : type == DType::f16 ? DType::f16
                                                          : DType::f32;
                const Weight k_b = random_weight(*backend, random, weight,
                                                 {shape.heads, shape.latent, shape.nope});
                const Weight v_b = random_weight(*backend, random, weight,
                                                 {shape.heads, shape.value, shape.latent});
                std::vector<Sequence> sequences;
                for (int64_t start : {0, 1, 63, 64, 65, 127, 128, 200}) {
                    if (large && start != 63 && start != 200) {
                        continue;
                    }
                    const int64_t n = large ? 1 + random.below(2) : 1 + random.below(9);
                    sequences.push_back(make_sequence(random, cache, shape, start, n, 1));
                }
                sequences.push_back(make_sequence(random, cache, shape, 0, large ? 5 : 140, 1));
                sequences.push_back(make_sequence(random, cache, shape, 255, 2, 1));
                sequences.push_back(make_sequence(random, cache, shape, 256, 3, 1));
                sequences.push_back(
                    make_sequence(random, cache, shape, 150, 2, 8));  // sharp: one position has all
                sequences.push_back(make_sequence(random, cache, shape, 200, 2, 1,
                                                  &sequences[large ? 1 : 7]));  // shares pages
                std::vector<const Sequence*> all;
                for (const Sequence& s : sequences) {
                    all.push_back(&s);
                }
                const Floats& want = definition(sequences, shape, k_b.values, v_b.values);
                const Floats got = attend(*backend, shape, cache, k_b, v_b, all);
                REQUIRE(difference(got, want,
                                   attention_tolerance(*backend, shape, weight, cache.view),
                                   shape.heads * shape.value) == "");

                // Each alone, with a table of exactly its length, has the bits it had among the
                // others, where those were not so many that products by k_b and v_b took another
                // form.
                size_t at = 0;
                for (const Sequence& s : sequences) {
                    const Floats alone = attend(*backend, shape, cache, k_b, v_b, {&s}, true);
                    REQUIRE(agree(*backend, got.size(), shape, alone,
                                  std::span(got).subspan(at, alone.size())));
                    at += alone.size();
                }
            }
        }
    }
}

TEST_CASE("mla_attend: a prompt has the same bits however it is cut, on any number of threads") {
    const Shape shape{5, 32, 32, 128, 32};
    const int64_t tokens = 520, per_token = shape.heads * shape.value;
    const auto same_results = [&](const std::vector<std::unique_ptr<Backend>>& list,
                                  const KType& type) {
        Floats first_result;
        for (const auto& backend : list) {
            if (type != DType::f16 && backend->memory().name != "CPU") {
                continue;
            }
            Random random(51);
            Cache cache(*backend, type, shape, 12);
            const Weight k_b = random_weight(*backend, random, DType::q8_0,
                                             {shape.heads, shape.latent, shape.nope});
            const Weight v_b = random_weight(*backend, random, DType::q8_0,
                                             {shape.heads, shape.value, shape.latent});
            const Sequence s = make_sequence(random, cache, shape, 37, tokens, 2);
            const Floats whole = attend(*backend, shape, cache, k_b, v_b, {&s});
            if (first_result.empty()) {
                first_result = whole;
            } else if (backend->memory().name == "CPU") {
                REQUIRE(same_bits(whole, first_result));
            }
            for (int64_t chunk : {1, 3, 64, 100, 511, 512}) {
                Floats pieces;
                for (int64_t begin = 0; begin < tokens; begin += chunk) {
                    const Sequence p = part(s, shape, begin, std::min(chunk, tokens - begin));
                    const Floats heads = attend(*backend, shape, cache, k_b, v_b, {&p});
                    pieces.insert(pieces.end(), heads.begin(), heads.end());
                }
                CAPTURE(backend->description(), name(type), chunk, per_token);
                REQUIRE(agree(*backend, whole.size(), shape, pieces, whole));
            }
        }
    };
    for (const auto& kind : kinds_of_backends()) {
        for (const KType& type : {KType(DType::f16), KType(DType::q8_0), KType::q8_latent()}) {
            same_results(kind, type);
        }
    }
}

TEST_CASE("mla_attend: a broken row is seen by its own and later tokens only") {
    for (const auto& backend : all_backends()) {
        for (const KType& type : {KType(DType::f32), KType(DType::f16), KType(DType::bf16),
                                  KType(DType::q8_0), KType::q8_latent()}) {
            const Shape shape{4, 32, 16, type.int8_latent ? 128 : 48, 32};
            const float broken = type == DType::f16 ? INFINITY : kNaN;
            CAPTURE(backend->description(), name(type));
            Random random(52);
            Cache cache(*backend, type, shape, 8);
            const Weight k_b = random_weight(*backend, random, DType::f32,
                                             {shape.heads, shape.latent, shape.nope});
            const Weight v_b = random_weight(*backend, random, DType::f32,
                                             {shape.heads, shape.value, shape.latent});
            const Sequence s = make_sequence(random, cache, shape, 100, 90, 1);
            const Floats good = attend(*backend, shape, cache, k_b, v_b, {&s});
            cache.store(s.table, 150, Floats(static_cast<size_t>(shape.row()), broken).data());
            const Floats bad = attend(*backend, shape, cache, k_b, v_b, {&s});
            const auto clean = static_cast<size_t>(50 * shape.heads * shape.value);
            REQUIRE(same_bits(std::span(bad).first(clean), std::span(good).first(clean)));
            REQUIRE(std::isnan(bad[clean]));
        }
    }
}

TEST_CASE("mla_attend: long chunks (expanded form) equal the definition and the absorbed form") {
    const int64_t chunk = kernels::cpu::kExpandFromTokens;
    Definition definition;
    for (const auto& backend : all_backends()) {
        for (const Shape& shape : {Shape{2, 32, 16, 64, 32}, Shape{3, 20, 12, 40, 24}}) {
            for (int64_t start : {0, 1, 130}) {
                Random random(53);
                const int64_t tokens = chunk + 70;
                CAPTURE(backend->description(), shape.latent, start);
                Cache cache(*backend, DType::f16, shape, pages_for(start + tokens) + 4);
                const Weight k_b = random_weight(*backend, random, DType::f32,
                                                 {shape.heads, shape.latent, shape.nope});
                const Weight v_b = random_weight(*backend, random, DType::f16,
                                                 {shape.heads, shape.value, shape.latent});
                const Sequence s = make_sequence(random, cache, shape, start, tokens, 2);
                const Sequence other = make_sequence(random, cache, shape, 70, 3, 1);
                const Floats got = attend(*backend, shape, cache, k_b, v_b, {&other, &s, &other});
                const Floats& want = definition({s}, shape, k_b.values, v_b.values);
                const Floats alone = attend(*backend, shape, cache, k_b, v_b, {&other});
                const size_t skip = alone.size();
                REQUIRE(same_bits(std::span(got).first(skip), alone));
                REQUIRE(same_bits(std::span(got).last(skip), alone));
                const auto expanded = std::span(got).subspan(skip, want.size());
                REQUIRE(difference(expanded, want, attention_tolerance(*backend, shape, DType::f32),
                                   shape.heads * shape.value) == "");
                Floats absorbed;
                for (int64_t begin = 0; begin < tokens; begin += 512) {
                    const Sequence p =
                        part(s, shape, begin, std::min<int64_t>(512, tokens - begin));
                    const Floats heads = attend(*backend, shape, cache, k_b, v_b, {&p});
                    absorbed.insert(absorbed.end(), heads.begin(), heads.end());
                }
                REQUIRE(difference(expanded, absorbed,
                                   attention_tolerance(*backend, shape, DType::f32)) == "");
            }
        }
    }
}

TEST_CASE(
    "mla_query_and_store: queries, rotary positions up to 202,751 and K rows in their places, "
    "nothing else") {
    for (const auto& backend : all_backends()) {
        for (const Shape& shape : kShapes) {
            for (const KType& type : kCacheTypes) {
                CAPTURE(backend->description(), shape.heads, name(type));
                Random random(61);
                const int64_t rank = 64, q_head = shape.nope + shape.rotary;
                const Weight q_b =
                    random_weight(*backend, random, DType::f32, {shape.heads * q_head, rank});
                const Floats q_norm = random.normals(rank), kv_norm = random.normals(shape.latent);
                const Array q_norm_array(*backend, {rank}, q_norm),
                    kv_norm_array(*backend, {shape.latent}, kv_norm);

                // Far positions: only the last page of the table exists, so the same id stands for
                // all.
                Cache cache(*backend, type, shape, 8);
                std::vector<std::vector<int32_t>> tables;
                std::vector<SequenceSpan> spans;
                const std::pair<int64_t, int64_t> where[] = {
                    {0, 3}, {62, 4}, {202751, 1}, {0, 0}, {100000, 7}};
                int64_t tokens = 0;
                for (const auto& [start, n] : where) {
                    const int64_t used = pages_for(start + n);
                    std::vector<int32_t> pages =
                        cache.take(random, std::min<int64_t>(n == 0 ? 0 : 2, used));
                    std::vector<int32_t> table(static_cast<size_t>(used),
                                               pages.empty() ? 0 : pages[0]);
                    if (used >= 2 && !pages.empty()) {
                        table.back() = pages[1];
                    }
                    table.push_back(1 << 29);
                    tables.push_back(table);
                    spans.push_back({tokens, n, start, {}});
                    tokens += n;
                }
                for (size_t i = 0; i < spans.size(); i++) {
                    spans[i].page_table = tables[i];
                }
                const Floats q_latent = random.normals(tokens * rank),
                             kv = random.normals(tokens * shape.row(), 2);
                const Array q_latent_array(*backend, {tokens, rank}, q_latent);
                const Array kv_array(*backend, {tokens, shape.row()}, kv);
                Array q(*backend, DType::f32, {tokens, shape.heads, q_head});
                const auto before = cache.snapshot();
                const float base = 1e6F;
                backend->mla_query_and_store(q.view, q_latent_array.view, q_norm_array.view,
                                             q_b.view(), kv_array.view, kv_norm_array.view,
                                             cache.view, {spans, tokens}, {base}, 1e-5F);
                REQUIRE(q.guard_whole());

                const auto rotate = [&](Doubles& row, size_t at, int64_t position) {
                    for (int64_t i = 0; i < shape.rotary / 2; i++) {
                        const double angle =
                            static_cast<double>(position) *
                            std::pow(double{base}, -2.0 * static_cast<double>(i) /
                                                       static_cast<double>(shape.rotary));
                        double& a = row[at + static_cast<size_t>(2 * i)];
                        double& b = row[at + static_cast<size_t>(2 * i + 1)];
                        const double x = a * std::cos(angle) - b * std::sin(angle);
                        b = b * std::cos(angle) + a * std::sin(angle);
                        a = x;
                    }
                };
                Doubles want = product(rmsnorm(to_doubles(q_latent), q_norm, 1e-5),
                                       q_b.values.data(), shape.heads * q_head, rank);
                int64_t rows_changed = 0;
                for (size_t i = 0; i < spans.size(); i++) {
                    for (int64_t t = 0; t < spans[i].n_tokens; t++) {
                        const int64_t row = spans[i].first_row + t, position = spans[i].start + t;
                        for (int64_t h = 0; h < shape.heads; h++) {
                            rotate(
                                want,
                                static_cast<size_t>((row * shape.heads + h) * q_head + shape.nope),
                                position);
                        }
                        Doubles latent(kv.begin() + row * shape.row(),
                                       kv.begin() + row * shape.row() + shape.latent);
                        Doubles k_row = rmsnorm(latent, kv_norm, 1e-5);
                        k_row.insert(k_row.end(), kv.begin() + row * shape.row() + shape.latent,
                                     kv.begin() + (row + 1) * shape.row());
                        rotate(k_row, static_cast<size_t>(shape.latent), position);
                        const Floats exact = to_floats(k_row);
                        const Floats stored = cache.load(tables[i], position);
                        // One step of the type: half of it for rounding, a little for the float in
                        // front of it.
                        double largest = 0;
                        for (float v : exact) {
                            largest = std::max(largest, std::abs(double{v}));
                        }
                        const Tolerance step = type == DType::f32    ? Tolerance{1e-5, 1e-6}
                                               : type == DType::f16  ? Tolerance{1e-5, 1.0 / 1024}
                                               : type == DType::bf16 ? Tolerance{1e-5, 1.0 / 128}
                                               : type == DType::q8_0 || type.int8_latent
                                                   ? Tolerance{largest / 127, 0}
                                                   : Tolerance{largest / 8, 0};
                        REQUIRE(difference(stored, exact, step, shape.row()) == "");
                        rows_changed++;
                    }
                }
                REQUIRE(difference(q.floats(), to_floats(want), product_tolerance(DType::f32),
                                   q_head) == "");
                const auto after = cache.snapshot();
                int64_t bytes_changed = 0;
                for (size_t i = 0; i < after.size(); i++) {
                    bytes_changed += after[i] != before[i] ? 1 : 0;
                }
                REQUIRE(bytes_changed <= rows_changed * cache.view.row_bytes);
                // Up to 12 bytes behind the scales of a q8_latent row are nobody's.
                const int64_t unused = type.int8_latent ? 12 : 0;
                REQUIRE(bytes_changed >= rows_changed * (cache.view.row_bytes - unused) * 9 / 10);
            }
        }
    }
}

TEST_CASE("attention: empty batches do nothing; wrong spans, tables and shapes are refused") {
    const Shape shape{2, 32, 16, 32, 32};
    for (const auto& backend : all_backends()) {
        Random random(71);
        Cache cache(*backend, DType::f16, shape, 4);
        const Weight k_b = random_weight(*backend, random, DType::f32, {2, 32, 32});
        const Weight v_b = random_weight(*backend, random, DType::f32, {2, 32, 32});
        REQUIRE(attend(*backend, shape, cache, k_b, v_b, {}).empty());
        const Sequence s = make_sequence(random, cache, shape, 60, 5, 1);
        const Sequence none = part(s, shape, 2, 0);
        REQUIRE(attend(*backend, shape, cache, k_b, v_b, {&none, &s, &none}).size() == 5 * 2 * 32);

        const Array q(*backend, {5, 2, 48}, s.q);
        Array heads(*backend, DType::f32, {5, 2, 32});
        const auto run = [&](const SequenceSpan& span, int64_t tokens) {
            backend->mla_attend(heads.view, q.view, k_b.view(), v_b.view(), cache.view,
                                {{&span, 1}, tokens}, 0.1F);
        };
        REQUIRE_NOTHROW(run({0, 5, 60, s.table}, 5));
        REQUIRE_THROWS_AS(run({0, 4, 60, s.table}, 5), std::logic_error);
        REQUIRE_THROWS_AS(run({0, 5, 60, s.table}, 4), std::logic_error);
        REQUIRE_THROWS_AS(run({1, 5, 60, s.table}, 5), std::logic_error);
        REQUIRE_THROWS_AS(run({0, 5, -1, s.table}, 5), std::logic_error);
        REQUIRE_THROWS_AS(run({0, 5, 60, std::span(s.table).first(1)}, 5), std::logic_error);
        const std::vector<int32_t> negative = {s.table[0], -1};
        REQUIRE_THROWS_AS(run({0, 5, 60, negative}, 5), std::logic_error);
        const SequenceSpan span{0, 5, 60, s.table};
        REQUIRE_THROWS_AS(backend->mla_attend(q.view, q.view, k_b.view(), v_b.view(), cache.view,
                                              {{&span, 1}, 5}, 1),
                          std::logic_error);
    }
}
