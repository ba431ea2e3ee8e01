// GET /health: open without a key; 503 while a model loads. GET /: something for a person, and for
// clients that look whether anybody is there.
#include "app/server/api_error.h"
#include "app/server/server_context.h"

namespace app {

void add_health(Router& router, ServerContext& context) {
    router.get("/health", [&context](const httplib::Request&, httplib::Response& response) {
        using State = runtime::EngineStatus::State;
        const runtime::EngineStatus status = context.engine.status();
        if (status.state == State::ready && !context.stopping) {
            send_json(response, {{"status", "ok"}});
            return;
        }
        const bool loading = status.state == State::loading;
        Json body =
            ApiError::unavailable(context.stopping                ? "The server is shutting down."
                                  : loading                       ? "The model is loading."
                                  : status.state == State::failed ? "The model could not be loaded."
                                                                  : "No model is loaded.")
                .body();
        body["status"] = loading ? "loading" : "unavailable";
        if (loading && status.load_total_bytes > 0) {
            body["progress"] = static_cast<double>(status.load_done_bytes) /
                               static_cast<double>(status.load_total_bytes);
        }
        response.set_header("Retry-After", "1");
        send_json(response, body, 503);
    });

    router.get("/", [&context](const httplib::Request&, httplib::Response& response) {
        const auto model = context.engine.model();
        response.set_content(
            "Keyhole " KEYHOLE_VERSION "\n" +
                (model ? "model: " + context.model_id(*model) + "\n" : std::string("no model\n")) +
                "the API is at /v1, for example /v1/models\n",
            "text/plain; charset=utf-8");
    });
}

}  // namespace app
