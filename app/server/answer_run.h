// AnswerRun: the generations behind one answer, drained on the HTTP thread that serves it. Each
// route derives from it and says what its pieces look like on the wire; waiting, cancelling,
// failing, counting and logging are here, once. Knows no socket but through serve_answer().
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include <httplib.h>

#include "app/json/json.h"
#include "app/server/api_error.h"
#include "app/server/server_context.h"
#include "runtime/engine/generation.h"

namespace app {

// One event of a stream. `name` empty: a data line alone. `data` null: the closing "[DONE]".
struct StreamEvent {
    std::string name;
    Json data;
};

class AnswerRun {
public:
    using Streams = std::vector<std::unique_ptr<runtime::GenerationStream>>;

    explicit AnswerRun(Streams streams);
    virtual ~AnswerRun() = default;
    AnswerRun(const AnswerRun&) = delete;
    AnswerRun& operator=(const AnswerRun&) = delete;

    // Takes what is there, waiting up to `timeout` for the first. The events it makes, as a stream
    // sends them.
    std::vector<StreamEvent> poll(std::chrono::milliseconds timeout);
    bool done() const;  // every choice has ended
    // Not empty: a generation failed; the others are cancelled.
    const std::string& failure() const { return failure_; }
    void cancel();

    int choices() const { return static_cast<int>(choices_.size()); }
    runtime::FinishReason reason(int choice = 0) const { return at(choice).reason; }
    const std::string& stop_string(int choice = 0) const { return at(choice).stop_string; }
    const runtime::Usage& usage_of(int choice) const { return at(choice).usage; }
    virtual runtime::Usage usage() const;  // of all: the prompt once, completions summed
    runtime::Timings timings() const;      // of the first choice

    // --- what a route says
    virtual std::vector<StreamEvent> opening() = 0;  // of a stream
    virtual std::vector<StreamEvent> closing() = 0;  // of a stream, after every choice has ended
    virtual Json whole() const = 0;                  // after done()
    // In a stream that has begun.
    virtual StreamEvent failed(const ApiError& error) { return {"", error.body()}; }

    ClientTicket ticket;  // counts this request among its client's until it is over

protected:
    // A delta, or the end of a choice with the last of it: reason() and usage are then set.
    virtual void take(int choice,
                      const runtime::GenerationEvent& event,
                      std::vector<StreamEvent>& out) = 0;
    virtual void ended(int choice, std::vector<StreamEvent>& out) = 0;
    // Nothing more is wanted of this choice; it then ends with its tool calls.
    virtual bool enough(int) const { return false; }

private:
    struct Choice {
        std::unique_ptr<runtime::GenerationStream> stream;
        bool done = false;
        runtime::FinishReason reason = runtime::FinishReason::stop;
        std::string stop_string;
        runtime::Usage usage;
        runtime::Timings timings;
    };
    const Choice& at(int choice) const { return choices_[static_cast<size_t>(choice)]; }
    void handle(int choice, const runtime::GenerationEvent& event, std::vector<StreamEvent>& out);

    std::vector<Choice> choices_;
    std::string failure_;
};

std::string_view to_string(runtime::FinishReason reason);

// Sends the answer as it comes, or when it is whole; cancels it when the client is gone. Throws
// ApiError where it fails before anything was sent.
void serve_answer(ServerContext& context,
                  const httplib::Request& request,
                  httplib::Response& response,
                  std::shared_ptr<AnswerRun> run,
                  bool stream);

}  // namespace app
