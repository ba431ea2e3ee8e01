#include "app/server/dialect.h"

#include <algorithm>

namespace app {
namespace {

// `text` with `from` at its start replaced, if it stands there as a whole step of a path.
bool replace_path(std::string& text, const std::string& from, const std::string& to) {
    if (!text.starts_with(from) ||
        (text.size() > from.size() && text[from.size()] != '.' && text[from.size()] != '[')) {
        return false;
    }
    text = to + text.substr(from.size());
    return true;
}

}  // namespace

void Dialect::add_message(Json message, const std::string& path) {
    Json& list = chat["messages"];
    rename(element("messages", list.size()), path);
    list.push_back(std::move(message));
}

Json* Dialect::last_message() {
    const auto list = chat.find("messages");
    return list == chat.end() || list->empty() ? nullptr : &list->back();
}

void Dialect::copy(const Fields& from, const char* name, const char* chat_name) {
    if (const Json* value = from.find(name)) {
        chat[chat_name == nullptr ? name : chat_name] = *value;
        if (chat_name != nullptr) {
            rename(chat_name, name);
        }
    }
}

ChatRequest Dialect::parse(int64_t vocab_size) const {
    try {
        return ChatRequest::parse(chat, vocab_size);
    } catch (const ApiError& error) {
        throw in_our_words(error);
    }
}

ChatRequest Dialect::parse_prompt() const {
    try {
        return ChatRequest::parse_prompt(chat);
    } catch (const ApiError& error) {
        throw in_our_words(error);
    }
}

ApiError Dialect::in_our_words(ApiError error) const {
    // The longest name first: "tools[0].function" before "tools[0]".
    auto names = names_;
    std::ranges::stable_sort(
        names, [](const auto& a, const auto& b) { return a.first.size() > b.first.size(); });
    for (const auto& [chat_path, path] : names) {
        std::string param = error.param;
        if (!replace_path(param, chat_path, path)) {
            continue;
        }
        std::string message = error.what();
        for (size_t at = 0; (at = message.find("'" + chat_path, at)) != std::string::npos;) {
            const size_t end = at + 1 + chat_path.size();
            if (end < message.size() &&
                std::string_view("'.[").find(message[end]) != std::string_view::npos) {
                message.replace(at + 1, chat_path.size(), path);
            }
            at += 1 + path.size();
        }
        return error.with(message, param);
    }
    return error;
}

std::string joined_text(const Json& content,
                        const std::string& path,
                        const std::vector<std::string>& types) {
    if (content.is_string()) {
        return content.get<std::string>();
    }
    if (!content.is_array() || content.size() > kMaxParts) {
        throw ApiError::invalid("'" + path + "' must be a string or an array of text parts.", path);
    }
    std::string text;
    for (size_t i = 0; i < content.size(); i++) {
        const Fields part(content[i], element(path, i));
        const std::string type = part.text("type").value_or("");
        if (std::ranges::find(types, type) == types.end()) {
            throw ApiError::invalid(type.empty()
                                        ? "'" + part.path("type") + "' is missing."
                                        : "'" + part.path("type") + "' is '" + type.substr(0, 40) +
                                              "', but this model reads text only.",
                                    part.path("type"));
        }
        const auto piece = part.text(type == "refusal" ? "refusal" : "text");
        if (!piece) {
            throw ApiError::invalid("'" + part.path("text") + "' is missing.", part.path("text"));
        }
        text += *piece;
    }
    return text;
}

}  // namespace app
