#include "app/window/turn_runner.h"

#include <algorithm>
#include <utility>

#include "app/window/turn_settings.h"

namespace app::window {
namespace {

constexpr std::chrono::milliseconds kSaveInterval{200};

double milliseconds(std::chrono::steady_clock::duration duration) {
    return std::chrono::duration<double, std::milli>(duration).count();
}

// An answer that went on costs what both parts cost; the prompt is that of the last part.
AnswerStats stats_of(const runtime::GenerationEvent& event,
                     double thinking_ms,
                     const AnswerStats& earlier) {
    AnswerStats stats;
    stats.prompt_tokens = event.usage.prompt_tokens - earlier.completion_tokens;
    stats.cached_tokens = std::min(event.usage.cached_tokens, stats.prompt_tokens);
    stats.completion_tokens = earlier.completion_tokens + event.usage.completion_tokens;
    stats.reasoning_tokens = earlier.reasoning_tokens + event.usage.reasoning_tokens;
    stats.first_token_ms = earlier.completion_tokens > 0
                               ? earlier.first_token_ms
                               : event.timings.queued_ms + event.timings.prompt_ms;
    stats.generation_ms = earlier.generation_ms + event.timings.generation_ms;
    stats.thinking_ms = std::max(earlier.thinking_ms, thinking_ms);
    return stats;
}

Message empty_answer() {
    Message answer;
    answer.role = runtime::Role::assistant;
    answer.state = MessageState::streaming;
    return answer;
}

}  // namespace

TurnRunner::~TurnRunner() {
    if (turn_ && turn_->over) {
        store_finished();
    } else if (turn_ && turn_->stored) {
        turn_->stream.reset();  // cancels
        finish(MessageState::stopped, "");
    }
}

void TurnRunner::send(Decision decision) {
    AppState& state = host_.state;
    const auto source = host_.source();
    if (turn_ || !source) {
        return;
    }
    Turn turn;
    turn.source = source;
    turn.before = turn.conversation = state.conversation;
    turn.draft = {state.draft.text(), state.draft.cursor(), state.staged};
    turn.edit = std::exchange(state.chat.edit, {});
    turn.decision = decision;
    auto& messages = turn.conversation.messages;
    Message question;
    question.content = turn.draft.text;
    question.attachments = turn.draft.staged;
    for (Attachment& attachment : question.attachments) {
        attachment.id = 0;
    }
    if (turn.edit.message != 0) {
        const auto edited = std::find_if(messages.begin(), messages.end(), [&](const Message& m) {
            return m.id == turn.edit.message;
        });
        if (edited != messages.end()) {
            question.parent = edited->parent;
            messages.erase(edited, messages.end());
        }
    }
    if (turn.conversation.id == 0) {
        turn.conversation.title = title_from(question.content);
        if (turn.conversation.title.empty()) {
            turn.conversation.title =
                turn.draft.staged.empty() ? "New conversation" : turn.draft.staged.front().name;
        }
    }
    messages.push_back(std::move(question));
    messages.push_back(empty_answer());
    state.draft.start(turn.edit.kept.text, turn.edit.kept.cursor);
    state.staged = turn.edit.kept.staged;
    start(std::move(turn));
}

void TurnRunner::regenerate(size_t index, Decision decision) {
    AppState& state = host_.state;
    const auto& shown = state.conversation.messages;
    const auto source = host_.source();
    if (turn_ || !source || index >= shown.size() || index == 0 ||
        shown[index].role != runtime::Role::assistant) {
        return;
    }
    Turn turn;
    turn.source = source;
    turn.of = OverflowView::Of::another_answer;
    turn.index = index;
    turn.decision = decision;
    turn.before = turn.conversation = state.conversation;
    Message answer = empty_answer();
    answer.parent = shown[index].parent;
    turn.conversation.messages.resize(index);
    turn.conversation.messages.push_back(std::move(answer));
    start(std::move(turn));
}

void TurnRunner::continue_answer(Decision decision) {
    AppState& state = host_.state;
    const auto& shown = state.conversation.messages;
    const auto source = host_.source();
    if (turn_ || !source || shown.empty() || shown.back().role != runtime::Role::assistant ||
        shown.back().state == MessageState::complete || !shown.back().tool_calls.empty()) {
        return;
    }
    Turn turn;
    turn.source = source;
    turn.of = OverflowView::Of::continuation;
    turn.decision = decision;
    turn.before = turn.conversation = state.conversation;
    Message& answer = turn.conversation.messages.back();
    turn.earlier = answer.stats;
    answer.state = MessageState::streaming;
    answer.error.clear();
    start(std::move(turn));
}

void TurnRunner::start(Turn turn) {
    AppState& state = host_.state;
    turn.serial = ++serial_;
    turn.began = turn.last_save = Clock::now();
    turn_ = std::make_unique<Turn>(std::move(turn));
    state.conversation = turn_->conversation;
    state.layouts.clear();
    state.chat.overflow.reset();
    state.follow = true;
    state.scroll_to_end = true;
    state.generation = {};
    state.generation.phase = GenerationView::Phase::preparing;
    state.generation.conversation_id = turn_->conversation.id;

    AnswerSource::Question question;
    const int64_t context = limits(*turn_->source, 0).context;
    question.settings = turn_settings(host_.settings, turn_->conversation, state.thinking, context);
    question.room = limits(*turn_->source, question.settings.reserve);
    question.less_room = turn_->decision.less_room;
    question.promised_tokens = turn_->decision.promised_tokens;
    // The prompt ends where the answer begins: the empty message at the end is not part of it.
    question.continues = turn_->of == OverflowView::Of::continuation;
    question.conversation = turn_->conversation;
    if (!question.continues) {
        question.conversation.messages.pop_back();
    }
    host_.worker.add([this, serial = turn_->serial, source = turn_->source,
                      question = std::move(question)]() mutable -> Worker::Done {
        auto prepared = std::make_shared<Prepared>();
        try {
            prepared->answering = source->ask(question);
        } catch (const std::exception& failure) {
            prepared->answering.error = failure.what();
        }
        prepared->conversation = std::move(question.conversation);
        return [this, serial, prepared] { ready(serial, std::move(*prepared)); };
    });
}

OverflowLimits TurnRunner::limits(const AnswerSource& source, int64_t reserve) const {
    const runtime::MemorySnapshot& memory = host_.state.memory;
    OverflowLimits limits;
    limits.context = source.context_tokens();
    limits.reserve = reserve;
    if (!source.here() || !host_.model) {
        return limits;
    }
    limits.context = memory.ctx_size > 0 ? memory.ctx_size : limits.context;
    limits.model_context = host_.model->config.context_length;
    limits.bytes_per_token = memory.kv_cache.bytes_per_token;
    limits.free_bytes = memory.devices.empty() ? 0 : memory.devices.front().free_bytes;
    return limits;
}

void TurnRunner::ready(uint64_t serial, Prepared prepared) {
    if (!turn_ || turn_->serial != serial) {
        return;  // dropping the stream cancels it
    }
    AppState& state = host_.state;
    AnswerSource::Answering& answering = prepared.answering;
    if (!answering.stream || turn_->stop_wanted) {
        const bool stopped = turn_->stop_wanted;
        const bool seen = state.conversation.id == turn_->conversation.id;
        const auto of = turn_->of;
        const size_t index = turn_->index;
        turn_->stream = std::move(answering.stream);
        let_go_of_stream();
        give_back();
        if (answering.overflow && !stopped) {
            if (seen) {
                state.chat.overflow = OverflowView{of, index, std::move(*answering.overflow),
                                                   std::move(prepared.conversation)};
            } else {
                host_.banner(Banner::Kind::warning,
                             "A question did not fit its context and was not sent; it waits in its "
                             "conversation.",
                             0);
            }
        } else if (!answering.error.empty()) {
            host_.banner(Banner::Kind::error, answering.error, 0);
        }
        return;
    }
    const bool shown = state.conversation.id == turn_->conversation.id;
    if (answering.continued) {
        answer().tokens = std::move(answering.continued->tokens);
        answer().content = std::move(answering.continued->content);
        answer().reasoning = std::move(answering.continued->reasoning);
        answer().revision++;
    }
    turn_->stored = host_.store_call([&] {
        if (turn_->of == OverflowView::Of::continuation) {
            host_.store.begin_continuation(turn_->conversation);
        } else {
            const int64_t draft_of = turn_->conversation.id;
            host_.store.begin_turn(turn_->conversation);
            if (turn_->of == OverflowView::Of::question && turn_->edit.message == 0) {
                host_.store.save_draft(draft_of, {});
                host_.store.set_value(
                    "open_conversation",
                    std::to_string(state.conversation.id == draft_of ? turn_->conversation.id
                                                                     : state.conversation.id));
            }
        }
    });
    // A new conversation got its id only now; it is on screen unless the person went elsewhere
    // meanwhile.
    if (shown) {
        state.conversation = turn_->conversation;
    }
    state.generation.conversation_id = turn_->conversation.id;
    state.generation.phase = GenerationView::Phase::waiting;
    turn_->stream = std::move(answering.stream);
    host_.list_changed();
}

// The prompt was refused or stopped before anything happened: what was written is in the composer
// again.
void TurnRunner::give_back() {
    AppState& state = host_.state;
    const bool shown = state.conversation.id == turn_->conversation.id;
    if (turn_->of == OverflowView::Of::question) {
        if (shown && state.chat.edit.message == 0) {
            turn_->edit.kept = {state.draft.text(), state.draft.cursor(), state.staged};
            if (turn_->edit.message != 0) {
                state.chat.edit = std::move(turn_->edit);
            }
            state.draft.start(turn_->draft.text, turn_->draft.cursor);
            state.staged = std::move(turn_->draft.staged);
        } else {
            host_.store_call([&] { host_.store.save_draft(turn_->conversation.id, turn_->draft); });
        }
    }
    if (shown) {
        state.conversation = std::move(turn_->before);
        state.layouts.clear();
    }
    state.generation = {};
    turn_.reset();
    host_.recount();
}

void TurnRunner::stop() {
    if (!turn_) {
        return;
    }
    turn_->stop_wanted = true;
    if (turn_->stream) {
        turn_->stream->cancel();
    }
}

bool TurnRunner::tick() {
    bool changed = false;
    // Bounded: a flood of events must not keep the window from drawing.
    for (int i = 0; i < 512 && streaming(); i++) {
        const auto event = turn_->stream->try_next();
        if (!event) {
            break;
        }
        take_event(*event);
        changed = true;
    }
    if (changed && turn_ && !turn_->over) {
        show(answer());  // once for all of them: a long answer is copied whole
    }
    if (!turn_ || !turn_->stored || Clock::now() - turn_->last_save < kSaveInterval) {
        return changed;
    }
    turn_->last_save = Clock::now();
    if (turn_->over) {
        store_finished();
    } else if (turn_->saved_revision != answer().revision) {
        try {
            host_.store.save_partial(answer());
            turn_->saved_revision = answer().revision;
        } catch (const StoreError& error) {
            // Another program is writing: the next save is a fifth of a second away.
            if (!error.busy) {
                turn_->stored = host_.store_call([&] { throw; });
            }
        }
    }
    return changed;
}

void TurnRunner::take_event(const runtime::GenerationEvent& event) {
    using Kind = runtime::GenerationEvent::Kind;
    GenerationView& view = host_.state.generation;
    answer().tokens.insert(answer().tokens.end(), event.tokens.begin(), event.tokens.end());
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
            return;
        case Kind::finished:
        case Kind::cancelled:
        case Kind::failed:
            break;
    }
    take_deltas(answer(), event.deltas);
    answer().stats = stats_of(event, view.thinking_ms, turn_->earlier);
    if (event.usage.prompt_tokens > 0) {
        host_.state.prefix_cached = static_cast<double>(event.usage.cached_tokens) /
                                    static_cast<double>(event.usage.prompt_tokens);
    }
    const bool full = turn_->source->here() && event.kind == Kind::finished &&
                      event.reason == runtime::FinishReason::length &&
                      event.usage.prompt_tokens + event.usage.completion_tokens >=
                          limits(*turn_->source, 0).context;
    const int64_t conversation = turn_->conversation.id;
    finish(event.kind == Kind::failed                      ? MessageState::failed
           : event.kind == Kind::cancelled                 ? MessageState::stopped
           : event.reason == runtime::FinishReason::length ? MessageState::cut
                                                           : MessageState::complete,
           event.error);
    if (full && host_.state.conversation.id == conversation) {
        ask_how_to_go_on();
    }
}

// The answer reached the end of the context: the same decision, before it can go on.
void TurnRunner::ask_how_to_go_on() {
    AppState& state = host_.state;
    const Conversation& conversation = state.conversation;
    const auto source = host_.source();
    if (!host_.model || !source || !source->here() || conversation.messages.empty()) {
        return;
    }
    TurnSettings settings =
        turn_settings(host_.settings, conversation, state.thinking, limits(*source, 0).context);
    host_.worker.add([this, model = host_.model, conversation, settings = std::move(settings),
                      room = limits(*source, settings.reserve),
                      shown = state.conversation_generation]() mutable -> Worker::Done {
        OverflowReport report =
            plan_overflow(*model->tokenizer, conversation, settings.prompt, room);
        auto view = std::make_shared<OverflowView>(OverflowView{
            OverflowView::Of::continuation, 0, std::move(report), std::move(conversation)});
        return [this, view, shown] {
            AppState& now = host_.state;
            if (view->report.overflows && !turn_ && now.conversation_generation == shown &&
                !now.conversation.messages.empty() &&
                now.conversation.messages.back().id == view->conversation.messages.back().id) {
                now.chat.overflow = std::move(*view);
            }
        };
    });
}

void TurnRunner::take_deltas(Message& answer, const std::vector<runtime::ReplyDelta>& deltas) {
    using Kind = runtime::ReplyDelta::Kind;
    GenerationView& view = host_.state.generation;
    for (const runtime::ReplyDelta& delta : deltas) {
        switch (delta.kind) {
            case Kind::reasoning:
                if (turn_->first_reasoning == Clock::time_point{}) {
                    turn_->first_reasoning = Clock::now();
                }
                view.thinking = true;
                view.thinking_ms = milliseconds(Clock::now() - turn_->first_reasoning);
                answer.reasoning += delta.text;
                break;
            case Kind::content:
                view.thinking = false;
                answer.content += delta.text;
                break;
            case Kind::tool_call_begin:
                view.thinking = false;
                answer.tool_calls.push_back({"", delta.text, {}});
                break;
            case Kind::tool_argument:
                if (!answer.tool_calls.empty()) {
                    auto& arguments = answer.tool_calls.back().arguments;
                    if (!arguments.empty() && arguments.back().key == delta.key) {
                        arguments.back().value += delta.text;  // a string that goes on
                    } else {
                        arguments.push_back({delta.key, delta.text});
                    }
                }
                break;
            case Kind::tool_call_end:
                break;
        }
    }
    answer.revision++;
}

void TurnRunner::show(const Message& answer) {
    auto& messages = host_.state.conversation.messages;
    if (host_.state.conversation.id == turn_->conversation.id && !messages.empty()) {
        messages.back() = answer;
    }
}

void TurnRunner::finish(MessageState end, const std::string& error) {
    Message& message = answer();
    message.state = end;
    message.error = error;
    // Blank lines before the first word are the format's, not the model's.
    const size_t begin = message.content.find_first_not_of('\n');
    message.content.erase(0, begin == std::string::npos ? message.content.size() : begin);
    message.revision++;
    show(message);
    host_.state.generation = {};
    let_go_of_stream();
    turn_->over = true;
    store_finished();
}

// A stream from another machine may have to wait for the network to let go of it: not here.
void TurnRunner::let_go_of_stream() {
    if (turn_->stream && !turn_->source->here()) {
        host_.worker.add(
            [source = turn_->source, stream = std::shared_ptr<runtime::GenerationStream>(
                                         std::move(turn_->stream))]() mutable -> Worker::Done {
                stream.reset();
                return {};
            });
    }
    turn_->stream.reset();
}

// A finished answer is kept until it is in the file.
void TurnRunner::store_finished() {
    if (turn_->stored) {
        try {
            host_.store.finish_turn(turn_->conversation, answer());
        } catch (const StoreError& error) {
            if (error.busy) {
                host_.banner(Banner::Kind::warning,
                             "Another program is using the file of conversations; the last answer "
                             "is stored as soon as it is free.",
                             0);
                return;
            }
            host_.store_call([&] { throw; });
        }
    }
    turn_.reset();
    host_.list_changed();
    host_.recount();
}

}  // namespace app::window
