// Feed-forward operations of every backend against double loops: routing, experts, the order of
// sums.
#include <algorithm>
#include <numeric>

#include "tests/kernels/backend_support.h"

using namespace tests;
using kernels::Glu;
using kernels::MoeRouting;

namespace {

constexpr float kEps = 1e-5F;

struct MoeCase {
    int64_t experts = 8, used = 2, dim = 64, width = 32, shared_width = 32;
    DType type = DType::f32;  // gate; up and down are of other_type
    DType other_type = DType::f32;
    bool with_bias = true, fused = false;
    MoeRouting routing;
};

struct Moe {
    MoeCase c;
    Weight gate, up, down, shared_gate, shared_up, shared_down, router;
    Floats norm, bias;
    Array norm_array, bias_array;

    Moe(Backend& backend, Random& random, const MoeCase& moe_case)
        : c(moe_case),
          gate(random_weight(
              backend, random, c.type, {c.experts, (c.fused ? 2 : 1) * c.width, c.dim})),
          up(random_weight(
              backend, random, c.fused ? c.type : c.other_type, {c.experts, c.width, c.dim})),
          down(random_weight(backend, random, c.other_type, {c.experts, c.dim, c.width})),
          shared_gate(random_weight(
              backend, random, c.other_type, {std::max<int64_t>(c.shared_width, 32), c.dim})),
          shared_up(random_weight(
              backend, random, c.type, {std::max<int64_t>(c.shared_width, 32), c.dim})),
          shared_down(random_weight(
              backend, random, c.type, {c.dim, std::max<int64_t>(c.shared_width, 32)})),
          router(random_weight(backend, random, DType::f32, {c.experts, c.dim})),
          norm(random.normals(c.dim)),
          bias(random.normals(c.experts, 0.3F)),
          norm_array(backend, {c.dim}, norm),
          bias_array(backend, {c.experts}, bias) {}

    Glu experts() const {
        if (c.fused) {
            return {gate.view().slice(1, 0, c.width), gate.view().slice(1, c.width, 2 * c.width),
                    down.view()};
        }
        return {gate.view(), up.view(), down.view()};
    }
    Glu shared() const {
        return c.shared_width == 0 ? Glu{}
                                   : Glu{shared_gate.view(), shared_up.view(), shared_down.view()};
    }
    void run(Backend& backend, const TensorView& x) const {
        backend.moe_ffn(x, norm_array.view, router.view(),
                        c.with_bias ? bias_array.view : TensorView(), c.routing, experts(),
                        shared(), kEps);
    }
    // What x becomes; `margin`: smallest distance between a chosen and a refused expert.
    Doubles expected(const Floats& x, double* margin) const {
        Doubles out = to_doubles(x);
        const int64_t tokens = static_cast<int64_t>(x.size()) / c.dim, used = c.routing.n_used;
        const Doubles h = rmsnorm(out, norm, kEps);
        const Doubles logits = product(h, router.values.data(), c.experts, c.dim);
        for (int64_t t = 0; t < tokens; t++) {
            Doubles score(static_cast<size_t>(c.experts)), rank(score);
            for (size_t e = 0; e < score.size(); e++) {
                score[e] = 1 / (1 + std::exp(-logits[static_cast<size_t>(t * c.experts) + e]));
                rank[e] = score[e] + (c.with_bias ? bias[e] : 0);
            }
            std::vector<size_t> order(score.size());
            std::iota(order.begin(), order.end(), size_t{0});
            std::stable_sort(order.begin(), order.end(),
                             [&](size_t a, size_t b) { return rank[a] > rank[b]; });
            double sum = 0;
            for (int64_t k = 0; k < used; k++) {
                sum += score[order[static_cast<size_t>(k)]];
            }
            if (used < c.experts) {
                *margin = std::min(*margin, rank[order[static_cast<size_t>(used - 1)]] -
                                                rank[order[static_cast<size_t>(used)]]);
            }
            const Doubles row(h.begin() + t * c.dim, h.begin() + (t + 1) * c.dim);
            const auto add = [&](const Doubles& y, double factor) {
                for (size_t i = 0; i < y.size(); i++) {
                    out[static_cast<size_t>(t * c.dim) + i] += factor * y[i];
                }
            };
            for (int64_t k = 0; k < used; k++) {
                const size_t e = order[static_cast<size_t>(k)];
                const double w =
                    score[e] / (c.routing.normalize ? std::max(sum, 0x1p-14) : 1) * c.routing.scale;
                const size_t part = static_cast<size_t>(c.width * c.dim);
                const float* g = gate.values.data() + e * part * (c.fused ? 2 : 1);
                add(glu(row, g, c.fused ? g + part : up.values.data() + e * part,
                        down.values.data() + e * part, c.dim, c.width),
                    w);
            }
            if (c.shared_width > 0) {
                add(glu(row, shared_gate.values.data(), shared_up.values.data(),
                        shared_down.values.data(), c.dim, c.shared_width),
                    1);
            }
        }
        return out;
    }
};

}  // namespace

TEST_CASE("dense_ffn: equals double loops; a row alone has the bits it has among others") {
    Random random(21);
    for (const auto& backend : backends()) {
        for (DType type : {DType::f32, DType::f16, DType::q8_0}) {
            const int64_t dim = 64, width = 160;
            const Weight gate = random_weight(*backend, random, type, {width, dim});
            const Weight up = random_weight(*backend, random, DType::f32, {width, dim});
            const Weight down = random_weight(*backend, random, type, {dim, width});
            const Floats norm = random.normals(dim);
            const Array norm_array(*backend, {dim}, norm);
            const Glu network{gate.view(), up.view(), down.view()};
            for (int64_t tokens :
                 {int64_t{0}, int64_t{1}, int64_t{2}, int64_t{33}, many(*backend, 520)}) {
                CAPTURE(backend->description(), name(type), tokens);
                const Floats x = random.normals(tokens * dim);
                Array array(*backend, {tokens, dim}, x);
                backend->dense_ffn(array.view, norm_array.view, network, kEps);
                Doubles want = glu(rmsnorm(to_doubles(x), norm, kEps), gate.values.data(),
                                   up.values.data(), down.values.data(), dim, width);
                for (size_t i = 0; i < want.size(); i++) {
                    want[i] += x[i];
                }
                const Floats got = array.floats();
                REQUIRE(difference(got, to_floats(want), product_tolerance(type, 2), dim) == "");
                REQUIRE(array.guard_whole());
                if (tokens > 0) {
                    const int64_t t = random.below(tokens);
                    Array alone(*backend, {1, dim},
                                Floats(x.begin() + t * dim, x.begin() + (t + 1) * dim));
                    backend->dense_ffn(alone.view, norm_array.view, network, kEps);
                    REQUIRE(rows_agree(*backend, tokens, alone.floats(),
                                       std::span(got).subspan(static_cast<size_t>(t * dim),
                                                              static_cast<size_t>(dim))));
                }
            }
        }
    }
}

TEST_CASE(
    "moe_ffn: equals double loops over shapes, types and routings; batch-invariant bit for bit") {
    std::vector<MoeCase> cases(1);
    cases.push_back({64, 4, 64, 32, 64, DType::f32, DType::f32, true, false, {4, true, 1.8F}});
    cases.push_back({48, 4, 96, 64, 32, DType::q8_0, DType::f16, true, false, {4, true, 1.8F}});
    cases.push_back({5, 5, 32, 96, 0, DType::f16, DType::f32, false, false, {5, false, 1}});
    cases.push_back({7, 1, 64, 32, 32, DType::f32, DType::f32, true, true, {1, true, 2.5F}});
    cases.push_back({3, 2, 32, 32, 160, DType::q4_0, DType::q8_0, true, true, {2, true, 1}});
    cases[0].routing.n_used = 2;
    for (const auto& backend : backends()) {
        for (size_t i = 0; i < cases.size(); i++) {
            Random random(22 + static_cast<uint32_t>(i));
            const Moe moe(*backend, random, cases[i]);
            const int64_t dim = moe.c.dim;
            for (int64_t tokens :
                 {int64_t{0}, int64_t{1}, int64_t{2}, int64_t{9}, many(*backend, 530)}) {
                CAPTURE(backend->description(), i, tokens);
                const Floats x = random.normals(tokens * dim);
                Array array(*backend, {tokens, dim}, x);
                moe.run(*backend, array.view);
                double margin = 1;
                const Doubles want = moe.expected(x, &margin);
                REQUIRE(margin >
                        1e-7);  // else the choice itself is a matter of rounding: take another seed
                const Floats got = array.floats();
                const bool exact = moe.c.type != DType::q8_0 && moe.c.type != DType::q4_0;
                REQUIRE(difference(got, to_floats(want),
                                   product_tolerance(exact ? DType::f32 : DType::q8_0, 2),
                                   dim) == "");
                REQUIRE(array.guard_whole());
                for (int round = 0; round < 3 && tokens > 0; round++) {
                    const int64_t t = random.below(tokens),
                                  n = std::min<int64_t>(1 + random.below(5), tokens - t);
                    Array part(*backend, {n, dim},
                               Floats(x.begin() + t * dim, x.begin() + (t + n) * dim));
                    moe.run(*backend, part.view);
                    REQUIRE(rows_agree(*backend, tokens, part.floats(),
                                       std::span(got).subspan(static_cast<size_t>(t * dim),
                                                              static_cast<size_t>(n * dim))));
                }
            }
        }
    }
}

TEST_CASE("moe_ffn: equal ranks choose the lower index, best first") {
    // Router rows are zero: every score is 1/2, the bias alone ranks, and experts 1, 3 and 4 tie.
    for (const auto& backend : backends()) {
        Random random(31);
        const MoeCase c{6, 2, 32, 32, 0, DType::f32, DType::f32, true, false, {2, true, 1}};
        Moe moe(*backend, random, c);
        backend->upload(moe.router.view(), Floats(6 * 32, 0).data());
        std::fill(moe.router.values.begin(), moe.router.values.end(), 0.0F);
        moe.bias = {0.1F, 0.5F, 0.2F, 0.5F, 0.5F, -1};
        backend->upload(moe.bias_array.view, moe.bias.data());
        const Floats x = random.normals(32);
        Array array(*backend, {1, 32}, x);
        moe.run(*backend, array.view);
        double margin = 1;
        const Doubles want = moe.expected(x, &margin);  // its sort is stable: 1, then 3
        REQUIRE(difference(array.floats(), to_floats(want), product_tolerance(DType::f32), 32) ==
                "");
    }
}

TEST_CASE("moe_ffn: tiny scores are divided by 2^-14 at least") {
    for (const auto& backend : backends()) {
        Random random(32);
        const MoeCase c{4, 2, 32, 32, 0, DType::f32, DType::f32, false, false, {2, true, 1}};
        Moe moe(*backend, random, c);
        // Every logit is about -40: scores of 4e-18, their sum far below the floor.
        Floats rows(4 * 32, 0);
        const Floats x(32, 1);
        std::fill(moe.norm.begin(), moe.norm.end(), 1.0F);
        backend->upload(moe.norm_array.view, moe.norm.data());
        for (size_t e = 0; e < 4; e++) {
            rows[e * 32] = -40 - static_cast<float>(e);
        }
        moe.router.values = rows;
        backend->upload(moe.router.view(), rows.data());
        Array array(*backend, {1, 32}, x);
        moe.run(*backend, array.view);
        double margin = 1;
        REQUIRE(difference(array.floats(), to_floats(moe.expected(x, &margin)), {1e-6, 1e-6}, 32) ==
                "");
    }
}

TEST_CASE(
    "moe_ffn: not-a-number in a row stays in that row and out of the indices; unused experts are "
    "not read") {
    for (const auto& backend : backends()) {
        Random random(33);
        const MoeCase c{8, 2, 64, 32, 32, DType::f32, DType::f32, true, false, {2, true, 1}};
        Moe moe(*backend, random, c);
        // Expert 6 is never chosen and full of NaN.
        moe.bias[6] = -100;
        backend->upload(moe.bias_array.view, moe.bias.data());
        const Floats poison(static_cast<size_t>(moe.gate.view()[6].elements()), kNaN);
        backend->upload(moe.gate.view()[6], poison.data());
        backend->upload(moe.up.view()[6], poison.data());
        backend->upload(moe.down.view()[6], poison.data());
        const Floats x = random.normals(4 * 64);
        Floats broken = x;
        broken[2 * 64 + 5] = kNaN;
        broken[3 * 64 + 7] = INFINITY;
        Array good(*backend, {4, 64}, x), bad(*backend, {4, 64}, broken);
        moe.run(*backend, good.view);
        moe.run(*backend, bad.view);
        const Floats a = good.floats(), b = bad.floats();
        for (float v : a) {
            REQUIRE(std::isfinite(v));
        }
        REQUIRE(same_bits(std::span(a).first(128), std::span(b).first(128)));
        REQUIRE(bad.guard_whole());
    }
}
