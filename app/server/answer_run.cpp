#include "app/server/answer_run.h"

#include <algorithm>
#include <iterator>
#include <thread>

#include "app/server/http.h"
#include "app/server/sse.h"
#include "runtime/log.h"

namespace app {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

// How long a client's going away may stay unnoticed while nothing is written.
constexpr milliseconds kGlance{50};

constexpr int kClientGone = 499;

}  // namespace

AnswerRun::AnswerRun(Streams streams) {
    for (auto& stream : streams) {
        Choice& choice = choices_.emplace_back();
        choice.stream = std::move(stream);
    }
}

void AnswerRun::handle(int index,
                       const runtime::GenerationEvent& event,
                       std::vector<StreamEvent>& out) {
    using Kind = runtime::GenerationEvent::Kind;
    Choice& choice = choices_[static_cast<size_t>(index)];
    if (event.kind == Kind::failed) {
        choice.done = true;
        failure_ = event.error.empty() ? "The generation failed." : event.error;
        return;
    }
    choice.usage = event.usage;
    choice.timings = event.timings;
    take(index, event, out);
    const bool enough_came = enough(index);
    if (!event.terminal() && !enough_came) {
        return;
    }
    choice.done = true;
    if (enough_came) {
        choice.stream->cancel();
        choice.reason = runtime::FinishReason::tool_calls;
    } else if (event.kind == Kind::finished) {
        choice.reason = event.reason;
        choice.stop_string = event.stop_string;
    } else {
        failure_ = "The generation was cancelled.";
        return;
    }
    ended(index, out);
}

std::vector<StreamEvent> AnswerRun::poll(milliseconds timeout) {
    std::vector<StreamEvent> out;
    const auto until = Clock::now() + timeout;
    for (;;) {
        bool any = false;
        for (int i = 0; i < choices() && failure_.empty(); i++) {
            Choice& choice = choices_[static_cast<size_t>(i)];
            while (!choice.done && failure_.empty()) {
                // A single choice sleeps on its stream; several are asked in turn.
                auto event = choices() == 1 && !any ? choice.stream->next(timeout)
                                                    : choice.stream->try_next();
                if (!event) {
                    // A stream that is done without a terminal event would be waited for without
                    // end.
                    if (choice.stream->done()) {
                        failure_ = "The generation ended without a result.";
                        choice.done = true;
                    }
                    break;
                }
                any = true;
                handle(i, *event, out);
            }
        }
        if (!failure_.empty()) {
            cancel();
            return out;
        }
        if (any || done() || choices() == 1 || Clock::now() >= until) {
            return out;
        }
        std::this_thread::sleep_for(milliseconds(3));
    }
}

bool AnswerRun::done() const {
    return !failure_.empty() ||
           std::ranges::all_of(choices_, [](const Choice& choice) { return choice.done; });
}

void AnswerRun::cancel() {
    for (Choice& choice : choices_) {
        if (!choice.done) {
            choice.stream->cancel();
        }
    }
}

runtime::Usage AnswerRun::usage() const {
    runtime::Usage sum;
    for (const Choice& choice : choices_) {
        sum.completion_tokens += choice.usage.completion_tokens;
        sum.reasoning_tokens += choice.usage.reasoning_tokens;
    }
    if (!choices_.empty()) {
        sum.prompt_tokens = choices_.front().usage.prompt_tokens;
        sum.cached_tokens = choices_.front().usage.cached_tokens;
    }
    return sum;
}

runtime::Timings AnswerRun::timings() const {
    return choices_.empty() ? runtime::Timings{} : choices_.front().timings;
}

std::string_view to_string(runtime::FinishReason reason) {
    switch (reason) {
        case runtime::FinishReason::stop:
            return "stop";
        case runtime::FinishReason::length:
            return "length";
        case runtime::FinishReason::tool_calls:
            return "tool_calls";
    }
    return "stop";
}

// --- serving

namespace {

bool client_gone() {
    Connection* connection = Connection::current();
    return connection != nullptr && connection->peer_gone();
}

void last_answer_of_connection() {
    if (Connection* connection = Connection::current()) {
        connection->close_after_answer();
    }
}

ApiError failure_of(const AnswerRun& run, const ServerContext& context) {
    if (context.stopping) {
        return ApiError::unavailable("The server is shutting down.");
    }
    return ApiError::failed(run.failure());
}

// What the log says of an answer, whole or cut.
void note(const AnswerRun& run, int status) {
    RequestRow& row = ServerContext::open_row().row;
    row.usage = run.usage();
    row.timings = run.timings();
    row.choices = run.choices();
    if (status != 0) {
        row.status = status;
    } else {
        row.finish_reason = to_string(run.reason());
    }
}

void observe_end(ServerContext& context, const AnswerRun& run) {
    context.observe(run.usage(), run.timings());
    for (int i = 0; i < run.choices(); i++) {
        context.finished[static_cast<size_t>(run.reason(i))]++;
    }
}

void send_whole(ServerContext& context, AnswerRun& run, httplib::Response& response) {
    while (!run.done()) {
        run.poll(kGlance);
        if (!run.done() && client_gone()) {
            run.cancel();
            note(run, kClientGone);
            response.status = kClientGone;  // nobody reads it
            last_answer_of_connection();
            return;
        }
    }
    if (!run.failure().empty()) {
        const ApiError error = failure_of(run, context);
        note(run, error.status);
        throw error;
    }
    observe_end(context, run);
    note(run, 0);
    send_json(response, run.whole());
}

void write_stream(ServerContext& context,
                  AnswerRun& run,
                  std::vector<StreamEvent> events,
                  SseWriter& out) {
    auto last_write = Clock::now();
    bool alive = true;
    const auto send = [&](const std::vector<StreamEvent>& list) {
        for (const StreamEvent& event : list) {
            last_write = Clock::now();
            alive = alive &&
                    out.event(event.name, event.data.is_null() ? "[DONE]" : to_text(event.data));
        }
    };
    for (;;) {
        send(events);
        if (!alive || run.done()) {
            break;
        }
        events = run.poll(kGlance);
        if (events.empty() && !run.done()) {
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
        note(run, kClientGone);
        last_answer_of_connection();
        return;
    }
    if (!run.failure().empty()) {
        const ApiError error = failure_of(run, context);
        note(run, error.status);
        send({run.failed(error)});
        last_answer_of_connection();
        return;
    }
    observe_end(context, run);
    note(run, 0);
    send(run.closing());
}

}  // namespace

void serve_answer(ServerContext& context,
                  const httplib::Request& request,
                  httplib::Response& response,
                  std::shared_ptr<AnswerRun> run,
                  bool stream) {
    ServerContext::open_row().row.streamed = stream;
    if (!stream) {
        send_whole(context, *run, response);
        return;
    }
    // What there is before the head goes out, if anything: an early failure is still a plain error.
    // The opening comes first, since events may be numbered as they are made.
    std::vector<StreamEvent> events = run->opening();
    std::ranges::move(run->poll(milliseconds(0)), std::back_inserter(events));
    if (!run->failure().empty()) {
        throw failure_of(*run, context);
    }
    send_event_stream(
        request, response,
        [&context, run = std::move(run), events = std::move(events)](SseWriter& out) mutable {
            // The library has no handler for what is thrown from here.
            try {
                write_stream(context, *run, std::move(events), out);
            } catch (const std::exception& error) {
                run->cancel();
                runtime::log(runtime::LogLevel::error,
                             std::string("while streaming an answer: ") + error.what());
                const StreamEvent failed = run->failed(ApiError::internal());
                out.event(failed.name, to_text(failed.data));
            }
        });
}

}  // namespace app
