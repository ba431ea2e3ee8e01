// Markdown -> blocks of styled text, each piece with its place in the source, so that what is
// selected, found or clicked on screen has an exact counterpart in what the model wrote. Knows no
// font and no window. Stateless: any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace app::window {

enum SpanStyle : uint16_t {
    kBold = 1,
    kItalic = 2,
    kCode = 4,
    kStrike = 8,
    kLink = 16,
    kFormula = 32,
    kNote = 64,    // the sign of a footnote
    kBroken = 128  // a reference to what is not there
};

// Bytes [begin, end) of the displayed text. They stand for [source, source_end) of the source: byte
// for byte when both have the same length, as a whole otherwise (an entity, a formula).
struct Span {
    uint32_t begin = 0, end = 0;
    uint32_t source = 0, source_end = 0;
    uint16_t style = 0;
    int link = -1;  // index into RichText::links
};

struct RichText {
    std::string text;
    std::vector<Span> spans;  // in order, without gaps
    std::vector<std::string> links;
};

enum class Align : uint8_t { left, centre, right };

struct Block {
    enum class Kind : uint8_t { paragraph, heading, code, table, rule, formula };
    Kind kind = Kind::paragraph;
    RichText rich;   // code: the text alone
    int level = 0;   // heading: 1 to 6
    int indent = 0;  // lists around it
    // Block quotes around it, outermost first.
    struct Quote {
        int lists = 0;  // around it
        int id = 0;     // one and the same for all that it holds
    };
    std::vector<Quote> quotes;
    std::string marker;    // first block of a list item: a bullet, "3.", a check box
    std::string language;  // code
    std::vector<std::vector<RichText>> rows;  // table; the first row is the head
    std::vector<Align> columns;               // table
    bool continued = false;                   // code: it goes on from the block before
    bool continues = false;                   // code: and into the block after
    bool repeats_head = false;                // table: its first row stands further up in the text

    bool tight_after(const Block& before) const { return indent > 0 && before.indent > 0; }
};

// `base` is added to every place in the source. `references` are link definitions that stand
// elsewhere in the text.
std::vector<Block> parse_markdown(std::string_view text,
                                  size_t base = 0,
                                  std::string_view references = {});

// Where something that can be opened is named in a text: bytes [begin, end).
struct FoundLink {
    size_t begin = 0, end = 0;
    std::string address;  // for Actions::open_link
    bool broken = false;  // named, but not there: shown as such
};
using LinkFinder = std::function<std::vector<FoundLink>(std::string_view)>;

// Makes links of what `find` finds in words that are not links yet.
void mark_links(std::vector<Block>& blocks, const LinkFinder& find);

// What a person sees of the source between two places, as plain text: list signs, table cells
// between tabs, blank lines between paragraphs.
std::string plain_text(const std::vector<Block>& blocks, size_t source, size_t source_end);

// An opening or closing code fence: some blanks, then three or more ` or ~. mark 0: none.
struct Fence {
    char mark = 0;
    size_t length = 0;
    size_t indent = 0;
    bool bare = false;  // nothing behind the marks: it may close
    bool closes(const Fence& open) const {
        return mark == open.mark && length >= open.length && bare;
    }
};
Fence fence_of(std::string_view line, size_t max_indent = 3);

// The first word behind an opening fence's marks, in lower case.
std::string fence_language(std::string_view line);

}  // namespace app::window
