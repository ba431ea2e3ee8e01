// What a file is to a pack, and the reason that is shown for it. By name, size and text; pure
// functions, any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace app::codebase {

enum class FileKind {
    text,
    binary,
    generated,  // or minified
    data,
    lock_file,
    huge,
    duplicate,
    secret,
    unreadable,
    empty,
};
std::string_view to_string(FileKind kind);

// Names that hold keys or passwords and little else: ".env", "id_rsa", ".pgpass". `name` without
// folders.
bool has_secret_name(std::string_view name);

// Belongs to tests, examples or documentation, by its path. What a budget gives up first.
bool is_test_path(std::string_view path);

struct Classified {
    FileKind kind = FileKind::text;
    std::string reason;  // empty for text
};
// `text` is the decoded content. Never answers binary, duplicate or unreadable: those are found
// before there is a text. Small files are text whatever they are called: leaving them out saves
// nothing.
Classified classify(std::string_view path, std::string_view text);

inline constexpr int64_t kHugeBytes = 1 << 20;  // a larger file is named only, unless asked for

}  // namespace app::codebase
