#include "app/window/glyph_raster.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <map>
#include <string>
#include <utility>

#include <fontconfig/fontconfig.h>
#include <ft2build.h>
#include <hb-ft.h>
#include <hb.h>
#include FT_FREETYPE_H

#include "app/window/text_units.h"
#include "app/window/utf8.h"
#include "assets/embed.h"

namespace app::window {
namespace {

struct Face {
    FT_Face face = nullptr;
    hb_font_t* shaper = nullptr;
};

// Premultiplied while it is put together.
struct Canvas {
    int left = 0, top = 0, width = 0, height = 0;  // top: of the first row, above the baseline
    std::vector<std::array<float, 4>> pixels;

    // Grows to hold a box; rows go down.
    void include(int l, int t, int w, int h) {
        if (w <= 0 || h <= 0) {
            return;
        }
        if (width == 0) {
            left = l;
            top = t;
            width = w;
            height = h;
            return;
        }
        const int right = std::max(left + width, l + w), bottom = std::min(top - height, t - h);
        left = std::min(left, l);
        top = std::max(top, t);
        width = right - left;
        height = top - bottom;
    }
    void start() {
        pixels.assign(static_cast<size_t>(width) * static_cast<size_t>(height), {0, 0, 0, 0});
    }
    std::array<float, 4>* at(int x, int y) {
        return x < 0 || y < 0 || x >= width || y >= height
                   ? nullptr
                   : &pixels[static_cast<size_t>(y) * static_cast<size_t>(width) +
                             static_cast<size_t>(x)];
    }
    void put(int x, int y, const std::array<float, 4>& over) {
        if (auto* under = at(x, y)) {
            for (size_t c = 0; c < 4; c++) {
                (*under)[c] = over[c] + (*under)[c] * (1 - over[3]);
            }
        }
    }
};

void blend(Canvas& canvas, const FT_Bitmap& bitmap, int left, int top) {
    for (int y = 0; y < static_cast<int>(bitmap.rows); y++) {
        const unsigned char* row = bitmap.buffer + static_cast<std::ptrdiff_t>(y) * bitmap.pitch;
        for (int x = 0; x < static_cast<int>(bitmap.width); x++) {
            std::array<float, 4> pixel{};
            if (bitmap.pixel_mode == FT_PIXEL_MODE_BGRA) {
                const unsigned char* p = row + x * 4;
                pixel = {p[2] / 255.0F, p[1] / 255.0F, p[0] / 255.0F, p[3] / 255.0F};
            } else if (bitmap.pixel_mode == FT_PIXEL_MODE_GRAY) {
                const float a = row[x] / 255.0F;
                pixel = {a, a, a, a};
            } else if (bitmap.pixel_mode == FT_PIXEL_MODE_MONO) {
                const float a = (row[x / 8] >> (7 - x % 8) & 1) != 0 ? 1.0F : 0.0F;
                pixel = {a, a, a, a};
            }
            canvas.put(left + x - canvas.left, canvas.top - top + y, pixel);
        }
    }
}

// Every pixel becomes the mean of what it covers.
Canvas shrunk(const Canvas& from, float scale) {
    Canvas to;
    to.width = std::max(1, static_cast<int>(std::lround(static_cast<float>(from.width) * scale)));
    to.height = std::max(1, static_cast<int>(std::lround(static_cast<float>(from.height) * scale)));
    to.left = static_cast<int>(std::lround(static_cast<float>(from.left) * scale));
    to.top = static_cast<int>(std::lround(static_cast<float>(from.top) * scale));
    to.start();
    const float step_x = static_cast<float>(from.width) / static_cast<float>(to.width);
    const float step_y = static_cast<float>(from.height) / static_cast<float>(to.height);
    for (int y = 0; y < to.height; y++) {
        for (int x = 0; x < to.width; x++) {
            const float x0 = static_cast<float>(x) * step_x, x1 = x0 + step_x;
            const float y0 = static_cast<float>(y) * step_y, y1 = y0 + step_y;
            std::array<float, 4> sum{};
            float weight = 0;
            for (int sy = static_cast<int>(y0); sy < from.height && static_cast<float>(sy) < y1;
                 sy++) {
                const float high =
                    std::min(y1, static_cast<float>(sy + 1)) - std::max(y0, static_cast<float>(sy));
                for (int sx = static_cast<int>(x0); sx < from.width && static_cast<float>(sx) < x1;
                     sx++) {
                    const float part = high * (std::min(x1, static_cast<float>(sx + 1)) -
                                               std::max(x0, static_cast<float>(sx)));
                    const auto& p =
                        from.pixels[static_cast<size_t>(sy) * static_cast<size_t>(from.width) +
                                    static_cast<size_t>(sx)];
                    for (size_t c = 0; c < 4; c++) {
                        sum[c] += p[c] * part;
                    }
                    weight += part;
                }
            }
            for (size_t c = 0; c < 4; c++) {
                (*to.at(x, y))[c] = weight > 0 ? sum[c] / weight : 0;
            }
        }
    }
    return to;
}

GlyphBitmap finished(const Canvas& canvas, float advance, bool coloured) {
    GlyphBitmap out;
    out.advance = advance;
    out.coloured = coloured;
    out.left = canvas.left;
    out.top = canvas.top;
    out.width = std::min(canvas.width, GlyphBitmap::kLargest);
    out.height = std::min(canvas.height, GlyphBitmap::kLargest);
    out.pixels.resize(static_cast<size_t>(out.width) * static_cast<size_t>(out.height));
    for (int y = 0; y < out.height; y++) {
        for (int x = 0; x < out.width; x++) {
            const auto& p =
                canvas.pixels[static_cast<size_t>(y) * static_cast<size_t>(canvas.width) +
                              static_cast<size_t>(x)];
            const float a = std::clamp(p[3], 0.0F, 1.0F);
            const auto byte = [](float v) {
                return static_cast<uint32_t>(std::lround(std::clamp(v, 0.0F, 1.0F) * 255));
            };
            // White under what is not coloured: the ink comes from the one who draws.
            const bool ink = !coloured || a <= 0;
            const uint32_t r = ink ? 255 : byte(p[0] / a), g = ink ? 255 : byte(p[1] / a),
                           b = ink ? 255 : byte(p[2] / a);
            out.pixels[static_cast<size_t>(y) * static_cast<size_t>(out.width) +
                       static_cast<size_t>(x)] = r | g << 8 | b << 16 | byte(a) << 24;
        }
    }
    return out;
}

std::vector<uint32_t> visible_characters(std::string_view unit) {
    std::vector<uint32_t> out;
    for (size_t i = 0, next = 0; i < unit.size(); i = next) {
        const uint32_t c = decode_utf8(unit, i, next);
        if (!is_ignorable(c)) {
            out.push_back(c);
        }
    }
    return out;
}

const char* wanted_language() {
    for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
        const char* value = std::getenv(name);
        const std::string_view text = value ? value : "";
        if (text.starts_with("ja")) {
            return "ja";
        }
        if (text.starts_with("ko")) {
            return "ko";
        }
        if (text.starts_with("zh_TW") || text.starts_with("zh_HK")) {
            return "zh-tw";
        }
    }
    return "zh-cn";
}

}  // namespace

struct GlyphRaster::Fonts {
    FT_Library library = nullptr;
    FcConfig* config = nullptr;
    std::map<std::pair<std::string, int>, Face> open;
    std::map<std::pair<bool, bool>, FcFontSet*> sorted;  // by bold, mono: the machine's fonts

    ~Fonts() {
        for (auto& [key, face] : open) {
            hb_font_destroy(face.shaper);
            FT_Done_Face(face.face);
        }
        for (auto& [key, set] : sorted) {
            if (set) {
                FcFontSetDestroy(set);
            }
        }
        if (config) {
            FcConfigDestroy(config);
        }
        FT_Done_FreeType(library);
    }

    const Face* keep(const std::string& name, int index, FT_Face face) {
        hb_font_t* shaper = hb_ft_font_create_referenced(face);
        hb_ft_font_set_load_flags(shaper, FT_LOAD_COLOR | FT_LOAD_NO_HINTING);
        return &(open[{name, index}] = {face, shaper});
    }
    const Face* bundled(bool bold, bool mono) {
        const std::string name = mono ? "mono" : bold ? "bold" : "body";
        if (const auto found = open.find({name, 0}); found != open.end()) {
            return &found->second;
        }
        const std::string_view data = mono   ? assets::jetbrains_mono()
                                      : bold ? assets::inter_semibold()
                                             : assets::inter_regular();
        FT_Face face = nullptr;
        return FT_New_Memory_Face(library, reinterpret_cast<const FT_Byte*>(data.data()),
                                  static_cast<FT_Long>(data.size()), 0, &face) == 0
                   ? keep(name, 0, face)
                   : nullptr;
    }
    const Face* file(const std::string& path, int index) {
        if (const auto found = open.find({path, index}); found != open.end()) {
            return found->second.face ? &found->second : nullptr;
        }
        FT_Face face = nullptr;
        if (FT_New_Face(library, path.c_str(), index, &face) != 0) {
            return nullptr;
        }
        return keep(path, index, face);
    }

    FcFontSet* machine_fonts(bool bold, bool mono) {
        const auto found = sorted.find({bold, mono});
        if (found != sorted.end()) {
            return found->second;
        }
        if (!config) {
            config = FcInitLoadConfigAndFonts();
        }
        FcFontSet* set = nullptr;
        if (config) {
            FcPattern* pattern = FcPatternCreate();
            FcPatternAddString(pattern, FC_FAMILY,
                               reinterpret_cast<const FcChar8*>(mono ? "monospace" : "sans-serif"));
            FcPatternAddInteger(pattern, FC_WEIGHT, bold ? FC_WEIGHT_SEMIBOLD : FC_WEIGHT_REGULAR);
            FcPatternAddString(pattern, FC_LANG,
                               reinterpret_cast<const FcChar8*>(wanted_language()));
            FcConfigSubstitute(config, pattern, FcMatchPattern);
            FcDefaultSubstitute(pattern);
            FcResult result = FcResultNoMatch;
            set = FcFontSort(config, pattern, FcFalse, nullptr, &result);
            FcPatternDestroy(pattern);
        }
        return sorted[{bold, mono}] = set;
    }

    // The first font that has all of it; coloured ones first for emoji, last for anything else.
    const Face* find(const std::vector<uint32_t>& characters, const GlyphWish& wish) {
        if (!wish.emoji) {
            const Face* own = bundled(wish.bold, wish.mono);
            if (own && std::all_of(characters.begin(), characters.end(), [&](uint32_t c) {
                    return FT_Get_Char_Index(own->face, c) != 0;
                })) {
                return own;
            }
        }
        const FcFontSet* set = machine_fonts(wish.bold, wish.mono);
        for (const bool coloured : {wish.emoji, !wish.emoji}) {
            for (int i = 0; set && i < set->nfont; i++) {
                FcBool colour = FcFalse;
                FcPatternGetBool(set->fonts[i], FC_COLOR, 0, &colour);
                FcCharSet* has = nullptr;
                FcChar8* path = nullptr;
                int index = 0;
                if ((colour == FcTrue) != coloured ||
                    FcPatternGetCharSet(set->fonts[i], FC_CHARSET, 0, &has) != FcResultMatch ||
                    FcPatternGetString(set->fonts[i], FC_FILE, 0, &path) != FcResultMatch ||
                    !std::all_of(characters.begin(), characters.end(),
                                 [&](uint32_t c) { return FcCharSetHasChar(has, c) == FcTrue; })) {
                    continue;
                }
                FcPatternGetInteger(set->fonts[i], FC_INDEX, 0, &index);
                if (const Face* face = file(reinterpret_cast<const char*>(path), index & 0xFFFF)) {
                    return face;
                }
            }
        }
        // A machine without that: the other bundled family knows some signs.
        const Face* other = bundled(false, !wish.mono);
        return other && std::all_of(
                            characters.begin(), characters.end(),
                            [&](uint32_t c) { return FT_Get_Char_Index(other->face, c) != 0; })
                   ? other
                   : nullptr;
    }

    GlyphBitmap code_box(uint32_t character, const GlyphWish& wish);
    GlyphBitmap shaped(const Face& face, std::string_view unit, const GlyphWish& wish);
};

GlyphBitmap GlyphRaster::Fonts::shaped(const Face& face,
                                       std::string_view unit,
                                       const GlyphWish& wish) {
    // Fonts of images have a few sizes: the largest is taken and made smaller.
    const bool images = !FT_IS_SCALABLE(face.face) && face.face->num_fixed_sizes > 0;
    if (images) {
        int best = 0;
        for (int i = 1; i < face.face->num_fixed_sizes; i++) {
            best = face.face->available_sizes[i].height > face.face->available_sizes[best].height
                       ? i
                       : best;
        }
        FT_Select_Size(face.face, best);
    } else {
        FT_Set_Char_Size(face.face, 0, static_cast<FT_F26Dot6>(std::lround(wish.em * 64)), 72, 72);
    }
    hb_ft_font_changed(face.shaper);
    hb_buffer_t* buffer = hb_buffer_create();
    hb_buffer_add_utf8(buffer, unit.data(), static_cast<int>(unit.size()), 0,
                       static_cast<int>(unit.size()));
    hb_buffer_guess_segment_properties(buffer);
    hb_shape(face.shaper, buffer, nullptr, 0);
    unsigned count = 0;
    const hb_glyph_info_t* glyphs = hb_buffer_get_glyph_infos(buffer, &count);
    const hb_glyph_position_t* places = hb_buffer_get_glyph_positions(buffer, &count);

    Canvas canvas;
    bool coloured = false;
    float advance = 0;
    for (const bool measuring : {true, false}) {
        float pen_x = 0, pen_y = 0;
        for (unsigned i = 0; i < count; i++) {
            if (images && i > 0) {
                break;  // a sequence that this font does not know: its first picture stands for it
            }
            if (FT_Load_Glyph(face.face, glyphs[i].codepoint,
                              FT_LOAD_COLOR | FT_LOAD_TARGET_LIGHT) != 0 ||
                FT_Render_Glyph(face.face->glyph, FT_RENDER_MODE_NORMAL) != 0) {
                continue;
            }
            const FT_GlyphSlot slot = face.face->glyph;
            const int left =
                static_cast<int>(std::lround(pen_x + static_cast<float>(places[i].x_offset) / 64)) +
                slot->bitmap_left;
            const int top =
                static_cast<int>(std::lround(pen_y + static_cast<float>(places[i].y_offset) / 64)) +
                slot->bitmap_top;
            coloured = coloured || slot->bitmap.pixel_mode == FT_PIXEL_MODE_BGRA;
            if (measuring) {
                canvas.include(left, top, static_cast<int>(slot->bitmap.width),
                               static_cast<int>(slot->bitmap.rows));
            } else {
                blend(canvas, slot->bitmap, left, top);
            }
            pen_x += images ? static_cast<float>(slot->advance.x) / 64
                            : static_cast<float>(places[i].x_advance) / 64;
            pen_y += static_cast<float>(places[i].y_advance) / 64;
        }
        advance = pen_x;
        if (measuring) {
            canvas.start();
        }
    }
    hb_buffer_destroy(buffer);

    if (images && canvas.width > 0) {
        // As wide as it may be, standing a little below the baseline like a capital with room.
        const float room = wish.fixed_advance > 0 ? wish.fixed_advance : wish.em * 1.25F;
        const float scale = std::min(room * 0.96F / static_cast<float>(canvas.width),
                                     wish.em * 1.18F / static_cast<float>(canvas.height));
        canvas = shrunk(canvas, scale);
        canvas.top =
            static_cast<int>(std::lround(wish.em * 0.36F + static_cast<float>(canvas.height) / 2));
        canvas.left = 0;
        advance = static_cast<float>(canvas.width);
    }
    GlyphBitmap out = finished(canvas, std::round(advance), coloured);
    if (wish.fixed_advance > 0) {
        // In the middle of the cell.
        out.left += static_cast<int>(std::lround((wish.fixed_advance - advance) / 2));
        out.advance = wish.fixed_advance;
    }
    return out;
}

// A frame with the code in it, in two rows.
GlyphBitmap GlyphRaster::Fonts::code_box(uint32_t character, const GlyphWish& wish) {
    char digits[9];
    std::snprintf(digits, sizeof digits, character > 0xFFFF ? "%06X" : "%04X", character);
    const int columns = character > 0xFFFF ? 3 : 2;
    const float size = std::max(5.0F, wish.em * 0.46F);
    const int cell = static_cast<int>(std::ceil(size * 0.62F));
    const int row = static_cast<int>(std::ceil(size * 0.86F));
    Canvas canvas;
    canvas.width = columns * cell + 5;
    canvas.height = 2 * row + 5;
    canvas.top = static_cast<int>(std::lround(wish.em * 0.36F)) + canvas.height / 2;
    canvas.left = 1;
    canvas.start();
    const std::array<float, 4> line{0.6F, 0.6F, 0.6F, 0.6F};
    for (int x = 0; x < canvas.width; x++) {
        for (int y = 0; y < canvas.height; y++) {
            if (x == 0 || y == 0 || x == canvas.width - 1 || y == canvas.height - 1) {
                canvas.put(x, y, line);
            }
        }
    }
    if (const Face* face = bundled(false, true)) {
        FT_Set_Char_Size(face->face, 0, static_cast<FT_F26Dot6>(std::lround(size * 64)), 72, 72);
        for (int i = 0; digits[i] != 0; i++) {
            if (FT_Load_Char(face->face, static_cast<FT_ULong>(digits[i]), FT_LOAD_RENDER) != 0) {
                continue;
            }
            const FT_GlyphSlot slot = face->face->glyph;
            const int x = canvas.left + 3 + i % columns * cell + slot->bitmap_left;
            const int baseline = canvas.top - 2 - (i / columns + 1) * row;
            blend(canvas, slot->bitmap, x, baseline + slot->bitmap_top);
        }
    }
    GlyphBitmap out = finished(canvas, static_cast<float>(canvas.width + 2), false);
    out.found = false;
    if (wish.fixed_advance > 0) {
        out.left =
            static_cast<int>(std::lround((wish.fixed_advance - static_cast<float>(out.width)) / 2));
        out.advance = wish.fixed_advance;
    }
    return out;
}

GlyphRaster::GlyphRaster() : fonts_(std::make_unique<Fonts>()) {
    FT_Init_FreeType(&fonts_->library);
}
GlyphRaster::~GlyphRaster() = default;

GlyphBitmap GlyphRaster::draw(std::string_view unit, const GlyphWish& wish) {
    const std::vector<uint32_t> characters = visible_characters(unit);
    if (characters.empty()) {
        return {};  // joiners and selectors alone: nothing to see
    }
    if (const Face* face = fonts_->find(characters, wish)) {
        return fonts_->shaped(*face, unit, wish);
    }
    // No font has all of it: the first character alone, then its code.
    if (characters.size() > 1) {
        size_t next = 0;
        decode_utf8(unit, 0, next);
        if (const Face* face = fonts_->find({characters[0]}, wish)) {
            return fonts_->shaped(*face, unit.substr(0, next), wish);
        }
    }
    return fonts_->code_box(characters[0], wish);
}

}  // namespace app::window
