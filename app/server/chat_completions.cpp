// POST /v1/chat/completions: parse, render and tokenize on this thread, submit, then send what
// comes, whole or as a stream.
#include <chrono>

#include "app/server/api_error.h"
#include "app/server/chat_run.h"
#include "app/server/http.h"
#include "app/server/server_context.h"
#include "app/server/sse.h"
#include "runtime/log.h"

namespace app {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

// How long a client's going away may stay unnoticed while nothing is written.
constexpr milliseconds kGlance{100};

bool client_gone() {
    Connection* connection = Connection::current();
    return connection != nullptr && connection->peer_gone();
}

ApiError failure_of(const ChatRun& run, const ServerContext& context) {
    if (context.stopping) {
        return ApiError::unavailable("The server is shutting down.");
    }
    return ApiError::failed(run.failure());
}

std::shared_ptr<ChatRun> begin(ServerContext& context, const Json& body) {
    const auto model = context.model();
    ChatRequest request = ChatRequest::parse(body, model->tokenizer->vocab_size());

    runtime::GenerationRequest generation;
    generation.prompt = runtime::ChatFormat::encode(*model->tokenizer, request.messages,
                                                    request.tools, request.format);
    generation.sampling = request.sampling;
    generation.max_tokens = request.max_tokens;
    generation.reply.starts_in_reasoning = request.format.enable_thinking;
    generation.reply.tools = request.schemas.signatures();
    generation.reply.stop = request.stop;
    generation.owner = "http";

    std::vector<std::unique_ptr<runtime::GenerationStream>> streams;
    for (int i = 0; i < request.choices; i++) {
        runtime::GenerationRequest one = generation;
        if (one.sampling.seed) {
            *one.sampling.seed +=
                static_cast<uint64_t>(i);  // each choice its own text, all repeatable
        }
        streams.push_back(context.engine.submit(std::move(one)));
    }
    AnswerHead head{random_id("chatcmpl-"), unix_seconds(), context.model_id(*model)};
    return std::make_shared<ChatRun>(std::move(request), std::move(head), std::move(streams));
}

// What came before the first chunk, if anything: an early failure is still a plain error answer.
std::vector<Json> first_chunks(ChatRun& run, const ServerContext& context) {
    std::vector<Json> chunks = run.poll(milliseconds(0));
    if (!run.failure().empty()) {
        throw failure_of(run, context);
    }
    return chunks;
}

void send_whole(ServerContext& context, ChatRun& run, httplib::Response& response) {
    while (!run.done()) {
        run.poll(kGlance);
        if (!run.done() && client_gone()) {
            run.cancel();
            response.status = 499;  // nobody reads it
            return;
        }
    }
    if (!run.failure().empty()) {
        throw failure_of(run, context);
    }
    context.observe(run.usage(), run.timings());
    send_json(response, run.whole());
}

void write_stream(ServerContext& context, ChatRun& run, std::vector<Json> chunks, SseWriter& out) {
    auto last_write = Clock::now();
    const auto send = [&](const Json& chunk) {
        last_write = Clock::now();
        return out.event(to_text(chunk));
    };
    bool alive = true;
    for (int i = 0; i < run.choices() && alive; i++) {
        alive = send(run.first_chunk(i));
    }
    for (;;) {
        for (const Json& chunk : chunks) {
            alive = alive && send(chunk);
        }
        if (!alive || run.done()) {
            break;
        }
        chunks = run.poll(kGlance);
        if (chunks.empty() && !run.done()) {
            if (client_gone()) {
                alive = false;
            } else if (Clock::now() - last_write >= context.options.ping_interval) {
                last_write = Clock::now();
                alive = out.ping();
            }
        }
    }
    if (!alive) {
        run.cancel();
        if (Connection* connection = Connection::current()) {
            connection->close_after_answer();
        }
        return;
    }
    if (!run.failure().empty()) {
        out.event(to_text(failure_of(run, context).body()));
        if (Connection* connection = Connection::current()) {
            connection->close_after_answer();
        }
        return;
    }
    context.observe(run.usage(), run.timings());
    if (run.request().include_usage) {
        out.event(to_text(run.usage_chunk()));
    }
    out.event("[DONE]");
}

}  // namespace

void add_chat_completions(Router& router, ServerContext& context) {
    router.post("/v1/chat/completions", [&context](const httplib::Request& request,
                                                   httplib::Response& response) {
        const auto run = begin(context, read_body(request));
        if (!run->request().stream) {
            send_whole(context, *run, response);
            return;
        }
        auto chunks = first_chunks(*run, context);
        send_event_stream(
            request, response, [&context, run, chunks = std::move(chunks)](SseWriter& out) mutable {
                // The library has no handler for what is thrown from here.
                try {
                    write_stream(context, *run, std::move(chunks), out);
                } catch (const std::exception& error) {
                    run->cancel();
                    runtime::log(runtime::LogLevel::error,
                                 std::string("while streaming an answer: ") + error.what());
                    out.event(to_text(ApiError::internal().body()));
                }
            });
    });
}

}  // namespace app
