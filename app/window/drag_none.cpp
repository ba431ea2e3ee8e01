// Where there is no X11 to listen to: a drag is known when it is dropped.
#include "app/window/drag_watch.h"

namespace app::window {

struct DragWatch::State {};

DragWatch::DragWatch(GLFWwindow*, Events) {}
DragWatch::~DragWatch() = default;
void DragWatch::tick() {}

}  // namespace app::window
