#include "app/window/font_files.h"

#include <memory>
#include <set>

#include <fontconfig/fontconfig.h>
#include <ft2build.h>
#include FT_FREETYPE_H

namespace app::window {
namespace {

using Config = std::unique_ptr<FcConfig, decltype(&FcConfigDestroy)>;
using Pattern = std::unique_ptr<FcPattern, decltype(&FcPatternDestroy)>;

Config open_config() {
    return {FcInitLoadConfigAndFonts(), &FcConfigDestroy};
}

const char* text_of(const FcPattern* pattern, const char* what, int index = 0) {
    FcChar8* text = nullptr;
    return FcPatternGetString(pattern, what, index, &text) == FcResultMatch
               ? reinterpret_cast<const char*>(text)
               : "";
}

// What ImGui's builder would stumble over is found out here.
bool can_be_drawn(const FontFile& file) {
    FT_Library library = nullptr;
    if (FT_Init_FreeType(&library) != 0) {
        return false;
    }
    FT_Face face = nullptr;
    const bool opened = FT_New_Face(library, file.path.c_str(), file.index, &face) == 0;
    const bool good = opened && FT_IS_SCALABLE(face) && FT_Get_Char_Index(face, 'a') != 0 &&
                      FT_Get_Char_Index(face, '0') != 0;
    if (opened) {
        FT_Done_Face(face);
    }
    FT_Done_FreeType(library);
    return good;
}

}  // namespace

FontFamilies font_families() {
    FontFamilies families;
    const Config config = open_config();
    if (!config) {
        return families;
    }
    const Pattern wanted(FcPatternCreate(), &FcPatternDestroy);
    FcPatternAddBool(wanted.get(), FC_SCALABLE, FcTrue);
    FcPatternAddBool(wanted.get(), FC_COLOR, FcFalse);
    FcObjectSet* objects = FcObjectSetBuild(FC_FAMILY, FC_SPACING, FC_CHARSET, nullptr);
    FcFontSet* fonts = FcFontList(config.get(), wanted.get(), objects);
    std::set<std::string> all, mono;
    for (int i = 0; fonts && i < fonts->nfont; i++) {
        FcCharSet* characters = nullptr;
        int spacing = 0;
        const std::string family = text_of(fonts->fonts[i], FC_FAMILY);
        if (family.empty() ||
            FcPatternGetCharSet(fonts->fonts[i], FC_CHARSET, 0, &characters) != FcResultMatch ||
            !FcCharSetHasChar(characters, 'a') || !FcCharSetHasChar(characters, '0')) {
            continue;
        }
        all.insert(family);
        if (FcPatternGetInteger(fonts->fonts[i], FC_SPACING, 0, &spacing) == FcResultMatch &&
            spacing >= FC_DUAL) {
            mono.insert(family);
        }
    }
    if (fonts) {
        FcFontSetDestroy(fonts);
    }
    FcObjectSetDestroy(objects);
    families.all.assign(all.begin(), all.end());
    families.mono.assign(mono.begin(), mono.end());
    return families;
}

FontFile font_file(const std::string& family, bool bold, bool italic) {
    FontFile file;
    const Config config = open_config();
    if (!config || family.empty()) {
        return file;
    }
    const Pattern wanted(FcPatternCreate(), &FcPatternDestroy);
    FcPatternAddString(wanted.get(), FC_FAMILY, reinterpret_cast<const FcChar8*>(family.c_str()));
    FcPatternAddInteger(wanted.get(), FC_WEIGHT, bold ? FC_WEIGHT_DEMIBOLD : FC_WEIGHT_REGULAR);
    FcPatternAddInteger(wanted.get(), FC_SLANT, italic ? FC_SLANT_ITALIC : FC_SLANT_ROMAN);
    FcPatternAddBool(wanted.get(), FC_SCALABLE, FcTrue);
    FcConfigSubstitute(config.get(), wanted.get(), FcMatchPattern);
    FcDefaultSubstitute(wanted.get());
    FcResult result = FcResultMatch;
    const Pattern match(FcFontMatch(config.get(), wanted.get(), &result), &FcPatternDestroy);
    if (!match) {
        return file;
    }
    // fontconfig always finds something; only the family itself counts.
    bool named = false;
    for (int i = 0; i < 8; i++) {
        named = named || family == text_of(match.get(), FC_FAMILY, i);
    }
    if (!named) {
        return file;
    }
    file.path = text_of(match.get(), FC_FILE);
    FcPatternGetInteger(match.get(), FC_INDEX, 0, &file.index);
    file.index &= 0xFFFF;
    return can_be_drawn(file) ? file : FontFile{};
}

}  // namespace app::window
