// Colours for code in answers: words, strings, numbers, comments. One small lexer for the C family,
// Python, shell, JSON and their like; not a parser, so it never fails and takes linear time.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace app::window {

enum class CodeKind : uint8_t { plain, keyword, type, string, number, comment };

struct CodePiece {
    uint32_t begin = 0, end = 0;
    CodeKind kind = CodeKind::plain;
};

// Pieces cover the text in order, without gaps. An unknown language is coloured as the C family;
// "text" not at all.
std::vector<CodePiece> highlight(std::string_view text, std::string_view language);

}  // namespace app::window
