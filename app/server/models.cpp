// GET /v1/models and /v1/models/{id}: the loaded model, and plainly whether it is the demo.
#include "app/paths.h"
#include "app/server/api_error.h"
#include "app/server/server_context.h"

namespace app {
namespace {

Json model_json(const ServerContext& context, const runtime::LoadedModel& model) {
    Json out;
    out["id"] = context.model_id(model);
    out["object"] = "model";
    out["created"] = context.started;
    out["owned_by"] = "keyhole";
    if (model.is_demo) {
        out["description"] = std::string(
                                 "This is the small demo model that comes with Keyhole, for trying "
                                 "the program; for real work, ") +
                             kRealModelHint;
    }
    // What agents look for to size their prompts, under the names different servers gave it.
    out["context_length"] = model.ctx_size;
    out["max_model_len"] = model.ctx_size;
    out["meta"]["architecture"] = model.config.architecture;
    out["meta"]["file_type"] = model.config.file_type;
    out["meta"]["size"] = model.file_bytes;
    out["meta"]["n_vocab"] = model.config.vocab;
    out["meta"]["n_ctx"] = model.ctx_size;
    out["meta"]["n_ctx_train"] = model.config.context_length;
    out["meta"]["is_demo"] = model.is_demo;
    return out;
}

}  // namespace

void add_models(Router& router, ServerContext& context) {
    router.get("/v1/models", [&context](const httplib::Request&, httplib::Response& response) {
        Json list = Json::array();
        if (const auto model = context.engine.model()) {
            list.push_back(model_json(context, *model));
        }
        Json out;
        out["object"] = "list";
        out["data"] = std::move(list);
        send_json(response, out);
    });

    router.get(
        "/v1/models/*", [&context](const httplib::Request& request, httplib::Response& response) {
            const auto model = context.model();
            // In an alias' path there is no /v1; the name may itself hold slashes.
            const size_t folder = request.path.find("/models/");
            if (request.path.substr(folder + 8) != context.model_id(*model)) {
                throw ApiError::not_found("There is no model of this name; the loaded one is '" +
                                              context.model_id(*model) + "'.",
                                          "model_not_found");
            }
            send_json(response, model_json(context, *model));
        });
}

}  // namespace app
