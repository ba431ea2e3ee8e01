// GlScreen: brings ImGui's frames into the window with OpenGL. Where a GPU draws, whole. Where the
// processor does, on the cores that decode, only what differs from the frame before (damage.h): it
// is drawn into the back buffer, which stays as it is, and the same part of it is copied to the
// front (GLX_MESA_copy_sub_buffer, which such drivers have under X11; elsewhere frames are whole).
// Needs the window's context to be current. Main thread only.
#pragma once

#include <cstdint>

#include <imgui.h>

#include "app/window/damage.h"

struct GLFWwindow;

namespace app::window {

class GlScreen {
public:
    // After ImGui's OpenGL back end has begun.
    GlScreen();

    // Draws the frame on `ground` and shows it. What is left in `frame` afterwards is undefined.
    void show(GLFWwindow* window, ImDrawData& frame, ImU32 ground);

    // Whether it draws what differs from the frame before and no more.
    bool by_parts() const { return by_parts_; }

    // What is in the window is lost, it has another size, or all of it looks different: the next
    // frame is whole.
    void forget();
    void texture_changed(uint64_t texture);

private:
    void show_changes(GLFWwindow* window, ImDrawData& frame, ImU32 ground);

    // GLX's functions without its header: a display is a pointer, a drawable a number.
    struct Glx {
        void* (*display)() = nullptr;
        unsigned long (*drawable)() = nullptr;
        void (*copy_sub_buffer)(
            void* display, unsigned long drawable, int x, int y, int width, int height) = nullptr;
    };
    Glx glx_;
    bool by_parts_ = false;
    int width_ = 0, height_ = 0;  // of the last frame; 0 after forget()
    Damage damage_;               // used where by_parts_
};

}  // namespace app::window
