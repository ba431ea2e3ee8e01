// Dialect: for routes that say the same as a chat completion in other words (/v1/responses,
// /v1/messages). They put a request into chat completion's words, so that there is one parser of
// messages, tools, schemas and sampling; what that parser refuses is told in the caller's words.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "app/json/json.h"
#include "app/server/api_error.h"
#include "app/server/chat_request.h"
#include "app/server/fields.h"

namespace app {

class Dialect {
public:
    // The chat completion's body; objects keep the order in which fields are set.
    Json chat = Json::object();

    // Adds a message that came from `path` of the original.
    void add_message(Json message, const std::string& path);
    Json* last_message();  // null: none yet
    // The chat field `chat_path` is called `path` here.
    void rename(const std::string& chat_path, const std::string& path) {
        names_.emplace_back(chat_path, path);
    }
    // Copies fields that have the same name and meaning, under another name if one is given.
    void copy(const Fields& from, const char* name, const char* chat_name = nullptr);

    ChatRequest parse(int64_t vocab_size) const;
    ChatRequest parse_prompt() const;  // messages and tools alone

private:
    ApiError in_our_words(ApiError error) const;

    std::vector<std::pair<std::string, std::string>> names_;
};

// A string, or an array of parts of the types in `types` whose `text` is joined. Anything else is a
// 400 that names the part.
std::string joined_text(const Json& content,
                        const std::string& path,
                        const std::vector<std::string>& types);

}  // namespace app
