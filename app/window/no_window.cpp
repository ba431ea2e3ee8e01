// In place of the window in a build without it (-DKEYHOLE_WINDOW=OFF): for servers, without GLFW
// and OpenGL.
#include "app/window/no_display.h"
#include "app/window/window.h"

namespace app {

int run_window(const Options&) {
    throw NoDisplay("this build has no window");
}

}  // namespace app
