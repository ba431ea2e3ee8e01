#include "app/remote/remote_engine.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "app/options.h"
#include "app/remote/remote_chat.h"

namespace app {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr milliseconds kListTime{10'000}, kListAge{5'000};
constexpr size_t kMaxListBytes = 4 << 20, kMaxMessage = 2'000;

const Json* member(const Json& object, const char* name) {
    const auto found = object.is_object() ? object.find(name) : object.end();
    return found == object.end() || found->is_null() ? nullptr : &*found;
}

std::string text_of(const Json* value) {
    return value != nullptr && value->is_string() ? value->get<std::string>() : std::string();
}

int64_t number_of(const Json* value) {
    return value != nullptr && value->is_number_integer() ? value->get<int64_t>() : 0;
}

std::string one_line(std::string text) {
    if (text.size() > kMaxMessage) {
        text.resize(kMaxMessage);
    }
    std::ranges::replace_if(
        text, [](char c) { return static_cast<unsigned char>(c) < 0x20; }, ' ');
    return text;
}

}  // namespace

// OpenAI's {"error": {...}}, what older vLLM sends without "error" around it, and FastAPI's
// {"detail": ...}.
RemoteError RemoteError::from_answer(const HttpCall::Head& head, std::string_view body) {
    std::string message, type, param, code;
    try {
        const Json json = parse_json(body);
        const Json* error = member(json, "error");
        const Json& source = error != nullptr && error->is_object() ? *error : json;
        message = text_of(member(source, "message"));
        type = text_of(member(source, "type"));
        param = text_of(member(source, "param"));
        code = text_of(member(source, "code"));
        if (message.empty() && error != nullptr && error->is_string()) {
            message = error->get<std::string>();
        }
        if (const Json* detail = member(json, "detail"); message.empty() && detail != nullptr) {
            message = detail->is_string() ? detail->get<std::string>() : to_text(*detail);
        }
    } catch (const JsonError&) {
        // a page of a proxy, say: its status alone is worth telling
    }
    const int status = head.status;
    if (status == 401 || status == 403) {
        return {502,
                "The remote engine refused the key it was given (" + std::to_string(status) +
                    "); start keyhole with the right --remote-key or KEYHOLE_REMOTE_KEY.",
                "remote_key_refused"};
    }
    if (status < 400) {
        return {502,
                "The remote engine answered with status " + std::to_string(status) +
                    ", which is no answer of an OpenAI-compatible API; check --remote.",
                "remote_answer"};
    }
    if (message.empty()) {
        message = "The remote engine answered with status " + std::to_string(status) + ".";
    }
    RemoteError error(status, one_line(std::move(message)), std::move(code));
    error.type = type.find(' ') == std::string::npos ? type : "";
    error.param = std::move(param);
    error.retry_after = head.retry_after.size() <= 20 ? head.retry_after : "";
    return error;
}

RemoteError RemoteError::from_trouble(HttpCall::Trouble trouble, const std::string& reason) {
    const std::string end = reason.ends_with('?') ? "" : ".";
    switch (trouble) {
        case HttpCall::Trouble::unreachable:
            return {502, "The remote engine cannot be reached: " + reason + end,
                    "remote_unreachable"};
        case HttpCall::Trouble::silent:
            return {504, "The remote engine does not answer: " + reason + ".", "remote_timeout"};
        default:
            return {502, "The remote engine's answer is not whole: " + reason + ".",
                    "remote_broken_off"};
    }
}

std::optional<RemoteOptions> RemoteOptions::from(const Options& options) {
    if (options.remote.empty()) {
        return std::nullopt;
    }
    RemoteOptions remote;
    remote.url = RemoteUrl::parse(options.remote);
    remote.key = options.remote_key;
    if (const char* key = std::getenv("KEYHOLE_REMOTE_KEY"); remote.key.empty() && key != nullptr) {
        remote.key = key;
    }
    if (!std::ranges::all_of(remote.key, [](char c) { return c > ' ' && c < 0x7F; })) {
        throw std::runtime_error("the key for --remote holds characters that no key has");
    }
    remote.model = options.remote_model;
    remote.limits.silence = std::chrono::seconds(options.remote_timeout_s);
    return remote;
}

RemoteEngine::RemoteEngine(RemoteOptions options) : options_(std::move(options)) {}

std::unique_ptr<HttpCall> RemoteEngine::call(HttpCall::Request request,
                                             HttpCall::Limits limits) const {
    request.url = options_.url;
    if (!options_.key.empty()) {
        request.headers.emplace_back("Authorization", "Bearer " + options_.key);
    }
    return std::make_unique<HttpCall>(std::move(request), limits);
}

std::unique_ptr<HttpCall> RemoteEngine::post(const std::string& path,
                                             std::string body,
                                             HttpCall::Headers headers) const {
    return call({{}, "POST", path, std::move(headers), std::move(body)}, options_.limits);
}

std::vector<RemoteModel> RemoteEngine::models() {
    {
        const std::lock_guard lock(mutex_);
        if (!models_.empty() && Clock::now() - models_from_ < kListAge) {
            return models_;
        }
    }
    HttpCall::Limits limits = options_.limits;
    limits.silence = std::min(limits.silence, kListTime);
    const auto request =
        call({{}, "GET", "/v1/models", {{"Accept", "application/json"}}, ""}, limits);
    request->wait_head(kListTime + limits.connect);
    std::string body;
    while (!request->ended()) {
        if (auto bytes = request->read(kListTime)) {
            body += *bytes;
        } else if (!request->ended()) {
            throw RemoteError::from_trouble(HttpCall::Trouble::silent, "its list did not come");
        }
        if (body.size() > kMaxListBytes) {
            throw RemoteError(502, "The remote engine's list of models is too large.",
                              "remote_answer");
        }
    }
    if (request->trouble() != HttpCall::Trouble::none) {
        throw RemoteError::from_trouble(request->trouble(), request->reason());
    }
    if (request->head().status != 200) {
        throw RemoteError::from_answer(request->head(), body);
    }
    std::vector<RemoteModel> found;
    try {
        const Json json = parse_json(body);
        if (const Json* data = member(json, "data"); data != nullptr && data->is_array()) {
            for (const Json& entry : *data) {
                RemoteModel model{text_of(member(entry, "id")), 0, entry};
                for (const char* name : {"max_model_len", "context_length"}) {
                    model.context_tokens =
                        std::max(model.context_tokens, number_of(member(entry, name)));
                }
                if (!model.id.empty()) {
                    found.push_back(std::move(model));
                }
            }
        }
    } catch (const JsonError&) {
        // told below
    }
    if (found.empty()) {
        throw RemoteError(502, "The remote engine names no models; check --remote.",
                          "remote_answer");
    }
    const std::lock_guard lock(mutex_);
    models_ = found;
    models_from_ = Clock::now();
    return found;
}

std::string RemoteEngine::model_for(std::string_view wanted) {
    const std::vector<RemoteModel> list = models();
    const auto has = [&list](std::string_view id) {
        return std::ranges::any_of(list, [&](const RemoteModel& model) { return model.id == id; });
    };
    if (has(wanted)) {
        return std::string(wanted);
    }
    return options_.model.empty() ? list.front().id : options_.model;
}

std::unique_ptr<runtime::GenerationStream> RemoteEngine::chat(Chat chat) {
    return make_remote_chat(*this, std::move(chat));
}

std::string remote_warning(const RemoteOptions& options) {
    if (options.url.https || options.url.loopback()) {
        return "";
    }
    return "note: " + options.url.text() + " is not https: conversations" +
           (options.key.empty() ? "" : " and the key") +
           " can be read on their way through the network";
}

}  // namespace app
