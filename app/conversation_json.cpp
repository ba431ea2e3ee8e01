#include "app/conversation_json.h"

#include <utility>

namespace app {
namespace {

constexpr std::pair<runtime::Role, const char*> kRoles[] = {{runtime::Role::system, "system"},
                                                            {runtime::Role::user, "user"},
                                                            {runtime::Role::assistant, "assistant"},
                                                            {runtime::Role::tool, "tool"}};
constexpr std::pair<MessageState, const char*> kStates[] = {{MessageState::complete, "complete"},
                                                            {MessageState::streaming, "streaming"},
                                                            {MessageState::stopped, "stopped"},
                                                            {MessageState::cut, "cut"},
                                                            {MessageState::failed, "failed"}};
template <typename Enum, size_t N>
const char* name_of(const std::pair<Enum, const char*> (&names)[N], Enum value) {
    for (const auto& [candidate, name] : names) {
        if (candidate == value) {
            return name;
        }
    }
    return "";
}
template <typename Enum, size_t N>
Enum value_of(const std::pair<Enum, const char*> (&names)[N],
              const std::string& name,
              Enum otherwise) {
    for (const auto& [candidate, text] : names) {
        if (name == text) {
            return candidate;
        }
    }
    return otherwise;
}

}  // namespace

const char* name_of(runtime::Role role) {
    return name_of(kRoles, role);
}
const char* name_of(MessageState state) {
    return name_of(kStates, state);
}
runtime::Role role_of(const std::string& name, runtime::Role otherwise) {
    return value_of(kRoles, name, otherwise);
}
MessageState state_of(const std::string& name, MessageState otherwise) {
    return value_of(kStates, name, otherwise);
}

std::string dump(const Json& json, int indent) {
    return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

Json parse_json(const std::string& text) {
    return Json::parse(text, nullptr, false);
}

Json json_of(const AnswerStats& s) {
    return Json{{"prompt_tokens", s.prompt_tokens},
                {"cached_tokens", s.cached_tokens},
                {"completion_tokens", s.completion_tokens},
                {"reasoning_tokens", s.reasoning_tokens},
                {"first_token_ms", s.first_token_ms},
                {"generation_ms", s.generation_ms},
                {"thinking_ms", s.thinking_ms}};
}

AnswerStats stats_of(const Json& json) {
    AnswerStats s;
    s.prompt_tokens = field<int64_t>(json, "prompt_tokens", 0);
    s.cached_tokens = field<int64_t>(json, "cached_tokens", 0);
    s.completion_tokens = field<int64_t>(json, "completion_tokens", 0);
    s.reasoning_tokens = field<int64_t>(json, "reasoning_tokens", 0);
    s.first_token_ms = field<double>(json, "first_token_ms", 0);
    s.generation_ms = field<double>(json, "generation_ms", 0);
    s.thinking_ms = field<double>(json, "thinking_ms", 0);
    return s;
}

Json json_of(const std::vector<runtime::ToolCall>& calls) {
    Json json = Json::array();
    for (const auto& call : calls) {
        Json arguments = Json::array();
        for (const auto& argument : call.arguments) {
            arguments.push_back(Json{{"key", argument.key}, {"value", argument.value}});
        }
        json.push_back(
            Json{{"id", call.id}, {"name", call.name}, {"arguments", std::move(arguments)}});
    }
    return json;
}

std::vector<runtime::ToolCall> calls_of(const Json& json) {
    std::vector<runtime::ToolCall> calls;
    if (!json.is_array()) {
        return calls;
    }
    for (const Json& item : json) {
        runtime::ToolCall call{
            field<std::string>(item, "id", ""), field<std::string>(item, "name", ""), {}};
        if (item.is_object() && item.contains("arguments") && item["arguments"].is_array()) {
            for (const Json& argument : item["arguments"]) {
                call.arguments.push_back({field<std::string>(argument, "key", ""),
                                          field<std::string>(argument, "value", "")});
            }
        }
        calls.push_back(std::move(call));
    }
    return calls;
}

Json json_of(const std::vector<AttachedFile>& files) {
    Json json = Json::array();
    for (const AttachedFile& file : files) {
        json.push_back(Json{{"path", file.path},
                            {"reason", file.reason},
                            {"tokens", file.tokens},
                            {"included", file.included}});
    }
    return json;
}

std::vector<AttachedFile> files_of(const Json& json) {
    std::vector<AttachedFile> files;
    if (json.is_array()) {
        for (const Json& item : json) {
            files.push_back(
                {field<std::string>(item, "path", ""), field<std::string>(item, "reason", ""),
                 field<int64_t>(item, "tokens", 0), field<bool>(item, "included", false)});
        }
    }
    return files;
}

}  // namespace app
