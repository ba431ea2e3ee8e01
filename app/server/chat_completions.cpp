// POST /v1/chat/completions: OpenAI's chat. Parsed, rendered and tokenized on this thread, then
// sent as it comes.
#include "app/server/chat_run.h"
#include "app/server/server_context.h"

namespace app {

void add_chat_completions(Router& router, ServerContext& context) {
    router.post("/v1/chat/completions", [&context](const httplib::Request& request,
                                                   httplib::Response& response) {
        const auto model = context.model();
        ChatRequest chat = ChatRequest::parse(read_body(request), model->tokenizer->vocab_size());
        const bool stream = chat.stream;
        ClientTicket ticket = context.enter(request);
        auto streams = submit_chat(context, *model, chat, ticket.client());
        AnswerHead head{random_id("chatcmpl-"), unix_seconds(), context.model_id(*model)};
        const auto run = std::make_shared<ChatRun>(std::move(chat), std::move(head),
                                                   std::move(streams), model->tokenizer);
        run->ticket = std::move(ticket);
        serve_answer(context, request, response, run, stream);
    });
}

}  // namespace app
