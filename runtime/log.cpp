#include "runtime/log.h"

#include <atomic>
#include <cstdio>
#include <mutex>

namespace runtime {
namespace {

std::atomic<LogLevel> current_level{LogLevel::warning};
std::mutex listener_mutex;
std::function<void(LogLevel, const std::string&)> listener;  // guarded by listener_mutex

const char* prefix(LogLevel level) {
    switch (level) {
        case LogLevel::error: return "error: ";
        case LogLevel::warning: return "warning: ";
        case LogLevel::info: return "";
        case LogLevel::debug: return "debug: ";
    }
    return "";
}

}  // namespace

void set_log_level(LogLevel level) {
    current_level = level;
}

bool parse_log_level(std::string_view text, LogLevel& level) {
    if (text == "error") {
        level = LogLevel::error;
    } else if (text == "warn" || text == "warning") {
        level = LogLevel::warning;
    } else if (text == "info") {
        level = LogLevel::info;
    } else if (text == "debug") {
        level = LogLevel::debug;
    } else {
        return false;
    }
    return true;
}

void set_log_listener(std::function<void(LogLevel, const std::string&)> new_listener) {
    const std::lock_guard lock(listener_mutex);
    listener = std::move(new_listener);
}

void log(LogLevel level, std::string_view message) {
    if (level > current_level) {
        return;
    }
    std::string line = prefix(level);
    for (const char c : message) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
            char escape[8];
            std::snprintf(escape, sizeof escape, "\\x%02x", static_cast<unsigned char>(c));
            line += escape;
        } else {
            line += c;
        }
    }
    std::fprintf(stderr, "%s\n", line.c_str());
    std::function<void(LogLevel, const std::string&)> to;
    {
        const std::lock_guard lock(listener_mutex);
        to = listener;
    }
    if (to) {
        to(level, line);
    }
}

}  // namespace runtime
