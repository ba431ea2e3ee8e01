// TextLayout: drawing, and what lies under the pointer.
#include <algorithm>
#include <cmath>

#include "app/window/compat.h"
#include "app/window/text_layer.h"
#include "app/window/text_units.h"
#include "app/window/utf8.h"

namespace app::window {
namespace {

// The warning's colour, seen through.
ImU32 found_colour(bool current) {
    return (colour::kWarning & 0x00FFFFFF) | (current ? 170U : 70U) << 24;
}

bool is_word_character(uint32_t c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           (c >= 0xC0 && !breaks_anywhere(c) && (c < 0x2000 || c > 0x2BFF) &&
            (c < 0x3000 || c > 0x303F));
}

}  // namespace

// The byte of text_ that a place of the source is shown at.
uint32_t TextLayout::to_text(size_t source, bool end) const {
    const auto found = std::partition_point(maps_.begin(), maps_.end(), [&](const Map& m) {
        return end ? m.source_end < source : m.source_end <= source;
    });
    if (found == maps_.end()) {
        return static_cast<uint32_t>(maps_.empty() ? 0 : maps_.back().end);
    }
    if (source <= found->source) {
        // Between two maps: the end of one before, or the start of this one.
        if (end && source < found->source) {
            return found == maps_.begin() ? found->begin : std::prev(found)->end;
        }
        return found->begin;
    }
    if (found->end - found->begin == found->source_end - found->source) {
        return found->begin + static_cast<uint32_t>(source - found->source);
    }
    return end ? found->end : found->begin;
}

size_t TextLayout::to_source(uint32_t text) const {
    const auto found = std::partition_point(maps_.begin(), maps_.end(),
                                            [&](const Map& m) { return m.end < text; });
    if (found == maps_.end()) {
        return maps_.empty() ? 0 : maps_.back().source_end;
    }
    // At a border between two maps the later one, where it begins right there.
    auto map = found;
    if (text == map->end && std::next(map) != maps_.end() && std::next(map)->begin == text) {
        ++map;
    }
    if (text <= map->begin) {
        return map->source;
    }
    if (map->end - map->begin == map->source_end - map->source) {
        return map->source + (text - map->begin);
    }
    return text - map->begin < map->end - text ? map->source : map->source_end;
}

// Where byte `at` of text_ begins in a piece, without the shift of its region.
float TextLayout::piece_x(const Piece& piece, uint32_t at) const {
    if (at <= piece.begin) {
        return piece.x;
    }
    if (at >= piece.end) {
        return piece.x + piece.width;
    }
    return piece.x +
           run_width(piece.font, std::string_view(text_).substr(piece.begin, at - piece.begin));
}

TextEvent TextLayout::draw(const Canvas& canvas, const TextMarks& marks) const {
    TextEvent event;
    if (!fonts_) {
        return event;
    }
    ImDrawList* list = canvas.list;
    const float scale = fonts_->scale;
    const auto px = [scale](float units) { return std::round(units * scale); };
    const ImGuiIO& io = ImGui::GetIO();
    const ImVec2 origin = canvas.origin, mouse = io.MousePos;
    const auto place = [&](ImVec2 p) { return ImVec2(origin.x + p.x, origin.y + p.y); };
    const auto visible = [&](float low, float high) {
        return origin.y + high >= canvas.clip_top && origin.y + low <= canvas.clip_bottom;
    };
    const auto inside = [&](ImVec2 low, ImVec2 high) {
        return canvas.hovered && mouse.x >= low.x && mouse.x < high.x && mouse.y >= low.y &&
               mouse.y < high.y;
    };
    for (const Box& box : boxes_) {
        if (!visible(box.low.y, box.high.y)) {
            continue;
        }
        if (box.fill >> 24) {
            list->AddRectFilled(place(box.low), place(box.high), box.fill, box.rounding,
                                box.corners);
        }
        if (box.border) {
            list->AddRect(place(box.low), place(box.high), box.border, box.rounding, box.corners);
        }
    }
    // Moving sideways what is wider than its room.
    for (const Region& region : regions_) {
        const float room = region.high.x - region.low.x;
        const float most = std::max(0.0F, region.content_width - room);
        if (inside(place(region.low), place(region.high)) && most > 0) {
            const float step = io.MouseWheelH + (io.KeyShift ? io.MouseWheel : 0);
            *region.scroll -= step * px(60);
        }
        // Parts of one block share the way it is moved; the widest of them says how far.
        if (*region.scroll < 0 || (region.bar && *region.scroll > most && most > 0)) {
            *region.scroll = std::clamp(*region.scroll, 0.0F, most);
        }
    }

    // First line in sight; pieces are in the order of their lines, but cells of a table overlap in
    // height, so the search starts a little early.
    int clip_region = -1;
    const auto clip_to = [&](int region) {
        if (region == clip_region) {
            return;
        }
        if (clip_region >= 0) {
            list->PopClipRect();
        }
        clip_region = region;
        if (region >= 0) {
            const Region& r = regions_[static_cast<size_t>(region)];
            list->PushClipRect(place(r.low), place(r.high), true);
        }
    };
    const auto for_visible = [&](const auto& take) {
        for (const Piece& piece : pieces_) {
            const LineBox& line = lines_[piece.line];
            if (!visible(line.y, line.y + line.height)) {
                continue;
            }
            float x = origin.x + piece.x;
            if (piece.region >= 0) {
                const Region& region = regions_[static_cast<size_t>(piece.region)];
                x -= *region.scroll;
                if (x > origin.x + region.high.x || x + piece.width < origin.x + region.low.x) {
                    continue;
                }
            }
            take(piece, line, x);
        }
    };
    for_visible([&](const Piece& piece, const LineBox& line, float x) {
        if ((piece.style & kCode) == 0) {
            return;
        }
        clip_to(piece.region);
        const float pad = px(3), size = font_size(piece.font);
        const float y = std::round(origin.y + line.y + (line.height - size) / 2);
        list->AddRectFilled({x - pad, y - px(2)}, {x + piece.width + pad, y + size + px(2)},
                            colour::kChip, px(4));
    });
    const auto highlight = [&](SourceRange range, ImU32 colour) {
        if (range.begin >= range.end) {
            return;
        }
        const uint32_t begin = to_text(range.begin, false), end = to_text(range.end, true);
        if (begin >= end) {
            return;
        }
        for_visible([&](const Piece& piece, const LineBox& line, float x) {
            const uint32_t from = std::max(begin, piece.begin), to = std::min(end, piece.end);
            if (from >= to) {
                return;
            }
            clip_to(piece.region);
            const float shift = x - piece.x;
            list->AddRectFilled({piece_x(piece, from) + shift, origin.y + line.y},
                                {piece_x(piece, to) + shift, origin.y + line.y + line.height},
                                colour);
        });
    };
    highlight(marks.selected, colour::kSelection);
    for (const SourceRange& found : marks.found) {
        const bool current = found.begin == marks.current.begin && found.end == marks.current.end;
        highlight(found, found_colour(current));
    }

    static std::vector<GlyphQuad> quads;
    bool pressed_here = false;
    for_visible([&](const Piece& piece, const LineBox& line, float x) {
        if (piece.region != clip_region) {
            draw_quads(list, quads);
            clip_to(piece.region);
        }
        const float size = font_size(piece.font);
        const float y = std::round(origin.y + line.y + (line.height - size) / 2 -
                                   (piece.style & kNote ? 3 * scale : 0));
        const ImVec2 at{std::round(x), y};
        const std::string_view text =
            std::string_view(text_).substr(piece.begin, piece.end - piece.begin);
        if (text != "\t") {
            draw_run(list, piece.font, at, piece.colour, text, &quads);
        }
        const float under = std::round(y + size + scale);
        if (piece.style & kStrike) {
            const float middle = std::round(y + size * 0.55F);
            list->AddLine({at.x, middle}, {at.x + piece.width, middle}, piece.colour);
        }
        if (piece.style & kBroken) {
            list->AddLine({at.x, under}, {at.x + piece.width, under}, colour::kErrorLine);
        }
        if (piece.link >= 0) {
            const bool over = inside({at.x, origin.y + line.y},
                                     {at.x + piece.width, origin.y + line.y + line.height});
            list->AddLine({at.x, under}, {at.x + piece.width, under},
                          over ? piece.colour : colour::kAccentLine);
            if (over) {
                ImGui::SetMouseCursor(ImGuiMouseCursor_Hand);
                event.hovers = true;
                event.over_link = links_[static_cast<size_t>(piece.link)];
                // Pressed and released on it: not the end of a selection that began elsewhere.
                pressed_here = std::abs(io.MouseClickedPos[0].y - mouse.y) < line.height &&
                               std::abs(io.MouseClickedPos[0].x - mouse.x) < px(6);
            }
        }
    });
    draw_quads(list, quads);
    clip_to(-1);

    for (const Region& region : regions_) {
        const float room = region.high.x - region.low.x;
        if (!region.bar || region.content_width <= room + 1 ||
            !visible(region.low.y, region.high.y)) {
            continue;
        }
        const float rim = px(6), track = room - 2 * rim;
        const float bar = std::max(px(24), track * room / region.content_width);
        const float moved = *region.scroll / (region.content_width - room);
        const ImVec2 low = place(
            {region.low.x + rim + (track - bar) * std::min(moved, 1.0F), region.high.y - px(6)});
        const bool over = inside(place({region.low.x, region.high.y - px(12)}), place(region.high));
        list->AddRectFilled(low, {low.x + bar, low.y + px(4)},
                            over ? colour::kTextDim : colour::kActive, px(2));
        if (over) {
            event.hovers = true;
            if (ImGui::IsMouseDown(0)) {  // the middle of the bar goes to the pointer
                const float to = (mouse.x - origin.x - region.low.x - rim - bar / 2) /
                                 std::max(1.0F, track - bar);
                *region.scroll = std::clamp(to, 0.0F, 1.0F) * (region.content_width - room);
            }
        }
    }
    for (const CodeCard& card : cards_) {
        if (!visible(card.low.y, card.high.y)) {
            continue;
        }
        const ImVec2 low = place(card.low), high = place(card.high);
        const float pad = px(14), row = px(30);
        ImFont* font = fonts_->small;
        const bool copied =
            canvas.copied_card == card.key && ImGui::GetTime() < canvas.copied_until;
        const std::string_view word = copied ? "Copied" : "Copy";
        const float word_width = run_width(font, word);
        const float y = std::round(low.y + (row - font_size(font)) / 2);
        draw_run(list, font, {low.x + pad, y}, colour::kTextDim, card.label);
        const ImVec2 button_low{high.x - word_width - 2 * px(9) - px(5), low.y + px(4)};
        const ImVec2 button_high{high.x - px(5), low.y + row - px(2)};
        const bool over = inside(button_low, button_high);
        if (over) {
            list->AddRectFilled(button_low, button_high, colour::kHover, px(5));
            ImGui::SetMouseCursor(ImGuiMouseCursor_Hand);
            event.hovers = true;
            if (ImGui::IsMouseClicked(0)) {
                event.kind = TextEvent::Kind::copy_code;
                event.text = text_.substr(card.begin, card.end - card.begin);
                event.card = card.key;
            }
        }
        draw_run(list, font, {button_low.x + px(9), y}, over ? colour::kText : colour::kTextDim,
                 word);
    }
    if (!event.over_link.empty() && pressed_here && ImGui::IsMouseReleased(0)) {
        event.kind = TextEvent::Kind::open_link;
        event.text = event.over_link;
    }
    return event;
}

size_t TextLayout::source_at(ImVec2 point) const {
    const Piece* best = nullptr;
    float best_y = 0, best_x = 0;
    for (const Piece& piece : pieces_) {
        const LineBox& line = lines_[piece.line];
        const float x = piece.x - shift_of(piece.region);
        const float dy = point.y < line.y                  ? line.y - point.y
                         : point.y >= line.y + line.height ? point.y - line.y - line.height + 0.01F
                                                           : 0;
        const float dx = point.x < x                 ? x - point.x
                         : point.x > x + piece.width ? point.x - x - piece.width
                                                     : 0;
        if (!best || dy < best_y || (dy == best_y && dx < best_x)) {
            best = &piece;
            best_y = dy;
            best_x = dx;
        }
    }
    if (!best) {
        return maps_.empty() ? 0 : maps_.front().source;
    }
    const std::string_view text =
        std::string_view(text_).substr(best->begin, best->end - best->begin);
    // Below the last line: its end.
    const LineBox& line = lines_[best->line];
    const bool below = best == &pieces_.back() && point.y >= line.y + line.height + line.height / 2;
    const size_t in =
        below ? text.size()
              : run_position(best->font, text, point.x - best->x + shift_of(best->region));
    return to_source(best->begin + static_cast<uint32_t>(in));
}

size_t TextLayout::line_source(float y) const {
    for (const Piece& piece : pieces_) {
        const LineBox& line = lines_[piece.line];
        if (line.y + line.height > y) {
            return to_source(piece.begin);
        }
    }
    return maps_.empty() ? 0 : maps_.back().source_end;
}

float TextLayout::y_of(size_t source) const {
    const uint32_t text = to_text(source, false);
    for (const Piece& piece : pieces_) {
        if (piece.end > text) {
            return lines_[piece.line].y;
        }
    }
    return pieces_.empty() ? 0 : lines_[pieces_.back().line].y;
}

ImVec2 TextLayout::caret(size_t source, float& line_height) const {
    const uint32_t text = to_text(source, true);
    for (const Piece& piece : pieces_) {
        if (piece.end >= text) {
            line_height = lines_[piece.line].height;
            return {piece_x(piece, text) - shift_of(piece.region), lines_[piece.line].y};
        }
    }
    line_height = end_line_height_;
    return end_;
}

SourceRange TextLayout::word_at(size_t source) const {
    if (text_.empty()) {
        return {source, source};
    }
    const std::string_view text = text_;
    size_t at = std::min<size_t>(to_text(source, false), text.size() - 1);
    at = character_begin(text, at);
    size_t next = 0;
    uint32_t c = decode_utf8(text, at, next);
    if (!is_word_character(c)) {
        return {to_source(static_cast<uint32_t>(at)),
                to_source(static_cast<uint32_t>(next_unit(text, at).end))};
    }
    size_t begin = at, end = next;
    while (begin > 0) {
        const size_t before = character_begin(text, begin - 1);
        c = decode_utf8(text, before, next);
        if (!is_word_character(c)) {
            break;
        }
        begin = before;
    }
    while (end < text.size()) {
        c = decode_utf8(text, end, next);
        if (!is_word_character(c)) {
            break;
        }
        end = next;
    }
    return {to_source(static_cast<uint32_t>(begin)), to_source(static_cast<uint32_t>(end))};
}

size_t TextLayout::step(size_t source, bool forward, bool word) const {
    const std::string_view text = text_;
    size_t at = to_text(source, !forward);
    bool met_word = false;
    while (forward ? at < text.size() : at > 0) {
        const size_t next = forward ? next_unit(text, at).end : unit_before(text, at);
        if (word) {
            size_t behind = 0;
            const bool letter = is_word_character(decode_utf8(text, forward ? at : next, behind));
            if (met_word && !letter) {
                break;
            }
            met_word = met_word || letter;
        }
        at = next;
        // Signs that are not in the source (bullets, ends of cells) are stepped over.
        if (to_source(static_cast<uint32_t>(at)) != source && !word) {
            break;
        }
    }
    return to_source(static_cast<uint32_t>(at));
}

SourceRange TextLayout::block_at(size_t source) const {
    const uint32_t text = to_text(source, false);
    for (const BlockRange& block : blocks_) {
        if (text <= block.end && block.begin < block.end) {
            return {to_source(block.begin), to_source(block.end)};
        }
    }
    return {source, source};
}

}  // namespace app::window
