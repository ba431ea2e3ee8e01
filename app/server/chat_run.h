// ChatRun: one chat completion as OpenAI's chunks and whole answers. What the routes that speak of
// chats in other words have in common with it is here too: making prompt and generations.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "app/server/answer_run.h"
#include "app/server/chat_answer.h"
#include "app/server/chat_request.h"

namespace app {

// Renders, tokenizes, notes the request for the log and submits it: one stream per choice.
// `client`: whose it is. Throws ApiError or RequestError.
AnswerRun::Streams submit_chat(ServerContext& context,
                               const runtime::LoadedModel& model,
                               const ChatRequest& request,
                               const std::string& client);

class ChatRun : public AnswerRun {
public:
    // model: for the text of tokens in log-probabilities; null where none were asked for.
    ChatRun(ChatRequest request,
            AnswerHead head,
            Streams streams,
            std::shared_ptr<const runtime::Tokenizer> tokenizer = nullptr);

    const ChatRequest& request() const { return request_; }

    std::vector<StreamEvent> opening() override;
    std::vector<StreamEvent> closing() override;
    Json whole() const override;

protected:
    void take(int choice,
              const runtime::GenerationEvent& event,
              std::vector<StreamEvent>& out) override;
    void ended(int choice, std::vector<StreamEvent>& out) override;
    bool enough(int choice) const override { return at(choice).answer.too_many_calls(); }

private:
    struct Choice {
        ChoiceAnswer answer;
        Json logprobs;  // null, or the array of all so far
        Json unsent;    // of a stream: those that no chunk carried yet
    };
    const Choice& at(int choice) const { return choices_[static_cast<size_t>(choice)]; }
    Json chunk(int choice, Json delta, const Json& finish_reason = nullptr);

    ChatRequest request_;
    AnswerHead head_;
    std::shared_ptr<const runtime::Tokenizer> tokenizer_;
    std::vector<Choice> choices_;
};

}  // namespace app
