// Repaint: a picture that is kept from frame to frame and redrawn where damage.h says that the next
// one differs, as the window does with OpenGL.
#pragma once

#include <algorithm>
#include <vector>

#include <imgui.h>

#include "app/window/damage.h"
#include "tests/app/picture.h"

struct Repaint {
    app::window::Damage damage;
    Picture picture;

    // Where it was redrawn. Leaves of `frame` what was drawn.
    std::vector<app::window::PixelRect> draw(ImDrawData& frame,
                                             ImU32 ground,
                                             const RasterTextures& textures) {
        const std::vector<app::window::PixelRect> rects = damage.find(frame, ground);
        const auto width = static_cast<int>(frame.DisplaySize.x);
        const auto height = static_cast<int>(frame.DisplaySize.y);
        if (width != picture.width || height != picture.height) {
            picture = {width, height, {}};
            picture.pixels.resize(static_cast<size_t>(width) * static_cast<size_t>(height));
        }
        for (const app::window::PixelRect& rect : rects) {
            for (int y = rect.y0; y < rect.y1; y++) {
                std::fill_n(
                    picture.pixels.begin() + static_cast<std::ptrdiff_t>(y) * width + rect.x0,
                    rect.width(), ground);
            }
        }
        app::window::keep_only(frame, rects);
        draw_over(picture, frame, textures);
        return rects;
    }
};
