// keyhole: parses the command line, runs the command, and is one of the four places that catch:
// whatever a command throws becomes one line on standard error and an exit status. 0 success, 1
// failure, 2 wrong usage.
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <vector>

#include "app/cli/commands.h"
#include "app/options.h"
#include "app/window/no_display.h"
#include "app/window/window.h"
#include "runtime/log.h"

namespace {

int report(const std::string& message) {
    std::string line;
    for (const char c : message) {
        line += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
    std::fprintf(stderr, "keyhole: %s\n", line.c_str());
    return 1;
}

bool has_display() {
    for (const char* name : {"DISPLAY", "WAYLAND_DISPLAY"}) {
        const char* value = std::getenv(name);
        if (value != nullptr && *value != '\0') {
            return true;
        }
    }
    return false;
}

int run_window_or_serve(const app::Options& options) {
    std::string why = "neither DISPLAY nor WAYLAND_DISPLAY is set";
    if (has_display()) {
        try {
            return app::run_window(options);
        } catch (const app::NoDisplay& error) {
            why = error.what();
        }
    }
    std::fprintf(stderr,
                 "keyhole: no window can be opened (%s); starting the HTTP server instead\n",
                 why.c_str());
    return app::run_serve(options);
}

int run(const app::Options& options) {
    if (options.show_help) {
        std::fputs(app::help_text(options.command).c_str(), stdout);
        return 0;
    }
    if (options.show_version) {
        std::printf("keyhole %s\n", KEYHOLE_VERSION);
        return 0;
    }
    if (!options.log_level.empty()) {
        runtime::LogLevel level{};
        if (runtime::parse_log_level(options.log_level, level)) {
            runtime::set_log_level(level);
        }
    }
    switch (options.command) {
        case app::Command::window:
            return run_window_or_serve(options);
        case app::Command::serve:
            return app::run_serve(options);
        case app::Command::chat:
            return app::run_chat(options);
        case app::Command::inspect:
            return app::run_inspect(options);
        case app::Command::plan:
            return app::run_plan(options);
        case app::Command::eval:
            return app::run_eval(options);
        case app::Command::bench:
            return app::run_bench(options);
        case app::Command::synth:
            return app::run_synth(options);
        case app::Command::pack:
            return app::run_pack(options);
        case app::Command::pull:
            return report(
                "pull is not part of this version; download the GGUF and name it with -m");
    }
    return 1;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        const app::Options options =
            app::parse_options(std::vector<std::string>(argv + 1, argv + argc));
        const int status = run(options);
        // A full disk or a closed pipe must not pass for success.
        if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
            return report("standard output could not be written");
        }
        return status;
    } catch (const app::UsageError& error) {
        report(error.what());
        return 2;
    } catch (const std::bad_alloc&) {
        return report("out of memory");
    } catch (const std::exception& error) {
        return report(error.what());
    }
}
