// RemoteUrl: the address of another engine, as a person writes it. Knows no network.
#pragma once

#include <string>
#include <string_view>

namespace app {

struct RemoteUrl {
    bool https = false;
    std::string host;  // without the brackets of an IPv6 address
    int port = 0;
    std::string prefix;  // before "/v1": "" or "/path"

    // "http://host:8000", with or without "/v1" at its end. Throws std::runtime_error, one line:
    // it is no such address, or carries a user, a query or a fragment.
    static RemoteUrl parse(std::string_view text);

    // "http://host:8000/path"
    std::string text() const;
    // Of this machine: what is sent there does not leave it.
    bool loopback() const;
};

}  // namespace app
