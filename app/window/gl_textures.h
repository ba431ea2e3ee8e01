// The glyph cache's textures in OpenGL. Needs the window's context to be current. Main thread only.
#pragma once

#include "app/window/glyph_cache.h"

namespace app::window {

class GlTextures final : public GlyphTextures {
public:
    uint64_t create(int side) override;
    void update(
        uint64_t texture, int x, int y, int width, int height, const uint32_t* pixels) override;
    void destroy(uint64_t texture) override;
};

}  // namespace app::window
