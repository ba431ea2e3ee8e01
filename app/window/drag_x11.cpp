// XDND, watched. GLFW is called first for every message, so that its own handling stays as it is;
// the selection is asked for by a window of our own, which GLFW does not know and passes over.
//
// Source: the XDND protocol, version 5 (freedesktop.org); XESetWireToEvent of Xlib's extension
// interface.
#include "app/window/drag_watch.h"

#include <X11/Xatom.h>
#include <X11/Xlibint.h>
#undef min
#undef max

#include "app/window/uri_list.h"

// GLFW's header for these wants Xrandr's beside it.
extern "C" {
Display* glfwGetX11Display(void);
Window glfwGetX11Window(GLFWwindow* window);
}

namespace app::window {
namespace {

constexpr long kMostWords = 1 << 18;  // of an answer: 1 MiB; a longer one is not previewed

using Convert = Bool (*)(Display*, XEvent*, xEvent*);

// What the handlers, which are plain functions, write; there is one display.
struct Seen {
    Convert next_message = nullptr, next_selection = nullptr;
    Window target = 0, helper = 0;
    Atom enter = 0, position = 0, leave = 0, drop = 0, answer = 0;
    bool positioned = false, gone = false, answered = false, refused = false;
    Time time = 0;
};
Seen seen;

// Both run inside Xlib, under its lock: they note and nothing else.
Bool on_message(Display* display, XEvent* event, xEvent* wire) {
    const Bool known = seen.next_message(display, event, wire);
    if (known && event->xclient.window == seen.target) {
        const Atom type = event->xclient.message_type;
        if (type == seen.position) {
            seen.positioned = true;
            seen.time = static_cast<Time>(event->xclient.data.l[3]);
        } else if (type == seen.leave || type == seen.drop || type == seen.enter) {
            seen.gone = true;
            seen.positioned = false;
        }
    }
    return known;
}

Bool on_selection(Display* display, XEvent* event, xEvent* wire) {
    const Bool known = seen.next_selection(display, event, wire);
    if (known && event->xselection.requestor == seen.helper) {
        seen.answered = event->xselection.property == seen.answer;
        seen.refused = !seen.answered;
    }
    return known;
}

}  // namespace

struct DragWatch::State {
    Events events;
    Display* display = nullptr;
    Atom selection = 0, uri_list = 0, incremental = 0;
    bool asked = false, told = false;

    void leave() {
        asked = false;
        seen.answered = seen.refused = false;
        if (told) {
            told = false;
            events.gone();
        }
    }
    std::string take_answer() {
        Atom type = 0;
        int format = 0;
        unsigned long items = 0, left = 0;
        unsigned char* data = nullptr;
        std::string text;
        if (XGetWindowProperty(display, seen.helper, seen.answer, 0, kMostWords, True,
                               AnyPropertyType, &type, &format, &items, &left, &data) == Success &&
            data != nullptr) {
            if (format == 8 && left == 0 && type != incremental) {
                text.assign(reinterpret_cast<const char*>(data), items);
            }
            XFree(data);
        }
        return text;
    }
};

DragWatch::DragWatch(GLFWwindow* window, Events events) : state_(std::make_unique<State>()) {
    state_->events = std::move(events);
    Display* display = glfwGetX11Display();
    if (!display) {
        return;  // another window system
    }
    state_->display = display;
    const auto atom = [display](const char* name) { return XInternAtom(display, name, False); };
    seen.target = glfwGetX11Window(window);
    seen.enter = atom("XdndEnter");
    seen.position = atom("XdndPosition");
    seen.leave = atom("XdndLeave");
    seen.drop = atom("XdndDrop");
    seen.answer = atom("KEYHOLE_DRAGGED");
    state_->selection = atom("XdndSelection");
    state_->uri_list = atom("text/uri-list");
    state_->incremental = atom("INCR");
    seen.helper = XCreateSimpleWindow(display, DefaultRootWindow(display), -10, -10, 1, 1, 0, 0, 0);
    seen.next_message = XESetWireToEvent(display, ClientMessage, on_message);
    seen.next_selection = XESetWireToEvent(display, SelectionNotify, on_selection);
}

DragWatch::~DragWatch() {
    if (!state_->display) {
        return;
    }
    XESetWireToEvent(state_->display, ClientMessage, seen.next_message);
    XESetWireToEvent(state_->display, SelectionNotify, seen.next_selection);
    XDestroyWindow(state_->display, seen.helper);
    seen = {};
}

void DragWatch::tick() {
    State& state = *state_;
    if (!state.display) {
        return;
    }
    if (seen.gone) {
        seen.gone = false;
        state.leave();
    }
    if (seen.positioned && !state.asked) {
        state.asked = true;
        XConvertSelection(state.display, state.selection, state.uri_list, seen.answer, seen.helper,
                          seen.time);
        XFlush(state.display);
    }
    if (seen.answered) {
        seen.answered = false;
        const std::string list = state.take_answer();
        // An answer that comes after the pointer has left belongs to nobody.
        if (state.asked && !state.told) {
            if (const auto paths = paths_from_uri_list(list); !paths.empty()) {
                state.told = true;
                state.events.over(paths);
            }
        }
    }
}

}  // namespace app::window
