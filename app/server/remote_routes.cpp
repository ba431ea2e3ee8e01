// The routes of a server whose engine is another one (--remote): requests are checked, sent on with
// the other's key, and answered with what comes back, byte by byte as it comes. What is the other's
// fault is told as such; nothing of its address is.
#include "app/remote/remote_engine.h"
#include "app/remote/sse_reader.h"
#include "app/server/api_error.h"
#include "app/server/http.h"
#include "app/server/server_context.h"
#include "app/server/sse.h"
#include "runtime/log.h"

namespace app {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr milliseconds kRemoteGlance{50};
constexpr size_t kMaxErrorBytes = 1 << 20, kMaxAnswerBytes = 256 << 20;
constexpr int kNobodyThere = 499;

ApiError api_error(const RemoteError& error) {
    runtime::log(runtime::LogLevel::debug, std::string("remote: ") + error.what());
    return ApiError::remote(error.status, error.type, error.what(), error.param, error.code,
                            error.retry_after);
}

bool gone() {
    Connection* connection = Connection::current();
    return connection != nullptr && connection->peer_gone();
}

// Nobody is there to be answered: the other engine need not go on.
void give_up(HttpCall& call, httplib::Response* response) {
    call.cancel();
    ServerContext::open_row().row.status = kNobodyThere;
    if (response != nullptr) {
        response->status = kNobodyThere;
    }
    if (Connection* connection = Connection::current()) {
        connection->close_after_answer();
    }
}

// The rest of an answer. False: the client went away.
bool read_rest(HttpCall& call, size_t most, std::string& body) {
    while (!call.ended()) {
        if (const auto bytes = call.read(kRemoteGlance)) {
            body += *bytes;
            if (body.size() > most) {
                throw RemoteError(502, "The remote engine's answer is too large.", "remote_answer");
            }
        } else if (gone()) {
            return false;
        }
    }
    if (call.trouble() != HttpCall::Trouble::none) {
        throw RemoteError::from_trouble(call.trouble(), call.reason());
    }
    return true;
}

std::string failed_event(const std::string& path, const ApiError& error) {
    if (path.starts_with("/v1/messages")) {
        return "event: error\n" + sse_event(to_text(error.anthropic_body()));
    }
    if (path == "/v1/responses") {
        Json body = error.body()["error"];
        body["type"] = "error";
        return "event: error\n" + sse_event(to_text(body));
    }
    return sse_event(to_text(error.body()));
}

// Of the requests that were sent on. Each ends in one of the three ways.
struct PassedOn {
    std::atomic<int> running{0};
    std::atomic<uint64_t> finished{0}, cancelled{0}, failed{0};
};

// One request, from where it is sent on to its end, whoever ends it.
class PassedRequest {
public:
    PassedRequest(ServerContext& context, PassedOn& counts) : context_(context), counts_(counts) {
        counts_.running++;
    }
    ~PassedRequest() {
        counts_.running--;
        (how_ == End::finished    ? counts_.finished
         : how_ == End::cancelled ? counts_.cancelled
                                  : counts_.failed)++;
    }
    PassedRequest(const PassedRequest&) = delete;
    PassedRequest& operator=(const PassedRequest&) = delete;

    void first_bytes() {
        if (!seen_) {
            seen_ = true;
            context_.time_to_first_token.observe(age());
        }
    }
    void finished() {
        how_ = End::finished;
        context_.request_latency.observe(age());
    }
    void cancelled() { how_ = End::cancelled; }

private:
    double age() const { return std::chrono::duration<double>(Clock::now() - began_).count(); }

    enum class End { failed, finished, cancelled };
    ServerContext& context_;
    PassedOn& counts_;
    const Clock::time_point began_ = Clock::now();
    End how_ = End::failed;
    bool seen_ = false;
};

void pass_stream(ServerContext& context,
                 const std::string& path,
                 HttpCall& call,
                 PassedRequest& passed,
                 SseWriter& out) {
    SseReader reader;  // to know where events end, so that what is said in between stands alone
    auto last_write = Clock::now();
    while (!call.ended()) {
        const auto bytes = call.read(kRemoteGlance);
        if (bytes) {
            last_write = Clock::now();
            passed.first_bytes();
            if (!out.raw(*bytes)) {
                give_up(call, nullptr);
                passed.cancelled();
                return;
            }
            reader.add(*bytes);
        } else if (gone()) {
            give_up(call, nullptr);
            passed.cancelled();
            return;
        } else if (reader.between_events() &&
                   Clock::now() - last_write >= context.options.ping_interval) {
            last_write = Clock::now();
            out.ping();
        } else if (context.cut_streams) {
            call.cancel();
            out.raw((reader.between_events() ? "" : "\n\n") +
                    failed_event(path, ApiError::unavailable("The server is shutting down.")));
            return;
        }
    }
    if (call.trouble() != HttpCall::Trouble::none) {
        const ApiError error = api_error(RemoteError::from_trouble(call.trouble(), call.reason()));
        ServerContext::open_row().row.error = error.what();
        ServerContext::open_row().row.status = error.status;
        out.raw((reader.between_events() ? "" : "\n\n") + failed_event(path, error));
        if (Connection* connection = Connection::current()) {
            connection->close_after_answer();
        }
        return;
    }
    passed.finished();
}

// The path with its "/v1" and whatever was asked for behind it ("?beta=true").
std::string remote_path(const httplib::Request& request, const std::string& path) {
    const size_t query = request.target.find('?');
    return path + (query == std::string::npos ? "" : request.target.substr(query));
}

void pass_on(ServerContext& context,
             PassedOn& counts,
             const std::string& path,
             const httplib::Request& request,
             httplib::Response& response) {
    RemoteEngine& remote = *context.options.remote;
    Json body = read_body(request);
    if (!body.is_object()) {
        throw ApiError::invalid("The body must be an object.");
    }
    auto ticket = std::make_shared<ClientTicket>(context.enter(request));
    // Any model's name is answered, as it is without --remote.
    const auto named = body.find("model");
    if (named != body.end() && !named->is_null() && !named->is_string()) {
        throw ApiError::invalid("'model' must be a string.", "model");
    }
    const std::string wanted =
        named != body.end() && named->is_string() ? named->get<std::string>() : std::string();
    const std::string model = remote.model_for(wanted);
    if (model != wanted) {
        body["model"] = model;
    }
    const auto passed = std::make_shared<PassedRequest>(context, counts);
    HttpCall::Headers headers;
    for (const char* name : {"Accept", "anthropic-version", "anthropic-beta", "X-Request-Id"}) {
        if (request.has_header(name)) {
            headers.emplace_back(name, request.get_header_value(name));
        }
    }
    std::shared_ptr<HttpCall> call = remote.post(
        remote_path(request, path), model != wanted ? to_text(body) : request.body, headers);
    body = nullptr;

    while (!call->wait_head(kRemoteGlance)) {
        if (gone()) {
            give_up(*call, &response);
            passed->cancelled();
            return;
        }
    }
    // What goes wrong behind a head that came is told where its answer is, however soon it does.
    const HttpCall::Head head = call->head();
    if (head.status == 0) {
        throw RemoteError::from_trouble(call->trouble(), call->reason());
    }
    std::string text;
    if (head.status != 200) {
        if (read_rest(*call, kMaxErrorBytes, text)) {
            throw RemoteError::from_answer(head, text);
        }
        give_up(*call, &response);
        passed->cancelled();
        return;
    }
    if (!head.content_type.starts_with("text/event-stream")) {
        if (!read_rest(*call, kMaxAnswerBytes, text)) {
            give_up(*call, &response);
            passed->cancelled();
            return;
        }
        passed->first_bytes();
        passed->finished();
        response.set_content(
            text, head.content_type.empty() ? "application/json" : head.content_type.c_str());
        return;
    }
    ServerContext::open_row().row.streamed = true;
    send_event_stream(request, response, [&context, path, call, ticket, passed](SseWriter& out) {
        try {
            pass_stream(context, path, *call, *passed, out);
        } catch (const std::exception& error) {
            call->cancel();
            runtime::log(runtime::LogLevel::error,
                         std::string("while passing a stream on: ") + error.what());
            out.raw("\n\n" + failed_event(path, ApiError::internal()));
        }
    });
}

// What the other lists; an alias stands first, for the model that unknown names are given to.
Json models_json(ServerContext& context) {
    RemoteEngine& remote = *context.options.remote;
    Json list = Json::array();
    for (const RemoteModel& model : remote.models()) {
        list.push_back(model.entry);
    }
    if (!context.options.alias.empty()) {
        const std::string model = remote.model_for("");
        for (const Json& entry : list) {
            if (entry["id"] == model) {
                Json named = entry;
                named["id"] = context.options.alias;
                list.insert(list.begin(), std::move(named));
                break;
            }
        }
    }
    return list;
}

// Runs a handler; what went wrong with the other engine becomes an error of the API.
httplib::Server::Handler guarded(httplib::Server::Handler handler) {
    return [handler = std::move(handler)](const httplib::Request& request,
                                          httplib::Response& response) {
        try {
            handler(request, response);
        } catch (const RemoteError& error) {
            throw api_error(error);
        }
    };
}

}  // namespace

void add_remote(Router& router, ServerContext& context) {
    const auto counts = std::make_shared<PassedOn>();
    for (const char* path : {"/v1/chat/completions", "/v1/completions", "/v1/responses",
                             "/v1/messages", "/v1/messages/count_tokens"}) {
        router.post(path, guarded([&context, counts, path](const auto& request, auto& response) {
                        pass_on(context, *counts, path, request, response);
                    }));
    }
    router.get("/v1/models", guarded([&context](const auto&, auto& response) {
                   send_json(response, {{"object", "list"}, {"data", models_json(context)}});
               }));
    router.get("/v1/models/*", guarded([&context](const auto& request, auto& response) {
                   const std::string name = request.path.substr(request.path.find("/models/") + 8);
                   for (const Json& entry : models_json(context)) {
                       if (entry["id"] == name) {
                           send_json(response, entry);
                           return;
                       }
                   }
                   throw ApiError::not_found("The remote engine has no model of this name.",
                                             "model_not_found");
               }));
    router.get("/health", [&context](const auto&, auto& response) {
        try {
            if (!context.stopping) {
                context.options.remote->models();
                send_json(response, {{"status", "ok"}});
                return;
            }
        } catch (const RemoteError&) {
            // told below
        }
        Json body = ApiError::unavailable(context.stopping ? "The server is shutting down."
                                                           : "The remote engine does not answer.")
                        .body();
        body["status"] = "unavailable";
        response.set_header("Retry-After", "1");
        send_json(response, body, 503);
    });
    // What this side knows: requests and times. Tokens and memory are the other engine's to count.
    router.get("/metrics", [&context, counts](const auto&, auto& response) {
        std::string out = metric_text("num_requests_running", "gauge",
                                      "Requests that the remote engine answers.", counts->running);
        out +=
            "# HELP keyhole_request_total Requests that ended, by how.\n# TYPE "
            "keyhole_request_total counter\n";
        const std::pair<const char*, uint64_t> ends[] = {{"finished", counts->finished},
                                                         {"cancelled", counts->cancelled},
                                                         {"failed", counts->failed}};
        for (const auto& [how, count] : ends) {
            out += "keyhole_request_total{outcome=\"" + std::string(how) + "\"} " +
                   std::to_string(count) + "\n";
        }
        out += context.time_to_first_token.text("time_to_first_token_seconds",
                                                "From arrival to the answer's first bytes.");
        out += context.request_latency.text("e2e_request_latency_seconds",
                                            "From arrival to the answer's last byte.");
        response.set_content(out, "text/plain; version=0.0.4; charset=utf-8");
    });
    router.get("/props", guarded([&context](const auto&, auto& response) {
                   RemoteEngine& remote = *context.options.remote;
                   const std::string id = remote.model_for("");
                   Json out;
                   for (const RemoteModel& model : remote.models()) {
                       if (model.id == id && model.context_tokens > 0) {
                           out["default_generation_settings"]["n_ctx"] = model.context_tokens;
                       }
                   }
                   out["model_alias"] = context.options.alias.empty() ? id : context.options.alias;
                   out["build_info"] = "keyhole " KEYHOLE_VERSION;
                   out["modalities"] = {{"vision", false}, {"audio", false}};
                   send_json(response, out);
               }));
    router.get("/", [](const auto&, auto& response) {
        response.set_content(
            "Keyhole " KEYHOLE_VERSION
            "\nanother engine answers\nthe API is at /v1, for example /v1/models\n",
            "text/plain; charset=utf-8");
    });
}

}  // namespace app
