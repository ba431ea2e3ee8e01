// Text on screen: Markdown blocks -> lines of positioned pieces, laid out once per width and drawn
// as often as needed. TextView keeps one long or growing text as parts: each is parsed and laid out
// only when it comes into sight, heights of the others are estimated; megabytes are taken in over
// several frames. Places are bytes of the source, so that selection and finds survive every change
// of width. Main thread only.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <imgui.h>

#include "app/window/highlight.h"
#include "app/window/markdown.h"
#include "app/window/text_cutter.h"
#include "app/window/text_run.h"
#include "app/window/theme.h"

namespace app::window {

// What the pointer did to a text this frame.
struct TextEvent {
    enum class Kind { none, open_link, copy_code };
    Kind kind = Kind::none;
    std::string text;       // the link's address or the code
    bool hovers = false;    // the pointer is over something that answers to a click
    std::string over_link;  // the address under the pointer
    size_t card = 0;        // copy_code: which
};

// Bytes [begin, end) of a source.
struct SourceRange {
    size_t begin = 0, end = 0;
};

// What is marked in a text.
struct TextMarks {
    SourceRange selected;
    std::span<const SourceRange> found;  // in order
    SourceRange current;                 // the one of them that is shown now
};

// How a text is to be laid out. What differs makes cached layouts void.
struct TextStyle {
    float width = 0;
    const Fonts* fonts = nullptr;
    ImU32 colour = 0;  // of plain text
    const LinkFinder* links = nullptr;
    uint64_t links_revision = 0;
    // When this frame's share of the work is used up: what is left is done in the frames that
    // follow. No part of the look.
    std::chrono::steady_clock::time_point until = std::chrono::steady_clock::time_point::max();
};

class TextLayout {
public:
    struct Options {
        bool first = true;          // nothing stands above it
        LexState* lexer = nullptr;  // in and out: of code that goes on from the text before
        std::map<size_t, float>* scrolls = nullptr;  // by place of the block: how far it is moved
        size_t scroll_key = 0;                       // not 0: of code that is in several parts
    };
    // Positions are relative to the upper left corner.
    void build(const std::vector<Block>& blocks, const TextStyle& style, const Options& options);

    struct Canvas {
        ImDrawList* list;
        ImVec2 origin;
        float clip_top, clip_bottom;  // pieces outside are skipped
        bool hovered;                 // the pointer counts
        double copied_until;          // "copied" is shown on `copied_card`
        size_t copied_card;
    };
    TextEvent draw(const Canvas& canvas, const TextMarks& marks) const;

    float height() const { return height_; }
    size_t pieces() const { return pieces_.size(); }
    bool guessed() const { return guessed_; }  // some widths are not known yet
    // Upper left corner of what would come next on the last line.
    ImVec2 end() const { return end_; }
    float end_line_height() const { return end_line_height_; }

    size_t source_at(ImVec2 point) const;  // the place nearest to a point
    size_t line_source(float y) const;     // the first place of the line at y
    float y_of(size_t source) const;       // the top of its line
    ImVec2 caret(size_t source, float& line_height) const;
    SourceRange word_at(size_t source) const;  // word or run of blanks around a place
    SourceRange block_at(size_t source) const;
    // The next place before or behind one, by character or by word; the same where there is none.
    size_t step(size_t source, bool forward, bool word) const;

private:
    struct Piece {
        ImFont* font;
        ImU32 colour;
        float x, width;
        uint32_t line;        // index into lines_
        uint32_t begin, end;  // of text_
        int link;             // index into links_; -1: none
        int region;           // index into regions_; -1: none
        uint16_t style;       // SpanStyle
    };
    struct LineBox {
        float y, height;
    };
    struct Box {
        ImVec2 low, high;
        ImU32 fill, border;
        float rounding;
        int corners;  // ImDrawFlags
        int region;
    };
    struct CodeCard {
        ImVec2 low, high;
        std::string label;
        uint32_t begin, end;  // of text_
        size_t key;           // the block's place
    };
    // What is wider than its room and moved sideways.
    struct Region {
        ImVec2 low, high;
        float content_width;
        float* scroll;
        bool bar;
    };
    struct Map {
        uint32_t begin, end;          // of text_
        uint32_t source, source_end;  // as in Span
    };
    struct BlockRange {
        uint32_t begin, end;
    };
    struct Line;
    struct RichOptions;

    void add_rich(const RichText& rich, const RichOptions& options);
    float rich_width(const RichText& rich, ImFont* base, float& widest_word);
    ImFont* font_of(uint16_t style, ImFont* base) const;
    void add_code(const Block& block, float x, float width, const Options& options);
    void add_table(const Block& block, float x, float width, const Options& options);
    void add_maps(const RichText& rich, uint32_t text_at);
    uint32_t to_text(size_t source, bool end) const;
    size_t to_source(uint32_t text) const;
    float shift_of(int region) const {
        return region < 0 ? 0 : *regions_[static_cast<size_t>(region)].scroll;
    }
    float piece_x(const Piece& piece, uint32_t at) const;

    std::string text_;
    std::vector<std::string> links_;
    std::vector<LineBox> lines_;
    std::vector<Piece> pieces_;  // by line
    std::vector<Box> boxes_;
    std::vector<CodeCard> cards_;
    std::vector<Region> regions_;
    std::vector<Map> maps_;  // in order
    std::vector<BlockRange> blocks_;
    const Fonts* fonts_ = nullptr;
    ImU32 colour_ = 0;
    float height_ = 0;
    bool guessed_ = false;
    ImVec2 end_{0, 0};
    float end_line_height_ = 0;
};

class TextView {
public:
    // Brings the view up to `text`, or as near as style.until lets it. Costs nothing when text
    // (told by `revision`) and style are as before; when the text only grew, what is settled is
    // kept.
    void update(std::string_view text, uint64_t revision, const TextStyle& style);
    // More is to be done in the next frame: text not taken in yet, parts in sight not laid out,
    // code without its colours.
    bool pending() const { return text_.size() < size_ || parts_waiting_ || !uncoloured_.empty(); }
    // Whether the text is taken in up to this place.
    bool knows(size_t source) const { return source < text_.size() || text_.size() >= size_; }

    float height() const { return height_; }
    // Lays out what lies between two heights. True when a height turned out other than estimated.
    bool ensure(float top, float bottom);
    // True when the part that holds a place is laid out, at its right height among its neighbours.
    bool ensure_place(size_t source);

    TextEvent draw(ImDrawList* list,
                   ImVec2 origin,
                   float clip_top,
                   float clip_bottom,
                   bool hovered,
                   const TextMarks& marks = {});

    ImVec2 end() const;
    float end_line_height() const;

    size_t source_at(ImVec2 point);
    size_t line_source(float y);
    float y_of(size_t source);
    ImVec2 caret(size_t source, float& line_height);
    SourceRange word_at(size_t source);
    SourceRange block_at(size_t source);
    size_t step(size_t source, bool forward, bool word);

    size_t parts() const { return parts_.size(); }
    size_t laid_out() const;  // parts that are
    // What was done so far, over and over for what is laid out again: bytes taken in, bytes read as
    // Markdown or code, pieces placed.
    struct Work {
        size_t taken = 0, read = 0, placed = 0;
    };
    const Work& work() const { return work_; }

private:
    struct Part {
        size_t begin = 0, end = 0;
        bool in_fence = false, joined = false, tight = false;
        size_t fence = 0;
        std::string language;
        size_t lines = 0, blank_lines = 0;  // for estimates
        float y = 0, height = 0;
        bool laid = false;
        bool lexed = false;  // `lexer` is known
        LexState lexer;      // behind it
        std::unique_ptr<TextLayout> layout;
    };

    void take_text(std::string_view text);
    void take_parts();
    void lay_out(size_t index);
    void colour_waiting();
    bool late() const { return std::chrono::steady_clock::now() >= style_.until; }
    std::optional<LexState> lexer_before(size_t index);
    float estimate(const Part& part) const;
    void count_lines(Part& part) const;
    void place();
    size_t part_at(float y) const;
    size_t part_of(size_t source) const;
    TextLayout& layout_of(size_t index);
    float gap_before(size_t index) const;

    std::string text_;  // as far as it is taken in
    size_t size_ = 0;   // of the whole text
    TextCutter cutter_;
    std::vector<Part> parts_;
    bool parts_waiting_ = false;  // some in sight are not laid out
    // Before style_.until: the rest may wait.
    bool took_some_ = false, laid_some_ = false, lexed_some_ = false;
    std::vector<size_t> uncoloured_;  // parts of code laid out before what is above was read
    std::map<size_t, float> scrolls_;
    TextStyle style_;
    Fonts fonts_;  // the faces as they were
    uint64_t revision_ = ~uint64_t{0};
    uint64_t widths_generation_ = 0;
    size_t references_ = 0;  // bytes of link definitions that the layouts know
    float height_ = 0;
    double copied_until_ = 0;
    size_t copied_card_ = 0;
    Work work_;
};

// The blocks of a whole text as TextView shows them, part by part.
class TextParts {
public:
    explicit TextParts(std::string_view text);
    size_t size() const { return cutter_.parts().size(); }
    SourceRange range(size_t index) const;
    std::vector<Block> blocks(size_t index) const;
    bool goes_on(size_t index) const;  // on the next line of what the part before ends with

private:
    std::string_view text_;
    TextCutter cutter_;
};

// The blocks of one part of a text that `cutter` has read up to its end; with its own link
// definitions. And of a part of which the caller knows where it ends and whether its code goes on.
std::vector<Block> blocks_of_part(std::string_view text, const TextCutter& cutter, size_t index);
std::vector<Block> blocks_of_part(std::string_view text,
                                  size_t begin,
                                  size_t end,
                                  const TextCutter::Part& part,
                                  bool continues,
                                  std::string_view references);

// What lies between two places as a person reads it, and as it was written (with the signs that
// belong to what is taken whole).
std::string copy_as_text(std::string_view text, SourceRange range);
std::string copy_as_markdown(std::string_view text, SourceRange range);

}  // namespace app::window
