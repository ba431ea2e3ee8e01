#include "app/overflow.h"

#include <algorithm>

namespace app {
namespace {

constexpr size_t kMaxAttachmentChoices = 4;
constexpr int64_t kLimitStep = 1024;

struct Turn {
    std::vector<size_t> messages;
};

// Turns the model still sees, oldest first; the last one is what is asked now and never goes.
std::vector<Turn> old_turns(const Conversation& conversation) {
    std::vector<Turn> turns;
    const auto& messages = conversation.messages;
    size_t last_question = messages.size();
    for (size_t i = 0; i < messages.size(); i++) {
        if (messages[i].role == runtime::Role::user) {
            last_question = i;
        }
    }
    for (size_t i = 0; i < std::min(last_question, messages.size()); i++) {
        if (messages[i].role == runtime::Role::user || turns.empty()) {
            turns.emplace_back();
        }
        if (!messages[i].left_out) {
            turns.back().messages.push_back(i);
        }
    }
    std::erase_if(turns, [](const Turn& turn) { return turn.messages.empty(); });
    return turns;
}

class Planner {
public:
    Planner(const runtime::Tokenizer& tokenizer,
            const Conversation& conversation,
            const PromptSettings& settings,
            const OverflowLimits& limits)
        : tokenizer_(tokenizer),
          conversation_(conversation),
          settings_(settings),
          limits_(limits) {}

    OverflowReport plan() {
        report_.prompt_tokens = make_prompt(tokenizer_, conversation_, settings_).size();
        report_.reserve = limits_.reserve;
        report_.limit = limits_.context;
        report_.overflows = report_.excess() > 0;
        if (!report_.overflows) {
            return report_;
        }
        trim_turns();
        if (settings_.keep_thinking) {
            OverflowChoice choice;
            choice.kind = OverflowChoice::Kind::drop_thinking;
            offer(std::move(choice));
        }
        drop_attachments();
        new_conversation();
        if (const int64_t room = report_.limit - report_.prompt_tokens; room > 0) {
            OverflowChoice choice;
            choice.kind = OverflowChoice::Kind::less_room;
            choice.prompt_tokens = report_.prompt_tokens;
            choice.room = room;
            choice.fits = true;
            report_.choices.push_back(std::move(choice));
        }
        raise_limit();
        return report_;
    }

private:
    // Measures what the choice leaves; one that frees nothing is none.
    void offer(OverflowChoice choice) {
        measure(choice);
        if (choice.freed_tokens > 0) {
            report_.choices.push_back(std::move(choice));
        }
    }

    void measure(OverflowChoice& choice) const {
        Conversation changed = conversation_;
        PromptSettings settings = settings_;
        apply_choice(choice, changed, settings);
        choice.prompt_tokens = make_prompt(tokenizer_, changed, settings).size();
        choice.freed_tokens = report_.prompt_tokens - choice.prompt_tokens;
        choice.room = limits_.context - choice.prompt_tokens;
        choice.fits = choice.room >= limits_.reserve;
    }

    // As few of the oldest turns as make it fit; all of them where even that is not enough.
    void trim_turns() {
        const std::vector<Turn> turns = old_turns(conversation_);
        if (turns.empty()) {
            return;
        }
        const auto choice_of = [&](size_t count) {
            OverflowChoice choice;
            choice.kind = OverflowChoice::Kind::trim_turns;
            for (size_t i = 0; i < count; i++) {
                choice.messages.insert(choice.messages.end(), turns[i].messages.begin(),
                                       turns[i].messages.end());
            }
            measure(choice);
            return choice;
        };
        // Fewer turns, more tokens: the smallest count that fits by halving.
        size_t low = 1, high = turns.size();
        OverflowChoice best = choice_of(high);
        while (best.fits && low < high) {
            const size_t middle = (low + high) / 2;
            OverflowChoice choice = choice_of(middle);
            if (choice.fits) {
                best = std::move(choice);
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        if (best.freed_tokens > 0) {
            report_.choices.push_back(std::move(best));
        }
    }

    void drop_attachments() {
        std::vector<std::pair<int64_t, std::pair<size_t, size_t>>> by_size;
        for (size_t i = 0; i < conversation_.messages.size(); i++) {
            const auto& attachments = conversation_.messages[i].attachments;
            for (size_t j = 0; j < attachments.size(); j++) {
                if (!attachments[j].left_out) {
                    by_size.push_back({-static_cast<int64_t>(attachments[j].text.size()), {i, j}});
                }
            }
        }
        std::sort(by_size.begin(), by_size.end());
        by_size.resize(std::min(by_size.size(), kMaxAttachmentChoices));
        for (const auto& [size, place] : by_size) {
            OverflowChoice choice;
            choice.kind = OverflowChoice::Kind::drop_attachment;
            choice.attachment = place;
            offer(std::move(choice));
        }
    }

    void new_conversation() {
        const auto& messages = conversation_.messages;
        if (messages.size() > 1 && messages.back().role == runtime::Role::user) {
            OverflowChoice choice;
            choice.kind = OverflowChoice::Kind::new_conversation;
            offer(std::move(choice));
        }
    }

    void raise_limit() {
        const int64_t needed = report_.prompt_tokens + limits_.reserve;
        const int64_t limit =
            std::min((needed + kLimitStep - 1) / kLimitStep * kLimitStep, limits_.model_context);
        if (limit < needed) {
            return;  // the model was not trained for so much
        }
        OverflowChoice choice;
        choice.kind = OverflowChoice::Kind::raise_limit;
        choice.prompt_tokens = report_.prompt_tokens;
        choice.limit = limit;
        choice.room = limit - report_.prompt_tokens;
        choice.bytes = (limit - limits_.context) * limits_.bytes_per_token;
        choice.possible = choice.bytes <= limits_.free_bytes;
        choice.fits = true;
        report_.choices.push_back(std::move(choice));
    }

    const runtime::Tokenizer& tokenizer_;
    const Conversation& conversation_;
    const PromptSettings& settings_;
    const OverflowLimits& limits_;
    OverflowReport report_;
};

}  // namespace

OverflowReport plan_overflow(const runtime::Tokenizer& tokenizer,
                             const Conversation& conversation,
                             const PromptSettings& settings,
                             const OverflowLimits& limits) {
    return Planner(tokenizer, conversation, settings, limits).plan();
}

void apply_choice(const OverflowChoice& choice,
                  Conversation& conversation,
                  PromptSettings& settings) {
    auto& messages = conversation.messages;
    switch (choice.kind) {
        case OverflowChoice::Kind::trim_turns:
            for (const size_t index : choice.messages) {
                messages.at(index).left_out = true;
            }
            break;
        case OverflowChoice::Kind::drop_thinking:
            settings.keep_thinking = false;
            break;
        case OverflowChoice::Kind::drop_attachment:
            messages.at(choice.attachment.first).attachments.at(choice.attachment.second).left_out =
                true;
            break;
        case OverflowChoice::Kind::new_conversation: {
            // The files come first and in the same order: their pages in the cache are found again.
            Message question = std::move(messages.back());
            messages.pop_back();
            std::vector<Attachment> files;
            for (Message& message : messages) {
                for (Attachment& attachment : message.attachments) {
                    if (!attachment.left_out) {
                        files.push_back(std::move(attachment));
                    }
                }
            }
            files.insert(files.end(), question.attachments.begin(), question.attachments.end());
            question.attachments = std::move(files);
            messages.clear();
            messages.push_back(std::move(question));
            break;
        }
        case OverflowChoice::Kind::less_room:
        case OverflowChoice::Kind::raise_limit:
            break;
    }
}

}  // namespace app
