// POST /tokenize, /detokenize, /apply-template: the model's text side alone, for tests and exact
// budgets.
#include "app/server/api_error.h"
#include "app/server/chat_request.h"
#include "app/server/fields.h"
#include "app/server/server_context.h"

namespace app {
namespace {

std::vector<runtime::TokenId> parse_tokens(const Json& body, int64_t vocab_size) {
    const Json* list = Fields(body).array("tokens", kMaxTokenIds);
    if (list == nullptr) {
        throw ApiError::invalid("'tokens' is missing.", "tokens");
    }
    return parse_token_ids(*list, "tokens", vocab_size);
}

}  // namespace

void add_tokenize(Router& router, ServerContext& context) {
    router.post(
        "/tokenize", [&context](const httplib::Request& request, httplib::Response& response) {
            const auto model = context.model();
            const Json body = read_body(request);
            const Fields fields(body);
            const auto content = fields.text("content");
            if (!content) {
                throw ApiError::invalid("'content' is missing.", "content");
            }
            const bool add_special = fields.flag("add_special").value_or(false);
            const bool parse_special = fields.flag("parse_special").value_or(false);
            std::vector<runtime::TokenId> tokens;
            if (add_special) {
                for (const char* marker : {"[gMASK]", "<sop>"}) {
                    if (const auto id = model->tokenizer->find(marker)) {
                        tokens.push_back(*id);
                    }
                }
            }
            model->tokenizer->encode(
                *content, parse_special ? runtime::Special::recognise : runtime::Special::as_text,
                tokens);
            send_json(response, {{"tokens", tokens}});
        });

    router.post(
        "/detokenize", [&context](const httplib::Request& request, httplib::Response& response) {
            const auto model = context.model();
            const auto tokens = parse_tokens(read_body(request), model->tokenizer->vocab_size());
            // Bytes that are no UTF-8 come out as U+FFFD: JSON can hold nothing else.
            send_json(response, {{"content", model->tokenizer->decode(tokens, true)}});
        });

    router.post(
        "/apply-template", [](const httplib::Request& request, httplib::Response& response) {
            const ChatRequest chat = ChatRequest::parse_prompt(read_body(request));
            send_json(
                response,
                {{"prompt", runtime::ChatFormat::render(chat.messages, chat.tools, chat.format)}});
        });
}

}  // namespace app
