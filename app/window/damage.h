// Damage: where a frame looks other than the one before, found from ImGui's output alone, and that
// output cut down to it. The window is laid out in tiles; a tile's hash is made of the triangles
// that touch it, in their order, with their texture and where they are cut off, so whatever moved,
// came, went or changed places shows in the tiles it left and in those it came to. Knows no OpenGL
// and no window. In pixels from the upper left: a unit of ImGui's must be one. One thread.
// The idea: rxi, "Cached Software Rendering" (rxi.github.io/cached_software_rendering.html).
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include <imgui.h>

namespace app::window {

struct PixelRect {
    int x0 = 0, y0 = 0, x1 = 0, y1 = 0;  // x1 and y1 are not inside

    int width() const { return x1 - x0; }
    int height() const { return y1 - y0; }
    bool empty() const { return x1 <= x0 || y1 <= y0; }
    bool operator==(const PixelRect&) const = default;
};

PixelRect common_part(const PixelRect& a, const PixelRect& b);
// The smallest that holds both.
PixelRect around(const PixelRect& a, const PixelRect& b);

// The pixels that a command may touch, cut as ImGui's OpenGL back end does, which rounds a fraction
// towards the lower left.
PixelRect pixel_clip(const ImDrawData& frame, const ImDrawCmd& command);

class Damage {
public:
    static constexpr int kTile = 32;         // pixels, wide and high
    static constexpr size_t kMaxRects = 24;  // each costs a draw call and more
    static constexpr int kCheapTiles = 5;    // so many are drawn in vain rather than one rect more

    // Where `frame`, on a ground of that colour, looks other than the frame of the last call: at
    // most kMaxRects that do not overlap, none where nothing does. All of the window for the first
    // frame, for one of another size, and after forget().
    const std::vector<PixelRect>& find(const ImDrawData& frame, ImU32 ground);
    void forget() { tiles_.clear(); }
    // The texture has other pixels: what is drawn with it looks different.
    void texture_changed(ImTextureID texture) { versions_[texture]++; }

private:
    void add(const ImDrawData& frame, const ImDrawList& list, const ImDrawCmd& command);
    void compare(const std::vector<uint64_t>& before);

    int width_ = 0, height_ = 0;    // of the window, pixels
    int columns_ = 0, rows_ = 0;    // of tiles
    std::vector<uint64_t> tiles_;   // row by row; empty: nothing is known of the frame before
    std::vector<PixelRect> rects_;  // the result
    std::map<ImTextureID, uint64_t> versions_;
};

// Leaves of `frame` what touches `rects`, which do not overlap: drawn on a ground within them it
// gives the pixels that all of `frame` does there, and none outside.
void keep_only(ImDrawData& frame, const std::vector<PixelRect>& rects);

}  // namespace app::window
