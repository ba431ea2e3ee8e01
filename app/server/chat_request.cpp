#include "app/server/chat_request.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "app/json/cut_json.h"
#include "app/json/python_json.h"
#include "app/server/api_error.h"
#include "app/server/fields.h"

namespace app {
namespace {

constexpr size_t kMaxToolCalls = 1024;
constexpr size_t kMaxStops = 256;
constexpr size_t kMaxStopBytes = 4096;
constexpr size_t kMaxBias = 2048;
constexpr int64_t kMaxChoices = 128;
constexpr size_t kMaxNameBytes = 256;
constexpr int64_t kAny = kAnyInteger;

// A string, or an array of text parts joined without anything between them.
std::string parse_content(const Json& content, const std::string& path) {
    if (content.is_string()) {
        return content.get<std::string>();
    }
    if (!content.is_array()) {
        throw ApiError::invalid("'" + path + "' must be a string or an array of text parts, not " +
                                    std::string(content.type_name()) + ".",
                                path);
    }
    if (content.size() > kMaxParts) {
        throw ApiError::invalid(
            "'" + path + "' may have at most " + std::to_string(kMaxParts) + " parts.", path);
    }
    std::string text;
    for (size_t i = 0; i < content.size(); i++) {
        const std::string here = element(path, i);
        const Fields part(content[i], here);
        const std::string type = part.text("type").value_or("");
        if (type == "text" || type == "refusal") {
            const auto piece = part.text(type.c_str());
            if (!piece) {
                throw ApiError::invalid("'" + here + "." + type + "' is missing.",
                                        here + "." + type);
            }
            text += *piece;
        } else if (type.empty()) {
            throw ApiError::invalid("'" + here + ".type' is missing.", here + ".type");
        } else {
            throw ApiError::invalid("'" + here + "' has type '" + type.substr(0, 40) +
                                        "', but this model reads text only.",
                                    here + ".type");
        }
    }
    return text;
}

// OpenAI's arguments are a JSON text; some clients send the object itself. A call that a limit cut
// is replayed as it was: refusing it would end the conversation.
std::vector<runtime::ToolArgument> parse_arguments(const Json& value, const std::string& path) {
    Json parsed;
    if (value.is_string()) {
        const std::string& text = value.get_ref<const std::string&>();
        if (text.find_first_not_of(" \t\r\n") == std::string::npos) {
            return {};  // some models and clients write nothing for no arguments
        }
        try {
            parsed = parse_json(text);
        } catch (const JsonError& error) {
            const auto cut = parse_cut_json(text);
            if (!cut) {
                throw ApiError::invalid(
                    "'" + path + "' must be the text of a JSON object: " + error.what() + ".",
                    path);
            }
            parsed = *cut;
        }
    } else {
        parsed = value;
    }
    if (!parsed.is_object()) {
        throw ApiError::invalid("'" + path + "' must be the text of a JSON object, not " +
                                    std::string(parsed.type_name()) + ".",
                                path);
    }
    std::vector<runtime::ToolArgument> arguments;
    for (const auto& item : parsed.items()) {
        arguments.push_back({item.key(), item.value().is_string() ? item.value().get<std::string>()
                                                                  : python_json(item.value())});
    }
    return arguments;
}

std::vector<runtime::ToolCall> parse_tool_calls(const Fields& message) {
    std::vector<runtime::ToolCall> calls;
    const Json* list = message.array("tool_calls", kMaxToolCalls);
    if (list == nullptr) {
        return calls;
    }
    for (size_t i = 0; i < list->size(); i++) {
        const Fields call((*list)[i], element(message.path("tool_calls"), i));
        const auto type = call.text("type");
        if (type && *type != "function") {
            throw ApiError::invalid("'" + call.path("type") + "' must be \"function\".",
                                    call.path("type"));
        }
        const Json* function = call.object("function");
        if (function == nullptr) {
            throw ApiError::invalid("'" + call.path("function") + "' is missing.",
                                    call.path("function"));
        }
        const Fields fields(*function, call.path("function"));
        runtime::ToolCall parsed;
        parsed.id = call.text("id").value_or("");
        parsed.name = fields.text("name").value_or("");
        if (parsed.name.empty()) {
            throw ApiError::invalid("'" + fields.path("name") + "' is missing.",
                                    fields.path("name"));
        }
        if (const Json* arguments = fields.find("arguments")) {
            parsed.arguments = parse_arguments(*arguments, fields.path("arguments"));
        }
        calls.push_back(std::move(parsed));
    }
    return calls;
}

runtime::ChatMessage parse_message(const Json& value, const std::string& path) {
    const Fields fields(value, path);
    const auto role = fields.text("role");
    if (!role) {
        throw ApiError::invalid("'" + fields.path("role") + "' is missing.", fields.path("role"));
    }
    runtime::ChatMessage message;
    if (*role == "system" || *role == "developer") {
        message.role = runtime::Role::system;
    } else if (*role == "user") {
        message.role = runtime::Role::user;
    } else if (*role == "assistant") {
        message.role = runtime::Role::assistant;
    } else if (*role == "tool") {
        message.role = runtime::Role::tool;
    } else {
        throw ApiError::invalid("'" + fields.path("role") +
                                    "' must be one of system, developer, user, assistant or tool.",
                                fields.path("role"));
    }

    if (const Json* content = fields.find("content")) {
        message.content = parse_content(*content, fields.path("content"));
    } else if (message.role != runtime::Role::assistant) {
        throw ApiError::invalid("'" + fields.path("content") + "' is missing.",
                                fields.path("content"));
    }
    if (message.role == runtime::Role::assistant) {
        message.reasoning = fields.text("reasoning_content");
        const auto reasoning = fields.text("reasoning");  // newer vLLM and Ollama call it so
        if (!message.reasoning) {
            message.reasoning = reasoning;
        }
        message.tool_calls = parse_tool_calls(fields);
    }
    if (message.role == runtime::Role::tool) {
        fields.text("tool_call_id");  // its type; GLM's format has no place for it
    }
    return message;
}

void parse_messages(const Fields& body, ChatRequest& request) {
    const Json* messages = body.array("messages", kMaxMessages);
    if (messages == nullptr || messages->empty()) {
        throw ApiError::invalid("'messages' must be an array with at least one message.",
                                "messages");
    }
    for (size_t i = 0; i < messages->size(); i++) {
        request.messages.push_back(parse_message((*messages)[i], element("messages", i)));
    }
}

void parse_tool_choice(const Fields& body, ChatRequest& request) {
    using Choice = ChatRequest::ToolChoice;
    const Json* choice = body.find("tool_choice");
    if (choice == nullptr) {
        return;
    }
    if (choice->is_object()) {
        const Fields fields(*choice, "tool_choice");
        if (fields.text("type").value_or("") != "function") {
            throw ApiError::invalid("'tool_choice.type' must be \"function\".", "tool_choice.type");
        }
        const Json* function = fields.object("function");
        request.forced_tool =
            function == nullptr
                ? ""
                : Fields(*function, "tool_choice.function").text("name").value_or("");
        if (request.forced_tool.empty()) {
            throw ApiError::invalid("'tool_choice.function.name' is missing.",
                                    "tool_choice.function.name");
        }
        request.tool_choice = Choice::required;
        return;
    }
    const std::string text = body.text("tool_choice").value_or("");
    if (text == "none") {
        request.tool_choice = Choice::none;
    } else if (text == "required") {
        request.tool_choice = Choice::required;
    } else if (text != "auto") {
        throw ApiError::invalid(
            "'tool_choice' must be \"auto\", \"none\", \"required\" or a function.", "tool_choice");
    }
}

void parse_tools(const Fields& body, ChatRequest& request) {
    const Json* tools = body.array("tools", kMaxTools);
    parse_tool_choice(body, request);
    const bool may_call = request.tool_choice != ChatRequest::ToolChoice::none;
    if (request.tool_choice == ChatRequest::ToolChoice::required &&
        (tools == nullptr || tools->empty())) {
        throw ApiError::invalid("'tool_choice' asks for a call, but there are no 'tools'.",
                                "tool_choice");
    }
    if (tools == nullptr) {
        return;
    }
    for (size_t i = 0; i < tools->size(); i++) {
        const Fields tool((*tools)[i], element("tools", i));
        if (tool.text("type").value_or("") != "function") {
            throw ApiError::invalid("'" + tool.path("type") + "' must be \"function\".",
                                    tool.path("type"));
        }
        const Json* function = tool.object("function");
        if (function == nullptr) {
            throw ApiError::invalid("'" + tool.path("function") + "' is missing.",
                                    tool.path("function"));
        }
        const Fields fields(*function, tool.path("function"));
        const std::string name = fields.text("name").value_or("");
        if (name.empty() || name.size() > kMaxNameBytes ||
            name.find_first_of("<>\n\r") != std::string::npos) {
            throw ApiError::invalid("'" + fields.path("name") + "' must be the function's name.",
                                    fields.path("name"));
        }
        fields.text("description");
        const bool strict = fields.flag("strict").value_or(false);
        const Json* parameters = fields.object("parameters");
        if (may_call) {
            request.callable.push_back(
                {name, parameters != nullptr ? *parameters : Json(), strict});
            request.tools.push_back(python_json((*tools)[i]));
            request.schemas.add(name, parameters);
        }
    }
    const auto is_forced = [&](const auto& tool) { return tool.name == request.forced_tool; };
    if (!request.forced_tool.empty() &&
        std::none_of(request.callable.begin(), request.callable.end(), is_forced)) {
        throw ApiError::invalid("'tool_choice' names a function that is not among the 'tools'.",
                                "tool_choice.function.name");
    }
}

// response_format and grammar.
void parse_shape(const Fields& body, ChatRequest& request) {
    if (const Json* format = body.object("response_format")) {
        const Fields fields(*format, "response_format");
        const std::string type = fields.text("type").value_or("");
        if (type == "json_object") {
            // With a schema beside it, as llama.cpp's clients send it.
            const Json* schema = fields.find("schema");
            request.json_schema = schema != nullptr ? *schema : Json(true);
        } else if (type == "json_schema") {
            const Json* wrapper = fields.object("json_schema");
            if (wrapper == nullptr) {
                throw ApiError::invalid("'response_format.json_schema' is missing.",
                                        "response_format.json_schema");
            }
            const Fields inside(*wrapper, "response_format.json_schema");
            inside.text("name");
            inside.text("description");
            inside.flag("strict");
            const Json* schema = inside.find("schema");
            if (schema == nullptr) {
                throw ApiError::invalid("'response_format.json_schema.schema' is missing.",
                                        "response_format.json_schema.schema");
            }
            request.json_schema = *schema;
        } else if (type != "text") {
            throw ApiError::invalid(
                "'response_format.type' must be \"text\", \"json_object\" or \"json_schema\".",
                "response_format.type");
        }
    }
    request.gbnf = body.text("grammar").value_or("");
    if (!request.gbnf.empty() && request.json_schema) {
        throw ApiError::invalid("'grammar' and 'response_format' exclude each other.", "grammar");
    }
}

void parse_thinking(const Fields& body, ChatRequest& request) {
    if (const Json* kwargs = body.object("chat_template_kwargs")) {
        const Fields fields(*kwargs, "chat_template_kwargs");
        request.format.enable_thinking =
            fields.flag("enable_thinking").value_or(request.format.enable_thinking);
        request.format.clear_thinking =
            fields.flag("clear_thinking").value_or(request.format.clear_thinking);
    }
    if (body.text("reasoning_effort").value_or("") == "none") {
        request.format.enable_thinking = false;
    }
}

void refuse_unsupported(const Fields& body) {
    if (const Json* modalities = body.array("modalities", 16)) {
        for (const Json& modality : *modalities) {
            if (modality != "text") {
                throw ApiError::invalid("'modalities' may hold \"text\" only.", "modalities",
                                        "unsupported_value");
            }
        }
    }
}

void parse_logprobs(const Fields& body, ChatRequest& request) {
    request.logprobs = body.flag("logprobs").value_or(false);
    const auto top = body.integer("top_logprobs", 0, 20);
    if (top.value_or(0) > 0 && !request.logprobs) {
        throw ApiError::invalid("'top_logprobs' needs 'logprobs' to be true.", "top_logprobs");
    }
    request.top_logprobs = static_cast<int>(top.value_or(0));
}

int64_t parse_max_tokens(const Fields& body) {
    int64_t result = -1;
    for (const char* name : {"max_tokens", "max_completion_tokens"}) {
        const auto given = body.integer(name, -1, kAny);
        if (given && *given == 0) {
            throw ApiError::invalid(
                "'" + std::string(name) + "' must be at least 1, or -1 for no limit.", name);
        }
        result = given.value_or(result);
    }
    return result;
}

}  // namespace

std::vector<std::string> parse_stop(const Json& value) {
    const Fields body(value);
    const Json* stop = body.find("stop");
    std::vector<std::string> list;
    if (stop == nullptr) {
        return list;
    }
    const auto add = [&list](const Json& item, const std::string& path) {
        if (!item.is_string()) {
            throw ApiError::invalid(
                "'" + path + "' must be a string, not " + item.type_name() + ".", path);
        }
        const auto& text = item.get_ref<const std::string&>();
        if (text.size() > kMaxStopBytes) {
            throw ApiError::invalid(
                "'" + path + "' may have at most " + std::to_string(kMaxStopBytes) + " bytes.",
                path);
        }
        if (!text.empty()) {
            list.push_back(text);
        }
    };
    if (stop->is_array()) {
        if (stop->size() > kMaxStops) {
            throw ApiError::invalid(
                "'stop' may have at most " + std::to_string(kMaxStops) + " entries.", "stop");
        }
        for (size_t i = 0; i < stop->size(); i++) {
            add((*stop)[i], element("stop", i));
        }
    } else if (stop->is_string()) {
        add(*stop, "stop");
    } else {
        throw ApiError::invalid(
            std::string("'stop' must be a string or an array of strings, not ") +
                stop->type_name() + ".",
            "stop");
    }
    return list;
}

std::vector<runtime::TokenId> parse_token_ids(const Json& list,
                                              const std::string& path,
                                              int64_t vocab_size) {
    std::vector<runtime::TokenId> ids;
    ids.reserve(list.size());
    for (const Json& item : list) {
        // Unsigned and signed compare alike once a negative one is ruled out.
        if (!item.is_number_integer() || item < 0 || item >= vocab_size) {
            throw ApiError::invalid(
                "'" + path + "' must hold token ids below " + std::to_string(vocab_size) + ".",
                path);
        }
        ids.push_back(item.get<runtime::TokenId>());
    }
    return ids;
}

runtime::SamplingParams parse_sampling(const Json& value, int64_t vocab_size) {
    const Fields body(value);
    runtime::SamplingParams sampling;
    const auto real = [&body](const char* name, double least, double most, float& into) {
        if (const auto given = body.number(name, least, most)) {
            into = static_cast<float>(*given);
        }
    };
    real("temperature", 0, 2, sampling.temperature);
    real("top_p", 0, 1, sampling.top_p);
    real("min_p", 0, 1, sampling.min_p);
    real("frequency_penalty", -2, 2, sampling.frequency_penalty);
    real("presence_penalty", -2, 2, sampling.presence_penalty);
    real("repeat_penalty", 0.01, 100, sampling.repetition_penalty);
    real("repetition_penalty", 0.01, 100, sampling.repetition_penalty);
    if (const auto top_k = body.integer("top_k", -1, kAny)) {
        // -1 is vLLM's way to say all; more than the vocabulary is all, too.
        sampling.top_k = *top_k <= 0 || *top_k >= vocab_size ? 0 : static_cast<int32_t>(*top_k);
    }
    if (const auto seed = body.integer("seed", std::numeric_limits<int64_t>::min(), kAny)) {
        sampling.seed = static_cast<uint64_t>(*seed);
    }
    if (const Json* bias = body.object("logit_bias")) {
        if (bias->size() > kMaxBias) {
            throw ApiError::invalid(
                "'logit_bias' may have at most " + std::to_string(kMaxBias) + " entries.",
                "logit_bias");
        }
        const Fields entries(*bias, "logit_bias");
        for (const auto& item : bias->items()) {
            const std::string& key = item.key();
            int64_t id = -1;
            const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
            if (error != std::errc() || end != key.data() + key.size() || id < 0 ||
                id >= vocab_size) {
                throw ApiError::invalid("'logit_bias' has a key that is not a token id below " +
                                            std::to_string(vocab_size) + ".",
                                        "logit_bias");
            }
            if (const auto amount = entries.number(key.c_str(), -100, 100)) {
                sampling.logit_bias.emplace_back(static_cast<runtime::TokenId>(id),
                                                 static_cast<float>(*amount));
            }
        }
    }
    return sampling;
}

ChatRequest ChatRequest::parse_prompt(const Json& value) {
    const Fields body(value);
    ChatRequest request;
    parse_messages(body, request);
    parse_tools(body, request);
    parse_thinking(body, request);
    return request;
}

ChatRequest ChatRequest::parse(const Json& value, int64_t vocab_size) {
    const Fields body(value);
    ChatRequest request = parse_prompt(value);
    body.text("model");  // any name is answered by the loaded model, which the answer names
    parse_shape(body, request);
    refuse_unsupported(body);
    parse_logprobs(body, request);
    request.sampling = parse_sampling(value, vocab_size);
    request.stop = parse_stop(value);
    request.max_tokens = parse_max_tokens(body);
    request.choices = static_cast<int>(body.integer("n", 1, kMaxChoices).value_or(1));
    request.parallel_tool_calls = body.flag("parallel_tool_calls").value_or(true);
    request.stream = body.flag("stream").value_or(false);
    request.timings_per_token = body.flag("timings_per_token").value_or(false);
    if (const Json* options = body.object("stream_options")) {
        request.include_usage =
            Fields(*options, "stream_options").flag("include_usage").value_or(false);
    }
    return request;
}

}  // namespace app
