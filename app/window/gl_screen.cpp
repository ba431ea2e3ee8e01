#include "app/window/gl_screen.h"

#include <string_view>
#include <vector>

#define GLFW_INCLUDE_NONE
#include <GLFW/glfw3.h>
#include <imgui_impl_opengl3.h>

#include "app/window/compat.h"
#include "runtime/log.h"

// As in gl_textures.cpp: the functions that are called here, by name.
extern "C" {
const unsigned char* glGetString(unsigned int what);
void glViewport(int x, int y, int width, int height);
void glScissor(int x, int y, int width, int height);
void glEnable(unsigned int what);
void glDisable(unsigned int what);
void glClearColor(float red, float green, float blue, float alpha);
void glClear(unsigned int mask);
}

namespace app::window {
namespace {

constexpr unsigned int kColourBuffer = 0x4000, kRenderer = 0x1F01, kScissorTest = 0x0C11;

// Mesa's names for itself, and Apple's.
bool drawn_by_processor() {
    const auto* text = reinterpret_cast<const char*>(glGetString(kRenderer));
    const std::string_view name = text ? text : "";
    for (const char* each : {"llvmpipe", "softpipe", "swrast", "Software"}) {
        if (name.find(each) != std::string_view::npos) {
            return true;
        }
    }
    return false;
}

template <typename Function>
void find_function(Function& function, const char* name) {
    function = reinterpret_cast<Function>(glfwGetProcAddress(name));
}

void set_ground(ImU32 ground) {
    const ImVec4 colour = ImGui::ColorConvertU32ToFloat4(ground);
    glClearColor(colour.x, colour.y, colour.z, 1);
}

}  // namespace

GlScreen::GlScreen() {
    if (drawn_by_processor() && glfwExtensionSupported("GLX_MESA_copy_sub_buffer")) {
        find_function(glx_.display, "glXGetCurrentDisplay");
        find_function(glx_.drawable, "glXGetCurrentDrawable");
        find_function(glx_.copy_sub_buffer, "glXCopySubBufferMESA");
        by_parts_ = glx_.display && glx_.drawable && glx_.copy_sub_buffer;
    }
    runtime::log(runtime::LogLevel::debug,
                 by_parts_ ? "frames are drawn where they change" : "frames are drawn whole");
}

void GlScreen::forget() {
    damage_.forget();
    width_ = height_ = 0;
}

void GlScreen::texture_changed(uint64_t texture) {
    damage_.texture_changed(texture_id(texture));
}

void GlScreen::show(GLFWwindow* window, ImDrawData& frame, ImU32 ground) {
    // While it is resized the window and its picture may be of two sizes, as if a unit were not a
    // pixel.
    const bool in_pixels = frame.FramebufferScale.x == 1 && frame.FramebufferScale.y == 1;
    if (by_parts_ && in_pixels && !fills_textures(frame)) {
        show_changes(window, frame, ground);
        return;
    }
    forget();
    glViewport(0, 0, static_cast<int>(frame.DisplaySize.x * frame.FramebufferScale.x),
               static_cast<int>(frame.DisplaySize.y * frame.FramebufferScale.y));
    set_ground(ground);
    glClear(kColourBuffer);
    ImGui_ImplOpenGL3_RenderDrawData(&frame);
    glfwSwapBuffers(window);
}

void GlScreen::show_changes(GLFWwindow* window, ImDrawData& frame, ImU32 ground) {
    const std::vector<PixelRect>& rects = damage_.find(frame, ground);
    if (rects.empty()) {
        return;
    }
    const auto width = static_cast<int>(frame.DisplaySize.x);
    const auto height = static_cast<int>(frame.DisplaySize.y);
    if (width != width_ || height != height_) {
        // Mesa gives the back buffer its window's size after a swap, not after a copy.
        glfwSwapBuffers(window);
        width_ = width;
        height_ = height;
    }
    glViewport(0, 0, width, height);
    set_ground(ground);
    glEnable(kScissorTest);
    for (const PixelRect& rect : rects) {
        glScissor(rect.x0, height - rect.y1, rect.width(), rect.height());
        glClear(kColourBuffer);
    }
    glDisable(kScissorTest);
    keep_only(frame, rects);
    ImGui_ImplOpenGL3_RenderDrawData(&frame);
    PixelRect shown = rects.front();
    for (const PixelRect& rect : rects) {
        shown = around(shown, rect);
    }
    glx_.copy_sub_buffer(glx_.display(), glx_.drawable(), shown.x0, height - shown.y1,
                         shown.width(), shown.height());
}

}  // namespace app::window
