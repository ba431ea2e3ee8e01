#include "app/server/guard.h"

#include <algorithm>
#include <cctype>

namespace app {
namespace {

std::string lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(),
                   [](unsigned char c) { return std::tolower(c); });
    return out;
}

bool is_port(std::string_view text) {
    return !text.empty() && text.size() <= 5 &&
           text.find_first_not_of("0123456789") == std::string_view::npos;
}

// "localhost:8080" -> "localhost", "[::1]:80" -> "::1". Empty: not a host.
std::string host_without_port(std::string_view text) {
    if (text.starts_with("[")) {
        const size_t end = text.find(']');
        if (end == std::string_view::npos) {
            return "";
        }
        const std::string_view rest = text.substr(end + 1);
        if (!rest.empty() && (rest[0] != ':' || !is_port(rest.substr(1)))) {
            return "";
        }
        return lower(text.substr(1, end - 1));
    }
    const size_t colon = text.find(':');
    if (colon != std::string_view::npos && !is_port(text.substr(colon + 1))) {
        return "";
    }
    return lower(text.substr(0, colon));
}

// The names a request may use for this machine's loopback: whole names, never a prefix.
bool is_loopback_name(const std::string& host) {
    return host == "localhost" || host == "127.0.0.1" || host == "::1";
}

bool same_secret(std::string_view ours, std::string_view given) {
    unsigned difference = ours.size() == given.size() ? 0 : 1;
    for (size_t i = 0; i < ours.size(); i++) {
        const char other = i < given.size() ? given[i] : '\0';
        difference |= static_cast<unsigned char>(ours[i] ^ other);
    }
    return difference == 0;
}

}  // namespace

bool is_loopback_host(std::string_view host) {
    const std::string name = lower(host);
    if (is_loopback_name(name) || name == "[::1]") {
        return true;
    }
    // 127.0.0.0/8 in dotted form only, so that 127.example.org is not one of them.
    return name.starts_with("127.") && std::count(name.begin(), name.end(), '.') == 3 &&
           name.find_first_not_of("0123456789.") == std::string::npos;
}

bool Guard::host_allowed(std::string_view host_header) const {
    if (!loopback_only) {
        return true;
    }
    const std::string host = host_without_port(host_header);
    if (host.empty()) {
        return false;
    }
    return is_loopback_host(host) ||
           std::any_of(allow_hosts.begin(), allow_hosts.end(), [&](const std::string& allowed) {
               return lower(allowed) == host || lower(allowed) == lower(host_header);
           });
}

bool Guard::origin_allowed(std::string_view origin) const {
    for (const std::string& allowed : allow_origins) {
        // A trailing slash is a common slip on the command line; browsers send none.
        std::string_view name = allowed;
        if (name.ends_with("/") && !name.ends_with("//")) {
            name.remove_suffix(1);
        }
        if (lower(name) == lower(origin)) {
            return true;
        }
    }
    for (const std::string_view scheme : {"http://", "https://"}) {
        if (lower(origin).starts_with(scheme)) {
            const std::string host = host_without_port(origin.substr(scheme.size()));
            return loopback_only && is_loopback_name(host);
        }
    }
    return false;
}

int Guard::which_key(std::string_view authorization, std::string_view x_api_key) const {
    constexpr std::string_view kBearer = "bearer ";
    std::string_view bearer;
    if (lower(authorization.substr(0, kBearer.size())) == kBearer) {
        bearer = authorization.substr(kBearer.size());
        while (bearer.starts_with(" ")) {
            bearer.remove_prefix(1);
        }
    }
    int found = -1;
    for (size_t i = 0; i < keys.size(); i++) {
        // No early end: the time does not tell which key was tried.
        const bool by_bearer = same_secret(keys[i], bearer);
        const bool by_header = same_secret(keys[i], x_api_key);
        found = by_bearer || by_header ? static_cast<int>(i) : found;
    }
    return found;
}

}  // namespace app
