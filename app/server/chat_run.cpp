#include "app/server/chat_run.h"

#include <algorithm>
#include <limits>
#include <thread>

namespace app {

ChatRun::ChatRun(ChatRequest request,
                 AnswerHead head,
                 std::vector<std::unique_ptr<runtime::GenerationStream>> streams)
    : request_(std::move(request)), head_(std::move(head)) {
    const int max_calls = request_.parallel_tool_calls ? std::numeric_limits<int>::max() : 1;
    for (auto& stream : streams) {
        choices_.push_back({std::move(stream), ChoiceAnswer(request_.schemas, max_calls)});
    }
}

void ChatRun::take(int index, const runtime::GenerationEvent& event, std::vector<Json>& chunks) {
    using Kind = runtime::GenerationEvent::Kind;
    Choice& choice = choices_[static_cast<size_t>(index)];
    if (event.kind == Kind::delta || event.kind == Kind::finished) {
        for (Json& delta : choice.answer.add(event.deltas)) {
            chunks.push_back(chunk_json(head_, index, std::move(delta)));
        }
    }
    if (event.kind == Kind::failed) {
        choice.done = true;
        failure_ = event.error.empty() ? "The generation failed." : event.error;
        return;
    }
    const bool enough = choice.answer.too_many_calls();
    if (!event.terminal() && !enough) {
        return;
    }
    choice.done = true;
    choice.usage = event.usage;
    choice.timings = event.timings;
    if (enough) {
        // parallel_tool_calls false: the answer ends with its first call.
        choice.stream->cancel();
        choice.reason = runtime::FinishReason::tool_calls;
    } else if (event.kind == Kind::finished) {
        choice.reason = event.reason;
    } else {
        failure_ = "The generation was cancelled.";
        return;
    }
    Json last = chunk_json(head_, index, Json::object(), Json(to_string(choice.reason)));
    last["timings"] = timings_json(choice.usage, choice.timings);
    chunks.push_back(std::move(last));
}

std::vector<Json> ChatRun::poll(std::chrono::milliseconds timeout) {
    std::vector<Json> chunks;
    const auto until = std::chrono::steady_clock::now() + timeout;
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
                take(i, *event, chunks);
            }
        }
        if (!failure_.empty()) {
            cancel();
            return chunks;
        }
        if (any || done() || choices() == 1 || std::chrono::steady_clock::now() >= until) {
            return chunks;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(3));
    }
}

bool ChatRun::done() const {
    return !failure_.empty() || std::all_of(choices_.begin(), choices_.end(),
                                            [](const Choice& choice) { return choice.done; });
}

void ChatRun::cancel() {
    for (Choice& choice : choices_) {
        if (!choice.done) {
            choice.stream->cancel();
        }
    }
}

Json ChatRun::first_chunk(int choice) const {
    Json delta;
    delta["role"] = "assistant";
    delta["content"] = "";
    return chunk_json(head_, choice, std::move(delta));
}

runtime::Usage ChatRun::usage() const {
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

runtime::Timings ChatRun::timings() const {
    return choices_.empty() ? runtime::Timings{} : choices_.front().timings;
}

Json ChatRun::whole() const {
    Json list = Json::array();
    for (size_t i = 0; i < choices_.size(); i++) {
        list.push_back(choice_json(static_cast<int>(i), choices_[i].answer.message(),
                                   to_string(choices_[i].reason)));
    }
    Json out = answer_json(head_, std::move(list), usage());
    out["timings"] = timings_json(usage(), timings());
    return out;
}

}  // namespace app
