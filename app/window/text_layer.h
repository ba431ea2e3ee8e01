// Text on screen: Markdown blocks -> lines of positioned pieces, laid out once per width and drawn
// as often as needed. TextView keeps a growing text (a streamed answer) as chunks of which only the
// last is laid out again. Main thread only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <imgui.h>

#include "app/window/markdown.h"
#include "app/window/theme.h"

namespace app::window {

// What the pointer did to a text this frame.
struct TextEvent {
    enum class Kind { none, open_link, copy_code };
    Kind kind = Kind::none;
    std::string text;  // the link's address or the code
};

class TextLayout {
public:
    // Positions are relative to the upper left corner. `colour` is that of plain text.
    void build(const std::vector<Block>& blocks, float width, const Fonts& fonts, ImU32 colour);
    // Pieces outside [clip_top, clip_bottom] are skipped. The pointer counts only when `hovered`.
    TextEvent draw(
        ImDrawList* list, ImVec2 origin, float clip_top, float clip_bottom, bool hovered) const;

    float height() const { return height_; }
    ImVec2 end() const {
        return end_;
    }  // upper left corner of what would come next on the last line
    float end_line_height() const { return end_line_height_; }

private:
    struct Piece {
        ImFont* font;
        ImU32 colour;
        float x, y, width;
        uint32_t begin, end;  // of text_
        int link;             // index into links_; -1: none
        bool strike;
        bool chip;  // inline code: drawn on a background
    };
    struct Box {
        ImVec2 low, high;
        ImU32 fill, border;
        float rounding;
    };
    struct CodeCard {
        ImVec2 low, high;
        std::string label;
        uint32_t begin, end;  // of text_
    };
    struct Line;

    void add_rich(
        const RichText& rich, float x, float width, ImFont* base, ImU32 colour, float line_gap);
    void add_code(const Block& block, float x, float width);
    void add_table(const Block& block, float x, float width);

    std::string text_;
    std::vector<std::string> links_;
    std::vector<Piece> pieces_;  // by y
    std::vector<Box> boxes_;
    std::vector<CodeCard> cards_;
    const Fonts* fonts_ = nullptr;
    float height_ = 0;
    ImVec2 end_{0, 0};
    float end_line_height_ = 0;
};

class TextView {
public:
    // Brings the layout up to `text`. Costs nothing when text (told by `revision`), width and fonts
    // are as before; when the text only grew, only what is behind the last settled block is parsed
    // and laid out again.
    void update(
        std::string_view text, uint64_t revision, float width, const Fonts& fonts, ImU32 colour);
    TextEvent draw(
        ImDrawList* list, ImVec2 origin, float clip_top, float clip_bottom, bool hovered) const;

    float height() const { return height_; }
    ImVec2 end() const;
    float end_line_height() const {
        return chunks_.empty() ? 0 : chunks_.back().layout.end_line_height();
    }
    size_t chunks() const { return chunks_.size(); }

private:
    struct Chunk {
        size_t begin = 0, end = 0;
        float y = 0;
        TextLayout layout;
    };
    std::vector<Chunk> chunks_;
    std::string text_;
    uint64_t revision_ = ~uint64_t{0};
    uint64_t fonts_generation_ = 0;
    float width_ = -1;
    float height_ = 0;
    ImU32 colour_ = 0;
};

// Plain text, wrapped; the height it took.
float draw_wrapped(
    ImDrawList* list, ImFont* font, ImVec2 at, float width, ImU32 colour, std::string_view text);
// The longest beginning of `text` that fits, with an ellipsis when it was cut.
std::string ellipsize(ImFont* font, std::string_view text, float width);
float text_width(ImFont* font, std::string_view text);

}  // namespace app::window
