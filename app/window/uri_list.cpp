#include "app/window/uri_list.h"

#include <algorithm>

#include <unistd.h>

namespace app::window {
namespace {

int hex_digit(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

// Nothing where a percent sign is followed by no number, or by zero.
std::string decoded(std::string_view text) {
    std::string out;
    for (size_t i = 0; i < text.size(); i++) {
        if (text[i] != '%') {
            out += text[i];
            continue;
        }
        const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
        const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
        if (high < 0 || low < 0 || high + low == 0) {
            return "";
        }
        out += static_cast<char>(high * 16 + low);
        i += 2;
    }
    return out;
}

bool is_here(std::string_view host) {
    char name[256] = {};
    return host.empty() || host == "localhost" ||
           (::gethostname(name, sizeof name - 1) == 0 && host == name);
}

}  // namespace

std::vector<std::string> paths_from_uri_list(std::string_view list) {
    constexpr std::string_view kScheme = "file://";
    std::vector<std::string> paths;
    for (size_t at = 0; at < list.size() && paths.size() < kMaxDraggedPaths;) {
        const size_t end = std::min(list.find('\n', at), list.size());
        std::string_view line = list.substr(at, end - at);
        at = end + 1;
        if (line.ends_with('\r')) {
            line.remove_suffix(1);
        }
        if (!line.starts_with(kScheme)) {
            continue;
        }
        line.remove_prefix(kScheme.size());
        const size_t slash = line.find('/');
        if (slash == std::string_view::npos || !is_here(line.substr(0, slash))) {
            continue;
        }
        std::string path = decoded(line.substr(slash));
        if (path.starts_with('/') && path.find('\0') == std::string::npos) {
            paths.push_back(std::move(path));
        }
    }
    return paths;
}

}  // namespace app::window
