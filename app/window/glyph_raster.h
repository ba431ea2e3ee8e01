// GlyphRaster: a few characters that belong together -> an image, from whatever fonts the machine
// has: found by fontconfig, shaped by HarfBuzz, drawn by FreeType, in colour where the font is. For
// what the bundled faces do not hold: other scripts, emoji, sequences. What no font has becomes a
// box with its code in it. One thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace app::window {

struct GlyphWish {
    float em = 12;            // pixels
    float fixed_advance = 0;  // the width it must take; 0: its own
    bool bold = false, mono = false;
    bool emoji = false;  // in colour where possible
};

struct GlyphBitmap {
    int width = 0, height = 0;  // at most kLargest
    int left = 0;               // of the image, from where the pen stands
    int top = 0;                // of the image, above the baseline
    float advance = 0;
    bool coloured = false;
    bool found = true;             // false: the box with the code
    std::vector<uint32_t> pixels;  // RGBA, not premultiplied

    static constexpr int kLargest = 384;
};

class GlyphRaster {
public:
    GlyphRaster();
    ~GlyphRaster();
    GlyphRaster(const GlyphRaster&) = delete;
    GlyphRaster& operator=(const GlyphRaster&) = delete;

    GlyphBitmap draw(std::string_view unit, const GlyphWish& wish);

private:
    struct Fonts;
    std::unique_ptr<Fonts> fonts_;
};

}  // namespace app::window
