#include "app/window/answer_source.h"

#include <algorithm>
#include <utility>

namespace app::window {
namespace {

class LocalSource final : public AnswerSource {
public:
    LocalSource(runtime::EngineThread& engine, std::shared_ptr<const runtime::LoadedModel> model)
        : engine_(engine), model_(std::move(model)) {}

    Answering ask(const Question& question) override {
        Answering answering;
        const PromptSettings& how = question.settings.prompt;
        Prompt prompt = make_prompt(*model_->tokenizer, question.conversation, how);
        const int64_t reserve = question.less_room ? 1 : question.room.reserve;
        if (prompt.size() + std::max<int64_t>(1, reserve) > question.room.context) {
            answering.overflow =
                plan_overflow(*model_->tokenizer, question.conversation, how, question.room);
            return answering;
        }
        if (question.promised_tokens != 0 && prompt.size() != question.promised_tokens) {
            answering.error = "The prompt would have " + std::to_string(prompt.size()) +
                              " tokens, not the " + std::to_string(question.promised_tokens) +
                              " that were chosen; nothing was sent. Send it again.";
            return answering;
        }
        runtime::GenerationRequest request;
        request.sampling = question.settings.sampling;
        request.reply.starts_in_reasoning = how.thinking;
        if (prompt.continued) {
            request.reply.starts_in_reasoning = prompt.continued->starts_in_reasoning;
            request.reply.before = prompt.continued->text;
            answering.continued = std::move(prompt.continued);
        }
        request.owner = "window";
        request.prompt = std::move(prompt.tokens);
        answering.stream = engine_.submit(std::move(request));
        return answering;
    }

    bool here() const override { return true; }
    int64_t context_tokens() const override { return model_->ctx_size; }

private:
    runtime::EngineThread& engine_;
    const std::shared_ptr<const runtime::LoadedModel> model_;
};

// What does not fit is refused by the other engine, in its own words: they come as the answer's
// error.
class RemoteSource final : public AnswerSource {
public:
    RemoteSource(std::shared_ptr<RemoteEngine> engine,
                 const RemoteModel& model,
                 std::function<void()> wake)
        : engine_(std::move(engine)),
          model_(model.id),
          context_tokens_(model.context_tokens),
          wake_(std::move(wake)) {}

    Answering ask(const Question& question) override {
        Answering answering;
        if (question.continues) {
            answering.error =
                "Another engine cannot go on with an answer that was broken off: it takes whole "
                "messages only. Have it written again instead.";
            return answering;
        }
        RemoteEngine::Chat chat;
        chat.messages = to_chat(question.conversation, question.settings.prompt.system_prompt);
        chat.thinking = question.settings.prompt.thinking;
        chat.sampling = question.settings.sampling;
        chat.model = model_;
        chat.wake = wake_;
        answering.stream = engine_->chat(std::move(chat));
        return answering;
    }

    bool here() const override { return false; }
    int64_t context_tokens() const override { return context_tokens_; }

private:
    const std::shared_ptr<RemoteEngine> engine_;
    const std::string model_;
    const int64_t context_tokens_;
    const std::function<void()> wake_;
};

}  // namespace

std::shared_ptr<AnswerSource> local_source(runtime::EngineThread& engine,
                                           std::shared_ptr<const runtime::LoadedModel> model) {
    return std::make_shared<LocalSource>(engine, std::move(model));
}

std::shared_ptr<AnswerSource> remote_source(std::shared_ptr<RemoteEngine> engine,
                                            const RemoteModel& model,
                                            std::function<void()> wake) {
    return std::make_shared<RemoteSource>(std::move(engine), model, std::move(wake));
}

}  // namespace app::window
