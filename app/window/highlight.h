// Colours for code in answers: words, strings, numbers, comments. Small lexers, one per family of
// languages; not parsers, so they never fail and take linear time. Stateless: any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace app::window {

enum class CodeKind : uint8_t {
    plain,
    keyword,
    type,
    string,
    number,
    comment,
    function,
    name,  // a key, an attribute, a property, a variable with a sign of its own
    added,
    removed
};

struct CodePiece {
    uint32_t begin = 0, end = 0;
    CodeKind kind = CodeKind::plain;
    bool operator==(const CodePiece&) const = default;
};

// What a text left open, for the text that goes on from it: long code is coloured part by part.
struct LexState {
    enum class Mode : uint8_t { code, comment, text, tag };
    Mode mode = Mode::code;
    std::string closing;  // comment and text: what ends it
    bool operator==(const LexState&) const = default;
};

// Pieces cover the text in order, without gaps. A language that is not known is coloured like C;
// "text" not at all. `state` is read and brought up to the end of the text.
std::vector<CodePiece> highlight(std::string_view text, std::string_view language, LexState& state);
inline std::vector<CodePiece> highlight(std::string_view text, std::string_view language) {
    LexState state;
    return highlight(text, language, state);
}

// "cpp" -> "C++", "py" -> "Python"; what is not known stays.
std::string language_label(std::string_view language);

}  // namespace app::window
