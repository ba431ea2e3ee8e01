// AnswerSource: who answers a conversation - the model of this program, or another engine over the
// network. Takes the conversation as it is to be answered and gives a stream of events, or says why
// not. Knows no window and no store. ask() from a worker, the rest from any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "app/overflow.h"
#include "app/prompt.h"
#include "app/remote/remote_engine.h"
#include "app/window/turn_settings.h"
#include "runtime/engine/engine_thread.h"

namespace app::window {

class AnswerSource {
public:
    virtual ~AnswerSource() = default;

    struct Question {
        Conversation conversation;  // ends with what is to be answered or continued
        bool continues = false;
        TurnSettings settings;
        OverflowLimits room;
        bool less_room = false;       // send it, though the reserve does not fit
        int64_t promised_tokens = 0;  // not 0: the prompt is sent with exactly so many, or not
    };
    // One of the first three, and `continued` beside a stream.
    struct Answering {
        std::unique_ptr<runtime::GenerationStream> stream;
        std::string error;
        std::optional<OverflowReport> overflow;  // it does not fit: what can be decided
        std::optional<Continuation> continued;
    };
    virtual Answering ask(const Question& question) = 0;

    // Whether it is this program's model: its memory is ours, and its tokens can be counted.
    virtual bool here() const = 0;
    virtual int64_t context_tokens() const = 0;  // 0: not known
};

std::shared_ptr<AnswerSource> local_source(runtime::EngineThread& engine,
                                           std::shared_ptr<const runtime::LoadedModel> model);
// `wake`: called from another thread whenever its answer has something new.
std::shared_ptr<AnswerSource> remote_source(std::shared_ptr<RemoteEngine> engine,
                                            const RemoteModel& model,
                                            std::function<void()> wake);

}  // namespace app::window
