// The desktop window: GLFW, OpenGL 3 and ImGui on the main thread, the engine and the HTTP server
// on theirs.
#pragma once

namespace app {

struct Options;

// Opens the window and runs until it is closed; the program's exit status. Throws NoDisplay
// (app/window/no_display.h) before anything is loaded where no window can be opened.
int run_window(const Options& options);

}  // namespace app
