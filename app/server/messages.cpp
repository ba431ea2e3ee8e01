// POST /v1/messages and /v1/messages/count_tokens: Anthropic's API, for Claude Code and its SDKs.
#include "app/server/chat_run.h"
#include "app/server/dialect.h"
#include "app/server/server_context.h"

namespace app {
namespace {

// Claude Code puts a line first that differs in every request; read as part of the prompt it would
// make each turn's prompt another one from its beginning, and the cache useless.
constexpr std::string_view kBillingHeader = "x-anthropic-billing-header:";

ApiError text_only(const std::string& path, const std::string& type) {
    return ApiError::invalid(
        "'" + path + "' has type '" + type.substr(0, 40) + "', but this model reads text only.",
        path + ".type");
}

void take_message_system(const Fields& body, Dialect& dialect) {
    const Json* system = body.find("system");
    if (system == nullptr) {
        return;
    }
    std::string text;
    if (system->is_array()) {
        for (size_t i = 0; i < system->size(); i++) {
            const std::string piece = joined_text(Json::array({(*system)[i]}), "system", {"text"});
            if (!piece.starts_with(kBillingHeader)) {
                text += piece;
            }
        }
    } else {
        text = joined_text(*system, "system", {"text"});
    }
    if (!text.empty()) {
        dialect.add_message({{"role", "system"}, {"content", text}}, "system");
    }
}

// One message of a user can be several of a chat: results of tools, and what was said beside them.
void take_message_user_blocks(const Json& blocks, const std::string& path, Dialect& dialect) {
    std::string text;
    bool any_text = false;
    const auto flush = [&] {
        if (any_text) {
            dialect.add_message({{"role", "user"}, {"content", text}}, path);
        }
        text.clear();
        any_text = false;
    };
    for (size_t i = 0; i < blocks.size(); i++) {
        const Fields block(blocks[i], element(path + ".content", i));
        const std::string type = block.required_text("type");
        if (type == "text") {
            text += block.required_text("text");
            any_text = true;
        } else if (type == "tool_result") {
            flush();
            const Json* content = block.find("content");
            block.flag("is_error");
            dialect.add_message(
                {{"role", "tool"},
                 {"tool_call_id", block.required_text("tool_use_id")},
                 {"content", content == nullptr
                                 ? ""
                                 : joined_text(*content, block.path("content"), {"text"})}},
                path);
        } else {
            throw text_only(element(path + ".content", i), type);
        }
    }
    flush();
}

void take_message_assistant_blocks(const Json& blocks, const std::string& path, Dialect& dialect) {
    std::string text, thinking;
    Json calls = Json::array();
    for (size_t i = 0; i < blocks.size(); i++) {
        const Fields block(blocks[i], element(path + ".content", i));
        const std::string type = block.required_text("type");
        if (type == "text") {
            text += block.required_text("text");
        } else if (type == "thinking") {
            thinking += block.required_text("thinking");
        } else if (type == "tool_use") {
            const Json* input = block.object("input");
            calls.push_back({{"id", block.required_text("id")},
                             {"type", "function"},
                             {"function",
                              {{"name", block.required_text("name")},
                               {"arguments", input == nullptr ? Json::object() : *input}}}});
        } else if (type != "redacted_thinking") {
            throw text_only(element(path + ".content", i), type);
        }
    }
    Json message = {{"role", "assistant"}, {"content", text}};
    if (!thinking.empty()) {
        message["reasoning_content"] = thinking;
    }
    if (!calls.empty()) {
        message["tool_calls"] = std::move(calls);
    }
    dialect.add_message(std::move(message), path);
}

void take_turns(const Fields& body, Dialect& dialect) {
    const Json* messages = body.array("messages", kMaxMessages);
    if (messages == nullptr || messages->empty()) {
        throw ApiError::invalid("'messages' must be an array with at least one message.",
                                "messages");
    }
    for (size_t i = 0; i < messages->size(); i++) {
        const std::string path = element("messages", i);
        const Fields message((*messages)[i], path);
        const std::string role = message.required_text("role");
        if (role != "user" && role != "assistant") {
            throw ApiError::invalid(
                "'" + message.path("role") + "' must be \"user\" or \"assistant\".",
                message.path("role"));
        }
        const Json* content = message.find("content");
        if (content == nullptr) {
            throw ApiError::invalid("'" + message.path("content") + "' is missing.",
                                    message.path("content"));
        }
        if (content->is_string()) {
            dialect.add_message({{"role", role}, {"content", *content}}, path);
            continue;
        }
        const Json* blocks = message.array("content", kMaxParts);
        if (role == "user") {
            take_message_user_blocks(*blocks, path, dialect);
        } else {
            take_message_assistant_blocks(*blocks, path, dialect);
        }
    }
}

void take_message_tools(const Fields& body, Dialect& dialect) {
    if (const Json* tools = body.array("tools", kMaxTools)) {
        Json list = Json::array();
        for (size_t i = 0; i < tools->size(); i++) {
            const Fields tool((*tools)[i], element("tools", i));
            if (tool.text("type").value_or("custom") != "custom") {
                continue;  // tools that Anthropic's servers run themselves; there are none here
            }
            const Json* schema = tool.object("input_schema");
            if (schema == nullptr) {
                throw ApiError::invalid("'" + tool.path("input_schema") + "' is missing.",
                                        tool.path("input_schema"));
            }
            Json function = {{"name", tool.required_text("name")}};
            if (const auto description = tool.text("description")) {
                function["description"] = *description;
            }
            function["parameters"] = *schema;
            const std::string chat_path = element("tools", list.size());
            dialect.rename(chat_path + ".function.parameters", tool.path("input_schema"));
            dialect.rename(chat_path + ".function", element("tools", i));
            list.push_back({{"type", "function"}, {"function", std::move(function)}});
        }
        dialect.chat["tools"] = std::move(list);
    }
    if (const Json* choice = body.object("tool_choice")) {
        const Fields fields(*choice, "tool_choice");
        const std::string type = fields.required_text("type");
        if (fields.flag("disable_parallel_tool_use").value_or(false)) {
            dialect.chat["parallel_tool_calls"] = false;
        }
        if (type == "auto" || type == "none") {
            dialect.chat["tool_choice"] = type;
        } else if (type == "any") {
            dialect.chat["tool_choice"] = "required";
        } else if (type == "tool") {
            dialect.chat["tool_choice"] = {{"type", "function"},
                                           {"function", {{"name", fields.required_text("name")}}}};
            dialect.rename("tool_choice.function", "tool_choice");
        } else {
            throw ApiError::invalid("'tool_choice.type' must be auto, any, tool or none.",
                                    "tool_choice.type");
        }
    }
}

void take_message_thinking(const Fields& body, Dialect& dialect) {
    bool thinks = false;
    if (const Json* thinking = body.object("thinking")) {
        const Fields fields(*thinking, "thinking");
        const std::string type = fields.required_text("type");
        if (type != "enabled" && type != "disabled" && type != "adaptive") {
            throw ApiError::invalid("'thinking.type' must be enabled, disabled or adaptive.",
                                    "thinking.type");
        }
        fields.integer("budget_tokens", 1, kAnyInteger);
        thinks = type != "disabled";
    }
    dialect.chat["chat_template_kwargs"] = {{"enable_thinking", thinks}};
}

Dialect parse_prompt_words(const Json& value) {
    const Fields body(value);
    Dialect dialect;
    body.text("model");
    take_message_system(body, dialect);
    take_turns(body, dialect);
    take_message_tools(body, dialect);
    take_message_thinking(body, dialect);
    return dialect;
}

ChatRequest parse_message_request(const Json& value, int64_t vocab_size) {
    Dialect dialect = parse_prompt_words(value);
    const Fields body(value);
    const auto max_tokens = body.integer("max_tokens", 1, kAnyInteger);
    if (!max_tokens) {
        throw ApiError::invalid("'max_tokens' is missing.", "max_tokens");
    }
    dialect.chat["max_tokens"] = *max_tokens;
    body.number("temperature", 0, 1);
    for (const char* name : {"temperature", "top_p", "top_k", "stream"}) {
        dialect.copy(body, name);
    }
    body.array("stop_sequences", 256);
    dialect.copy(body, "stop_sequences", "stop");
    body.object("metadata");
    if (const Json* config = body.object("output_config")) {
        const Fields fields(*config, "output_config");
        if (const Json* format = fields.object("format")) {
            const Fields wanted(*format, "output_config.format");
            const Json* schema = wanted.object("schema");
            if (wanted.required_text("type") != "json_schema" || schema == nullptr) {
                throw ApiError::invalid(
                    "'output_config.format' must be of type json_schema, with a schema.",
                    "output_config.format");
            }
            dialect.chat["response_format"] = {
                {"type", "json_schema"},
                {"json_schema", {{"name", "output"}, {"schema", *schema}}}};
            dialect.rename("response_format", "output_config.format");
        }
    }
    return dialect.parse(vocab_size);
}

Json anthropic_usage(const runtime::Usage& usage) {
    Json out;
    out["input_tokens"] = usage.prompt_tokens - usage.cached_tokens;
    out["cache_creation_input_tokens"] = 0;
    out["cache_read_input_tokens"] = usage.cached_tokens;
    out["output_tokens"] = usage.completion_tokens;
    return out;
}

class MessageRun : public AnswerRun {
public:
    MessageRun(ChatRequest request, AnswerHead head, Streams streams)
        : AnswerRun(std::move(streams)),
          request_(std::move(request)),
          head_(std::move(head)),
          answer_(request_.schemas, request_.parallel_tool_calls) {}

    // The first event waits for the first of the engine: it says how much came from the cache.
    std::vector<StreamEvent> opening() override { return {}; }
    std::vector<StreamEvent> closing() override {
        Json last;
        last["type"] = "message_delta";
        last["delta"]["stop_reason"] = stop_reason();
        last["delta"]["stop_sequence"] = stop_sequence();
        last["usage"] = anthropic_usage(usage());
        return {{"message_delta", std::move(last)}, {"message_stop", {{"type", "message_stop"}}}};
    }
    Json whole() const override {
        Json content = Json::array();
        for (const Block& block : blocks_) {
            content.push_back(block.whole());
        }
        Json out = message_json(std::move(content), usage());
        out["stop_reason"] = stop_reason();
        out["stop_sequence"] = stop_sequence();
        return out;
    }
    StreamEvent failed(const ApiError& error) override { return {"error", error.anthropic_body()}; }

protected:
    void take(int, const runtime::GenerationEvent& event, std::vector<StreamEvent>& out) override {
        if (!begun_) {
            begun_ = true;
            runtime::Usage so_far = event.usage;
            out.push_back(
                {"message_start",
                 {{"type", "message_start"}, {"message", message_json(Json::array(), so_far)}}});
        }
        for (const Json& delta : answer_.add(event.deltas)) {
            add(delta, out);
        }
    }
    void ended(int, std::vector<StreamEvent>& out) override { close_block(out); }
    bool enough(int) const override { return answer_.too_many_calls(); }

private:
    struct Block {
        std::string type;  // "thinking", "text" or "tool_use"
        std::string id, name;
        std::string text;  // of a tool's use: the JSON text of its input

        Json whole() const {
            Json out;
            out["type"] = type;
            if (type == "tool_use") {
                out["id"] = id;
                out["name"] = name;
                try {
                    out["input"] = parse_json(text);
                } catch (const JsonError&) {
                    out["input"] = Json::object();  // cut by the limit
                }
            } else {
                out[type] = text;
                if (type == "thinking") {
                    out["signature"] = kSignature;
                }
            }
            return out;
        }
    };
    // Nobody here checks signatures; clients want one to send the thought back.
    static constexpr const char* kSignature = "keyhole";

    Json message_json(Json content, const runtime::Usage& usage) const {
        Json out;
        out["id"] = head_.id;
        out["type"] = "message";
        out["role"] = "assistant";
        out["model"] = head_.model;
        out["content"] = std::move(content);
        out["stop_reason"] = nullptr;
        out["stop_sequence"] = nullptr;
        out["usage"] = anthropic_usage(usage);
        return out;
    }
    Json stop_reason() const {
        if (!stop_string().empty()) {
            return "stop_sequence";
        }
        switch (reason()) {
            case runtime::FinishReason::length:
                return "max_tokens";
            case runtime::FinishReason::tool_calls:
                return "tool_use";
            case runtime::FinishReason::stop:
                break;
        }
        return "end_turn";
    }
    Json stop_sequence() const {
        return stop_string().empty() ? Json(nullptr) : Json(stop_string());
    }

    void add(const Json& delta, std::vector<StreamEvent>& out) {
        if (const auto thought = delta.find("reasoning_content"); thought != delta.end()) {
            add_text("thinking", *thought, out);
        } else if (const auto text = delta.find("content"); text != delta.end()) {
            add_text("text", *text, out);
        } else if (const auto calls = delta.find("tool_calls"); calls != delta.end()) {
            const Json& call = (*calls)[0];
            if (call.contains("id")) {
                Block block;
                block.type = "tool_use";
                block.id = "toolu_" + call["id"].get<std::string>().substr(5);
                block.name = call["function"]["name"];
                open_block(block,
                           {{"type", "tool_use"},
                            {"id", block.id},
                            {"name", block.name},
                            {"input", Json::object()}},
                           out);
            }
            const std::string piece = call["function"]["arguments"];
            if (!piece.empty()) {
                blocks_.back().text += piece;
                push_delta({{"type", "input_json_delta"}, {"partial_json", piece}}, out);
            }
        }
    }
    void add_text(const std::string& type,
                  const std::string& piece,
                  std::vector<StreamEvent>& out) {
        if (!open_ || blocks_.back().type != type) {
            Json start = {{"type", type}, {type, ""}};
            if (type == "thinking") {
                start["signature"] = "";
            }
            Block block;
            block.type = type;
            open_block(block, std::move(start), out);
        }
        blocks_.back().text += piece;
        push_delta({{"type", type + "_delta"}, {type, piece}}, out);
    }
    void open_block(const Block& block, Json start, std::vector<StreamEvent>& out) {
        close_block(out);
        blocks_.push_back(block);
        open_ = true;
        out.push_back({"content_block_start",
                       {{"type", "content_block_start"},
                        {"index", blocks_.size() - 1},
                        {"content_block", std::move(start)}}});
    }
    void close_block(std::vector<StreamEvent>& out) {
        if (!open_) {
            return;
        }
        if (blocks_.back().type == "thinking") {
            push_delta({{"type", "signature_delta"}, {"signature", kSignature}}, out);
        }
        open_ = false;
        out.push_back({"content_block_stop",
                       {{"type", "content_block_stop"}, {"index", blocks_.size() - 1}}});
    }
    void push_delta(Json delta, std::vector<StreamEvent>& out) const {
        out.push_back({"content_block_delta",
                       {{"type", "content_block_delta"},
                        {"index", blocks_.size() - 1},
                        {"delta", std::move(delta)}}});
    }

    ChatRequest request_;
    AnswerHead head_;
    ChoiceAnswer answer_;
    std::vector<Block> blocks_;
    bool open_ = false;   // the last block
    bool begun_ = false;  // message_start was made
};

}  // namespace

void add_messages(Router& router, ServerContext& context) {
    router.post("/v1/messages", [&context](const httplib::Request& request,
                                           httplib::Response& response) {
        const auto model = context.model();
        ChatRequest chat =
            parse_message_request(read_body(request), model->tokenizer->vocab_size());
        const bool stream = chat.stream;
        ClientTicket ticket = context.enter(request);
        AnswerRun::Streams streams;
        try {
            streams = submit_chat(context, *model, chat, ticket.client());
        } catch (const runtime::RequestError& error) {
            if (error.kind != runtime::RequestError::Kind::too_long) {
                throw;
            }
            // Claude Code compacts its conversation on these words.
            const auto tokens = runtime::ChatFormat::encode(*model->tokenizer, chat.messages,
                                                            chat.tools, chat.format);
            throw ApiError::invalid("prompt is too long: " + std::to_string(tokens.size()) +
                                        " tokens > " + std::to_string(model->ctx_size) + " maximum",
                                    "messages", "context_length_exceeded");
        }
        const auto run = std::make_shared<MessageRun>(
            std::move(chat),
            AnswerHead{random_id("msg_"), unix_seconds(), context.model_id(*model)},
            std::move(streams));
        run->ticket = std::move(ticket);
        serve_answer(context, request, response, run, stream);
    });

    router.post("/v1/messages/count_tokens",
                [&context](const httplib::Request& request, httplib::Response& response) {
                    const auto model = context.model();
                    const ChatRequest chat = parse_prompt_words(read_body(request)).parse_prompt();
                    const auto tokens = runtime::ChatFormat::encode(
                        *model->tokenizer, chat.messages, chat.tools, chat.format);
                    send_json(response, {{"input_tokens", tokens.size()}});
                });
}

}  // namespace app
