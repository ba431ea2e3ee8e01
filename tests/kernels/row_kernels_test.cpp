// Every variant of the row kernels that this machine can run, against loops in double precision.
#include "kernels/cpu/row_kernels.h"

#include "kernels/k_row.h"
#include "tests/kernels/backend_support.h"

using namespace tests;
using kernels::cpu::kLanes;
using kernels::cpu::padded;
using kernels::cpu::row_kernels_variant;
using kernels::cpu::RowKernels;

TEST_CASE(
    "row kernels: dot and mix agree with double loops, and blocks of any size give the same bits") {
    Random random(1);
    for (int i = 0; const RowKernels* k = row_kernels_variant(i); i++) {
        for (int64_t n_a : {1, 2, 3, 4, 5, 20}) {
            for (int64_t n_b : {0, 1, 3, 4, 7, 64}) {
                for (int64_t dim : {16, 48, 576}) {
                    CAPTURE(i, n_a, n_b, dim);
                    const Floats a = random.normals(n_a * dim),
                                 b = random.normals(std::max<int64_t>(n_b, 1) * dim);
                    Floats out(static_cast<size_t>(n_a * 64), kNaN);
                    k->dot(out.data(), 64, a.data(), dim, n_a, b.data(), dim, n_b, dim);
                    Floats one(1);
                    for (int64_t x = 0; x < n_a; x++) {
                        for (int64_t y = 0; y < 64; y++) {
                            const float got = out[static_cast<size_t>(x * 64 + y)];
                            if (y >= n_b) {
                                REQUIRE(std::isnan(got));  // not written
                                continue;
                            }
                            double want = 0, size = 0;
                            for (int64_t d = 0; d < dim; d++) {
                                const double term = double{a[static_cast<size_t>(x * dim + d)]} *
                                                    b[static_cast<size_t>(y * dim + d)];
                                want += term;
                                size += std::abs(term);
                            }
                            // at most dim / 16 + 4 roundings on the way of any term with 16
                            // lanes; with 8 the dim / 8 + 3 do not all go one way
                            REQUIRE(std::abs(got - want) <=
                                    size * (static_cast<double>(dim) / 16 + 5) * 6e-8);
                            k->dot(one.data(), 1, a.data() + x * dim, dim, 1, b.data() + y * dim,
                                   dim, 1, dim);
                            REQUIRE(one[0] == got);
                        }
                    }
                    Floats acc = random.normals(n_a * dim), p = random.normals(n_a * 64);
                    const Floats before = acc, factors = random.normals(n_a);
                    const bool afresh = n_b % 2 == 1;  // what was in acc does not count
                    if (afresh) {
                        std::fill(acc.begin(), acc.end(), kNaN);
                    }
                    const auto factor = [&](int64_t x) {
                        return afresh ? nullptr : factors.data() + x;
                    };
                    k->mix(acc.data(), dim, factor(0), p.data(), 64, n_a, b.data(), dim, n_b, dim);
                    for (int64_t x = 0; x < n_a; x++) {
                        Floats alone(before.begin() + x * dim, before.begin() + (x + 1) * dim);
                        k->mix(alone.data(), dim, factor(x), p.data() + x * 64, 64, 1, b.data(),
                               dim, n_b, dim);
                        REQUIRE(
                            same_bits(alone, std::span(acc).subspan(static_cast<size_t>(x * dim),
                                                                    static_cast<size_t>(dim))));
                        for (int64_t d = 0; d < dim; d++) {
                            double want = afresh
                                              ? 0
                                              : double{before[static_cast<size_t>(x * dim + d)]} *
                                                    factors[static_cast<size_t>(x)];
                            double size = std::abs(want);
                            for (int64_t y = 0; y < n_b; y++) {
                                const double term = double{p[static_cast<size_t>(x * 64 + y)]} *
                                                    b[static_cast<size_t>(y * dim + d)];
                                want += term;
                                size += std::abs(term);
                            }
                            REQUIRE(std::abs(acc[static_cast<size_t>(x * dim + d)] - want) <=
                                    size * (static_cast<double>(n_b) + 1) * 6e-8);
                        }
                    }
                }
            }
        }
    }
}

TEST_CASE("row kernels: running softmax and merge equal one softmax over everything") {
    Random random(2);
    for (int i = 0; const RowKernels* k = row_kernels_variant(i); i++) {
        for (int64_t n : {1, 15, 16, 17, 64, 130}) {
            for (float spread : {0.1F, 4.0F, 60.0F}) {
                CAPTURE(i, n, spread);
                const Floats s = random.normals(n, spread), v = random.normals(n);
                const float scale = 0.25F;
                double max = -INFINITY, sum = 0, mixed = 0;
                for (float x : s) {
                    max = std::max(max, double{x} * scale);
                }
                for (size_t j = 0; j < s.size(); j++) {
                    const double e = std::exp(double{s[j]} * scale - max);
                    sum += e;
                    mixed += e * v[j];
                }
                // two halves, each in steps of 64, then merged
                float acc[2] = {0, 0}, part_max[2] = {-INFINITY, -INFINITY}, part_sum[2] = {0, 0};
                for (int half = 0; half < 2; half++) {
                    const int64_t begin = half == 0 ? 0 : n / 2, end = half == 0 ? n / 2 : n;
                    for (int64_t at = begin; at < end; at += 64) {
                        const int64_t count = std::min<int64_t>(64, end - at);
                        Floats step(64, 7);
                        std::copy_n(s.begin() + at, count, step.begin());
                        acc[half] *= k->softmax_step(step.data(), count, scale, &part_max[half],
                                                     &part_sum[half]);
                        for (int64_t j = 0; j < count; j++) {
                            acc[half] +=
                                step[static_cast<size_t>(j)] * v[static_cast<size_t>(at + j)];
                        }
                    }
                }
                k->merge(&acc[1], &part_max[1], &part_sum[1], &acc[0], part_max[0], part_sum[0], 1);
                REQUIRE(std::abs(acc[1] / part_sum[1] - mixed / sum) < 3e-6);
                REQUIRE(std::abs(part_max[1] - max) <= 1e-6 * std::abs(max) + 1e-6);
            }
        }
    }
}

TEST_CASE("row kernels: elementwise functions at any length, with guards behind the row") {
    Random random(3);
    for (int i = 0; const RowKernels* k = row_kernels_variant(i); i++) {
        for (int64_t n : {1, 2, 15, 16, 17, 31, 32, 100}) {
            CAPTURE(i, n);
            const auto size = static_cast<size_t>(n);
            Floats a = random.normals(n + 1, 3), b = random.normals(n, 2), w = random.normals(n);
            a[size] = 12345;
            if (n > 15) {
                a[3] = 200;  // exp(-x) and exp(x) leave the range of floats
                a[4] = -200;
                a[5] = kNaN;
                a[6] = INFINITY;
                a[7] = 0;
            }
            const auto check = [&](const Floats& got, auto want) {
                REQUIRE(got[size] == 12345);
                Floats expected(size);
                for (size_t j = 0; j < size; j++) {
                    expected[j] = static_cast<float>(want(double{a[j]}, double{b[j]}));
                }
                REQUIRE(difference(std::span(got).first(size), expected, {1e-35, 1e-6}) == "");
            };
            Floats x = a;
            k->swiglu(x.data(), b.data(), n);
            check(x, [](double g, double u) { return g / (1 + std::exp(-g)) * u; });
            x = a;
            k->multiply(x.data(), x.data(), 0.5F, n);
            check(x, [](double p, double) { return p * 0.5; });
            x = a;
            k->add(x.data(), b.data(), n);
            check(x,
                  [](double p, double q) { return static_cast<float>(p) + static_cast<float>(q); });
            x = a;
            k->multiply_add(x.data(), b.data(), 2.0F, n);
            check(x, [](double p, double q) { return p + 2 * q; });

            const Floats row = random.normals(n);
            Floats got(size + 1, 12345);
            k->norm(got.data(), row.data(), w.data(), 1e-5F, n);
            REQUIRE(got[size] == 12345);
            got.pop_back();
            REQUIRE(difference(got, to_floats(rmsnorm(to_doubles(row), w, 1e-5)), {1e-7, 2e-6}) ==
                    "");
        }
    }
}

TEST_CASE("row kernels: wide reads of F16 and Q8_0 equal dequantize_row bit for bit") {
    Random random(4);
    for (int i = 0; const RowKernels* k = row_kernels_variant(i); i++) {
        Floats values = random.normals(576, 100);
        values[1] = 1e-7F;
        values[2] = 65504;
        values[70] = 0;
        if (k->widen_f16 != nullptr) {
            for (int64_t n : {1, 7, 8, 9, 576}) {
                values[3] = INFINITY;
                const auto [bytes, want] =
                    packed(DType::f16, Floats(values.begin(), values.begin() + n), n);
                Floats got(static_cast<size_t>(n));
                k->widen_f16(got.data(), bytes.data(), n);
                REQUIRE(same_bits(got, want));
            }
        }
        if (k->widen_q8_0 != nullptr) {
            values[3] = 1;
            const auto [bytes, want] = packed(DType::q8_0, values, 576);
            Floats got(576);
            k->widen_q8_0(got.data(), bytes.data(), 576);
            REQUIRE(same_bits(got, want));
        }
    }
}

TEST_CASE(
    "row kernels: packed rows are scored and mixed as the rows as floats are, bit for bit, and "
    "nothing else is read or written") {
    Random random(5);
    struct Kind {
        kernels::KType type;
        void (*RowKernels::*score)(const kernels::cpu::RowScores&);
        kernels::cpu::RowMixFunction RowKernels::*mix;  // may be null
    };
    const Kind kinds[] = {{kernels::DType::f16, &RowKernels::score_f16, &RowKernels::mix_f16},
                          {kernels::DType::bf16, &RowKernels::score_bf16, &RowKernels::mix_bf16},
                          {kernels::DType::q8_0, &RowKernels::score_q8_0, nullptr},
                          {kernels::KType::q8_latent(), &RowKernels::score_q8_latent, nullptr}};
    for (int i = 0; const RowKernels* k = row_kernels_variant(i); i++) {
        for (const auto& [type, score, mix_of_kind] : kinds) {
            if (k->*score == nullptr) {
                continue;
            }
            const kernels::cpu::RowMixFunction mix =
                mix_of_kind != nullptr ? k->*mix_of_kind : nullptr;
            for (const auto& [latent, rotary] : {std::pair<int64_t, int64_t>{512, 64}, {128, 32}}) {
                const int64_t dim = latent + rotary,
                              bytes = kernels::k_row_bytes(type, latent, rotary);
                const kernels::LatentRow at(latent, rotary);
                for (int64_t count : {1, 2, 3, 5, 7, 63, 64}) {
                    for (int64_t n : {1, 3, 4, 5, 20}) {
                        CAPTURE(i, name(type), dim, count, n);
                        // exactly as large as what may be read
                        std::vector<std::byte> rows(static_cast<size_t>(count * bytes));
                        Floats want_tile;
                        for (int64_t r = 0; r < count; r++) {
                            const Floats numbers = random.normals(dim, 3);
                            std::byte* row = rows.data() + r * bytes;
                            kernels::pack_k_row(type, numbers.data(), latent, rotary, row);
                            want_tile.resize(static_cast<size_t>((r + 1) * dim));
                            kernels::unpack_k_row(type, row, latent, rotary,
                                                  want_tile.data() + r * dim);
                        }
                        const Floats queries = random.normals(n * dim);
                        Floats want(static_cast<size_t>(n * 64), kNaN), got = want;
                        Floats tile(static_cast<size_t>(count * dim), kNaN);
                        k->dot(want.data(), 64, queries.data(), dim, n, want_tile.data(), dim,
                               count, dim);
                        (k->*score)({got.data(), 64, queries.data(), tile.data(), dim, n, dim,
                                     rows.data(), nullptr, bytes, count, latent, at.rotary_at,
                                     at.scales_at});
                        REQUIRE(same_bits(got, want));
                        if (mix == nullptr) {
                            REQUIRE(same_bits(tile, want_tile));
                            continue;
                        }
                        REQUIRE(same_bits(tile, Floats(tile.size(), kNaN)));
                        const int64_t apart = latent + 16;
                        Floats want_sums = random.normals(n * apart), sums = want_sums;
                        const Floats factors = random.normals(n);
                        for (const float* factor :
                             {factors.data(), static_cast<const float*>(nullptr)}) {
                            k->mix(want_sums.data(), apart, factor, want.data(), 64, n,
                                   want_tile.data(), dim, count, latent);
                            mix({sums.data(), apart, factor, want.data(), 64, n, rows.data(), bytes,
                                 count, latent});
                            REQUIRE(same_bits(sums, want_sums));
                        }
                    }
                }
            }
        }
    }
}
