// TextLayout::build: blocks -> lines of pieces.
#include <algorithm>
#include <cmath>

#include "app/window/compat.h"
#include "app/window/text_layer.h"
#include "app/window/text_units.h"

namespace app::window {
namespace {

constexpr float kLineSpacing = 1.42F, kCodeSpacing = 1.38F;
constexpr size_t kMostBars = 6;     // of quotes in quotes, before a block
constexpr size_t kLongPiece = 256;  // bytes of code in one piece: what is out of sight is skipped

float line_of(const ImFont* font) {
    return std::round(font_size(font) * kLineSpacing);
}

ImU32 ink_of(CodeKind kind) {
    switch (kind) {
        case CodeKind::keyword:
            return colour::kKeyword;
        case CodeKind::type:
        case CodeKind::function:
            return colour::kType;
        case CodeKind::string:
            return colour::kString;
        case CodeKind::number:
            return colour::kNumber;
        case CodeKind::comment:
            return colour::kComment;
        case CodeKind::name:
            return colour::kAccentText;
        case CodeKind::added:
            return colour::kGood;
        case CodeKind::removed:
            return colour::kError;
        case CodeKind::plain:
            break;
    }
    return colour::kText;
}

}  // namespace

// Pieces of one line wait here until it is full: its height is known only then.
struct TextLayout::Line {
    std::vector<Piece> pieces;
    float height = 0;
};

struct TextLayout::RichOptions {
    float x = 0, width = 0;
    ImFont* base = nullptr;
    ImU32 colour = 0;
    Align align = Align::left;
    int region = -1;
};

ImFont* TextLayout::font_of(uint16_t style, ImFont* base) const {
    if (style & kCode) {
        return base == fonts_->small ? fonts_->small_mono : fonts_->mono;
    }
    if (style & kNote) {
        return fonts_->small;
    }
    if (base == fonts_->heading) {
        return base;
    }
    return style & kBold ? fonts_->bold : style & (kItalic | kFormula) ? fonts_->italic : base;
}

void TextLayout::add_maps(const RichText& rich, uint32_t text_at) {
    for (const Span& span : rich.spans) {
        maps_.push_back({text_at + span.begin, text_at + span.end, span.source, span.source_end});
    }
}

void TextLayout::add_rich(const RichText& rich, const RichOptions& options) {
    const float scale = fonts_->scale;
    const auto text_at = static_cast<uint32_t>(text_.size());
    const int link_at = static_cast<int>(links_.size());
    text_ += rich.text;
    links_.insert(links_.end(), rich.links.begin(), rich.links.end());
    add_maps(rich, text_at);
    const std::string_view text = rich.text;
    const float width = options.width;
    Line line;
    float x = 0;
    const float base_height = line_of(options.base);
    const auto finish_line = [&] {
        const float height = std::max(line.height, base_height);
        const auto index = static_cast<uint32_t>(lines_.size());
        lines_.push_back({height_, height});
        const float free = std::max(0.0F, width - x);
        const float shift = options.align == Align::right    ? free
                            : options.align == Align::centre ? std::round(free / 2)
                                                             : 0;
        for (Piece& piece : line.pieces) {
            piece.x += shift;
            piece.line = index;
            pieces_.push_back(piece);
        }
        end_ = {options.x + shift + x, height_};
        end_line_height_ = height;
        height_ += height;
        line = {};
        x = 0;
    };
    for (const Span& span : rich.spans) {
        ImFont* font = font_of(span.style, options.base);
        const ImU32 ink = span.style & (kLink | kNote) ? colour::kAccentText
                          : span.style & kBroken       ? colour::kError
                                                       : options.colour;
        const bool chip = (span.style & kCode) != 0;
        const float chip_room = chip ? std::round(3 * scale) : 0;
        bool continues = false;  // the next word can be appended to the piece before it
        Word rest;               // what is left of one that was cut
        x += x > 0 ? chip_room : 0;
        for (size_t at = span.begin; at < span.end;) {
            if (text[at] == '\n') {
                finish_line();
                continues = false;
                at++;
                continue;
            }
            const auto fit_of = [&](const Word& w) {
                return run_within(font, text.substr(at, w.visible_end - at), width, &guessed_);
            };
            const bool begun = at < rest.end;
            Word word = begun ? rest : next_word(text, at, span.end);
            RunFit fit = fit_of(word);
            if (begun && at + fit.end == word.end) {  // it may go on behind what was looked at
                word = next_word(text, at, span.end);
                fit = fit_of(word);
            }
            const float visible = fit.width;
            const bool wide = at + fit.end < word.visible_end;
            if (x > 0 && (wide || x + visible > width)) {
                finish_line();
                continues = false;
            }
            if (wide) {  // wider than a whole line: cut where it must be
                rest = word;
                word = {at + fit.end, at + fit.end};
            }
            const float advance = word.end == word.visible_end
                                      ? visible
                                      : run_width(font, text.substr(at, word.end - at));
            if (continues) {
                line.pieces.back().end = text_at + static_cast<uint32_t>(word.end);
                line.pieces.back().width += advance;
            } else if (word.end > at) {
                line.pieces.push_back(
                    {font, ink, std::round(options.x + x), advance, 0,
                     text_at + static_cast<uint32_t>(at), text_at + static_cast<uint32_t>(word.end),
                     span.link >= 0 ? link_at + span.link : -1, options.region, span.style});
                continues = true;
            }
            line.height = std::max(line.height, line_of(font));
            x += advance;
            at = word.end;
        }
        x += chip_room;
    }
    finish_line();
}

// The width of the longest line, and of the longest word.
float TextLayout::rich_width(const RichText& rich, ImFont* base, float& widest_word) {
    float widest = 0, x = 0;
    const std::string_view text = rich.text;
    for (const Span& span : rich.spans) {
        ImFont* font = font_of(span.style, base);
        const float room = span.style & kCode ? std::round(6 * fonts_->scale) : 0;
        x += room;
        for (size_t at = span.begin; at < span.end;) {
            if (text[at] == '\n') {
                x = 0;
                at++;
                continue;
            }
            const Word word = next_word(text, at, span.end);
            const float visible =
                run_width(font, text.substr(at, word.visible_end - at), &guessed_);
            widest_word = std::max(widest_word, visible + room);
            widest = std::max(widest, x + visible);
            x += run_width(font, text.substr(at, word.end - at));
            at = word.end;
        }
    }
    return std::ceil(widest);
}

void TextLayout::add_code(const Block& block, float x0, float width, const Options& options) {
    const float scale = fonts_->scale;
    const auto px = [scale](float units) { return std::round(units * scale); };
    const float pad_x = px(14), header = px(30), pad_bottom = px(12);
    ImFont* font = fonts_->mono;
    const float line_height = std::round(font_size(font) * kCodeSpacing);
    const auto text_at = static_cast<uint32_t>(text_.size());
    const std::string_view text = block.rich.text;
    text_ += text;
    add_maps(block.rich, text_at);
    const size_t key = block.rich.spans.empty() ? 0 : block.rich.spans.front().source;
    const float top = height_;
    float y = top + (block.continued ? 0 : header);
    const int region = static_cast<int>(regions_.size());
    static float unmoved = 0;
    regions_.push_back({{x0 + 1, top},
                        {x0 + width - 1, top},
                        0,
                        !options.scrolls ? &unmoved
                        : options.scroll_key && (block.continued || block.continues)
                            ? &(*options.scrolls)[options.scroll_key]
                            : &(*options.scrolls)[key],
                        false});
    LexState fresh;
    LexState& lexer = block.continued && options.lexer ? *options.lexer : fresh;
    const float cell = glyph_advance(font, ' ');
    float x = 0, widest = 0;
    int column = 0;
    bool line_open = false;
    const auto begin_line = [&] {
        if (!line_open) {
            lines_.push_back({y, line_height});
            line_open = true;
        }
    };
    const auto add_piece = [&](size_t begin, size_t end, float advance, ImU32 ink) {
        begin_line();
        pieces_.push_back({font, ink, x0 + pad_x + x, advance,
                           static_cast<uint32_t>(lines_.size() - 1),
                           text_at + static_cast<uint32_t>(begin),
                           text_at + static_cast<uint32_t>(end), -1, region, 0});
        x += advance;
    };
    for (const CodePiece& code : highlight(text, block.language, lexer)) {
        const ImU32 ink = ink_of(code.kind);
        size_t at = code.begin;
        while (at < code.end) {
            if (text[at] == '\n') {
                begin_line();
                widest = std::max(widest, x);
                x = 0;
                column = 0;
                y += line_height;
                line_open = false;
                at++;
                continue;
            }
            if (text[at] == '\t') {  // to the next fourth column
                const int step = 4 - column % 4;
                add_piece(at, at + 1, cell * static_cast<float>(step), ink);
                column += step;
                at++;
                continue;
            }
            size_t end = at;
            float advance = 0;
            while (end < code.end && text[end] != '\n' && text[end] != '\t' &&
                   end - at < kLongPiece) {
                const RunUnit unit = run_unit(font, text, end);
                advance += unit.advance;
                guessed_ = guessed_ || unit.guessed;
                column += unit.own ? 2 : 1;
                end = unit.end;
            }
            add_piece(at, end, advance, ink);
            at = end;
        }
    }
    if (!text.empty()) {
        begin_line();
        widest = std::max(widest, x);
        y += line_height;
    }
    if (options.lexer) {
        *options.lexer = lexer;
    }
    height_ = block.continues ? y : y + pad_bottom;
    end_ = {x0 + pad_x + x, y - line_height};
    end_line_height_ = line_height;
    regions_.back().high.y = height_;
    regions_.back().content_width = widest + 2 * pad_x - 2;
    regions_.back().bar = !block.continues;
    const int corners = block.continued && block.continues ? ImDrawFlags_RoundCornersNone
                        : block.continued                  ? ImDrawFlags_RoundCornersBottom
                        : block.continues                  ? ImDrawFlags_RoundCornersTop
                                                           : ImDrawFlags_RoundCornersAll;
    boxes_.push_back({{x0, top},
                      {x0 + width, height_},
                      colour::kCard,
                      block.continued || block.continues ? 0 : colour::kLine,
                      px(8),
                      corners,
                      -1});
    if (!block.continued) {
        cards_.push_back({{x0, top},
                          {x0 + width, height_},
                          language_label(block.language),
                          text_at,
                          static_cast<uint32_t>(text_.size()),
                          key});
    }
}

void TextLayout::add_table(const Block& block, float x0, float width, const Options& options) {
    const float scale = fonts_->scale;
    const auto px = [scale](float units) { return std::round(units * scale); };
    const float pad_x = px(12), pad_y = px(6);
    size_t columns = 0;
    for (const auto& row : block.rows) {
        columns = std::max(columns, row.size());
    }
    if (columns == 0) {
        return;
    }
    // Natural widths where they fit; else columns give way, down to their longest words; what is
    // wider even then is moved sideways.
    std::vector<float> natural(columns, px(16)), least(columns, px(16));
    for (size_t r = 0; r < block.rows.size(); r++) {
        for (size_t c = 0; c < block.rows[r].size(); c++) {
            float word = 0;
            const float whole =
                rich_width(block.rows[r][c], r == 0 ? fonts_->bold : fonts_->body, word);
            natural[c] = std::max(natural[c], whole);
            least[c] = std::max(least[c], std::min(std::ceil(word), px(260)));
        }
    }
    float natural_total = 0, least_total = 0;
    const float rims = 2 * pad_x * static_cast<float>(columns);
    for (size_t c = 0; c < columns; c++) {
        natural[c] = std::max(std::min(natural[c], px(640)), least[c]);
        natural_total += natural[c];
        least_total += least[c];
    }
    std::vector<float> widths = natural;
    if (natural_total + rims > width) {
        const float room = std::max(0.0F, width - rims - least_total);
        const float wish = std::max(1.0F, natural_total - least_total);
        for (size_t c = 0; c < columns; c++) {
            widths[c] =
                std::floor(least[c] + (natural[c] - least[c]) * std::min(1.0F, room / wish));
        }
    }
    float total = rims;
    for (const float w : widths) {
        total += w;
    }
    const float top = height_;
    size_t key = 0;
    for (const RichText& cell : block.rows.front()) {
        if (key == 0 && !cell.spans.empty()) {
            key = cell.spans.front().source;
        }
    }
    static float unmoved = 0;
    const int region = static_cast<int>(regions_.size());
    const float shown = std::min(total, width);
    regions_.push_back({{x0, top},
                        {x0 + shown, top},
                        total,
                        options.scrolls ? &(*options.scrolls)[key] : &unmoved,
                        true});
    const size_t head = boxes_.size();
    boxes_.push_back({});
    for (size_t r = 0; r < block.rows.size(); r++) {
        const float row_top = height_;
        float bottom = row_top + pad_y * 2 + line_of(fonts_->body);
        float x = x0;
        for (size_t c = 0; c < block.rows[r].size(); c++) {
            height_ = row_top + pad_y;
            RichOptions rich;
            rich.x = x + pad_x;
            rich.width = widths[c] + 1;
            rich.base = r == 0 ? fonts_->bold : fonts_->body;
            rich.colour = colour_;
            rich.align = c < block.columns.size() ? block.columns[c] : Align::left;
            rich.region = region;
            add_rich(block.rows[r][c], rich);
            text_ += '\t';
            bottom = std::max(bottom, height_ + pad_y);
            x += widths[c] + 2 * pad_x;
        }
        height_ = bottom;
        if (r + 1 < block.rows.size()) {
            boxes_.push_back(
                {{x0, height_ - 1}, {x0 + shown, height_}, colour::kLine, 0, 0, 0, -1});
        }
        if (r == 0) {
            boxes_[head] = {
                {x0, top},
                {x0 + shown, height_ - 1},
                colour::kCard,
                0,
                px(8),
                block.rows.size() == 1 ? ImDrawFlags_RoundCornersAll : ImDrawFlags_RoundCornersTop,
                -1};
        }
    }
    if (total > width) {
        height_ += px(8);  // for the bar below
    }
    regions_[static_cast<size_t>(region)].high.y = height_;
    boxes_.push_back({{x0, top},
                      {x0 + shown, height_},
                      rgb(0, 0),
                      colour::kLine,
                      px(8),
                      ImDrawFlags_RoundCornersAll,
                      -1});
}

void TextLayout::build(const std::vector<Block>& blocks,
                       const TextStyle& style,
                       const Options& options) {
    *this = {};
    fonts_ = style.fonts;
    colour_ = style.colour;
    const Fonts& fonts = *fonts_;
    const float scale = fonts.scale, width = style.width;
    const auto px = [scale](float units) { return std::round(units * scale); };
    for (size_t i = 0; i < blocks.size(); i++) {
        const Block& block = blocks[i];
        const bool first = i == 0 && options.first;
        if (i > 0) {
            height_ += block.tight_after(blocks[i - 1]) ? px(4) : px(10);
        }
        const float quote_indent =
            px(14) * static_cast<float>(std::min(block.quotes.size(), kMostBars));
        const float list_indent = px(22) * static_cast<float>(std::min(block.indent, 8));
        const float x = quote_indent + list_indent;
        const float room = std::max(width - x, 80 * scale);
        const float top = height_;
        const auto text_at = static_cast<uint32_t>(text_.size());
        if (!block.marker.empty()) {
            text_ += block.marker;
            const float marker_width = run_width(fonts.body, block.marker);
            lines_.push_back({top, line_of(fonts.body)});
            pieces_.push_back({fonts.body, colour::kTextSoft,
                               std::round(x - marker_width - 8 * scale), marker_width,
                               static_cast<uint32_t>(lines_.size() - 1), text_at,
                               static_cast<uint32_t>(text_.size()), -1, -1, 0});
        }
        const auto block_text = static_cast<uint32_t>(text_.size());
        RichOptions rich;
        rich.x = x;
        rich.width = room;
        rich.base = fonts.body;
        rich.colour = !block.quotes.empty() ? colour::kTextSoft : style.colour;
        switch (block.kind) {
            case Block::Kind::paragraph:
                add_rich(block.rich, rich);
                break;
            case Block::Kind::heading:
                height_ += first ? 0 : px(block.level <= 2 ? 10 : 6);
                rich.base = block.level <= 2 ? fonts.heading : fonts.bold;
                rich.colour = style.colour;
                add_rich(block.rich, rich);
                break;
            case Block::Kind::formula:
                rich.align = Align::centre;
                height_ += px(2);
                add_rich(block.rich, rich);
                height_ += px(2);
                break;
            case Block::Kind::code:
                add_code(block, x, room, options);
                break;
            case Block::Kind::table:
                add_table(block, x, room, options);
                break;
            case Block::Kind::rule:
                height_ += px(6);
                boxes_.push_back(
                    {{x, height_}, {x + room, height_ + 1}, colour::kLine, 0, 0, 0, -1});
                height_ += px(7);
                break;
        }
        blocks_.push_back({block_text, static_cast<uint32_t>(text_.size())});
        text_ += '\n';  // no word reaches from one block into the next
        for (size_t q = 0; q < block.quotes.size() && q < kMostBars; q++) {
            const Block::Quote& quote = block.quotes[q];
            const float bar =
                px(14) * static_cast<float>(q) + px(22) * static_cast<float>(quote.lists);
            const bool joins =
                i > 0 && blocks[i - 1].quotes.size() > q && blocks[i - 1].quotes[q].id == quote.id;
            boxes_.push_back({{bar, joins ? top - px(10) : top},
                              {bar + px(3), height_},
                              colour::kActive,
                              0,
                              0,
                              0,
                              -1});
        }
    }
}

}  // namespace app::window
