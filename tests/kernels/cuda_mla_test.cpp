// The MLA decode kernel and its merge against double loops: every row type, one to four query
// tokens and long chunks, awkward lengths, several sequences in shuffled pages whose unused rows
// are NaN, 20 heads and others; in every schedule.
#include <map>
#include <numeric>

#include "kernels/cuda/mla.h"
#include "kernels/k_row.h"
#include "kernels/quants/quants.h"
#include "tests/kernels/backend_support.h"
#include "tests/kernels/cuda_support.h"

using namespace tests;
using kernels::KType;
using kernels::cuda::Attend;
using kernels::cuda::QueryGroup;
using kernels::cuda::TokenPlace;

namespace {

constexpr int kLatent = 512, kRotary = 64, kRow = kLatent + kRotary, kNope = 192;

struct Case {
    KType type = DType::f16;
    int heads = 20;
    // Per sequence: cached tokens before this pass, and query tokens.
    std::vector<std::pair<int, int>> sequences = {{64, 1}};
    size_t wave_groups = 0;  // 0: all groups at once
    bool plain = false;      // by the kernel for any shape
    bool steep =
        false;  // the first tokens have huge scores: a running maximum that is not kept overflows
    int broken = -1;  // the position, in every sequence, of a row that is not a number
};

kernels::cuda::KRows rows_of_type(const KType& type, int64_t before, int latent, int rotary) {
    const kernels::LatentRow parts(latent, rotary);
    return {before,
            kernels::k_row_bytes(type, latent, rotary),
            type.dtype,
            latent,
            rotary,
            type.int8_latent,
            static_cast<int32_t>(parts.rotary_at),
            static_cast<int32_t>(parts.scales_at)};
}

int32_t split_tokens_at(int32_t position) {
    return kernels::split_tokens_at(position, simt::multiprocessors());
}

struct Result {
    Floats mixed;
    double nmse = 0;
};

double nmse(const Floats& got, const Doubles& want) {
    double error = 0, size = 0;
    for (size_t i = 0; i < want.size(); i++) {
        error += (got[i] - want[i]) * (got[i] - want[i]);
        size += want[i] * want[i];
    }
    return error / size;
}

Result attend(const Case& c, uint32_t seed = 3) {
    Random random(seed);
    int n_tokens = 0, n_pages = 0;
    for (const auto& [cached, queries] : c.sequences) {
        n_tokens += queries;
        n_pages += (cached + queries + 63) / 64;
    }
    const int64_t row_bytes = kernels::k_row_bytes(c.type, kLatent, kRotary),
                  page_bytes = 64 * row_bytes, before = 96;
    const int64_t stride = (before + page_bytes + 255) / 256 * 256;
    std::vector<uint8_t> memory(static_cast<size_t>((n_pages + 2) * stride), 0xFF);
    std::vector<int> order(static_cast<size_t>(n_pages + 2));
    std::iota(order.begin(), order.end(), 0);
    random.shuffle(order);
    const simt::Buffer<uint8_t> cache(memory.size());

    const Floats q = random.normals(int64_t{n_tokens} * c.heads * (kNope + kRotary));
    const Floats absorbed = random.normals(int64_t{n_tokens} * c.heads * kLatent);
    const float scale = 1 / std::sqrt(256.0F);
    std::vector<TokenPlace> places;
    std::vector<std::byte*> pages;
    std::vector<QueryGroup> groups;
    Attend work;
    // The loops below are most of the time of a test that runs a case in eight schedules.
    static std::map<std::string, Doubles> known;
    std::string key = kernels::name(c.type) + (c.steep ? " steep " : " ") + std::to_string(c.heads);
    for (const auto& [cached, queries] : c.sequences) {
        key += " " + std::to_string(cached) + "+" + std::to_string(queries);
    }
    key += " " + std::to_string(c.broken);
    Doubles& want = known[key + " " + std::to_string(seed)];
    const bool compute = want.empty();
    const int32_t most = kernels::cuda::mla_group_tokens(c.heads);
    int first_row = 0;
    for (const auto& [cached, queries] : c.sequences) {
        const auto table = static_cast<int32_t>(pages.size());
        const int length = cached + queries;
        Floats rows;
        for (int i = 0; i < length; i++) {
            Floats row = random.normals(kRow, c.steep && i < 20 ? 30.0F : 1.0F);
            if (i == c.broken) {
                std::fill(row.begin(), row.begin() + kLatent, kNaN);
            }
            if (i % 64 == 0) {
                pages.push_back(reinterpret_cast<std::byte*>(cache.get()) +
                                order[pages.size()] * stride);
            }
            const auto at =
                static_cast<size_t>(pages.back() - reinterpret_cast<std::byte*>(cache.get()) +
                                    before + i % 64 * row_bytes);
            auto* packed_row = reinterpret_cast<std::byte*>(memory.data() + at);
            kernels::pack_k_row(c.type, row.data(), kLatent, kRotary, packed_row);
            rows.resize(rows.size() + kRow);
            kernels::unpack_k_row(c.type, packed_row, kLatent, kRotary,
                                  rows.data() + rows.size() - kRow);
        }
        for (int t = 0; t < queries; t++) {
            const int seen = cached + t + 1;
            places.push_back({cached + t, table});
            const bool joins = !groups.empty() && t > 0 && groups.back().n_tokens < most &&
                               groups.back().split_tokens == split_tokens_at(cached + t);
            if (joins) {
                groups.back().n_tokens++;
            } else {
                groups.push_back(
                    {first_row + t, 1, cached + t, table, split_tokens_at(cached + t)});
            }
            for (int h = 0; compute && h < c.heads; h++) {
                const float* query = absorbed.data() + ((first_row + t) * c.heads + h) * kLatent;
                const float* turned =
                    q.data() + ((first_row + t) * c.heads + h) * (kNope + kRotary) + kNope;
                Doubles score(static_cast<size_t>(seen)), sums(kLatent);
                double largest = -1e300, total = 0;
                for (int i = 0; i < seen; i++) {
                    const float* row = rows.data() + static_cast<int64_t>(i) * kRow;
                    double s = 0;
                    for (int k = 0; k < kLatent; k++)
                        s += double(query[k]) * row[k];
                    for (int k = 0; k < kRotary; k++)
                        s += double(turned[k]) * row[kLatent + k];
                    score[static_cast<size_t>(i)] = s * scale;
                    largest = std::max(largest, s * scale);
                }
                for (int i = 0; i < seen; i++) {
                    const double p = std::exp(score[static_cast<size_t>(i)] - largest);
                    total += p;
                    for (int k = 0; k < kLatent; k++)
                        sums[static_cast<size_t>(k)] += p * rows[static_cast<size_t>(i * kRow + k)];
                }
                for (const double s : sums)
                    want.push_back(s / total);
            }
        }
        first_row += queries;
    }
    for (const QueryGroup& g : groups) {
        work.group_tokens = std::max(work.group_tokens, g.n_tokens);
        work.n_splits = std::max(work.n_splits, (g.position + g.n_tokens - 1) / g.split_tokens + 1);
    }
    const simt::Buffer<TokenPlace> device_places(places);
    const simt::Buffer<std::byte*> device_pages(pages);
    const simt::Buffer<QueryGroup> device_groups(groups);
    const simt::Buffer<float> device_q(q), device_absorbed(absorbed);
    simt::Buffer<uint8_t>& filled = const_cast<simt::Buffer<uint8_t>&>(cache);
    filled.upload(memory);
    const size_t parts =
        static_cast<size_t>(n_tokens * c.heads) * static_cast<size_t>(work.n_splits);
    const simt::Buffer<uint16_t> part(parts * kLatent);
    const simt::Buffer<float2> weight(parts);
    const simt::Buffer<float> mixed(static_cast<size_t>(n_tokens * c.heads) * kLatent);
    work.rows = rows_of_type(c.type, before, kLatent, kRotary);
    work.batch = {device_places.get(), device_pages.get()};
    work.groups = device_groups.get();
    work.n_groups = static_cast<int32_t>(groups.size());
    work.n_heads = c.heads;
    work.absorbed = {device_absorbed.get(), kLatent, 0, 1};
    work.q = {device_q.get(), kNope + kRotary, 0, 1};
    work.head = kNope + kRotary;
    work.scale = scale;
    work.n_tokens = n_tokens;
    work.part = part.get();
    work.weight = weight.get();
    work.mixed = mixed.get();
    if (c.plain) {
        kernels::cuda::launch_mla_any(work, nullptr);
        Result result{mixed.download(), 0};
        result.nmse = nmse(result.mixed, want);
        return result;
    }
    // In waves of groups, as the backend does for long chunks.
    const size_t wave = c.wave_groups == 0 ? groups.size() : c.wave_groups;
    for (size_t first = 0; first < groups.size(); first += wave) {
        const size_t end = std::min(groups.size(), first + wave);
        work.groups = device_groups.get() + first;
        work.n_groups = static_cast<int32_t>(end - first);
        work.first_token = groups[first].first_row;
        work.n_tokens = groups[end - 1].first_row + groups[end - 1].n_tokens - work.first_token;
        const int64_t before_wave = int64_t{work.first_token} * c.heads * kLatent;
        work.absorbed.data = device_absorbed.get() + before_wave;
        work.mixed = mixed.get() + before_wave;
        kernels::cuda::launch_mla_decode(work, nullptr);
        kernels::cuda::launch_mla_merge(work, nullptr);
    }
    Result result;
    result.mixed = mixed.download();
    result.nmse = nmse(result.mixed, want);
    return result;
}

constexpr KType kTypes[] = {DType::f16, DType::bf16, DType::q8_0, DType::q4_0, KType::q8_latent()};

}  // namespace

TEST_CASE("mla decode: every row type at awkward lengths equals double loops, in every schedule") {
    for (const KType& type : kTypes) {
        for (const auto& mode : test_modes()) {
            const WithMode with(mode);
            INFO(kernels::name(type) << ", " << name(mode));
            CHECK(attend({type, 20, {{0, 1}, {62, 1}, {63, 2}, {64, 1}}}).nmse < 5e-4);
        }
        INFO(kernels::name(type));
        CHECK(attend({type, 5, {{63, 4}, {65, 1}}}).nmse < 5e-4);
    }
}

TEST_CASE(
    "mla decode: one to four query tokens, 20 heads and others, splits and ragged sequences") {
    if (small_shapes()) {
        CHECK(attend({DType::f16, 20, {{130, 2}}}).nmse < 5e-4);
        return;
    }
    for (const int queries : {1, 2, 3, 4}) {
        INFO(queries << " queries");
        CHECK(attend({DType::f16, 20, {{300, queries}, {7, queries}}}).nmse < 5e-4);
        CHECK(attend({DType::q8_0, 5, {{127, queries}}}).nmse < 5e-4);
    }
    for (const int heads : {1, 4, 16, 32, 40}) {
        INFO(heads << " heads");
        CHECK(attend({DType::f16, heads, {{150, 2}}}).nmse < 5e-4);
    }
    CHECK(attend({DType::f16, 20, {{0, 70}, {200, 3}}}).nmse <
          5e-4);  // a prompt's chunk beside a decoding sequence
    CHECK(attend({DType::f16, 20, {{100, 2}}, 0, true}).nmse < 5e-4);
}

TEST_CASE(
    "mla for any shape: every row type, one to four query tokens at awkward lengths, in every "
    "schedule") {
    for (const KType& type : {KType(DType::f32), KType(DType::f16), KType(DType::bf16),
                              KType(DType::q8_0), KType(DType::q4_0), KType::q8_latent()}) {
        Case c{type, 5, {{0, 1}, {1, 2}, {63, 3}, {64, 4}, {65, 1}}};
        c.plain = true;
        INFO(kernels::name(type));
        if (type.int8_latent) {
            for (const auto& mode : test_modes()) {
                const WithMode with(mode);
                INFO(name(mode));
                CHECK(attend(c).nmse < 5e-4);
            }
        } else if (!small_shapes()) {
            CHECK(attend(c).nmse < 5e-4);
        }
    }
}

// The whole product, as many minutes of a core as it takes: a ctest of its own (label slow).
TEST_CASE("every combination: row types, queries, lengths, heads, schedules", "[.][slow]") {
    for (const KType& type : kTypes) {
        for (const int heads : {20, 5}) {
            for (const int queries : {1, 2, 3, 4}) {
                const Case c{
                    type,
                    heads,
                    {{0, queries}, {1, queries}, {63, queries}, {64, queries}, {65, queries}}};
                Case plain = c;
                plain.plain = true;
                for (const auto& mode : test_modes()) {
                    const WithMode with(mode);
                    INFO(kernels::name(type)
                         << ", " << heads << " heads, " << queries << " queries, " << name(mode));
                    CHECK(attend(c).nmse < 5e-4);
                    if (heads == 5) {
                        CHECK(attend(plain).nmse < 5e-4);
                    }
                }
            }
        }
    }
}

// As long as all others together: a ctest of its own.
TEST_CASE("every combination: longest rows, queries, heads, schedules", "[.][slow]") {
    const auto modes = test_modes();
    size_t turn = 0;
    for (const KType& type : kTypes) {
        for (const int heads : {20, 5}) {
            for (const int queries : {1, 2, 3, 4}) {
                turn++;
                for (size_t m = 0; m < modes.size(); m++) {
                    if (small_shapes() && m != turn % modes.size()) {
                        continue;  // each access is looked at: one schedule each, all in turn
                    }
                    const WithMode with(modes[m]);
                    INFO(kernels::name(type) << ", 4,095 cached, " << heads << " heads, " << queries
                                             << " queries, " << name(modes[m]));
                    CHECK(attend({type, heads, {{4095, queries}}}).nmse < 5e-4);
                }
            }
        }
    }
}

TEST_CASE("mla decode: 4,095 cached tokens") {
    if (small_shapes()) {
        return;  // the checker looks at small shapes
    }
    CHECK(attend({DType::f16, 20, {{4095, 1}}}).nmse < 5e-4);
    CHECK(attend({DType::q8_0, 20, {{4094, 2}}}).nmse < 5e-4);
}

TEST_CASE("mla decode: the same bits in every schedule") {
    const Case c{DType::f16, 20, {{252, 6}}};  // crosses the length at which splits begin
    const Floats first = attend(c).mixed;
    for (const auto& mode : test_modes()) {
        const WithMode with(mode);
        INFO(name(mode));
        CHECK(same_bits(attend(c).mixed, first));
    }
}

TEST_CASE("mla decode: a chunk in waves has the bits it has at once") {
    const std::vector<std::pair<int, int>> sequences = {{250, 11}, {3, 2}};
    const Floats once = attend({DType::f16, 20, sequences}).mixed;
    for (const size_t groups : {1, 3}) {
        CHECK(same_bits(attend({DType::f16, 20, sequences, groups}).mixed, once));
    }
}

TEST_CASE("mla decode: a row that is not a number reaches the queries that see it, and no other") {
    for (const KType& type : kTypes) {
        for (const int heads : {20, 5}) {
            if (small_shapes() && (heads == 5) == type.int8_latent) {
                continue;
            }
            const int queries = heads == 20 ? 2 : 8;
            Case c{type, heads, {{100, queries}, {300, queries}}};
            const Floats good = attend(c).mixed;
            c.broken = 300 + queries - 1;
            const Floats last = attend(c).mixed;  // seen by the last query of the second alone
            c.broken = 101;
            const Floats early = attend(c).mixed;  // by all but the first of the first sequence
            INFO(kernels::name(type) << ", " << heads << " heads");
            const size_t token = static_cast<size_t>(heads) * kLatent;
            const auto unlike_numbers = [](std::span<const float> values) {
                return std::ranges::all_of(values, [](float v) { return v != v; });
            };
            const size_t before = good.size() - token;
            CHECK(same_bits(std::span(good).first(before), std::span(last).first(before)));
            CHECK(unlike_numbers(std::span(last).subspan(before)));
            CHECK(same_bits(std::span(good).first(token), std::span(early).first(token)));
            CHECK(unlike_numbers(std::span(early).subspan(token)));
        }
    }
}

#if !SIMT_GPU

TEST_CASE("mla decode: a pessimistic tensor core stays within the limit") {
    simt::cpu::Mode mode;
    mode.chopped_accumulators = true;
    const WithMode with(mode);
    CHECK(attend({DType::f16, 20, {{150, 2}}}).nmse < 5e-4);
}

TEST_CASE("mla decode: shared memory is read without bank conflicts, and each K row once") {
    simt::cpu::reset_counters();
    attend({DType::f16, 20, {{255, 1}}});
    const simt::cpu::Counters c = simt::cpu::counters();
    CHECK(c.ldmatrix_wavefronts == c.ldmatrix_matrices);
    CHECK(c.async_bytes == 256 * kRow * 2);  // 20 heads share one reading of the cache
    CHECK(c.launches == 1);                  // and there is nothing to merge
    attend({DType::f16, 20, {{256, 1}}});
    CHECK(simt::cpu::counters().launches == 3);
}

TEST_CASE(
    "mla decode: every barrier, wait, zero fill, mask and fragment order is needed, and missing "
    "ones are "
    "caught") {
    for (const KType& type : {KType(DType::f16), KType(DType::q8_0), KType::q8_latent()}) {
        const Case c{type, 20, {{100, 2}}};
        simt::cpu::record_sites(true);
        attend(c);
        simt::cpu::record_sites(false);
        const std::vector<simt::cpu::Site> sites = simt::cpu::recorded_sites();
        INFO(kernels::name(type));
        CHECK(sites.size() >= 5);
        CHECK(std::ranges::any_of(sites, [](const simt::cpu::Site& site) {
            return site.fault == simt::cpu::Fault::ignore_bound;  // the mask of what is not seen
        }));
        for (const simt::cpu::Site& site : sites) {
            INFO("fault " << static_cast<int>(site.fault) << " at line " << site.line);
            CHECK(fault_is_caught(site, [&] { return attend(c).nmse < 5e-4; }));
        }
    }
}

#endif  // !SIMT_GPU
