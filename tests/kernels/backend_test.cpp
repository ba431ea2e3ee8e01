// Backends: memory and its account, embedding, products; on each against plain loops.
#include <stdexcept>

#include "kernels/check.h"
#include "tests/kernels/backend_support.h"

using namespace tests;
using kernels::Buffer;
using kernels::MemoryUse;
using kernels::Product;

namespace {

constexpr DType kWeightTypes[] = {DType::f32, DType::f16, DType::bf16, DType::q8_0, DType::q4_0};

}  // namespace

TEST_CASE("backend: memory is zeroed, counted by use and given back") {
    for (const auto& backend : backends()) {
        const auto before = backend->memory();
        REQUIRE(before.total_bytes > 0);
        REQUIRE(before.free_bytes > 0);
        REQUIRE(before.free_bytes <= before.total_bytes);
        REQUIRE(!before.name.empty());
        REQUIRE(!backend->description().empty());
        {
            Buffer a = backend->allocate(1 << 20, MemoryUse::kv_cache);
            Buffer b = backend->allocate(4096, MemoryUse::weights);
            Buffer c = backend->allocate(100, MemoryUse::compute);
            Buffer none = backend->allocate(0, MemoryUse::compute);
            REQUIRE(none.size_bytes() == 0);
            REQUIRE(backend->memory().kv_bytes == before.kv_bytes + (1 << 20));
            REQUIRE(backend->memory().weights_bytes == before.weights_bytes + 4096);
            REQUIRE(backend->memory().compute_bytes == before.compute_bytes + 100);
            Floats values(1 << 18, 1);
            backend->download(values.data(), TensorView(a.data(), DType::f32, {1 << 18}));
            REQUIRE(values == Floats(1 << 18, 0));
            Buffer moved = std::move(a);
            REQUIRE(backend->memory().kv_bytes == before.kv_bytes + (1 << 20));
            moved.reset();
            REQUIRE(backend->memory().kv_bytes == before.kv_bytes);
        }
        REQUIRE(backend->memory().weights_bytes == before.weights_bytes);
        REQUIRE(backend->memory().compute_bytes == before.compute_bytes);
    }
}

TEST_CASE(
    "backend: a refused allocation says what was asked for and what is free, and counts nothing") {
    for (const auto& backend : backends()) {
        const auto before = backend->memory();
        for (int64_t bytes : {before.total_bytes * 4, int64_t{1} << 60}) {
            REQUIRE_THROWS_AS(backend->allocate(bytes, MemoryUse::kv_cache), kernels::DeviceError);
            try {
                backend->allocate(bytes, MemoryUse::kv_cache);
            } catch (const kernels::DeviceError& e) {
                const std::string text = e.what();
                REQUIRE_THAT(text, ContainsSubstring(std::to_string(bytes >> 20) + " MiB"));
                REQUIRE_THAT(text, ContainsSubstring("free"));
            }
        }
        REQUIRE(backend->memory().kv_bytes == before.kv_bytes);
        REQUIRE_THROWS_AS(backend->allocate(-1, MemoryUse::compute), std::logic_error);
    }
}

TEST_CASE("CPU backend: an adopted weight is counted once, however often it is bound") {
    const auto backend = kernels::make_cpu_backend({1, 1});
    Floats memory(64 * 32);
    const TensorView view(memory.data(), DType::f32, {64, 32});
    REQUIRE(backend->adopt_weight(view).data == view.data);
    REQUIRE(backend->memory().weights_bytes == 64 * 32 * 4);
    backend->adopt_weight(view);
    REQUIRE(backend->memory().weights_bytes == 64 * 32 * 4);
    REQUIRE(kernels::make_cpu_backend({3, 1})->description() ==
            kernels::make_cpu_backend({3, 1})->description());
}

TEST_CASE(
    "backend: embed takes the rows asked for, of any type, and refuses ids outside the table") {
    Random random(11);
    for (const auto& backend : backends()) {
        for (DType type : kWeightTypes) {
            const Weight table = random_weight(*backend, random, type, {50, 64});
            for (const std::vector<int32_t>& ids :
                 {std::vector<int32_t>{}, {49}, {0, 49, 7, 7, 0}, std::vector<int32_t>(100, 3)}) {
                const auto n = static_cast<int64_t>(ids.size());
                Array out(*backend, DType::f32, {n, 64});
                backend->embed(out.view, table.view(), ids);
                Floats want;
                for (int32_t id : ids) {
                    want.insert(want.end(), table.values.begin() + id * 64,
                                table.values.begin() + (id + 1) * 64);
                }
                REQUIRE(same_bits(out.floats(), want));
                REQUIRE(out.guard_whole());
            }
            Array out(*backend, DType::f32, {1, 64});
            for (int32_t bad : {-1, 50, 1 << 30}) {
                REQUIRE_THROWS_AS(backend->embed(out.view, table.view(), std::vector<int32_t>{bad}),
                                  std::logic_error);
            }
        }
    }
}

TEST_CASE(
    "backend: norm_matmul equals double loops; a row alone has the bits it has among others") {
    Random random(12);
    for (const auto& backend : backends()) {
        for (DType type : kWeightTypes) {
            for (int64_t dim : {32, 96, 256}) {
                CAPTURE(backend->description(), name(type), dim);
                const Weight a = random_weight(*backend, random, type, {33, dim});
                const Weight b = random_weight(*backend, random, DType::f32, {5, dim});
                const Floats norm = random.normals(dim);
                const Array norm_array(*backend, {dim}, norm);
                for (int64_t tokens :
                     {int64_t{0}, int64_t{1}, int64_t{2}, int64_t{17}, many(*backend, 600)}) {
                    const Floats x = random.normals(tokens * dim, 3);
                    Array x_array(*backend, {tokens, dim}, x);
                    Array out_a(*backend, DType::f32, {tokens, 33}),
                        out_b(*backend, DType::f32, {tokens, 5});
                    const Product both[] = {{out_a.view, a.view()}, {out_b.view, b.view()}};
                    backend->norm_matmul(both, x_array.view, norm_array.view, 1e-5F);
                    const Doubles h = rmsnorm(to_doubles(x), norm, 1e-5);
                    REQUIRE(difference(out_a.floats(),
                                       to_floats(product(h, a.values.data(), 33, dim)),
                                       product_tolerance(type), 33) == "");
                    REQUIRE(difference(out_b.floats(),
                                       to_floats(product(h, b.values.data(), 5, dim)),
                                       product_tolerance(DType::f32), 5) == "");
                    REQUIRE(out_a.guard_whole());
                    REQUIRE(out_b.guard_whole());
                    REQUIRE(x_array.floats() == x);

                    if (tokens == 0) {
                        continue;
                    }
                    std::vector<int32_t> rows = {static_cast<int32_t>(tokens - 1), 0,
                                                 static_cast<int32_t>(tokens / 2)};
                    Array some(*backend, DType::f32, {3, 33});
                    const Product picked[] = {{some.view, a.view()}};
                    backend->norm_matmul(picked, x_array.view, norm_array.view, 1e-5F, rows);
                    const Floats all = out_a.floats();
                    Floats want;
                    for (int32_t row : rows) {
                        want.insert(want.end(), all.begin() + row * 33,
                                    all.begin() + (row + 1) * 33);
                    }
                    REQUIRE(rows_agree(*backend, tokens, some.floats(), want));
                    REQUIRE_THROWS_AS(backend->norm_matmul(
                                          picked, x_array.view, norm_array.view, 1e-5F,
                                          std::vector<int32_t>{0, 0, static_cast<int32_t>(tokens)}),
                                      std::logic_error);
                }
            }
        }
    }
}

TEST_CASE("backend: norms of any type, strided rows and halves of fused weights") {
    Random random(13);
    for (const auto& backend : backends()) {
        const int64_t dim = 64;
        const Weight fused = random_weight(*backend, random, DType::q8_0, {40, dim});
        const auto [norm_bytes, norm] = packed(DType::bf16, random.normals(dim), dim);
        const Array norm_array(*backend, DType::bf16, {dim}, norm_bytes.data());
        const Floats wide = random.normals(3 * 2 * dim);
        const Array wide_array(*backend, {3, 2 * dim}, wide);
        const TensorView x = wide_array.view.slice(1, dim, 2 * dim);  // right half of each row
        Array out(*backend, {3, 50}, Floats(150, 7));
        const Product one[] = {{out.view.slice(1, 10, 30), fused.view().slice(0, 20, 40)}};
        backend->norm_matmul(one, x, norm_array.view, 1e-5F);
        Floats right;
        for (int t = 0; t < 3; t++) {
            right.insert(right.end(), wide.begin() + (2 * t + 1) * dim,
                         wide.begin() + (2 * t + 2) * dim);
        }
        const Doubles want = product(rmsnorm(to_doubles(right), norm, 1e-5),
                                     fused.values.data() + 20 * dim, 20, dim);
        const Floats got = out.floats();
        Floats inside, outside;
        for (size_t i = 0; i < got.size(); i++) {
            (i % 50 >= 10 && i % 50 < 30 ? inside : outside).push_back(got[i]);
        }
        REQUIRE(difference(inside, to_floats(want), product_tolerance(DType::q8_0), 20) == "");
        REQUIRE(outside == Floats(90, 7));
    }
}

TEST_CASE("backend: matmul_add adds the product, at any number of rows, bit for bit alike") {
    Random random(14);
    for (const auto& backend : backends()) {
        for (DType type : kWeightTypes) {
            const int64_t cols = 96, dim = 70;
            const Weight weight = random_weight(*backend, random, type, {dim, cols});
            for (int64_t tokens :
                 {int64_t{0}, int64_t{1}, int64_t{3}, int64_t{40}, many(*backend, 513)}) {
                CAPTURE(backend->description(), name(type), tokens);
                const Floats x = random.normals(tokens * dim), in = random.normals(tokens * cols);
                Array x_array(*backend, {tokens, dim}, x), in_array(*backend, {tokens, cols}, in);
                backend->matmul_add(x_array.view, in_array.view, weight.view());
                Doubles want = product(to_doubles(in), weight.values.data(), dim, cols);
                for (size_t i = 0; i < x.size(); i++) {
                    want[i] += x[i];
                }
                const Floats got = x_array.floats();
                REQUIRE(difference(got, to_floats(want), product_tolerance(type), dim) == "");
                REQUIRE(x_array.guard_whole());
                if (tokens > 0) {
                    const int64_t t = random.below(tokens);
                    Array alone(*backend, {1, dim},
                                Floats(x.begin() + t * dim, x.begin() + (t + 1) * dim));
                    const Array in_alone(
                        *backend, {1, cols},
                        Floats(in.begin() + t * cols, in.begin() + (t + 1) * cols));
                    backend->matmul_add(alone.view, in_alone.view, weight.view());
                    REQUIRE(rows_agree(*backend, tokens, alone.floats(),
                                       std::span(got).subspan(static_cast<size_t>(t * dim),
                                                              static_cast<size_t>(dim))));
                }
            }
        }
    }
}

TEST_CASE("backend: wrong shapes are refused") {
    for (const auto& backend : backends()) {
        const Array x(*backend, DType::f32, {2, 32}), norm(*backend, DType::f32, {32}),
            out(*backend, DType::f32, {2, 4});
        const Array w(*backend, DType::f32, {4, 32}), wrong(*backend, DType::f32, {4, 64});
        const Array ids(*backend, DType::i32, {2, 32});
        const auto run = [&](const TensorView& o, const TensorView& weight, const TensorView& in,
                             const TensorView& n) {
            const Product p[] = {{o, weight}};
            backend->norm_matmul(p, in, n, 1e-5F);
        };
        REQUIRE_NOTHROW(run(out.view, w.view, x.view, norm.view));
        REQUIRE_THROWS_AS(run(out.view, wrong.view, x.view, norm.view), std::logic_error);
        REQUIRE_THROWS_AS(run(w.view, w.view, x.view, norm.view), std::logic_error);
        REQUIRE_THROWS_AS(run(out.view, w.view, x.view, x.view), std::logic_error);
        REQUIRE_THROWS_AS(run(out.view, w.view, ids.view, norm.view), std::logic_error);
        REQUIRE_THROWS_AS(backend->matmul_add(x.view, x.view, w.view), std::logic_error);
        REQUIRE_THROWS_AS(backend->upload(x.view.slice(1, 0, 16), nullptr), std::logic_error);
    }
}

TEST_CASE("backend: a repeated operation takes no more memory") {
    Random random(15);
    for (const auto& backend : backends()) {
        const Weight w = random_weight(*backend, random, DType::q8_0, {64, 64});
        const Array norm(*backend, {64}, random.normals(64)),
            x(*backend, {40, 64}, random.normals(40 * 64));
        Array out(*backend, DType::f32, {40, 64});
        const Product p[] = {{out.view, w.view()}};
        backend->norm_matmul(p, x.view, norm.view, 1e-5F);
        backend->matmul_add(out.view, x.view, w.view());
        const int64_t held = backend->memory().compute_bytes;
        for (int i = 0; i < 3; i++) {
            backend->norm_matmul(p, x.view, norm.view, 1e-5F);
            backend->matmul_add(out.view, x.view, w.view());
        }
        REQUIRE(backend->memory().compute_bytes == held);
    }
}
