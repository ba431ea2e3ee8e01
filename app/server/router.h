// Router: the paths the server has, and the methods each answers to. cpp-httplib has routes of its
// own but answers 404 to a wrong method; asking here first makes that a 405 with Allow, and makes
// the list of endpoints readable in one place.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <httplib.h>

namespace app {

class Router {
public:
    explicit Router(httplib::Server& server) : server_(server) {}

    // A path ending in "/*" stands for that folder with anything behind it. What is promised at
    // /v1/x is answered at /x too, as llama-server does, and with one '/' behind it.
    void get(const std::string& path, httplib::Server::Handler handler);
    void post(const std::string& path, httplib::Server::Handler handler);

    // Methods of a path, "GET, HEAD, OPTIONS"; empty: there is no such path.
    std::string methods(std::string_view path) const;
    bool answers(std::string_view method, std::string_view path) const;

    struct Route {
        std::string method;
        std::string path;
        bool alias = false;  // of the same path below /v1
    };
    const std::vector<Route>& routes() const { return routes_; }

private:
    static bool matches(const Route& route, std::string_view path);
    static std::string pattern(const std::string& path);

    httplib::Server& server_;
    std::vector<Route> routes_;
};

}  // namespace app
