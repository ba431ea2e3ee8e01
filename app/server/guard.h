// Guard: who may speak to the server. Decided from headers alone, before a body is read. Pure
// functions of text, so that every rule is a row of a test table.
//
//   Host    bound to loopback, only loopback names (any port, because of tunnels) and --allow-host:
//   a web page that has its
//           own name resolve to 127.0.0.1 sends its own name (DNS rebinding). Bound elsewhere a key
//           is demanded instead.
//   Origin  a browser says which page is asking. Loopback pages and --allow-origin may; everything
//   else is refused, since
//           a page can send a POST without asking first. No wildcard is ever sent.
//   key     Authorization: Bearer KEY or x-api-key: KEY; compared in a time that depends on our
//   keys alone.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace app {

bool is_loopback_host(std::string_view host);  // an address or name to bind to, without port

struct Guard {
    bool loopback_only = true;  // what we are bound to
    std::vector<std::string> keys;
    std::vector<std::string> allow_origins;
    std::vector<std::string> allow_hosts;

    bool host_allowed(std::string_view host_header) const;
    bool origin_allowed(std::string_view origin) const;
    // authorization: the header's whole value. True when no keys are set.
    bool key_allowed(std::string_view authorization, std::string_view x_api_key) const {
        return keys.empty() || which_key(authorization, x_api_key) >= 0;
    }
    // The index of the key that was presented; -1: none of ours.
    int which_key(std::string_view authorization, std::string_view x_api_key) const;
};

}  // namespace app
