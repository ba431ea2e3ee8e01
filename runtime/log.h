// One line per event, to standard error and to whoever listens (the window's log). Any thread.
// Text from outside is neutralised: control characters become visible escapes, so nobody can forge a line.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace runtime {

enum class LogLevel { error, warning, info, debug };

void set_log_level(LogLevel level);                                             // default: warning
bool parse_log_level(std::string_view text, LogLevel& level);                   // "error", "warn"/"warning", "info", "debug"
void set_log_listener(std::function<void(LogLevel, const std::string& line)> listener);  // called under no lock of ours
void log(LogLevel level, std::string_view message);

}  // namespace runtime
