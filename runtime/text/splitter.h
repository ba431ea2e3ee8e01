// The `glm4` split rule: where a text is cut before byte-level BPE. Hand-written equal of
//
//     (?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|
//     ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
//
// (the last alternative of the first line and the first of the second are separate; the latter
// starts with an optional space). Leftmost, first alternative wins, greedy. Every byte of broken
// UTF-8 counts as a character that is none of \s, \p{L}, \p{N}, which is how a text with U+FFFD in
// its place would be cut. Stateless: any thread.
#pragma once

#include <cstddef>
#include <string_view>

namespace runtime {

// End of the piece that starts at `at`; at < text.size(). Cutting a whole text takes time linear in
// its length.
size_t piece_end(std::string_view text, size_t at);

}  // namespace runtime
