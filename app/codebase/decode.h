// Bytes of a file -> text a model can read: valid UTF-8, LF line ends, no byte order mark. Legacy
// encodings are guessed (uchardet) and converted (iconv) strictly: what does not convert without a
// loss is not text. Any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace app::codebase {

struct ReadText {
    bool is_text = false;
    std::string text;  // valid UTF-8, no byte order mark, LF
    std::string how;   // how it was read, when not plain UTF-8: "UTF-16", "Latin-1", "Shift-JIS"
};
ReadText to_text(std::string_view content);

// Plain UTF-8 with LF line ends and no byte order mark: to_text() would give the same bytes.
bool is_plain_text(std::string_view content);

bool is_valid_utf8(std::string_view text);

// For display and for the path attribute: valid UTF-8; control characters, invisible and
// direction-changing ones, quotes, angle brackets and bytes that are not UTF-8 as \xNN.
std::string printable_path(std::string_view path);

// How many characters are invisible or change the direction of what follows (bidirectional
// controls, zero-width ones, tag characters).
int64_t count_invisible(std::string_view text);

}  // namespace app::codebase
