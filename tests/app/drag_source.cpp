// A drag source for tests: `drag_source WINDOW HOW TEXT`. Owns XdndSelection, moves over the window
// for 1.5 s and then drops, as a file manager would. HOW: "drop"; "leave" goes away instead; "mute"
// never answers for what it carries; "late" answers after it has left. Prints what happened and
// when.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

#include <X11/Xatom.h>
#include <X11/Xlib.h>

namespace {

double now() {
    return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch())
        .count();
}

void say(const char* what) {
    std::printf("%.3f %s\n", now(), what);
    std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 4) {
        std::fprintf(stderr, "drag_source WINDOW drop|leave|mute|late TEXT\n");
        return 2;
    }
    Display* display = XOpenDisplay(nullptr);
    if (!display) {
        std::fprintf(stderr, "no display\n");
        return 1;
    }
    const Window target = std::strtoul(argv[1], nullptr, 0);
    const std::string how = argv[2], text = std::string(argv[3]) + "\r\n";
    const Window self =
        XCreateSimpleWindow(display, DefaultRootWindow(display), 0, 0, 1, 1, 0, 0, 0);
    const auto atom = [display](const char* name) { return XInternAtom(display, name, False); };
    const Atom selection = atom("XdndSelection"), uri_list = atom("text/uri-list");
    XSetSelectionOwner(display, selection, self, CurrentTime);
    const auto send = [&](const char* type, long a, long b, long c, long d) {
        XEvent event = {};
        event.xclient.type = ClientMessage;
        event.xclient.window = target;
        event.xclient.message_type = atom(type);
        event.xclient.format = 32;
        event.xclient.data.l[0] = static_cast<long>(self);
        event.xclient.data.l[1] = a;
        event.xclient.data.l[2] = b;
        event.xclient.data.l[3] = c;
        event.xclient.data.l[4] = d;
        XSendEvent(display, target, False, NoEventMask, &event);
        XFlush(display);
    };
    Window child = 0;
    int x0 = 0, y0 = 0;
    XTranslateCoordinates(display, target, DefaultRootWindow(display), 0, 0, &x0, &y0, &child);
    send("XdndEnter", 5L << 24, static_cast<long>(uri_list), 0, 0);
    say("enter");
    const double began = now();
    double last = 0;
    bool ended = false, finished = false;
    XEvent held = {};
    bool has_held = false;
    const auto answer = [&](const XSelectionRequestEvent& request) {
        XChangeProperty(display, request.requestor, request.property, request.target, 8,
                        PropModeReplace, reinterpret_cast<const unsigned char*>(text.data()),
                        static_cast<int>(text.size()));
        XEvent reply = {};
        reply.xselection.type = SelectionNotify;
        reply.xselection.requestor = request.requestor;
        reply.xselection.selection = request.selection;
        reply.xselection.target = request.target;
        reply.xselection.property = request.property;
        reply.xselection.time = request.time;
        XSendEvent(display, request.requestor, False, NoEventMask, &reply);
        XFlush(display);
        say("answered");
    };
    for (int step = 0; now() - began < 4 && !finished; step++) {
        if (!ended && now() - last > 0.05) {
            last = now();
            send("XdndPosition", 0, (x0 + 200L + step % 50) << 16 | (y0 + 200L), CurrentTime,
                 static_cast<long>(atom("XdndActionCopy")));
        }
        if (!ended && now() - began > 1.5) {
            ended = true;
            if (how == "drop") {
                send("XdndDrop", 0, CurrentTime, 0, 0);
                say("drop");
            } else {
                send("XdndLeave", 0, 0, 0, 0);
                say("leave");
                if (has_held && how == "late") {
                    std::this_thread::sleep_for(std::chrono::milliseconds(200));
                    answer(held.xselectionrequest);
                }
            }
        }
        while (XPending(display) > 0) {
            XEvent event = {};
            XNextEvent(display, &event);
            if (event.type == SelectionRequest) {
                if (how == "late" && !ended) {
                    held = event;
                    has_held = true;
                } else if (how != "mute") {
                    answer(event.xselectionrequest);
                }
            } else if (event.type == ClientMessage &&
                       event.xclient.message_type == atom("XdndFinished")) {
                say((event.xclient.data.l[1] & 1) != 0 ? "finished, accepted"
                                                       : "finished, refused");
                finished = true;
            }
        }
        if (ended && how != "drop" && now() - began > 2.2) {
            break;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    XCloseDisplay(display);
    return 0;
}
