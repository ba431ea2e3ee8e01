// keyhole plan: the engine's own memory plan, before anything is loaded.
#include <cinttypes>
#include <cstdio>
#include <string>

#include "app/cli/commands.h"
#include "app/cli/terminal.h"
#include "app/json/json.h"
#include "runtime/engine/model_instance.h"
#include "runtime/model/gguf.h"
#include "runtime/model/model_config.h"

namespace app {
namespace {

Json plan_json(const runtime::MemoryPlan& plan) {
    Json devices = Json::array();
    for (const auto& device : plan.devices) {
        devices.push_back({{"name", device.name},
                           {"total_bytes", device.total_bytes},
                           {"weights_bytes", device.weights_bytes},
                           {"kv_bytes", device.kv_bytes},
                           {"compute_bytes", device.compute_bytes},
                           {"other_bytes", device.other_bytes},
                           {"free_bytes", device.free_bytes}});
    }
    Json choices = Json::array();
    for (const auto& choice : plan.choices) {
        choices.push_back({{"what", choice.what}, {"reason", choice.reason}});
    }
    return {{"model", {{"weights_bytes", plan.weights_bytes}, {"mla", true}}},
            {"kv_cache",
             {{"type", plan.cache_type},
              {"bytes_per_token", plan.bytes_per_token},
              {"k_bytes", plan.k_bytes},
              {"v_bytes", plan.v_bytes},
              {"with_v_bytes", plan.with_v_bytes}}},
            {"devices", devices},
            {"ctx_size", plan.ctx_size},
            {"max_ctx_size", plan.max_ctx_size},
            {"cpu_moe_layers", plan.cpu_moe_layers},
            {"choices", choices},
            {"suggestions", plan.suggestions},
            {"fits", plan.fits}};
}

void print_row(const char* name, int64_t bytes, const std::string& remark = "") {
    std::printf("  %-22s %14" PRId64 " bytes %12.2f MiB  %s\n", name, bytes,
                static_cast<double>(bytes) / (1024.0 * 1024.0), remark.c_str());
}

void print_table(const runtime::ModelConfig& config, const runtime::MemoryPlan& plan) {
    std::printf("%s, %s, %" PRId64 " layers\n", printable(config.name).c_str(),
                printable(config.file_type).c_str(), config.n_layers);
    std::printf("context %" PRId64 " tokens (at most %" PRId64 " fit), %" PRId64
                " bytes a token in %s\n\n",
                plan.ctx_size, plan.max_ctx_size, plan.bytes_per_token, plan.cache_type.c_str());
    print_row("weights", plan.weights_bytes);
    print_row("K cache", plan.k_bytes);
    print_row("V cache", plan.v_bytes, "MLA: V is part of the K rows");
    print_row("compute", plan.compute_bytes);
    print_row("K cache with V beside", plan.with_v_bytes, "what it would take elsewhere");
    for (const auto& device : plan.devices) {
        std::printf("\n%s\n", printable(device.name).c_str());
        print_row("total", device.total_bytes);
        print_row("weights", device.weights_bytes);
        print_row("K cache", device.kv_bytes);
        print_row("compute", device.compute_bytes);
        print_row("held by others", device.other_bytes);
        print_row("free", device.free_bytes);
    }
    if (!plan.choices.empty()) {
        std::printf("\n");
    }
    for (const auto& choice : plan.choices) {
        std::printf("%s: %s\n", printable(choice.what).c_str(),
                    printable(choice.reason, 1000).c_str());
    }
    for (const std::string& note : plan.notes) {
        std::printf("\nnote: %s\n", printable(note, 1000).c_str());
    }
}

}  // namespace

int run_plan(const Options& options) {
    const auto file = runtime::GgufFile::open(options.model);
    const auto config = runtime::ModelConfig::from(*file);

    runtime::EngineOptions engine = options.engine;
    if (engine.vram_bytes > 0 && !options.device_given) {
        engine.device = "cuda";  // --vram is the size of a card
    }
    const runtime::MemoryPlan plan = runtime::plan_for(*file, engine);
    if (options.json) {
        std::printf("%s\n", to_text(plan_json(plan)).c_str());
    } else {
        print_table(config, plan);
    }
    // Planning succeeded even where the plan does not fit: that is the answer, and standard error
    // says why.
    if (!plan.fits) {
        std::fprintf(stderr, "keyhole: %s\n", printable(plan.problem, 2000).c_str());
    }
    return 0;
}

}  // namespace app
