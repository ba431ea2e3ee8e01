#include "app/server/guard.h"

#include "tests/support/catch.h"

TEST_CASE("Bound to loopback, only loopback names are served, whole names only") {
    app::Guard guard;
    guard.allow_hosts = {"box.lan", "proxy:8443"};
    for (const char* good : {"localhost", "LOCALHOST:1", "127.0.0.1", "127.0.0.1:8080", "127.1.2.3",
                             "[::1]", "[::1]:80", "box.lan", "BOX.lan:99", "proxy:8443"}) {
        INFO(good);
        CHECK(guard.host_allowed(good));
    }
    for (const char* bad : {"", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example",
                            "evil.example:8080", "localhost:port", "localhost:", "localhost:123456",
                            "[::1", "[::1]x", "[::2]", "0.0.0.0", "127.evil.example",
                            "localhost@evil.example", "box.lan.evil.example", "192.168.0.1"}) {
        INFO(bad);
        CHECK_FALSE(guard.host_allowed(bad));
    }
}

TEST_CASE("Bound elsewhere, a key stands in for the Host check") {
    app::Guard guard;
    guard.loopback_only = false;
    guard.keys = {"k"};
    CHECK(guard.host_allowed("anything.example"));
    CHECK_FALSE(guard.key_allowed("", ""));
}

TEST_CASE("Web pages of other origins are refused") {
    app::Guard guard;
    guard.allow_origins = {"https://chat.example", "app://ui/"};
    for (const char* good : {"http://localhost:3000", "http://127.0.0.1", "https://[::1]:1",
                             "https://chat.example", "HTTPS://CHAT.example", "app://ui"}) {
        INFO(good);
        CHECK(guard.origin_allowed(good));
    }
    for (const char* bad : {"", "null", "*", "http://evil.example", "http://localhost.evil.example",
                            "https://chat.example.evil", "http://chat.example", "file://",
                            "http://localhost:x", "localhost", "app://other"}) {
        INFO(bad);
        CHECK_FALSE(guard.origin_allowed(bad));
    }
}

TEST_CASE("Keys: Bearer in any case or x-api-key, whole keys only") {
    app::Guard guard;
    CHECK(guard.key_allowed("", ""));
    guard.keys = {"first", "second key"};
    CHECK(guard.key_allowed("Bearer first", ""));
    CHECK(guard.key_allowed("bearer  first", ""));
    CHECK(guard.key_allowed("", "second key"));
    for (const char* bad : {"", "first", "Bearer", "Bearer ", "Bearer firs", "Bearer firstx",
                            "Basic first", "Bearer FIRST"}) {
        INFO(bad);
        CHECK_FALSE(guard.key_allowed(bad, ""));
    }
    CHECK_FALSE(guard.key_allowed("", "firs"));
}

TEST_CASE("Which addresses are loopback") {
    for (const char* good : {"127.0.0.1", "localhost", "::1", "[::1]", "127.0.0.53"}) {
        INFO(good);
        CHECK(app::is_loopback_host(good));
    }
    for (const char* bad : {"0.0.0.0", "::", "192.168.1.2", "example.org", "127.example.org",
                            "127.0.0.1.example.org"}) {
        INFO(bad);
        CHECK_FALSE(app::is_loopback_host(bad));
    }
}
