// Key formats that services give out, each known by how it begins. Knows no names and no files:
// what a key means is the business of secrets.cpp. Pure, any thread.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>
#include <vector>

namespace app::codebase {

// What a key is made of. key: word, '-' and '.'; base64: with its signs; uuid: hex digits and '-';
// path: url and '/'; any_path: what an address may hold.
enum class Alphabet { hex, upper, alnum, word, url, key, base64, uuid, path, any_path };

bool in_alphabet(char c, Alphabet alphabet);

struct KeyFormat {
    std::string_view prefix;  // two characters at least
    Alphabet alphabet;
    size_t least, most;  // characters behind the prefix
    std::string_view kind;
    bool needs_digit = true;
};

// The formats by their first byte, in the order in which they are to be tried.
struct KeyFormats {
    std::array<std::vector<const KeyFormat*>, 256> by_first;
    KeyFormats();
};

}  // namespace app::codebase
