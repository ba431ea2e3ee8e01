// DragWatch: what is being dragged over the window, before it is dropped. On X11: GLFW speaks XDND
// itself and tells of the drop alone; this listens beside it, asks the source what it carries, and
// takes nothing away. Elsewhere it never says anything. Main thread; never waits for a source.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

struct GLFWwindow;

namespace app::window {

class DragWatch {
public:
    struct Events {
        std::function<void(const std::vector<std::string>&)> over;  // local paths, once per drag
        std::function<void()> gone;  // left or dropped; always after an over()
    };
    DragWatch(GLFWwindow* window, Events events);
    ~DragWatch();
    DragWatch(const DragWatch&) = delete;
    DragWatch& operator=(const DragWatch&) = delete;

    // After GLFW's events were taken in.
    void tick();

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace app::window
