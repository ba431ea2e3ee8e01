// GET /props and /slots, for clients of llama-server: what the model takes, and who is being
// answered. Counts alone: never a prompt, never a path.
#include "app/server/server_context.h"

namespace app {

void add_props(Router& router, ServerContext& context) {
    router.get("/props", [&context](const httplib::Request&, httplib::Response& response) {
        const auto model = context.model();
        const runtime::SamplingParams sampling;
        Json out;
        Json& settings = out["default_generation_settings"];
        settings["n_ctx"] = model->ctx_size;
        settings["params"]["temperature"] = sampling.temperature;
        settings["params"]["top_p"] = sampling.top_p;
        settings["params"]["top_k"] = sampling.top_k;
        settings["params"]["min_p"] = sampling.min_p;
        settings["params"]["repeat_penalty"] = sampling.repetition_penalty;
        settings["params"]["presence_penalty"] = sampling.presence_penalty;
        settings["params"]["frequency_penalty"] = sampling.frequency_penalty;
        out["total_slots"] = model->parallel;
        out["model_alias"] = context.model_id(*model);
        out["build_info"] = "keyhole " KEYHOLE_VERSION;
        out["modalities"] = {{"vision", false}, {"audio", false}};
        out["n_vocab"] = model->config.vocab;
        out["is_demo"] = model->is_demo;
        send_json(response, out);
    });

    router.get("/slots", [&context](const httplib::Request&, httplib::Response& response) {
        const auto model = context.model();
        const runtime::MemorySnapshot memory = context.engine.memory();
        Json list = Json::array();
        for (const auto& sequence : memory.sequences) {
            Json slot;
            slot["id"] = list.size();
            slot["is_processing"] = true;
            slot["n_ctx"] = model->ctx_size;
            slot["id_task"] = sequence.id;
            slot["n_prompt_tokens"] = sequence.prompt_tokens;
            slot["n_prompt_tokens_cache"] = sequence.cached_tokens;
            slot["n_tokens"] = sequence.tokens;
            list.push_back(std::move(slot));
        }
        while (list.size() < static_cast<size_t>(model->parallel)) {
            Json slot;
            slot["id"] = list.size();
            slot["is_processing"] = false;
            slot["n_ctx"] = model->ctx_size;
            list.push_back(std::move(slot));
        }
        send_json(response, list);
    });
}

}  // namespace app
