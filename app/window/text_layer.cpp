#include "app/window/text_layer.h"

#include <algorithm>
#include <cmath>

#include "app/window/highlight.h"

namespace app::window {
namespace {

constexpr float kParagraphGap = 10;
constexpr float kLineSpacing = 1.42F;

size_t character_length(std::string_view text, size_t at) {
    const auto first = static_cast<unsigned char>(text[at]);
    const size_t length = first < 0x80    ? 1
                          : first >= 0xF0 ? 4
                          : first >= 0xE0 ? 3
                          : first >= 0xC0 ? 2
                                          : 1;
    return std::min(length, text.size() - at);
}

// Scripts written without spaces may break between any two characters.
bool breaks_anywhere(std::string_view text, size_t at) {
    const auto first = static_cast<unsigned char>(text[at]);
    return first >= 0xE3 && first <= 0xED && character_length(text, at) == 3;
}

// End of the unit that must stay together: a word with the blanks behind it, or one ideograph.
struct Word {
    size_t end;          // with trailing blanks
    size_t visible_end;  // without
};
Word next_word(std::string_view text, size_t at, size_t limit) {
    size_t i = at;
    if (i < limit && breaks_anywhere(text, i)) {
        i += character_length(text, i);
        return {i, i};
    }
    while (i < limit && text[i] != ' ' && text[i] != '\t' && text[i] != '\n' &&
           (i == at || !breaks_anywhere(text, i))) {
        i += character_length(text, i);
    }
    const size_t visible = i;
    while (i < limit && (text[i] == ' ' || text[i] == '\t')) {
        i++;
    }
    return {i, visible};
}

}  // namespace

float text_width(ImFont* font, std::string_view text) {
    return font->CalcTextSizeA(font->FontSize, FLT_MAX, 0, text.data(), text.data() + text.size())
        .x;
}

std::string ellipsize(ImFont* font, std::string_view text, float width) {
    if (text_width(font, text) <= width) {
        return std::string(text);
    }
    const float room = width - text_width(font, "\u2026");
    const char* cut = text.data();
    font->CalcTextSizeA(font->FontSize, std::max(room, 0.0F), 0, text.data(),
                        text.data() + text.size(), &cut);
    return std::string(text.substr(0, static_cast<size_t>(cut - text.data()))) + "\u2026";
}

float draw_wrapped(
    ImDrawList* list, ImFont* font, ImVec2 at, float width, ImU32 colour, std::string_view text) {
    const char* begin = text.data();
    const char* end = begin + text.size();
    const ImVec2 size = font->CalcTextSizeA(font->FontSize, FLT_MAX, width, begin, end);
    if (list) {
        list->AddText(font, font->FontSize, at, colour, begin, end, width);
    }
    return size.y;
}

// Pieces of one line wait here until it is full, because its height is known only then.
struct TextLayout::Line {
    std::vector<Piece> pieces;
    float height = 0;
};

void TextLayout::add_rich(
    const RichText& rich, float x0, float width, ImFont* base, ImU32 colour, float line_gap) {
    const float scale = fonts_->scale;
    const auto text_at = static_cast<uint32_t>(text_.size());
    const int link_at = static_cast<int>(links_.size());
    text_ += rich.text;
    links_.insert(links_.end(), rich.links.begin(), rich.links.end());
    const std::string_view text = rich.text;
    Line line;
    float x = 0;
    const float base_height = std::round(base->FontSize * kLineSpacing);
    const auto finish_line = [&] {
        const float height = std::max(line.height, base_height);
        for (Piece& piece : line.pieces) {
            piece.y = std::round(height_ + (height - piece.font->FontSize) / 2);
            pieces_.push_back(piece);
        }
        end_ = {x0 + x, height_};
        end_line_height_ = height;
        height_ += height + line_gap;
        line = {};
        x = 0;
    };
    for (const Span& span : rich.spans) {
        ImFont* font = span.style & kCode     ? fonts_->mono
                       : span.style & kBold   ? fonts_->bold
                       : span.style & kItalic ? fonts_->italic
                                              : base;
        const ImU32 ink = span.style & kLink ? colour::kAccentText : colour;
        const bool chip = (span.style & kCode) != 0;
        bool continues = false;  // whether the next word can be appended to the piece before it
        for (size_t at = span.begin; at < span.end;) {
            if (text[at] == '\n') {
                finish_line();
                continues = false;
                at++;
                continue;
            }
            Word word = next_word(text, at, span.end);
            float visible = text_width(font, text.substr(at, word.visible_end - at));
            if (x > 0 && x + visible > width) {
                finish_line();
                continues = false;
            }
            if (visible > width) {  // wider than a whole line: cut where it must be
                size_t cut = at + character_length(text, at);
                while (cut < word.visible_end &&
                       text_width(font, text.substr(at, cut + character_length(text, cut) - at)) <=
                           width) {
                    cut += character_length(text, cut);
                }
                word = {cut, cut};
                visible = text_width(font, text.substr(at, cut - at));
            }
            const float advance = word.end == word.visible_end
                                      ? visible
                                      : text_width(font, text.substr(at, word.end - at));
            if (continues) {
                line.pieces.back().end = text_at + static_cast<uint32_t>(word.end);
                line.pieces.back().width += advance;
            } else if (word.end > at) {
                line.pieces.push_back(
                    {font, ink, std::round(x0 + x), 0, advance, text_at + static_cast<uint32_t>(at),
                     text_at + static_cast<uint32_t>(word.end),
                     span.link >= 0 ? link_at + span.link : -1, (span.style & kStrike) != 0, chip});
                continues = true;
            }
            line.height = std::max(line.height, std::round(font->FontSize * kLineSpacing));
            x += advance;
            at = word.end;
        }
        if (chip) {
            x += std::round(2 * scale);
        }
    }
    finish_line();
}

void TextLayout::add_code(const Block& block, float x0, float width) {
    const float scale = fonts_->scale;
    const float pad_x = std::round(14 * scale), pad_y = std::round(11 * scale);
    ImFont* font = fonts_->mono;
    const float line_height = std::round(font->FontSize * 1.38F);
    const float cell = font->GetCharAdvance(' ');
    const auto text_at = static_cast<uint32_t>(text_.size());
    // Tabs become blanks here, once, so that drawing and measuring agree.
    std::string text;
    for (const char c : block.rich.text) {
        if (c == '\t') {
            text += "    ";
        } else {
            text += c;
        }
    }
    text_ += text;
    const float top = height_;
    float y = top + pad_y, x = 0;
    const float room = width - 2 * pad_x;
    for (const CodePiece& code : highlight(text, block.language)) {
        ImU32 ink = colour::kText;
        switch (code.kind) {
            case CodeKind::keyword:
                ink = colour::kKeyword;
                break;
            case CodeKind::type:
                ink = colour::kType;
                break;
            case CodeKind::string:
                ink = colour::kString;
                break;
            case CodeKind::number:
                ink = colour::kNumber;
                break;
            case CodeKind::comment:
                ink = colour::kComment;
                break;
            case CodeKind::plain:
                break;
        }
        size_t at = code.begin;
        while (at < code.end) {
            const size_t line_end = std::min<size_t>(text.find('\n', at), code.end);
            while (at < line_end) {  // what is too long for the card goes on in the next line
                size_t cut = at;
                float taken = 0;
                while (cut < line_end) {
                    const size_t length = character_length(text, cut);
                    const float advance =
                        length == 1 ? cell
                                    : text_width(font, std::string_view(text).substr(cut, length));
                    if (x + taken + advance > room && x + taken > 0) {
                        break;
                    }
                    taken += advance;
                    cut += length;
                }
                if (cut > at) {
                    pieces_.push_back({font, ink, std::round(x0 + pad_x + x),
                                       std::round(y + (line_height - font->FontSize) / 2), taken,
                                       text_at + static_cast<uint32_t>(at),
                                       text_at + static_cast<uint32_t>(cut), -1, false, false});
                    x += taken;
                    at = cut;
                }
                if (at < line_end) {
                    x = 0;
                    y += line_height;
                }
            }
            if (at < code.end && text[at] == '\n') {
                x = 0;
                y += line_height;
                at++;
            }
        }
    }
    height_ = y + line_height + pad_y;
    end_ = {x0 + pad_x + x, y};
    end_line_height_ = line_height;
    boxes_.push_back({{x0, top}, {x0 + width, height_}, colour::kCard, colour::kLine, 8 * scale});
    cards_.push_back({{x0, top},
                      {x0 + width, height_},
                      block.language,
                      text_at,
                      static_cast<uint32_t>(text_.size())});
}

void TextLayout::add_table(const Block& block, float x0, float width) {
    const float scale = fonts_->scale;
    const float pad_x = std::round(12 * scale), pad_y = std::round(5 * scale);
    size_t columns = 0;
    for (const auto& row : block.rows) {
        columns = std::max(columns, row.size());
    }
    if (columns == 0) {
        return;
    }
    // Natural widths where they fit; else every column gives way in proportion to what it has above
    // an equal share.
    std::vector<float> widths(columns, 24 * scale);
    for (const auto& row : block.rows) {
        for (size_t c = 0; c < row.size(); c++) {
            widths[c] = std::max(
                widths[c],
                std::min(text_width(fonts_->bold, row[c].text) + 2 * pad_x + 4 * scale, width));
        }
    }
    float total = 0, excess = 0;
    const float fair = width / static_cast<float>(columns);
    for (const float w : widths) {
        total += w;
        excess += std::max(0.0F, w - fair);
    }
    if (total > width && excess > 0) {
        const float shrink = std::min(1.0F, (total - width) / excess);
        for (float& w : widths) {
            w -= std::max(0.0F, w - fair) * shrink;
        }
    }
    total = 0;
    for (float& w : widths) {
        w = std::floor(w);
        total += w;
    }
    const float top = height_;
    const size_t frame = boxes_.size();
    boxes_.push_back({});
    for (size_t r = 0; r < block.rows.size(); r++) {
        const float row_top = height_;
        float bottom = row_top;
        float x = x0;
        for (size_t c = 0; c < block.rows[r].size(); c++) {
            height_ = row_top + pad_y;
            add_rich(block.rows[r][c], x + pad_x, widths[c] - 2 * pad_x,
                     r == 0 ? fonts_->bold : fonts_->body, colour::kText, 0);
            bottom = std::max(bottom, height_ + pad_y);
            x += widths[c];
        }
        height_ = bottom;
        if (r + 1 < block.rows.size()) {
            boxes_.push_back({{x0, height_ - 1}, {x0 + total, height_}, colour::kLine, 0, 0});
        }
    }
    boxes_[frame] = {{x0, top}, {x0 + total, height_}, rgb(0, 0), colour::kLine, 8 * scale};
}

void TextLayout::build(const std::vector<Block>& blocks,
                       float width,
                       const Fonts& fonts,
                       ImU32 colour) {
    *this = {};
    fonts_ = &fonts;
    const float scale = fonts.scale;
    const float gap = std::round(kParagraphGap * scale);
    for (size_t i = 0; i < blocks.size(); i++) {
        const Block& block = blocks[i];
        const bool tight = i > 0 && block.indent > 0 && blocks[i - 1].indent > 0;
        if (i > 0) {
            height_ += tight ? std::round(4 * scale) : gap;
        }
        const float quote_indent = std::round(14 * scale) * static_cast<float>(block.quotes);
        const float list_indent =
            std::round(22 * scale) * static_cast<float>(std::min(block.indent, 8));
        const float x = quote_indent + list_indent;
        const float room = std::max(width - x, 60 * scale);
        const float top = height_;
        if (!block.marker.empty()) {
            const auto at = static_cast<uint32_t>(text_.size());
            text_ += block.marker;
            const float marker_width = text_width(fonts.body, block.marker);
            const float line = std::round(fonts.body->FontSize * kLineSpacing);
            pieces_.push_back({fonts.body, colour::kTextSoft,
                               std::round(x - marker_width - 8 * scale),
                               std::round(top + (line - fonts.body->FontSize) / 2), marker_width,
                               at, static_cast<uint32_t>(text_.size()), -1, false, false});
        }
        const ImU32 ink = block.quotes > 0 ? colour::kTextSoft : colour;
        switch (block.kind) {
            case Block::Kind::paragraph:
                add_rich(block.rich, x, room, fonts.body, ink, 0);
                break;
            case Block::Kind::heading:
                height_ += i > 0 ? std::round(4 * scale) : 0;
                add_rich(block.rich, x, room, block.level <= 2 ? fonts.heading : fonts.bold, colour,
                         0);
                break;
            case Block::Kind::code:
                add_code(block, x, room);
                break;
            case Block::Kind::table:
                add_table(block, x, room);
                break;
            case Block::Kind::rule:
                height_ += std::round(6 * scale);
                boxes_.push_back({{x, height_}, {x + room, height_ + 1}, colour::kLine, 0, 0});
                height_ += std::round(7 * scale);
                break;
        }
        for (int q = 0; q < block.quotes; q++) {
            const float bar = std::round(14 * scale) * static_cast<float>(q);
            boxes_.push_back(
                {{bar, top}, {bar + std::round(3 * scale), height_}, colour::kActive, 0, scale});
        }
    }
}

TextEvent TextLayout::draw(
    ImDrawList* list, ImVec2 origin, float clip_top, float clip_bottom, bool hovered) const {
    TextEvent event;
    if (!fonts_) {
        return event;
    }
    const float scale = fonts_->scale;
    const ImVec2 mouse = ImGui::GetIO().MousePos;
    const auto place = [&](ImVec2 p) { return ImVec2(origin.x + p.x, origin.y + p.y); };
    const auto visible = [&](float low, float high) {
        return origin.y + high >= clip_top && origin.y + low <= clip_bottom;
    };
    for (const Box& box : boxes_) {
        if (!visible(box.low.y, box.high.y)) {
            continue;
        }
        list->AddRectFilled(place(box.low), place(box.high), box.fill, box.rounding);
        if (box.border) {
            list->AddRect(place(box.low), place(box.high), box.border, box.rounding);
        }
    }
    for (const Piece& piece : pieces_) {
        if (!visible(piece.y, piece.y + piece.font->FontSize)) {
            continue;
        }
        const ImVec2 at = place({piece.x, piece.y});
        if (piece.chip) {
            const float pad = std::round(3 * scale);
            list->AddRectFilled({at.x - pad, at.y - pad / 2},
                                {at.x + piece.width + pad, at.y + piece.font->FontSize + pad},
                                colour::kChip, 4 * scale);
        }
        list->AddText(piece.font, piece.font->FontSize, at, piece.colour,
                      text_.data() + piece.begin, text_.data() + piece.end);
        const float under = std::round(at.y + piece.font->FontSize + scale);
        if (piece.strike) {
            const float middle = std::round(at.y + piece.font->FontSize * 0.55F);
            list->AddLine({at.x, middle}, {at.x + piece.width, middle}, piece.colour);
        }
        if (piece.link >= 0) {
            const bool over = hovered && mouse.x >= at.x && mouse.x < at.x + piece.width &&
                              mouse.y >= at.y && mouse.y < under;
            list->AddLine({at.x, under}, {at.x + piece.width, under},
                          over ? piece.colour : colour::kAccentLine);
            if (over) {
                ImGui::SetMouseCursor(ImGuiMouseCursor_Hand);
                if (ImGui::IsMouseClicked(0)) {
                    event = {TextEvent::Kind::open_link, links_[static_cast<size_t>(piece.link)]};
                }
            }
        }
    }
    for (const CodeCard& card : cards_) {
        if (!visible(card.low.y, card.high.y)) {
            continue;
        }
        const ImVec2 low = place(card.low), high = place(card.high);
        const bool over =
            hovered && mouse.x >= low.x && mouse.x < high.x && mouse.y >= low.y && mouse.y < high.y;
        const float pad = std::round(12 * scale);
        const float copy_width = text_width(fonts_->small, "copy");
        const ImVec2 copy_at{high.x - pad - copy_width, low.y + std::round(7 * scale)};
        const bool over_copy = over && mouse.x >= copy_at.x - pad / 2 &&
                               mouse.y < copy_at.y + fonts_->small->FontSize + pad / 2;
        // The label sits on code that may run below it: give it the card's own ground.
        const std::string label = card.label.empty() ? "" : card.label + " \u00B7 ";
        const float label_width = text_width(fonts_->small, label);
        list->AddRectFilled({copy_at.x - label_width - 6 * scale, copy_at.y - 2 * scale},
                            {high.x - 4 * scale, copy_at.y + fonts_->small->FontSize + 2 * scale},
                            colour::kCard, 4 * scale);
        list->AddText(fonts_->small, fonts_->small->FontSize, {copy_at.x - label_width, copy_at.y},
                      colour::kTextDim, label.c_str());
        list->AddText(fonts_->small, fonts_->small->FontSize, copy_at,
                      over_copy ? colour::kAccentText
                      : over    ? colour::kTextSoft
                                : colour::kTextDim,
                      "copy");
        if (over_copy) {
            ImGui::SetMouseCursor(ImGuiMouseCursor_Hand);
            if (ImGui::IsMouseClicked(0)) {
                event = {TextEvent::Kind::copy_code,
                         text_.substr(card.begin, card.end - card.begin)};
            }
        }
    }
    return event;
}

void TextView::update(
    std::string_view text, uint64_t revision, float width, const Fonts& fonts, ImU32 colour) {
    const bool same_look =
        width == width_ && fonts.generation == fonts_generation_ && colour == colour_;
    if (same_look && revision == revision_ && text.size() == text_.size()) {
        return;
    }
    const bool grew =
        same_look && text.size() >= text_.size() && text.substr(0, text_.size()) == text_;
    if (!grew) {
        chunks_.clear();
    }
    text_ = std::string(text);
    revision_ = revision;
    width_ = width;
    fonts_generation_ = fonts.generation;
    colour_ = colour;

    // All chunks but the last are settled.
    size_t from = 0;
    if (!chunks_.empty()) {
        from = chunks_.back().begin;
        chunks_.pop_back();
    }
    const float gap = std::round(kParagraphGap * fonts.scale);
    const auto append = [&](size_t begin, size_t end) {
        Chunk chunk;
        chunk.begin = begin;
        chunk.end = end;
        chunk.y = chunks_.empty() ? 0 : chunks_.back().y + chunks_.back().layout.height() + gap;
        chunk.layout.build(parse_markdown(std::string_view(text_).substr(begin, end - begin)),
                           width, fonts, colour);
        chunks_.push_back(std::move(chunk));
    };
    const size_t stable = stable_end(text_, from);
    if (stable > from) {
        append(from, stable);
    }
    if (stable < text_.size() || chunks_.empty()) {
        append(stable, text_.size());
    }
    height_ = chunks_.back().y + chunks_.back().layout.height();
}

TextEvent TextView::draw(
    ImDrawList* list, ImVec2 origin, float clip_top, float clip_bottom, bool hovered) const {
    TextEvent event;
    for (const Chunk& chunk : chunks_) {
        const float top = origin.y + chunk.y;
        if (top > clip_bottom || top + chunk.layout.height() < clip_top) {
            continue;
        }
        TextEvent here = chunk.layout.draw(list, {origin.x, top}, clip_top, clip_bottom, hovered);
        if (here.kind != TextEvent::Kind::none) {
            event = std::move(here);
        }
    }
    return event;
}

ImVec2 TextView::end() const {
    if (chunks_.empty()) {
        return {0, 0};
    }
    const ImVec2 end = chunks_.back().layout.end();
    return {end.x, end.y + chunks_.back().y};
}

}  // namespace app::window
