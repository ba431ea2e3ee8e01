// Products of every element type, routing and the smaller kernels, against double loops over the
// dequantised weights.
#include <cmath>
#include <fstream>
#include <iterator>
#include <memory>

#include "kernels/cuda/products.h"
#include "kernels/cuda/rows.h"
#include "kernels/cuda/tiles.h"
#include "kernels/quants/blocks.h"
#include "kernels/quants/quants.h"
#include "tests/kernels/backend_support.h"
#include "tests/kernels/cuda_support.h"
#include "tests/kernels/random_blocks.h"

using namespace tests;
using kernels::cuda::InputForm;
using kernels::cuda::ProductPart;
using kernels::cuda::Products;
using kernels::cuda::SlotForm;

namespace {

constexpr int kLarge = kernels::kTileSlots, kSmall = kernels::kSmallTileSlots;

constexpr DType kTypes[] = {
#define KERNELS_X(name, ...) DType::name,
    KERNELS_DTYPES(KERNELS_X)
#undef KERNELS_X
};

ProductPart part_of(
    const simt::Buffer<uint8_t>& weight, DType type, int64_t rows, int64_t cols, float* out) {
    ProductPart part;
    part.weight = reinterpret_cast<const std::byte*>(weight.get());
    part.end = part.weight + weight.size();
    part.row_bytes = kernels::row_bytes(type, cols);
    part.expert_bytes = rows * part.row_bytes;
    part.rows = static_cast<int32_t>(rows);
    part.out = {out, rows, 0, 1};
    return part;
}

// Room for activations in bf16, where products are to go in tiles.
class Packed {
public:
    Packed(Products& p, int tile) {
        if (tile > 0) {
            p.item_slots = tile;
            room_ = std::make_unique<simt::Buffer<uint16_t>>(
                static_cast<size_t>(p.packed_rows() * kernels::cuda::packed_pitch(p.cols)));
            p.packed = room_->get();
        }
    }

private:
    std::unique_ptr<simt::Buffer<uint16_t>> room_;
};

// Every head's rows by that head's weight, some columns of wider rows: the difference from double
// loops.
double head_products(DType type, int64_t tokens, int64_t heads, int64_t cols, int tile) {
    Random random(17);
    const int64_t rows = 48, wide = cols + 64;
    const std::vector<uint8_t> weight = random_weights(type, heads * rows, cols, random);
    const Floats x = random.normals(tokens * heads * wide);
    const simt::Buffer<uint8_t> device_weight(weight);
    const simt::Buffer<float> device_x(x), out(static_cast<size_t>(tokens * heads * rows));
    Products p;
    p.n_parts = 1;
    p.parts[0] = part_of(device_weight, type, rows, cols, out.get());
    p.cols = static_cast<int32_t>(cols);
    p.x = {device_x.get(), heads * wide, wide, static_cast<int32_t>(heads)};
    p.slots = SlotForm::heads;
    p.n_heads = static_cast<int32_t>(heads);
    p.n_slots = static_cast<int32_t>(tokens);
    const Packed packed(p, tile);
    kernels::cuda::launch_products(type, p, nullptr);
    const Floats weights = dequantized(type, weight, heads * rows, cols);
    Doubles want;
    for (int64_t r = 0; r < tokens * heads; r++) {
        for (int64_t m = 0; m < rows; m++) {
            double sum = 0;
            for (int64_t c = 0; c < cols; c++) {
                sum += double(x[static_cast<size_t>(r * wide + c)]) *
                       weights[static_cast<size_t>((r % heads * rows + m) * cols + c)];
            }
            want.push_back(sum);
        }
    }
    return nmse(out.download(), want);
}

// One launch of two weights over normed rows: the difference from double loops.
double normed_products(
    DType type, int64_t tokens, int64_t cols, int tile = 0, int64_t rows_a = 37) {
    Random random(11);
    const int64_t rows_b = 5;
    const std::vector<uint8_t> a = random_weights(type, rows_a, cols, random),
                               b = random_weights(type, rows_b, cols, random);
    const Floats x = random.normals(tokens * cols, 3), norm = random.normals(cols);
    const simt::Buffer<uint8_t> device_a(a), device_b(b);
    const simt::Buffer<float> device_x(x), device_norm(norm);
    const simt::Buffer<float> out_a(static_cast<size_t>(tokens * rows_a)),
        out_b(static_cast<size_t>(tokens * rows_b));
    Products p;
    p.n_parts = 2;
    p.parts[0] = part_of(device_a, type, rows_a, cols, out_a.get());
    p.parts[1] = part_of(device_b, type, rows_b, cols, out_b.get());
    p.cols = static_cast<int32_t>(cols);
    p.input = InputForm::normed;
    p.x = {device_x.get(), cols, 0, 1};
    p.norm = device_norm.get();
    p.eps = 1e-5F;
    p.n_slots = static_cast<int32_t>(tokens);
    const Packed packed(p, tile);
    kernels::cuda::launch_products(type, p, nullptr);
    const Doubles h = rmsnorm(to_doubles(x), norm, 1e-5);
    const Doubles want_a = product(h, dequantized(type, a, rows_a, cols).data(), rows_a, cols);
    const Doubles want_b = product(h, dequantized(type, b, rows_b, cols).data(), rows_b, cols);
    return std::max(nmse(out_a.download(), want_a), nmse(out_b.download(), want_b));
}

// A routed block by hand: experts' gate, up and down for the pairs of a list. The worst of its
// kernels, each against doubles on what it was given.
double routed_products(DType type, int64_t tokens, int tile = 0) {
    Random random(5);
    const int64_t experts = 6, used = 2, dim = 256, width = 256, pairs = tokens * used;
    const Floats logits = random.normals(tokens * experts), bias = random.normals(experts, 0.1F);
    const simt::Buffer<float> device_logits(logits), device_bias(bias);
    const int32_t item = tile > 0 ? tile : tokens == 1 ? 1 : kernels::kTileTokens;
    const int32_t most = kernels::most_items(pairs, experts, item);
    const simt::Buffer<int32_t> chosen(static_cast<size_t>(pairs)),
        order(static_cast<size_t>(pairs)), n_items(1);
    const simt::Buffer<float> weights(static_cast<size_t>(pairs));
    const simt::Buffer<kernels::cuda::WorkItem> items(static_cast<size_t>(most));
    kernels::cuda::Route route;
    route.logits = device_logits.get();
    route.bias = device_bias.get();
    route.n_tokens = static_cast<int32_t>(tokens);
    route.n_experts = experts;
    route.n_used = used;
    route.scale = 1.5F;
    route.chosen = chosen.get();
    route.weights = weights.get();
    route.item_slots = item;
    route.items = items.get();
    route.n_items = n_items.get();
    route.pairs = order.get();
    kernels::cuda::launch_route(route, nullptr);

    const std::vector<uint8_t> gate = random_weights(type, experts * width, dim, random);
    const std::vector<uint8_t> up = random_weights(type, experts * width, dim, random);
    const std::vector<uint8_t> down = random_weights(type, experts * dim, width, random);
    const Floats x = random.normals(tokens * dim, 0.5F);
    const simt::Buffer<uint8_t> device_gate(gate), device_up(up), device_down(down);
    const simt::Buffer<float> device_x(x), g(static_cast<size_t>(pairs * width)),
        u(static_cast<size_t>(pairs * width)), d(static_cast<size_t>(pairs * dim));
    Products p;
    p.n_parts = 2;
    p.parts[0] = part_of(device_gate, type, width, dim, g.get());
    p.parts[1] = part_of(device_up, type, width, dim, u.get());
    p.cols = dim;
    p.x = {device_x.get(), dim, 0, 1};
    p.slots = SlotForm::routed;
    p.n_slots = most;
    p.items = items.get();
    p.n_items = n_items.get();
    p.pairs = order.get();
    p.pairs_a_row = used;
    p.n_pairs = static_cast<int32_t>(pairs);
    p.item_slots = item;
    const Packed packed(p, tile);
    kernels::cuda::launch_products(type, p, nullptr);
    Products q = p;
    q.n_parts = 1;
    q.parts[0] = part_of(device_down, type, dim, width, d.get());
    q.cols = width;
    q.input = InputForm::gated;
    q.x = {g.get(), width, 0, 1};
    q.up = {u.get(), width, 0, 1};
    q.pairs_a_row = 1;
    const Packed packed_pairs(q, tile);
    kernels::cuda::launch_products(type, q, nullptr);
    const simt::Buffer<float> sum(x);
    kernels::cuda::launch_combine({sum.get(), dim, 0, 1}, d.get(), weights.get(), nullptr,
                                  static_cast<int32_t>(tokens), used, dim, nullptr);

    const Floats gates = dequantized(type, gate, experts * width, dim),
                 ups = dequantized(type, up, experts * width, dim);
    const Floats downs = dequantized(type, down, experts * dim, width);
    const auto which = chosen.download();
    const Floats got_gate = g.download(), got_up = u.download();
    Doubles want_gate, want_up;
    for (size_t pair = 0; pair < static_cast<size_t>(pairs); pair++) {
        const float* input = x.data() + static_cast<int64_t>(pair) / used * dim;
        for (int64_t row = which[pair] * width; row < (which[pair] + 1) * width; row++) {
            double of_gate = 0, of_up = 0;
            for (int64_t i = 0; i < dim; i++) {
                of_gate += double(input[i]) * gates[static_cast<size_t>(row * dim + i)];
                of_up += double(input[i]) * ups[static_cast<size_t>(row * dim + i)];
            }
            want_gate.push_back(of_gate);
            want_up.push_back(of_up);
        }
    }
    Doubles want = to_doubles(x);
    for (int64_t t = 0; t < tokens; t++) {
        std::vector<double> score(experts), rank(experts);
        for (size_t e = 0; e < static_cast<size_t>(experts); e++) {
            score[e] = 1 / (1 + std::exp(-double(logits[static_cast<size_t>(t * experts) + e])));
            rank[e] = score[e] + bias[e];
        }
        std::vector<size_t> best;
        double total = 0;
        for (int k = 0; k < used; k++) {
            best.push_back(
                static_cast<size_t>(std::max_element(rank.begin(), rank.end()) - rank.begin()));
            rank[best.back()] = -1e300;
            total += score[best.back()];
        }
        for (const size_t e : best) {
            const auto begin = which.begin() + t * used;
            const auto found = std::find(begin, begin + used, static_cast<int32_t>(e));
            if (found == begin + used) {
                return 1;  // another expert was chosen
            }
            const int64_t pair = found - which.begin();
            for (int64_t i = 0; i < dim; i++) {
                double out = 0;
                for (int64_t j = 0; j < width; j++) {
                    const double z = got_gate[static_cast<size_t>(pair * width + j)];
                    out += z / (1 + std::exp(-z)) * got_up[static_cast<size_t>(pair * width + j)] *
                           downs[(e * static_cast<size_t>(dim) + static_cast<size_t>(i)) *
                                     static_cast<size_t>(width) +
                                 static_cast<size_t>(j)];
                }
                want[static_cast<size_t>(t * dim + i)] += out * score[e] / total * 1.5;
            }
        }
    }
    // What was added, not the residual beside it.
    Floats got = sum.download();
    for (size_t i = 0; i < got.size(); i++) {
        got[i] -= x[i];
        want[i] -= x[i];
    }
    return std::max({nmse(got, want), nmse(got_gate, want_gate), nmse(got_up, want_up)});
}

// Rows 2 and 0 of a table, bit for bit.
bool embeds(DType type) {
    Random random(2);
    const int64_t cols = 512;
    const std::vector<uint8_t> bytes = random_weights(type, 3, cols, random);
    const simt::Buffer<uint8_t> table(bytes);
    const simt::Buffer<int32_t> ids(std::vector<int32_t>{2, 0});
    const simt::Buffer<float> out(2 * cols);
    kernels::cuda::launch_embed(out.get(), type, reinterpret_cast<const std::byte*>(table.get()),
                                kernels::row_bytes(type, cols), ids.get(), 2, cols, nullptr);
    const Floats all = dequantized(type, bytes, 3, cols);
    Floats want(all.begin() + 2 * cols, all.end());
    want.insert(want.end(), all.begin(), all.begin() + cols);
    return same_bits(out.download(), want);
}

}  // namespace

TEST_CASE("cuda products: every element type on the device has the values of the golden blocks") {
    for (const DType type : kTypes) {
        if (type == DType::i32) {
            continue;
        }
        INFO(kernels::name(type));
        CHECK(embeds(type));
    }
}

TEST_CASE("cuda products: every element type, one to five rows, in every schedule") {
    for (const DType type : kTypes) {
        if (type == DType::i32) {
            continue;
        }
        INFO(kernels::name(type));
        for (const int64_t tokens : {1, 2, 3, 4, 5}) {
            INFO(tokens << " rows");
            CHECK(normed_products(type, tokens, 256) < 5e-4);
        }
        for (const auto& mode : test_modes()) {
            const WithMode with(mode);
            INFO(name(mode));
            CHECK(normed_products(type, 3, 512) < 5e-4);
        }
    }
}

TEST_CASE("cuda products: heads, and rows of every width in units, chunks and halves") {
    for (const DType type : {DType::q4_k, DType::q6_k, DType::q5_0, DType::f32}) {
        INFO(kernels::name(type));
        CHECK(head_products(type, 3, 5, 256, 0) < 5e-4);
    }
    CHECK(head_products(DType::q5_0, 5, 3, 192, 0) < 5e-4);
    for (const int64_t cols : {32, 96, 160, 2048, 2080, 5120}) {
        INFO(cols << " columns");
        CHECK(normed_products(DType::q8_0, 2, cols) < 5e-4);
    }
    for (const DType type : {DType::q4_k, DType::q6_k}) {
        INFO(kernels::name(type));
        CHECK(normed_products(type, 1, 2304) < 5e-4);
        CHECK(normed_products(type, 3, 5120) < 5e-4);
        CHECK(normed_products(type, 1, 256, 0, 2500) < 5e-4);  // several steps a warp
    }
}

TEST_CASE("cuda products: shared memory is enough at the widths of GLM-4.7-Flash") {
    for (const DType type : {DType::q4_k, DType::q6_k, DType::q8_0, DType::f32}) {
        for (const int64_t cols : {512, 768, 1536, 2048, 5120, 10240}) {
            for (const int64_t tokens : {1, 4}) {
                INFO(kernels::name(type) << ", " << cols << " columns, " << tokens << " rows");
                CHECK(normed_products(type, tokens, cols, 0, 9) < 5e-4);
            }
        }
    }
    CHECK(head_products(DType::q5_0, 4, 20, 192, 0) < 5e-4);
}

TEST_CASE("cuda products: tiles, in every schedule") {  // of every type: see every combination
    for (const DType type : {DType::q4_k, DType::q6_k, DType::q8_0, DType::q2_k, DType::mxfp4}) {
        INFO(kernels::name(type));
        CHECK(normed_products(type, 33, 256, kLarge) < 1e-4);
        if (!small_shapes() || type == DType::q4_k || type == DType::q6_k) {
            CHECK(routed_products(type, 40, kSmall) < 1e-4);
        }
    }
    int mode_tile = kLarge;
    for (const auto& mode : test_modes()) {
        const WithMode with(mode);
        INFO(name(mode));
        CHECK(normed_products(DType::q4_k, 40, 512, mode_tile) < 1e-4);
        mode_tile = kLarge + kSmall - mode_tile;
    }
}

TEST_CASE("cuda products: tiles of ragged counts, widths and heads") {
    for (const int64_t tokens : {1, 32, 127, 129}) {
        INFO(tokens << " tokens");
        CHECK(normed_products(DType::q8_0, tokens, 96, kLarge) < 1e-4);
    }
    CHECK(normed_products(DType::q4_0, 20, 32, kSmall, 130) < 1e-4);
    CHECK(normed_products(DType::q5_0, 70, 192, kSmall, 251) < 1e-4);
    CHECK(head_products(DType::q5_0, 33, 3, 192, kLarge) < 1e-4);
    CHECK(head_products(DType::q4_k, 33, 2, 512, kLarge) < 1e-4);
    CHECK(routed_products(DType::q6_k, 400, kLarge) < 1e-4);  // experts of more than a tile
}

TEST_CASE("every combination: product of element types, tokens, schedules", "[.][slow]") {
    for (const DType type : kTypes) {
        if (type == DType::i32) {
            continue;
        }
        for (const auto& mode : test_modes()) {
            const WithMode with(mode);
            INFO(kernels::name(type) << ", " << name(mode));
            CHECK(embeds(type));
            CHECK(normed_products(type, 33, 256, kSmall) < 1e-4);  // in tiles
            for (const int64_t tokens : {1, 2, 3, 4}) {
                INFO(tokens << " tokens");
                CHECK(normed_products(type, tokens, 256) < 5e-4);
                CHECK(routed_products(type, tokens) < 5e-4);
            }
        }
    }
}

TEST_CASE("cuda products: routed experts of every element type") {
    for (const DType type : kTypes) {
        if (type == DType::i32) {
            continue;
        }
        INFO(kernels::name(type));
        CHECK(routed_products(type, 1) < 5e-4);
        if (!small_shapes() || type == DType::q4_k) {
            CHECK(routed_products(type, 7) < 5e-4);
        }
    }
    for (const auto& mode : test_modes()) {
        const WithMode with(mode);
        INFO(name(mode));
        CHECK(routed_products(DType::q4_k, 3) < 5e-4);
    }
}

#if !SIMT_GPU

TEST_CASE("cuda products: every barrier is needed, and a missing one is caught") {
    simt::cpu::record_sites(true);
    const auto all_right = [] {
        return routed_products(DType::q4_k, 3) < 5e-4 &&
               normed_products(DType::q4_k, 2, 256, 0, 200) < 5e-4 &&
               normed_products(DType::q8_0, 2, 2400, 0, 30) < 5e-4 &&
               normed_products(DType::f32, 2, 256, 0, 600) < 5e-4 &&
               normed_products(DType::q5_k, 40, 512, kLarge) < 5e-4;
    };
    REQUIRE(all_right());
    simt::cpu::record_sites(false);
    const std::vector<simt::cpu::Site> sites = simt::cpu::recorded_sites();
    CHECK(sites.size() >= 5);
    for (const simt::cpu::Site& site : sites) {
        // Routing has a test of its own. What follows a row's last block in the sixteen bytes that
        // are copied is not looked at.
        if (site.file.ends_with("rows.cu") || site.file.ends_with("route.cuh") ||
            site.fault == simt::cpu::Fault::ignore_zero_fill) {
            continue;
        }
        INFO("fault at " << site.file << ":" << site.line);
        CHECK(fault_is_caught(site, all_right));
    }
}

#endif  // !SIMT_GPU
