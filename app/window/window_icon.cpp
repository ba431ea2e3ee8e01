#include "app/window/window_icon.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace app::window {
namespace {

// The drawing's own units: a square of 128.
constexpr float kCanvas = 128;
constexpr uint32_t kGround = 0x17181C, kRim = 0x33363F, kLight = 0x7FB0FF, kDark = 0x5B8DE8;

// How far a point is outside a square with round corners around the centre; negative: inside.
float outside_square(float x, float y, float half, float radius) {
    const float dx = std::max(std::abs(x - 64) - (half - radius), 0.0F);
    const float dy = std::max(std::abs(y - 64) - (half - radius), 0.0F);
    return std::hypot(dx, dy) - radius;
}

// A round head, and below it what widens down to the bottom.
bool in_keyhole(float x, float y) {
    if (std::hypot(x - 64, y - 48) <= 22) {
        return true;
    }
    const float half = 10.5F + (y - 67.3F) * (18 - 10.5F) / (100 - 67.3F);
    return y >= 60 && y <= 103.7F && std::abs(x - 64) <= std::min(half, 18.0F);
}

// 0xRRGGBB, or -1 outside.
int64_t ink_at(float x, float y) {
    const float rim = outside_square(x, y, 58, 26);
    if (rim > 0) {
        return -1;
    }
    return in_keyhole(x, y) ? (x < 64 ? kLight : kDark) : rim > -1 ? kRim : kGround;
}

}  // namespace

std::vector<unsigned char> window_icon(int size) {
    constexpr int kSamples = 4;  // a side
    std::vector<unsigned char> pixels;
    pixels.reserve(static_cast<size_t>(size) * static_cast<size_t>(size) * 4);
    const float step = kCanvas / static_cast<float>(size * kSamples);
    for (int y = 0; y < size; y++) {
        for (int x = 0; x < size; x++) {
            int64_t red = 0, green = 0, blue = 0, inside = 0;
            for (int s = 0; s < kSamples * kSamples; s++) {
                const int64_t ink =
                    ink_at((static_cast<float>(x * kSamples + s % kSamples) + 0.5F) * step,
                           (static_cast<float>(y * kSamples + s / kSamples) + 0.5F) * step);
                if (ink >= 0) {
                    red += ink >> 16;
                    green += ink >> 8 & 255;
                    blue += ink & 255;
                    inside++;
                }
            }
            const int64_t share = std::max<int64_t>(inside, 1);
            for (const int64_t value :
                 {red / share, green / share, blue / share, 255 * inside / (kSamples * kSamples)}) {
                pixels.push_back(static_cast<unsigned char>(value));
            }
        }
    }
    return pixels;
}

}  // namespace app::window
