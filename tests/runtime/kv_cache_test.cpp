#include "runtime/cache/kv_cache.h"

#include <cstring>
#include <set>

#include "runtime/error.h"
#include "tests/runtime/fake_backend.h"
#include "tests/support/catch.h"

using kernels::DType;
using runtime::KvCache;
using runtime::KvLayout;

namespace {

runtime::ModelConfig glm_flash() {
    runtime::ModelConfig config;
    config.n_layers = 47;
    config.kv_lora_rank = 512;
    config.qk_rope_head_dim = 64;
    return config;
}

runtime::ModelConfig small() {
    runtime::ModelConfig config;
    config.n_layers = 3;
    config.kv_lora_rank = 24;
    config.qk_rope_head_dim = 8;
    return config;
}

}  // namespace

TEST_CASE("a token of GLM-4.7-Flash takes the published number of bytes in every cache type") {
    const KvLayout f16(glm_flash(), DType::f16);
    CHECK(f16.bytes_per_token() == 54144);
    CHECK(f16.v_bytes_per_token() == 48128);
    CHECK(f16.page_bytes() == 54144 * 64);
    CHECK(KvLayout(glm_flash(), DType::bf16).bytes_per_token() == 54144);
    CHECK(KvLayout(glm_flash(), DType::f32).bytes_per_token() == 108288);
    CHECK(KvLayout(glm_flash(), DType::q8_0).bytes_per_token() == 28764);
    CHECK(KvLayout(glm_flash(), DType::q8_0).v_bytes_per_token() == 25568);
    CHECK(KvLayout(glm_flash(), DType::q4_0).bytes_per_token() == 15228);
    CHECK(KvLayout(glm_flash(), DType::q4_0).v_bytes_per_token() == 13536);
}

TEST_CASE("a cache type that cannot hold the row is refused with one that can") {
    runtime::ModelConfig config = small();
    CHECK_NOTHROW(KvLayout(config, DType::q8_0));
    config.qk_rope_head_dim = 16;
    CHECK_THROWS_AS(KvLayout(config, DType::q8_0), runtime::ModelError);
    CHECK_THROWS_WITH(KvLayout(config, DType::q4_0), ContainsSubstring("f16"));
    CHECK_NOTHROW(KvLayout(config, DType::f32));
    CHECK_THROWS_AS(KvLayout(config, DType::q4_k), runtime::ModelError);
}

TEST_CASE("memory grows in chunks up to the limit and shrinks from the end") {
    tests::FakeBackend backend(int64_t{1} << 30);
    const KvLayout layout(small(), DType::f16);
    const int64_t page = layout.page_bytes();
    KvCache cache(backend, layout, 100);
    CHECK(cache.reserved_pages() == 0);
    CHECK(backend.memory().kv_bytes == 0);

    int64_t before = 0;
    for (int64_t pages = 0; pages <= 100; pages++) {
        REQUIRE(cache.reserve(pages));
        CHECK(cache.reserved_pages() >= pages);
        CHECK(cache.reserved_pages() <= 100);
        CHECK(cache.reserved_pages() >= before);
        CHECK(backend.memory().kv_bytes == cache.reserved_bytes());
        before = cache.reserved_pages();
    }
    CHECK(cache.reserved_pages() == 100);
    CHECK(backend.memory().kv_bytes == 100 * page);
    CHECK(backend.allocations > 10);
    CHECK_FALSE(cache.reserve(101));

    cache.shrink(100);
    CHECK(cache.reserved_pages() == 100);
    cache.shrink(17);
    CHECK(cache.reserved_pages() >= 17);
    CHECK(cache.reserved_pages() < 34);
    CHECK(backend.memory().kv_bytes == cache.reserved_bytes());
    cache.shrink(0);
    CHECK(cache.reserved_pages() == 0);
    CHECK(backend.memory().kv_bytes == 0);
    REQUIRE(cache.reserve(100));
    CHECK(cache.reserved_pages() == 100);
}

TEST_CASE(
    "pages keep their address and their rows while the cache grows, and absent ones are null") {
    tests::FakeBackend backend(int64_t{1} << 30);
    const KvLayout layout(small(), DType::f16);
    KvCache cache(backend, layout, 40);
    REQUIRE(cache.reserve(1));
    std::byte* first = cache.layer(0).pages[0];
    REQUIRE(first != nullptr);
    std::memset(first, 0x5A, static_cast<size_t>(layout.page_bytes()));
    CHECK(cache.layer(0).pages[39] == nullptr);
    REQUIRE(cache.reserve(40));
    CHECK(cache.layer(0).pages[0] == first);

    std::set<const std::byte*> places;
    for (int64_t p = 0; p < 40; p++) {
        std::byte* at = cache.layer(2).pages[p];
        REQUIRE(at != nullptr);
        if (p > 0) {
            std::memset(at, static_cast<int>(p), static_cast<size_t>(layout.page_bytes()));
        }
        places.insert(at);
    }
    CHECK(places.size() == 40);
    for (int64_t i = 0; i < layout.page_bytes(); i++) {
        REQUIRE(first[i] == std::byte{0x5A});
    }
    CHECK(cache.layer(2).layer_offset_bytes == 2 * 64 * layout.row_bytes());
    CHECK(cache.layer(2).latent == 24);
    CHECK(cache.layer(2).rotary == 8);
    cache.shrink(1);
    CHECK(cache.layer(0).pages[0] == first);
    CHECK(cache.layer(0).pages[39] == nullptr);
    CHECK_THROWS_AS(cache.layer(3), std::logic_error);
}

TEST_CASE("a device without room is an ordinary outcome, and what was won stays usable") {
    const KvLayout layout(small(), DType::f16);
    tests::FakeBackend backend(10 * layout.page_bytes());
    KvCache cache(backend, layout, 64);  // chunks of 2 pages
    CHECK(cache.reserve(10));
    CHECK_FALSE(cache.reserve(11));
    CHECK(cache.reserved_pages() == 10);
    CHECK(cache.layer(0).pages[9] != nullptr);
    CHECK(cache.layer(0).pages[10] == nullptr);
}

TEST_CASE("rows are copied in every layer, as many as asked for and none else") {
    for (const DType type : {DType::f16, DType::f32, DType::q8_0}) {
        tests::FakeBackend backend(int64_t{1} << 30);
        const KvLayout layout(small(), type);
        KvCache cache(backend, layout, 20);
        REQUIRE(cache.reserve(20));
        std::byte* from = cache.layer(0).pages[3];
        std::byte* to = cache.layer(0).pages[17];
        for (int64_t i = 0; i < layout.page_bytes(); i++) {
            from[i] = static_cast<std::byte>(1 + i % 250);
        }
        for (const int64_t rows : {1, 17, 63, 64}) {
            std::memset(to, 0, static_cast<size_t>(layout.page_bytes()));
            cache.copy_rows(3, 17, rows);
            int64_t wrong = 0;
            for (int64_t i = 0; i < layout.page_bytes(); i++) {
                const int64_t row = i / layout.row_bytes() % kernels::kPageTokens;
                wrong += to[i] != (row < rows ? from[i] : std::byte{0}) ? 1 : 0;
            }
            CHECK(wrong == 0);
        }
        CHECK_THROWS_AS(cache.copy_rows(3, 20, 1), std::logic_error);
        CHECK_THROWS_AS(cache.copy_rows(3, 17, 65), std::logic_error);
    }
}
