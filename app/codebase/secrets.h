// Secrets in a text: where they are and what they are, so that each value can be masked by itself
// and the code around it stays. Known key formats, private key blocks, passwords in addresses, and
// values of high entropy that are assigned to a name which says what they are. Tuned against real
// source trees (tests/app/secrets_check.py): a false mask costs trust too. Pure, any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace app::codebase {

struct Secret {
    size_t begin = 0, end = 0;  // bytes of the value alone
    std::string_view kind;      // "GitHub token"
};

// In order, not overlapping. `path` decides what an unquoted value after "name:" may be.
std::vector<Secret> find_secrets(std::string_view text, std::string_view path);

// The text with each value replaced by «secret: KIND, N chars».
std::string masked(std::string_view text, const std::vector<Secret>& secrets);

}  // namespace app::codebase
