// What a file is to a pack: text (made valid UTF-8, LF line ends), or something that is better left
// out.
#pragma once

#include <string>
#include <string_view>

namespace app::codebase {

// Names that usually hold keys or passwords: ".env", "id_rsa", "server.pem". `name` without
// folders.
bool has_secret_name(std::string_view name);

// The text begins like a private key.
bool is_private_key(std::string_view content);

struct ReadText {
    bool is_text = false;
    std::string text;  // valid UTF-8, no byte order mark, LF
    std::string how;   // how it was read, when not plain UTF-8: "UTF-16", "Latin-1"
};
ReadText to_text(std::string_view content);

// For display and for the path attribute: valid UTF-8; control characters, quotes, angle brackets
// and bytes that are not UTF-8 as \xNN.
std::string printable_path(std::string_view path);

bool is_valid_utf8(std::string_view text);

}  // namespace app::codebase
