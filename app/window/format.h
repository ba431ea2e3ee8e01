// Numbers for people.
#pragma once

#include <cstdint>
#include <string>

namespace app::window {

std::string with_commas(int64_t value);  // 41,670
std::string short_count(int64_t value);  // 950, 12.2k, 1.3M
std::string bytes_text(int64_t bytes);   // 0 B, 52.9 KiB, 1.87 GiB
std::string percent_text(double part);   // 98.7 %
std::string seconds_text(double ms);     // 0.41 s, 6.2 s, 1 min 12 s
std::string fixed(double value, int decimals);

}  // namespace app::window
