// A real server on a free port, a real client, a real (tiny, random) model.
#include "app/server/server.h"

#include <thread>

#include <arpa/inet.h>
#include <httplib.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "app/json/json.h"
#include "tests/support/catch.h"

using app::Json;
using std::chrono::milliseconds;

namespace {

struct Fixture {
    explicit Fixture(app::ServerOptions options = {}) {
        runtime::EngineOptions engine_options;
        engine_options.threads = 1;
        engine.load(std::string(TESTS_DIR) + "/golden/model/nano-f32.gguf", engine_options);
        REQUIRE(engine.wait_ready());
        options.port = 0;
        server = std::make_unique<app::Server>(engine, std::move(options));
        server->start();
    }

    httplib::Client client() const {
        httplib::Client client("127.0.0.1", server->port());
        client.set_read_timeout(60);
        return client;
    }

    Json post(const std::string& path, const Json& body, int status = 200) const {
        const auto result = client().Post(path, body.dump(), "application/json");
        REQUIRE(result);
        INFO(result->body);
        CHECK(result->status == status);
        return Json::parse(result->body);
    }

    runtime::EngineThread engine;
    std::unique_ptr<app::Server> server;
};

// One model for all cases that need no options of their own.
Fixture& shared() {
    static Fixture fixture;
    return fixture;
}

Json ask(const std::string& text, int64_t max_tokens) {
    return {{"messages", Json::array({{{"role", "user"}, {"content", text}}})},
            {"max_tokens", max_tokens},
            {"temperature", 0},
            {"chat_template_kwargs", {{"enable_thinking", false}}}};
}

// The data of each event of a stream.
std::vector<std::string> events_of(const std::string& body) {
    std::vector<std::string> events;
    for (size_t at = 0; at < body.size();) {
        const size_t end = body.find("\n\n", at);
        REQUIRE(end != std::string::npos);
        const std::string event = body.substr(at, end - at);
        at = end + 2;
        if (event[0] != ':') {
            REQUIRE(event.starts_with("data: "));
            events.push_back(event.substr(6));
        }
    }
    return events;
}

std::string joined(const std::string& body) {
    std::string text;
    for (const std::string& event : events_of(body)) {
        if (event != "[DONE]") {
            const Json chunk = Json::parse(event);
            for (const Json& choice : chunk["choices"]) {
                text += choice["delta"].value("content", "");
            }
        }
    }
    return text;
}

// Bytes in, bytes out until the server closes: for what no client library would send.
std::string raw(int port, const std::string& request) {
    const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    timeval patience{5, 0};
    ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    REQUIRE(::send(socket, request.data(), request.size(), MSG_NOSIGNAL) ==
            static_cast<ssize_t>(request.size()));
    std::string answer;
    char buffer[4096];
    for (ssize_t got; (got = ::recv(socket, buffer, sizeof buffer, 0)) > 0;) {
        answer.append(buffer, static_cast<size_t>(got));
    }
    ::close(socket);
    return answer;
}

int status_of(const std::string& answer) {
    return answer.size() > 12 ? std::atoi(answer.c_str() + 9) : 0;
}

bool within(milliseconds time, const std::function<bool()>& condition) {
    const auto until = std::chrono::steady_clock::now() + time;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > until) {
            return false;
        }
        std::this_thread::sleep_for(milliseconds(10));
    }
    return true;
}

}  // namespace

TEST_CASE("The routes answer") {
    auto client = shared().client();
    const auto health = client.Get("/health");
    REQUIRE(health);
    CHECK(health->status == 200);
    CHECK(Json::parse(health->body)["status"] == "ok");

    const auto models = client.Get("/v1/models");
    REQUIRE(models);
    const Json model = Json::parse(models->body)["data"][0];
    CHECK(model["object"] == "model");
    std::string path = "/v1/models/";
    for (const char c : model["id"].get<std::string>()) {
        path += c == ' ' ? std::string("%20") : std::string(1, c);
    }
    const auto one = client.Get(path);
    REQUIRE(one);
    CHECK(one->status == 200);
    const auto none = client.Get("/v1/models/other");
    REQUIRE(none);
    CHECK(none->status == 404);
    CHECK(Json::parse(none->body)["error"]["code"] == "model_not_found");

    const auto memory = client.Get("/v1/memory");
    REQUIRE(memory);
    const Json snapshot = Json::parse(memory->body);
    CHECK(snapshot["kv_cache"]["v_bytes"] == 0);
    CHECK(snapshot["kv_cache"]["page_tokens"] == 64);
    CHECK(snapshot["devices"].size() == 1);

    const auto metrics = client.Get("/metrics");
    REQUIRE(metrics);
    CHECK_THAT(metrics->body, ContainsSubstring("keyhole_num_requests_running 0"));
    const auto root = client.Head("/");
    REQUIRE(root);
    CHECK(root->status == 200);
    CHECK(root->body.empty());
}

TEST_CASE("Text goes through tokens and back; the template's prompt is what is tokenized") {
    const Json tokens =
        shared().post("/tokenize", {{"content", "Hello <|user|> \u00e9"}})["tokens"];
    CHECK(shared().post("/detokenize", {{"tokens", tokens}})["content"] == "Hello <|user|> \u00e9");
    const Json special =
        shared().post("/tokenize", {{"content", "<|user|>"}, {"parse_special", true}})["tokens"];
    CHECK(special.size() == 1);
    CHECK(shared().post("/apply-template", ask("hi", 1))["prompt"] ==
          "[gMASK]<sop><|user|>hi<|assistant|></think>");
    shared().post("/detokenize", {{"tokens", Json::array({-1})}}, 400);
    shared().post("/detokenize", {{"tokens", Json::array({int64_t{1} << 40})}}, 400);
}

TEST_CASE("A streamed answer is the whole answer, and the usage chunk comes only when asked for") {
    for (const int64_t tokens : {1, 2, 40}) {
        Json body = ask("Tell me", tokens);
        const Json whole = shared().post("/v1/chat/completions", body);
        const Json choice = whole["choices"][0];
        CHECK(whole["usage"]["completion_tokens"].get<int64_t>() <= tokens);

        body["stream"] = true;
        const auto plain =
            shared().client().Post("/v1/chat/completions", body.dump(), "application/json");
        REQUIRE(plain);
        CHECK(plain->get_header_value("Content-Type") == "text/event-stream");
        CHECK(plain->get_header_value("Cache-Control") == "no-cache");
        CHECK(joined(plain->body) == choice["message"]["content"].get<std::string>());
        const auto events = events_of(plain->body);
        CHECK(events.back() == "[DONE]");
        CHECK(Json::parse(events.front())["choices"][0]["delta"]["role"] == "assistant");
        for (size_t i = 0; i + 1 < events.size(); i++) {
            const Json chunk = Json::parse(events[i]);
            CHECK(chunk["choices"].size() == 1);
            CHECK(chunk["created"].is_number_integer());
            CHECK(chunk["id"] == Json::parse(events[0])["id"]);
        }
        CHECK(Json::parse(events[events.size() - 2])["choices"][0]["finish_reason"] ==
              choice["finish_reason"]);

        body["stream_options"] = {{"include_usage", true}};
        const auto counted =
            shared().client().Post("/v1/chat/completions", body.dump(), "application/json");
        REQUIRE(counted);
        const auto more = events_of(counted->body);
        const Json usage = Json::parse(more[more.size() - 2]);
        CHECK(usage["choices"].empty());
        CHECK(usage["usage"]["completion_tokens"] == whole["usage"]["completion_tokens"]);
    }
}

TEST_CASE("Eight streams at once give the text each gives alone") {
    std::vector<std::string> alone, together(8);
    for (int i = 0; i < 8; i++) {
        alone.push_back(shared().post(
            "/v1/chat/completions",
            ask("Question " + std::to_string(i * 37), 48))["choices"][0]["message"]["content"]);
    }
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; i++) {
        threads.emplace_back([i, &together] {
            Json body = ask("Question " + std::to_string(i * 37), 48);
            body["stream"] = true;
            const auto result =
                shared().client().Post("/v1/chat/completions", body.dump(), "application/json");
            together[static_cast<size_t>(i)] = result ? joined(result->body) : "no answer";
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    CHECK(together == alone);
}

TEST_CASE("n choices with a seed are repeatable and counted") {
    Json body = ask("Say", 12);
    body["temperature"] = 1;
    body["n"] = 3;
    body["seed"] = 7;
    const Json first = shared().post("/v1/chat/completions", body);
    const Json second = shared().post("/v1/chat/completions", body);
    REQUIRE(first["choices"].size() == 3);
    for (size_t i = 0; i < 3; i++) {
        CHECK(first["choices"][i]["message"] == second["choices"][i]["message"]);
    }
}

TEST_CASE("A client that goes away frees its generation, streamed or not") {
    for (const bool stream : {true, false}) {
        const uint64_t before = shared().engine.counters().cancelled;
        Json body = ask("Endless", 4000);
        body["stream"] = stream;
        body["logit_bias"] = Json::object();
        const std::string text = body.dump();
        const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(static_cast<uint16_t>(shared().server->port()));
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        REQUIRE(::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
        const std::string request =
            "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: " +
            std::to_string(text.size()) + "\r\n\r\n" + text;
        REQUIRE(::send(socket, request.data(), request.size(), MSG_NOSIGNAL) > 0);
        CHECK(within(milliseconds(5000), [] { return shared().engine.status().running > 0; }));
        ::close(socket);
        CHECK(within(milliseconds(5000), [] { return shared().engine.status().running == 0; }));
        CHECK(shared().engine.counters().cancelled == before + 1);
    }
}

TEST_CASE("Errors have OpenAI's shape and status") {
    const int port = shared().server->port();
    const std::string head = "Host: localhost\r\nConnection: close\r\n";
    struct Case {
        std::string request;
        int status;
    };
    for (const Case& wrong : std::vector<Case>{
             {"GET /nothing HTTP/1.1\r\n" + head + "\r\n", 404},
             {"GET /v1/models/none HTTP/1.1\r\n" + head + "\r\n", 404},
             {"GET /v1/models// HTTP/1.1\r\n" + head + "\r\n", 404},
             {"GET /v1/chat/completions HTTP/1.1\r\n" + head + "\r\n", 405},
             {"DELETE /v1/models HTTP/1.1\r\n" + head + "\r\n", 405},
             {"POST /health HTTP/1.1\r\n" + head + "Content-Length: 2\r\n\r\n{}", 405},
             {"GET /health HTTP/1.1\r\nHost: evil.example\r\n\r\n", 403},
             {"GET /health HTTP/1.1\r\n\r\n", 403},
             {"GET /health HTTP/1.1\r\n" + head + "Host: localhost\r\n\r\n", 400},
             {"GET /v1/models HTTP/1.1\r\n" + head + "Origin: http://evil.example\r\n\r\n", 403},
             {"OPTIONS /v1/models HTTP/1.1\r\n" + head + "Origin: http://evil.example\r\n\r\n",
              403},
             {"POST /v1/chat/completions HTTP/1.1\r\n" + head +
                  "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
              400},
             {"POST /v1/chat/completions HTTP/1.1\r\n" + head +
                  "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
              400},
             {"POST /v1/chat/completions HTTP/1.1\r\n" + head + "Transfer-Encoding: gzip\r\n\r\n",
              400},
             {"POST /v1/chat/completions HTTP/1.1\r\n" + head + "Content-Length: -5\r\n\r\n", 400},
             {"POST /v1/chat/completions HTTP/1.1\r\n" + head +
                  "Content-Length: 99999999999\r\n\r\n",
              413},
             {"POST /v1/chat/completions HTTP/1.1\r\n" + head +
                  "Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
              415},
             {"POST /v1/chat/completions HTTP/1.1\r\n" + head +
                  "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 2\r\n\r\n{}",
              415},
             {"POST /v1/chat/completions HTTP/1.1\r\n" + head + "\r\n", 400},
             {"POST /v1/chat/completions HTTP/1.1\r\n" + head + "Content-Length: 4\r\n\r\n{\"a\"",
              400},
             {"POST /v1/chat/completions HTTP/1.1\r\n" + head + "Content-Length: 2\r\n\r\n{}", 400},
             {"GET /" + std::string(9000, 'a') + " HTTP/1.1\r\n" + head + "\r\n", 414},
         }) {
        INFO(wrong.request.substr(0, 200));
        const std::string answer = raw(port, wrong.request);
        CHECK(status_of(answer) == wrong.status);
        const size_t body = answer.find("\r\n\r\n");
        REQUIRE(body != std::string::npos);
        const Json error = Json::parse(answer.substr(body + 4))["error"];
        CHECK(error.size() == 4);
        CHECK(error["message"].is_string());
        CHECK_FALSE(error["type"].get<std::string>().empty());
        if (wrong.status == 405) {
            CHECK_THAT(answer.substr(0, body), ContainsSubstring("Allow: "));
        }
    }
    const Json overflow =
        shared().post("/v1/chat/completions", ask(std::string(40'000, 'z'), 1), 400);
    CHECK(overflow["error"]["code"] == "context_length_exceeded");
    CHECK_THAT(overflow["error"]["message"].get<std::string>(),
               ContainsSubstring("maximum context length"));
    Json streamed = ask(std::string(40'000, 'z'), 1);
    streamed["stream"] = true;
    shared().post("/v1/chat/completions", streamed, 400);
}

TEST_CASE("Connections: kept alive, pipelined, chunked requests, HTTP/1.0, a hundred idle ones") {
    const int port = shared().server->port();
    const std::string get = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    const std::string last = "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    const std::string two = raw(port, get + last);
    CHECK(two.find("{\"status\":\"ok\"}") != two.rfind("{\"status\":\"ok\"}"));

    const std::string chunked =
        "POST /tokenize HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: "
        "chunked\r\n\r\n"
        "7\r\n{\"conte\r\n8\r\nnt\":\"a\"}\r\n0\r\n\r\n";
    CHECK(status_of(raw(port, chunked)) == 200);

    Json body = ask("old", 2);
    body["stream"] = true;
    const std::string text = body.dump();
    const std::string old = raw(port, "POST /v1/chat/completions HTTP/1.0\r\nContent-Length: " +
                                          std::to_string(text.size()) + "\r\n\r\n" + text);
    CHECK(old.find("Transfer-Encoding") == std::string::npos);
    CHECK(events_of(old.substr(old.find("\r\n\r\n") + 4)).back() == "[DONE]");

    std::vector<std::unique_ptr<httplib::Client>> idle;
    for (int i = 0; i < 100; i++) {
        idle.push_back(std::make_unique<httplib::Client>("127.0.0.1", port));
        idle.back()->set_keep_alive(true);
        REQUIRE(idle.back()->Get("/health"));
    }
    CHECK(shared().server->clients() >= 100);
    CHECK(status_of(raw(port, last)) == 200);
}

TEST_CASE("With keys set, everything but /health asks for one, before a body is read") {
    app::ServerOptions options;
    options.api_keys = {"secret"};
    options.alias = "mine";
    options.allow_origins = {"https://ui.example"};
    const Fixture fixture(options);
    auto client = fixture.client();
    CHECK(client.Get("/health")->status == 200);
    for (const char* path : {"/", "/v1/models", "/v1/memory", "/metrics", "/nothing"}) {
        INFO(path);
        CHECK(client.Get(path)->status == 401);
    }
    CHECK(client.Post("/v1/chat/completions", "{", "application/json")->status == 401);
    const auto models = client.Get(
        "/v1/models", {{"Authorization", "Bearer secret"}, {"Origin", "https://ui.example"}});
    CHECK(models->status == 200);
    CHECK(models->get_header_value("Access-Control-Allow-Origin") == "https://ui.example");
    CHECK(Json::parse(models->body)["data"][0]["id"] == "mine");
    CHECK(client.Get("/v1/models", {{"x-api-key", "secret"}})->status == 200);
    const auto preflight = client.Options(
        "/v1/chat/completions", {{"Origin", "https://ui.example"},
                                 {"Access-Control-Request-Headers", "authorization,x-a"}});
    CHECK(preflight->status == 204);
    CHECK(preflight->get_header_value("Access-Control-Allow-Headers") == "authorization,x-a");
}

TEST_CASE("An address open to others needs a key; one in use is refused in one line") {
    runtime::EngineThread engine;
    app::ServerOptions open;
    open.host = "0.0.0.0";
    CHECK_THROWS_WITH(app::Server(engine, open), ContainsSubstring("needs a key"));
    app::ServerOptions taken;
    taken.port = shared().server->port();
    app::Server second(engine, taken);
    CHECK_THROWS_WITH(second.start(), ContainsSubstring("cannot listen on 127.0.0.1"));
}

TEST_CASE("Without a model the server says so") {
    runtime::EngineThread engine;
    app::ServerOptions options;
    options.port = 0;
    app::Server server(engine, options);
    server.start();
    httplib::Client client("127.0.0.1", server.port());
    const auto chat = client.Post("/v1/chat/completions", ask("hi", 1).dump(), "application/json");
    REQUIRE(chat);
    CHECK(chat->status == 503);
    CHECK(chat->has_header("Retry-After"));
    CHECK(client.Get("/health")->status == 503);
    CHECK(Json::parse(client.Get("/v1/models")->body)["data"].empty());
}

TEST_CASE("A stopping server refuses new work and lets a stream finish") {
    Fixture fixture;
    std::string body;
    Json request = ask("finish", 200);
    request["stream"] = true;
    std::thread reader([&] {
        auto client = fixture.client();
        const auto result = client.Post("/v1/chat/completions", request.dump(), "application/json");
        body = result ? result->body : "";
    });
    within(milliseconds(5000), [&] { return fixture.engine.counters().generated_tokens > 0; });
    fixture.server->refuse_new_work();
    const auto refused =
        fixture.client().Post("/v1/chat/completions", ask("new", 1).dump(), "application/json");
    REQUIRE(refused);
    CHECK(refused->status == 503);
    fixture.engine.stop(milliseconds(10'000));
    fixture.server->stop(milliseconds(5000));
    reader.join();
    REQUIRE_FALSE(body.empty());
    CHECK(events_of(body).back() == "[DONE]");
}
