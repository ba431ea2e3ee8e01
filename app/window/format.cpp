#include "app/window/format.h"

#include <cmath>
#include <cstdio>

namespace app::window {

std::string fixed(double value, int decimals) {
    char text[64];
    std::snprintf(text, sizeof text, "%.*f", decimals, value);
    return text;
}

std::string with_commas(int64_t value) {
    std::string digits = std::to_string(value < 0 ? -value : value);
    for (int64_t at = static_cast<int64_t>(digits.size()) - 3; at > 0; at -= 3) {
        digits.insert(static_cast<size_t>(at), ",");
    }
    return value < 0 ? "-" + digits : digits;
}

std::string short_count(int64_t value) {
    if (value < 1000) {
        return std::to_string(value);
    }
    if (value < 999'950) {
        return fixed(value / 1000.0, 1) + "k";
    }
    return fixed(value / 1e6, 1) + "M";
}

std::string bytes_text(int64_t bytes) {
    static constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double value = static_cast<double>(bytes);
    int unit = 0;
    while (std::abs(value) >= 1024 && unit < 4) {
        value /= 1024;
        unit++;
    }
    const int decimals = unit == 0 || std::abs(value) >= 100 ? 0 : std::abs(value) >= 10 ? 1 : 2;
    return fixed(value, decimals) + " " + kUnits[unit];
}

std::string percent_text(double part) {
    return fixed(part * 100, part >= 0.9995 || part == 0 ? 0 : 1) + " %";
}

std::string seconds_text(double ms) {
    if (ms < 9'950) {
        return fixed(ms / 1000, ms < 1000 ? 2 : 1) + " s";
    }
    const auto seconds = static_cast<int64_t>(std::llround(ms / 1000));
    if (seconds < 60) {
        return std::to_string(seconds) + " s";
    }
    return std::to_string(seconds / 60) + " min " + std::to_string(seconds % 60) + " s";
}

}  // namespace app::window
