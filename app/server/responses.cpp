// POST /v1/responses: OpenAI's newer API, without its memory: every request carries the whole
// conversation, as Codex sends it. What asks for stored state is refused rather than ignored.
#include "app/server/chat_run.h"
#include "app/server/dialect.h"
#include "app/server/server_context.h"

namespace app {
namespace {

constexpr size_t kMaxItems = 20'000;

// --- the request in a chat completion's words

// The thought of an earlier answer, to be put before what was said after it.
std::string thought_of(const Fields& item) {
    std::string text;
    if (const Json* content = item.array("content", kMaxItems)) {
        text = joined_text(*content, item.path("content"), {"reasoning_text", "text"});
    }
    return text;
}

void take_response_item(const Json& value,
                        const std::string& path,
                        std::string& thought,
                        Dialect& dialect) {
    const Fields item(value, path);
    const std::string type = item.text("type").value_or("message");
    // A call belongs to the assistant's message before it.
    const auto assistant = [&]() -> Json& {
        Json* last = dialect.last_message();
        if (last == nullptr || (*last)["role"] != "assistant") {
            dialect.add_message({{"role", "assistant"}, {"content", nullptr}}, path);
            last = dialect.last_message();
        }
        if (!thought.empty()) {
            (*last)["reasoning_content"] = std::exchange(thought, {});
        }
        return *last;
    };
    if (type == "message") {
        const std::string role = item.required_text("role");
        const Json* content = item.find("content");
        if (content == nullptr) {
            throw ApiError::invalid("'" + item.path("content") + "' is missing.",
                                    item.path("content"));
        }
        Json message = {{"role", role},
                        {"content", joined_text(*content, item.path("content"),
                                                {"input_text", "output_text", "text", "refusal"})}};
        if (role == "assistant" && !thought.empty()) {
            message["reasoning_content"] = thought;
        }
        thought.clear();
        if (role != "assistant" && role != "user" && role != "system" && role != "developer") {
            throw ApiError::invalid(
                "'" + item.path("role") + "' must be one of user, assistant, system or developer.",
                item.path("role"));
        }
        dialect.add_message(std::move(message), path);
    } else if (type == "function_call") {
        const Json* arguments = item.find("arguments");
        Json& calls = assistant()["tool_calls"];
        dialect.rename(element("messages", dialect.chat["messages"].size() - 1) + "." +
                           element("tool_calls", calls.size()) + ".function",
                       path);
        calls.push_back({{"id", item.required_text("call_id")},
                         {"type", "function"},
                         {"function",
                          {{"name", item.required_text("name")},
                           {"arguments", arguments == nullptr ? Json("") : *arguments}}}});
    } else if (type == "function_call_output") {
        const Json* output = item.find("output");
        if (output == nullptr) {
            throw ApiError::invalid("'" + item.path("output") + "' is missing.",
                                    item.path("output"));
        }
        dialect.add_message({{"role", "tool"},
                             {"tool_call_id", item.required_text("call_id")},
                             {"content", joined_text(*output, item.path("output"),
                                                     {"input_text", "output_text", "text"})}},
                            path);
    } else if (type == "reasoning") {
        thought += thought_of(item);
    } else {
        throw ApiError::invalid("'" + item.path("type") + "' is '" + type.substr(0, 40) +
                                    "', which this server does not know.",
                                item.path("type"));
    }
}

void take_response_input(const Fields& body, Dialect& dialect) {
    if (const auto instructions = body.text("instructions");
        instructions && !instructions->empty()) {
        dialect.add_message({{"role", "system"}, {"content", *instructions}}, "instructions");
    }
    const Json* input = body.find("input");
    if (input == nullptr) {
        throw ApiError::invalid("'input' is missing.", "input");
    }
    if (input->is_string()) {
        dialect.add_message({{"role", "user"}, {"content", *input}}, "input");
        return;
    }
    if (!input->is_array() || input->empty() || input->size() > kMaxItems) {
        throw ApiError::invalid("'input' must be a string or an array of items.", "input");
    }
    std::string thought;
    for (size_t i = 0; i < input->size(); i++) {
        take_response_item((*input)[i], element("input", i), thought, dialect);
    }
    if (dialect.last_message() == nullptr) {
        throw ApiError::invalid("'input' has no message.", "input");
    }
}

void take_response_tools(const Fields& body, Dialect& dialect) {
    if (const Json* tools = body.array("tools", kMaxTools)) {
        Json list = Json::array();
        for (size_t i = 0; i < tools->size(); i++) {
            const Fields tool((*tools)[i], element("tools", i));
            if (tool.required_text("type") != "function") {
                continue;  // Codex names tools of other kinds too; the model is not told of them
            }
            Json function = {{"name", tool.required_text("name")}};
            for (const char* name : {"description", "parameters", "strict"}) {
                if (const Json* value = tool.find(name)) {
                    function[name] = *value;
                }
            }
            dialect.rename(element("tools", list.size()) + ".function", element("tools", i));
            list.push_back({{"type", "function"}, {"function", std::move(function)}});
        }
        dialect.chat["tools"] = std::move(list);
    }
    const Json* choice = body.find("tool_choice");
    if (choice != nullptr && choice->is_object()) {
        const Fields fields(*choice, "tool_choice");
        if (fields.required_text("type") != "function") {
            throw ApiError::invalid("'tool_choice.type' must be \"function\".", "tool_choice.type");
        }
        dialect.chat["tool_choice"] = {{"type", "function"},
                                       {"function", {{"name", fields.required_text("name")}}}};
        dialect.rename("tool_choice.function", "tool_choice");
    } else if (choice != nullptr) {
        dialect.chat["tool_choice"] = *choice;
    }
}

// text.format is response_format with the schema one level higher.
void take_response_format(const Fields& body, Dialect& dialect) {
    const Json* text = body.object("text");
    if (text == nullptr) {
        return;
    }
    const Fields fields(*text, "text");
    const Json* format = fields.object("format");
    if (format == nullptr) {
        return;
    }
    const Fields wanted(*format, "text.format");
    if (wanted.required_text("type") == "json_schema") {
        Json schema = Json::object();
        for (const char* name : {"name", "description", "schema", "strict"}) {
            if (const Json* value = wanted.find(name)) {
                schema[name] = *value;
            }
        }
        if (wanted.object("schema") == nullptr) {
            throw ApiError::invalid("'text.format.schema' is missing.", "text.format.schema");
        }
        dialect.chat["response_format"] = {{"type", "json_schema"},
                                           {"json_schema", std::move(schema)}};
    } else {
        dialect.chat["response_format"] = {{"type", wanted.text("type").value_or("")}};
    }
    dialect.rename("response_format.json_schema", "text.format");
    dialect.rename("response_format", "text.format");
}

void refuse_state(const Fields& body) {
    for (const char* name : {"previous_response_id", "conversation", "prompt"}) {
        if (body.find(name) != nullptr) {
            throw ApiError::invalid("'" + std::string(name) +
                                        "' is not supported: nothing is stored here. Send the "
                                        "whole conversation in 'input'.",
                                    name, "unsupported_value");
        }
    }
    if (body.flag("background").value_or(false)) {
        throw ApiError::invalid("'background' is not supported: nothing is stored here.",
                                "background", "unsupported_value");
    }
    const std::string truncation = body.text("truncation").value_or("disabled");
    if (truncation != "disabled" && truncation != "auto") {
        throw ApiError::invalid("'truncation' must be \"disabled\" or \"auto\".", "truncation");
    }
    if (truncation == "auto") {
        throw ApiError::invalid(
            "'truncation' \"auto\" is not supported: what does not fit is refused.", "truncation",
            "unsupported_value");
    }
}

ChatRequest parse_response_request(const Json& value, int64_t vocab_size) {
    const Fields body(value);
    Dialect dialect;
    refuse_state(body);
    take_response_input(body, dialect);
    take_response_tools(body, dialect);
    take_response_format(body, dialect);
    for (const char* name :
         {"model", "temperature", "top_p", "top_k", "min_p", "seed", "stream", "logit_bias",
          "parallel_tool_calls", "chat_template_kwargs", "presence_penalty", "frequency_penalty",
          "repetition_penalty", "stop"}) {
        dialect.copy(body, name);
    }
    body.integer("max_output_tokens", 1, kAnyInteger);
    dialect.copy(body, "max_output_tokens", "max_completion_tokens");
    if (const Json* reasoning = body.object("reasoning")) {
        const Fields fields(*reasoning, "reasoning");
        if (const auto effort = fields.text("effort")) {
            dialect.chat["reasoning_effort"] = *effort;
        }
    }
    if (const Json* include = body.array("include", 64)) {
        for (const Json& what : *include) {
            if (what == "message.output_text.logprobs") {
                dialect.chat["logprobs"] = true;
                dialect.copy(body, "top_logprobs");
            }
        }
    }
    body.integer("top_logprobs", 0, 20);
    body.flag("store");
    body.object("metadata");
    return dialect.parse(vocab_size);
}

// --- the answer

class ResponseRun : public AnswerRun {
public:
    // `asked`: the body, for the fields that an answer repeats.
    ResponseRun(ChatRequest request,
                const Json& asked,
                AnswerHead head,
                Streams streams,
                std::shared_ptr<const runtime::Tokenizer> tokenizer)
        : AnswerRun(std::move(streams)),
          request_(std::move(request)),
          head_(std::move(head)),
          tokenizer_(std::move(tokenizer)),
          answer_(request_.schemas, request_.parallel_tool_calls) {
        repeat(asked);
    }

    std::vector<StreamEvent> opening() override {
        std::vector<StreamEvent> out;
        push("response.created", {{"response", response("in_progress")}}, out);
        push("response.in_progress", {{"response", response("in_progress")}}, out);
        return out;
    }
    std::vector<StreamEvent> closing() override {
        std::vector<StreamEvent> out;
        push(complete() ? "response.completed" : "response.incomplete", {{"response", whole()}},
             out);
        return out;
    }
    StreamEvent failed(const ApiError& error) override {
        Json body = response("failed");
        body["error"] = {{"code", "server_error"}, {"message", error.what()}};
        std::vector<StreamEvent> out;
        push("response.failed", {{"response", std::move(body)}}, out);
        return out.front();
    }
    Json whole() const override {
        Json out = response(complete() ? "completed" : "incomplete");
        if (!complete()) {
            out["incomplete_details"] = {{"reason", "max_output_tokens"}};
        }
        for (const Item& item : items_) {
            out["output"].push_back(item_json(item, complete() ? "completed" : "incomplete"));
        }
        const runtime::Usage used = usage();
        Json usage;
        usage["input_tokens"] = used.prompt_tokens;
        usage["input_tokens_details"]["cached_tokens"] = used.cached_tokens;
        usage["output_tokens"] = used.completion_tokens;
        usage["output_tokens_details"]["reasoning_tokens"] = used.reasoning_tokens;
        usage["total_tokens"] = used.prompt_tokens + used.completion_tokens;
        out["usage"] = std::move(usage);
        return out;
    }

protected:
    void take(int, const runtime::GenerationEvent& event, std::vector<StreamEvent>& out) override {
        if (request_.logprobs && event.kind == runtime::GenerationEvent::Kind::delta) {
            for (const runtime::TokenLogprob& entry : event.logprobs) {
                logprobs_.push_back(logprob_json(*tokenizer_, entry));
            }
        }
        for (const Json& delta : answer_.add(event.deltas)) {
            add(delta, out);
        }
    }
    void ended(int, std::vector<StreamEvent>& out) override { close_item(out); }
    bool enough(int) const override { return answer_.too_many_calls(); }

private:
    struct Item {
        std::string type;  // "reasoning", "message" or "function_call"
        std::string id, call_id, name;
        std::string text;  // of a call: its arguments
    };

    bool complete() const { return reason() != runtime::FinishReason::length; }

    // What was given of an object; null counts as not given.
    static Json with_defaults(const Json* given, Json defaults) {
        if (given != nullptr) {
            for (const auto& item : given->items()) {
                if (!item.value().is_null()) {
                    defaults[item.key()] = item.value();
                }
            }
        }
        return defaults;
    }

    void repeat(const Json& asked) {
        const Fields body(asked);
        const auto given = [&body](const char* name, Json otherwise) {
            const Json* value = body.find(name);
            return value != nullptr ? *value : std::move(otherwise);
        };
        repeated_["instructions"] = given("instructions", nullptr);
        repeated_["max_output_tokens"] = given("max_output_tokens", nullptr);
        repeated_["max_tool_calls"] = nullptr;
        repeated_["metadata"] = given("metadata", Json::object());
        repeated_["parallel_tool_calls"] = request_.parallel_tool_calls;
        repeated_["previous_response_id"] = nullptr;
        repeated_["prompt_cache_key"] = given("prompt_cache_key", nullptr);
        repeated_["reasoning"] =
            with_defaults(body.object("reasoning"), {{"effort", nullptr}, {"summary", nullptr}});
        repeated_["safety_identifier"] = given("safety_identifier", nullptr);
        repeated_["service_tier"] = "default";
        repeated_["store"] = false;
        repeated_["temperature"] = given("temperature", request_.sampling.temperature);
        repeated_["text"] = with_defaults(body.object("text"), {{"format", {{"type", "text"}}}});
        repeated_["tool_choice"] = given("tool_choice", "auto");
        repeated_["tools"] = given("tools", Json::array());
        repeated_["top_logprobs"] = request_.top_logprobs;
        repeated_["top_p"] = given("top_p", request_.sampling.top_p);
        repeated_["truncation"] = "disabled";
        repeated_["user"] = given("user", nullptr);
    }

    Json response(const char* status) const {
        Json out;
        out["id"] = head_.id;
        out["object"] = "response";
        out["created_at"] = head_.created;
        out["status"] = status;
        out["background"] = false;
        out["error"] = nullptr;
        out["incomplete_details"] = nullptr;
        out["model"] = head_.model;
        out["output"] = Json::array();
        out.update(repeated_);
        out["usage"] = nullptr;
        return out;
    }

    Json part_json(const Item& item) const {
        Json part;
        if (item.type == "reasoning") {
            part["type"] = "reasoning_text";
            part["text"] = item.text;
        } else {
            part["type"] = "output_text";
            part["text"] = item.text;
            part["annotations"] = Json::array();
            part["logprobs"] = item.text.empty() ? Json::array() : logprobs_;
        }
        return part;
    }

    Json item_json(const Item& item, const char* status) const {
        Json out;
        out["id"] = item.id;
        out["type"] = item.type;
        out["status"] = status;
        if (item.type == "function_call") {
            out["call_id"] = item.call_id;
            out["name"] = item.name;
            out["arguments"] = item.text;
        } else {
            const Json parts = item.text.empty() ? Json::array() : Json::array({part_json(item)});
            if (item.type == "message") {
                out["role"] = "assistant";
            } else {
                out["summary"] = Json::array();
            }
            out["content"] = parts;
        }
        return out;
    }

    void push(const std::string& type, Json fields, std::vector<StreamEvent>& out) {
        Json event;
        event["type"] = type;
        event["sequence_number"] = sequence_++;
        event.update(fields);
        out.push_back({type, std::move(event)});
    }
    // An event about the last item, or a part of it.
    void push_item(const std::string& type, Json fields, std::vector<StreamEvent>& out) {
        Json all = {{"item_id", items_.back().id}, {"output_index", items_.size() - 1}};
        if (items_.back().type != "function_call") {
            all["content_index"] = 0;
        }
        all.update(fields);
        push(type, std::move(all), out);
    }

    void add(const Json& delta, std::vector<StreamEvent>& out) {
        if (const auto thought = delta.find("reasoning_content"); thought != delta.end()) {
            add_text("reasoning", *thought, out);
        } else if (const auto text = delta.find("content"); text != delta.end()) {
            add_text("message", *text, out);
        } else if (const auto calls = delta.find("tool_calls"); calls != delta.end()) {
            const Json& call = (*calls)[0];
            if (call.contains("id")) {
                Item item;
                item.type = "function_call";
                item.id = random_id("fc_");
                item.call_id = call["id"];
                item.name = call["function"]["name"];
                open_item(std::move(item), out);
            }
            const std::string piece = call["function"]["arguments"];
            if (!piece.empty()) {
                items_.back().text += piece;
                push_item("response.function_call_arguments.delta", {{"delta", piece}}, out);
            }
        }
    }
    void add_text(const std::string& type,
                  const std::string& piece,
                  std::vector<StreamEvent>& out) {
        if (!open_ || items_.back().type != type) {
            Item item;
            item.type = type;
            item.id = random_id(type == "message" ? "msg_" : "rs_");
            open_item(std::move(item), out);
            push_item("response.content_part.added", {{"part", part_json(items_.back())}}, out);
        }
        items_.back().text += piece;
        Json fields = {{"delta", piece}};
        if (type == "message") {
            fields["logprobs"] = Json::array();
        }
        push_item(
            type == "message" ? "response.output_text.delta" : "response.reasoning_text.delta",
            std::move(fields), out);
    }
    void open_item(Item item, std::vector<StreamEvent>& out) {
        close_item(out);
        items_.push_back(std::move(item));
        open_ = true;
        push("response.output_item.added",
             {{"output_index", items_.size() - 1},
              {"item", item_json(items_.back(), "in_progress")}},
             out);
    }
    void close_item(std::vector<StreamEvent>& out) {
        if (!open_) {
            return;
        }
        open_ = false;
        const Item& item = items_.back();
        if (item.type == "function_call") {
            push_item("response.function_call_arguments.done",
                      {{"name", item.name}, {"arguments", item.text}}, out);
        } else if (item.type == "message") {
            push_item("response.output_text.done", {{"text", item.text}, {"logprobs", logprobs_}},
                      out);
            push_item("response.content_part.done", {{"part", part_json(item)}}, out);
        } else {
            push_item("response.reasoning_text.done", {{"text", item.text}}, out);
            push_item("response.content_part.done", {{"part", part_json(item)}}, out);
        }
        push("response.output_item.done",
             {{"output_index", items_.size() - 1}, {"item", item_json(item, "completed")}}, out);
    }

    ChatRequest request_;
    AnswerHead head_;
    std::shared_ptr<const runtime::Tokenizer> tokenizer_;
    ChoiceAnswer answer_;
    Json repeated_;
    Json logprobs_ = Json::array();
    std::vector<Item> items_;
    bool open_ = false;  // the last item
    int64_t sequence_ = 0;
};

}  // namespace

void add_responses(Router& router, ServerContext& context) {
    router.post("/v1/responses",
                [&context](const httplib::Request& request, httplib::Response& response) {
                    const auto model = context.model();
                    const Json body = read_body(request);
                    ChatRequest chat = parse_response_request(body, model->tokenizer->vocab_size());
                    const bool stream = chat.stream;
                    ClientTicket ticket = context.enter(request);
                    auto streams = submit_chat(context, *model, chat, ticket.client());
                    const auto run = std::make_shared<ResponseRun>(
                        std::move(chat), body,
                        AnswerHead{random_id("resp_"), unix_seconds(), context.model_id(*model)},
                        std::move(streams), model->tokenizer);
                    run->ticket = std::move(ticket);
                    serve_answer(context, request, response, run, stream);
                });
}

}  // namespace app
