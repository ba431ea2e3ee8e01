#include "runtime/cache/memory_plan.h"

#include <cmath>

#include "runtime/error.h"
#include "runtime/model/model.h"
#include "tests/support/catch.h"

using kernels::DType;
using runtime::MemoryPlan;
using runtime::MemoryRequest;
using runtime::plan_memory;

namespace {

constexpr int64_t kGiB = int64_t{1} << 30;
constexpr int64_t kWeights = 18'130'000'000;  // a Q4_K_M file

runtime::ModelConfig glm_flash() {
    runtime::ModelConfig c;
    c.n_layers = 47;
    c.n_dense_layers = 1;
    c.hidden = 2048;
    c.n_heads = 20;
    c.q_lora_rank = 768;
    c.kv_lora_rank = 512;
    c.qk_nope_head_dim = 192;
    c.qk_rope_head_dim = 64;
    c.v_head_dim = 256;
    c.dense_ff = 10240;
    c.expert_ff = c.shared_ff = 1536;
    c.n_experts = 64;
    c.n_experts_used = 4;
    c.vocab = 154880;
    c.context_length = 202752;
    return c;
}

MemoryRequest on_card(int64_t bytes, int64_t ctx_size = 0, DType type = DType::f16) {
    MemoryRequest r;
    r.device = "card";
    r.total_bytes = r.free_bytes = bytes;
    r.ctx_size = ctx_size;
    r.cache_type = type;
    return r;
}

double mib(int64_t bytes) {
    return std::round(static_cast<double>(bytes) / 1048576.0 * 100) / 100;
}

void check_sums(const MemoryPlan& plan) {
    REQUIRE(plan.fits);
    CHECK(plan.problem.empty());
    CHECK(plan.v_bytes == 0);
    REQUIRE(plan.devices.size() == 1);
    const MemoryPlan::Device& d = plan.devices[0];
    CHECK(d.free_bytes >= 0);
    CHECK(d.total_bytes ==
          d.weights_bytes + d.kv_bytes + d.compute_bytes + d.other_bytes + d.free_bytes);
    CHECK(d.kv_bytes == plan.k_bytes);
    CHECK(plan.k_bytes == plan.pool_pages * 64 * plan.bytes_per_token);
    CHECK(plan.ctx_size <= plan.max_ctx_size);
    CHECK(plan.pool_pages * 64 >= plan.ctx_size);
}

}  // namespace

TEST_CASE("the published figures of GLM-4.7-Flash") {
    const MemoryPlan plan = plan_memory(glm_flash(), kWeights, on_card(80 * kGiB, 200192));
    check_sums(plan);
    CHECK(plan.bytes_per_token == 54144);
    CHECK(plan.ctx_size == 200192);
    CHECK(mib(plan.k_bytes) == Approx(10337.06));
    CHECK(mib(plan.with_v_bytes) == Approx(19525.56));
    CHECK(plan.max_ctx_size == 202752);
    CHECK(plan.compute_bytes == runtime::Model::activation_bytes(glm_flash(), 512));
    CHECK(plan.compute_bytes > 0);
    CHECK(plan.compute_bytes < kGiB / 2);
    CHECK(plan_memory(glm_flash(), kWeights, on_card(80 * kGiB, 32768)).k_bytes ==
          int64_t{32768} * 54144);
}

TEST_CASE("context 0 takes what fits, and one page more does not fit") {
    for (const DType type : {DType::f16, DType::q8_0, DType::q4_0}) {
        for (const int64_t gib : {18, 20, 24}) {
            const MemoryPlan plan =
                plan_memory(glm_flash(), kWeights, on_card(gib * kGiB, 0, type));
            check_sums(plan);
            CHECK(plan.ctx_size == plan.max_ctx_size);
            if (plan.ctx_size < 202752) {
                CHECK(plan.devices[0].free_bytes < 64 * plan.bytes_per_token);
                CHECK_FALSE(plan_memory(glm_flash(), kWeights,
                                        on_card(gib * kGiB, plan.ctx_size + 64, type))
                                .fits);
            }
            CHECK(
                plan_memory(glm_flash(), kWeights, on_card(gib * kGiB, plan.ctx_size, type)).fits);
        }
    }
    CHECK(plan_memory(glm_flash(), kWeights, on_card(80 * kGiB)).ctx_size == 202752);
}

TEST_CASE("what does not fit is refused with changes that do fit") {
    const MemoryPlan plan = plan_memory(glm_flash(), kWeights, on_card(24 * kGiB, 200000));
    CHECK_FALSE(plan.fits);
    REQUIRE(plan.suggestions.size() >= 2);
    CHECK(plan.suggestions.size() <= 3);
    CHECK(plan.suggestions[0] == "-ctk q8_latent");
    CHECK(plan.suggestions[1] == "-c " + std::to_string(plan.max_ctx_size));
    CHECK_THAT(plan.problem, ContainsSubstring("24.00 GiB") && ContainsSubstring("-ctk q8_latent"));
    CHECK(plan_memory(glm_flash(), kWeights, on_card(24 * kGiB, 200000, DType::q8_0)).fits);
    CHECK(plan_memory(glm_flash(), kWeights, on_card(24 * kGiB, plan.max_ctx_size)).fits);

    const MemoryPlan hopeless = plan_memory(glm_flash(), kWeights, on_card(12 * kGiB));
    CHECK_FALSE(hopeless.fits);
    CHECK(hopeless.max_ctx_size == 0);
    CHECK_THAT(hopeless.problem, ContainsSubstring("a smaller quantisation"));
    CHECK(plan_memory(glm_flash(), 11 * kGiB, on_card(12 * kGiB)).fits);
}

TEST_CASE("a context is whole pages, at most what the model was trained for") {
    CHECK(plan_memory(glm_flash(), kWeights, on_card(80 * kGiB, 1000)).ctx_size == 1024);
    const MemoryPlan cut = plan_memory(glm_flash(), kWeights, on_card(80 * kGiB, 1'000'000));
    CHECK(cut.ctx_size == 202752);
    CHECK(cut.notes.size() == 1);
    runtime::ModelConfig odd = glm_flash();
    odd.context_length = 1000;
    const MemoryPlan plan = plan_memory(odd, kWeights, on_card(80 * kGiB, 1000));
    CHECK(plan.ctx_size == 1000);
    CHECK(plan.pool_pages == 16);
}

TEST_CASE("what is left open is decided cache first, then experts, each with its reason") {
    // 46 layers of experts, and what must be on the card.
    runtime::WeightBytes weights(int64_t{1254} << 20);
    for (int64_t layer = 1; layer < 47; layer++) {
        weights.parts.push_back({int64_t{348} << 20, runtime::WeightBytes::Kind::experts, layer});
    }
    weights.parts.push_back({int64_t{170} << 20, runtime::WeightBytes::Kind::embedding});
    MemoryRequest r = on_card(80 * kGiB);
    r.card = true;
    r.cache_type.reset();
    const auto on = [&](double gib) {
        r.total_bytes = r.free_bytes = static_cast<int64_t>(gib * kGiB);
        MemoryPlan plan = plan_memory(glm_flash(), weights, r);
        INFO(gib << " GiB: " << plan.problem);
        REQUIRE(plan.fits);
        REQUIRE(plan.devices.size() == 2);
        for (const MemoryPlan::Device& d : plan.devices) {
            CHECK(d.total_bytes ==
                  d.weights_bytes + d.kv_bytes + d.compute_bytes + d.other_bytes + d.free_bytes);
        }
        CHECK(plan.devices[0].weights_bytes + plan.devices[1].weights_bytes == plan.weights_bytes);
        CHECK(plan.weights_bytes == weights.total());
        REQUIRE(!plan.choices.empty());
        for (const MemoryPlan::Choice& choice : plan.choices) {
            CHECK(!choice.reason.empty());
        }
        return plan;
    };
    CHECK(on(32).cache_type == "f16");
    CHECK(on(32).choices.size() == 1);
    CHECK(on(32).ctx_size == 202752);
    const MemoryPlan bits = on(24);
    CHECK(bits.cache_type == "q8_latent");
    CHECK(bits.ctx_size == 202752);
    CHECK(bits.cpu_moe_layers == 0);
    const MemoryPlan shorter =
        on(21);  // more than half of the window: rather that than experts on the CPU
    CHECK(shorter.ctx_size < 202752);
    CHECK(shorter.ctx_size >= 202752 / 2);
    CHECK(shorter.cpu_moe_layers == 0);
    const MemoryPlan beside = on(12);
    CHECK(beside.ctx_size == 202752);
    CHECK(beside.cpu_moe_layers > 0);
    CHECK(beside.devices[1].weights_bytes > int64_t{170} << 20);
    CHECK(on(8).cpu_moe_layers > beside.cpu_moe_layers);
    CHECK(on(7).ctx_size < 202752);  // all experts beside it, and what is left

    // What is asked for is kept.
    r.ctx_size = 32768;
    CHECK(on(24).cache_type == "f16");
    CHECK(on(12).ctx_size == 32768);
    r.cpu_moe_layers = 47;
    CHECK(on(24).cpu_moe_layers == 47);
    r.cache_type = DType::q4_0;
    CHECK(on(24).cache_type == "q4_0");
    r.ctx_size = 202752;
    r.cache_type = DType::f16;
    r.cpu_moe_layers = 0;
    r.total_bytes = r.free_bytes = 24 * kGiB;
    const MemoryPlan refused = plan_memory(glm_flash(), weights, r);
    CHECK_FALSE(refused.fits);
    CHECK(refused.suggestions.size() == 3);
    CHECK(refused.suggestions[0] == "-ctk q8_latent");
    CHECK(refused.suggestions[2].substr(0, 7) == "-ncmoe ");
    r.cpu_moe_layers = std::stoll(refused.suggestions[2].substr(7));
    CHECK(plan_memory(glm_flash(), weights, r).fits);
    r.cpu_moe_layers = *r.cpu_moe_layers - 1;
    CHECK_FALSE(plan_memory(glm_flash(), weights, r).fits);
}

TEST_CASE("passes are larger where nothing else is any different for it") {
    runtime::WeightBytes weights(int64_t{1254} << 20);
    for (int64_t layer = 1; layer < 47; layer++) {
        weights.parts.push_back({int64_t{348} << 20, runtime::WeightBytes::Kind::experts, layer});
    }
    MemoryRequest r;
    r.device = "card";
    r.card = true;
    r.work_bytes = [](const kernels::WorkShape& shape) { return shape.n_tokens << 18; };
    int taken = 0, left = 0;
    for (int64_t mib = 7 << 10; mib < 34 << 10; mib += 250) {
        for (const int64_t context : {0, 32768}) {
            r.total_bytes = r.free_bytes = mib << 20;
            r.ctx_size = context;
            r.larger_ubatch_tokens = 0;
            const MemoryPlan plain = plan_memory(glm_flash(), weights, r);
            r.larger_ubatch_tokens = 2048;
            const MemoryPlan plan = plan_memory(glm_flash(), weights, r);
            INFO(mib << " MiB, context " << context);
            CHECK(plain.ubatch_tokens == 512);
            CHECK(plan.fits == plain.fits);
            CHECK(plan.ctx_size == plain.ctx_size);
            CHECK(plan.cache_type == plain.cache_type);
            CHECK(plan.cpu_moe_layers == plain.cpu_moe_layers);
            if (plan.ubatch_tokens > 512) {
                CHECK((plan.ubatch_tokens == 2048 || plan.ubatch_tokens == 1024));
                taken++;
                CHECK(plan.compute_bytes > plain.compute_bytes);
                CHECK(plan.devices[0].free_bytes >= kGiB);
                CHECK(plan.choices.size() == plain.choices.size() + 1);
            } else {
                left++;
                CHECK(plan.ubatch_tokens == 512);
                CHECK(plan.compute_bytes == plain.compute_bytes);
            }
            if (plan.fits) {
                const MemoryPlan::Device& d = plan.devices[0];
                CHECK(d.total_bytes == d.weights_bytes + d.kv_bytes + d.compute_bytes +
                                           d.other_bytes + d.free_bytes);
            }
        }
    }
    CHECK(taken > 10);
    CHECK(left > 10);
}

TEST_CASE("a small model's pool holds several contexts") {
    runtime::ModelConfig small = glm_flash();
    small.n_layers = 4;
    small.context_length = 4096;
    const MemoryPlan plan = plan_memory(small, kGiB, on_card(8 * kGiB));
    check_sums(plan);
    CHECK(plan.ctx_size == 4096);
    CHECK(plan.pool_pages == 8 * 64);
    CHECK(plan_memory(small, kGiB, on_card(8 * kGiB, 4096)).pool_pages == 64);
}

TEST_CASE("mapped weights beyond the memory leave a quarter to the rest") {
    MemoryRequest r = on_card(16 * kGiB);
    r.weights_may_page = true;
    const MemoryPlan plan = plan_memory(glm_flash(), kWeights, r);
    check_sums(plan);
    CHECK(plan.notes.size() == 2);
    CHECK(plan.k_bytes + plan.compute_bytes <= 4 * kGiB);
}

TEST_CASE("a cache type the rows do not fit is refused by plan_memory") {
    runtime::ModelConfig odd = glm_flash();
    odd.kv_lora_rank = 24;
    odd.qk_rope_head_dim = 16;
    CHECK_THROWS_AS(plan_memory(odd, kWeights, on_card(80 * kGiB, 0, DType::q8_0)),
                    runtime::ModelError);
    CHECK(plan_memory(odd, kWeights, on_card(80 * kGiB)).fits);
}
