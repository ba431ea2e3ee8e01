// Picture: pixels of one frame, made by drawing ImGui's output in plain C++, so that pictures are
// the same on every machine with the same fonts. PNG in and out; a comparison that names where two
// differ.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <imgui.h>

struct Picture {
    int width = 0, height = 0;
    std::vector<uint32_t> pixels;  // RGBA, first byte red; row by row from the top

    uint32_t at(int x, int y) const { return pixels[static_cast<size_t>(y) * width + x]; }
    // Every pixel the mean of `factor` x `factor`; what is left at the edges is dropped.
    Picture smaller(int factor) const;

    void save(const std::string& path) const;      // throws std::runtime_error
    static Picture load(const std::string& path);  // empty where there is none
};

// Textures beside the font atlas, by what the draw commands call them: RGBA.
struct RasterTexture {
    int width = 0, height = 0;
    const uint32_t* pixels = nullptr;
};
using RasterTextures = std::map<ImTextureID, RasterTexture>;

// Draws on `ground`. Commands with a texture that is not in `textures` throw: nothing may be
// missing unseen.
Picture rasterise(const ImDrawData& data, ImU32 ground, const RasterTextures& textures);

// As that, over what is in `picture`.
void draw_over(Picture& picture, const ImDrawData& data, const RasterTextures& textures);

struct PictureDifference {
    bool same_size = false;
    double share = 1;  // of pixels where a channel differs by more than `tolerance`
    int first_x = 0, first_y = 0;
    int worst = 0;  // largest difference of a channel
};
PictureDifference compare(const Picture& a, const Picture& b, int tolerance);
