// TurnRunner: the answer that is being written - its prompt made on a worker, its events taken as
// they come, its text saved as it grows. Knows nothing of lists and models. Main thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "app/prompt.h"
#include "app/window/chat_host.h"

namespace app::window {

class TurnRunner {
public:
    explicit TurnRunner(ChatHost& host) : host_(host) {}
    ~TurnRunner();  // stops and saves an answer that is being written

    // What a person chose on the overflow card.
    struct Decision {
        bool less_room = false;       // send it, though the reserve does not fit
        int64_t promised_tokens = 0;  // not 0: the prompt is sent with exactly so many, or not
    };
    // The draft and what is staged; while a question is edited, beside that one.
    void send(Decision decision);
    void regenerate(size_t index, Decision decision);
    void continue_answer(Decision decision);
    void stop();  // in any phase: nothing is sent, or what came so far is kept
    // Takes in the events since the last call. true: something that is drawn changed.
    bool tick();

    bool running() const { return turn_ != nullptr; }
    bool streaming() const { return turn_ && turn_->stream; }
    // Of the conversation whose answer is being written, as it is now; null: none is.
    const Conversation* conversation() const { return turn_ ? &turn_->conversation : nullptr; }

private:
    using Clock = std::chrono::steady_clock;

    // It has a conversation of its own: another one may be on screen meanwhile.
    struct Turn {
        Conversation conversation;
        Conversation before;  // as it was, should the turn not even start
        Draft draft;          // what send() took from the composer, to give back then
        EditView edit;
        Decision decision;
        OverflowView::Of of = OverflowView::Of::question;
        size_t index = 0;  // of the message that is answered again
        uint64_t serial = 0;
        bool stop_wanted = false;
        std::shared_ptr<AnswerSource> source;  // outlives its stream
        std::unique_ptr<runtime::GenerationStream> stream;
        Clock::time_point began, first_reasoning, last_save;
        AnswerStats earlier;  // continued: what the answer had cost before
        uint64_t saved_revision = 0;
        bool stored = false;
        bool over = false;  // finished, but another program keeps the file busy
    };
    struct Prepared {
        AnswerSource::Answering answering;
        Conversation conversation;  // that was asked
    };

    void start(Turn turn);
    void ready(uint64_t serial, Prepared prepared);
    void give_back();
    void take_event(const runtime::GenerationEvent& event);
    void take_deltas(Message& answer, const std::vector<runtime::ReplyDelta>& deltas);
    void finish(MessageState state, const std::string& error);
    void ask_how_to_go_on();
    OverflowLimits limits(const AnswerSource& source, int64_t reserve) const;
    void let_go_of_stream();
    void store_finished();
    void show(const Message& answer);  // copies the running answer into what is on screen, if its
                                       // conversation is
    Message& answer() { return turn_->conversation.messages.back(); }

    ChatHost& host_;
    std::unique_ptr<Turn> turn_;
    uint64_t serial_ = 0;
};

}  // namespace app::window
