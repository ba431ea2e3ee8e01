#include "app/server/server.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <random>
#include <thread>
#include <utility>

#include "app/server/api_error.h"
#include "app/server/guard.h"
#include "app/server/http.h"
#include "app/server/router.h"
#include "app/server/server_context.h"
#include "runtime/log.h"

namespace app {

// --- what the endpoints share

ServerContext::ServerContext(runtime::EngineThread& the_engine,
                             const ServerOptions& the_options,
                             int64_t now)
    : engine(the_engine),
      options(the_options),
      kept_log(the_options.log ? the_options.log : std::make_shared<RequestLog>()),
      log(*kept_log),
      clients(the_options.max_requests_per_client),
      started(now) {
    guard.loopback_only = is_loopback_host(options.host);
    guard.keys = options.api_keys;
    guard.allow_origins = options.allow_origins;
    guard.allow_hosts = options.allow_hosts;
}

ServerContext::OpenRow& ServerContext::open_row() {
    static thread_local OpenRow row;
    return row;
}

std::string ServerContext::client_of(const httplib::Request& request) const {
    const int key = guard.which_key(request.get_header_value("Authorization"),
                                    request.get_header_value("x-api-key"));
    if (key >= 0) {
        return "key " + std::to_string(key + 1);
    }
    std::string client = request.remote_addr;
    const std::string program = request.get_header_value("User-Agent");
    for (size_t i = 0; i < std::min<size_t>(program.size(), 40) && program[i] > ' ' &&
                       program[i] < 0x7F;
         i++) {
        client += (i == 0 ? " " : "") + std::string(1, program[i]);
    }
    return client;
}

std::vector<std::unique_ptr<runtime::GenerationStream>> ServerContext::submit(
    const runtime::LoadedModel& model, runtime::GenerationRequest request, int choices) {
    OpenRow& entry = open_row();
    entry.row.sampling = request.sampling;
    entry.row.max_tokens = request.max_tokens;
    entry.prompt = model.tokenizer->decode(request.prompt, true);
    std::vector<std::unique_ptr<runtime::GenerationStream>> streams;
    for (int i = 0; i < choices; i++) {
        runtime::GenerationRequest one = request;
        if (one.sampling.seed) {
            *one.sampling.seed +=
                static_cast<uint64_t>(i);  // each choice its own text, all repeatable
        }
        streams.push_back(engine.submit(std::move(one)));
    }
    return streams;
}

void ServerContext::observe(const runtime::Usage& usage, const runtime::Timings& timings) {
    time_to_first_token.observe((timings.queued_ms + timings.prompt_ms) / 1000);
    request_latency.observe((timings.queued_ms + timings.prompt_ms + timings.generation_ms) / 1000);
    if (usage.completion_tokens > 1) {
        inter_token_latency.observe(timings.generation_ms / 1000 /
                                    static_cast<double>(usage.completion_tokens - 1));
    }
}

std::shared_ptr<const runtime::LoadedModel> ServerContext::model() const {
    auto model = engine.model();
    if (!model) {
        throw ApiError::unavailable("No model is loaded.");
    }
    return model;
}

std::string ServerContext::model_id(const runtime::LoadedModel& model) const {
    if (!options.alias.empty()) {
        return options.alias;
    }
    if (model.is_demo) {
        return "keyhole-demo";
    }
    std::string name = model.config.name.substr(model.config.name.find_last_of("/\\") + 1);
    return name.empty() ? "model" : name;
}

Json read_body(const httplib::Request& request) {
    try {
        return parse_json(request.body);
    } catch (const JsonError& error) {
        throw ApiError::invalid(std::string("The body is ") + error.what() + ".");
    }
}

void send_json(httplib::Response& response, const Json& body, int status) {
    response.status = status;
    response.set_content(to_text(body), "application/json");
}

std::string random_id(std::string_view prefix) {
    static thread_local std::mt19937_64 random(std::random_device{}());
    constexpr std::string_view kLetters =
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    std::string id(prefix);
    for (int i = 0; i < 24; i++) {
        id += kLetters[std::uniform_int_distribution<size_t>(0, kLetters.size() - 1)(random)];
    }
    return id;
}

int64_t unix_seconds() {
    return std::chrono::duration_cast<std::chrono::seconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
}

ServerOptions ServerOptions::from(const Options& options) {
    ServerOptions server;
    server.host = options.host;
    server.port = options.port;
    server.api_keys = options.api_keys;
    if (const char* key = std::getenv("KEYHOLE_API_KEY"); key != nullptr && *key != '\0') {
        server.api_keys.emplace_back(key);
    }
    server.allow_origins = options.allow_origins;
    server.allow_hosts = options.allow_hosts;
    server.max_requests_per_client = options.max_per_client;
    server.alias = options.alias;
    if (const auto remote = RemoteOptions::from(options)) {
        server.remote = std::make_shared<RemoteEngine>(*remote);
    }
    return server;
}

namespace {

// Anthropic's routes: their errors have another shape.
bool is_messages_route(std::string_view path) {
    if (path.starts_with("/v1/")) {
        path.remove_prefix(3);
    }
    return path == "/messages" || path.starts_with("/messages/");
}

// "" is a request that could not be read so far.
bool known_method(const std::string& method) {
    constexpr std::string_view kKnown[] = {"",      "GET",     "HEAD",    "POST",  "PUT",
                                           "PATCH", "OPTIONS", "CONNECT", "TRACE", "DELETE"};
    return method.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ") != std::string::npos ||
           std::ranges::find(kKnown, method) != std::end(kKnown);
}

}  // namespace

// --- the server

struct Server::State {
    State(runtime::EngineThread& engine, ServerOptions the_options)
        : options(std::move(the_options)),
          context(engine, options, unix_seconds()),
          http(limits_of(options)),
          router(http) {}

    static HttpLimits limits_of(const ServerOptions& options) {
        HttpLimits limits;
        limits.max_body_bytes = options.max_body_bytes;
        return limits;
    }

    void add_routes();
    void add_handlers();
    bool before_routing(const httplib::Request& request, httplib::Response& response);
    void check(const httplib::Request& request);
    void answer_preflight(const httplib::Request& request, httplib::Response& response);
    void finish_headers(const httplib::Request& request, httplib::Response& response);
    static void write_error(const ApiError& error, const httplib::Request& request,
                            httplib::Response& response);
    static void write_exception(std::exception_ptr exception, const httplib::Request& request,
                                httplib::Response& response);
    static void open_log_row(const httplib::Request& request);
    void close_log_row(const httplib::Request& request, const httplib::Response& response);

    const ServerOptions options;
    ServerContext context;
    const Guard& guard = context.guard;
    HttpServer http;
    Router router;
    std::thread listener;
    int port = -1;
};

// The whole API, one line per file.
void Server::State::add_routes() {
    if (options.remote) {
        add_remote(router, context);
        add_openapi(router, context);
        return;
    }
    add_health(router, context);
    add_models(router, context);
    add_chat_completions(router, context);
    add_completions(router, context);
    add_responses(router, context);
    add_messages(router, context);
    add_memory(router, context);
    add_metrics(router, context);
    add_props(router, context);
    add_tokenize(router, context);
    add_openapi(router, context);
}

void Server::State::add_handlers() {
    http.set_pre_routing_handler(
        [this](const httplib::Request& request, httplib::Response& response) {
            return before_routing(request, response) ? httplib::Server::HandlerResponse::Handled
                                                     : httplib::Server::HandlerResponse::Unhandled;
        });
    http.set_exception_handler(
        [](const httplib::Request& request, httplib::Response& response,
           std::exception_ptr exception) {
            write_exception(std::move(exception), request, response);
        });
    // What the library refuses by itself has no body yet, and leaves the connection in a state that
    // nobody knows.
    const httplib::Server::HandlerWithResponse refused = [](const httplib::Request& request,
                                                            httplib::Response& response) {
        if (response.body.empty()) {
            Connection* connection = Connection::current();
            if (connection != nullptr) {
                connection->close_after_answer();
                if (connection->body_too_large()) {
                    response.status = 413;
                } else if (connection->too_slow()) {
                    response.status = 408;
                }
            }
            // The library knows few methods, and calls a request with another one unreadable.
            if (response.status == 400 && !known_method(request.method)) {
                response.status = 405;
            }
            write_error(ApiError::of_status(response.status), request, response);
        }
        return httplib::Server::HandlerResponse::Handled;
    };
    http.set_error_handler(refused);
    http.set_post_routing_handler(
        [this](const httplib::Request& request, httplib::Response& response) {
            finish_headers(request, response);
        });
    // Called when the last byte of an answer is out, streams too.
    http.set_logger([this](const httplib::Request& request, const httplib::Response& response) {
        close_log_row(request, response);
    });
}

void Server::State::open_log_row(const httplib::Request& request) {
    ServerContext::OpenRow& entry = ServerContext::open_row();
    entry = {};
    entry.open = true;
    entry.began = std::chrono::steady_clock::now();
    entry.row.started_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                               std::chrono::system_clock::now().time_since_epoch())
                               .count();
    entry.row.method = request.method;
    entry.row.route = request.path;
}

// What only looks (models, health, metrics) leaves no row unless it failed.
void Server::State::close_log_row(const httplib::Request& request,
                                  const httplib::Response& response) {
    ServerContext::OpenRow entry = std::exchange(ServerContext::open_row(), {});
    if (!entry.open) {
        entry.row.method = request.method;
        entry.row.route = request.path;
    }
    RequestRow& row = entry.row;
    row.status = row.status != 0 ? row.status : response.status;
    if (row.method != "POST" && row.status < 400) {
        return;
    }
    row.owner = context.client_of(request);
    row.client = request.get_header_value("User-Agent");
    if (entry.open) {
        row.total_ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() -
                                                                 entry.began)
                           .count();
    }
    context.log.add(std::move(row), entry.prompt);
}

// Everything that can be refused from the head alone is refused here, before a body is read. True:
// answered.
bool Server::State::before_routing(const httplib::Request& request, httplib::Response& response) {
    Connection* connection = Connection::current();
    if (connection != nullptr) {
        connection->head_done();
    }
    // The library hands out the request it is about to serve; these changes are ours to make, as
    // its own setters do.
    auto& changeable = const_cast<httplib::Request&>(request);
    open_log_row(request);
    changeable.ranges.clear();  // no part of an answer is served alone
    const bool has_length = request.has_header("Content-Length");
    const bool has_coding = request.has_header("Transfer-Encoding");
    if (!has_length && !has_coding) {
        // Without either there is no body; the library would read until the connection ends.
        changeable.set_header("Content-Length", "0");
    }
    try {
        if (request.method == "OPTIONS") {
            answer_preflight(request, response);
        } else {
            check(request);
            // curl -d sends this when no type is given; the library would limit it to 8 KiB and
            // take it apart.
            if (request.get_header_value("Content-Type")
                    .starts_with("application/x-www-form-urlencoded")) {
                changeable.headers.erase("Content-Type");
                changeable.set_header("Content-Type", "application/json");
            }
            return false;
        }
    } catch (...) {
        write_exception(std::current_exception(), request, response);
    }
    // The body, if any, was not read: what follows on this connection could be taken for a request.
    if (connection != nullptr &&
        (has_coding || (has_length && request.get_header_value("Content-Length") != "0"))) {
        connection->close_after_answer();
    }
    return true;
}

void Server::State::check(const httplib::Request& request) {
    const auto count = [&request](const char* name) {
        return request.get_header_value_count(name);
    };

    // Framing that two readers could understand differently (request smuggling).
    const std::string length = request.get_header_value("Content-Length");
    const std::string coding = request.get_header_value("Transfer-Encoding");
    if (count("Content-Length") > 1 || count("Transfer-Encoding") > 1 ||
        (!coding.empty() && (count("Content-Length") > 0 || coding != "chunked")) ||
        length.find_first_not_of("0123456789") != std::string::npos || length.size() > 18 ||
        count("Host") > 1) {
        throw ApiError::of_status(400);
    }

    if (request.has_header("Host") ? !guard.host_allowed(request.get_header_value("Host"))
                                   : request.version != "HTTP/1.0") {
        throw ApiError::forbidden(
            "This Host is not served; use 127.0.0.1 or localhost, or start keyhole with "
            "--allow-host NAME.");
    }
    if (request.has_header("Origin") && !guard.origin_allowed(request.get_header_value("Origin"))) {
        throw ApiError::forbidden(
            "Web pages of this origin may not use the server; start keyhole with --allow-origin "
            "ORIGIN.");
    }
    if (request.path != "/health" && !guard.key_allowed(request.get_header_value("Authorization"),
                                                        request.get_header_value("x-api-key"))) {
        throw ApiError::unauthorized("The API key is missing or wrong.");
    }

    if (!router.answers(request.method, request.path)) {
        throw ApiError::of_status(router.methods(request.path).empty() ? 404 : 405);
    }
    if (!length.empty() && std::stoll(length) > options.max_body_bytes) {
        throw ApiError::of_status(413);
    }
    const std::string encoding = request.get_header_value("Content-Encoding");
    if ((!encoding.empty() && encoding != "identity") ||
        request.get_header_value("Content-Type").starts_with("multipart/")) {
        throw ApiError::of_status(415);
    }
    if (request.path != "/health") {
        if (context.stopping) {
            throw ApiError::unavailable("The server is shutting down.");
        }
        if (!options.remote && context.engine.status().state == runtime::EngineStatus::State::loading) {
            throw ApiError::unavailable("The model is loading.");
        }
    }
}

void Server::State::answer_preflight(const httplib::Request& request, httplib::Response& response) {
    if (request.has_header("Host") && !guard.host_allowed(request.get_header_value("Host"))) {
        throw ApiError::forbidden("This Host is not served.");
    }
    if (request.has_header("Origin") && !guard.origin_allowed(request.get_header_value("Origin"))) {
        throw ApiError::forbidden("Web pages of this origin may not use the server.");
    }
    const std::string methods = router.methods(request.path);
    if (methods.empty()) {
        throw ApiError::of_status(404);
    }
    response.status = 204;
    response.set_header("Allow", methods);
    if (request.has_header("Origin")) {
        response.set_header("Access-Control-Allow-Methods", methods);
        // By name, because "*" does not cover Authorization; SDKs add headers of their own.
        std::string wanted = request.get_header_value("Access-Control-Request-Headers");
        const bool plain =
            wanted.size() <= 2000 &&
            wanted.find_first_not_of(
                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_, ") ==
                std::string::npos;
        response.set_header(
            "Access-Control-Allow-Headers",
            plain && !wanted.empty() ? wanted : "authorization, content-type, x-api-key");
        response.set_header("Access-Control-Max-Age", "600");
    }
}

// Just before the head goes out, whoever made the answer.
void Server::State::finish_headers(const httplib::Request& request, httplib::Response& response) {
    HttpServer::set_header(response, "X-Content-Type-Options", "nosniff");
    const std::string origin = request.get_header_value("Origin");
    if (!origin.empty()) {
        HttpServer::set_header(response, "Vary", "Origin");
        if (guard.origin_allowed(origin)) {
            HttpServer::set_header(response, "Access-Control-Allow-Origin", origin);
        }
    }
    if (response.status == 405) {
        const std::string methods = router.methods(request.path);
        HttpServer::set_header(response, "Allow", methods.empty() ? "GET, HEAD, POST, OPTIONS" : methods);
    }
    Connection* connection = Connection::current();
    if (context.stopping && connection != nullptr) {
        connection->close_after_answer();
    }
    response.headers.erase("Keep-Alive");
    if (connection != nullptr && connection->closing()) {
        HttpServer::set_header(response, "Connection", "close");
    }
}

void Server::State::write_error(const ApiError& error, const httplib::Request& request,
                                httplib::Response& response) {
    ServerContext::open_row().row.error = error.what();
    if (error.status == 401) {
        HttpServer::set_header(response, "WWW-Authenticate", "Bearer");
    }
    if (error.status == 429 || error.status == 503) {
        HttpServer::set_header(response, "Retry-After", error.retry_after);
    }
    send_json(response, is_messages_route(request.path) ? error.anthropic_body() : error.body(),
              error.status);
}

void Server::State::write_exception(std::exception_ptr exception, const httplib::Request& request,
                                    httplib::Response& response) {
    try {
        std::rethrow_exception(std::move(exception));
    } catch (const ApiError& error) {
        write_error(error, request, response);
    } catch (const runtime::RequestError& error) {
        write_error(ApiError::from(error), request, response);
    } catch (const std::exception& error) {
        runtime::log(runtime::LogLevel::error,
                     std::string("while answering a request: ") + error.what());
        write_error(ApiError::internal(), request, response);
    } catch (...) {
        write_error(ApiError::internal(), request, response);
    }
}

Server::Server(runtime::EngineThread& engine, ServerOptions options) {
    if (!is_loopback_host(options.host) && options.api_keys.empty()) {
        throw std::runtime_error(
            "--host " + options.host +
            " is open to other machines and needs a key: --api-key KEY or KEYHOLE_API_KEY");
    }
    state_ = std::make_unique<State>(engine, std::move(options));
    state_->add_routes();
    state_->add_handlers();
}

Server::~Server() {
    stop();
}

void Server::start() {
    // The library wants [::1] without brackets.
    std::string host = state_->options.host;
    if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
        host = host.substr(1, host.size() - 2);
    }
    state_->port = state_->http.bind(host, state_->options.port);
    if (state_->port <= 0) {
        const int reason = errno;
        throw std::runtime_error(
            "cannot listen on " + host + " port " + std::to_string(state_->options.port) +
            (reason != 0 ? std::string(": ") + std::strerror(reason) : std::string()));
    }
    state_->listener = std::thread([this] { state_->http.serve(); });
    // Connections queue from the moment of binding; stop() works only once the loop runs.
    for (int i = 0; i < 1000 && !state_->http.is_running(); i++) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
}

int Server::port() const {
    return state_->port;
}

std::string Server::url() const {
    const bool v6 =
        state_->options.host.find(':') != std::string::npos && state_->options.host.front() != '[';
    return "http://" + (v6 ? "[" + state_->options.host + "]" : state_->options.host) + ":" +
           std::to_string(state_->port);
}

const RequestLog& Server::log() const {
    return state_->context.log;
}

int Server::clients() const {
    return state_->http.connections();
}

void Server::refuse_new_work() {
    state_->context.stopping = true;
}

void Server::stop(std::chrono::milliseconds grace) {
    if (!state_->listener.joinable()) {
        return;
    }
    refuse_new_work();
    state_->http.close_idle();
    const auto until = std::chrono::steady_clock::now() + grace;
    while (state_->http.connections() > 0 && std::chrono::steady_clock::now() < until) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    state_->context.cut_streams = true;
    state_->http.stop();
    // A handler that waits for its generation sees its client gone and ends.
    for (int i = 0; i < 500 && state_->http.connections() > 0; i++) {
        state_->http.cut();
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    state_->listener.join();
}

}  // namespace app
