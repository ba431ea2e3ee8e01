#include "app/server/chat_run.h"

#include <utility>

#include "app/server/constraint.h"

namespace app {

AnswerRun::Streams submit_chat(ServerContext& context,
                               const runtime::LoadedModel& model,
                               const ChatRequest& request,
                               const std::string& client) {
    runtime::GenerationRequest generation;
    generation.prompt = runtime::ChatFormat::encode(*model.tokenizer, request.messages,
                                                    request.tools, request.format);
    generation.sampling = request.sampling;
    generation.max_tokens = request.max_tokens;
    generation.reply.starts_in_reasoning = request.format.enable_thinking;
    generation.reply.tools = request.schemas.signatures();
    generation.reply.stop = request.stop;
    generation.logprobs = request.logprobs ? request.top_logprobs : -1;
    generation.owner = client;
    generation.constraint = constraint_of(request, *model.tokenizer);
    return context.submit(model, std::move(generation), request.choices);
}

ChatRun::ChatRun(ChatRequest request,
                 AnswerHead head,
                 Streams streams,
                 std::shared_ptr<const runtime::Tokenizer> tokenizer)
    : AnswerRun(std::move(streams)),
      request_(std::move(request)),
      head_(std::move(head)),
      tokenizer_(std::move(tokenizer)) {
    for (int i = 0; i < choices(); i++) {
        const Json none = request_.logprobs ? Json::array() : Json(nullptr);
        choices_.push_back(
            {ChoiceAnswer(request_.schemas, request_.parallel_tool_calls), none, none});
    }
}

Json ChatRun::chunk(int choice, Json delta, const Json& finish_reason) {
    Json out = chunk_json(head_, choice, std::move(delta), finish_reason);
    Json& unsent = choices_[static_cast<size_t>(choice)].unsent;
    if (!unsent.empty()) {
        out["choices"][0]["logprobs"] = {{"content", std::exchange(unsent, Json::array())},
                                         {"refusal", nullptr}};
    }
    return out;
}

void ChatRun::take(int index,
                   const runtime::GenerationEvent& event,
                   std::vector<StreamEvent>& out) {
    Choice& choice = choices_[static_cast<size_t>(index)];
    if (request_.logprobs && event.kind == runtime::GenerationEvent::Kind::delta) {
        for (const runtime::TokenLogprob& entry : event.logprobs) {
            Json json = logprob_json(*tokenizer_, entry);
            choice.unsent.push_back(json);
            choice.logprobs.push_back(std::move(json));
        }
    }
    for (Json& delta : choice.answer.add(event.deltas)) {
        out.push_back({"", chunk(index, std::move(delta))});
        if (request_.timings_per_token) {
            out.back().data["timings"] = timings_json(event.usage, event.timings);
        }
    }
}

void ChatRun::ended(int index, std::vector<StreamEvent>& out) {
    Json last = chunk(index, Json::object(), Json(to_string(reason(index))));
    last["timings"] = timings_json(usage_of(index), timings());
    out.push_back({"", std::move(last)});
}

std::vector<StreamEvent> ChatRun::opening() {
    std::vector<StreamEvent> out;
    for (int i = 0; i < choices(); i++) {
        Json delta;
        delta["role"] = "assistant";
        delta["content"] = "";
        out.push_back({"", chunk_json(head_, i, std::move(delta))});
    }
    return out;
}

std::vector<StreamEvent> ChatRun::closing() {
    std::vector<StreamEvent> out;
    if (request_.include_usage) {
        out.push_back({"", usage_chunk_json(head_, usage())});
    }
    out.push_back({"", nullptr});
    return out;
}

Json ChatRun::whole() const {
    Json list = Json::array();
    for (int i = 0; i < choices(); i++) {
        Json choice = choice_json(i, at(i).answer.message(), to_string(reason(i)));
        if (request_.logprobs) {
            choice["logprobs"] = {{"content", at(i).logprobs}, {"refusal", nullptr}};
        }
        list.push_back(std::move(choice));
    }
    Json out = answer_json(head_, std::move(list), usage());
    out["timings"] = timings_json(usage(), timings());
    return out;
}

}  // namespace app
