// What the endpoints share. One per server; any HTTP thread.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include <httplib.h>

#include "app/json/json.h"
#include "app/server/client_limits.h"
#include "app/server/guard.h"
#include "app/server/request_log.h"
#include "app/server/router.h"
#include "app/server/server.h"
#include "runtime/engine/engine_thread.h"

namespace app {

// A Prometheus histogram: cumulative counts at fixed bounds.
class Histogram {
public:
    explicit Histogram(std::vector<double> bounds)
        : bounds_(std::move(bounds)), counts_(bounds_.size() + 1) {}
    void observe(double value);
    // The exposition lines of `name`.
    std::string text(std::string_view name, std::string_view help) const;

private:
    const std::vector<double> bounds_;
    mutable std::mutex mutex_;
    std::vector<uint64_t> counts_;  // guarded by mutex_, one per bound and one beyond
    double sum_ = 0;                // guarded by mutex_
};

// One figure in the exposition format, with its lines of help and type. `kind`: gauge or counter.
std::string metric_text(std::string_view name,
                        std::string_view kind,
                        std::string_view help,
                        double value);

struct ServerContext {
    ServerContext(runtime::EngineThread& the_engine, const ServerOptions& the_options, int64_t now);

    runtime::EngineThread& engine;
    const ServerOptions& options;
    Guard guard;
    const std::shared_ptr<RequestLog> kept_log;
    RequestLog& log;
    ClientLimits clients;
    const int64_t started;  // seconds since 1970
    std::atomic<bool> stopping{false};
    std::atomic<bool> cut_streams{false};  // the time for answers under way is over

    Histogram time_to_first_token{
        {0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300}};
    Histogram inter_token_latency{
        {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5}};
    Histogram request_latency{{0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600}};
    // Choices that ended by themselves or by a limit, by runtime::FinishReason.
    std::array<std::atomic<uint64_t>, 3> finished{};
    void observe(const runtime::Usage& usage, const runtime::Timings& timings);

    // The row that the request of this thread will leave in the log. The server opens and closes
    // it; handlers fill in what they know.
    struct OpenRow {
        RequestRow row;
        std::string prompt;
        std::chrono::steady_clock::time_point began;
        bool open = false;
    };
    static OpenRow& open_row();

    // Whose request it is: "key 2", or the address and the program it came from.
    std::string client_of(const httplib::Request& request) const;
    // Counts the request among its client's. Throws ApiError 429.
    ClientTicket enter(const httplib::Request& request) { return clients.enter(client_of(request)); }
    // Notes the request for the log and submits it `choices` times, each with a seed of its own.
    // Throws RequestError.
    std::vector<std::unique_ptr<runtime::GenerationStream>> submit(
        const runtime::LoadedModel& model, runtime::GenerationRequest request, int choices);

    // The loaded model. Throws ApiError 503 where there is none.
    std::shared_ptr<const runtime::LoadedModel> model() const;
    // Its name towards clients: a name, never a path.
    std::string model_id(const runtime::LoadedModel& model) const;
};

// The body as JSON; throws ApiError 400.
Json read_body(const httplib::Request& request);
void send_json(httplib::Response& response, const Json& body, int status = 200);
// prefix and 24 random letters and digits.
std::string random_id(std::string_view prefix);
int64_t unix_seconds();

// The endpoints, one file each. A new one: a file, a line here, a line in the list in server.cpp, a
// test.
void add_chat_completions(Router& router, ServerContext& context);
void add_completions(Router& router, ServerContext& context);
void add_responses(Router& router, ServerContext& context);
void add_messages(Router& router, ServerContext& context);
void add_models(Router& router, ServerContext& context);
void add_health(Router& router, ServerContext& context);
void add_memory(Router& router, ServerContext& context);
void add_metrics(Router& router, ServerContext& context);
void add_props(Router& router, ServerContext& context);
// After all others: it describes them.
void add_openapi(Router& router, ServerContext& context);
void add_tokenize(Router& router, ServerContext& context);
// In the place of all but add_openapi(): another engine answers.
void add_remote(Router& router, ServerContext& context);

}  // namespace app
