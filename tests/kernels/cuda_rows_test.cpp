// The kernels on rows against double loops, one to four tokens in every schedule: rotary positions
// and the K row's way into each cache type, routing, the sum of experts, embedding; and every
// barrier of theirs is needed.
#include <numeric>

#include "kernels/cuda/rows.h"
#include "kernels/k_row.h"
#include "tests/kernels/backend_support.h"
#include "tests/kernels/cuda_support.h"

using namespace tests;
using kernels::KType;
using kernels::cuda::Rows;

namespace {

constexpr KType kTypes[] = {DType::f32,  DType::f16,  DType::bf16,
                            DType::q8_0, DType::q4_0, KType::q8_latent()};

double nmse(std::span<const float> got, std::span<const double> want) {
    double error = 0, size = 0;
    for (size_t i = 0; i < want.size(); i++) {
        error += (got[i] - want[i]) * (got[i] - want[i]);
        size += want[i] * want[i];
    }
    return error / size;
}

void turn(double* pairs, int n, double position, double base) {
    for (int i = 0; i < n; i += 2) {
        const double angle = position * std::pow(base, -static_cast<double>(i) / n);
        const double a = pairs[i], b = pairs[i + 1], c = std::cos(angle), s = std::sin(angle);
        pairs[i] = a * c - b * s;
        pairs[i + 1] = b * c + a * s;
    }
}

// The NMSE of queries and of K rows; infinite where a byte outside of the rows changed.
double rotate_and_store(
    const KType& type, int heads, int latent, int rotary, const std::vector<int>& positions) {
    constexpr int kNope = 32;
    constexpr float kBase = 1e6F, kEps = 1e-5F;
    Random random(17);
    const auto tokens = static_cast<int>(positions.size());
    const int head = kNope + rotary, row = latent + rotary;
    const int64_t row_bytes = kernels::k_row_bytes(type, latent, rotary), before = 64;
    const int64_t page_bytes = (before + 64 * row_bytes + 255) / 256 * 256;
    const Floats q = random.normals(int64_t{tokens} * heads * head),
                 kv = random.normals(int64_t{tokens} * row, 3);
    const Floats norm = random.normals(latent);

    // Every token is a sequence of its own, and all pages of its table are one.
    std::vector<uint8_t> memory(static_cast<size_t>(tokens * page_bytes), 0xA5);
    const simt::Buffer<uint8_t> pages(memory);
    std::vector<std::byte*> list;
    std::vector<kernels::cuda::TokenPlace> places;
    for (int t = 0; t < tokens; t++) {
        places.push_back({positions[static_cast<size_t>(t)], static_cast<int32_t>(list.size())});
        list.insert(list.end(), static_cast<size_t>(positions[static_cast<size_t>(t)] / 64 + 1),
                    reinterpret_cast<std::byte*>(pages.get()) + t * page_bytes);
    }
    const simt::Buffer<kernels::cuda::TokenPlace> device_places(places);
    const simt::Buffer<std::byte*> device_list(list);
    const simt::Buffer<float> device_q(q), device_kv(kv), device_norm(norm);
    const kernels::LatentRow parts(latent, rotary);
    kernels::cuda::RotateAndStore work;
    work.batch = {device_places.get(), device_list.get()};
    work.rows = {before,
                 row_bytes,
                 type.dtype,
                 latent,
                 rotary,
                 type.int8_latent,
                 static_cast<int32_t>(parts.rotary_at),
                 static_cast<int32_t>(parts.scales_at)};
    work.q = {device_q.get(), head, 0, 1};
    work.n_tokens = tokens;
    work.n_heads = heads;
    work.head = head;
    work.kv = {device_kv.get(), row, 0, 1};
    work.norm = device_norm.get();
    work.eps = kEps;
    const simt::Buffer<float> turns(static_cast<size_t>(tokens * rotary));
    kernels::cuda::launch_turns(turns.get(), work.batch.places, tokens, rotary, kBase, nullptr);
    work.turns = turns.get();
    kernels::cuda::launch_rotate_and_store(work, nullptr);

    Doubles want_q = to_doubles(q), want_rows;
    Floats got_rows;
    const std::vector<uint8_t> after = pages.download();
    for (int t = 0; t < tokens; t++) {
        const int position = positions[static_cast<size_t>(t)];
        for (int h = 0; h < heads; h++) {
            turn(want_q.data() + (t * heads + h) * head + kNope, rotary, position, kBase);
        }
        const Doubles latents(kv.begin() + t * row, kv.begin() + t * row + latent);
        Doubles exact = rmsnorm(latents, norm, kEps);
        exact.insert(exact.end(), kv.begin() + t * row + latent, kv.begin() + (t + 1) * row);
        turn(exact.data() + latent, rotary, position, kBase);
        // As the type rounds it.
        std::vector<std::byte> packed(static_cast<size_t>(row_bytes));
        Floats rounded(static_cast<size_t>(row));
        kernels::pack_k_row(type, to_floats(exact).data(), latent, rotary, packed.data());
        kernels::unpack_k_row(type, packed.data(), latent, rotary, rounded.data());
        want_rows.insert(want_rows.end(), rounded.begin(), rounded.end());
        const int64_t at = t * page_bytes + before + position % 64 * row_bytes;
        kernels::unpack_k_row(type, reinterpret_cast<const std::byte*>(after.data()) + at, latent,
                              rotary, rounded.data());
        got_rows.insert(got_rows.end(), rounded.begin(), rounded.end());
        std::fill_n(memory.begin() + at, row_bytes, uint8_t{0});
        for (int64_t i = t * page_bytes; i < (t + 1) * page_bytes; i++) {
            const bool inside = i >= at && i < at + row_bytes;
            if (!inside && after[static_cast<size_t>(i)] != 0xA5) {
                return INFINITY;
            }
        }
    }
    return nmse(device_q.download(), want_q) +
           nmse(got_rows, want_rows);  // not the larger: NaN must stay
}

// Routing of tokens over experts; false where a choice, a weight or the order of pairs is not what
// plain loops give.
bool routes(int tokens, int experts, int used, bool biased, int most_slots = kernels::kTileTokens) {
    Random random(23);
    Floats logits = random.normals(int64_t{tokens} * experts, 2);
    Floats bias = random.normals(experts, 0.3F);
    for (int e = 1; e < experts; e += 5) {  // ties: the lower index goes first
        logits[static_cast<size_t>(e)] = logits[static_cast<size_t>(e - 1)];
        bias[static_cast<size_t>(e)] = bias[static_cast<size_t>(e - 1)];
    }
    const int pairs = tokens * used;
    const int32_t most = kernels::most_items(pairs, experts, most_slots);
    const simt::Buffer<float> device_logits(logits), device_bias(bias),
        weights(static_cast<size_t>(pairs));
    const simt::Buffer<int32_t> chosen(static_cast<size_t>(pairs)), n_items(1),
        order(static_cast<size_t>(pairs));
    const simt::Buffer<kernels::cuda::WorkItem> items(static_cast<size_t>(most));
    kernels::cuda::Route route;
    route.logits = device_logits.get();
    route.bias = biased ? device_bias.get() : nullptr;
    route.n_tokens = tokens;
    route.n_experts = experts;
    route.n_used = used;
    route.scale = 1.8F;
    route.chosen = chosen.get();
    route.weights = weights.get();
    route.item_slots = most_slots;
    route.items = items.get();
    route.n_items = n_items.get();
    route.pairs = order.get();
    kernels::cuda::launch_route(route, nullptr);

    const std::vector<int32_t> got = chosen.download(), sorted = order.download();
    std::vector<int32_t> want;
    Doubles want_weights;
    for (int t = 0; t < tokens; t++) {
        std::vector<int32_t> by_score(static_cast<size_t>(experts));
        std::iota(by_score.begin(), by_score.end(), 0);
        const auto score = [&](int32_t e) {
            return 1 / (1 + std::exp(-double{logits[static_cast<size_t>(t * experts + e)]}));
        };
        const auto rank = [&](int32_t e) {
            return static_cast<float>(score(e)) + (biased ? bias[static_cast<size_t>(e)] : 0.0F);
        };
        std::ranges::stable_sort(by_score, [&](int32_t a, int32_t b) { return rank(a) > rank(b); });
        double total = 0;
        for (int k = 0; k < used; k++) {
            total += score(by_score[static_cast<size_t>(k)]);
        }
        for (int k = 0; k < used; k++) {
            want.push_back(by_score[static_cast<size_t>(k)]);
            want_weights.push_back(score(want.back()) / total * 1.8);
        }
    }
    bool right = got == want && nmse(weights.download(), want_weights) < 1e-10;
    // Pairs by expert, and items that cover them in order.
    std::vector<int32_t> by_expert(static_cast<size_t>(pairs));
    std::iota(by_expert.begin(), by_expert.end(), 0);
    std::ranges::stable_sort(by_expert, [&](int32_t a, int32_t b) {
        return want[static_cast<size_t>(a)] < want[static_cast<size_t>(b)];
    });
    right = right && sorted == by_expert;
    const std::vector<kernels::cuda::WorkItem> list = items.download();
    const int32_t count = n_items.download()[0];
    int32_t at = 0;
    for (int32_t i = 0; i < std::min(count, most) && right; i++) {
        const auto& item = list[static_cast<size_t>(i)];
        right = item.begin == at && item.count >= 1 && item.count <= most_slots;
        for (int32_t k = 0; k < item.count && right; k++, at++) {
            right = at < pairs &&
                    want[static_cast<size_t>(by_expert[static_cast<size_t>(at)])] == item.expert;
        }
    }
    return right && at == pairs;
}

// The router's product with the choice in one launch, against the two launches: the same bits.
bool routes_at_once(int tokens, int experts, int used, int cols) {
    Random random(31);
    const Floats x = random.normals(int64_t{tokens} * cols),
                 weight = random.normals(int64_t{experts} * cols, 0.1F),
                 bias = random.normals(experts, 0.3F), norm = random.normals(cols);
    const simt::Buffer<float> device_x(x), device_weight(weight), device_bias(bias),
        device_norm(norm);
    const auto pairs = static_cast<size_t>(tokens * used);
    kernels::cuda::Products p;
    p.n_parts = 1;
    p.cols = cols;
    p.input = kernels::cuda::InputForm::normed;
    p.x = {device_x.get(), cols, 0, 1};
    p.norm = device_norm.get();
    p.eps = 1e-5F;
    p.n_slots = tokens;
    p.parts[0].weight = reinterpret_cast<const std::byte*>(device_weight.get());
    p.parts[0].end = p.parts[0].weight + weight.size() * sizeof(float);
    p.parts[0].row_bytes = cols * static_cast<int64_t>(sizeof(float));
    p.parts[0].rows = experts;
    struct Outcome {
        Floats logits, weights;
        std::vector<int32_t> chosen, order, n_items;
        std::vector<uint32_t> ticket;
        bool operator==(const Outcome&) const = default;
    };
    const auto run = [&](bool at_once) {
        const simt::Buffer<float> logits(static_cast<size_t>(tokens * experts)), weights(pairs);
        const simt::Buffer<int32_t> chosen(pairs), order(pairs), n_items(1);
        const simt::Buffer<kernels::cuda::WorkItem> items(pairs);
        const simt::Buffer<uint32_t> ticket(std::vector<uint32_t>{0});
        p.parts[0].out = {logits.get(), experts, 0, 1};
        kernels::cuda::Route route;
        route.logits = logits.get();
        route.bias = device_bias.get();
        route.n_tokens = tokens;
        route.n_experts = experts;
        route.n_used = used;
        route.chosen = chosen.get();
        route.weights = weights.get();
        route.item_slots = tokens == 1 ? 1 : kernels::kTileTokens;
        route.items = items.get();
        route.n_items = n_items.get();
        route.pairs = order.get();
        if (at_once) {
            REQUIRE(launch_router(kernels::DType::f32, p, route, ticket.get(), nullptr));
        } else {
            launch_products(kernels::DType::f32, p, nullptr);
            launch_route(route, nullptr);
        }
        return Outcome{logits.download(), weights.download(), chosen.download(),
                       order.download(),  n_items.download(), ticket.download()};
    };
    const Outcome two = run(false);
    return run(true) == two && run(true) == two;
}

double combined(int tokens, int used, int cols, bool shared) {
    Random random(29);
    const Floats x = random.normals(int64_t{tokens} * cols),
                 routed = random.normals(int64_t{tokens} * used * cols),
                 weights = random.normals(int64_t{tokens} * used),
                 beside = random.normals(int64_t{tokens} * cols);
    const simt::Buffer<float> device_x(x), device_routed(routed), device_weights(weights),
        device_beside(beside);
    kernels::cuda::launch_combine({device_x.get(), cols, 0, 1}, device_routed.get(),
                                  device_weights.get(), shared ? device_beside.get() : nullptr,
                                  tokens, used, cols, nullptr);
    Doubles want;
    for (int t = 0; t < tokens; t++) {
        for (int c = 0; c < cols; c++) {
            double sum = x[static_cast<size_t>(t * cols + c)];
            for (int k = 0; k < used; k++) {
                sum += double{weights[static_cast<size_t>(t * used + k)]} *
                       routed[static_cast<size_t>((t * used + k) * cols + c)];
            }
            want.push_back(sum + (shared ? beside[static_cast<size_t>(t * cols + c)] : 0.0F));
        }
    }
    return nmse(device_x.download(), want);
}

}  // namespace

TEST_CASE("cuda rows: queries and K rows of every cache type, in every schedule") {
    for (const KType& type : kTypes) {
        for (const auto& mode : test_modes()) {
            const WithMode with(mode);
            INFO(kernels::name(type) << ", " << name(mode));
            CHECK(rotate_and_store(type, 20, 512, 64, {65, 4095}) < 5e-4);
            CHECK(rotate_and_store(type, 5, 96, 32, {64}) < 5e-4);
        }
        INFO(kernels::name(type));
        CHECK(rotate_and_store(type, 5, 512, 64, {0, 1, 63, 202751}) < 5e-4);
        CHECK(rotate_and_store(type, 3, 160, 32, {0, 1, 62}) <
              5e-4);  // a scale of fewer than 128 codes
    }
}

TEST_CASE(
    "cuda rows: routing and the sum of experts, one to four tokens and more, in every schedule") {
    for (const auto& mode : test_modes()) {
        const WithMode with(mode);
        INFO(name(mode));
        for (const int tokens : {1, 2, 3, 4}) {
            INFO(tokens << " tokens");
            CHECK(routes(tokens, 64, 4, true));
            CHECK(routes(tokens, 6, 2, false));
            CHECK(routes_at_once(tokens, 64, 4, 256));
            CHECK(combined(tokens, 4, 300, tokens % 2 == 0) < 5e-4);
        }
        CHECK(routes(37, 8, 2, true));
        CHECK(routes_at_once(8, 300, 2, 96));
        CHECK(routes(300, 5, 2, true, kernels::kTileSlots));
        CHECK(combined(2, 0, 64, true) < 5e-4);
    }
}

TEST_CASE("cuda rows: more tokens than a grid is tall") {
    if (small_shapes()) {
        return;
    }
    constexpr int kTokens = 65600, kCols = 32;
    const simt::Buffer<float> table(Floats(2 * kCols, 1));
    std::vector<int32_t> rows(kTokens, 0);
    rows.back() = 1;
    const simt::Buffer<int32_t> ids(rows);
    const simt::Buffer<float> out(size_t{kTokens} * kCols);
    kernels::cuda::launch_embed(out.get(), kernels::DType::f32,
                                reinterpret_cast<const std::byte*>(table.get()), kCols * 4,
                                ids.get(), kTokens, kCols, nullptr);
    kernels::cuda::launch_combine({out.get(), kCols, 0, 1}, nullptr, nullptr, out.get(), kTokens, 0,
                                  kCols, nullptr);
    CHECK(out.download() == Floats(size_t{kTokens} * kCols, 2));
}

#if !SIMT_GPU

TEST_CASE("cuda rows: every barrier is needed, and a missing one is caught") {
    const auto all_right = [] {
        bool right =
            routes(3, 64, 4, true) && routes(40, 7, 4, true) && combined(2, 4, 300, true) < 5e-4;
        for (const KType& type : {KType(DType::f16), KType::q8_latent()}) {
            right = right && rotate_and_store(type, 20, 512, 64, {65, 4095}) < 5e-4;
        }
        return right;
    };
    simt::cpu::record_sites(true);
    REQUIRE(all_right());
    simt::cpu::record_sites(false);
    const std::vector<simt::cpu::Site> sites = simt::cpu::recorded_sites();
    CHECK(sites.size() >= 4);
    for (const simt::cpu::Site& site : sites) {
        INFO("fault " << static_cast<int>(site.fault) << " at " << site.file << ":" << site.line);
        CHECK(fault_is_caught(site, all_right));
    }
}

#endif  // !SIMT_GPU
