// The parts of a message as text: names of roles and states, figures, tool calls and files as JSON.
// The store's columns and the files of export and import are written with these. Any thread.
#pragma once

#include <string>
#include <type_traits>
#include <vector>

#include <nlohmann/json.hpp>

#include "app/conversation.h"

namespace app {

using Json = nlohmann::ordered_json;

const char* name_of(runtime::Role role);
const char* name_of(MessageState state);
runtime::Role role_of(const std::string& name, runtime::Role otherwise);
MessageState state_of(const std::string& name, MessageState otherwise);

// The text columns hold what models and people wrote; invalid UTF-8 becomes U+FFFD in JSON rather
// than an exception.
std::string dump(const Json& json, int indent = -1);
Json parse_json(const std::string& text);  // discarded where it is none

// What is read was written by this program, but a file can be edited: a value of the wrong type
// counts as absent.
template <typename T>
T field(const Json& json, const char* key, T otherwise) {
    if (!json.is_object()) {
        return otherwise;
    }
    const auto at = json.find(key);
    if (at == json.end()) {
        return otherwise;
    }
    if constexpr (std::is_same_v<T, std::string>) {
        return at->is_string() ? at->template get<std::string>() : otherwise;
    } else if constexpr (std::is_same_v<T, bool>) {
        return at->is_boolean() ? at->template get<bool>() : otherwise;
    } else {
        return at->is_number() ? at->template get<T>() : otherwise;
    }
}

Json json_of(const AnswerStats& stats);
Json json_of(const std::vector<runtime::ToolCall>& calls);
Json json_of(const std::vector<AttachedFile>& files);
AnswerStats stats_of(const Json& json);
std::vector<runtime::ToolCall> calls_of(const Json& json);
std::vector<AttachedFile> files_of(const Json& json);

}  // namespace app
