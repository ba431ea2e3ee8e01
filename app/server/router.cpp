#include "app/server/router.h"

namespace app {
namespace {

// "/v1/models" -> "/models"; empty: it is of no version.
std::string without_version(const std::string& path) {
    return path.starts_with("/v1/") ? path.substr(3) : std::string();
}

}  // namespace

void Router::get(const std::string& path, httplib::Server::Handler handler) {
    routes_.push_back({"GET", path});
    server_.Get(pattern(path), handler);
    if (const std::string other = without_version(path); !other.empty()) {
        routes_.push_back({"GET", other, true});
        server_.Get(pattern(other), std::move(handler));
    }
}

void Router::post(const std::string& path, httplib::Server::Handler handler) {
    routes_.push_back({"POST", path});
    server_.Post(pattern(path), handler);
    if (const std::string other = without_version(path); !other.empty()) {
        routes_.push_back({"POST", other, true});
        server_.Post(pattern(other), std::move(handler));
    }
}

std::string Router::methods(std::string_view path) const {
    std::string list;
    for (const Route& route : routes_) {
        if (matches(route, path)) {
            list += (list.empty() ? "" : ", ") +
                    (route.method == "GET" ? std::string("GET, HEAD") : route.method);
        }
    }
    return list.empty() ? list : list + ", OPTIONS";
}

bool Router::answers(std::string_view method, std::string_view path) const {
    for (const Route& route : routes_) {
        if (matches(route, path) &&
            (route.method == method || (route.method == "GET" && method == "HEAD"))) {
            return true;
        }
    }
    return false;
}

bool Router::matches(const Route& route, std::string_view path) {
    if (route.path.ends_with("/*")) {
        const auto folder = std::string_view(route.path).substr(0, route.path.size() - 1);
        return path.starts_with(folder) && path.size() > folder.size();
    }
    return path == route.path || (path.size() == route.path.size() + 1 &&
                                  path.starts_with(route.path) && path.ends_with('/'));
}

// Our paths hold letters, '/', '-' and '_' only, so nothing needs escaping.
std::string Router::pattern(const std::string& path) {
    return path.ends_with("/*") ? path.substr(0, path.size() - 1) + "(.+)" : path + "/?";
}

}  // namespace app
