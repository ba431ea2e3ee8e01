#include "app/server/chat_answer.h"

#include "app/server/server_context.h"

namespace app {
namespace {

// The inside of a JSON string.
std::string escaped(const std::string& text) {
    const std::string quoted = to_text(Json(text));
    return quoted.substr(1, quoted.size() - 2);
}

}  // namespace

Json ChoiceAnswer::call_delta(size_t position, const std::string& piece) const {
    Json call;
    call["index"] = position;
    call["function"]["arguments"] = piece;
    Json delta;
    delta["tool_calls"] = Json::array({call});
    return delta;
}

std::vector<Json> ChoiceAnswer::add(const std::vector<runtime::ReplyDelta>& deltas) {
    using Kind = runtime::ReplyDelta::Kind;
    std::vector<Json> out;
    for (const runtime::ReplyDelta& piece : deltas) {
        const bool of_call = piece.kind != Kind::content && piece.kind != Kind::reasoning;
        if (too_many_calls_ || (of_call && piece.call_index >= max_calls_)) {
            too_many_calls_ = true;
            continue;
        }
        switch (piece.kind) {
            case Kind::reasoning:
                if (!piece.text.empty()) {
                    reasoning_ += piece.text;
                    out.push_back({{"reasoning_content", piece.text}});
                }
                break;
            case Kind::content:
                if (!piece.text.empty()) {
                    content_ += piece.text;
                    out.push_back({{"content", piece.text}});
                }
                break;
            case Kind::tool_call_begin: {
                // id, type and name once, in the first delta: SDKs concatenate names, and some
                // insist on the type.
                calls_.push_back({random_id("call_"), piece.text, "", false, "", false});
                Json delta = call_delta(calls_.size() - 1, "");
                Json call;
                call["index"] = calls_.size() - 1;
                call["id"] = calls_.back().id;
                call["type"] = "function";
                call["function"]["name"] = piece.text;
                call["function"]["arguments"] = "";
                delta["tool_calls"] = Json::array({call});
                out.push_back(std::move(delta));
                break;
            }
            case Kind::tool_argument: {
                if (calls_.empty()) {
                    break;
                }
                Call& call = calls_.back();
                const bool is_text = schemas_.is_text(call.name, piece.key);
                std::string text;
                if (is_text && call.in_text && call.text_key == piece.key) {
                    text = escaped(piece.text);
                } else {
                    text = (call.in_text ? "\"" : "") + std::string(call.open ? ", " : "{") +
                           to_text(Json(piece.key)) + ": " +
                           (is_text ? "\"" + escaped(piece.text)
                                    : schemas_.value(call.name, piece.key, piece.text,
                                                     piece.is_string));
                }
                call.in_text = is_text;
                call.text_key = piece.key;
                call.open = true;
                call.arguments += text;
                out.push_back(call_delta(calls_.size() - 1, text));
                break;
            }
            case Kind::tool_call_end: {
                if (calls_.empty()) {
                    break;
                }
                Call& call = calls_.back();
                const std::string text =
                    (call.in_text ? "\"" : "") + std::string(call.open ? "}" : "{}");
                call.open = call.in_text = false;
                call.arguments += text;
                out.push_back(call_delta(calls_.size() - 1, text));
                break;
            }
        }
    }
    return out;
}

Json ChoiceAnswer::message() const {
    Json message;
    message["role"] = "assistant";
    message["content"] = content_.empty() && !calls_.empty() ? Json(nullptr) : Json(content_);
    if (!reasoning_.empty()) {
        message["reasoning_content"] = reasoning_;
    }
    if (!calls_.empty()) {
        Json list = Json::array();
        for (const Call& call : calls_) {
            Json entry;
            entry["id"] = call.id;
            entry["type"] = "function";
            entry["function"]["name"] = call.name;
            entry["function"]["arguments"] = call.arguments;
            list.push_back(std::move(entry));
        }
        message["tool_calls"] = std::move(list);
    }
    return message;
}

namespace {

Json one_logprob(const runtime::Tokenizer& tokenizer, runtime::TokenId id, float logprob) {
    const std::string_view bytes = tokenizer.bytes(id, true);
    Json out;
    out["token"] = std::string(bytes);  // to_text() makes valid UTF-8 of it
    out["logprob"] = logprob;
    out["bytes"] = Json::array();
    for (const char c : bytes) {
        out["bytes"].push_back(static_cast<unsigned char>(c));
    }
    return out;
}

}  // namespace

Json logprob_json(const runtime::Tokenizer& tokenizer, const runtime::TokenLogprob& logprob) {
    Json out = one_logprob(tokenizer, logprob.id, logprob.logprob);
    out["top_logprobs"] = Json::array();
    for (const auto& [id, value] : logprob.top) {
        out["top_logprobs"].push_back(one_logprob(tokenizer, id, value));
    }
    return out;
}

Json usage_json(const runtime::Usage& usage) {
    Json out;
    out["prompt_tokens"] = usage.prompt_tokens;
    out["completion_tokens"] = usage.completion_tokens;
    out["total_tokens"] = usage.prompt_tokens + usage.completion_tokens;
    out["prompt_tokens_details"]["cached_tokens"] = usage.cached_tokens;
    out["completion_tokens_details"]["reasoning_tokens"] = usage.reasoning_tokens;
    return out;
}

Json timings_json(const runtime::Usage& usage, const runtime::Timings& timings) {
    const auto per_second = [](int64_t tokens, double ms) {
        return ms > 0 ? static_cast<double>(tokens) * 1000 / ms : 0.0;
    };
    const int64_t computed = usage.prompt_tokens - usage.cached_tokens;
    Json out;
    out["cache_n"] = usage.cached_tokens;
    out["prompt_n"] = computed;
    out["prompt_ms"] = timings.prompt_ms;
    out["prompt_per_second"] = per_second(computed, timings.prompt_ms);
    out["predicted_n"] = usage.completion_tokens;
    out["predicted_ms"] = timings.generation_ms;
    out["predicted_per_second"] = per_second(usage.completion_tokens, timings.generation_ms);
    out["queued_ms"] = timings.queued_ms;
    return out;
}

namespace {

Json head_json(const AnswerHead& head, const char* object) {
    Json out;
    out["id"] = head.id;
    out["object"] = object;
    out["created"] = head.created;
    out["model"] = head.model;
    return out;
}

}  // namespace

Json chunk_json(const AnswerHead& head, int choice, Json delta, const Json& finish_reason) {
    Json entry;
    entry["index"] = choice;
    entry["delta"] = std::move(delta);
    entry["logprobs"] = nullptr;
    entry["finish_reason"] = finish_reason;
    Json out = head_json(head, "chat.completion.chunk");
    out["choices"] = Json::array({entry});
    return out;
}

Json usage_chunk_json(const AnswerHead& head, const runtime::Usage& usage) {
    Json out = head_json(head, "chat.completion.chunk");
    out["choices"] = Json::array();
    out["usage"] = usage_json(usage);
    return out;
}

Json choice_json(int choice, const Json& message, std::string_view finish_reason) {
    Json out;
    out["index"] = choice;
    out["message"] = message;
    out["logprobs"] = nullptr;
    out["finish_reason"] = finish_reason;
    return out;
}

Json answer_json(const AnswerHead& head, Json choices, const runtime::Usage& usage) {
    Json out = head_json(head, "chat.completion");
    out["choices"] = std::move(choices);
    out["usage"] = usage_json(usage);
    return out;
}

}  // namespace app
