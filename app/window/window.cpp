// The main thread: GLFW's events, ImGui's frames, and who owns whom. Frames are drawn for a reason
// (frame_clock.h); between them the thread sleeps in glfwWaitEventsTimeout and is woken by input
// or, through glfwPostEmptyEvent, by the engine.
#include "app/window/window.h"

#define GLFW_INCLUDE_NONE
#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>

#include <GLFW/glfw3.h>
#include <imgui.h>
#include <imgui_impl_glfw.h>
#include <imgui_impl_opengl3.h>

#include "app/options.h"
#include "app/paths.h"
#include "app/server/server.h"
#include "app/window/controller.h"
#include "app/window/drag_scan.h"
#include "app/window/drag_watch.h"
#include "app/window/frame_clock.h"
#include "app/window/gauge_feed.h"
#include "app/window/gl_textures.h"
#include "app/window/no_display.h"
#include "app/window/wake_ups.h"
#include "app/window/watchdog.h"
#include "runtime/log.h"

// GLFW is asked for the functions that are called here; a GL header would name them for the linker.
extern "C" {
void glViewport(int x, int y, int width, int height);
void glClearColor(float red, float green, float blue, float alpha);
void glClear(unsigned int mask);
}

namespace app {
namespace {

using window::AppState;
using window::Banner;
using window::Controller;
using window::FrameClock;

constexpr unsigned int kColourBuffer = 0x4000;  // GL_COLOR_BUFFER_BIT
constexpr double kStreamingInterval = 1.0 / 30, kInputInterval = 1.0 / 120, kPollInterval = 0.1;

volatile std::sig_atomic_t signalled = 0;

// What GLFW's callbacks reach through the window's user pointer.
struct Shell {
    FrameClock clock;
    Controller* controller = nullptr;
    bool rescale = false;
    struct Press {
        int key, mods;
    };
    std::vector<Press> presses;  // since the last frame
};

Shell& shell_of(GLFWwindow* window) {
    return *static_cast<Shell*>(glfwGetWindowUserPointer(window));
}

void on_key(GLFWwindow* window, int key, int, int action, int mods) {
    Shell& shell = shell_of(window);
    shell.clock.request();
    if (action == GLFW_PRESS && key >= 0) {
        shell.presses.push_back({key, mods});
    }
    if (action == GLFW_RELEASE || !shell.controller || (mods & GLFW_MOD_CONTROL) == 0 ||
        (mods & GLFW_MOD_ALT) != 0) {
        return;
    }
    switch (key) {
        case GLFW_KEY_EQUAL:
        case GLFW_KEY_KP_ADD:
            shell.controller->zoom(1);
            break;
        case GLFW_KEY_MINUS:
        case GLFW_KEY_KP_SUBTRACT:
            shell.controller->zoom(-1);
            break;
        case GLFW_KEY_0:
        case GLFW_KEY_KP_0:
            shell.controller->zoom(0);
            break;
        case GLFW_KEY_L:
            if ((mods & GLFW_MOD_SHIFT) == 0) {
                return;
            }
            shell.controller->settings().theme = window::name_of(
                window::next(window::theme_named(shell.controller->settings().theme)));
            window::set_theme(window::theme_named(shell.controller->settings().theme));
            break;
        case GLFW_KEY_N:
            shell.controller->new_conversation();
            return;
        case GLFW_KEY_O:
            shell.controller->open_chooser();
            return;
        case GLFW_KEY_B:
            shell.controller->toggle_sidebar();
            return;
        case GLFW_KEY_F:
            shell.controller->find_in_chat();
            return;
        default:
            return;
    }
    shell.rescale = true;
}

// Installed before ImGui's, which calls them in turn.
void install_callbacks(GLFWwindow* window) {
    glfwSetKeyCallback(window, on_key);
    glfwSetCharCallback(window, [](GLFWwindow* w, unsigned int) { shell_of(w).clock.request(); });
    glfwSetMouseButtonCallback(window,
                               [](GLFWwindow* w, int, int, int) { shell_of(w).clock.request(); });
    glfwSetCursorPosCallback(window,
                             [](GLFWwindow* w, double, double) { shell_of(w).clock.request(2); });
    glfwSetCursorEnterCallback(window, [](GLFWwindow* w, int) { shell_of(w).clock.request(); });
    glfwSetScrollCallback(window,
                          [](GLFWwindow* w, double, double) { shell_of(w).clock.request(); });
    glfwSetWindowFocusCallback(window, [](GLFWwindow* w, int) { shell_of(w).clock.request(); });
    glfwSetWindowRefreshCallback(window, [](GLFWwindow* w) { shell_of(w).clock.request(); });
    glfwSetFramebufferSizeCallback(window,
                                   [](GLFWwindow* w, int, int) { shell_of(w).clock.request(); });
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
    Display(int width, int height) {
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
        window = glfwCreateWindow(width, height, "Keyhole", nullptr, nullptr);
        if (!window) {
            const std::string reason = last_error();
            glfwTerminate();
            throw NoDisplay("no OpenGL 3 window: " + reason);
        }
        glfwSetWindowSizeLimits(window, 480, 360, GLFW_DONT_CARE, GLFW_DONT_CARE);
        glfwMakeContextCurrent(window);
        glfwSwapInterval(1);
    }

    void start_imgui() {
        ImGui::CreateContext();
        ImGui::GetIO().IniFilename = nullptr;
        ImGui_ImplGlfw_InitForOpenGL(window, true);
        ImGui_ImplOpenGL3_Init("#version 130");
        imgui_ = true;
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

    GLFWwindow* window = nullptr;

private:
    static std::string& last_error() {
        static std::string text;
        return text;
    }
    bool imgui_ = false;
};

void rebuild_fonts(AppState& state, float scale) {
    window::build_fonts(state.fonts, scale);
    window::apply_style(scale);
    ImGui_ImplOpenGL3_DestroyFontsTexture();
    ImGui_ImplOpenGL3_CreateFontsTexture();
}

// ImGui 1.86 looks at keys once a frame: one that went down and up again between two frames would
// be lost. This holds it down for the frame, with the modifiers it came with. Later versions queue
// their input.
class HeldPresses {
public:
    explicit HeldPresses(std::vector<Shell::Press>& presses) {
#if IMGUI_VERSION_NUM < 18700
        ImGuiIO& io = ImGui::GetIO();
        ctrl_ = io.KeyCtrl;
        shift_ = io.KeyShift;
        for (const Shell::Press& press : presses) {
            const auto key = static_cast<size_t>(press.key);
            if (key < std::size(io.KeysDown) && !io.KeysDown[key]) {
                io.KeysDown[key] = true;
                held_.push_back(key);
                io.KeyCtrl = io.KeyCtrl || (press.mods & GLFW_MOD_CONTROL) != 0;
                io.KeyShift = io.KeyShift || (press.mods & GLFW_MOD_SHIFT) != 0;
            }
        }
#endif
        presses.clear();
    }
    ~HeldPresses() {
#if IMGUI_VERSION_NUM < 18700
        ImGuiIO& io = ImGui::GetIO();
        for (const size_t key : held_) {
            io.KeysDown[key] = false;
        }
        io.KeyCtrl = ctrl_;
        io.KeyShift = shift_;
#endif
    }
    HeldPresses(const HeldPresses&) = delete;
    HeldPresses& operator=(const HeldPresses&) = delete;

private:
    std::vector<size_t> held_;
    bool ctrl_ = false, shift_ = false;
};

void draw_frame(GLFWwindow* window, AppState& state, std::vector<Shell::Press>& presses) {
    const HeldPresses held(presses);
    ImGui_ImplOpenGL3_NewFrame();
    ImGui_ImplGlfw_NewFrame();
    ImGui::NewFrame();
    {
        const window::Timed timed("views");
        window::draw_window(state);
        ImGui::Render();
    }
    int width = 0, height = 0;
    glfwGetFramebufferSize(window, &width, &height);
    glViewport(0, 0, width, height);
    const ImVec4 ground = ImGui::ColorConvertU32ToFloat4(window::colour::kBackground);
    glClearColor(ground.x, ground.y, ground.z, 1);
    glClear(kColourBuffer);
    ImGui_ImplOpenGL3_RenderDrawData(ImGui::GetDrawData());
    glfwSwapBuffers(window);
}

// The server at the wanted port; where that is taken, at a free one, and the person is told.
std::unique_ptr<Server> start_server(runtime::EngineThread& engine,
                                     const Options& options,
                                     Controller& controller,
                                     AppState& state) {
    ServerOptions wanted = ServerOptions::from(options);
    std::string reason;
    for (int attempt = 0; attempt < 2; attempt++) {
        try {
            auto server = std::make_unique<Server>(engine, wanted);
            server->start();
            state.server.address = wanted.host + ":" + std::to_string(server->port());
            if (attempt > 0) {
                controller.banner(Banner::Kind::warning, reason + ". The HTTP server uses port " +
                                                             std::to_string(server->port()) +
                                                             " instead.");
            }
            return server;
        } catch (const std::exception& error) {
            reason = attempt == 0 ? error.what() : reason;
            wanted.port = 0;
        }
    }
    controller.banner(Banner::Kind::error, "The HTTP server did not start: " + reason);
    return nullptr;
}

// For tests and for whoever asks why: the first frame, then every one, and who made one late.
void note_frame(uint64_t count) {
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
    runtime::log(LogLevel::debug, "frame " + std::to_string(count));
}

void run_loop(Display& display,
              Shell& shell,
              AppState& state,
              const window::GlyphCache& glyph_cache,
              Controller& controller,
              window::DragScan& drag,
              window::DragWatch& dragged,
              window::WakeUps& wakes) {
    GLFWwindow* window = display.window;
    FrameClock& clock = shell.clock;
    double last_blink = -1, noted_copy = 0;
    window::GaugeFeed gauge;
    while (!glfwWindowShouldClose(window) && !signalled) {
        const bool iconified = glfwGetWindowAttrib(window, GLFW_ICONIFIED) != 0;
        const bool focused = glfwGetWindowAttrib(window, GLFW_FOCUSED) != 0;
        const double interval = state.generation.busy() ? kStreamingInterval : kInputInterval;
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
            glfwWaitEventsTimeout(wait);
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
        const float scale =
            display.content_scale() * static_cast<float>(controller.settings().zoom);
        if (shell.rescale || scale != state.fonts.scale) {
            shell.rescale = false;
            const window::Timed timed("fonts");
            rebuild_fonts(state, scale);
            clock.request();
        }
        if (!iconified && clock.due(now, interval)) {
            draw_frame(window, state, shell.presses);
            state.frame_time = now;
            clock.drawn(now);
            if (state.wants_frame) {
                clock.request(1);
            }
            note_frame(clock.frames());
        }
    }
}

}  // namespace

int run_window(const Options& options) {
    std::string ignored;
    const Settings settings = load_settings(settings_path(), ignored);
    Display display(static_cast<int>(settings.window_width),
                    static_cast<int>(settings.window_height));
    Shell shell;
    glfwSetWindowUserPointer(display.window, &shell);
    install_callbacks(display.window);
    display.start_imgui();

    AppState state;
    state.demo_hint = kRealModelHint;
    window::set_theme(window::theme_named(settings.theme));
    rebuild_fonts(state, display.content_scale() * static_cast<float>(settings.zoom));

    window::WakeUps wakes([] { return glfwGetTime(); }, [] { glfwPostEmptyEvent(); });
    const auto wake = [&wakes] { wakes.wake(); };
    window::GlTextures textures;
    window::GlyphCache glyph_cache(textures, wake);
    runtime::EngineThread engine(wake);
    {
        const auto demo = demo_model();
        Controller controller(state, engine, options.engine,
                              {settings_path(), conversations_path(), models_folder(),
                               demo ? *demo : std::filesystem::path(), cache_folder()},
                              {wake, [&](const std::string& text) {
                                   glfwSetClipboardString(display.window, text.c_str());
                               }});
        shell.controller = &controller;
        const std::unique_ptr<Server> server = start_server(engine, options, controller, state);
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
        run_loop(display, shell, state, glyph_cache, controller, drag, dragged, wakes);

        int width = 0, height = 0;
        glfwGetWindowSize(display.window, &width, &height);
        const float content_scale = display.content_scale();
        controller.settings().window_width = std::lround(static_cast<float>(width) / content_scale);
        controller.settings().window_height =
            std::lround(static_cast<float>(height) / content_scale);
        if (server) {
            server->refuse_new_work();
            server->stop();
        }
        shell.controller = nullptr;
    }
    engine.stop();
    runtime::log(runtime::LogLevel::info, "frames drawn: " + std::to_string(shell.clock.frames()));
    return 0;
}

}  // namespace app
