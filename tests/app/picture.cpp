#include "tests/app/picture.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include <stb/stb_image.h>
#include <stb/stb_image_write.h>

#include "app/window/damage.h"

using app::window::pixel_clip;
using app::window::PixelRect;

namespace {

struct Colour {
    float r, g, b, a;
};

Colour unpack(uint32_t c) {
    return {static_cast<float>(c & 255), static_cast<float>(c >> 8 & 255),
            static_cast<float>(c >> 16 & 255), static_cast<float>(c >> 24)};
}

// c (0 to 255 each) over what is there.
void blend(uint32_t& pixel, const Colour& c) {
    const float part = c.a / 255;
    const Colour under = unpack(pixel);
    const auto mix = [part](float over, float below) {
        return static_cast<uint32_t>(
            std::lround(std::clamp(below + (over - below) * part, 0.0F, 255.0F)));
    };
    pixel = mix(c.r, under.r) | mix(c.g, under.g) << 8 | mix(c.b, under.b) << 16 | 255U << 24;
}

// Pixels whose centre is inside, upper and left edges included, so that two triangles with a common
// edge cover every pixel once.
void draw_triangle(Picture& out,
                   const PixelRect& clip,
                   const ImDrawVert* v[3],
                   const RasterTexture& texture) {
    const ImVec2 p[3] = {v[0]->pos, v[1]->pos, v[2]->pos};
    float area = (p[1].x - p[0].x) * (p[2].y - p[0].y) - (p[2].x - p[0].x) * (p[1].y - p[0].y);
    if (area == 0) {
        return;
    }
    const int order[3] = {0, area > 0 ? 1 : 2, area > 0 ? 2 : 1};
    const ImDrawVert* t[3] = {v[order[0]], v[order[1]], v[order[2]]};
    area = std::abs(area);
    const auto low = [](float a, float b, float c) {
        return static_cast<int>(std::floor(std::min({a, b, c})));
    };
    const auto high = [](float a, float b, float c) {
        return static_cast<int>(std::ceil(std::max({a, b, c})));
    };
    const int x0 = std::max(clip.x0, low(p[0].x, p[1].x, p[2].x)),
              x1 = std::min(clip.x1, high(p[0].x, p[1].x, p[2].x));
    const int y0 = std::max(clip.y0, low(p[0].y, p[1].y, p[2].y)),
              y1 = std::min(clip.y1, high(p[0].y, p[1].y, p[2].y));
    struct Edge {
        float a, b, c;
        bool top_left;
    } edges[3];
    for (int i = 0; i < 3; i++) {
        const ImVec2 from = t[(i + 1) % 3]->pos, to = t[(i + 2) % 3]->pos;
        edges[i] = {-(to.y - from.y), to.x - from.x,
                    (to.y - from.y) * from.x - (to.x - from.x) * from.y,
                    (from.y == to.y && to.x > from.x) || to.y < from.y};
    }
    const Colour ink[3] = {unpack(t[0]->col), unpack(t[1]->col), unpack(t[2]->col)};
    const bool flat = t[0]->col == t[1]->col && t[1]->col == t[2]->col;
    const bool one_texel = t[0]->uv.x == t[1]->uv.x && t[1]->uv.x == t[2]->uv.x &&
                           t[0]->uv.y == t[1]->uv.y && t[1]->uv.y == t[2]->uv.y;
    const auto texel = [&](float u, float w) {
        const int x = std::clamp(static_cast<int>(u * static_cast<float>(texture.width)), 0,
                                 texture.width - 1);
        const int y = std::clamp(static_cast<int>(w * static_cast<float>(texture.height)), 0,
                                 texture.height - 1);
        return unpack(texture.pixels[static_cast<size_t>(y) * texture.width + x]);
    };
    const Colour fixed = texel(t[0]->uv.x, t[0]->uv.y);
    for (int y = y0; y < y1; y++) {
        uint32_t* row = out.pixels.data() + static_cast<size_t>(y) * out.width;
        for (int x = x0; x < x1; x++) {
            float w[3];
            bool inside = true;
            for (int i = 0; i < 3 && inside; i++) {
                w[i] = edges[i].a * (static_cast<float>(x) + 0.5F) +
                       edges[i].b * (static_cast<float>(y) + 0.5F) + edges[i].c;
                inside = w[i] > 0 || (w[i] == 0 && edges[i].top_left);
            }
            if (!inside) {
                continue;
            }
            for (float& each : w) {
                each /= area;
            }
            Colour c = ink[0];
            if (!flat) {
                c = {w[0] * ink[0].r + w[1] * ink[1].r + w[2] * ink[2].r,
                     w[0] * ink[0].g + w[1] * ink[1].g + w[2] * ink[2].g,
                     w[0] * ink[0].b + w[1] * ink[1].b + w[2] * ink[2].b,
                     w[0] * ink[0].a + w[1] * ink[1].a + w[2] * ink[2].a};
            }
            const Colour s = one_texel
                                 ? fixed
                                 : texel(w[0] * t[0]->uv.x + w[1] * t[1]->uv.x + w[2] * t[2]->uv.x,
                                         w[0] * t[0]->uv.y + w[1] * t[1]->uv.y + w[2] * t[2]->uv.y);
            c = {c.r * s.r / 255, c.g * s.g / 255, c.b * s.b / 255, c.a * s.a / 255};
            if (c.a > 0) {
                blend(row[x], c);
            }
        }
    }
}

}  // namespace

Picture rasterise(const ImDrawData& data, ImU32 ground, const RasterTextures& textures) {
    Picture out;
    out.width = static_cast<int>(data.DisplaySize.x);
    out.height = static_cast<int>(data.DisplaySize.y);
    out.pixels.assign(static_cast<size_t>(out.width) * out.height, ground);
    draw_over(out, data, textures);
    return out;
}

void draw_over(Picture& out, const ImDrawData& data, const RasterTextures& textures) {
    for (int n = 0; n < data.CmdListsCount; n++) {
        const ImDrawList& list = *data.CmdLists[n];
        for (const ImDrawCmd& command : list.CmdBuffer) {
            if (command.UserCallback) {
                if (command.UserCallback != ImDrawCallback_ResetRenderState) {
                    command.UserCallback(&list, &command);
                }
                continue;
            }
            const auto texture = textures.find(command.GetTexID());
            if (texture == textures.end()) {
                throw std::runtime_error(
                    "a draw command uses a texture that the picture does not know");
            }
            const PixelRect clip = pixel_clip(data, command);
            for (unsigned int i = 0; i + 2 < command.ElemCount; i += 3) {
                const ImDrawVert* corners[3];
                for (unsigned int k = 0; k < 3; k++) {
                    corners[k] = &list.VtxBuffer[static_cast<int>(
                        command.VtxOffset +
                        list.IdxBuffer[static_cast<int>(command.IdxOffset + i + k)])];
                }
                draw_triangle(out, clip, corners, texture->second);
            }
        }
    }
}

Picture Picture::smaller(int factor) const {
    Picture out;
    out.width = width / factor;
    out.height = height / factor;
    out.pixels.resize(static_cast<size_t>(out.width) * out.height);
    const auto count = static_cast<uint32_t>(factor * factor);
    for (int y = 0; y < out.height; y++) {
        for (int x = 0; x < out.width; x++) {
            uint32_t sum[3] = {};
            for (int k = 0; k < factor * factor; k++) {
                const uint32_t pixel = at(x * factor + k % factor, y * factor + k / factor);
                for (int c = 0; c < 3; c++) {
                    sum[c] += pixel >> (8 * c) & 255;
                }
            }
            out.pixels[static_cast<size_t>(y) * out.width + x] =
                sum[0] / count | (sum[1] / count) << 8 | (sum[2] / count) << 16 | 255U << 24;
        }
    }
    return out;
}

void Picture::save(const std::string& path) const {
    std::vector<uint8_t> rgb;
    rgb.reserve(pixels.size() * 3);
    for (const uint32_t pixel : pixels) {
        rgb.insert(rgb.end(), {static_cast<uint8_t>(pixel), static_cast<uint8_t>(pixel >> 8),
                               static_cast<uint8_t>(pixel >> 16)});
    }
    if (!stbi_write_png(path.c_str(), width, height, 3, rgb.data(), width * 3)) {
        throw std::runtime_error("cannot write " + path);
    }
}

Picture Picture::load(const std::string& path) {
    Picture out;
    int channels = 0;
    if (stbi_uc* data = stbi_load(path.c_str(), &out.width, &out.height, &channels, 4)) {
        const auto* pixels = reinterpret_cast<const uint32_t*>(data);
        out.pixels.assign(pixels, pixels + static_cast<size_t>(out.width) * out.height);
        stbi_image_free(data);
    } else {
        out = {};
    }
    return out;
}

PictureDifference compare(const Picture& a, const Picture& b, int tolerance) {
    PictureDifference result;
    result.same_size = a.width == b.width && a.height == b.height && !a.pixels.empty();
    if (!result.same_size) {
        return result;
    }
    size_t different = 0;
    for (size_t i = 0; i < a.pixels.size(); i++) {
        int worst = 0;
        for (int shift = 0; shift < 24; shift += 8) {
            worst = std::max(worst, std::abs(static_cast<int>(a.pixels[i] >> shift & 255) -
                                             static_cast<int>(b.pixels[i] >> shift & 255)));
        }
        result.worst = std::max(result.worst, worst);
        if (worst > tolerance && different++ == 0) {
            result.first_x = static_cast<int>(i) % a.width;
            result.first_y = static_cast<int>(i) / a.width;
        }
    }
    result.share = static_cast<double>(different) / static_cast<double>(a.pixels.size());
    return result;
}
