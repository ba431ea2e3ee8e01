// ChatRun: the generations behind one chat completion (one per choice), drained on the HTTP thread
// that serves it. Knows no socket: whoever drives it says what to do with each piece.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/server/chat_answer.h"
#include "app/server/chat_request.h"
#include "runtime/engine/generation.h"

namespace app {

class ChatRun {
public:
    ChatRun(ChatRequest request,
            AnswerHead head,
            std::vector<std::unique_ptr<runtime::GenerationStream>> streams);

    // Takes the events that are there, waiting up to `timeout` for the first. The chunks they make,
    // as a stream sends them.
    std::vector<Json> poll(std::chrono::milliseconds timeout);

    bool done() const;  // every choice has ended
    const std::string& failure() const {
        return failure_;
    }  // not empty: a generation failed; the others are cancelled
    void cancel();

    const ChatRequest& request() const { return request_; }
    const AnswerHead& head() const { return head_; }
    Json first_chunk(int choice) const;  // the role
    Json usage_chunk() const { return usage_chunk_json(head_, usage()); }
    Json whole() const;                // after done()
    runtime::Usage usage() const;      // of all choices: the prompt once, completions summed
    runtime::Timings timings() const;  // of the first choice
    int choices() const { return static_cast<int>(choices_.size()); }

private:
    struct Choice {
        std::unique_ptr<runtime::GenerationStream> stream;
        ChoiceAnswer answer;
        bool done = false;
        runtime::FinishReason reason = runtime::FinishReason::stop;
        runtime::Usage usage;
        runtime::Timings timings;
    };
    void take(int index, const runtime::GenerationEvent& event, std::vector<Json>& chunks);

    ChatRequest request_;
    AnswerHead head_;
    std::vector<Choice> choices_;
    std::string failure_;
};

}  // namespace app
