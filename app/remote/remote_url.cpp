#include "app/remote/remote_url.h"

#include <algorithm>
#include <charconv>
#include <stdexcept>

namespace app {
namespace {

[[noreturn]] void refuse(std::string_view text, const std::string& why) {
    throw std::runtime_error("--remote " + std::string(text.substr(0, 200)) + ": " + why);
}

bool plain(char c) {
    return c > ' ' && c < 0x7F && c != '"' && c != '\\' && c != '<' && c != '>' && c != '@';
}

}  // namespace

RemoteUrl RemoteUrl::parse(std::string_view text) {
    RemoteUrl url;
    std::string_view rest = text;
    if (rest.starts_with("http://")) {
        rest.remove_prefix(7);
    } else if (rest.starts_with("https://")) {
        url.https = true;
        rest.remove_prefix(8);
    } else {
        refuse(text, "an address begins with http:// or https://");
    }
    if (!std::ranges::all_of(rest, plain)) {
        refuse(text, rest.find('@') != std::string_view::npos
                         ? "a key belongs in --remote-key, not in the address"
                         : "there is a character that no address has");
    }
    if (rest.find_first_of("?#") != std::string_view::npos) {
        refuse(text, "an address ends with its path");
    }
    const size_t slash = std::min(rest.find('/'), rest.size());
    std::string_view authority = rest.substr(0, slash);
    std::string_view path = rest.substr(slash);

    std::string_view port;
    if (authority.starts_with('[')) {
        const size_t close = authority.find(']');
        if (close == std::string_view::npos ||
            (close + 1 < authority.size() && authority[close + 1] != ':')) {
            refuse(text, "an IPv6 address stands in brackets");
        }
        url.host = authority.substr(1, close - 1);
        port = authority.substr(std::min(close + 2, authority.size()));
    } else {
        const size_t colon = std::min(authority.find(':'), authority.size());
        url.host = authority.substr(0, colon);
        port = authority.substr(std::min(colon + 1, authority.size()));
    }
    if (url.host.empty()) {
        refuse(text, "there is no host");
    }
    url.port = url.https ? 443 : 80;
    if (!port.empty()) {
        const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), url.port);
        if (error != std::errc() || end != port.data() + port.size() || url.port < 1 ||
            url.port > 65535) {
            refuse(text, "a port is a number from 1 to 65535");
        }
    }
    while (path.ends_with('/')) {
        path.remove_suffix(1);
    }
    if (path == "/v1" || path.ends_with("/v1")) {
        path.remove_suffix(3);
    }
    while (path.ends_with('/')) {
        path.remove_suffix(1);
    }
    url.prefix = path;
    return url;
}

std::string RemoteUrl::text() const {
    const bool v6 = host.find(':') != std::string::npos;
    const bool usual = port == (https ? 443 : 80);
    return (https ? "https://" : "http://") + (v6 ? "[" + host + "]" : host) +
           (usual ? "" : ":" + std::to_string(port)) + prefix;
}

bool RemoteUrl::loopback() const {
    return host == "localhost" || host == "::1" || host.starts_with("127.");
}

}  // namespace app
