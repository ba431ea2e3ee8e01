#include "app/window/gl_textures.h"

#include <vector>

// GLFW is asked for the functions that are called here; a GL header would name them for the linker.
extern "C" {
void glGenTextures(int count, unsigned int* names);
void glDeleteTextures(int count, const unsigned int* names);
void glBindTexture(unsigned int target, unsigned int name);
void glTexParameteri(unsigned int target, unsigned int what, int value);
void glTexImage2D(unsigned int target,
                  int level,
                  int format,
                  int width,
                  int height,
                  int border,
                  unsigned int pixel_format,
                  unsigned int type,
                  const void* pixels);
void glTexSubImage2D(unsigned int target,
                     int level,
                     int x,
                     int y,
                     int width,
                     int height,
                     unsigned int pixel_format,
                     unsigned int type,
                     const void* pixels);
void glGetIntegerv(unsigned int what, int* value);
}

namespace app::window {
namespace {

constexpr unsigned int kTexture2D = 0x0DE1, kRgba = 0x1908, kUnsignedByte = 0x1401;
constexpr unsigned int kMinFilter = 0x2801, kMagFilter = 0x2800, kBound = 0x8069;
constexpr int kLinear = 0x2601;

// Leaves the binding as ImGui's backend expects to find it.
class Bound {
public:
    explicit Bound(uint64_t texture) {
        glGetIntegerv(kBound, &before_);
        glBindTexture(kTexture2D, static_cast<unsigned int>(texture));
    }
    ~Bound() { glBindTexture(kTexture2D, static_cast<unsigned int>(before_)); }
    Bound(const Bound&) = delete;
    Bound& operator=(const Bound&) = delete;

private:
    int before_ = 0;
};

}  // namespace

uint64_t GlTextures::create(int side) {
    unsigned int name = 0;
    glGenTextures(1, &name);
    const Bound bound(name);
    glTexParameteri(kTexture2D, kMinFilter, kLinear);
    glTexParameteri(kTexture2D, kMagFilter, kLinear);
    const std::vector<uint32_t> clear(static_cast<size_t>(side) * static_cast<size_t>(side));
    glTexImage2D(kTexture2D, 0, static_cast<int>(kRgba), side, side, 0, kRgba, kUnsignedByte,
                 clear.data());
    changed_(name);  // the name may have been another's
    return name;
}

void GlTextures::update(
    uint64_t texture, int x, int y, int width, int height, const uint32_t* pixels) {
    const Bound bound(texture);
    glTexSubImage2D(kTexture2D, 0, x, y, width, height, kRgba, kUnsignedByte, pixels);
    changed_(texture);
}

void GlTextures::destroy(uint64_t texture) {
    const auto name = static_cast<unsigned int>(texture);
    glDeleteTextures(1, &name);
}

}  // namespace app::window
