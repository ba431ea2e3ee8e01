#include "app/window/text_run.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "app/window/compat.h"
#include "app/window/glyph_cache.h"
#include "app/window/text_units.h"
#include "app/window/utf8.h"

namespace app::window {
namespace {

bool plain_ascii(std::string_view text) {
    return std::all_of(text.begin(), text.end(),
                       [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

bool in_face(const ImFont* font, const TextUnit& unit) {
    return unit.single && !unit.emoji && (unit.first < 0x250 || font_holds(font, unit.first));
}

// An image from the cache, or what stands for it without one.
void own_quad(ImDrawList* list,
              ImFont* font,
              ImVec2 at,
              ImU32 colour,
              std::string_view unit,
              const TextUnit& what,
              std::vector<GlyphQuad>& quads) {
    GlyphCache* cache = GlyphCache::current();
    if (!cache) {
        const float size = font_size(font);
        if (!is_ignorable(what.first)) {
            list->AddRect({at.x + 1, at.y + size * 0.15F},
                          {at.x + size * 0.6F, at.y + size * 0.85F}, colour);
        }
        return;
    }
    const GlyphCache::Glyph& glyph = cache->glyph(font, unit, what);
    if (glyph.texture == 0) {
        return;
    }
    const float x = std::round(at.x) + glyph.left;
    const float y = std::round(at.y) + std::round(font_ascent(font)) - glyph.top;
    quads.push_back({glyph.texture,
                     {x, y},
                     {x + glyph.width, y + glyph.height},
                     glyph.uv0,
                     glyph.uv1,
                     glyph.coloured ? colour | 0x00FFFFFFU : colour});
}

}  // namespace

RunUnit run_unit(ImFont* font, std::string_view text, size_t at) {
    const TextUnit unit = next_unit(text, at);
    RunUnit out;
    out.end = unit.end;
    if (unit.first == '\t') {
        out.advance = 4 * glyph_advance(font, ' ');
    } else if (in_face(font, unit)) {
        out.advance = glyph_advance(font, unit.first);
    } else {
        out.own = true;
        GlyphCache* cache = GlyphCache::current();
        out.advance = cache
                          ? cache->advance(font, text.substr(at, unit.end - at), unit, out.guessed)
                          : font_size(font) * (is_ignorable(unit.first) ? 0.0F : 0.7F);
    }
    return out;
}

RunFit run_within(ImFont* font, std::string_view text, float most, bool* guessed) {
    RunFit fit;
    while (fit.end < text.size()) {
        const auto c = static_cast<unsigned char>(text[fit.end]);
        RunUnit unit;
        if (c >= 0x20 && c < 0x80 &&
            (fit.end + 1 >= text.size() || static_cast<unsigned char>(text[fit.end + 1]) < 0x80)) {
            unit.end = fit.end + 1;
            unit.advance = glyph_advance(font, c);
        } else {
            unit = run_unit(font, text, fit.end);
        }
        if (guessed) {
            *guessed = *guessed || unit.guessed;
        }
        if (fit.end > 0 && fit.width + unit.advance > most) {
            break;
        }
        fit.width += unit.advance;
        fit.end = unit.end;
    }
    return fit;
}

float run_width(ImFont* font, std::string_view text, bool* guessed) {
    return run_within(font, text, std::numeric_limits<float>::infinity(), guessed).width;
}

size_t run_position(ImFont* font, std::string_view text, float x) {
    float at = 0;
    for (size_t i = 0; i < text.size();) {
        const RunUnit unit = run_unit(font, text, i);
        if (x < at + unit.advance / 2) {
            return i;
        }
        at += unit.advance;
        i = unit.end;
    }
    return text.size();
}

size_t run_fit(ImFont* font, std::string_view text, float width) {
    float at = 0;
    for (size_t i = 0; i < text.size();) {
        const RunUnit unit = run_unit(font, text, i);
        at += unit.advance;
        if (at > width) {
            return i;
        }
        i = unit.end;
    }
    return text.size();
}

void draw_quads(ImDrawList* list, std::vector<GlyphQuad>& quads) {
    if (quads.empty()) {
        return;
    }
    std::stable_sort(quads.begin(), quads.end(),
                     [](const GlyphQuad& a, const GlyphQuad& b) { return a.texture < b.texture; });
    for (size_t i = 0; i < quads.size();) {
        size_t end = i;
        while (end < quads.size() && quads[end].texture == quads[i].texture) {
            end++;
        }
        push_texture(list, quads[i].texture);
        const int count = static_cast<int>(end - i);
        list->PrimReserve(6 * count, 4 * count);
        for (; i < end; i++) {
            list->PrimRectUV(quads[i].low, quads[i].high, quads[i].uv0, quads[i].uv1,
                             quads[i].colour);
        }
        pop_texture(list);
    }
    quads.clear();
}

void draw_run(ImDrawList* list,
              ImFont* font,
              ImVec2 at,
              ImU32 colour,
              std::string_view text,
              std::vector<GlyphQuad>* quads) {
    const auto face_text = [&](float x, size_t begin, size_t end) {
        if (begin < end) {
            list->AddText(font, font_size(font), {x, at.y}, colour, text.data() + begin,
                          text.data() + end);
        }
    };
    if (plain_ascii(text)) {
        face_text(at.x, 0, text.size());
        return;
    }
    static std::vector<GlyphQuad> mine;
    std::vector<GlyphQuad>& out = quads ? *quads : mine;
    float x = at.x, run_x = at.x;
    size_t run = 0;
    for (size_t i = 0; i < text.size();) {
        const TextUnit unit = next_unit(text, i);
        if (unit.first == '\t' || in_face(font, unit)) {
            x +=
                unit.first == '\t' ? 4 * glyph_advance(font, ' ') : glyph_advance(font, unit.first);
            i = unit.end;
            continue;
        }
        face_text(run_x, run, i);
        const std::string_view piece = text.substr(i, unit.end - i);
        own_quad(list, font, {x, at.y}, colour, piece, unit, out);
        x += run_unit(font, text, i).advance;
        i = unit.end;
        run = i;
        run_x = x;
    }
    face_text(run_x, run, text.size());
    if (!quads) {
        draw_quads(list, mine);
    }
}

float text_width(ImFont* font, std::string_view text) {
    float widest = 0;
    for (size_t at = 0; at <= text.size();) {
        const size_t end = std::min(text.find('\n', at), text.size());
        widest = std::max(widest, run_width(font, text.substr(at, end - at)));
        at = end + 1;
    }
    return widest;
}

std::string ellipsize(ImFont* font, std::string_view text, float width) {
    if (text_width(font, text) <= width) {
        return std::string(text);
    }
    const float room = std::max(0.0F, width - run_width(font, "\u2026"));
    return std::string(text.substr(0, run_fit(font, text, room))) + "\u2026";
}

float draw_wrapped(
    ImDrawList* list, ImFont* font, ImVec2 at, float width, ImU32 colour, std::string_view text) {
    const float line = font_size(font);
    float y = 0;
    size_t begin = 0;  // of the line
    float x = 0;
    const auto finish = [&](size_t end) {
        if (list) {
            draw_run(list, font, {at.x, at.y + y}, colour, text.substr(begin, end - begin));
        }
        y += line;
        x = 0;
        begin = end;
    };
    for (size_t i = 0; i < text.size();) {
        if (text[i] == '\n') {
            finish(i);
            begin = ++i;
            continue;
        }
        Word word = next_word(text, i, text.size());
        const float visible = run_width(font, text.substr(i, word.visible_end - i));
        if (x > 0 && x + visible > width) {
            finish(i);
        }
        if (visible > width) {
            const size_t fits = run_fit(font, text.substr(i, word.visible_end - i), width);
            const size_t cut = i + std::max(fits, run_unit(font, text, i).end - i);
            word = {cut, cut};
        }
        x += run_width(font, text.substr(i, word.end - i));
        i = word.end;
    }
    finish(text.size());
    return y;
}

Word next_word(std::string_view text, size_t at, size_t limit) {
    constexpr size_t kLongestWord = 384;  // bytes: what is longer is wider than any line
    size_t i = at;
    const std::string_view inside = text.substr(0, limit);
    while (i < limit) {
        const auto c = static_cast<unsigned char>(text[i]);
        if (c == ' ' || c == '\t' || c == '\n') {
            break;
        }
        if (i - at >= kLongestWord) {
            return {i, i};
        }
        if (c < 0x80 && (i + 1 >= limit || static_cast<unsigned char>(text[i + 1]) < 0x80)) {
            i++;
            // A long path or address may break behind a slash.
            if (c == '/' && i - at > 24) {
                return {i, i};
            }
            continue;
        }
        const TextUnit unit = next_unit(inside, i);
        if (breaks_anywhere(unit.first)) {
            if (i > at) {
                return {i, i};
            }
            i = unit.end;
            // A full stop or a closing bracket stays with what it ends.
            size_t next = 0;
            while (i < limit) {
                const uint32_t c2 = decode_utf8(inside, i, next);
                const bool closing = c2 == 0x3001 || c2 == 0x3002 || c2 == 0xFF0C || c2 == 0xFF0E ||
                                     c2 == 0xFF01 || c2 == 0xFF1F || c2 == 0xFF1A || c2 == 0xFF1B ||
                                     c2 == 0xFF09 || c2 == 0x300D || c2 == 0x300F || c2 == 0x300B ||
                                     c2 == 0x3011 || c2 == ',' || c2 == '.' || c2 == ')';
                if (!closing) {
                    break;
                }
                i = next;
            }
            const size_t visible = i;
            while (i < limit && (text[i] == ' ' || text[i] == '\t')) {
                i++;
            }
            return {i, visible};
        }
        i = unit.end;
    }
    const size_t visible = i;
    while (i < limit && (text[i] == ' ' || text[i] == '\t')) {
        i++;
    }
    return {i, visible};
}

}  // namespace app::window
