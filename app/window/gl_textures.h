// The glyph cache's textures in OpenGL. Needs the window's context to be current. Main thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>

#include "app/window/glyph_cache.h"

namespace app::window {

class GlTextures final : public GlyphTextures {
public:
    // `changed`: called with each texture that has other pixels than before.
    explicit GlTextures(std::function<void(uint64_t texture)> changed)
        : changed_(std::move(changed)) {}
    uint64_t create(int side) override;
    void update(
        uint64_t texture, int x, int y, int width, int height, const uint32_t* pixels) override;
    void destroy(uint64_t texture) override;

private:
    std::function<void(uint64_t)> changed_;
};

}  // namespace app::window
