// GET /metrics: Prometheus text, format 0.0.4. Prefix keyhole_, vLLM's suffixes.
#include <algorithm>
#include <cstdio>

#include "app/server/answer_run.h"
#include "app/server/server_context.h"

namespace app {
namespace {

std::string number(double value) {
    char text[40];
    std::snprintf(text, sizeof text, "%.10g", value);
    return text;
}

}  // namespace

std::string metric_text(std::string_view name,
                        std::string_view kind,
                        std::string_view help,
                        double value) {
    const std::string full = "keyhole_" + std::string(name);
    return "# HELP " + full + " " + std::string(help) + "\n# TYPE " + full + " " +
           std::string(kind) + "\n" + full + " " + number(value) + "\n";
}

void Histogram::observe(double value) {
    const std::lock_guard lock(mutex_);
    const auto bound = std::lower_bound(bounds_.begin(), bounds_.end(), value);
    counts_[static_cast<size_t>(bound - bounds_.begin())]++;
    sum_ += value;
}

std::string Histogram::text(std::string_view short_name, std::string_view help) const {
    const std::lock_guard lock(mutex_);
    const std::string name = "keyhole_" + std::string(short_name);
    std::string out =
        "# HELP " + name + " " + std::string(help) + "\n# TYPE " + name + " histogram\n";
    uint64_t below = 0;
    for (size_t i = 0; i < counts_.size(); i++) {
        below += counts_[i];
        out += name + "_bucket{le=\"" + (i < bounds_.size() ? number(bounds_[i]) : "+Inf") +
               "\"} " + std::to_string(below) + "\n";
    }
    return out + name + "_sum " + number(sum_) + "\n" + name + "_count " + std::to_string(below) +
           "\n";
}

void add_metrics(Router& router, ServerContext& context) {
    router.get("/metrics", [&context](const httplib::Request&, httplib::Response& response) {
        const runtime::EngineStatus status = context.engine.status();
        const runtime::EngineCounters counters = context.engine.counters();
        const runtime::MemorySnapshot memory = context.engine.memory();
        std::string out;
        const auto gauge = [&out](const char* name, const char* help, double value) {
            out += metric_text(name, "gauge", help, value);
        };
        const auto counter = [&out](const char* name, const char* help, uint64_t value) {
            out += metric_text(name, "counter", help, static_cast<double>(value));
        };
        gauge("num_requests_running", "Requests being computed.", status.running);
        gauge("num_requests_waiting", "Requests in the queue.", status.waiting);
        gauge("kv_cache_usage_ratio", "Used pages of the K cache, 0 to 1.",
              memory.kv_cache.pages_limit > 0 ? static_cast<double>(memory.kv_cache.pages_used) /
                                                    static_cast<double>(memory.kv_cache.pages_limit)
                                              : 0);
        counter("prompt_tokens_total", "Prompt tokens of all requests.", counters.prompt_tokens);
        counter("prompt_tokens_computed_total", "Prompt tokens that went through the model.",
                counters.prompt_tokens_computed);
        counter("generation_tokens_total", "Tokens generated.", counters.generated_tokens);
        counter("prefix_cache_hits_total", "Prompt tokens taken from the cache.",
                counters.prefix_cache_hit_tokens);
        counter("engine_steps_total", "Steps of the engine.", counters.steps);
        out +=
            "# HELP keyhole_request_total Requests that ended, by how.\n# TYPE "
            "keyhole_request_total counter\n";
        out += "keyhole_request_total{outcome=\"finished\"} " + std::to_string(counters.finished) +
               "\n";
        out += "keyhole_request_total{outcome=\"cancelled\"} " +
               std::to_string(counters.cancelled) + "\n";
        out +=
            "keyhole_request_total{outcome=\"failed\"} " + std::to_string(counters.failed) + "\n";
        out +=
            "# HELP keyhole_request_success_total Answers that came to an end, by why it was "
            "there.\n# TYPE keyhole_request_success_total counter\n";
        for (const auto reason : {runtime::FinishReason::stop, runtime::FinishReason::length,
                                  runtime::FinishReason::tool_calls}) {
            out += "keyhole_request_success_total{finished_reason=\"" +
                   std::string(to_string(reason)) + "\"} " +
                   std::to_string(context.finished[static_cast<size_t>(reason)]) + "\n";
        }
        out += context.time_to_first_token.text("time_to_first_token_seconds",
                                                "From arrival to the first token.");
        out += context.inter_token_latency.text("inter_token_latency_seconds",
                                                "Mean time between tokens of an answer.");
        out += context.request_latency.text("e2e_request_latency_seconds",
                                            "From arrival to the last token.");
        response.set_content(out, "text/plain; version=0.0.4; charset=utf-8");
    });
}

}  // namespace app
