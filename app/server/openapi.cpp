// GET /openapi.json: this API as an OpenAPI 3.1 document. It says what is checked and what comes
// back; fields that are ignored are not listed, since any may be sent. The server does not start
// with a route that the document lacks, or the other way round.
#include <set>
#include <stdexcept>

#include "app/server/server_context.h"

namespace app {
namespace {

// "post /v1/x" -> the operation: a summary, the name of the request's schema ("" for none), its
// answer's kind.
struct Operation {
    const char* method;
    const char* path;  // as the router has it
    const char* summary;
    const char* request;
    const char* answer;  // "json", "text" or "json or stream"
    bool may_be_missing = false;
};

constexpr Operation kOperations[] = {
    {"GET", "/", "A line for a person, and for clients that look whether anybody is there", "",
     "text"},
    {"GET", "/health", "200 when requests are answered; open without a key", "", "json"},
    {"GET", "/metrics", "Prometheus text, format 0.0.4", "", "text"},
    {"GET", "/props", "What the model takes, for clients of llama-server", "", "json"},
    {"GET", "/slots", "Who is being answered, in counts alone", "", "json"},
    {"GET", "/openapi.json", "This document", "", "json"},
    {"GET", "/v1/models", "The loaded model, as a list", "", "json"},
    {"GET", "/v1/models/*", "The loaded model", "", "json", true},
    {"GET", "/v1/memory", "Where every byte of memory is", "", "json"},
    {"POST", "/v1/chat/completions", "OpenAI's chat completions", "Chat", "json or stream"},
    {"POST", "/v1/completions", "OpenAI's text completions", "Completion", "json or stream"},
    {"POST", "/v1/responses", "OpenAI's responses, without stored state", "Response",
     "json or stream"},
    {"POST", "/v1/messages", "Anthropic's messages", "Message", "json or stream"},
    {"POST", "/v1/messages/count_tokens", "Tokens of a prompt of Anthropic's", "MessagePrompt",
     "json"},
    {"POST", "/tokenize", "Text to tokens", "Tokenize", "json"},
    {"POST", "/detokenize", "Tokens to text", "Detokenize", "json"},
    {"POST", "/apply-template", "The prompt of a chat, as the model reads it", "ChatPrompt",
     "json"},
};

// The requests. null is as good as absent everywhere.
constexpr const char* kSchemas = R"json({
  "Sampling": {"type": "object", "properties": {
    "temperature": {"type": ["number", "null"], "minimum": 0, "maximum": 2, "default": 1},
    "top_p": {"type": ["number", "null"], "exclusiveMinimum": 0, "maximum": 1, "default": 0.95},
    "top_k": {"type": ["integer", "null"], "minimum": -1},
    "min_p": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
    "frequency_penalty": {"type": ["number", "null"], "minimum": -2, "maximum": 2},
    "presence_penalty": {"type": ["number", "null"], "minimum": -2, "maximum": 2},
    "repetition_penalty": {"type": ["number", "null"], "minimum": 0.01, "maximum": 100},
    "seed": {"type": ["integer", "null"]},
    "logit_bias": {"type": ["object", "null"], "maxProperties": 2048,
                   "additionalProperties": {"type": ["number", "null"], "minimum": -100, "maximum": 100}},
    "stop": {"type": ["string", "array", "null"], "items": {"type": "string"}, "maxItems": 256},
    "n": {"type": ["integer", "null"], "minimum": 1, "maximum": 128},
    "stream": {"type": ["boolean", "null"]},
    "stream_options": {"type": ["object", "null"],
                       "properties": {"include_usage": {"type": ["boolean", "null"]}}}}},
  "ChatPrompt": {"type": "object", "required": ["messages"], "properties": {
    "messages": {"type": "array", "minItems": 1, "items": {"type": "object", "required": ["role"], "properties": {
      "role": {"enum": ["system", "developer", "user", "assistant", "tool"]},
      "content": {"type": ["string", "array", "null"], "items": {"type": "object", "required": ["type", "text"],
        "properties": {"type": {"const": "text"}, "text": {"type": "string"}}}}}}},
    "tools": {"type": ["array", "null"], "items": {"type": "object", "required": ["type", "function"], "properties": {
      "type": {"const": "function"}, "function": {"type": "object", "required": ["name"], "properties": {
        "name": {"type": "string", "minLength": 1}, "description": {"type": ["string", "null"]},
        "parameters": {"type": ["object", "null"]}, "strict": {"type": ["boolean", "null"]}}}}}},
    "tool_choice": {"type": ["string", "object", "null"]},
    "reasoning_effort": {"type": ["string", "null"]},
    "chat_template_kwargs": {"type": ["object", "null"], "properties": {
      "enable_thinking": {"type": ["boolean", "null"]}, "clear_thinking": {"type": ["boolean", "null"]}}}}},
  "Chat": {"allOf": [{"$ref": "#/components/schemas/ChatPrompt"}, {"$ref": "#/components/schemas/Sampling"}],
    "properties": {
      "model": {"type": ["string", "null"]},
      "max_tokens": {"type": ["integer", "null"], "minimum": -1},
      "max_completion_tokens": {"type": ["integer", "null"], "minimum": -1},
      "parallel_tool_calls": {"type": ["boolean", "null"]},
      "response_format": {"type": ["object", "null"]},
      "timings_per_token": {"type": ["boolean", "null"]},
      "logprobs": {"type": ["boolean", "null"]},
      "top_logprobs": {"type": ["integer", "null"], "minimum": 0, "maximum": 20}}},
  "Completion": {"allOf": [{"$ref": "#/components/schemas/Sampling"}], "required": ["prompt"], "properties": {
    "prompt": {"type": ["string", "array"]}, "suffix": {"type": ["string", "null"]},
    "max_tokens": {"type": ["integer", "null"], "minimum": -1, "default": 16},
    "echo": {"type": ["boolean", "null"]}, "best_of": {"type": ["integer", "null"], "minimum": 1},
    "logprobs": {"type": ["integer", "null"], "minimum": 0, "maximum": 20}}},
  "Response": {"type": "object", "required": ["input"], "properties": {
    "input": {"type": ["string", "array"]}, "instructions": {"type": ["string", "null"]},
    "max_output_tokens": {"type": ["integer", "null"], "minimum": 1}, "tools": {"type": ["array", "null"]},
    "text": {"type": ["object", "null"]}, "reasoning": {"type": ["object", "null"]},
    "temperature": {"type": ["number", "null"], "minimum": 0, "maximum": 2},
    "stream": {"type": ["boolean", "null"]}}},
  "MessagePrompt": {"type": "object", "required": ["messages"], "properties": {
    "messages": {"type": "array", "minItems": 1, "items": {"type": "object", "required": ["role", "content"],
      "properties": {"role": {"enum": ["user", "assistant"]}, "content": {"type": ["string", "array"]}}}},
    "system": {"type": ["string", "array", "null"]}, "tools": {"type": ["array", "null"]},
    "tool_choice": {"type": ["object", "null"]}, "thinking": {"type": ["object", "null"]}}},
  "Message": {"allOf": [{"$ref": "#/components/schemas/MessagePrompt"}], "required": ["max_tokens"], "properties": {
    "max_tokens": {"type": "integer", "minimum": 1},
    "temperature": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
    "top_p": {"type": ["number", "null"], "exclusiveMinimum": 0, "maximum": 1},
    "top_k": {"type": ["integer", "null"], "minimum": -1},
    "stop_sequences": {"type": ["array", "null"], "items": {"type": "string"}, "maxItems": 256},
    "stream": {"type": ["boolean", "null"]}}},
  "Tokenize": {"type": "object", "required": ["content"], "properties": {"content": {"type": "string"},
    "add_special": {"type": ["boolean", "null"]}, "parse_special": {"type": ["boolean", "null"]}}},
  "Detokenize": {"type": "object", "required": ["tokens"], "properties": {
    "tokens": {"type": "array", "items": {"type": "integer", "minimum": 0}}}}
})json";

Json answers_of(const Operation& operation, bool remote) {
    const std::string kind = operation.answer;
    Json good;
    good["description"] = "The answer";
    if (kind == "text") {
        good["content"]["text/plain"] = Json::object();
    } else {
        good["content"]["application/json"] = Json::object();
    }
    if (kind == "json or stream") {
        good["content"]["text/event-stream"] = Json::object();
    }
    Json answers;
    answers["200"] = std::move(good);
    const auto refused = [&answers](const char* status, const char* why) {
        answers[status]["description"] = why;
        answers[status]["content"]["application/json"] = Json::object();
    };
    if (operation.request[0] != '\0') {
        refused("400", "The request is wrong; the message names the field");
        refused("408", "The request did not arrive in time");
        refused("413", "The body is too large");
        refused("415", "The body is compressed or multipart");
        refused("429", "Too many requests wait, or are this client's; see Retry-After");
        refused("500", "The server failed");
    }
    refused("401", "The key is missing or wrong");
    refused("403", "This Host or Origin is not served");
    if (operation.may_be_missing) {
        refused("404", "There is no such model");
    }
    refused("503", "No model is ready; see Retry-After");
    if (remote) {
        refused("502", "The other engine cannot be reached, or answers what it should not");
        refused("504", "The other engine does not answer in time");
    }
    return answers;
}

Json document_of(const Router& router, const ServerOptions& options) {
    const bool remote = options.remote != nullptr;
    Json document;
    document["openapi"] = "3.1.0";
    document["info"] = {{"title", "Keyhole"}, {"version", KEYHOLE_VERSION}};
    document["components"]["schemas"] = parse_json(kSchemas);
    document["components"]["securitySchemes"] = {
        {"bearer", {{"type", "http"}, {"scheme", "bearer"}}},
        {"header", {{"type", "apiKey"}, {"in", "header"}, {"name", "x-api-key"}}}};
    document["security"] =
        Json::array({{{"bearer", Json::array()}}, {{"header", Json::array()}}});
    if (options.api_keys.empty()) {
        document["security"].push_back(Json::object());
    }
    std::set<std::pair<std::string, std::string>> described, routed;
    for (const Router::Route& route : router.routes()) {
        if (!route.alias) {
            routed.emplace(route.method, route.path);
        }
    }
    for (const Operation& operation : kOperations) {
        // With another engine behind it, a server has fewer routes.
        if (remote && !routed.contains({operation.method, operation.path})) {
            continue;
        }
        described.emplace(operation.method, operation.path);
        std::string path = operation.path;
        Json entry;
        entry["summary"] = operation.summary;
        if (path.ends_with("/*")) {
            path = path.substr(0, path.size() - 1) + "{model}";
            entry["parameters"] = Json::array({{{"name", "model"},
                                                {"in", "path"},
                                                {"required", true},
                                                {"schema", {{"type", "string"}}}}});
        }
        if (operation.request[0] != '\0') {
            entry["requestBody"]["required"] = true;
            entry["requestBody"]["content"]["application/json"]["schema"]["$ref"] =
                std::string("#/components/schemas/") + operation.request;
        }
        if (path == "/health") {
            entry["security"] = Json::array();
        }
        entry["responses"] = answers_of(operation, remote);
        document["paths"][path][operation.method[0] == 'G' ? "get" : "post"] = std::move(entry);
    }
    if (routed != described) {
        throw std::logic_error("the OpenAPI document and the routes differ");
    }
    return document;
}

}  // namespace

void add_openapi(Router& router, ServerContext& context) {
    const auto text = std::make_shared<std::string>();
    router.get("/openapi.json", [text](const httplib::Request&, httplib::Response& response) {
        response.set_content(*text, "application/json");
    });
    *text = to_text(document_of(router, context.options));
}

}  // namespace app
