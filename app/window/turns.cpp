// One question and its answer: prompt made on a worker, deltas taken as they come, saved as they
// grow.
#include <algorithm>

#include "app/window/controller.h"
#include "runtime/error.h"
#include "runtime/text/chat_format.h"

namespace app::window {
namespace {

constexpr std::chrono::milliseconds kSaveInterval{200};

double milliseconds(std::chrono::steady_clock::duration duration) {
    return std::chrono::duration<double, std::milli>(duration).count();
}

AnswerStats stats_of(const runtime::GenerationEvent& event, double thinking_ms) {
    AnswerStats stats;
    stats.prompt_tokens = event.usage.prompt_tokens;
    stats.cached_tokens = event.usage.cached_tokens;
    stats.completion_tokens = event.usage.completion_tokens;
    stats.reasoning_tokens = event.usage.reasoning_tokens;
    stats.first_token_ms = event.timings.queued_ms + event.timings.prompt_ms;
    stats.generation_ms = event.timings.generation_ms;
    stats.thinking_ms = thinking_ms;
    return stats;
}

}  // namespace

void Controller::send() {
    if (turn_ || !model_ || packing_) {
        return;
    }
    Turn turn;
    turn.conversation = state_.conversation;
    turn.draft = state_.draft.text();
    turn.staged = state_.staged;
    Message question;
    question.role = runtime::Role::user;
    question.content = turn.draft;
    question.attachments = turn.staged;
    if (turn.conversation.messages.empty()) {
        turn.conversation.title = title_from(question.content);
        if (turn.conversation.title.empty()) {
            turn.conversation.title =
                turn.staged.empty() ? "New conversation" : turn.staged.front().name;
        }
    }
    turn.conversation.messages.push_back(std::move(question));
    Message answer;
    answer.role = runtime::Role::assistant;
    answer.state = MessageState::streaming;
    turn.conversation.messages.push_back(std::move(answer));
    state_.draft.clear();
    state_.staged.clear();
    start_turn(std::move(turn));
}

void Controller::regenerate() {
    auto& messages = state_.conversation.messages;
    if (turn_ || !model_ || messages.size() < 2 ||
        messages.back().role != runtime::Role::assistant) {
        return;
    }
    Turn turn;
    turn.conversation = state_.conversation;
    turn.replaced = turn.conversation.messages.back();
    turn.replaces = turn.replaced.id;
    Message answer;
    answer.role = runtime::Role::assistant;
    answer.state = MessageState::streaming;
    turn.conversation.messages.back() = std::move(answer);
    state_.layouts.clear();
    start_turn(std::move(turn));
}

void Controller::start_turn(Turn turn) {
    turn.serial = ++serial_;
    turn.began = turn.last_save = Clock::now();
    turn_ = std::make_unique<Turn>(std::move(turn));
    state_.conversation = turn_->conversation;
    state_.overflow.reset();
    state_.follow = true;
    state_.scroll_to_end = true;
    state_.generation = {};
    state_.generation.phase = GenerationView::Phase::preparing;
    state_.generation.conversation_id = turn_->conversation.id;

    // The prompt ends where the answer begins: the empty message at the end is not part of it.
    Conversation prompt = turn_->conversation;
    prompt.messages.pop_back();
    runtime::GenerationRequest request;
    request.sampling.temperature = static_cast<float>(settings_.temperature);
    request.sampling.top_p = static_cast<float>(settings_.top_p);
    request.reply.starts_in_reasoning = state_.thinking;
    request.owner = "window";
    const runtime::ChatOptions options{state_.thinking, true, true};
    prompt_worker_.add([this, serial = turn_->serial, model = model_, prompt = std::move(prompt),
                        request = std::move(request), options,
                        system_prompt = settings_.system_prompt,
                        limit = state_.memory.ctx_size]() mutable -> Worker::Done {
        auto stream = std::make_shared<std::unique_ptr<runtime::GenerationStream>>();
        std::string error;
        int64_t needed = 0;
        try {
            request.prompt = runtime::ChatFormat::encode(
                *model->tokenizer, to_chat(prompt, system_prompt), {}, options);
            needed = static_cast<int64_t>(request.prompt.size());
            *stream = engine_.submit(std::move(request));
            needed = 0;
        } catch (const runtime::RequestError& refused) {
            error = refused.what();
            if (refused.kind != runtime::RequestError::Kind::too_long) {
                needed = 0;
            }
        } catch (const std::exception& failure) {
            error = failure.what();
            needed = 0;
        }
        return [this, serial, stream, error, needed, limit] {
            turn_ready(serial, std::move(*stream), error, needed, limit);
        };
    });
}

void Controller::turn_ready(uint64_t serial,
                            std::unique_ptr<runtime::GenerationStream> stream,
                            const std::string& error,
                            int64_t needed,
                            int64_t limit) {
    if (!turn_ || turn_->serial != serial) {
        return;  // dropping the stream cancels it
    }
    if (!stream || turn_->stop_wanted) {
        give_back_turn();
        if (needed > 0) {
            state_.overflow = OverflowView{needed, limit};
        } else if (!error.empty()) {
            banner(Banner::Kind::error, error);
        }
        return;
    }
    const bool shown = state_.conversation.id == turn_->conversation.id;
    turn_->stored = store_call([&] {
        if (turn_->replaces) {
            store_.begin_another_answer(turn_->conversation, turn_->replaces);
        } else {
            store_.begin_turn(turn_->conversation);
        }
    });
    // A new conversation got its id only now; it is on screen unless the person went elsewhere
    // meanwhile.
    if (shown) {
        state_.conversation = turn_->conversation;
    }
    state_.generation.conversation_id = turn_->conversation.id;
    state_.generation.phase = GenerationView::Phase::waiting;
    turn_->stream = std::move(stream);
    refresh_list();
}

// The prompt was refused or stopped before anything happened: what was written is in the composer
// again.
void Controller::give_back_turn() {
    const bool shown = state_.conversation.id == turn_->conversation.id;
    if (turn_->replaces) {
        turn_->conversation.messages.back() = std::move(turn_->replaced);
    } else {
        turn_->conversation.messages.resize(turn_->conversation.messages.size() - 2);
        if (state_.draft.empty()) {
            state_.draft.set(turn_->draft);
        }
        state_.staged.insert(state_.staged.begin(), turn_->staged.begin(), turn_->staged.end());
    }
    if (shown) {
        state_.conversation = std::move(turn_->conversation);
        state_.layouts.clear();
    }
    state_.generation = {};
    turn_.reset();
    count_wanted_ = true;
}

void Controller::stop() {
    if (!turn_) {
        return;
    }
    turn_->stop_wanted = true;
    if (turn_->stream) {
        turn_->stream->cancel();
    }
}

bool Controller::drain_stream() {
    bool changed = false;
    // Bounded: a flood of events must not keep the window from drawing.
    for (int i = 0; i < 512 && turn_ && turn_->stream; i++) {
        const auto event = turn_->stream->try_next();
        if (!event) {
            break;
        }
        take_event(*event);
        changed = true;
    }
    if (turn_ && turn_->stored && Clock::now() - turn_->last_save >= kSaveInterval) {
        turn_->last_save = Clock::now();
        if (turn_->has_content || turn_->has_reasoning) {
            turn_->stored = store_call([&] { store_.save_partial(answer()); });
        }
    }
    return changed;
}

void Controller::take_event(const runtime::GenerationEvent& event) {
    using Kind = runtime::GenerationEvent::Kind;
    GenerationView& view = state_.generation;
    switch (event.kind) {
        case Kind::progress:
            view.phase = GenerationView::Phase::reading;
            view.prompt_done = event.prompt_done;
            view.prompt_total = event.prompt_total;
            return;
        case Kind::delta:
            view.phase = GenerationView::Phase::writing;
            take_deltas(answer(), event.deltas);
            if (event.timings.generation_ms > 0 && event.usage.completion_tokens > 1) {
                view.tokens_per_second = static_cast<double>(event.usage.completion_tokens - 1) *
                                         1000 / event.timings.generation_ms;
            }
            show(answer());
            return;
        case Kind::finished:
        case Kind::cancelled:
        case Kind::failed:
            break;
    }
    take_deltas(answer(), event.deltas);
    answer().stats = stats_of(event, view.thinking_ms);
    if (event.usage.prompt_tokens > 0) {
        state_.prefix_cached = static_cast<double>(event.usage.cached_tokens) /
                               static_cast<double>(event.usage.prompt_tokens);
    }
    finish_turn(event.kind == Kind::failed                      ? MessageState::failed
                : event.kind == Kind::cancelled                 ? MessageState::stopped
                : event.reason == runtime::FinishReason::length ? MessageState::cut
                                                                : MessageState::complete,
                event.error);
}

void Controller::take_deltas(Message& answer, const std::vector<runtime::ReplyDelta>& deltas) {
    using Kind = runtime::ReplyDelta::Kind;
    GenerationView& view = state_.generation;
    for (const runtime::ReplyDelta& delta : deltas) {
        switch (delta.kind) {
            case Kind::reasoning:
                if (!turn_->has_reasoning) {
                    turn_->has_reasoning = true;
                    turn_->first_reasoning = Clock::now();
                }
                view.thinking = true;
                view.thinking_ms = milliseconds(Clock::now() - turn_->first_reasoning);
                answer.reasoning += delta.text;
                break;
            case Kind::content:
                view.thinking = false;
                turn_->has_content = true;
                answer.content += delta.text;
                break;
            case Kind::tool_call_begin:
                view.thinking = false;
                answer.tool_calls.push_back({"", delta.text, {}});
                break;
            case Kind::tool_argument:
                if (!answer.tool_calls.empty()) {
                    answer.tool_calls.back().arguments.push_back({delta.key, delta.text});
                }
                break;
            case Kind::tool_call_end:
                break;
        }
        glyphs_.note(delta.text);
    }
    answer.revision++;
}

void Controller::show(const Message& answer) {
    auto& messages = state_.conversation.messages;
    if (state_.conversation.id == turn_->conversation.id && !messages.empty()) {
        messages.back() = answer;
    }
}

void Controller::finish_turn(MessageState end, const std::string& error) {
    Message& message = answer();
    message.state = end;
    message.error = error;
    // Blank lines before the first word are the format's, not the model's.
    const size_t begin = message.content.find_first_not_of('\n');
    message.content.erase(0, begin == std::string::npos ? message.content.size() : begin);
    message.revision++;
    if (turn_->stored) {
        store_call([&] { store_.finish_turn(turn_->conversation, message); });
    }
    show(message);
    state_.generation = {};
    turn_.reset();
    refresh_list();
    count_wanted_ = true;
}

}  // namespace app::window
