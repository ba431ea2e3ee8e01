// Markdown -> blocks of styled text. Knows no font and no window. A streamed answer is cut into
// chunks at points that later text cannot change, so that only the last chunk is parsed again as
// text arrives.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace app::window {

enum SpanStyle : uint8_t { kBold = 1, kItalic = 2, kCode = 4, kStrike = 8, kLink = 16 };

struct Span {
    uint32_t
        begin = 0,
        end = 0;  // bytes of the text it belongs to; spans cover the text, in order, without gaps
    uint8_t style = 0;
    int link = -1;  // index into RichText::links
};

struct RichText {
    std::string text;
    std::vector<Span> spans;
    std::vector<std::string> links;
};

struct Block {
    enum class Kind { paragraph, heading, code, table, rule };
    Kind kind = Kind::paragraph;
    RichText rich;         // code: the text alone
    int level = 0;         // heading: 1 to 6
    int indent = 0;        // lists around it
    int quotes = 0;        // block quotes around it
    std::string marker;    // first block of a list item: a bullet, "3.", a check box
    std::string language;  // code
    bool open = false;     // code: the closing fence has not arrived
    std::vector<std::vector<RichText>> rows;  // table; the first row is the head
};

std::vector<Block> parse_markdown(std::string_view text);

// Where the text can be cut: the largest position <= text.size() that begins a block of its own
// whatever follows, searched from `from` (itself such a position). `from` when there is none.
size_t stable_end(std::string_view text, size_t from);

}  // namespace app::window
