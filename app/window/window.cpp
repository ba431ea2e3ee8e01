// The main thread: GLFW's events, ImGui's frames, and who owns whom. Frames are drawn for a reason
// (frame_clock.h); between them the thread sleeps in glfwWaitEventsTimeout and is woken by input
// or, through glfwPostEmptyEvent, by the engine.
#include "app/window/window.h"

#define GLFW_INCLUDE_NONE
#include <algorithm>
#include <cctype>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include <GLFW/glfw3.h>
#include <imgui.h>
#include <imgui_impl_glfw.h>
#include <imgui_impl_opengl3.h>

#include "app/options.h"
#include "app/paths.h"
#include "app/settings.h"
#include "app/thread_priority.h"
#include "app/window/commands.h"
#include "app/window/compat.h"
#include "app/window/controller.h"
#include "app/window/drag_scan.h"
#include "app/window/drag_watch.h"
#include "app/window/face_builder.h"
#include "app/window/format.h"
#include "app/window/frame_clock.h"
#include "app/window/gauge_feed.h"
#include "app/window/gl_screen.h"
#include "app/window/gl_textures.h"
#include "app/window/no_display.h"
#include "app/window/single_instance.h"
#include "app/window/typed_text.h"
#include "app/window/wake_ups.h"
#include "app/window/watchdog.h"
#include "app/window/window_icon.h"
#include "runtime/log.h"

namespace app {
namespace {

using window::AppState;
using window::Banner;
using window::Controller;
using window::FrameClock;

// Frames that are drawn by parts cost little, but for the one that scrolls or opens a page: more of
// them leave it more time before it is late.
constexpr double kStreamingInterval = 1.0 / 30, kStreamingPartsInterval = 1.0 / 60;
constexpr double kInputInterval = 1.0 / 120, kPollInterval = 0.1;

// Of nice: the engine's threads behind the one that draws, or behind those that draw every pixel,
// which need nearly all of a core for the time of a frame.
constexpr int kEngineStepsBehind = 5, kEngineStepsBehindPixels = 10;
constexpr uint64_t kDrawingTurn = 100'000;  // ns

volatile std::sig_atomic_t signalled = 0;

// What GLFW's callbacks reach through the window's user pointer.
struct Shell {
    FrameClock clock;
    Controller* controller = nullptr;
    AppState* state = nullptr;
    window::GlScreen* screen = nullptr;
    bool rescale = false;
    std::vector<window::KeyPress> presses;  // since the last frame

    void draw_whole() {
        clock.request();
        if (screen) {
            screen->forget();
        }
    }
};

Shell& shell_of(GLFWwindow* window) {
    return *static_cast<Shell*>(glfwGetWindowUserPointer(window));
}

// What is printed on a key, as shortcuts name it; keys of the number block count as their signs.
int letter_of(int key, int scancode) {
    switch (key) {
        case GLFW_KEY_KP_ADD:
            return '=';
        case GLFW_KEY_KP_SUBTRACT:
            return '-';
        case GLFW_KEY_KP_0:
            return '0';
        default:
            break;
    }
    const char* name = glfwGetKeyName(key, scancode);
    if (name != nullptr && name[0] > ' ' && name[0] < 127 && name[1] == 0) {
        return name[0] == '+' ? '=' : std::toupper(static_cast<unsigned char>(name[0]));
    }
    return key;
}

void on_key(GLFWwindow* window, int key, int scancode, int action, int mods) {
    Shell& shell = shell_of(window);
    shell.clock.request();
    if (action == GLFW_PRESS && key >= 0) {
        shell.presses.push_back(
            {key, (mods & GLFW_MOD_CONTROL) != 0, (mods & GLFW_MOD_SHIFT) != 0});
    }
    if (action == GLFW_RELEASE || !shell.controller || !shell.state ||
        (mods & GLFW_MOD_CONTROL) == 0 || (mods & GLFW_MOD_ALT) != 0) {
        return;
    }
    run_shortcut(*shell.state, {letter_of(key, scancode), true, (mods & GLFW_MOD_SHIFT) != 0});
}

// Installed before ImGui's, which calls them in turn.
void install_callbacks(GLFWwindow* window) {
    glfwSetKeyCallback(window, on_key);
    glfwSetCharCallback(window, [](GLFWwindow* w, unsigned int character) {
        window::note_typed(character);
        shell_of(w).clock.request();
    });
    glfwSetMouseButtonCallback(window,
                               [](GLFWwindow* w, int, int, int) { shell_of(w).clock.request(); });
    glfwSetCursorPosCallback(window,
                             [](GLFWwindow* w, double, double) { shell_of(w).clock.request(2); });
    glfwSetCursorEnterCallback(window, [](GLFWwindow* w, int) { shell_of(w).clock.request(); });
    glfwSetScrollCallback(window,
                          [](GLFWwindow* w, double, double) { shell_of(w).clock.request(); });
    glfwSetWindowFocusCallback(window, [](GLFWwindow* w, int) { shell_of(w).clock.request(); });
    // Another window was in front of it.
    glfwSetWindowRefreshCallback(window, [](GLFWwindow* w) { shell_of(w).draw_whole(); });
    glfwSetFramebufferSizeCallback(window,
                                   [](GLFWwindow* w, int, int) { shell_of(w).draw_whole(); });
    glfwSetWindowContentScaleCallback(window, [](GLFWwindow* w, float, float) {
        shell_of(w).rescale = true;
        shell_of(w).clock.request();
    });
    glfwSetDropCallback(window, [](GLFWwindow* w, int count, const char** paths) {
        Shell& shell = shell_of(w);
        shell.clock.request();
        if (shell.controller) {
            shell.controller->attach(std::vector<std::string>(paths, paths + count));
        }
    });
}

// GLFW, the window, its GL context and ImGui, taken down in the opposite order.
class Display {
public:
    explicit Display(const Settings& settings) {
        // A display server that refuses says so through this callback, as a line of its own.
        glfwSetErrorCallback([](int, const char* text) { last_error() = text; });
#ifdef GLFW_PLATFORM
        // Where both are there, X11: fractional scales and drops from file managers work there
        // today.
        if (const char* display = std::getenv("DISPLAY");
            display && *display && glfwPlatformSupported(GLFW_PLATFORM_X11)) {
            glfwInitHint(GLFW_PLATFORM, GLFW_PLATFORM_X11);
        }
#endif
        if (!glfwInit()) {
            throw NoDisplay(last_error().empty() ? "no display" : last_error());
        }
        glfwWindowHint(GLFW_CONTEXT_VERSION_MAJOR, 3);
        glfwWindowHint(GLFW_CONTEXT_VERSION_MINOR, 0);
        glfwWindowHint(GLFW_SCALE_TO_MONITOR, GLFW_TRUE);
        glfwWindowHint(GLFW_VISIBLE, GLFW_FALSE);
        window =
            glfwCreateWindow(static_cast<int>(settings.window_width),
                             static_cast<int>(settings.window_height), "Keyhole", nullptr, nullptr);
        if (!window) {
            const std::string reason = last_error();
            glfwTerminate();
            throw NoDisplay("no OpenGL 3 window: " + reason);
        }
        glfwSetWindowSizeLimits(window, 400, 300, GLFW_DONT_CARE, GLFW_DONT_CARE);
        set_icon();
        restore_place(settings);
        glfwShowWindow(window);
        glfwMakeContextCurrent(window);
        glfwSwapInterval(1);
    }

    void start_imgui() {
        ImGui::CreateContext();
        ImGui::GetIO().IniFilename = nullptr;
        ImGui_ImplGlfw_InitForOpenGL(window, true);
        ImGui_ImplOpenGL3_Init("#version 130");
        imgui_ = true;
        screen.emplace();
    }

    ~Display() {
        if (imgui_) {
            ImGui_ImplOpenGL3_Shutdown();
            ImGui_ImplGlfw_Shutdown();
            ImGui::DestroyContext();
        }
        glfwDestroyWindow(window);
        glfwTerminate();
    }
    Display(const Display&) = delete;
    Display& operator=(const Display&) = delete;

    float content_scale() const {
        float x = 1, y = 1;
        glfwGetWindowContentScale(window, &x, &y);
        return std::clamp(std::max(x, y), 0.5F, 4.0F);
    }

    // Where and how large the window is, for the next start. While it fills the screen the size
    // it had before counts.
    void note_place(Settings& settings) const {
        settings.window_maximized = glfwGetWindowAttrib(window, GLFW_MAXIMIZED) != 0;
        if (settings.window_maximized || glfwGetWindowAttrib(window, GLFW_ICONIFIED) != 0) {
            return;
        }
        int x = 0, y = 0, width = 0, height = 0;
        glfwGetWindowPos(window, &x, &y);
        glfwGetWindowSize(window, &width, &height);
        const float scale = content_scale();
        settings.window_x = x;
        settings.window_y = y;
        settings.window_width = std::lround(static_cast<float>(width) / scale);
        settings.window_height = std::lround(static_cast<float>(height) / scale);
    }

    GLFWwindow* window = nullptr;
    std::optional<window::GlScreen> screen;  // from start_imgui() on

private:
    // In the sizes that window lists and task bars ask for; they are copied.
    void set_icon() {
        std::vector<std::vector<unsigned char>> pixels;
        std::vector<GLFWimage> images;
        for (const int size : {16, 32, 48, 128}) {
            pixels.push_back(window::window_icon(size));
            images.push_back({size, size, pixels.back().data()});
        }
        glfwSetWindowIcon(window, static_cast<int>(images.size()), images.data());
    }

    // Only onto a monitor that is there: the one it was on may be unplugged. Never larger than that
    // or, where nothing is known of a place, than the first one.
    void restore_place(const Settings& settings) {
        int count = 0;
        GLFWmonitor** monitors = glfwGetMonitors(&count);
        int most_width = 0, most_height = 0;
        for (int i = 0; i < count; i++) {
            int x = 0, y = 0, width = 0, height = 0;
            glfwGetMonitorWorkarea(monitors[i], &x, &y, &width, &height);
            const bool here = settings.window_x >= x - 40 && settings.window_x < x + width - 80 &&
                              settings.window_y >= y && settings.window_y < y + height - 80;
            if (here || i == 0) {
                most_width = width;
                most_height = height;
            }
            if (here) {
                glfwSetWindowPos(window, static_cast<int>(settings.window_x),
                                 static_cast<int>(settings.window_y));
                break;
            }
        }
        int width = 0, height = 0;
        glfwGetWindowSize(window, &width, &height);
        if (most_width > 0 && most_height > 0 && (width > most_width || height > most_height)) {
            glfwSetWindowSize(window, std::min(width, most_width), std::min(height, most_height));
        }
        if (settings.window_maximized) {
            glfwMaximizeWindow(window);
        }
    }

    static std::string& last_error() {
        static std::string text;
        return text;
    }
    bool imgui_ = false;
};

// What of the settings decides how everything is drawn.
struct Look {
    std::string theme;
    window::FontChoice fonts;
    float scale = 0;
    bool operator==(const Look&) const = default;
};

Look look_of(const Settings& settings, const Display& display) {
    return {settings.theme,
            {settings.text_font, settings.code_font},
            display.content_scale() * static_cast<float>(settings.zoom)};
}

// The look of the first frame.
void begin_look(const Look& look, AppState& state) {
    window::set_theme(window::theme_named(look.theme));
    window::apply_style(look.scale);
    window::build_fonts(state.fonts, look.scale, look.fonts);
}

// Another theme is there at once; other faces are made while the window goes on with those it has.
// What was laid out in the colours of before is laid out again.
void change_look(const Look& look,
                 const Look& before,
                 AppState& state,
                 window::FaceBuilder& faces) {
    window::set_theme(window::theme_named(look.theme));
    window::apply_style(state.fonts.scale);
    state.fonts.generation++;
    if (look.scale != before.scale || look.fonts != before.fonts) {
        faces.ask(look.scale, look.fonts);
    }
}

void take_faces(AppState& state, window::GlScreen& screen) {
    window::apply_style(state.fonts.scale);
    ImGui_ImplOpenGL3_DestroyFontsTexture();
    ImGui_ImplOpenGL3_CreateFontsTexture();
    screen.forget();
}

void draw_frame(Display& display, AppState& state, std::vector<window::KeyPress>& presses) {
    const window::HeldKeys held(presses);
    presses.clear();
    ImGui_ImplOpenGL3_NewFrame();
    ImGui_ImplGlfw_NewFrame();
    ImGui::NewFrame();
    {
        const window::Timed timed("views");
        window::draw_window(state);
        ImGui::Render();
        window::forget_typed();
    }
    display.screen->show(display.window, *ImGui::GetDrawData(), window::colour::kBackground);
}

// What the main thread has had of the processor.
double processor_ms() {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) / 1e6;
}

// When the last frame was on screen, and how long the thread slept since then with nothing to draw.
struct FrameEnd {
    double at_ms = 0, processor_ms = 0, idle_ms = 0;
};

// For tests and for whoever asks why: the first frame, then every one - how long after the last,
// and how much of that the main thread worked or had nothing to do - and who made one late.
void note_frame(uint64_t count, FrameEnd& last) {
    const FrameEnd now{glfwGetTime() * 1e3, processor_ms()};
    const FrameEnd before = std::exchange(last, now);
    using runtime::LogLevel;
    const auto late = window::Watchdog::instance().take_late();
    if (count == 1) {
        runtime::log(LogLevel::info, "first frame drawn");
        return;  // fonts and first layouts: not a frame like others
    }
#ifdef NDEBUG
    constexpr LogLevel level = LogLevel::debug;
#else
    constexpr LogLevel level = LogLevel::warning;
#endif
    if (!late.empty()) {
        runtime::log(level, late_text(late));
    }
    runtime::log(LogLevel::debug,
                 "frame " + std::to_string(count) + ": " +
                     window::fixed(now.at_ms - before.at_ms, 1) + " ms after the last, of which " +
                     window::fixed(now.processor_ms - before.processor_ms, 1) + " ms of work and " +
                     window::fixed(before.idle_ms, 1) + " ms with nothing to draw");
}

void open_request(Controller& controller, window::SingleInstance::Request request) {
    if (!request.model.empty()) {
        controller.load_model(request.model);
        controller.attach_when_loaded(std::move(request.paths));
    } else if (!request.paths.empty()) {
        controller.attach(request.paths);
    }
}

void run_loop(Display& display,
              Shell& shell,
              AppState& state,
              const window::GlyphCache& glyph_cache,
              window::FaceBuilder& faces,
              Controller& controller,
              window::DragScan& drag,
              window::DragWatch& dragged,
              window::WakeUps& wakes,
              window::SingleInstance& instance,
              Look look) {
    GLFWwindow* window = display.window;
    FrameClock& clock = shell.clock;
    double last_blink = -1, noted_copy = 0;
    window::GaugeFeed gauge;
    FrameEnd frame_end;
    while (!glfwWindowShouldClose(window) && !signalled) {
        const bool iconified = glfwGetWindowAttrib(window, GLFW_ICONIFIED) != 0;
        const bool focused = glfwGetWindowAttrib(window, GLFW_FOCUSED) != 0;
        const double interval = !state.generation.busy()     ? kInputInterval
                                : display.screen->by_parts() ? kStreamingPartsInterval
                                                             : kStreamingInterval;
        const bool blinks = state.wants_caret && focused && !iconified;
        // The views use ImGui's clock, which starts with the first frame; GLFW's runs beside it at
        // a fixed distance.
        const double offset = state.frame_time - ImGui::GetTime();
        double wait = iconified ? FrameClock::kLongest
                                : clock.wait(glfwGetTime(), interval,
                                             blinks ? state.caret_since + offset : -1);
        if (state.packing.active || state.drag.active ||
            state.model.state == window::ModelView::State::loading) {
            wait = std::min(wait, kPollInterval);
        }
        wait = std::min(wait, wakes.longest_sleep(glfwGetTime()));
        if (wait > 0) {
            const bool idle = !clock.pending();
            const double since = glfwGetTime();
            glfwWaitEventsTimeout(wait);
            if (idle) {
                // To the moment that something called for a frame, not to when the thread ran
                // again.
                const double woken = wakes.last();
                const double until = std::min(glfwGetTime(), since + wait);
                frame_end.idle_ms +=
                    ((woken > since ? std::min(woken, until) : until) - since) * 1e3;
            }
        } else {
            glfwPollEvents();
        }
        {
            const window::Timed timed("news from the engine and the workers");
            if (const int frames = controller.tick(); frames > 0) {
                clock.request(frames);
            }
            dragged.tick();
            if (drag.tick()) {
                clock.request(1);
            }
            if (gauge.tick(state, glfwGetTime())) {
                clock.request(1);
            }
            for (window::SingleInstance::Request& request : instance.take()) {
                open_request(controller, std::move(request));
                glfwRestoreWindow(window);
                glfwFocusWindow(window);
                glfwRequestWindowAttention(window);
                clock.request();
            }
        }
        if (glyph_cache.has_news()) {
            clock.request(2);
        }
        const double now = glfwGetTime();
        const double blink =
            blinks ? std::floor((now - offset - state.caret_since) / FrameClock::kBlink) : -1;
        if (blink != last_blink) {
            last_blink = blink;
            clock.request(1);
        }
        if (noted_copy != state.copied_until && now - offset >= state.copied_until) {
            noted_copy = state.copied_until;
            clock.request(1);
        }
        if (Look wanted = look_of(controller.settings(), display);
            shell.rescale || !(wanted == look)) {
            shell.rescale = false;
            const window::Timed timed("another look");
            change_look(wanted, look, state, faces);
            look = std::move(wanted);
            clock.request();
        }
        if (faces.take(state.fonts)) {
            const window::Timed timed("the texture of other faces");
            take_faces(state, *display.screen);
            clock.request();
        }
        if (!iconified && clock.due(now, interval)) {
            draw_frame(display, state, shell.presses);
            state.frame_time = now;
            clock.drawn(now);
            if (state.wants_frame) {
                clock.request(1);
            }
            note_frame(clock.frames(), frame_end);
        }
    }
}

std::string display_name() {
    for (const char* name : {"DISPLAY", "WAYLAND_DISPLAY"}) {
        if (const char* value = std::getenv(name); value && *value) {
            return value;
        }
    }
    return "";
}

window::SingleInstance::Request request_of(const Options& options) {
    const auto absolute = [](const std::string& path) {
        std::error_code error;
        const auto whole = std::filesystem::absolute(path, error);
        return error ? path : whole.string();
    };
    window::SingleInstance::Request request;
    request.model = options.model.empty() ? "" : absolute(options.model);
    for (const std::string& path : options.folders) {
        request.paths.push_back(absolute(path));
    }
    return request;
}

}  // namespace

int run_window(const Options& options) {
    std::string ignored;
    const Settings settings = load_settings(settings_path(), ignored);
    // A window that is there already is given what this one was to open.
    const std::filesystem::path folder = conversations_path().parent_path();
    const std::string screen = display_name();
    if (!screen.empty() && window::SingleInstance::hand_over(folder, screen, request_of(options))) {
        std::fprintf(stderr, "keyhole: opened in the window that is already there\n");
        return 0;
    }
    // A software renderer's threads are started with the display, and have the same turns.
    set_thread_turn(kDrawingTurn);
    Display display(settings);
    Shell shell;
    glfwSetWindowUserPointer(display.window, &shell);
    install_callbacks(display.window);
    display.start_imgui();
    shell.screen = &*display.screen;

    AppState state;
    state.demo_hint = kRealModelHint;
    const Look look = look_of(settings, display);
    begin_look(look, state);

    window::WakeUps wakes([] { return glfwGetTime(); }, [] { glfwPostEmptyEvent(); });
    const auto wake = [&wakes] { wakes.wake(); };
    window::GlTextures textures(
        [&](uint64_t texture) { display.screen->texture_changed(texture); });
    window::GlyphCache glyph_cache(textures, wake);
    window::FaceBuilder faces(wake);
    window::SingleInstance instance(folder, screen, wake);
    // The engine's threads have their priority from the one that starts it: where the picture is
    // drawn on the cores that decode, a frame is not to wait for their turn.
    std::optional<runtime::EngineThread> started;
    std::thread([&] {
        lower_thread_priority(display.screen->by_parts() ? kEngineStepsBehindPixels
                                                         : kEngineStepsBehind);
        started.emplace(wake);
    }).join();
    runtime::EngineThread& engine = *started;
    {
        const auto demo = demo_model();
        Controller controller(state, engine, options,
                              {settings_path(), conversations_path(), models_folder(),
                               demo ? *demo : std::filesystem::path(), cache_folder()},
                              {wake, [&](const std::string& text) {
                                   glfwSetClipboardString(display.window, text.c_str());
                               }});
        shell.controller = &controller;
        shell.state = &state;
        controller.start_server();
        signalled = 0;
        for (const int signal : {SIGINT, SIGTERM}) {
            std::signal(signal, [](int) { signalled = 1; });
        }
        controller.open_first_model(options.model);
        controller.attach_when_loaded(options.folders);
        window::DragScan drag(state, engine, cache_folder(), wake);
        window::DragWatch dragged(display.window, {[&](const std::vector<std::string>& paths) {
                                                       drag.begin(paths);
                                                       shell.clock.request();
                                                   },
                                                   [&] {
                                                       drag.end();
                                                       shell.clock.request();
                                                   }});
        run_loop(display, shell, state, glyph_cache, faces, controller, drag, dragged, wakes,
                 instance, look);
        display.note_place(controller.settings());
        shell.controller = nullptr;
    }
    engine.stop();
    runtime::log(runtime::LogLevel::info, "frames drawn: " + std::to_string(shell.clock.frames()));
    return 0;
}

}  // namespace app
